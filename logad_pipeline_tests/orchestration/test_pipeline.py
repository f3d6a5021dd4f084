"""From landed files to verdicts and reports: what a user would find wrong in tables, runs and MLflow."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import zstandard

from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.lake.landing import land
from logad_pipeline.lake.ledger import raw_parts
from logad_pipeline.orchestration.assets.champion_model import champion_model
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.runs import RunFailed, prepare_instance, run_job
from logad_pipeline.registry.registry import CHALLENGER, CHAMPION
from logad_pipeline_tests.lake.test_record_facts import written_before
from logad_pipeline_tests.registry.test_registry import model_folder

from .conftest import DAYS, DETECTORS, EMPTY_DAY, Deployed, logad

LINES = [
    "2025-03-05 07:45:20,487 INFO [req-d0e826c2] service.gateway: accepted GET /api/v1/products/1324",
    "2025-03-05 07:45:20,494 INFO [req-d0e826c2] service.cache: hit product:1324",
    "2025-03-05 07:45:21,494 ERROR [req-d0e826c2] service.cache: unreachable, giving up",
]


def materialised(deployed: Deployed, asset: str, run_id: str | None = None) -> Counter[str]:
    """How often each day of an asset was materialised."""
    with deployed.instance() as instance:
        records = instance.fetch_materializations(dg.AssetKey(asset), limit=500).records
    return Counter(r.partition_key for r in records if r.partition_key and run_id in (None, r.run_id))


# ---------------------------------------------------------------- tables


def test_every_landed_line_is_a_record_continues_one_or_is_quarantined(judged: Deployed) -> None:
    landed: Counter[tuple[date, str, int]] = Counter()
    for row in judged.rows("ledger"):
        for run in row["runs"]:
            lines = range(run["first_line"], run["first_line"] + run["lines"])
            landed.update((row["day"], row["file_sha256"], line) for line in lines)
    found: Counter[tuple[date, str, int]] = Counter()
    continued = 0
    for row in judged.rows("normalized"):
        lines = range(row["first_line"], row["last_line"] + 1)
        found.update((row["day"], row["file_sha256"], line) for line in lines)
        continued += len(lines) - 1
    quarantined = judged.rows("quarantine")
    found.update((row["day"], row["file_sha256"], row["line"]) for row in quarantined)
    assert found == landed
    assert set(landed.values()) == {1}
    assert continued == 3
    assert [row["raw"] for row in quarantined] == [b"no record: the end of something that was cut off"]


def test_every_record_is_in_a_window(judged: Deployed) -> None:
    records = {(row["day"], row["record_id"]) for row in judged.rows("normalized")}
    in_windows = Counter((row["day"], number) for row in judged.rows("windows") for number in row["record_ids"])
    assert in_windows.keys() == records
    assert set(in_windows.values()) == {1}, "fixed windows do not overlap"


def test_each_window_has_one_verdict_of_the_champion(judged: Deployed) -> None:
    windows = [(row["day"], row["window_id"]) for row in judged.rows("windows")]
    verdicts = judged.rows("scores")
    assert sorted((row["day"], row["window_id"]) for row in verdicts) == sorted(windows)
    assert len(set(windows)) == len(windows) > 100
    assert {row["day"] for row in verdicts} == set(DAYS)
    assert {(row["model_name"], row["model_version"]) for row in verdicts} == {("logad", "1")}
    for row in verdicts:
        assert 0 <= row["score"] < 1
        assert row["is_anomaly"] == (row["score"] >= THRESHOLD)
        assert dict(row["detectors"]).keys() == set(DETECTORS)
    assert len({row["score"] for row in verdicts}) > 10, "the scores do not tell windows apart"


# ---------------------------------------------------------------- runs


def test_each_job_went_through_all_days_in_one_run(judged: Deployed) -> None:
    with judged.instance() as instance:
        runs = instance.get_runs()
    assert Counter(run.job_name for run in runs) == {"prepare_days": 1, "training": 1, "judge_days": 1}
    assert all(run.is_success for run in runs)
    for asset in ("raw_logs", "normalized_logs", "windows", "scores", "alerts", "daily_report"):
        assert materialised(judged, asset) == dict.fromkeys(map(str, DAYS), 1), asset


def test_judging_again_gives_the_same_rows_without_asking_the_model(
    spare: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted(*_: object) -> None:
        raise AssertionError("a window was scored a second time")

    monkeypatch.setattr("logad_pipeline.streams.probe", lambda model: 0.0)  # The champion is tried each time.
    monkeypatch.setattr("logad_pipeline.detectors.ensemble.AnomalyDetector.score_encoded", unwanted)
    tables = ("normalized", "quarantine", "windows", "scores", "alerts")
    before = {table: spare.rows(table) for table in tables}
    run_id = run_job(spare.settings, "daily", (DAYS[0], DAYS[-1]))
    assert {table: spare.rows(table) for table in tables} == before
    assert materialised(spare, "scores", run_id) == dict.fromkeys(map(str, DAYS), 1)
    with spare.instance() as instance:
        [event] = instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey("scores"), asset_partitions=[str(DAYS[0])]), limit=1
        ).records
    table = str(event.asset_materialization.metadata["by_day"].value)
    assert f"| {DAYS[0]} | " in table
    assert all(row.split(" | ")[2] == "0" for row in table.splitlines()[2:]), "newly scored"


def test_a_day_without_data_succeeds_and_is_empty(spare: Deployed) -> None:
    run_id = run_job(spare.settings, "daily", (EMPTY_DAY, EMPTY_DAY))
    assert EMPTY_DAY not in spare.lake.days("scores")
    assert (spare.lake.path("reports", EMPTY_DAY) / "report.html").is_file()
    with spare.instance() as instance:
        evaluations = [
            event.asset_check_evaluation_data
            for event in (entry.dagster_event for entry in instance.all_logs(run_id))
            if event and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ]
    assert {e.check_name for e in evaluations if not e.passed} == {"day_has_data"}
    assert len(spare.rows("scores")) == len(spare.rows("windows"))


def settled(row: dict[str, Any]) -> dict[str, Any]:
    """A verdict without what depends on the threshold in force."""
    return {name: value for name, value in row.items() if name not in ("score", "risk")}


def test_a_late_file_changes_its_day_alone(spare: Deployed, tmp_path: Path) -> None:
    late_day, others = DAYS[2], [DAYS[0], DAYS[1], DAYS[3]]
    before, before_late = spare.rows("scores", others), spare.rows("scores", [late_day])
    late = tmp_path / "late-service.log"
    late.write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    landed = land(spare.lake, late)
    assert landed.days == {late_day: 3}
    done = logad("run", "--from", late_day, "--to", late_day, "--lake", spare.root)
    assert done.exit_code == 0, done.output
    assert spare.rows("scores", others) == before
    after = spare.rows("scores", [late_day])
    new = [row for row in after if row["source"] == "late-service.log"]
    # The threshold goes over the day in order of time, so a window more moves it a little for those after it.
    assert [settled(row) for row in after if row not in new] == [settled(row) for row in before_late]
    assert [row["lines"] for row in new] == [[1, 2, 3]]
    assert materialised(spare, "scores") == dict.fromkeys(map(str, DAYS), 1) | {str(late_day): 2}


# ---------------------------------------------------------------- what goes wrong


def shorten(deployed: Deployed, day: date) -> None:
    """Take the last line of a raw part, leaving a sound file."""
    part = raw_parts(deployed.lake, day)[0]
    file = deployed.root / part.raw_path
    lines = zstandard.ZstdDecompressor().stream_reader(file.open("rb")).readall().splitlines(keepends=True)
    file.write_bytes(zstandard.ZstdCompressor().compress(b"".join(lines[:-1])))


def cut_off(deployed: Deployed, day: date) -> None:
    """Half a raw part, as after a full disk."""
    file = deployed.root / raw_parts(deployed.lake, day)[0].raw_path
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def remove(deployed: Deployed, day: date) -> None:
    (deployed.root / raw_parts(deployed.lake, day)[0].raw_path).unlink()


@pytest.mark.parametrize("damage", [shorten, cut_off, remove])
def test_a_damaged_raw_part_stops_the_day_before_its_windows(
    damage: Callable[[Deployed, date], None], spare: Deployed
) -> None:
    before = spare.rows("windows"), spare.rows("normalized"), spare.run_ids()
    damage(spare, DAYS[1])
    with pytest.raises(RunFailed) as failure:
        run_job(spare.settings, "prepare_days", (DAYS[1], DAYS[1]))
    said = str(failure.value)
    if damage is shorten:
        assert "lines_match_ledger" in said
    else:
        part = raw_parts(spare.lake, DAYS[1])[0]
        assert f"ingest {part.original_path} again" in said
        assert "logad_pipeline." not in said
    assert (spare.rows("windows"), spare.rows("normalized")) == before[:2]
    [run_id] = spare.run_ids() - before[2]
    for asset in ("normalized_logs", "windows"):
        assert not materialised(spare, asset, run_id)


def test_logad_run_goes_on_with_the_other_days_and_names_those_that_failed(spare: Deployed) -> None:
    for day, damage in ((DAYS[0], shorten), (DAYS[2], remove)):
        damage(spare, day)
    before = {row["day"]: row["judged_at"] for row in spare.rows("days")}
    done = logad("run", "--lake", spare.root)
    assert done.exit_code == 1
    named = [line for line in done.stderr.splitlines() if line.startswith("logad: ")]
    assert [line.split()[1] for line in named] == [f"{DAYS[0]}:", f"{DAYS[2]}:", "2"]
    assert "lines_match_ledger" in named[0]
    assert "ingest" in named[1]
    assert "2 of 4 days failed" in named[2]
    after = {row["day"]: row["judged_at"] for row in spare.rows("days")}
    assert [after[day] > before[day] for day in DAYS] == [False, True, False, True]
    done = logad("run", "--from", DAYS[0], "--to", DAYS[0], "--lake", spare.root)
    assert done.exit_code == 1, "though it was the only one"


def test_what_is_wrong_with_no_day_ends_a_run_at_once(
    spare: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older_format(spare, tmp_path)
    spare.registry.set_model_tag("former_champions", "[]")
    before = spare.run_ids()
    done = logad("run", "--lake", spare.root)
    assert (done.exit_code, len(spare.run_ids() - before)) == (3, 1)
    assert "model format 1" in done.stderr.splitlines()[-1]
    assert "logad train" in done.stderr.splitlines()[-1]


def test_scores_without_a_champion_say_so(spare: Deployed) -> None:
    spare.registry._client().delete_registered_model_alias("logad", CHAMPION)
    before = spare.rows("scores")
    with pytest.raises(RunFailed, match=r"there is no champion yet.*`logad train`"):
        run_job(spare.settings, "judge_days", (DAYS[0], DAYS[0]))
    assert spare.rows("scores") == before


# ---------------------------------------------------------------- reports


def test_each_day_has_a_report_that_needs_no_network(judged: Deployed) -> None:
    files = [judged.lake.path("reports", day) / "report.html" for day in DAYS]
    files.append(judged.lake.path("reports") / "model-1" / "report.html")
    for file in files:
        page = file.read_text(encoding="utf-8")
        assert "<script" not in page.lower()
        for fetched in (r"(?:src|href|action|data)\s*=", r"url\(", r"@import"):
            assert not re.search(rf"""{fetched}\s*["']?\s*(?:https?:)?//""", page, re.IGNORECASE)
        assert re.search(r"\brandom\b", page), f"{file} does not say that the weights were random"
    assert str(DAYS[0]) in files[0].read_text(encoding="utf-8")


