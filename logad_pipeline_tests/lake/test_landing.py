from __future__ import annotations

import gzip
import io
import lzma
import os
import threading
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logad_pipeline.lake import landing
from logad_pipeline.lake.landing import Landing, land
from logad_pipeline.lake.ledger import open_raw, raw_parts, restore, rows_of
from logad_pipeline.lake.tables import Lake, LakeDamaged, LakeError, LakeNotFound
from logad_pipeline.logs.reader import UnreadableInput
from logad_pipeline_tests.conftest import shared_data

from .conftest import WriteLog


def restored(lake: Lake, sha: str) -> bytes:
    out = io.BytesIO()
    restore(lake, sha, out.write)
    return out.getvalue()


def nothing_left(lake: Lake) -> bool:
    return not list(lake.path("raw").iterdir()) and lake.days("ledger") == []


def test_lines_go_to_the_days_they_tell_of_and_come_back_byte_for_byte(lake: Lake, write_log: WriteLog) -> None:
    content = (
        b"2024-01-01 23:59:59,000 INFO a: one\r\n"
        b"  continued \xff\xfe\n"
        b"2024-01-02 00:00:01,000 INFO a: two\n"
        b"\n"
        b"2024-01-01 23:59:58,000 INFO a: late\n"
        b"2024-01-02 00:00:02,000 INFO a: three, without a line end"
    )
    landed = land(lake, write_log("app.log.1", content))
    assert (landed.source, landed.lines, landed.already_landed) == ("app.log", 6, False)
    assert landed.days == {date(2024, 1, 1): 3, date(2024, 1, 2): 3}
    first, second = (raw_parts(lake, day)[0] for day in landed.days)
    assert first.runs == ((1, 2), (5, 1))
    assert second.runs == ((3, 2), (6, 1))
    with open_raw(lake, first) as stream:
        assert list(stream) == [line for i, line in enumerate(content.splitlines(True)) if i in (0, 1, 4)]
    assert restored(lake, landed.sha) == content


def test_the_same_bytes_are_counted_once_whatever_their_name(lake: Lake, write_log: WriteLog) -> None:
    lines = ["2024-01-01 00:00:00,000 INFO a: one"]
    first = land(lake, write_log("app.log", lines))
    again = land(lake, write_log("copy.log", lines))
    assert again == Landing("app.log", first.sha, first.format, 1, first.days, already_landed=True)
    assert len(rows_of(lake, first.sha)) == 1
    assert lake.version("ledger") == 1


