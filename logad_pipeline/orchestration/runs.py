"""Running the pipeline from a command: the same jobs as Dagster's pages start, in this process.

Belongs here: the instance, the range of days, and what order a first run takes. No asset is defined here.
"""

import os
import re
import warnings
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Final

import dagster as dg
import yaml

from logad_pipeline.lake.arrivals import stretches
from logad_pipeline.orchestration.backfills import days_between
from logad_pipeline.orchestration.build import build_definitions
from logad_pipeline.orchestration.errors import RunFailed
from logad_pipeline.orchestration.partitions import STOPPED_AT, range_tags
from logad_pipeline.settings import Settings

_FIRST_INSTANCE: Final = {
    "telemetry": {"enabled": False},
    "nux": {"enabled": False},  # a page that asks for an e-mail address is not what an operator came for
    # Two runs of the same days would only race for the same tables.
    "concurrency": {"runs": {"max_concurrent_runs": 1}},
    # A sensor that lands a large file keeps no other waiting.
    "sensors": {"use_threads": True, "num_workers": 4},
    "schedules": {"use_threads": True, "num_workers": 2},
}
_INSTANCE: Final = _FIRST_INSTANCE | {
    # A run whose process is gone would keep all others waiting for ever.
    "run_launcher": {"module": "logad_pipeline.orchestration.life_signs", "class": "WatchedRunLauncher"},
    "run_monitoring": {
        "enabled": True,
        "poll_interval_seconds": 30,
        "start_timeout_seconds": 600,
        # Of a run that lives and never ends: a first training may take an hour, a backfill of years days.
        "max_runtime_seconds": 7 * 24 * 3600,
    },
}


def prepare_instance(settings: Settings) -> Path:
    """Make Dagster's home with its settings if it is not there; telemetry is off. Return its path."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    file = home / "dagster.yaml"
    # What was not changed by hand is brought up to date.
    if not file.exists() or yaml.safe_load(file.read_text(encoding="utf-8")) == _FIRST_INSTANCE:
        partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
        partial.write_text(yaml.safe_dump(_INSTANCE), encoding="utf-8")
        partial.replace(file)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def run_job(
    settings: Settings, job: str, days: tuple[date, date] | None = None, config: dict[str, object] | None = None
) -> str:
    """Run a job to its end in this process; return the run's id.

    Args:
        days: first and last day, for jobs over days: one run goes through all of them.
        config: configuration of assets by name.

    Raises:
        RunFailed: if a step fails or a blocking check does not hold.
    """
    prepare_instance(settings)
    tags = range_tags(*days) if days else {}
    run_config = {
        "ops": {name: {"config": values} for name, values in (config or {}).items()},
        "loggers": {"console": {"config": {"log_level": "INFO"}}},
    }
    with dg.DagsterInstance.get() as instance:
        with warnings.catch_warnings():
            # Resolving copies sensors with an argument that is marked as beta and that nobody passes.
            warnings.simplefilter("ignore", dg.BetaWarning)
            definition = build_definitions(settings).resolve_job_def(job)
        result = definition.execute_in_process(
            run_config=run_config, instance=instance, tags=tags, raise_on_error=False
        )
        run = instance.get_run_by_id(result.run_id)
    if not result.success:
        stopped = run.tags.get(STOPPED_AT, "").split() if run else []
        raise RunFailed(
            f"run {result.run_id} of job {job} failed: {_reasons(result)}", [date.fromisoformat(day) for day in stopped]
        )
    return str(result.run_id)


def run_days(settings: Settings, job: str, days: Collection[date]) -> dict[date, str]:
    """Run a job over days, and where it stops at some of them, again over the others.

    Returns:
        The days at which it stopped, with the reason; none if all went well.

    Raises:
        RunFailed: if a run fails and blames no day: then no other would fare better.
    """
    failed: dict[date, str] = {}
    waiting = stretches(days)
    while waiting:
        first, last = waiting.pop(0)
        try:
            run_job(settings, job, (first, last))
        except RunFailed as error:
            asked = set(days_between(first, last))
            if not (stopped := error.days & asked):
                raise
            if len(stopped) == 1:
                failed |= dict.fromkeys(stopped, str(error))
            else:
                # Each alone, to hear what is wrong with it.
                waiting = [*((day, day) for day in sorted(stopped)), *waiting]
            waiting = [*stretches(asked - stopped), *waiting]
    return dict(sorted(failed.items()))


def _reasons(result: dg.ExecuteInProcessResult) -> str:
    reasons = []
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            error = data.error.cause or data.error if data.error else None
            words = data.user_failure_data.description if data.user_failure_data else None
            said = error.message.strip() if error else "no reason given"
            # Our own errors are written for people, who need no name of a class before them.
            said = re.sub(r"^logad_pipeline(\.\w+)+: ", "", said)
            reasons.append(f"{event.step_key}: {words or said}")
    return "; ".join(reasons) or "a check that blocks did not hold; `logad dev` shows which"
