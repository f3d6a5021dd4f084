"""One file a sensor; `build_sensors` gathers them."""

from collections.abc import Mapping

import dagster as dg

from logad_pipeline.orchestration.jobs import Job
from logad_pipeline.orchestration.sensors.changed_champion import build_champion_sensor
from logad_pipeline.orchestration.sensors.inbox import build_inbox_sensor
from logad_pipeline.orchestration.sensors.retraining import build_retraining_sensor
from logad_pipeline.settings import Settings


def build_sensors(settings: Settings, jobs: Mapping[str, Job]) -> list[dg.SensorDefinition]:
    """All sensors of the deployment; ``jobs`` by name."""
    return [
        build_inbox_sensor(settings, jobs),
        build_retraining_sensor(settings),
        build_champion_sensor(settings, jobs),
    ]
