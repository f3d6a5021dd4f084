"""`Deployment`: the lake and the registry that a run works on, as a Dagster resource."""

from pathlib import Path

import dagster as dg

from logad_pipeline.lake.tables import Lake
from logad_pipeline.registry.registry import Registry
from logad_pipeline.settings import Settings, load_settings


class Deployment(dg.ConfigurableResource["Deployment"]):
    """Where this deployment keeps its lake; all else is in its settings."""

    lake: str

    def settings(self) -> Settings:
        """The settings as they stand now."""
        return load_settings(Path(self.lake))

    def open_lake(self) -> Lake:
        """The lake."""
        return Lake(Path(self.lake))

    def registry(self) -> Registry:
        """The model registry."""
        return Registry(self.settings())
