"""The model as a whole: saved and loaded it judges alike, and its folder is safe to share."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from logad_pipeline.detectors.calibration import THRESHOLD, ScoreScale
from logad_pipeline.detectors.ensemble import AnomalyDetector, ModelNotFound, read_model_json
from logad_pipeline.logs.log_tokenizer import MASK_VERSION
from logad_pipeline_tests.tiny_model import FOREIGN, WINDOW, cycle_windows, windows_of


@pytest.fixture(scope="module")
def folder(model: AnomalyDetector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("models") / "model"
    model.save(where)
    return where


WINDOWS = windows_of([*cycle_windows(), [FOREIGN], [FOREIGN, *cycle_windows()[0]]])


def test_a_saved_model_gives_the_same_scores(model: AnomalyDetector, folder: Path) -> None:
    again = AnomalyDetector.load(folder, "cpu")
    one, other = model.score(WINDOWS), again.score(WINDOWS)
    np.testing.assert_allclose(other.score, one.score, atol=1e-6)
    np.testing.assert_allclose(other.log10_p, one.log10_p, atol=1e-6)
    assert list(other.detectors) == list(one.detectors)
    for name in one.detectors:
        np.testing.assert_allclose(other.detectors[name], one.detectors[name], atol=1e-6)


def test_a_saved_model_remembers_how_it_was_made(model: AnomalyDetector, folder: Path) -> None:
    again = AnomalyDetector.load(folder, "cpu")
    assert (again.window_spec, again.scale, again.mask_version) == (WINDOW, model.scale, model.mask_version)
    assert again.card == json.loads(json.dumps(model.card))
    assert again.history == model.history
    assert again.version == model.version


def test_the_same_content_has_the_same_version(model: AnomalyDetector, folder: Path, tmp_path: Path) -> None:
    again = AnomalyDetector.load(folder, "cpu")
    assert model.save(tmp_path / "one") == again.save(tmp_path / "two") == model.version
    assert len(model.version) == 12


def test_other_content_has_another_version(folder: Path, tmp_path: Path) -> None:
    other = AnomalyDetector.load(folder, "cpu")
    assert other.without("head").save(tmp_path / "other") != AnomalyDetector.load(folder, "cpu").version


def test_a_detector_can_be_left_out_and_the_rest_is_calibrated_anew(model: AnomalyDetector) -> None:
    rest = model.without("head", "next_event")
    scored = rest.score(WINDOWS)
    assert not {"head", "next_event"} & set(scored.detectors)
    assert scored.score[-2] > THRESHOLD > scored.score[: len(cycle_windows())].max()
    with pytest.raises(ValueError, match="no detector is left"):
        model.without(*model.names)


def test_a_model_that_scores_differently_has_another_version(folder: Path, tmp_path: Path) -> None:
    other = AnomalyDetector.load(folder, "cpu")
    before = other.version
    other.scale = ScoreScale(0.2)
    assert other.save(tmp_path / "other") != before


def test_a_model_folder_holds_data_only(folder: Path) -> None:
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} <= {".safetensors", ".json", ".txt"}
    for file in files:
        if file.suffix == ".json":
            json.loads(file.read_text(encoding="utf-8"))


def test_nothing_is_left_beside_a_saved_model(folder: Path, model: AnomalyDetector) -> None:
    model.save(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_model_may_replace_a_model_and_an_empty_folder(model: AnomalyDetector, tmp_path: Path) -> None:
    empty = tmp_path / "deep" / "empty"
    empty.mkdir(parents=True)
    assert model.save(empty) == model.save(empty)
    assert AnomalyDetector.load(empty, "cpu").version == model.version


def test_a_folder_that_is_no_model_is_left_as_it_was(model: AnomalyDetector, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(FileExistsError, match="give another folder"):
        model.save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_save_that_fails_leaves_the_old_model_whole(folder: Path, tmp_path: Path) -> None:
    model = AnomalyDetector.load(folder, "cpu")
    version = model.save(tmp_path / "model")
    model.card = {"not": {"json", "at", "all"}}
    with pytest.raises(TypeError):
        model.save(tmp_path / "model")
    assert AnomalyDetector.load(tmp_path / "model", "cpu").version == version
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_missing_model_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no model at .*; make one with: logad fit FILE --model"):
        AnomalyDetector.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "damaged"),
        ('["format"]', "describes no model"),
        ('{"format": 99}', "model format 99, this release reads 6"),
        ('{"format": 6, "mask_version": "0"}', f"masks version 0, this release masks by version {MASK_VERSION}; fit"),
        (
            f'{{"format": 6, "mask_version": "{MASK_VERSION}", "detectors": ["oracle"], "record_detectors": []}}',
            r"oracle.* not known here; upgrade",
        ),
    ],
)
def test_a_folder_of_another_kind_or_release_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelNotFound, match=complaint):
        AnomalyDetector.load(tmp_path)


def test_a_model_can_be_described_without_loading_it(folder: Path, model: AnomalyDetector) -> None:
    described = read_model_json(folder)
    assert described["version"] == model.version
    assert described["window_spec"] == dataclasses.asdict(WINDOW)


def test_scores_and_channels_are_shares_and_the_verdict_is_the_threshold(model: AnomalyDetector) -> None:
    scored = model.score(WINDOWS)
    for values in (scored.score, *scored.detectors.values()):
        assert ((values >= 0) & (values < 1)).all()
    assert (scored.is_anomaly == (scored.score >= 0.5)).all()
    assert scored.is_anomaly.any()
    assert not scored.is_anomaly.all()


def test_nothing_to_score_gives_nothing(model: AnomalyDetector) -> None:
    scored = model.score(windows_of([]))
    assert len(scored.score) == len(scored.log10_p) == 0
    assert all(len(values) == 0 for values in scored.detectors.values())
