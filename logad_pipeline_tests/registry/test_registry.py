"""The registry: aliases point at models that load, names lead to models, and looking changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from logad_pipeline.detectors.ensemble import _FORMAT, ModelNotFound
from logad_pipeline.registry.fetch import load_model, newest_model
from logad_pipeline.registry.registry import CHALLENGER, CHAMPION, Registry
from logad_pipeline.settings import load_settings
from logad_pipeline_tests.orchestration.conftest import Deployed, logad

pytestmark = pytest.mark.usefixtures("clean")


def model_folder(deployed: Deployed) -> Path:
    """The files of version 1."""
    import mlflow

    mlflow.set_tracking_uri(deployed.registry.uri)
    return Path(mlflow.artifacts.download_artifacts(artifact_uri="models:/logad/1"))


def add_version(deployed: Deployed, files: Path) -> str:
    made = deployed.registry._client().create_model_version("logad", files.as_uri())
    return str(made.version)


# ---------------------------------------------------------------- a new deployment


def test_looking_at_a_new_lake_makes_nothing(tmp_path: Path) -> None:
    registry = Registry(load_settings(tmp_path / "lake"))
    assert registry.version_of(CHAMPION) is None
    assert registry.versions() == []
    assert not registry.exists()
    with pytest.raises(ModelNotFound, match=r"logad fit.*logad train"):
        registry.newest()
    with pytest.raises(ModelNotFound, match="not in the registry"):
        registry.load("models:/logad@champion")
    assert not any(tmp_path.iterdir())


def test_prepared_twice_is_prepared(tmp_path: Path) -> None:
    registry = Registry(load_settings(tmp_path / "lake"))
    registry.prepare()
    registry.prepare()
    assert registry.exists()
    assert registry.version_of(CHAMPION) is None
    assert registry.versions() == []


def test_preparing_leaves_what_is_there(spare: Deployed) -> None:
    spare.registry.prepare()
    assert spare.registry.versions() == ["1"]
    assert spare.registry.version_of(CHAMPION) == "1"


# ---------------------------------------------------------------- aliases


def test_an_alias_cannot_point_at_a_version_that_does_not_exist(spare: Deployed) -> None:
    with pytest.raises(ModelNotFound, match="models:/logad/99"):
        spare.registry.set_alias(CHAMPION, "99")
    assert spare.registry.version_of(CHAMPION) == "1"


def without_description(folder: Path) -> None:
    (folder / "model.json").unlink()


def half_a_description(folder: Path) -> None:
    file = folder / "model.json"
    file.write_bytes(file.read_bytes()[:100])


def without_calibration(folder: Path) -> None:
    (folder / "calibration.json").unlink()


def half_the_weights(folder: Path) -> None:
    [file] = (folder / "encoder").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def without_weights(folder: Path) -> None:
    [file] = (folder / "encoder").glob("*.safetensors")
    file.unlink()


def of_other_masks(folder: Path) -> None:
    file = folder / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"mask_version": "0"}))


def of_an_older_format(folder: Path) -> None:
    file = folder / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 1}))


def gone(folder: Path) -> None:
    shutil.rmtree(folder.parents[1])


@pytest.mark.parametrize(
    "damage",
    [
        without_description, half_a_description, without_calibration, half_the_weights, without_weights,
        of_other_masks, of_an_older_format, gone,
    ],
)  # fmt: skip
def test_a_model_that_does_not_load_never_becomes_champion(
    damage: Callable[[Path], None], spare: Deployed, tmp_path: Path
) -> None:
    files = tmp_path / "damaged" / "model"
    shutil.copytree(model_folder(spare), files)
    damage(files / "artifacts" / "model")
    version = add_version(spare, files)
    with pytest.raises(ModelNotFound):
        spare.registry.set_alias(CHAMPION, version)
    assert spare.registry.version_of(CHAMPION) == "1"


def test_a_model_of_an_older_format_says_so_and_what_to_do(spare: Deployed, tmp_path: Path) -> None:
    files = tmp_path / "old" / "model"
    shutil.copytree(model_folder(spare), files)
    of_an_older_format(files / "artifacts" / "model")
    version = add_version(spare, files)
    with pytest.raises(
        ModelNotFound, match=rf"models:/logad/{version} .*`logad train`.*format 1, this release reads {_FORMAT}"
    ):
        spare.registry.load(f"models:/logad/{version}")


def test_a_sound_version_does(spare: Deployed) -> None:
    version = add_version(spare, model_folder(spare))
    spare.registry.set_alias(CHAMPION, version)
    assert version == "2"
    assert spare.registry.version_of(CHAMPION) == "2"
    assert spare.registry.version_of(CHALLENGER) == "1"
    assert spare.registry.load("models:/logad@champion", "cpu").version == "2"


# ---------------------------------------------------------------- names


def test_the_newest_is_the_champion_else_the_last_version(spare: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGAD_LAKE", str(spare.root))
    folder = model_folder(spare)
    for _ in range(10):
        add_version(spare, folder)
    assert spare.registry.versions() == [str(number) for number in range(11, 0, -1)]
    sound = spare.registry.load("models:/logad/1", "cpu").detector.version
    for version in ("1", "11"):
        found = newest_model("cpu")
        assert (found.version, found.detector.version) == (version, sound)
        assert load_model("", "cpu").version == sound
        spare.registry._client().delete_registered_model_alias("logad", CHAMPION)


def test_who_judges_with_the_newest_asks_once_which_that_is(
    judged: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("LOGAD_LAKE", str(judged.root))
    asked = []

    def counted(name: str) -> Callable[..., object]:
        ask = getattr(MlflowClient, name)

        def count(*arguments: object) -> object:
            asked.append(name)
            return ask(*arguments)

        return count

    for name in dir(MlflowClient):
        if name.startswith(("get_", "search_")):
            monkeypatch.setattr(MlflowClient, name, counted(name))
    log = tmp_path / "a.log"
    log.write_text("a line\n" * 3, encoding="utf-8")
    done = logad("detect", log, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert asked[:2] == ["get_model_version_by_alias", "get_model_version_download_uri"], "which it is, and its files"
    assert not {"get_model_version", "search_model_versions", *asked[:2]} & set(asked[2:])


@pytest.mark.parametrize("name", ["models:/logad@nobody", "models:/other/1", "models:/logad", "models:/logad/one"])
def test_a_name_that_leads_nowhere_is_no_model(name: str, judged: Deployed) -> None:
    with pytest.raises(ModelNotFound):
        judged.registry.load(name)


def test_tags_are_read_as_they_were_written(spare: Deployed) -> None:
    spare.registry.annotate("1", {"alert_share": "0.25"})
    assert spare.registry.tag("1", "alert_share") == "0.25"
    assert spare.registry.tag("1", "never written") is None


def test_a_run_that_fails_is_marked_and_registers_nothing(spare: Deployed) -> None:
    with pytest.raises(RuntimeError, match="power cut"), spare.registry.run("broken") as mlflow:
        run_id = mlflow.active_run().info.run_id
        raise RuntimeError("power cut")
    assert spare.registry._client().get_run(run_id).info.status == "FAILED"
    assert spare.registry.versions() == ["1"]


def test_registering_prints_nothing_of_mlflows_own(spare: Deployed, capfd: pytest.CaptureFixture[str]) -> None:
    sound = spare.registry.load("models:/logad/1", "cpu").detector
    capfd.readouterr()
    with spare.registry.run("once more") as mlflow:
        assert spare.registry.register(mlflow, sound).version == "2"
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "")
