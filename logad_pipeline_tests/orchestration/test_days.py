"""Two that work on one day, a training that stops half-way, tables that are tidied."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from logad_pipeline.lake.feedback import record_feedback
from logad_pipeline.lake.judging import judge_day
from logad_pipeline.lake.landing import land
from logad_pipeline.lake.normalising import normalise_day
from logad_pipeline.lake.tables import DayConflict, Lake
from logad_pipeline.lake.thresholds import Promise
from logad_pipeline.lake.windowing import cut_day
from logad_pipeline.orchestration import partitions
from logad_pipeline.orchestration.partitions import ATTEMPTS, in_its_turn
from logad_pipeline.orchestration.runs import RunFailed, run_job
from logad_pipeline.registry.registry import CHALLENGER, CHAMPION

from .conftest import DAYS, Deployed

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_FIRST_PAUSE_SECONDS", 0.01)


class Log:
    """What an asset's log was told."""

    def __init__(self) -> None:
        self.log = self
        self.said: list[str] = []

    def warning(self, words: str, *values: object) -> None:
        self.said.append(words % values)


def rewriting(lake: Lake, meanwhile: Any) -> int:
    """Replace a day of windows by what it holds; before the commit, something else happens."""

    def batches() -> Iterator[pa.RecordBatch]:
        yield from list(lake.scan("windows", [DAYS[0]]))
        meanwhile()

    return lake.replace_day("windows", DAYS[0], batches())


def test_of_two_writers_of_a_day_one_wins_and_the_other_says_so_and_does_it_again(spare: Deployed, hasty: None) -> None:
    lake, log = spare.lake, Log()
    before = spare.rows("windows")
    disturbed = iter([True])

    def other() -> None:
        if next(disturbed, False):
            lake.replace_day("windows", DAYS[0], list(lake.scan("windows", [DAYS[0]])))

    rows = in_its_turn(log, DAYS[0], lambda: rewriting(lake, other))  # type: ignore[arg-type]
    assert rows == len(spare.rows("windows", DAYS[:1]))
    assert spare.rows("windows") == before
    [said] = log.said
    assert f"{DAYS[0]}: attempt 1 of {ATTEMPTS}" in said
    assert "another run wrote this day meanwhile" in said


def test_who_never_gets_a_turn_fails_and_has_written_nothing(spare: Deployed, hasty: None) -> None:
    lake, log = spare.lake, Log()
    before = spare.rows("windows")

    def other() -> None:
        lake.replace_day("windows", DAYS[0], list(lake.scan("windows", [DAYS[0]])))

    with pytest.raises(DayConflict, match="wait for the other one"):
        in_its_turn(log, DAYS[0], lambda: rewriting(lake, other))  # type: ignore[arg-type]
    assert len(log.said) == ATTEMPTS - 1
    assert spare.rows("windows") == before


def test_a_day_whose_windows_are_still_to_be_cut_is_judged_once_they_are(spare: Deployed, hasty: None) -> None:
    lake, log = spare.lake, Log()
    model = spare.registry.load("models:/logad/1", "cpu").detector
    late = spare.root / "aaa.log"  # its records come before all others
    late.write_text(f"{DAYS[0]} 00:00:00,000 INFO [r] service.a: hello\n", encoding="utf-8")
    land(lake, late)
    normalise_day(lake, DAYS[0], spare.settings.windows.group_by)
    attempts = iter(range(ATTEMPTS))

    def work() -> int:
        if next(attempts) == 1:
            cut_day(lake, DAYS[0], spare.settings.window_spec())  # as another run does meanwhile
        return judge_day(lake, DAYS[0], model, "logad", "1", Promise(0.01)).scores.windows

    assert in_its_turn(log, DAYS[0], work) == len(spare.rows("windows", DAYS[:1]))  # type: ignore[arg-type]
    [said] = log.said
    assert "cut from other records" in said


def test_two_backfills_of_the_same_days_at_once_leave_what_one_does(spare: Deployed) -> None:
    tables = ("normalized", "windows", "scores", "alerts")
    before = {table: spare.rows(table) for table in tables}
    command = [sys.executable, "-m", "logad_pipeline", "run", "--lake", str(spare.root)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    both = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        _, said = process.communicate()
        assert process.returncode == 0, said
    assert {table: spare.rows(table) for table in tables} == before


# ---------------------------------------------------------------- training


def test_a_training_that_fails_half_way_changes_no_alias_and_can_be_repeated(
    spare: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = spare.registry
    with monkeypatch.context() as broken:
        broken.setattr("logad_pipeline.detectors.fitting._Fit.calibrate", _power_cut)
        with pytest.raises(RunFailed, match=r"anomaly_model.*power cut"):
            run_job(spare.settings, "training")
    assert (registry.versions(), registry.version_of(CHALLENGER), registry.version_of(CHAMPION)) == (["1"], "1", "1")
    config: dict[str, object] = {"anomaly_model": {"held_out_days": 1, "policy": "rolling", "span": 2}}
    run_job(spare.settings, "training", config=config)
    assert registry.versions() == ["2", "1"]
    tags = registry.tags("2")
    assert tags["all_days"] == f"{DAYS[1]} {DAYS[2]}"
    assert (tags["policy"], tags["champion_then"], tags["first_day"]) == ("rolling 2", "1", str(DAYS[1]))
    assert (tags["last_day"], tags["newest_day"]) == (str(DAYS[2]), str(DAYS[3])), "the last day is held out"
    assert tags["windows_table_version"] == str(spare.lake.version("windows"))
    assert set(tags) >= {"code_version", "mask_version", "parameters", "feedback_table_version", "gate", "tried"}
    with spare.instance() as instance:
        [event] = instance.fetch_materializations(dg.AssetKey("comparison_report"), limit=1).records
    told = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert (told["challenger"], told["champion"], told["days"]) == ("2", "1", 1)
    run = registry._client().get_model_version("logad", "2").run_id
    files = {file.path for file in registry._client().list_artifacts(run, "reports")}
    assert {"reports/comparison.html", "reports/comparison.json"} <= files


def _power_cut(*_: object) -> None:
    raise RuntimeError("power cut")


# ---------------------------------------------------------------- upkeep


def test_tidying_deletes_what_no_recent_version_needs_and_changes_no_row(spare: Deployed) -> None:
    lake = spare.lake
    tables = ("ledger", "normalized", "windows", "scores", "feedback", "days")
    window = spare.rows("scores")[0]["window_id"]
    for _ in range(3):
        record_feedback(lake, window, "normal")
    lake.replace_day("windows", DAYS[0], list(lake.scan("windows", [DAYS[0]])))
    before = {table: spare.rows(table) for table in tables}
    files = len(list(spare.root.glob("windows/day=*/*.parquet")))
    assert lake.tidy(timedelta(days=30)) == 0, "all of it is young"
    assert lake.tidy(timedelta(0)) > 0
    assert len(list(spare.root.glob("windows/day=*/*.parquet"))) < files
    assert {table: spare.rows(table) for table in tables} == before
    run_job(spare.settings, "tidy_lake")
    assert {table: spare.rows(table) for table in tables} == before
