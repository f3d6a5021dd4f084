"""The fitted tiny models, each made once a session."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pytest

from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.streams import ReadSpec, fit_files
from logad_pipeline.windows import WindowSpec
from logad_pipeline_tests import tiny_model
from logad_pipeline_tests.lake.small_models import DETECTORS, RAW_CYCLE, YEAR, raw_lines, stamped

CYCLES = 400


@pytest.fixture(scope="session")
def model() -> AnomalyDetector:
    """A model fitted on lines in strict order; read it, do not change it."""
    return tiny_model.tiny_model()


@pytest.fixture(scope="session")
def cycle_model(tmp_path_factory: pytest.TempPathFactory) -> AnomalyDetector:
    """A model of whole cycles, which judges records too; in one of twenty-five a line is said twice and another not."""
    lines = raw_lines(CYCLES * len(RAW_CYCLE))
    for cycle in np.random.default_rng(3).choice(CYCLES, size=CYCLES // 25, replace=False):
        lines[cycle * len(RAW_CYCLE) + 4] = RAW_CYCLE[3].format(number=12)
    file = tmp_path_factory.mktemp("cycles") / "app.log"
    file.write_text("".join(f"{line}\n" for line in stamped(date(YEAR, 3, 1), lines)), encoding="utf-8")
    spec = dataclasses.replace(tiny_model.tiny_fit_spec(), detectors=(*DETECTORS, "unseen", "parameters", "length"))
    return fit_files([str(file)], WindowSpec("fixed", size=len(RAW_CYCLE)), spec, ReadSpec(year=YEAR))[0]
