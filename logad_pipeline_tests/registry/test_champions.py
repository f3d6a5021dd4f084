"""Promotion and the way back: only what can judge is ever champion."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from logad_pipeline.detectors.ensemble import ModelNotFound
from logad_pipeline.registry.champions import NoEarlierChampion, former_champions, promote, remember, rollback
from logad_pipeline.registry.registry import CHAMPION, Registry, RegistryUnavailable
from logad_pipeline.settings import load_settings
from logad_pipeline_tests.orchestration.conftest import Deployed, logad

from .test_registry import add_version, model_folder

pytestmark = pytest.mark.usefixtures("clean")


def broken_version(deployed: Deployed, folder: Path) -> str:
    shutil.copytree(model_folder(deployed), folder / "model")
    (folder / "model" / "artifacts" / "model" / "calibration.json").unlink()
    return add_version(deployed, folder / "model")


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
    promote(registry, good)
    remember(registry, broken)
    assert former_champions(registry) == ["1", broken]
    assert rollback(registry) == (good, "1")


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
    assert (done.exit_code, "no earlier champion" in done.stderr) == (4, True)
    version = add_version(spare, model_folder(spare))
    done = logad("promote", version, "--lake", spare.root)
    assert (done.exit_code, done.stdout) == (0, "champion: version 2, before: 1\n")
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
