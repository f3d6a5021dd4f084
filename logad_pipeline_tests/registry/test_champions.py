"""Promotion and the way back: only what can judge is ever champion."""

from __future__ import annotations

import errno
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from logad_pipeline.detectors.ensemble import AnomalyDetector, ModelNotFound
from logad_pipeline.orchestration.runs import RunFailed, run_job
from logad_pipeline.registry.champions import (
    NoEarlierChampion,
    champion_that_judges,
    follow_alias,
    former_champions,
    promote,
    rollback,
)
from logad_pipeline.registry.fetch import load_model
from logad_pipeline.registry.registry import CHAMPION, Registry, RegistryUnavailable
from logad_pipeline.settings import load_settings
from logad_pipeline_tests.lake.small_models import raw_lines
from logad_pipeline_tests.orchestration.conftest import Deployed, logad

from .test_registry import add_version, model_folder

pytestmark = pytest.mark.usefixtures("clean")


def broken_version(deployed: Deployed, folder: Path) -> str:
    shutil.copytree(model_folder(deployed), folder / "model")
    (folder / "model" / "artifacts" / "model" / "calibration.json").unlink()
    return add_version(deployed, folder / "model")


def by_hand(registry: Registry, version: str) -> None:
    """Move the alias as MLflow's pages do."""
    registry._client().set_registered_model_alias("logad", CHAMPION, version)


def test_back_through_former_champions(spare: Deployed, tmp_path: Path) -> None:
    registry = spare.registry
    files = model_folder(spare)
    for version in ("2", "3"):
        assert add_version(spare, files) == version
    assert promote(registry, "2") == "1"
    assert promote(registry, "3") == "2"
    assert former_champions(registry) == ["1", "2"]
    assert rollback(registry) == ("3", "2")
    assert rollback(registry) == ("2", "1")
    with pytest.raises(NoEarlierChampion, match="logad promote"):
        rollback(registry)
    assert registry.version_of(CHAMPION) == "1"


def test_a_former_champion_that_cannot_judge_is_passed_over(spare: Deployed, tmp_path: Path) -> None:
    registry = spare.registry
    broken = broken_version(spare, tmp_path)
    good = add_version(spare, model_folder(spare))
    by_hand(registry, broken)
    assert follow_alias(registry) == broken
    promote(registry, good)
    assert former_champions(registry) == ["1", broken]
    assert rollback(registry) == (good, "1")


def test_who_looks_on_makes_no_champion_of_what_was_left(spare: Deployed, tmp_path: Path) -> None:
    registry = spare.registry
    files = model_folder(spare)
    for version in ("2", "3"):
        promote(registry, add_version(spare, files))
        assert follow_alias(registry) == version
    assert rollback(registry) == ("3", "2")
    assert follow_alias(registry) == "2"
    assert rollback(registry) == ("2", "1"), "not forward to 3 again"
    by_hand(registry, broken_version(spare, tmp_path))
    follow_alias(registry)
    rollback(registry)
    follow_alias(registry)
    assert former_champions(registry) == []


def test_an_alias_put_back_by_hand_has_gone_back(spare: Deployed) -> None:
    registry = spare.registry
    for _ in range(2):
        promote(registry, add_version(spare, model_folder(spare)))
    by_hand(registry, "2")
    assert former_champions(registry) == ["1"]
    assert rollback(registry) == ("2", "1")


def test_a_version_put_there_by_hand_has_to_be_tried_again(spare: Deployed) -> None:
    registry = spare.registry
    version = add_version(spare, model_folder(spare))
    registry.try_out(version)
    by_hand(registry, version)
    follow_alias(registry)
    assert not registry.was_tried(version), "its files may have changed since"
    registry.try_out(version)
    follow_alias(registry)
    assert registry.was_tried(version)
    promote(registry, add_version(spare, model_folder(spare)))
    assert registry.was_tried(str(follow_alias(registry))), "who promotes tries"


