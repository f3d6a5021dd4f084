"""`Deployment`: the lake and the registry that a run works on, as a Dagster resource."""

import logging
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from logad_pipeline.lake.tables import Lake
from logad_pipeline.lake.thresholds import Promise
from logad_pipeline.orchestration import life_signs
from logad_pipeline.registry.champions import NoChampion, champion_that_judges
from logad_pipeline.registry.registry import CHALLENGER, RegisteredModel, Registry
from logad_pipeline.settings import Settings, load_settings

log = logging.getLogger(__name__)

_LOADED: dict[tuple[str, str, str], RegisteredModel] = {}
"""Versions that this process has loaded; what a version holds never changes."""
_KEPT = 2


class Deployment(dg.ConfigurableResource["Deployment"]):
    """Where this deployment keeps its lake; all else is in its settings."""

    lake: str

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Give a sign of life for the run that begins."""
        if context.instance and context.run:
            life_signs.begin(context.instance, context.run.run_id)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """The run has done its work."""
        if context.instance and context.run:
            life_signs.end(context.instance, context.run.run_id)

    def settings(self) -> Settings:
        """The settings as they stand now."""
        return load_settings(Path(self.lake))

    def open_lake(self) -> Lake:
        """The lake."""
        return Lake(Path(self.lake))

    def registry(self) -> Registry:
        """The model registry."""
        return Registry(self.settings())

    def promise(self) -> Promise:
        """What is promised of alarms."""
        settings = self.settings()
        alerts = settings.alerts
        return Promise(
            settings.model.false_alarm_rate, alerts.per_day_and_host or None, alerts.adaptive, alerts.recalibrate_days
        )

    def model(self, version: str) -> RegisteredModel:
        """A version of the model, loaded once in this process, and tried.

        Raises:
            ModelNotFound: if it cannot judge.
        """
        registry = self.registry()
        key = (registry.uri, registry.name, version)
        if key not in _LOADED:
            loaded = registry.probed(version)
            while len(_LOADED) >= _KEPT:
                _LOADED.pop(next(iter(_LOADED)))
            _LOADED[key] = loaded
        return _LOADED[key]

    def challenger_version(self) -> str:
        """Version of the challenger.

        Raises:
            dagster.Failure: if there is none.
        """
        version = self.registry().version_of(CHALLENGER)
        if version is None:
            raise dg.Failure("there is no challenger: materialise anomaly_model first")
        return version

    def champion(self, warn: Callable[[str], None] = log.warning) -> RegisteredModel:
        """The champion, or where it cannot judge the one before it; see `champions.champion_that_judges`.

        Raises:
            dagster.Failure: if there is none yet.
            ModelNotFound: if there is none that can judge.
        """
        try:
            return champion_that_judges(self.registry(), lambda found: self.model(found.version), warn)
        except NoChampion as error:
            raise dg.Failure(
                "there is no champion yet: run the job `training`, or `logad train`; then these days again"
            ) from error
