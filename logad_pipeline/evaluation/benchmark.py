"""The benchmark: fit on the training part, judge the test units, over seeds, beside simple baselines.

Belongs here: the order of the steps and what is made of the scores. Sets are in ``datasets``, scores in
``judging``, the table in ``results``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import numpy as np

from logad_pipeline.detectors.adaptive import AdaptiveThreshold
from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.calibration import THRESHOLD, ScoreScale
from logad_pipeline.detectors.fitting import FitSpec
from logad_pipeline.streams import fit_files

from .baselines import run_baselines
from .benchmark_set import BenchmarkSet, BoolArray
from .judging import FUSION, judge_part, unit_lines
from .leak_audit import Finding, audit, raise_on_leak
from .metrics import Evaluation, evaluate
from .results import Row

ADAPTIVE = "fusion, adaptive"
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Promised false-alarm rates at which the achieved ones are measured."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class SeedRun:
    """What one seed gave over all parts of a set.

    Attributes:
        seed: of weights, sampling and pseudo-anomalies.
        scores: by row of the table, float64 ``[units]`` in [0, 1].
        log10_p: float64 ``[units]``, the fusion's p-values, part after part, in time order within one.
        kinds: what units have in common, one value a unit.
        novel: bool ``[units]``, which hold a line that was never seen in training.
        truth: bool ``[units]``.
        parts: number of the part of each unit, int64 ``[units]``.
        fit_seconds, score_seconds: wall time, all parts together.
        weights: of the fusion, one a part.
        cards: of the models, one a part.
    """

    seed: int
    scores: dict[str, FloatArray]
    log10_p: FloatArray
    kinds: list[bytes]
    novel: BoolArray
    truth: BoolArray
    parts: np.ndarray[Any, np.dtype[np.int64]]
    fit_seconds: float
    score_seconds: float
    weights: list[dict[str, float]]
    cards: list[dict[str, Any]]


@dataclass(frozen=True)
class BenchmarkResult:
    """All that a benchmark found: rows for the table, the runs behind them, and the audit."""

    rows: list[Row]
    runs: list[SeedRun]
    findings: list[Finding]
    rate: float


def run_benchmark(
    benchmark: BenchmarkSet, spec: FitSpec, seeds: Sequence[int], *, jobs: int = 1, say: Say = lambda text: None
) -> BenchmarkResult:
    """Audit, fit and judge once a seed, and run the baselines on the same units.

    Args:
        benchmark: the set.
        spec: what to fit; its seed is replaced.
        seeds: one or more.
        jobs: seeds run at once, each on one thread where there are several.
        say: told of every step, in a line.

    Raises:
        LeakFound: if the audit finds a leak.
    """
    findings = audit(benchmark)
    for finding in findings:
        say(f"audit: {finding.name}: {finding.detail}")
    raise_on_leak(findings)
    work = [(benchmark, replace(spec, training=replace(spec.training, seed=seed)), jobs) for seed in seeds]
    if jobs > 1:
        # Spawned, not forked: a process with torch's threads in it cannot be forked safely.
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            runs = list(pool.map(_run_one, work))
    else:
        runs = [run_seed(one, fitted, say) for one, fitted, _ in work]
    rate = spec.scale.false_alarm_rate
    rows = _rows(runs, rate)
    say("baselines …")
    return BenchmarkResult(rows + baseline_rows(benchmark, rate, seeds[0]), runs, findings, rate)


def _run_one(work: tuple[BenchmarkSet, FitSpec, int]) -> SeedRun:
    import torch

    torch.set_num_threads(1)
    return run_seed(work[0], work[1])


def run_seed(benchmark: BenchmarkSet, spec: FitSpec, say: Say = lambda text: None) -> SeedRun:
    """Fit and judge every part with one seed."""
    judged, cards, fit_seconds, score_seconds = [], [], 0.0, 0.0
    for part in benchmark.parts:
        named = f"seed {spec.training.seed}" + (f", {part.name}" if part.name else "")
        say(f"{named}: fitting …")
        started = time.monotonic()
        paths = [str(path) for path in part.train]
        model, _ = fit_files(paths, benchmark.window_spec, spec, benchmark.read_spec, _quiet)
        fitted = time.monotonic()
        say(f"{named}: fitted in {fitted - started:.0f} s, judging …")
        judged.append(judge_part(benchmark, part, model))
        cards.append(model.card)
        fit_seconds, score_seconds = fit_seconds + fitted - started, score_seconds + time.monotonic() - fitted
    rows = [name for name in judged[0].scores if all(name in one.scores for one in judged)]
    return SeedRun(
        spec.training.seed,
        {name: np.concatenate([one.scores[name] for one in judged]) for name in rows},
        np.concatenate([one.log10_p for one in judged]),
        [kind for one in judged for kind in one.kinds],
        np.concatenate([one.novel for one in judged]),
        np.concatenate([one.truth for one in judged]),
        np.repeat(np.arange(len(judged)), [len(one.truth) for one in judged]),
        fit_seconds, score_seconds, [dict(one.weights) for one in judged], cards,
    )  # fmt: skip


def _quiet(what: str, done: int, total: int) -> None:
    """A fit's progress is of no interest within a benchmark."""


