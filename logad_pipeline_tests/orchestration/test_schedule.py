"""The schedule: on by itself, at the deployment's hour, for the day that has ended in its zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from logad_pipeline.lake.landing import land
from logad_pipeline.lake.tables import Lake
from logad_pipeline.orchestration.build import build_definitions
from logad_pipeline.settings import load_settings

from .conftest import DAYS, Deployed


@pytest.fixture
def location(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    zone, clock = getattr(request, "param", ("Europe/Berlin", "02:15"))
    monkeypatch.setenv("LOGAD_TIME_ZONE", zone)
    monkeypatch.setenv("LOGAD_SCORE_AT", clock)
    Lake(tmp_path).create()
    return build_definitions(load_settings(tmp_path))


def requests_at(location: dg.Definitions, moment: datetime) -> list[dg.RunRequest]:
    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(instance, moment, repository_def=location.get_repository_def()) as context,
    ):
        tick = location.resolve_schedule_def("daily_scoring").evaluate_tick(context)
    return list(tick.run_requests or ())


def days_of(request: dg.RunRequest) -> tuple[str, str]:
    """First and last day that a run is asked for."""
    start, end = (request.tags[f"dagster/asset_partition_range_{name}"] for name in ("start", "end"))
    return start, end


def test_it_runs_by_itself_every_day_at_the_hour(location: dg.Definitions) -> None:
    schedule = location.resolve_schedule_def("daily_scoring")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.cron_schedule == "15 2 * * *"
    assert schedule.execution_timezone == "Europe/Berlin"
    assert schedule.job_name == "daily"


@pytest.mark.parametrize(
    ("location", "moment", "day"),
    [
        (("Europe/Berlin", "00:30"), datetime(2025, 7, 9, 22, 30), "2025-07-09"),  # UTC is still on the 9th
        (("Europe/Berlin", "00:30"), datetime(2025, 3, 30, 22, 30), "2025-03-30"),  # the day of 23 hours
        (("Europe/Berlin", "00:30"), datetime(2025, 10, 26, 23, 30), "2025-10-26"),  # the day of 25 hours
        (("Europe/Berlin", "00:30"), datetime(2025, 10, 25, 22, 30), "2025-10-25"),
        (("America/New_York", "23:30"), datetime(2025, 11, 3, 4, 30), "2025-11-01"),  # the evening of the 2nd
        (("America/New_York", "00:15"), datetime(2025, 3, 10, 4, 15), "2025-03-09"),
    ],
    indirect=["location"],
)  # fmt: skip
def test_the_day_before_in_the_zone(location: dg.Definitions, moment: datetime, day: str) -> None:
    [request] = requests_at(location, moment.replace(tzinfo=UTC))
    assert days_of(request) == (day, day)


def test_a_tick_that_comes_twice_asks_for_one_run(location: dg.Definitions) -> None:
    moment = datetime(2025, 6, 1, 0, 15, tzinfo=UTC)
    assert requests_at(location, moment)[0].run_key == requests_at(location, moment)[0].run_key


def test_a_day_before_the_first_one_is_not_asked_for(location: dg.Definitions) -> None:
    assert requests_at(location, datetime(2024, 12, 1, 1, 15, tzinfo=UTC)) == []


def test_without_a_champion_the_day_is_prepared(location: dg.Definitions) -> None:
    [request] = requests_at(location, datetime(2025, 6, 1, 0, 15, tzinfo=UTC))
    assert {key.to_user_string() for key in request.asset_selection or ()} == {"raw_logs", "normalized_logs", "windows"}


def test_missed_days_and_late_lines_are_caught_up(judged: Deployed, tmp_path: Path) -> None:
    spare = judged.copy(tmp_path / "spare")
    location = build_definitions(spare.settings)
    ended = DAYS[-1] + timedelta(days=4)
    moment = datetime(ended.year, ended.month, ended.day, 2, tzinfo=UTC) + timedelta(days=1)
    missed = (str(DAYS[-1] + timedelta(days=1)), str(ended))
    requests = requests_at(location, moment)
    assert [days_of(request) for request in requests] == [missed], "days without data are missed too"
    assert not requests[0].asset_selection, "there is a champion"
    late = tmp_path / "late.log"
    late.write_text(f"{DAYS[1]} 10:00:00,000 INFO [r] service.a: hello\n", encoding="utf-8")
    land(spare.lake, late)
    days = [days_of(request) for request in requests_at(location, moment)]
    assert days == [(str(DAYS[1]), str(DAYS[1])), missed]
