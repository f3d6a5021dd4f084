"""From a name to a loaded model: a folder, or ``models:/NAME@ALIAS`` in MLflow's registry."""

from __future__ import annotations

from pathlib import Path

from logad_pipeline.detectors.ensemble import AnomalyDetector


def load_model(name: str, device: str = "auto") -> AnomalyDetector:
    """Load a model by folder or registry name.

    Raises:
        ModelNotFound: if there is none by that name; the message says how to get one.
    """
    if name.startswith("models:/"):
        from logad_pipeline.registry.registry import Registry
        from logad_pipeline.settings import load_settings

        return Registry(load_settings()).load(name, device).detector
    return AnomalyDetector.load(Path(name).expanduser(), device)


def newest_model() -> str:
    """Name of the newest model of the configured registry, champion first.

    Raises:
        ModelNotFound: if there is none yet.
    """
    from logad_pipeline.registry.registry import Registry
    from logad_pipeline.settings import load_settings

    return Registry(load_settings()).newest()