# ---------------------------------------------------------------- MLflow


def test_mlflow_tells_of_the_training(judged: Deployed) -> None:
    registry = judged.registry
    client = registry._client()
    version = client.get_model_version("logad", "1")
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.max_steps"] == "20"
    assert run.data.params["model.base_model"] == "random"
    assert run.data.params["model.detectors"] == ", ".join(DETECTORS)
    assert (run.data.params["first_day"], run.data.params["last_day"]) == (str(DAYS[0]), str(DAYS[1]))
    assert run.data.tags["encoder_source"] == "random"
    for metric in ("train_loss", "held_out_loss"):
        history = client.get_metric_history(version.run_id, metric)
        steps = [point.step for point in history]
        assert len(steps) == len(set(steps)) > 0
        assert max(steps) <= 20
        assert all(math.isfinite(point.value) for point in history)
    plots = {file.path for file in client.list_artifacts(version.run_id, "plots")}
    assert {"plots/training_curves.png", "plots/score_histogram.png", "plots/tsne_of_cls.png"} <= plots
    assert "alert_share" in version.tags
    assert version.tags["days"] == f"{DAYS[0]}..{DAYS[1]}"
    assert "eval_alert_share" in run.data.metrics
    assert registry.version_of(CHALLENGER) == registry.version_of(CHAMPION) == "1"


