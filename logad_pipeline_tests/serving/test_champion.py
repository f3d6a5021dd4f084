"""Which model answers: exchanged under load, kept for when the registry is down, and never one that is broken."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.explanation.explainer import Explainer
from logad_pipeline.registry.registry import CHAMPION, Registry
from logad_pipeline.serving.app import create_app
from logad_pipeline.serving.champion import Champion, Served
from logad_pipeline_tests.lake.small_models import raw_lines
from logad_pipeline_tests.orchestration.conftest import Deployed
from logad_pipeline_tests.registry.test_registry import add_version, half_the_weights, model_folder, of_an_older_format
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


def test_scoring_goes_on_while_the_normal_windows_are_read_for_evidence(
    spare: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(spare.settings)
    own(app).champion.refresh()
    made, meanwhile, before = threading.Barrier(2), list[int](), list[int]()

    class Watched(Explainer):
        def __init__(self, model: AnomalyDetector) -> None:
            made.wait(60)
            asker.join(60)
            before.extend(meanwhile)
            super().__init__(model)

    def ask() -> None:
        made.wait(60)
        answer = app.test_client().post("/score_log", json={"log_seq": ["a line that was not asked for before"] * 3})
        meanwhile.append(answer.status_code)

    monkeypatch.setattr("logad_pipeline.serving.champion.Explainer", Watched)
    asker = threading.Thread(target=ask)
    asker.start()
    told = [app.test_client().post("/explain", json={"log_seq": raw_lines(6)}) for _ in range(2)]
    assert before == [200], "scored while the explainer was made, which is made once"
    assert [each.status_code for each in told] == [200, 200]
    assert told[0].get_json()["explained"] == told[1].get_json()["explained"]


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


def test_where_nothing_was_ever_served_the_champion_before_a_broken_one_is(spare: Deployed, tmp_path: Path) -> None:
    files = tmp_path / "damaged" / "model"
    shutil.copytree(model_folder(spare), files)
    half_the_weights(files / "artifacts" / "model")
    move_alias(spare, add_version(spare, files))
    champion = Champion(spare.settings)
    champion.refresh()
    assert champion.current is not None
    assert champion.current.version == "1"
    assert "damaged" in champion.degraded


def test_a_service_that_an_upgrade_left_without_a_model_says_what_to_do(spare: Deployed, tmp_path: Path) -> None:
    files = tmp_path / "old" / "model"
    shutil.copytree(model_folder(spare), files)
    of_an_older_format(files / "artifacts" / "model")
    move_alias(spare, add_version(spare, files))
    spare.registry.set_model_tag("former_champions", "[]")
    app = create_app(spare.settings)
    own(app).champion.refresh()
    answer = app.test_client().get("/health/ready")
    assert answer.status_code == 503
    assert "`logad train` makes a new one" in answer.get_data(as_text=True)


@pytest.mark.parametrize("damaged", ["[]", "7", "{", '{"folder": "gone"}', '{"folder": 7}', "weights"])
def test_a_damaged_copy_is_passed_over_and_the_registry_is_looked_at_again(damaged: str, spare: Deployed) -> None:
    Champion(spare.settings).refresh()
    hide_registry(spare)
    kept = spare.root / "serving"
    if damaged == "weights":
        half_the_weights(next(path for path in kept.iterdir() if path.is_dir()))
    else:
        (kept / "current.json").write_text(damaged, encoding="utf-8")
    champion = Champion(spare.settings)
    champion.refresh()
    assert champion.current is None
    assert "logad init" in champion.degraded
    os.rename(spare.root / "mlflow" / "gone.db", spare.root / "mlflow" / "mlflow.db")
    champion.refresh()
    assert champion.current is not None
    assert champion.degraded == ""


def test_a_name_in_the_registry_of_the_lake_is_served_and_its_alias_followed(spare: Deployed) -> None:
    app = create_app(spare.settings, "models:/logad@champion")
    own(app).champion.refresh()
    client = app.test_client()
    answer = client.post("/score_log", json={"log_seq": raw_lines(6)}).get_json()
    assert (answer["model"], answer["model_version"]) == ("logad", "1")
    assert client.get("/v2/models/logad/versions/1/ready").status_code == 200
    move_alias(spare, add_version(spare, model_folder(spare)))
    own(app).champion.refresh()
    assert client.post("/score_log", json={"log_seq": ["a"]}).get_json()["model_version"] == "2"


def test_version_1_of_a_registry_made_anew_is_another_model(spare: Deployed) -> None:
    champion = Champion(spare.settings)
    served: list[Served] = []
    champion.exchanged = served.append
    champion.refresh()
    champion.refresh()
    assert len(served) == 1
    files, client = model_folder(spare), spare.registry._client()
    client.delete_registered_model("logad")
    client.create_registered_model("logad")
    assert add_version(spare, files) == "1"
    move_alias(spare, "1")
    champion.refresh()
    assert [each.version for each in served] == ["1", "1"]
    assert served[0].mark != served[1].mark


def test_a_version_that_does_not_load_is_fetched_ever_more_rarely_and_leaves_no_files(
    spare: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("logad_pipeline.serving.champion.time.monotonic", lambda: now[0])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    files = tmp_path / "damaged" / "model"
    shutil.copytree(model_folder(spare), files)
    half_the_weights(files / "artifacts" / "model")
    broken = add_version(spare, files)
    champion = Champion(spare.settings)
    champion.refresh()
    move_alias(spare, broken)
    load, loaded = Registry.load, []
    monkeypatch.setattr(
        Registry, "load", lambda self, uri, device="auto": (loaded.append(now[0]), load(self, uri, device))[1]
    )
    for second in range(0, 200, 10):
        now[0] = float(second)
        champion.refresh()
        assert "damaged" in champion.degraded
    assert loaded == [0.0, 20.0, 60.0, 140.0]
    assert not [path for path in scratch.iterdir() if path.name.startswith(("tmp", "logad"))]