def test_detect_takes_the_champion_before_one_that_cannot_judge(
    spare: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LOGAD_LAKE", str(spare.root))
    by_hand(spare.registry, broken_version(spare, tmp_path))
    log = tmp_path / "app.log"
    log.write_text("\n".join(raw_lines(30)) + "\n", encoding="utf-8")
    done = logad("detect", log, "--json")
    assert (done.exit_code, bool(done.stdout)) == (0, True), done.output
    assert "champion 2 cannot judge" in caplog.text
    assert "version 1, champion before it, judges meanwhile" in caplog.text
    sound = spare.registry.load("models:/logad/1", "cpu").detector
    assert load_model("models:/logad@champion", "cpu").version == sound.version
    spare.registry.set_model_tag("former_champions", "[]")
    with pytest.raises(ModelNotFound, match="damaged"):
        champion_that_judges(spare.registry)
    done = logad("detect", log)
    assert (done.exit_code, "`logad train` makes a new one" in done.stderr) == (4, True)


def test_what_cannot_judge_or_does_not_exist_is_not_promoted(spare: Deployed, tmp_path: Path) -> None:
    broken = broken_version(spare, tmp_path)
    for version in (broken, "99"):
        with pytest.raises(ModelNotFound, match=f"models:/logad/{version}"):
            promote(spare.registry, version)
        done = logad("promote", version, "--lake", spare.root)
        assert done.exit_code == 4
        assert "Traceback" not in done.output
    assert spare.registry.version_of(CHAMPION) == "1"
    assert former_champions(spare.registry) == []
    assert not spare.registry.was_tried(broken)
    assert spare.registry.was_tried("1")


def test_the_commands(spare: Deployed) -> None:
    done = logad("rollback", "--lake", spare.root)
    assert (done.exit_code, "had no champion before version 1" in done.stderr) == (4, True)
    version = add_version(spare, model_folder(spare))
    done = logad("promote", version, "--lake", spare.root)
    assert (done.exit_code, done.stdout) == (0, "champion: version 2, before: 1\n")
    done = logad("promote", version, "--lake", spare.root)
    assert (done.exit_code, done.stdout) == (0, "champion: version 2, as before\n")
    done = logad("rollback", "--lake", spare.root)
    assert (done.exit_code, done.stdout) == (0, "champion: version 1, before: 2\n")


def test_a_registry_that_does_not_answer_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGAD_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry = Registry(load_settings(tmp_path))
    for ask in (lambda: registry.version_of(CHAMPION), registry.versions, lambda: registry.load("models:/logad/1"),
                lambda: former_champions(registry), lambda: registry.annotate("1", {"a": "b"})):  # fmt: skip
        with pytest.raises(RegistryUnavailable, match=r"127\.0\.0\.1:9 does not answer"):
            ask()


class Outage(BaseHTTPRequestHandler):
    """A server of files that is in trouble."""

    def do_GET(self) -> None:
        self.send_error(503)

    def log_message(self, *_: object) -> None:
        return


def test_while_the_files_cannot_be_had_the_champion_stays(spare: Deployed) -> None:
    with HTTPServer(("127.0.0.1", 0), Outage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = f"http://127.0.0.1:{server.server_port}/api/2.0/mlflow-artifacts/artifacts/model"
        version = str(spare.registry._client().create_model_version("logad", source).version)
        promote(spare.registry, add_version(spare, model_folder(spare)))
        by_hand(spare.registry, version)
        follow_alias(spare.registry)
        with pytest.raises(RunFailed, match=rf"files of models:/logad/{version} cannot be had now.*503.*run it again"):
            run_job(spare.settings, "try_champion")
        assert spare.registry.version_of(CHAMPION) == version
        server.shutdown()


def test_a_file_that_cannot_be_read_now_is_no_damage(spare: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(*_: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(AnomalyDetector, "load", stale)
    with pytest.raises(RegistryUnavailable, match=r"cannot be read now.*Stale"):
        spare.registry.load("models:/logad/1")


def test_a_registry_that_goes_away_during_a_training_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with monkeypatch.context() as down:
        down.setenv("LOGAD_TRACKING_URI", "http://127.0.0.1:9")
        registry = Registry(load_settings(tmp_path))
        with pytest.raises(RegistryUnavailable, match=r"127\.0\.0\.1:9 does not answer"), registry.run("never begun"):
            pass
    registry = Registry(load_settings(tmp_path))
    registry.prepare()
    with pytest.raises(RegistryUnavailable, match="does not answer or refuses"), registry.run("cut off") as module:
        module.set_tracking_uri("http://127.0.0.1:9")
        module.log_metric("loss", 1.0)
    with pytest.raises(OSError, match="disk"), registry.run("trouble of its own"):
        raise OSError("disk full")
    assert mlflow.active_run() is None
