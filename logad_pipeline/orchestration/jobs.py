"""What can be run by name: days prepared, days judged, a model trained, a champion tried, the tables tidied."""

from datetime import timedelta
from typing import Any

import dagster as dg

from logad_pipeline.detectors.ensemble import ModelNotFound
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.registry.champions import NoEarlierChampion, rollback
from logad_pipeline.registry.registry import CHAMPION

Job = Any  # what define_asset_job returns has no public name

PREPARE = ("raw_logs", "normalized_logs", "windows")
JUDGE = ("scores", "alerts", "daily_report")
TRAIN = ("anomaly_model", "evaluation_report", "comparison_report", "champion_model")
OF_DAYS = ("daily", "prepare_days", "judge_days", "__ASSET_JOB")
"""Jobs that go over days; the last is Dagster's name for what its pages and backfills start."""


@dg.op(description="Loads the champion and lets it judge a line; one that cannot is replaced by the one before.")
def judge_a_line(context: dg.OpExecutionContext, deployment: Deployment) -> None:
    """The step of the job ``try_champion``."""
    registry = deployment.registry()
    version = registry.version_of(CHAMPION)
    if version is None:
        raise dg.Failure("there is no champion yet: run the job `training`, or `logad train`")
    try:
        registry.try_out(version)
    except ModelNotFound as error:
        try:
            _, restored = rollback(registry)
        except NoEarlierChampion:
            raise dg.Failure(f"version {version} cannot be champion: {error}; and no champion before it can") from error
        raise dg.Failure(f"version {version} cannot be champion: {error}; version {restored} is again") from error
    context.log.info("champion %s judges", version)


@dg.op(description="Puts small files of the tables together, and deletes what no version within reach needs.")
def tidy_tables(context: dg.OpExecutionContext, deployment: Deployment) -> None:
    """The step of the job ``tidy_lake``."""
    keep = timedelta(days=deployment.settings().operation.keep_versions_days)
    context.log.info("%d files deleted", deployment.open_lake().tidy(keep))


@dg.job(name="try_champion", description="Looks whether a champion that was set by hand can judge.")
def _try_champion() -> None:
    judge_a_line()


@dg.job(name="tidy_lake", description="Keeps the tables small; see operation.keep_versions_days.")
def _tidy_lake() -> None:
    tidy_tables()


def build_jobs() -> list[Job]:
    """The jobs of the code location."""
    return [
        dg.define_asset_job(
            "daily", list(PREPARE + JUDGE), description="Everything for a day, judged by the champion."
        ),
        dg.define_asset_job("prepare_days", list(PREPARE), description="From landed logs to windows."),
        dg.define_asset_job("judge_days", list(JUDGE), description="Scores, alerts and report of prepared days."),
        dg.define_asset_job(
            "training", list(TRAIN), description="Train a challenger, compare it, and promote it if the gate holds."
        ),
        _try_champion,
        _tidy_lake,
    ]
