"""Runs that schedules and sensors ask for: over stretches of days, where none is on its way, and again after a failure.

Belongs here: the shape of a request, and looking at what runs. When to ask is each sensor's own matter.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import dagster as dg

from logad_pipeline.lake.arrivals import stretches
from logad_pipeline.orchestration.partitions import RANGE_END, RANGE_START, STOPPED_AT, range_tags
from logad_pipeline.settings import Settings

ASKED_BY = "logad/asked_by"
REQUEST = "logad/request"
"""Tag of all runs that were asked for by the same request: the first, and those after failures."""
FIRST_PAUSE_SECONDS = 60.0
"""After a first failure; each pause is four times the one before, up to the longest."""
LONGEST_PAUSE_SECONDS = 6 * 3600.0
_LOOKED_BACK = 100
"""Failed runs, newest first, that are looked at for days at which they stopped."""
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip


def over_days(
    days: Collection[date], asked_by: str, key: str, *, job: str | None = None, assets: Sequence[str] | None = None,
    apart: Collection[date] = (),
) -> list[dg.RunRequest]:  # fmt: skip
    """A run for each unbroken stretch of days.

    Args:
        asked_by: written on the runs.
        key: what the request is about; the same key for the same days starts no second run.
        job: to run; ``None`` for that of the schedule.
        assets: of the job, these only.
        apart: days that get a run of their own, after the others: see :func:`stopping_days`.
    """
    alone = sorted({*days} & {*apart})
    return [
        dg.RunRequest(
            run_key=f"{asked_by} {key} {first} {last}",
            job_name=job,
            asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
            tags=range_tags(first, last) | {ASKED_BY: asked_by},
        )
        for first, last in [*stretches({*days} - {*alone}), *((day, day) for day in alone)]
    ]


def stopping_days(instance: dg.DagsterInstance) -> set[date]:
    """Days at which runs have stopped: one that is damaged keeps no other day from being judged."""
    failed = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=_LOOKED_BACK)
    return {date.fromisoformat(day) for run in failed for day in run.tags.get(STOPPED_AT, "").split()}


def due(
    instance: dg.DagsterInstance, requests: Iterable[dg.RunRequest], zone: ZoneInfo
) -> tuple[list[dg.RunRequest], list[str]]:
    """Those of the requests to be made now, and what became of the others.

    A request whose run has failed is made again after a pause, which grows with every failure: what is passing
    passes, and what is damaged costs a few runs a day until somebody mends it. One that a person cancelled is not.
    """
    now, words = [], []
    for request in requests:
        made = instance.get_run_records(dg.RunsFilter(tags={REQUEST: str(request.run_key)}))
        attempt = len(made) + 1
        key = request.run_key if attempt == 1 else f"{request.run_key}, attempt {attempt}"
        waiting = _why_not(made, zone) if made else ""
        if waiting:
            words.append(f"{_about(request)}: {waiting}")
        else:
            now.append(request.with_replaced_attrs(run_key=key, tags={**request.tags, REQUEST: str(request.run_key)}))
    return now, words


def _why_not(made: Sequence[dg.RunRecord], zone: ZoneInfo) -> str:
    """Why a request with these runs, newest first, is not made again now; ``""`` if it is."""
    newest = made[0].dagster_run
    if newest.status != dg.DagsterRunStatus.FAILURE:
        return f"run {newest.run_id} is {newest.status.value.lower()}, and is not asked for again by itself"
    pause = min(FIRST_PAUSE_SECONDS * 4.0 ** (len(made) - 1), LONGEST_PAUSE_SECONDS)
    again = (made[0].end_time or made[0].update_timestamp.timestamp()) + pause
    if time.time() >= again:
        return ""
    when = datetime.fromtimestamp(again, zone)
    return f"run {newest.run_id} failed, attempt {len(made)}; it is asked for again after {when:%Y-%m-%d %H:%M %Z}"


def _about(request: dg.RunRequest) -> str:
    first, last = request.tags.get(RANGE_START), request.tags.get(RANGE_END)
    if first is None:
        return str(request.job_name)
    return first if first == last else f"{first} to {last}"


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