def test_the_lake_gives_the_scores_that_files_give(judged: Deployed) -> None:
    from logad_pipeline.streams import FileScorer

    detector = judged.registry.load("models:/logad@champion", "cpu").detector
    in_lake = {
        tuple(sorted(row["lines"])): (float(detector.scale.score(row["log10_p"])), dict(row["detectors"]))
        for row in judged.rows("scores", DAYS[:1])
        if row["source"] == "db01.log"
    }
    file = judged.root / "simulated" / "db01.log"
    found = {tuple(v.window.lines): (v.score, v.detectors) for v in FileScorer(detector).score(str(file))}
    # Windows end with the day in the lake; those of the first day but its last are cut alike.
    alike = in_lake.keys() & found.keys()
    assert len(alike) >= len(in_lake) - 1 > 0
    for lines in alike:
        assert found[lines][0] == pytest.approx(in_lake[lines][0], abs=1e-5)
        assert found[lines][1] == pytest.approx(in_lake[lines][1], abs=1e-5)


# ---------------------------------------------------------------- the gate


def materialise_champion(deployed: Deployed) -> dict[str, object]:
    prepare_instance(deployed.settings)
    result = dg.materialize([champion_model], resources={"deployment": Deployment(lake=str(deployed.root))})
    [event] = result.asset_materializations_for_node("champion_model")
    return {name: value.value for name, value in event.metadata.items()}


