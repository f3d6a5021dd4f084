"""The sensors: what they ask for, and that a tick that comes twice or goes wrong loses and doubles nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from logad_pipeline.lake.arrivals import days_behind
from logad_pipeline.lake.feedback import record_feedback
from logad_pipeline.lake.judged_days import judged_days
from logad_pipeline.lake.landing import land
from logad_pipeline.orchestration.build import build_definitions
from logad_pipeline.orchestration.runs import RunFailed, run_job
from logad_pipeline.orchestration.sensors.retraining import accepted_windows, drifted
from logad_pipeline.registry.champions import former_champions
from logad_pipeline.registry.registry import CHAMPION
from logad_pipeline.settings import RetrainingSettings
from logad_pipeline_tests.registry.test_registry import add_version, model_folder

from .conftest import DAYS, Deployed


@contextlib.contextmanager
def ticking(deployed: Deployed, name: str, cursor: str | None = None) -> Iterator[dg.SensorEvaluationContext]:
    location = build_definitions(deployed.settings)
    with (
        deployed.instance() as instance,
        dg.build_sensor_context(
            instance=instance, cursor=cursor, repository_def=location.get_repository_def(), sensor_name=name
        ) as context,
    ):
        yield context


@dataclass(frozen=True)
class Tick:
    """What a tick of a sensor came to."""

    run_requests: list[dg.RunRequest]
    said: str
    cursor: str | None

    @property
    def keys(self) -> list[str | None]:
        return [request.run_key for request in self.run_requests]

    @property
    def days(self) -> list[tuple[str | None, str, str]]:
        """Job, first and last day of each run asked for."""
        start, end = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
        return [(each.job_name, each.tags[start], each.tags[end]) for each in self.run_requests]


def tick(deployed: Deployed, name: str, cursor: str | None = None) -> Tick:
    """One tick of a sensor, with what it remembered of the one before."""
    with ticking(deployed, name, cursor) as context:
        data = build_definitions(deployed.settings).resolve_sensor_def(name).evaluate_tick(context)
    return Tick(list(data.run_requests), data.skip_message or "", data.cursor)


def drop(deployed: Deployed, name: str, day: object, minute: int = 0) -> Path:
    path = deployed.root / "inbox" / name
    path.write_text(f"{day} 10:{minute:02}:00,000 INFO [r] service.a: hello\n", encoding="utf-8")
    os.utime(path, (1_700_000_000, 1_700_000_000 + minute))
    return path


# ---------------------------------------------------------------- inbox


def test_a_dropped_file_asks_for_its_days_once_it_rests(spare: Deployed) -> None:
    first = tick(spare, "inbox")
    assert "no day is behind" in first.said
    drop(spare, "late.log", DAYS[1])
    waiting = tick(spare, "inbox", first.cursor)
    assert "1 files do not rest yet" in waiting.said
    asked = tick(spare, "inbox", waiting.cursor)
    assert asked.days == [("daily", str(DAYS[1]), str(DAYS[1]))]
    again = tick(spare, "inbox", waiting.cursor)
    assert again.keys == asked.keys
    assert [row["source"] for row in spare.rows("ledger")].count("late.log") == 1, "landed once"


def test_a_tick_that_was_cut_short_after_landing_loses_no_day(spare: Deployed) -> None:
    drop(spare, "late.log", DAYS[1])
    land(spare.lake, spare.root / "inbox" / "late.log")
    cursor = tick(spare, "inbox").cursor
    assert tick(spare, "inbox", cursor).days == [("daily", str(DAYS[1]), str(DAYS[1]))]


def test_more_lines_of_a_day_are_another_request(spare: Deployed) -> None:
    keys = []
    cursor = None
    for number in range(2):
        drop(spare, f"{number}.log", DAYS[1], number)
        cursor = tick(spare, "inbox", cursor).cursor
        asked = tick(spare, "inbox", cursor)
        cursor = asked.cursor
        keys += [request.run_key for request in asked.run_requests]
    assert len(set(keys)) == 2


def test_days_wait_for_a_run_that_is_on_its_way(spare: Deployed) -> None:
    drop(spare, "late.log", DAYS[1])
    cursor = tick(spare, "inbox").cursor
    with spare.instance() as instance:
        run = instance.create_run_for_job(
            build_definitions(spare.settings).resolve_job_def("daily"), status=dg.DagsterRunStatus.STARTED
        )
        waiting = tick(spare, "inbox", cursor)
        assert f"1 days wait for run {run.run_id}" in waiting.said
        instance.delete_run(run.run_id)
    assert len(tick(spare, "inbox", waiting.cursor).days) == 1


def test_without_a_champion_days_are_prepared(spare: Deployed) -> None:
    spare.registry._client().delete_registered_model_alias("logad", CHAMPION)
    drop(spare, "late.log", DAYS[1])
    cursor = tick(spare, "inbox").cursor
    assert tick(spare, "inbox", cursor).days == [("prepare_days", str(DAYS[1]), str(DAYS[1]))]


def test_days_that_are_no_partitions_are_pointed_out(spare: Deployed) -> None:
    drop(spare, "old.log", "2001-01-01")
    cursor = tick(spare, "inbox").cursor
    assert "lines of 2001-01-01 to 2001-01-01 are outside" in tick(spare, "inbox", cursor).said


@pytest.mark.parametrize("sensor", ["inbox", "retraining", "changed_champion"])
def test_while_the_registry_is_down_a_sensor_says_so_and_remembers(
    sensor: str, spare: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(spare, "late.log", DAYS[1])
    cursor = tick(spare, sensor).cursor
    with monkeypatch.context() as down:
        down.setenv("LOGAD_TRACKING_URI", "http://127.0.0.1:9")
        down.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        result = tick(spare, sensor, cursor)
    assert "does not answer" in result.said
    assert not result.run_requests
    if sensor == "inbox":
        assert days_behind(spare.lake, judged=True) == {DAYS[1]: len(spare.rows("ledger", [DAYS[1]]))}
        assert len(tick(spare, sensor, result.cursor).days) == 1, "asked for as soon as it is back"


# ---------------------------------------------------------------- changed champion


def test_a_new_champion_judges_the_newest_days(spare: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGAD_OPERATION__RESCORE_DAYS", "2")
    settled = tick(spare, "changed_champion")
    assert "judged by version 1" in settled.said
    spare.registry.set_alias(CHAMPION, add_version(spare, model_folder(spare)))
    asked = tick(spare, "changed_champion", settled.cursor)
    assert asked.days == [("judge_days", str(DAYS[-2]), str(DAYS[-1]))]
    assert former_champions(spare.registry) == ["1"], "whoever moved the alias"
    repeated = tick(spare, "changed_champion", settled.cursor)
    assert repeated.keys == asked.keys
    run_job(spare.settings, "judge_days", (DAYS[-2], DAYS[-1]))
    assert {row.day: row.model_version for row in judged_days(spare.lake)} == {
        DAYS[0]: "1", DAYS[1]: "1", DAYS[2]: "2", DAYS[3]: "2",
    }  # fmt: skip
    assert not tick(spare, "changed_champion", asked.cursor).run_requests
    spare.registry.set_alias(CHAMPION, "1")
    back = tick(spare, "changed_champion", asked.cursor)
    assert back.days == asked.days
    assert back.run_requests[0].run_key != asked.run_requests[0].run_key


def test_a_champion_that_cannot_judge_is_replaced_by_the_one_before(spare: Deployed, tmp_path: Path) -> None:
    settled = tick(spare, "changed_champion")
    shutil.copytree(model_folder(spare), tmp_path / "model")
    (tmp_path / "model" / "artifacts" / "model" / "calibration.json").unlink()
    broken = add_version(spare, tmp_path / "model")
    spare.registry._client().set_registered_model_alias("logad", CHAMPION, broken)  # as with MLflow's button
    before = spare.rows("scores")
    asked = tick(spare, "changed_champion", settled.cursor)
    assert [request.job_name for request in asked.run_requests] == ["try_champion"]
    with pytest.raises(RunFailed, match=rf"version {broken} cannot be champion.*version 1 is again"):
        run_job(spare.settings, "try_champion")
    assert spare.registry.version_of(CHAMPION) == "1"
    assert not tick(spare, "changed_champion", asked.cursor).run_requests
    assert spare.rows("scores") == before


def test_an_alias_of_a_version_that_was_deleted_is_no_champion(spare: Deployed) -> None:
    version = add_version(spare, model_folder(spare))
    spare.registry._client().set_registered_model_alias("logad", CHAMPION, version)
    spare.registry._client().delete_model_version("logad", version)
    assert "there is no champion yet" in tick(spare, "changed_champion").said
    with pytest.raises(RunFailed, match="there is no champion yet"):
        run_job(spare.settings, "judge_days", (DAYS[0], DAYS[0]))


# ---------------------------------------------------------------- retraining


def patient(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    for name, value in {"cooling_hours": 0, "drift_days": 30, **values}.items():
        monkeypatch.setenv(f"LOGAD_RETRAINING__{name.upper()}", str(value))


def test_enough_accepted_windows_start_a_training_once(spare: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    patient(monkeypatch, new_windows=10**6)
    assert "windows accepted as normal since then, of 1000000" in tick(spare, "retraining").said
    patient(monkeypatch, new_windows=5, policy="decayed", days=3, held_out_days=1)
    due = tick(spare, "retraining")
    [request] = due.run_requests
    config = request.run_config["ops"]["anomaly_model"]["config"]
    assert (config["policy"], config["span"], config["held_out_days"]) == ("decayed", 3, 1)
    assert "accepted as normal" in config["reason"]
    assert tick(spare, "retraining").keys == [request.run_key]
    patient(monkeypatch, new_windows=5, cooling_hours=24)
    assert "cooling_hours is 24" in tick(spare, "retraining", due.cursor).said
    long_ago = json.dumps({"asked_at": (datetime.now(UTC) - timedelta(hours=30)).isoformat()})
    assert "cooling_hours is 24" in tick(spare, "retraining", long_ago).said, "version 1 is young too"


def test_what_counts_as_accepted(spare: Deployed) -> None:
    rows = judged_days(spare.lake)
    calm = sum(row.windows - row.alerts for row in rows)
    assert accepted_windows(spare.lake, rows) == calm
    verdicts = spare.rows("scores")
    record_feedback(spare.lake, next(row["window_id"] for row in verdicts if not row["is_anomaly"]), "anomalous")
    assert accepted_windows(spare.lake, rows) == calm - 1
    alarm = next((row["window_id"] for row in verdicts if row["is_anomaly"]), None)
    if alarm is not None:
        record_feedback(spare.lake, alarm, "normal")
        assert accepted_windows(spare.lake, rows) == calm


def test_drift_must_last(judged: Deployed) -> None:
    wanted = RetrainingSettings(unseen_share=0.2, score_stability=0.5, drift_days=2)
    calm = replace(judged_days(judged.lake)[0], records=100, unseen=0, psi=0.1)
    strange, moved = replace(calm, unseen=30), replace(calm, psi=0.9)
    assert drifted([calm, strange], wanted) == ""
    assert drifted([strange], wanted) == ""
    assert "30.0% of records" in drifted([calm, strange, strange], wanted)
    assert "stability is 0.90" in drifted([moved, moved], wanted)
    assert drifted([replace(calm, psi=None)] * 2, wanted) == ""


def test_the_first_model_is_trained_once_there_is_enough(spare: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(spare.root / "mlflow")
    spare.registry.prepare()
    windows = len(spare.rows("windows"))
    patient(monkeypatch, first_windows=windows + 1)
    assert f"no model yet, {windows} windows prepared of {windows + 1}" in tick(spare, "retraining").said
    patient(monkeypatch, first_windows=windows)
    assert len(tick(spare, "retraining").run_requests) == 1
