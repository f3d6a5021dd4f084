"""Results: means over seeds, intervals, and a table that fits the page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from logad_pipeline.evaluation.metrics import Evaluation, at_threshold, evaluate
from logad_pipeline.evaluation.results import Row, f1_interval, figures, table, to_dict

LABELS = np.arange(200) < 40


def run(seed: int, labels: np.ndarray = LABELS) -> Evaluation:
    scores = np.clip(np.random.default_rng(seed).normal(0.3 + 0.3 * labels, 0.15), 0, 1)
    return evaluate(scores, labels, 0.5, seed=seed, resamples=100)


def test_figures_are_means_over_seeds() -> None:
    runs = tuple(run(seed) for seed in range(3))
    found = figures(Row("model", runs, (1.0, 2.0, 6.0)))
    aucs = [one.roc_auc for one in runs if one.roc_auc is not None]
    assert found["roc_auc"].mean == pytest.approx(np.mean(aucs))
    assert (found["roc_auc"].least, found["roc_auc"].most) == (min(aucs), max(aucs))
    lows = [one.roc_auc_interval.low for one in runs if one.roc_auc_interval]
    assert found["roc_auc"].low == pytest.approx(np.mean(lows))
    assert found["seconds"].mean == 3
    best, f1 = found["best_f1_oracle"].mean, found["f1"].mean
    assert best is not None and f1 is not None and best >= f1


def test_f1_has_an_interval_around_it() -> None:
    metrics = run(0).at_threshold
    found = f1_interval(metrics, seed=1)
    assert found is not None and metrics.f1 is not None and found.low < metrics.f1 < found.high
    assert found == f1_interval(metrics, seed=1)
    few = at_threshold([0.9, 0.1, 0.2], [True, False, False], 0.5)
    assert f1_interval(few, seed=1) is None


def test_f1_s_interval_is_that_of_drawing_units() -> None:
    rng = np.random.default_rng(0)
    alerts = rng.random(200) < np.where(LABELS, 0.7, 0.1)
    draws = rng.integers(0, 200, (4000, 200))
    hits = (alerts & LABELS)[draws].sum(axis=1)
    f1 = 2 * hits / (alerts[draws].sum(axis=1) + LABELS[draws].sum(axis=1))
    found = f1_interval(at_threshold(alerts.astype(float), LABELS, 0.5), seed=1, resamples=4000)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(f1, [0.025, 0.975])), abs=0.015)


def test_what_a_seed_leaves_undefined_is_undefined() -> None:
    silent = evaluate(np.zeros(200), LABELS, 0.5, seed=0, resamples=10)
    assert figures(Row("two seeds", (run(0), silent)))["precision"].mean is None
    one_class = run(0, np.zeros(200, dtype=np.bool_))
    found = figures(Row("no anomalies", (one_class,)))
    assert found["roc_auc"].mean is found["best_f1_oracle"].mean is found["f1"].low is None
    assert "–" in table("set", [Row("no anomalies", (one_class,))])


def test_the_table_is_aligned_and_fits() -> None:
    perfect = evaluate(LABELS.astype(float), LABELS, 0.5, seed=0, resamples=10)
    rows = [
        Row("a model with a very long name indeed", tuple(run(seed) for seed in range(3)), (99999.9,) * 3),
        Row("perfect", (perfect,)),
    ]
    text = table("openstack", rows)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 140
    assert lines[0] == "openstack: 200 units, 40 anomalous"
    assert "oracle F1" in lines[1] and "oracle" in text.split("\n", 6)[-1]
    assert lines[3].index("[") == lines[4].index("[")
    assert "1.000 [1.000, 1.000]" in lines[4]


def test_json_holds_each_seed() -> None:
    rows = [Row("model", tuple(run(seed) for seed in range(2)))]
    found = json.loads(json.dumps(to_dict("set", rows), allow_nan=False))
    assert found["rows"][0]["seeds"] == len(found["rows"][0]["runs"]) == 2
    assert set(found["rows"][0]["metrics"]["f1"]) == {"mean", "least", "most", "low", "high"}


def test_rows_are_of_one_set() -> None:
    with pytest.raises(ValueError, match="'empty' has no evaluation"):
        Row("empty", ())
    with pytest.raises(ValueError, match="mixes evaluations of different units"):
        Row("mixed", (run(0), run(0, ~LABELS)))