def test_two_that_land_the_same_file_at_once_count_it_once(
    lake: Lake, write_log: WriteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_log("app.log", [f"2024-01-0{1 + i // 50} 00:00:00,000 INFO a: {i}" for i in range(100)])
    both = threading.Barrier(2)
    write_parts = landing._write_parts

    def write_and_wait(*args: object) -> None:
        write_parts(*args)  # type: ignore[arg-type]
        both.wait(20)

    monkeypatch.setattr(landing, "_write_parts", write_and_wait)
    done: list[Landing] = []
    threads = [threading.Thread(target=lambda: done.append(land(lake, path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.already_landed for each in done) == [False, True]
    assert sum(row.day_lines for row in rows_of(lake, done[0].sha)) == 100


def test_a_crash_before_the_ledger_counts_nothing_and_the_next_try_makes_it_good(
    lake: Lake, write_log: WriteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_log("app.log", ["2024-01-01 00:00:00,000 INFO a: one"])
    with monkeypatch.context() as patched:
        patched.setattr(Lake, "append", lambda *args, **options: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            land(lake, path)
    (left,) = lake.path("raw").rglob("*.zst")
    left.write_bytes(b"half a file")
    assert lake.days("ledger") == []
    landed = land(lake, path)
    assert not landed.already_landed
    assert restored(lake, landed.sha) == path.read_bytes()
    assert list(lake.path("raw").rglob("*.zst")) == [left]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_cut_off_or_damaged_file_leaves_nothing_behind(lake: Lake, tmp_path: Path, pack: object) -> None:
    lines = b"".join(b"2024-01-01 00:00:00,%03d INFO a: %d\n" % (i % 1000, i * 7919) for i in range(5000))
    packed = pack(lines)  # type: ignore[operator]
    middle = len(packed) // 2
    for bad in (packed[:middle], packed[:middle] + bytes(40) + packed[middle + 40 :]):
        path = tmp_path / "app.log.packed"
        path.write_bytes(bad)
        with pytest.raises(UnreadableInput, match=r"app\.log\.packed: .* data "):
            land(lake, path)
        assert nothing_left(lake)


def test_what_cannot_be_landed_is_refused(lake: Lake, tmp_path: Path, write_log: WriteLog) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (write_log("empty.log", b""), "is empty; there is nothing to land"),
        (write_log("empty.gz", gzip.compress(b"")), "is empty"),
        (tmp_path / "absent.log", "no such file"),
        (tmp_path, "is a directory"),
        (tmp_path / "pipe", "save it to a file"),
    ):
        with pytest.raises(UnreadableInput, match=reason):
            land(lake, path)
    with pytest.raises(LakeNotFound, match="run `logad init`"):
        land(Lake(tmp_path / "no lake"), write_log("app.log", ["x"]))
    with pytest.raises(LakeError, match="no file with sha256"):
        restore(lake, "0" * 64, print)
    assert nothing_left(lake)


def test_a_file_that_grows_while_it_is_read_is_refused(
    lake: Lake, write_log: WriteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_log("app.log", ["2024-01-01 00:00:00,000 INFO a: one"])
    split = landing.split_lines

    def split_and_grow(*args: object) -> object:
        found = split(*args)  # type: ignore[arg-type]
        with path.open("a") as file:
            file.write("2024-01-01 00:00:01,000 INFO a: two\n")
        return found

    monkeypatch.setattr(landing, "split_lines", split_and_grow)
    with pytest.raises(UnreadableInput, match="changed while it was read; ingest it again"):
        land(lake, path)
    assert nothing_left(lake)


def test_lines_without_time_follow_their_neighbours(lake: Lake, write_log: WriteLog) -> None:
    path = write_log(
        "app.log", b"what is this\n\n2024-01-01 00:00:00,000 INFO a: one\n\0\0\0\nno header\n"
        b"2024-01-02 00:00:00,000 INFO a: two\nno header\n"
    )  # fmt: skip
    assert land(lake, path, format="leveled").days == {date(2024, 1, 1): 5, date(2024, 1, 2): 2}


def test_a_file_without_any_time_falls_on_the_day_it_was_written_or_the_given_one(
    lake: Lake, write_log: WriteLog
) -> None:
    first, second = write_log("a.log", ["one", "two"]), write_log("b.log", ["three"])
    os.utime(first, (0, datetime(2024, 5, 1, 23, 30, tzinfo=UTC).timestamp()))
    assert land(lake, first, tz=ZoneInfo("Europe/Berlin")).days == {date(2024, 5, 2): 2}
    assert land(lake, second, day=date(2020, 2, 29)).days == {date(2020, 2, 29): 1}
    (row,) = raw_parts(lake, date(2024, 5, 2))
    assert (row.timed, row.first_time, row.tz) == (False, None, "Europe/Berlin")


def test_days_are_days_of_the_zone(lake: Lake, write_log: WriteLog) -> None:
    path = write_log("app.log", ["2024-01-01T23:30:00Z host app: one", "2024-01-02T01:30:00Z host app: two"])
    landed = land(lake, path, tz=timezone(timedelta(hours=-2)))
    assert landed.days == {date(2024, 1, 1): 2}
    assert raw_parts(lake, date(2024, 1, 1))[0].tz == "-02:00"


def test_the_years_of_a_new_year_file(lake: Lake, write_log: WriteLog) -> None:
    lines = [
        "Dec 31 23:59:58 h app: old", "Jan  1 00:00:01 h app: new",
        "Dec 31 23:59:59 h app: late", "Jan  1 00:00:02 h app: newer",
    ]  # fmt: skip
    landed = land(lake, write_log("syslog", lines), year=2023)
    assert landed.days == {date(2023, 12, 31): 2, date(2024, 1, 1): 2}
    old, new = (raw_parts(lake, day)[0] for day in landed.days)
    assert (old.first_year, old.runs) == (2023, ((1, 1), (3, 1)))
    assert (new.first_year, new.runs) == (2024, ((2, 1), (4, 1)))


def test_many_interleaved_days_and_lines_of_any_length(lake: Lake, write_log: WriteLog) -> None:
    start = datetime(2024, 1, 1)
    stamps = [start + timedelta(days=i * 37 % 60, seconds=i) for i in range(600)]
    content = "".join(f"{moment:%Y-%m-%d %H:%M:%S},000 INFO a: {i}\n" for i, moment in enumerate(stamps))
    long_one = "2024-01-05 00:00:00,000 INFO a: " + "x" * 3_000_000 + "\n"
    path = write_log("app.log", (content + long_one + content[:-1]).encode())
    landed = land(lake, path)
    assert (len(landed.days), landed.lines) == (60, 1201)
    assert restored(lake, landed.sha) == path.read_bytes()


def test_a_missing_raw_part_is_named_and_landing_again_restores_it(lake: Lake, write_log: WriteLog) -> None:
    path = write_log("app.log", [f"2024-01-0{i} 00:00:00,000 INFO a: one" for i in (1, 2)])
    landed = land(lake, path)
    (row,) = raw_parts(lake, date(2024, 1, 2))
    (lake.root / row.raw_path).unlink()
    with pytest.raises(LakeDamaged, match=r"no such file.* ingest .*app\.log again"):
        open_raw(lake, row)
    assert land(lake, path).already_landed
    assert restored(lake, landed.sha) == path.read_bytes()


def test_two_files_whose_names_would_collide_keep_their_own_bytes(
    lake: Lake, write_log: WriteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_SHA_DIGITS", 0)
    contents = [f"2024-01-01 00:00:00,000 INFO a: {i}\n".encode() for i in range(3)]
    landed = [land(lake, write_log(f"app.log.{i}", content)) for i, content in enumerate(contents)]
    assert [restored(lake, each.sha) for each in landed] == contents


def test_parts_of_a_source_come_in_order_of_their_time(lake: Lake, write_log: WriteLog) -> None:
    for name, clock in (("auth.log", "18"), ("auth.log.1", "09"), ("app.log", "20")):
        land(lake, write_log(name, [f"2024-01-01 {clock}:00:00,000 INFO a: {name}"]))
    names = [Path(row.original_path).name for row in raw_parts(lake, date(2024, 1, 1))]
    assert names == ["app.log", "auth.log.1", "auth.log"]


@given(
    st.lists(
        st.one_of(
            st.builds("2024-01-0{} 00:00:00,000 INFO a: x".format, st.integers(0, 4)).map(str.encode),
            st.sampled_from([b"", b"\r", b"  at x", b"\0", b"\xff\xff", b"\xef\xbb\xbf", b"Caused by: y"]),
            st.binary(max_size=12),
        ),
        max_size=30,
    ),
    st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ended: bool
) -> None:
    folder = tmp_path_factory.mktemp("any")
    content = b"\n".join(lines) + (b"\n" if ended else b"")
    path = folder / "app.log"
    path.write_bytes(content)
    lake = Lake(folder / "lake")
    lake.create()
    try:
        landed = land(lake, path)
    except UnreadableInput:
        assert not content or content[:2] in (b"\x1f\x8b", b"\xfd7", b"\x28\xb5")
        return
    assert restored(lake, landed.sha) == content
    assert landed.lines == sum(landed.days.values()) == len(content.split(b"\n")) - content.endswith(b"\n")


def test_real_logs_of_many_days_come_back(lake: Lake) -> None:
    path = shared_data("authlog/auth.log.xz")
    landed = land(lake, path, year=2017)
    assert (landed.source, landed.lines, len(landed.days)) == ("auth.log", 7121, 25)
    with lzma.open(path) as stream:
        assert restored(lake, landed.sha) == stream.read()
