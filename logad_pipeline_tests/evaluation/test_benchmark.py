"""The benchmark: every row on the same units, nothing fitted where labels leak, and what is promised kept track of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from logad_pipeline.detectors.calibration import ScoreScale
from logad_pipeline.detectors.fitting import FitSpec
from logad_pipeline.detectors.units import UnitKind
from logad_pipeline.evaluation import benchmark
from logad_pipeline.evaluation.baselines import all_baselines
from logad_pipeline.evaluation.benchmark import (
    ADAPTIVE,
    RATES,
    BenchmarkResult,
    SeedRun,
    adaptive_scores,
    baseline_rows,
    promised_and_achieved,
    run_benchmark,
)
from logad_pipeline.evaluation.benchmark_set import BenchmarkPart, BenchmarkSet
from logad_pipeline.evaluation.datasets import load_set
from logad_pipeline.evaluation.judging import ALONE, FUSION, ONLY_BERT, WITHOUT, truth_of, unit_key, unit_lines
from logad_pipeline.evaluation.leak_audit import LeakFound
from logad_pipeline.evaluation.metrics import evaluate
from logad_pipeline.streams import LineWindow
from logad_pipeline_tests.tiny_model import tiny_fit_spec

from .small_sets import only_part, write_cycle_blocks, write_cycle_log

DETECTORS = ("surprise", "worst_line", "distance", "counts", "events", "entity_graph")
UNITS = {"authlog": 60, "hdfs": 60}
"""Test units of each set: 600 lines in windows of ten, and as many blocks."""


def loaded(folder: Path, name: str) -> BenchmarkSet:
    if name == "hdfs":
        write_cycle_blocks(folder / name)
    else:
        write_cycle_log(folder / name)
    return load_set(name, folder, folder / "work")


def quick() -> FitSpec:
    return replace(tiny_fit_spec(max_steps=20), detectors=DETECTORS)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkSet:
    return loaded(tmp_path_factory.mktemp("authlog"), "authlog")


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkSet:
    return loaded(tmp_path_factory.mktemp("hdfs"), "hdfs")


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def results(lines: BenchmarkSet, blocks: BenchmarkSet, said: list[str]) -> Mapping[str, BenchmarkResult]:
    return {
        "authlog": run_benchmark(lines, quick(), (0, 5), say=said.append),
        "hdfs": run_benchmark(blocks, quick(), (0,)),
    }


@pytest.mark.parametrize("name", UNITS)
def test_every_detector_has_a_row_alone_and_a_row_left_out_beside_all_baselines(
    results: Mapping[str, BenchmarkResult], name: str
) -> None:
    names = [row.name for row in results[name].rows]
    assert names[:2] == [FUSION, ADAPTIVE]
    assert len(names) == len(set(names))
    assert set(names) >= {ALONE + one for one in DETECTORS} | {WITHOUT + one for one in DETECTORS}
    assert set(names) >= {ONLY_BERT, WITHOUT + "BERT"}, "what BERT adds over the rest can be read off"
    assert set(names) >= {one.name for one in all_baselines(0)}


@pytest.mark.parametrize("name", UNITS)
def test_all_rows_are_of_the_same_units(results: Mapping[str, BenchmarkResult], name: str) -> None:
    assert {(run.units, run.positives) for row in results[name].rows for run in row.runs} == {(UNITS[name], 10)}


@pytest.mark.parametrize("name", UNITS)
def test_scores_are_between_0_and_1_and_find_what_was_planted(
    results: Mapping[str, BenchmarkResult], name: str
) -> None:
    for run in results[name].runs:
        for scores in run.scores.values():
            assert scores.shape == run.truth.shape
            assert ((scores >= 0) & (scores < 1)).all()
        fused = run.scores[FUSION]
        assert fused[run.truth].min() > np.median(fused[~run.truth])
        assert (run.log10_p <= 0).all()


def test_each_seed_is_a_run_of_its_own(results: Mapping[str, BenchmarkResult]) -> None:
    result = results["authlog"]
    assert [run.seed for run in result.runs] == [0, 5]
    assert [run.cards[0]["training"]["seed"] for run in result.runs] == [0, 5]
    one, other = (run.scores[ALONE + "surprise"] for run in result.runs)
    assert (one != other).any()
    by_name = {row.name: row for row in result.rows}
    assert len(by_name[FUSION].runs) == len(by_name[FUSION].seconds) == 2
    assert len(by_name["new events"].runs) == 1, "a baseline is run once"


def test_every_step_is_told_in_a_line(results: Mapping[str, BenchmarkResult], said: list[str]) -> None:
    assert results
    assert [text.split(":")[0] for text in said[:6]] == ["audit"] * 6
    assert "seed 5: fitting …" in said
    assert said[-1] == "baselines …"
    assert not any("\n" in text for text in said)


@pytest.mark.parametrize("name", UNITS)
def test_promised_and_achieved_rates_are_shares_of_the_normal_units(
    results: Mapping[str, BenchmarkResult], name: str
) -> None:
    found = promised_and_achieved(results[name].runs[0])
    assert found["promised"] == list(RATES)
    for kind in ("fixed", "adaptive"):
        assert len(found[kind]) == len(RATES)
        assert all(0 <= rate <= 1 for rate in found[kind])
        units = np.array(found[kind]) * 50
        assert units == pytest.approx(units.round()), "50 units are normal"
    assert found["fixed"] == sorted(found["fixed"])
    assert all(a <= f for a, f in zip(found["adaptive"], found["fixed"], strict=True))


def test_the_same_units_in_the_same_order_are_judged_by_the_baselines(
    results: Mapping[str, BenchmarkResult], lines: BenchmarkSet, blocks: BenchmarkSet
) -> None:
    for loaded_set in (lines, blocks):
        _, test, truth = unit_lines(loaded_set, only_part(loaded_set.parts))
        run = results[loaded_set.name].runs[0]
        assert len(test) == len(truth)
        assert (truth == run.truth).all()


def test_levels_are_told_to_the_rules_on_them(blocks: BenchmarkSet, lines: BenchmarkSet) -> None:
    rows = {row.name: row.runs[0] for row in baseline_rows(blocks, 0.01, 0)}
    assert rows["an ERROR line"].at_threshold.recall == rows["an ERROR line"].at_threshold.precision == 1.0
    rows = {row.name: row.runs[0] for row in baseline_rows(lines, 0.01, 0)}
    assert rows["a WARN or ERROR line"].at_threshold.alerts == 0, "auth.log has no levels"


def leaky(benchmark_set: BenchmarkSet, kind: str) -> BenchmarkSet:
    part = only_part(benchmark_set.parts)
    if kind == "label column":
        file = part.test[0].with_name("spoilt.log")
        file.write_bytes(b"Anomaly " + part.test[0].read_bytes())
        part = replace(
            part, test=(file,), line_truth={file.name: (part.line_truth or {})["test.log"]},
            provenance={**part.provenance, file.name: part.provenance["test.log"]},
        )  # fmt: skip
    else:
        both = part.provenance["train.log"], part.provenance["test.log"]
        part = replace(part, provenance={"train.log": both[0], "test.log": (*both[0], *both[1])})
    return replace(benchmark_set, parts=(part,))


@pytest.mark.parametrize("kind", ["label column", "shared lines"])
def test_a_leak_stops_it_before_anything_is_fitted(
    lines: BenchmarkSet, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fitted(*_: Any) -> None:
        raise AssertionError("something was fitted")

    monkeypatch.setattr(benchmark, "fit_files", fitted)
    monkeypatch.setattr(benchmark, "run_baselines", fitted)
    with pytest.raises(LeakFound, match=f"{kind}.*nothing was fitted"):
        run_benchmark(leaky(lines, kind), quick(), (0,))


def seed_run(log10_p: list[float], parts: list[int] | None = None, different: int = 10_000) -> SeedRun:
    values = np.array(log10_p)
    truth = np.zeros(len(values), dtype=np.bool_)
    numbers = np.array(parts or [0] * len(values), dtype=np.int64)
    kinds = [str(i % different).encode() for i in range(len(values))]
    novel = np.zeros(len(values), dtype=np.bool_)
    return SeedRun(0, {}, values, kinds, novel, truth, numbers, 0.0, 0.0, [], [])


def fixed_scores(run: SeedRun, rate: float) -> np.ndarray:
    return np.asarray(ScoreScale(rate).score(run.log10_p))


def test_without_alarms_near_the_threshold_adapting_changes_nothing() -> None:
    run = seed_run([-0.1, -1.9, -6.0, -1.0, -4.0, -0.5] * 20)
    assert adaptive_scores(run, 0.01) == pytest.approx(fixed_scores(run, 0.01))


def test_alarms_near_the_threshold_end_when_they_go_on() -> None:
    run = seed_run([-2.1] * 50, different=25)
    adapted = adaptive_scores(run, 0.01)
    assert adapted[0] >= 0.5 > adapted[-1]
    assert (fixed_scores(run, 0.01) >= 0.5).all()


def test_the_threshold_of_a_part_knows_nothing_of_the_others() -> None:
    alone = adaptive_scores(seed_run([-2.1] * 20, different=10), 0.01)
    together = adaptive_scores(seed_run([-2.1] * 40, [0] * 20 + [1] * 20, different=10), 0.01)
    assert together.tolist() == [*alone, *alone]


def window(source: str, group: str, *numbers: int) -> LineWindow:
    return LineWindow(source, group, tuple((n, n) for n in numbers), tuple(range(len(numbers))), 0, None, ())


def test_a_window_is_anomalous_if_one_of_its_lines_is() -> None:
    truth = {"test.log": np.array([False, False, True, False])}
    part = BenchmarkPart("", (), (), None, truth, {})
    assert truth_of(part, "/somewhere/test.log", window("", "", 2, 3)) is True
    assert truth_of(part, "/somewhere/test.log", window("", "", 1, 2, 4)) is False


def test_units_without_a_label_are_not_judged() -> None:
    part = BenchmarkPart("", (), (), {"blk_1": True, "0007.log": False}, None, {})
    assert truth_of(part, "test.log", window("", "blk_1", 1)) is True
    assert truth_of(part, "/work/0007.log", window("", "", 1)) is False
    assert truth_of(part, "test.log", window("", "blk_2", 1)) is None


def test_a_group_is_one_unit_over_all_files_and_no_group_is_none() -> None:
    group, file = UnitKind.parse("group"), UnitKind.parse("file")
    assert unit_key(group, window("a.log", "blk_1", 1), 0) == unit_key(group, window("b.log", "blk_1", 1), 9)
    assert unit_key(group, window("a.log", "", 1), 0) != unit_key(group, window("a.log", "", 1), 1)
    assert unit_key(file, window("a.log", "x", 1), 0) != unit_key(file, window("b.log", "x", 1), 0)


def test_evaluations_of_a_run_come_from_its_scores(results: Mapping[str, BenchmarkResult]) -> None:
    result = results["hdfs"]
    (run,) = result.runs
    row = next(row for row in result.rows if row.name == FUSION)
    assert row.runs[0].roc_auc == evaluate(run.scores[FUSION], run.truth, 0.5, 0, resamples=10).roc_auc
