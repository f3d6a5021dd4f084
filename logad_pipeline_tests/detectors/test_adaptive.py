"""The adaptive threshold: drift is soon no alarm, and clear anomalies do not move it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from logad_pipeline.detectors.adaptive import AdaptiveThreshold


def alarms(threshold: AdaptiveThreshold, log10_p: np.ndarray) -> np.ndarray:
    return threshold.adapted(log10_p) <= math.log10(threshold.rate)


def rates(threshold: AdaptiveThreshold, log10_p: np.ndarray) -> np.ndarray:
    return np.array([threshold.update(float(value))[1] for value in log10_p])


def test_without_drift_no_more_than_promised_is_spent() -> None:
    log10_p = np.log10(np.random.default_rng(0).uniform(size=50_000))
    found = alarms(AdaptiveThreshold(0.01), log10_p)
    assert 0.003 < found.mean() <= 0.01
    assert found[log10_p < -2.5].all()


def test_a_kind_of_window_that_comes_by_the_hundred_is_soon_no_alarm() -> None:
    rng = np.random.default_rng(1)
    log10_p = np.log10(rng.uniform(0.011, 1.0, size=10_000))
    drifted = rng.random(10_000) < 0.3
    log10_p[drifted] = -2.1
    assert alarms(AdaptiveThreshold(0.01, step=0.0), log10_p).mean() > 0.25
    assert alarms(AdaptiveThreshold(0.01), log10_p).mean() < 0.01


def test_a_kind_that_has_become_frequent_is_not_rare() -> None:
    rng = np.random.default_rng(3)
    log10_p, kinds = np.full(5000, -0.3), ["usual"] * 5000
    for row in np.flatnonzero(rng.random(5000) < 0.25):
        log10_p[row], kinds[row] = -2.8, "new normal"
    for row in np.flatnonzero(rng.random(5000) < 0.003):
        log10_p[row], kinds[row] = -2.8, "incident"
    found = AdaptiveThreshold(0.01).adapted(log10_p, kinds) <= -2
    normal = np.array([kind == "new normal" for kind in kinds])
    incident = np.array([kind == "incident" for kind in kinds])
    assert found[normal].mean() < 0.03
    assert found[incident].mean() > 0.95


def test_a_flood_of_what_is_far_from_normal_goes_on_raising_alarms() -> None:
    log10_p = np.where(np.arange(2000) % 3 == 0, -4.0, -0.3)
    kinds = ["flood" if value < -1 else "usual" for value in log10_p]
    assert (AdaptiveThreshold(0.01).adapted(log10_p, kinds) <= -2)[log10_p < -1].all()


def test_lines_never_seen_in_training_become_no_habit() -> None:
    log10_p = np.where(np.arange(2000) % 3 == 0, -2.2, -0.3)
    kinds = ["guessing" if value < -1 else "usual" for value in log10_p]
    novel = log10_p < -1
    threshold = AdaptiveThreshold(0.01)
    assert (threshold.adapted(log10_p, kinds, novel) <= -2)[novel].all()
    assert threshold.in_force == 0.01
    assert (AdaptiveThreshold(0.01).adapted(log10_p, kinds) <= -2)[novel].mean() < 0.1, "known lines do"


def test_clear_anomalies_move_nothing() -> None:
    threshold = AdaptiveThreshold(0.01)
    rates(threshold, np.full(100, -6.0))
    assert threshold.in_force == 0.01


def test_a_step_of_zero_is_a_fixed_threshold() -> None:
    assert (rates(AdaptiveThreshold(0.05, step=0.0), np.linspace(-3, 0, 50)) == 0.05).all()


def test_the_rate_in_force_is_what_was_known_before() -> None:
    threshold = AdaptiveThreshold(0.01)
    first, second = rates(threshold, np.array([-2.2, -0.1]))
    assert first == 0.01
    assert second < first


def test_the_rate_stays_within_bounds() -> None:
    threshold = AdaptiveThreshold(0.1, step=5.0)
    rates(threshold, np.full(200, -1.2))
    assert 0.03 < threshold.in_force < 0.1
    rates(threshold, np.zeros(200))
    assert threshold.in_force == pytest.approx(0.1)


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": 1.0}, {"rate": 0.1, "step": -1.0}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        AdaptiveThreshold(**wrong)
