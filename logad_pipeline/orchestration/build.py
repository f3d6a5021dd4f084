"""Puts the code location together: assets, jobs, schedules, sensors and the deployment they work on.

Belongs here: the one function that builds it. What an asset does is in its own file.
"""

import warnings

import dagster as dg

from logad_pipeline.orchestration import assets, jobs, schedules, sensors
from logad_pipeline.orchestration.console_logger import console
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.partitions import daily_partitions
from logad_pipeline.settings import Settings, load_settings


def build_definitions(settings: Settings | None = None) -> dg.Definitions:
    """Build the code location for one deployment.

    Args:
        settings: of the deployment; read from ``logad.toml`` and the environment if left out. A test
            passes its own, with a lake of its own.
    """
    chosen = settings or load_settings()
    days = daily_partitions(chosen)
    by_name = {job.name: job for job in jobs.build_jobs()}
    with warnings.catch_warnings():
        # Backfill policies are marked as beta; the one used here is the reason why thirty days are one run.
        # Of sensors an argument is that nobody passes.
        warnings.simplefilter("ignore", dg.BetaWarning)
        daily_and_model = assets.build_assets(days)
        watching = sensors.build_sensors(chosen, by_name)
    return dg.Definitions(
        assets=daily_and_model,
        jobs=list(by_name.values()),
        schedules=[schedules.build_daily_schedule(chosen), schedules.build_tidy_schedule(chosen)],
        sensors=watching,
        resources={"deployment": Deployment(lake=str(chosen.lake))},
        loggers={"console": console},
        # One process for a run: a step is short beside the seconds that a process of its own would cost.
        executor=dg.in_process_executor,
    )
