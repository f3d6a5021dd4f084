"""What the tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from logad_pipeline_tests.tiny_model import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model, which knows a strict order of lines."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    tiny_model().save(folder)
    return folder