def add_challenger(deployed: Deployed, passed: bool, against: str = "1") -> None:
    """A second version, of the same files, and what the gate said of it."""
    client = deployed.registry._client()
    first = client.get_model_version("logad", "1")
    client.create_model_version("logad", first.source, first.run_id)
    tell_gate(deployed, passed, against)
    deployed.registry.set_alias(CHALLENGER, "2")


def tell_gate(deployed: Deployed, passed: bool, against: str = "1") -> None:
    verdict = {"passed": passed, "against": against, "reason": "alarms on 90.00% of windows"}
    deployed.registry.annotate("2", {"gate": json.dumps(verdict)})


def test_who_becomes_champion(spare: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = spare.registry
    add_challenger(spare, passed=False)
    told = materialise_champion(spare)
    assert (told["gate_passed"], told["champion"]) == (False, "1")
    assert "90.00%" in str(told["reason"])
    assert registry.version_of(CHAMPION) == "1", "it cries wolf"

    tell_gate(spare, passed=True, against="7")
    assert "compared with version 7" in str(materialise_champion(spare)["reason"])
    assert registry.version_of(CHAMPION) == "1", "another champion was passed"

    tell_gate(spare, passed=True)
    monkeypatch.setenv("LOGAD_MODEL__AUTOMATIC_PROMOTION", "false")
    told = materialise_champion(spare)
    assert (told["gate_passed"], told["champion"]) == (True, "1")
    assert registry.version_of(CHAMPION) == "1", "a person decides"

    monkeypatch.delenv("LOGAD_MODEL__AUTOMATIC_PROMOTION")
    assert materialise_champion(spare)["champion"] == "2"
    assert registry.version_of(CHAMPION) == "2"


def older_format(deployed: Deployed, folder: Path) -> str:
    """A version of an older format that was made champion with MLflow's button."""
    old = folder / "old" / "model"
    shutil.copytree(model_folder(deployed), old)
    description = old / "artifacts" / "model" / "model.json"
    description.write_text(json.dumps(json.loads(description.read_text()) | {"format": 1}))
    client = deployed.registry._client()
    version = str(client.create_model_version("logad", old.as_uri()).version)
    client.set_registered_model_alias("logad", CHAMPION, version)
    return version


def test_while_the_alias_is_at_a_broken_version_the_champion_before_it_judges(spare: Deployed, tmp_path: Path) -> None:
    version, before = older_format(spare, tmp_path), spare.rows("scores")
    run_id = run_job(spare.settings, "judge_days", (DAYS[0], DAYS[0]))
    assert spare.rows("scores") == before
    with spare.instance() as instance:
        told = [record.user_message for record in instance.all_logs(run_id)]
    assert [words for words in told if words.startswith(f"champion {version} cannot judge: ") and "model format 1" in
            words and "version 1, champion before it, judges meanwhile" in words]  # fmt: skip
    assert spare.registry.version_of(CHAMPION) == version, "to move the alias is not the business of who judges"


def test_a_champion_of_an_older_format_stands_in_no_ones_way(spare: Deployed, tmp_path: Path) -> None:
    registry, version, before = spare.registry, older_format(spare, tmp_path), spare.rows("scores")
    registry.annotate("1", {"gate": json.dumps({"passed": True, "against": "", "reason": ""})})
    registry.set_model_tag("former_champions", "[]")
    with pytest.raises(RunFailed, match=r"logad train.*model format 1, this release reads \d+"):
        run_job(spare.settings, "judge_days", (DAYS[0], DAYS[0]))
    assert spare.rows("scores") == before
    told = materialise_champion(spare)
    assert (told["champion_before"], told["gate_passed"], told["champion"]) == (version, True, "1")


def test_a_day_of_an_earlier_release_is_judged_by_its_texts_and_said_so(spare: Deployed) -> None:
    written_before(spare.lake)
    run_id = run_job(spare.settings, "judge_days", (DAYS[0], DAYS[0]))
    assert {name for row in spare.rows("scores", DAYS[:1]) for name, _ in row["detectors"]} == set(DETECTORS[:4])
    with spare.instance() as instance:
        [event] = instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey("scores"), asset_partitions=[str(DAYS[0])]), limit=1
        ).records
        assert event.asset_materialization.metadata["days_judged_without_records"].value == 1
        said = [entry.user_message for entry in instance.all_logs(run_id)]
    assert any(f"{DAYS[0]}: normalised by an earlier release" in message for message in said)
    run_job(spare.settings, "daily", (DAYS[0], DAYS[0]))
    assert {name for row in spare.rows("scores", DAYS[:1]) for name, _ in row["detectors"]} == set(DETECTORS)
    report = (spare.lake.path("reports", DAYS[0]) / "report.html").read_text(encoding="utf-8")
    assert "t-SNE of the [CLS] embeddings" in report, "the run of one day has the time to draw the map"


def test_the_report_of_days_judged_by_two_versions_speaks_of_the_newest(spare: Deployed) -> None:
    add_challenger(spare, passed=True)
    spare.registry.set_alias(CHAMPION, "2")
    run_job(spare.settings, "judge_days", (DAYS[-1], DAYS[-1]))
    versions = {row["day"]: row["model_version"] for row in spare.rows("scores")}
    assert versions == dict.fromkeys(DAYS[:-1], "1") | {DAYS[-1]: "2"}
    done = logad("report", "--json", "--lake", spare.root)
    assert done.exit_code == 0, done.output
    assert "versions 1, 2" in done.stderr
    assert json.loads(done.stdout)["windows"] == len(spare.rows("scores"))
