"""The fitted tiny model, made once a session."""

from __future__ import annotations

import pytest

from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline_tests import tiny_model


@pytest.fixture(scope="session")
def model() -> AnomalyDetector:
    """A model fitted on lines in strict order; read it, do not change it."""
    return tiny_model.tiny_model()