def adaptive_scores(run: SeedRun, rate: float) -> FloatArray:
    """The fusion's scores with the threshold adapting over each part's units in time order."""
    scores = np.empty(len(run.log10_p))
    for part in np.unique(run.parts):
        rows = np.flatnonzero(run.parts == part)
        kinds = [run.kinds[row] for row in rows]
        adapted = AdaptiveThreshold(rate).adapted(run.log10_p[rows], kinds, run.novel[rows])
        scores[rows] = ScoreScale(rate).score(adapted)
    return scores


def promised_and_achieved(run: SeedRun) -> dict[str, list[float]]:
    """Share of the normal units that raise an alarm at each of ``RATES``, with the threshold fixed and adapting."""
    normal = ~run.truth
    fixed = [float((run.log10_p[normal] <= np.log10(rate)).mean()) for rate in RATES]
    adapted = [float((adaptive_scores(run, rate)[normal] >= THRESHOLD).mean()) for rate in RATES]
    return {"promised": list(RATES), "fixed": fixed, "adaptive": adapted}


def _rows(runs: Sequence[SeedRun], rate: float) -> list[Row]:
    """A row for the fusion, fixed and adaptive, and for each detector alone and left out."""
    seconds = tuple(run.fit_seconds + run.score_seconds for run in runs)
    named = {FUSION: [run.scores[FUSION] for run in runs]}
    named[ADAPTIVE] = [adaptive_scores(run, rate) for run in runs]
    for name in runs[0].scores:
        if name != FUSION and all(name in run.scores for run in runs):
            named[name] = [run.scores[name] for run in runs]
    return [
        Row(
            name,
            tuple(_evaluate(scores, run.truth, run.seed) for scores, run in zip(columns, runs, strict=True)),
            seconds if name == FUSION else (),
        )
        for name, columns in named.items()
    ]


def _evaluate(scores: FloatArray, truth: BoolArray, seed: int) -> Evaluation:
    return evaluate(scores, truth, THRESHOLD, seed, resamples=500)


def baseline_rows(benchmark: BenchmarkSet, rate: float, seed: int) -> list[Row]:
    """A row a baseline, on the same units."""
    truth: list[BoolArray] = []
    scores: dict[str, list[FloatArray]] = {}
    seconds: dict[str, float] = {}
    for part in benchmark.parts:
        train, test, told = unit_lines(benchmark, part)
        truth.append(told)
        for name, found in run_baselines(train, test, rate, seed).items():
            scores.setdefault(name, []).append(found.scores)
            seconds[name] = seconds.get(name, 0.0) + found.seconds
    labels = np.concatenate(truth)
    return [
        Row(name, (_evaluate(np.concatenate(columns), labels, seed),), (seconds[name],))
        for name, columns in scores.items()
    ]
