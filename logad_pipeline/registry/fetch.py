"""From a name to a loaded model: a folder, or ``models:/NAME@ALIAS`` in MLflow's registry."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from logad_pipeline.detectors.ensemble import AnomalyDetector, ModelNotFound

if TYPE_CHECKING:
    from logad_pipeline.registry.registry import RegisteredModel


def load_model(name: str, device: str = "auto") -> AnomalyDetector:
    """Load a model by folder or registry name, or without a name the newest. For a champion that cannot judge the
    one before it is taken, with a warning, see `champions.champion_that_judges`.

    Raises:
        ModelNotFound: if there is none by that name, or its files are damaged; the message says how to get one.
        RegistryUnavailable: if the registry does not answer.
    """
    from logad_pipeline.registry.champions import champion_that_judges
    from logad_pipeline.registry.registry import CHAMPION, Registry, damage
    from logad_pipeline.settings import load_settings

    if not name:
        return newest_model(device).detector
    if name.startswith("models:/"):
        registry = Registry(load_settings())
        if name == f"models:/{registry.name}@{CHAMPION}":
            return champion_that_judges(registry, partial(registry.probed, device=device)).detector
        return registry.load(name, device).detector
    try:
        return AnomalyDetector.load(Path(name).expanduser(), device)
    except damage() as error:
        why = f"{type(error).__name__}: {error}"
        raise ModelNotFound(f"the model at {name} is damaged or cannot be read ({why}); fit it again") from error


def newest_model(device: str = "auto") -> RegisteredModel:
    """Load the champion of the configured registry, see `champions.champion_that_judges`, or where there is none yet
    the newest version.

    Raises:
        ModelNotFound: if nothing was ever registered, or what was cannot judge.
        RegistryUnavailable: if the registry does not answer.
    """
    from logad_pipeline.registry.champions import NoChampion, champion_that_judges
    from logad_pipeline.registry.registry import Registry
    from logad_pipeline.settings import load_settings

    registry = Registry(load_settings())
    try:
        return champion_that_judges(registry, partial(registry.probed, device=device))
    except NoChampion:
        return registry.load(registry.newest(), device)
