"""From a name to a loaded model: a folder, or ``models:/NAME@ALIAS`` in MLflow's registry."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from logad_pipeline.detectors.ensemble import AnomalyDetector


def load_model(name: str, device: str = "auto") -> AnomalyDetector:
    """Load a model by folder or registry name. For a champion that cannot judge the one before it is taken, with a
    warning, see `champions.champion_that_judges`.

    Raises:
        ModelNotFound: if there is none by that name; the message says how to get one.
    """
    if name.startswith("models:/"):
        from logad_pipeline.registry.champions import champion_that_judges
        from logad_pipeline.registry.registry import CHAMPION, Registry
        from logad_pipeline.settings import load_settings

        registry = Registry(load_settings())
        if name == f"models:/{registry.name}@{CHAMPION}" and registry.version_of(CHAMPION):
            return champion_that_judges(registry, partial(registry.probed, device=device)).detector
        return registry.load(name, device).detector
    return AnomalyDetector.load(Path(name).expanduser(), device)


def newest_model() -> str:
    """Name of the newest model of the configured registry, champion first.

    Raises:
        ModelNotFound: if there is none yet.
    """
    from logad_pipeline.registry.registry import Registry
    from logad_pipeline.settings import load_settings

    return Registry(load_settings()).newest()


def with_version(name: str) -> str:
    """``models:/NAME@ALIAS (version 3)``: a name in the registry, with the version that it leads to now.

    Raises:
        ModelNotFound: if it leads to none.
        RegistryUnavailable: if the registry does not answer.
    """
    from logad_pipeline.registry.registry import Registry
    from logad_pipeline.settings import load_settings

    return f"{name} (version {Registry(load_settings()).resolve(name).version})"
