"""The OpenAPI document, held to by generated requests of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
from apiflask import APIFlask
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema as OpenApiSchema

from logad_pipeline.lake.tables import Lake
from logad_pipeline.serving.app import create_app
from logad_pipeline_tests.serving.conftest import own, settings_of

# What fits the schema may still not go together: a stride above the size, or lines that are all blank.
CONFIG = {
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "413", "422", "429"]}
    }
}


@pytest.fixture(scope="module")
def api(model: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenApiSchema:
    folder = tmp_path_factory.mktemp("contract")
    Lake(folder / "lake").create()
    # Small limits: what is generated need not be large to be at one of them.
    app: APIFlask = create_app(settings_of(folder, max_lines=20, max_line_chars=200), str(model))
    own(app).champion.refresh()
    return schemathesis.openapi.from_wsgi("/openapi.json", app, config=SchemathesisConfig.from_dict(CONFIG))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_as_documented(mode: GenerationMode, api: OpenApiSchema) -> None:
    asked = 0
    for found in api.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not operation.body:
            continue
        asked += 1

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate()

        ask()
    assert asked == (17 if mode is GenerationMode.POSITIVE else 6)
