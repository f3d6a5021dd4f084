"""Settings: where a value comes from, what is refused, and that the core gets what was written."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from logad_pipeline.detectors.registry import ALL
from logad_pipeline.settings import load_settings
from logad_pipeline.windows import WindowSpec

REPOSITORY = Path(__file__).resolve().parents[1]


pytestmark = pytest.mark.usefixtures("shipped_settings")


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "logad.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_file_the_lake_is_in_the_working_directory(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.lake == tmp_path / "data_lake"
    assert settings.dagster_home == tmp_path / "data_lake" / "dagster"
    assert settings.tracking_uri == f"sqlite:///{tmp_path}/data_lake/mlflow/mlflow.db"


def test_the_shipped_file_says_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load_settings()
    shipped = write(tmp_path, (REPOSITORY / "logad.toml").read_text(encoding="utf-8"))
    monkeypatch.setenv("LOGAD_CONFIG", str(shipped))
    assert load_settings() == defaults


def test_the_file_in_the_working_directory_is_read(tmp_path: Path) -> None:
    write(tmp_path, 'first_day = "2026-03-02"\n[windows]\nsize = 7\n[model]\nseed = 3\n')
    settings = load_settings()
    assert (settings.first_day, settings.windows.size, settings.model.seed) == (date(2026, 3, 2), 7, 3)


def test_the_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 'lake = "written"\n[model]\nseed = 3\nmax_steps = 5\n')
    monkeypatch.setenv("LOGAD_MODEL__SEED", "9")
    monkeypatch.setenv("LOGAD_LAKE", "/srv/lake")
    settings = load_settings()
    assert settings.lake == Path("/srv/lake")
    assert (settings.model.seed, settings.model.max_steps) == (9, 5)


def test_relative_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "etc", 'lake = "here"\ndagster_home = "home"\n')
    monkeypatch.setenv("LOGAD_CONFIG", str(file))
    settings = load_settings()
    assert settings.lake == tmp_path / "etc" / "here"
    assert settings.dagster_home == tmp_path / "etc" / "home"


def test_a_lake_given_by_hand_takes_its_contents_along(tmp_path: Path) -> None:
    write(tmp_path, 'lake = "written"\n')
    settings = load_settings(Path("other"))
    assert settings.lake == tmp_path / "other"
    assert settings.dagster_home == tmp_path / "other" / "dagster"
    assert str(tmp_path / "other") in settings.tracking_uri


def test_a_tracking_server_that_was_named_is_kept(tmp_path: Path) -> None:
    write(tmp_path, 'tracking_uri = "http://127.0.0.1:5000"\n')
    assert load_settings(Path("other")).tracking_uri == "http://127.0.0.1:5000"


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGAD_CONFIG", str(tmp_path / "nowhere.toml"))
    with pytest.raises(FileNotFoundError, match=r"LOGAD_CONFIG names .*nowhere\.toml"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("lakee = 'x'", "lakee"),
        ("[windows]\nsizes = 3", "sizes"),
        ("[model]\nsteps = 3", "steps"),
        ("[windows]\nsize = 0", "size"),
        ("[windows]\nwindow_type = 'tumbling'", "window_type"),
        ("[model]\nfalse_alarm_rate = 1.0", "false_alarm_rate"),
        ("[model]\nfalse_alarm_rate = 0", "false_alarm_rate"),
        ("[model]\ndetectors = ['counts', 'no_such']", "no_such is not known; there are surprise"),
        ("[model]\ndetectors = ['entity_graph']", "at least one detector of windows"),
        ("time_zone = 'Mars/Olympus'", "Europe/Berlin"),
        ("time_zone = '../../etc/passwd'", "Europe/Berlin"),
        ("score_at = '25:00'", "like 02:00"),
        ("[serving]\ndagster_url = 'javascript:1'", "is no http:// or https:// address"),
        ("score_at = 'noon'", "like 02:00"),
        ("score_at = '2'", "like 02:00"),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path: Path, text: str, complaint: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ValidationError, match=complaint):
        load_settings()


def test_the_core_gets_what_was_written(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        [windows]
        window_type = "sliding"
        size = 8
        stride = 2
        group_by = "host"
        [model]
        base_model = "random"
        vocab_size = 300
        max_steps = 11
        max_minutes = 2.5
        batch_size = 4
        learning_rate = 1e-3
        false_alarm_rate = 0.05
        seed = 5
        device = "cpu"
        detectors = ["counts", "severity"]
        risk_bands = {high = 0.9, calm = 0.0, odd = 0.6}
        """,
    )
    settings = load_settings()
    assert settings.window_spec() == WindowSpec("sliding", 8, 2, "host")
    spec = settings.fit_spec()
    assert (spec.encoder.base_model, spec.encoder.vocab_size, spec.device) == ("random", 300, "cpu")
    assert spec.detectors == ("counts", "severity")
    training = spec.training
    assert (training.max_steps, training.max_minutes, training.batch_size) == (11, 2.5, 4)
    assert (training.learning_rate, training.seed) == (1e-3, 5)
    assert spec.scale.false_alarm_rate == 0.05
    assert spec.scale.bands == (("calm", 0.0), ("odd", 0.6), ("high", 0.9))


def test_all_detectors_are_fitted_unless_some_are_named() -> None:
    assert load_settings().fit_spec().detectors == ALL


def test_days_begin_in_the_chosen_zone(tmp_path: Path) -> None:
    write(tmp_path, 'time_zone = "Europe/Berlin"\n')
    assert load_settings().zone.key == "Europe/Berlin"
