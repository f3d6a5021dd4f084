"""Which model answers: exchanged under load, kept for when the registry is down, and never one that is broken."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from logad_pipeline.registry.registry import CHAMPION
from logad_pipeline.serving.app import create_app
from logad_pipeline.serving.champion import Champion
from logad_pipeline_tests.lake.small_models import raw_lines
from logad_pipeline_tests.orchestration.conftest import Deployed
from logad_pipeline_tests.registry.test_registry import add_version, half_the_weights, model_folder
from logad_pipeline_tests.serving.conftest import own

pytestmark = pytest.mark.usefixtures("clean")


def move_alias(deployed: Deployed, version: str) -> None:
    deployed.registry._client().set_registered_model_alias("logad", CHAMPION, version)


def hide_registry(deployed: Deployed) -> None:
    """What a registry that is down looks like from here."""
    os.rename(deployed.root / "mlflow" / "mlflow.db", deployed.root / "mlflow" / "gone.db")


def test_the_alias_is_followed_without_a_failed_request(spare: Deployed) -> None:
    app = create_app(spare.settings)
    champion = own(app).champion
    champion.refresh()
    add_version(spare, model_folder(spare))
    answers: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask() -> None:
        client = app.test_client()
        while not stop.is_set():
            response = client.post("/score_log", json={"log_seq": raw_lines(6)})
            answers.append((response.status_code, response.get_json().get("model_version", "")))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in ("2", "1", "2"):
        move_alias(spare, version)
        champion.refresh()
    stop.set()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} <= {"1", "2"}
    assert app.test_client().post("/score_log", json={"log_seq": ["a"]}).get_json()["model_version"] == "2"
    listed = app.test_client().get("/models").get_json()["models"]
    assert [(each["version"], each["serving"]) for each in listed] == [("2", True), ("1", False)]
    assert CHAMPION in listed[0]["aliases"]


def test_with_the_registry_down_the_last_one_answers_and_says_so(spare: Deployed) -> None:
    app = create_app(spare.settings)
    own(app).champion.refresh()
    before = app.test_client().post("/score_log", json={"log_seq": raw_lines(6)}).get_json()
    assert before["degraded"] is False
    hide_registry(spare)
    own(app).champion.refresh()
    during = app.test_client().post("/score_log", json={"log_seq": raw_lines(6)}).get_json()
    anew = create_app(spare.settings)
    own(anew).champion.refresh()
    after = anew.test_client().post("/score_log", json={"log_seq": raw_lines(6)}).get_json()
    for answer in (during, after):
        assert answer.pop("degraded") is True
        assert answer == {key: value for key, value in before.items() if key != "degraded"}
    ready = anew.test_client().get("/health/ready").get_json()
    assert (ready["status"], ready["degraded"]) == ("ready", True)
    assert "logad init" in ready["reason"]


def test_a_copy_that_was_changed_is_not_served(spare: Deployed) -> None:
    Champion(spare.settings).refresh()
    hide_registry(spare)
    [kept] = [path for path in (spare.root / "serving").iterdir() if path.is_dir()]
    file = kept / "calibration.json"
    file.write_text(file.read_text().replace('"tail_scale": ', '"tail_scale": 9'), encoding="utf-8")
    champion = Champion(spare.settings)
    champion.refresh()
    assert champion.current is None


def test_a_champion_that_does_not_load_leaves_the_one_in_service(spare: Deployed, tmp_path: Path) -> None:
    champion = Champion(spare.settings)
    champion.refresh()
    files = tmp_path / "damaged" / "model"
    shutil.copytree(model_folder(spare), files)
    half_the_weights(files / "artifacts" / "model")
    move_alias(spare, add_version(spare, files))
    champion.refresh()
    assert champion.current is not None
    assert champion.current.version == "1"
    assert "damaged" in champion.degraded
    move_alias(spare, "1")
    champion.refresh()
    assert champion.degraded == ""
