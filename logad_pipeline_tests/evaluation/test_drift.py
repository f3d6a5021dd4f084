"""The population stability index: nothing for what is alike, much for what has moved."""

from __future__ import annotations

import numpy as np
import pytest

from logad_pipeline.evaluation.drift import bin_edges, population_stability, shares


def test_the_index_of_a_known_shift() -> None:
    expected, found = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    by_hand = (0.25 - 0.5) * np.log(0.25 / 0.5) + (0.75 - 0.5) * np.log(0.75 / 0.5)
    assert population_stability(expected, found) == pytest.approx(by_hand)
    assert population_stability(expected, expected) == 0


def test_draws_of_one_distribution_are_alike_and_a_shift_is_seen() -> None:
    rng = np.random.default_rng(0)
    normal = rng.normal(size=2000)
    edges = bin_edges(normal)
    expected = shares(normal, edges)
    assert len(edges) == 9
    assert expected == pytest.approx(np.full(10, 0.1), abs=0.01)
    assert population_stability(expected, shares(rng.normal(size=2000), edges)) < 0.05
    assert population_stability(expected, shares(rng.normal(1.0, size=2000), edges)) > 0.5


def test_equal_values_share_a_bin_and_a_bin_that_fell_empty_counts_finitely() -> None:
    many = np.array([0.0] * 90 + [1.0] * 10)
    edges = bin_edges(many)
    assert edges.tolist() == [0.0]
    assert shares(many, edges).tolist() == [0.9, 0.1]
    gone = population_stability(shares(many, edges), shares([1.0], edges))
    assert 1 < gone < 20
    assert bin_edges(np.ones(5)).tolist() == bin_edges([]).tolist() == []
