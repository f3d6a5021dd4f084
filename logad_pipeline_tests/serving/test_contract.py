"""The OpenAPI document, held to by generated requests of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from apiflask import APIFlask
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from logad_pipeline.lake.tables import Lake
from logad_pipeline.serving.app import create_app
from logad_pipeline_tests.serving.conftest import own, settings_of

schema = schemathesis.pytest.from_fixture("api")
# What fits the schema may still not go together: a stride above the size, or lines that are all blank.
CONFIG = {
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "413", "422", "429"]}
    }
}


@pytest.fixture(scope="module")
def api(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("contract")
    Lake(folder / "lake").create()
    # Small limits: what is generated need not be large to be at one of them.
    app: APIFlask = create_app(settings_of(folder, max_lines=20, max_line_chars=200), str(model))
    own(app).champion.refresh()
    return schemathesis.openapi.from_wsgi("/openapi.json", app, config=SchemathesisConfig.from_dict(CONFIG))


@schema.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_answer_is_as_documented(case: schemathesis.Case) -> None:
    case.call_and_validate()
