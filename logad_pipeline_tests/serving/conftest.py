"""An application over the tiny model, and requests to it.

Belongs here: what tests of the API share. No test stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from logad_pipeline.serving.app import create_app
from logad_pipeline.serving.request_log import set_up_json_logging
from logad_pipeline.serving.service import Service
from logad_pipeline.settings import ServingSettings, Settings, load_settings
from logad_pipeline_tests.lake.small_models import record_model

MakeApp = Callable[..., APIFlask]


@pytest.fixture(autouse=True)
def _of_the_shipped_settings(shipped_settings: None) -> None:
    """Whatever the settings of whoever runs the tests."""


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of windows and records."""
    folder = tmp_path_factory.mktemp("served") / "small"
    record_model().save(folder)
    return folder


def settings_of(folder: Path, **serving: object) -> Settings:
    """The shipped settings over a lake in ``folder``, those of the API replaced."""
    made = load_settings(folder / "lake")
    return made.model_copy(update={"serving": ServingSettings(**serving)})  # type: ignore[arg-type]


@pytest.fixture
def make_app(model: Path, tmp_path: Path) -> MakeApp:
    """Make an application with these settings of the API; its model is loaded."""

    def make(**serving: object) -> APIFlask:
        app = create_app(settings_of(tmp_path, **serving), str(model))
        own(app).champion.refresh()
        return app

    return make


@pytest.fixture
def app(make_app: MakeApp) -> APIFlask:
    return make_app()


@pytest.fixture
def client(app: APIFlask) -> FlaskClient:
    return app.test_client()


def own(app: APIFlask) -> Service:
    found: Service = app.extensions["logad"]
    return found


@pytest.fixture
def json_logs(tmp_path: Path) -> Iterator[Path]:
    """The file that the service's log goes to."""
    import logging

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    file = tmp_path / "service.log"
    with file.open("w", encoding="utf-8") as stream:
        set_up_json_logging(stream)
        yield file
    root.handlers[:] = handlers
    root.setLevel(level)
