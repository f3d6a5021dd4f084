"""Metrics against values worked out by hand, against scikit-learn, and as properties."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logad_pipeline.evaluation.metrics import (
    MIN_UNITS_PER_CLASS,
    _counts_by_score,
    _ranking_metric,
    at_threshold,
    best_f1,
    bootstrap_interval,
    evaluate,
    pr_auc,
    roc_auc,
)

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.2, 0.1])
LABELS = np.array([True, False, True, False, False, False])

# Scores on a grid of 1/64, so that the monotone maps below neither merge nor split ties.
scored = st.lists(st.tuples(st.integers(0, 64), st.booleans()), min_size=2, max_size=60).map(
    lambda pairs: (np.array([p[0] / 64 for p in pairs]), np.array([p[1] for p in pairs]))
)


def test_hand_calculated_values() -> None:
    # 7 of the 8 (anomaly, normal) pairs are in order; precision is 1/1 and 2/3 at the two anomalies.
    assert roc_auc(SCORES, LABELS) == pytest.approx(7 / 8)
    assert pr_auc(SCORES, LABELS) == pytest.approx((1 + 2 / 3) / 2)
    found = at_threshold(SCORES, LABELS, 0.5)
    assert (found.alerts, found.positives, found.hits, found.units) == (4, 2, 2, 6)
    assert found.precision == pytest.approx(0.5)
    assert found.recall == pytest.approx(1.0)
    assert found.f1 == pytest.approx(2 / 3)
    assert found.false_alarm_rate == pytest.approx(0.5)
    best = best_f1(SCORES, LABELS)
    assert best is not None and best.oracle is True
    assert best.threshold == 0.7 and best.f1 == pytest.approx(0.8)


def test_a_tie_between_the_classes_counts_half() -> None:
    assert roc_auc([0.5, 0.5], [True, False]) == pytest.approx(0.5)


def test_a_score_at_the_threshold_is_an_alert() -> None:
    assert at_threshold([0.5, 0.4999], [True, False], 0.5).alerts == 1


@pytest.mark.parametrize("labels", [[False, False], [True, True]])
def test_one_class_leaves_ranking_undefined(labels: list[bool]) -> None:
    found = evaluate([0.2, 0.9], labels, 0.5, seed=1)
    assert found.roc_auc is None and found.pr_auc is None and found.best_f1_oracle is None
    assert found.roc_auc_interval is None and found.pr_auc_interval is None
    assert found.at_threshold.alerts == 1


def test_what_is_undefined_at_a_threshold_is_none_and_not_zero() -> None:
    no_positives = at_threshold([0.2, 0.9], [False, False], 0.5)
    assert (no_positives.recall, no_positives.f1, no_positives.precision) == (None, None, 0.0)
    no_alerts = at_threshold([0.2, 0.3], [True, False], 0.5)
    assert (no_alerts.precision, no_alerts.recall, no_alerts.f1) == (None, 0.0, 0.0)
    assert at_threshold([0.2], [True], 0.5).false_alarm_rate is None


def test_no_units_is_an_answer_and_not_an_error() -> None:
    found = evaluate([], [], 0.5, seed=1)
    assert found.units == 0 and found.roc_auc is None and found.at_threshold.precision is None


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        ([0.1, float("nan")], [True, False], "1 of 2 scores are NaN or infinite, the first at position 1"),
        ([0.1, float("inf")], [True, False], "NaN or infinite"),
        ([0.1], [True, False], "1 scores but 2 labels"),
        ([0.1, 0.2], [1, 0], "not bool"),
        ([[0.1, 0.2]], [[True, False]], "one dimension"),
        ([0.1, 1.7], [True, False], "calibrate them first"),
    ],
)
def test_bad_input_is_refused_in_clear_words(scores: object, labels: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        evaluate(scores, labels, 0.5, seed=1)  # type: ignore[arg-type]


def test_a_threshold_outside_the_range_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold nan"):
        at_threshold([0.1], [True], float("nan"))


@given(scored)
def test_auc_depends_on_the_order_alone(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = case
    for mapped in (scores**3, np.exp(5 * scores), scores / 7 + 0.1):
        assert roc_auc(mapped, labels) == roc_auc(scores, labels)
        assert pr_auc(mapped, labels) == pr_auc(scores, labels)


@given(scored)
def test_reversing_the_scores_mirrors_the_auc(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = case
    forward, backward = roc_auc(scores, labels), roc_auc(1 - scores, labels)
    if forward is None or backward is None:
        assert forward is backward
    else:
        assert forward + backward == pytest.approx(1.0)


@given(scored)
def test_the_bootstrap_counts_as_scikit_learn_does(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = case
    _, positives, negatives = _counts_by_score(scores, labels)
    for metric, reference in (("roc_auc", roc_auc), ("pr_auc", pr_auc)):
        expected = reference(scores, labels)
        found = _ranking_metric(positives[None], negatives[None], metric)[0]  # type: ignore[arg-type]
        assert np.isnan(found) if expected is None else found == pytest.approx(expected)


@given(scored, st.floats(0, 1))
def test_no_threshold_beats_the_oracle(case: tuple[np.ndarray, np.ndarray], threshold: float) -> None:
    scores, labels = case
    best, found = best_f1(scores, labels), at_threshold(scores, labels, threshold)
    if best is not None:
        assert found.f1 is not None and found.f1 <= best.f1 + 1e-12
        assert at_threshold(scores, labels, best.threshold).f1 == pytest.approx(best.f1)


def test_the_interval_holds_the_estimate_repeats_with_its_seed_and_narrows_with_more_units() -> None:
    rng = np.random.default_rng(3)
    labels = rng.random(4000) < 0.1
    scores = np.clip(rng.normal(0.4 + 0.15 * labels, 0.15), 0, 1)
    wide = bootstrap_interval(scores[:300], labels[:300], "roc_auc", seed=5)
    again = bootstrap_interval(scores[:300], labels[:300], "roc_auc", seed=5)
    narrow = bootstrap_interval(scores, labels, "roc_auc", seed=5)
    area = roc_auc(scores, labels)
    assert wide is not None and narrow is not None and area is not None
    assert wide == again
    assert narrow.low < area < narrow.high
    assert narrow.high - narrow.low < wide.high - wide.low


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    # Normal(0, 1) against Normal(1, 1): the true area is Phi(1 / sqrt 2).
    truth, covered, runs = 0.7602, 0, 120
    labels = np.arange(200) % 4 == 0
    for seed in range(runs):
        found = bootstrap_interval(rng.normal(labels, 1.0), labels, "roc_auc", seed=seed, resamples=300)
        assert found is not None
        covered += found.low <= truth <= found.high
    assert 0.88 <= covered / runs <= 0.995


def test_too_few_units_of_a_class_give_no_interval() -> None:
    labels = np.arange(100) < MIN_UNITS_PER_CLASS - 1
    assert bootstrap_interval(np.linspace(0, 1, 100), labels, "roc_auc", seed=1) is None


def test_the_dictionary_survives_json() -> None:
    found = evaluate(SCORES, LABELS, 0.5, seed=1).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["best_f1_oracle"]["oracle"] is True
