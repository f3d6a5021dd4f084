"""Runs that schedules and sensors ask for: over stretches of days, and only where none is on its way.

Belongs here: the shape of a request, and looking at what runs. When to ask is each sensor's own matter.
"""

from collections.abc import Collection, Sequence
from datetime import date

import dagster as dg

from logad_pipeline.lake.arrivals import stretches
from logad_pipeline.orchestration.partitions import range_tags
from logad_pipeline.settings import Settings

ASKED_BY = "logad/asked_by"
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip


def over_days(
    days: Collection[date], asked_by: str, key: str, *, job: str | None = None, assets: Sequence[str] | None = None
) -> list[dg.RunRequest]:
    """A run for each unbroken stretch of days.

    Args:
        asked_by: written on the runs.
        key: what the request is about; the same key for the same days starts no second run.
        job: to run; ``None`` for that of the schedule.
        assets: of the job, these only.
    """
    return [
        dg.RunRequest(
            run_key=f"{asked_by} {key} {first} {last}",
            job_name=job,
            asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
            tags=range_tags(first, last) | {ASKED_BY: asked_by},
        )
        for first, last in stretches(days)
    ]


def within_partitions(days: Collection[date], settings: Settings, today: date) -> list[date]:
    """Those of the days that are partitions."""
    return [day for day in sorted(days) if settings.first_day <= day <= today]


def unfinished(instance: dg.DagsterInstance, jobs: Sequence[str]) -> list[str]:
    """Ids of runs of these jobs that wait or run."""
    runs = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    return [run.run_id for run in runs if run.job_name in jobs]


def status(settings: Settings) -> dg.DefaultSensorStatus:
    """Whether sensors are on where nobody has switched them."""
    return dg.DefaultSensorStatus.RUNNING if settings.operation.by_itself else dg.DefaultSensorStatus.STOPPED
