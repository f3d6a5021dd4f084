"""The sensors: what they ask for, and that a tick that comes twice or goes wrong loses and doubles nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from logad_pipeline.lake.arrivals import days_behind
from logad_pipeline.lake.feedback import record_feedback
from logad_pipeline.lake.judged_days import judged_days
from logad_pipeline.lake.landing import land
from logad_pipeline.orchestration.build import build_definitions
from logad_pipeline.orchestration.runs import RunFailed, run_job
from logad_pipeline.orchestration.sensors.retraining import (
    Trained,
    accepted_windows,
    drifted,
    newest_training,
    reason_to_train,
)
from logad_pipeline.registry.champions import former_champions, promote, rollback
from logad_pipeline.registry.registry import CHAMPION
from logad_pipeline.settings import RetrainingSettings
from logad_pipeline_tests.registry.test_registry import (
    add_version,
    model_folder,
    of_an_older_format,
    of_other_masks,
)

from .conftest import DAYS, Deployed, raise_alarms


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


def fail(deployed: Deployed, request: dg.RunRequest) -> str:
    """The run that was asked for is made, and fails."""
    job = build_definitions(deployed.settings).resolve_job_def(str(request.job_name))
    with deployed.instance() as instance:
        run = instance.create_run_for_job(job, tags=request.tags, status=dg.DagsterRunStatus.STARTED)
        instance.report_run_failed(run)
        return run.run_id


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logad_pipeline.orchestration.requests.FIRST_PAUSE_SECONDS", 0.0)


def test_a_run_that_failed_is_asked_for_again_after_a_pause_that_grows(
    spare: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(spare, "late.log", DAYS[1])
    cursor = tick(spare, "inbox").cursor
    first = tick(spare, "inbox", cursor)
    run = fail(spare, first.run_requests[0])
    waiting = tick(spare, "inbox", first.cursor)
    assert not waiting.run_requests
    assert f"{DAYS[1]}: run {run} failed, attempt 1; it is asked for again after" in waiting.said
    monkeypatch.setattr("logad_pipeline.orchestration.requests.FIRST_PAUSE_SECONDS", 0.0)
    second = tick(spare, "inbox", first.cursor)
    assert second.days == first.days
    assert second.keys != first.keys, "Dagster makes no second run under a key"
    assert tick(spare, "inbox", first.cursor).keys == second.keys
    fail(spare, second.run_requests[0])
    assert len({*first.keys, *second.keys, *tick(spare, "inbox", first.cursor).keys}) == 3
    monkeypatch.setattr("logad_pipeline.orchestration.requests.FIRST_PAUSE_SECONDS", 60.0)
    with spare.instance() as instance:
        [second_run] = instance.get_run_records(limit=1)
    assert second_run.end_time is not None
    later = SimpleNamespace(time=lambda: second_run.end_time + 61.0)
    monkeypatch.setattr("logad_pipeline.orchestration.requests.time", later)
    assert "attempt 2" in tick(spare, "inbox", first.cursor).said, "the second pause is longer than the first"


def test_a_run_that_a_person_cancelled_is_not_asked_for_again(spare: Deployed, impatient: None) -> None:
    drop(spare, "late.log", DAYS[1])
    asked = tick(spare, "inbox", tick(spare, "inbox").cursor)
    job = build_definitions(spare.settings).resolve_job_def("daily")
    with spare.instance() as instance:
        run = instance.create_run_for_job(job, tags=asked.run_requests[0].tags, status=dg.DagsterRunStatus.STARTED)
        instance.report_run_canceled(run)
    assert f"run {run.run_id} is canceled" in tick(spare, "inbox", asked.cursor).said


def test_a_damaged_day_stays_behind_and_keeps_no_other_day_from_being_judged(spare: Deployed, impatient: None) -> None:
    for number, day in enumerate(DAYS[1:]):
        drop(spare, f"late-{number}.log", day, number)
    cursor = tick(spare, "inbox").cursor
    whole = tick(spare, "inbox", cursor)
    assert whole.days == [("daily", str(DAYS[1]), str(DAYS[3]))]
    part = next(spare.root.glob(f"raw/day={DAYS[2]}/late-1*"))
    part.write_bytes(part.read_bytes()[:20])
    with pytest.raises(RunFailed, match=str(DAYS[2])):
        run_job(spare.settings, "daily", (DAYS[1], DAYS[3]))
    apart = tick(spare, "inbox", whole.cursor)
    assert apart.days == [("daily", str(day), str(day)) for day in (DAYS[1], DAYS[3], DAYS[2])]
    for day in (DAYS[1], DAYS[3]):
        run_job(spare.settings, "daily", (day, day))
    assert list(days_behind(spare.lake, judged=True)) == [DAYS[2]]
    run = fail(spare, apart.run_requests[-1])
    again = tick(spare, "inbox", apart.cursor)
    assert again.days == [("daily", str(DAYS[2]), str(DAYS[2]))], run


# ---------------------------------------------------------------- changed champion


def test_a_new_champion_judges_the_newest_days(spare: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGAD_OPERATION__RESCORE_DAYS", "2")
    settled = tick(spare, "changed_champion")
    assert "judged by version 1" in settled.said
    spare.registry._client().set_registered_model_alias("logad", CHAMPION, add_version(spare, model_folder(spare)))
    first = tick(spare, "changed_champion", settled.cursor)
    assert [request.job_name for request in first.run_requests] == ["try_champion"]
    run_job(spare.settings, "try_champion")
    asked = tick(spare, "changed_champion", first.cursor)
    assert asked.days == [("judge_days", str(DAYS[-2]), str(DAYS[-1]))]
    assert former_champions(spare.registry) == ["1"], "whoever moved the alias"
    repeated = tick(spare, "changed_champion", first.cursor)
    assert repeated.keys == asked.keys
    run_job(spare.settings, "judge_days", (DAYS[-2], DAYS[-1]))
    assert {row.day: row.model_version for row in judged_days(spare.lake)} == {
        DAYS[0]: "1", DAYS[1]: "1", DAYS[2]: "2", DAYS[3]: "2",
    }  # fmt: skip
    assert not tick(spare, "changed_champion", asked.cursor).run_requests
    assert rollback(spare.registry) == ("2", "1")
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


def test_a_trial_that_failed_for_another_reason_is_made_again(spare: Deployed, impatient: None) -> None:
    settled = tick(spare, "changed_champion")
    spare.registry._client().set_registered_model_alias("logad", CHAMPION, add_version(spare, model_folder(spare)))
    first = tick(spare, "changed_champion", settled.cursor)
    fail(spare, first.run_requests[0])
    second = tick(spare, "changed_champion", first.cursor)
    assert [request.job_name for request in second.run_requests] == ["try_champion"]
    assert second.keys != first.keys


def test_judging_again_that_failed_is_made_again(
    spare: Deployed, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGAD_OPERATION__RESCORE_DAYS", "1")
    promote(spare.registry, add_version(spare, model_folder(spare)))
    first = tick(spare, "changed_champion")
    fail(spare, first.run_requests[0])
    second = tick(spare, "changed_champion", first.cursor)
    assert (second.days, second.keys == first.keys) == (first.days, False)


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
    raise_alarms(spare, 0.1)
    rows = judged_days(spare.lake)
    calm = sum(row.windows - row.alerts for row in rows)
    assert accepted_windows(spare.lake, rows) == calm
    verdicts = spare.rows("scores")
    record_feedback(spare.lake, next(row["window_id"] for row in verdicts if not row["is_anomaly"]), "anomalous")
    assert accepted_windows(spare.lake, rows) == calm - 1
    record_feedback(spare.lake, next(row["window_id"] for row in verdicts if row["is_anomaly"]), "normal")
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


def half_way(deployed: Deployed, *tags: str) -> None:
    """Version 1 as a first training leaves it that failed before it wrote these tags."""
    client = deployed.registry._client()
    client.delete_registered_model_alias("logad", CHAMPION)
    client.delete_registered_model_tag("logad", "former_champions")
    for tag in tags:
        client.delete_model_version_tag("logad", "1", tag)


def test_a_first_training_that_failed_half_way_is_made_again(spare: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    half_way(spare, "gate")
    patient(monkeypatch, first_windows=1)
    due = tick(spare, "retraining")
    [request] = due.run_requests
    assert "no model yet" in request.run_config["ops"]["anomaly_model"]["config"]["reason"]
    run = fail(spare, request.with_replaced_attrs(job_name="training"))
    patient(monkeypatch, first_windows=1, cooling_hours=24)
    assert f"and failed (run {run}" in tick(spare, "retraining", due.cursor).said
    patient(monkeypatch, first_windows=1)
    assert tick(spare, "retraining", due.cursor).keys != [request.run_key]


def test_a_half_made_version_does_not_count_as_the_last_training(spare: Deployed) -> None:
    registry = spare.registry
    version = add_version(spare, model_folder(spare))
    registry.annotate(version, {"last_day": "2030-01-01"})
    newest = newest_training(registry, "1")
    assert newest is not None
    assert newest.version == "1"
    registry.annotate(version, {"gate": "{}"})
    newest = newest_training(registry, "1")
    assert newest is not None
    assert newest.version == version


def test_a_first_model_that_was_not_promoted_is_promoted(spare: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    half_way(spare)
    [request] = tick(spare, "retraining").run_requests
    assert request.asset_selection == [dg.AssetKey("champion_model")]
    training = build_definitions(spare.settings).resolve_job_def("training")
    with spare.instance() as instance:
        training.get_subset(asset_selection={dg.AssetKey("champion_model")}).execute_in_process(instance=instance)
    assert spare.registry.version_of(CHAMPION) == "1"
    spare.registry._client().delete_registered_model_alias("logad", CHAMPION)
    assert "logad promote 1" in tick(spare, "retraining").said, "who takes the alias away wants no champion"
    spare.registry._client().delete_registered_model_tag("logad", "former_champions")
    monkeypatch.setenv("LOGAD_MODEL__AUTOMATIC_PROMOTION", "false")
    assert "logad promote 1" in tick(spare, "retraining").said


def test_days_that_were_held_out_are_no_new_ones(judged: Deployed) -> None:
    wanted = RetrainingSettings(drift_days=30)
    made = datetime.now(UTC)
    rows = judged_days(judged.lake)
    for newest_day, new in ((DAYS[0], DAYS[1:]), (DAYS[2], DAYS[3:]), (DAYS[3], [])):
        trained = Trained("1", DAYS[0], newest_day, made)
        count = accepted_windows(judged.lake, [row for row in rows if row.day in new])
        assert reason_to_train(judged.lake, trained, "1", wanted)[0].startswith(f"{count} windows")


@pytest.mark.parametrize("spoil", [of_an_older_format, of_other_masks])
def test_a_champion_that_an_upgrade_left_behind_starts_a_training(
    spoil: Callable[[Path], None], spare: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, files, windows = spare.registry, model_folder(spare), len(spare.rows("windows"))
    assert registry.left_behind("1") == ""
    old = tmp_path / "old" / "model"
    shutil.copytree(files, old)
    spoil(old / "artifacts" / "model")
    version = add_version(spare, old)
    registry.annotate(version, registry.tags("1"))
    registry._client().set_registered_model_alias("logad", CHAMPION, version)
    registry._client().delete_model_version("logad", "1")
    patient(monkeypatch, cooling_hours=24, first_windows=windows + 1)
    said = tick(spare, "retraining").said
    assert f"champion {version} cannot judge in this release" in said
    assert "`logad train`" in said
    assert f"with {windows + 1} windows of its masks, not {windows}" in said
    patient(monkeypatch, cooling_hours=24, first_windows=windows)
    due = tick(spare, "retraining")
    [request] = due.run_requests
    reason = request.run_config["ops"]["anomaly_model"]["config"]["reason"]
    assert re.search(r"in this release \((model format 1|masks version 0), this release", reason)
    assert "cooling_hours is 24" in tick(spare, "retraining", due.cursor).said, "and not again and again"
    trained = add_version(spare, files)
    gate = json.dumps({"passed": True, "against": "", "reason": ""})
    registry.annotate(trained, {**registry.tags(version), "gate": gate})
    monkeypatch.setenv("LOGAD_MODEL__AUTOMATIC_PROMOTION", "false")
    assert f"logad promote {trained}" in tick(spare, "retraining", due.cursor).said
    monkeypatch.delenv("LOGAD_MODEL__AUTOMATIC_PROMOTION")
    assert tick(spare, "retraining", due.cursor).keys == [f"promotion of version {trained}"]
