from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from logad_pipeline.lake.naming import raw_name, source_name, tz_from, tz_name


@pytest.mark.parametrize(
    ("file_name", "source"),
    [
        ("auth.log", "auth.log"),
        ("auth.log.1", "auth.log"),
        ("auth.log.1.gz", "auth.log"),
        ("auth.log.xz", "auth.log"),
        ("syslog-20240131", "syslog"),
        ("access.log-20240131-1706659200.zst", "access.log"),
        ("app.log.2024-01-31.1", "app.log"),
        ("app-2024-01-31.3.log.gz", "app.log"),
        ("10.0.0.1", "10.0.0.1"),
        ("web1.2", "web1.2"),
        ("node-10000001.log", "node-10000001.log"),
        ("server-2024.log", "server-2024.log"),
        ("20240131", "20240131"),
        (".gz", ".gz"),
        ("1", "1"),
        ("a\udcff.log", "a\ufffd.log"),
    ],
)
def test_a_source_is_the_file_name_without_what_rotation_adds(file_name: str, source: str) -> None:
    assert source_name(file_name) == source


def test_a_raw_file_has_a_name_that_any_file_system_takes() -> None:
    assert raw_name("auth.log", "0123456789ab") == "auth.log-0123456789ab.log.zst"
    assert raw_name("a b/é\n", "0") == "a_b_é_-0.log.zst"
    assert len(raw_name("é" * 255, "0" * 64).encode()) < 255


@pytest.mark.parametrize(
    "zone", [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("UTC"), timezone(timedelta(hours=-3.5), "odd")]
)
def test_a_zone_is_the_same_after_its_name(zone: tzinfo) -> None:
    moment = datetime(2024, 7, 1)
    assert tz_from(tz_name(zone)).utcoffset(moment) == zone.utcoffset(moment)
    assert tz_from("UTC") is UTC


def test_a_zone_without_a_name_is_refused() -> None:
    class Odd(tzinfo):
        pass

    with pytest.raises(ValueError, match="has no name to store"):
        tz_name(Odd())
