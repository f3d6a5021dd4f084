"""Whether a frequency shifted: p-values that are right where nothing did, and small where something did."""

from __future__ import annotations

import numpy as np

from logad_pipeline.evaluation.shift import adjusted, shift_p_values


def test_where_nothing_shifted_p_values_are_evenly_spread() -> None:
    rng = np.random.default_rng(0)
    before, after = (rng.poisson(0.7, size=(2000, 288)) for _ in range(2))
    p_values = shift_p_values(before, after)
    for level in (0.01, 0.1, 0.5):
        assert abs((p_values <= level).mean() - level) < 0.03
    assert (adjusted(p_values) > 0.05).all()


def test_a_shift_is_found_and_a_burst_counts_once() -> None:
    quiet = np.zeros((3, 288), dtype=np.int64)
    other = quiet.copy()
    other[0, ::6] = 1
    other[1, 7] = 100_000
    p_values = shift_p_values(quiet, other)
    assert p_values[0] < 1e-9
    assert p_values[1] > 0.3
    assert p_values[2] == 1.0


def test_the_correction_never_makes_a_p_value_smaller() -> None:
    p_values = np.array([1e-9, 0.01, 0.04, 0.5])
    assert (adjusted(p_values) >= p_values).all()
    assert len(adjusted(np.zeros(0))) == 0
