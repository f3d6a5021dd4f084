"""The adaptive threshold: drift is soon no alarm, and clear anomalies do not move it."""

from __future__ import annotations

import numpy as np
import pytest

from logad_pipeline.detectors.adaptive import AdaptiveThreshold


def alarms(threshold: AdaptiveThreshold, log10_p: np.ndarray) -> np.ndarray:
    return log10_p <= np.log10(threshold.run(log10_p))


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


def test_clear_anomalies_move_nothing() -> None:
    threshold = AdaptiveThreshold(0.01)
    threshold.run(np.full(100, -6.0))
    assert threshold.in_force == 0.01


def test_a_step_of_zero_is_a_fixed_threshold() -> None:
    assert (AdaptiveThreshold(0.05, step=0.0).run(np.linspace(-3, 0, 50)) == 0.05).all()


def test_the_rate_in_force_is_what_was_known_before() -> None:
    threshold = AdaptiveThreshold(0.01)
    first, second = threshold.run(np.array([-2.2, -0.1]))
    assert first == 0.01
    assert second < first


def test_the_rate_stays_within_bounds() -> None:
    threshold = AdaptiveThreshold(0.1, step=5.0)
    threshold.run(np.full(200, -1.2))
    assert 0.03 < threshold.in_force < 0.1
    threshold.run(np.zeros(200))
    assert threshold.in_force == pytest.approx(0.1)


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": 1.0}, {"rate": 0.1, "step": -1.0}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        AdaptiveThreshold(**wrong)
