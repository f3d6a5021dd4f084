"""The inbox sensor: lands what was dropped, and asks for the days that got lines."""

import time
from collections.abc import Mapping
from datetime import datetime

import dagster as dg

from logad_pipeline.lake.arrivals import days_behind
from logad_pipeline.lake.inbox import Look, Seen, look_into
from logad_pipeline.lake.tables import Lake
from logad_pipeline.logs.log_tokenizer import MASK_VERSION
from logad_pipeline.orchestration.jobs import OF_DAYS, Job
from logad_pipeline.orchestration.partitions import RANGE_END, RANGE_START
from logad_pipeline.orchestration.requests import due, over_days, status, stopping_days, unfinished, within_partitions
from logad_pipeline.registry.registry import CHAMPION, Registry, RegistryUnavailable
from logad_pipeline.settings import Settings, load_settings


def build_inbox_sensor(chosen: Settings, jobs: Mapping[str, Job]) -> dg.SensorDefinition:
    """The sensor over the deployment's inbox.

    Its cursor holds what files looked like at the last look; which days are behind is told by the tables, so
    that a tick that was cut short, or comes twice, loses no day and asks for none twice.
    """

    @dg.sensor(
        name="inbox",
        jobs=[jobs["daily"], jobs["prepare_days"]],
        minimum_interval_seconds=chosen.operation.look_every_seconds,
        default_status=status(chosen),
        description="Lands files of the inbox once they rest, each line once, and asks for the days that got lines.",
    )
    def inbox(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings = load_settings(chosen.lake)
        lake = Lake(settings.lake)
        look = look_into(
            lake, Seen.read(context.cursor), now=time.time(), rest_seconds=settings.operation.rest_seconds,
            tz=settings.zone,
        )  # fmt: skip
        for name, landing in look.landed.items():
            days = ", ".join(map(str, sorted(landing.days)))
            context.log.info("%s: %s", name, "was landed before" if landing.already_landed else f"lines of {days}")
        for name, reason in look.refused.items():
            context.log.warning("%s: cannot be landed: %s", name, reason)
        requests, words = _requests(context, settings, lake)
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(_words(look, words)),
            cursor=Seen.write(look.seen),
        )

    return inbox


def _requests(context: dg.SensorEvaluationContext, settings: Settings, lake: Lake) -> tuple[list[dg.RunRequest], str]:
    """Runs for the days that are behind, or why there are none."""
    try:
        judging = Registry(settings).version_of(CHAMPION) is not None
    except RegistryUnavailable as error:
        return [], f"days wait for the registry: {error}"
    behind = days_behind(lake, judged=judging)
    if not behind:
        return [], "no day is behind"
    if running := unfinished(context.instance, OF_DAYS):
        return [], f"{len(behind)} days wait for run {running[0]}"
    today = datetime.now(settings.zone).date()
    days = within_partitions(behind, settings, today)
    if not days:
        return [], f"lines of {min(behind)} to {max(behind)} are outside {settings.first_day} to {today}"
    requests = []
    job, apart = "daily" if judging else "prepare_days", stopping_days(context.instance)
    for request in over_days(days, "inbox", "", job=job, apart=apart):
        first, last = (request.tags[end] for end in (RANGE_START, RANGE_END))
        files = sum(count for day, count in behind.items() if first <= str(day) <= last)
        # More files, or other masks, are another request; the same again is one that has failed.
        key = f"{request.job_name} {first} {last} {files} files, masks {MASK_VERSION}"
        requests.append(request.with_replaced_attrs(run_key=key))
    now, waiting = due(context.instance, requests, settings.zone)
    for words in waiting:
        context.log.warning("%s", words)
    return now, "; ".join(waiting)


def _words(look: Look, words: str) -> str:
    parts = [words]
    if look.waiting:
        parts.append(f"{len(look.waiting)} files do not rest yet")
    if look.refused:
        name, reason = next(iter(look.refused.items()))
        parts.append(f"{len(look.refused)} files cannot be landed, such as {name} ({reason})")
    return "; ".join(parts)
