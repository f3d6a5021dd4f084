"""The schedule: on by itself, at the deployment's hour, for the day that has ended in its zone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from logad_pipeline.orchestration.build import build_definitions
from logad_pipeline.settings import load_settings


@pytest.fixture
def location(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    zone, clock = getattr(request, "param", ("Europe/Berlin", "02:15"))
    monkeypatch.setenv("LOGAD_TIME_ZONE", zone)
    monkeypatch.setenv("LOGAD_SCORE_AT", clock)
    return build_definitions(load_settings(tmp_path))


def request_at(location: dg.Definitions, moment: datetime) -> dg.RunRequest:
    context = dg.build_schedule_context(
        scheduled_execution_time=moment, repository_def=location.get_repository_def()
    )  # fmt: skip
    [request] = location.resolve_schedule_def("daily_scoring").evaluate_tick(context).run_requests
    return request


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
    request = request_at(location, moment.replace(tzinfo=UTC))
    assert request.partition_key == day
    assert request.run_key == f"daily-{day}"


def test_a_tick_that_comes_twice_asks_for_one_run(location: dg.Definitions) -> None:
    moment = datetime(2025, 6, 1, 0, 15, tzinfo=UTC)
    assert request_at(location, moment).run_key == request_at(location, moment).run_key


def test_a_day_before_the_first_one_is_not_asked_for(location: dg.Definitions) -> None:
    with pytest.raises(dg.DagsterUnknownPartitionError):
        request_at(location, datetime(2024, 12, 1, 1, 15, tzinfo=UTC))
