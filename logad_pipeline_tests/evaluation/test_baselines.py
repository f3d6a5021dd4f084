"""Baselines: each finds what it is for, thresholds are promises kept on later units, and none is slow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from logad_pipeline.evaluation.baselines import (
    Baseline,
    ErrorLine,
    FlagEverything,
    Length,
    NewEvents,
    SevereLine,
    UnitLines,
    all_baselines,
    run_baselines,
)
from logad_pipeline.evaluation.count_baselines import (
    MAX_FITTED,
    IsolationTrees,
    NearestCounts,
    PrincipalComponents,
    _plain,
)
from logad_pipeline.evaluation.ngram_baseline import TrigramSurprise


def unit(*line_ids: int, severe: bool = False, error: bool = False) -> UnitLines:
    return UnitLines(np.array(line_ids, dtype=np.int64), severe, error)


def sessions(number: int, seed: int = 0) -> list[UnitLines]:
    """Open, some reads, sometimes a write, close: lines 0, 1, 2, 3."""
    rng = np.random.default_rng(seed)
    return [unit(0, *[1] * (2 + rng.binomial(6, 0.4)), *[2] * rng.integers(0, 2), 3) for _ in range(number)]


def scored(baseline: Baseline, *units: UnitLines, train: Sequence[UnitLines] | None = None) -> list[float]:
    baseline.fit(sessions(200) if train is None else train)
    found = baseline.score(units)
    assert found.dtype == np.float64 and np.isfinite(found).all()
    return [float(score) for score in found]


def test_rules_look_at_severities_only() -> None:
    units = (unit(0), unit(0, severe=True), unit(0, severe=True, error=True))
    assert scored(SevereLine(), *units) == [0, 1, 1]
    assert scored(ErrorLine(), *units) == [0, 0, 1]
    assert scored(FlagEverything(), *units) == [1, 1, 1]


def test_length_counts_both_ways() -> None:
    median, short, long = scored(Length(), unit(*[0] * 4), unit(0), unit(*[0] * 16), train=[unit(*[0] * 4)] * 9)
    assert median == 0 and short == pytest.approx(long) and short > 0


def test_new_events_are_counted() -> None:
    assert scored(NewEvents(), unit(0, 1, 3), unit(0, 9, 9, 8)) == [0, 3]


def test_nearest_counts_tell_missing_new_and_repeated_lines_whatever_the_length() -> None:
    usual, missing, new, twice, nothing = scored(
        NearestCounts(), unit(0, 1, 1, 3), unit(0, 1, 1), unit(0, 1, 1, 9, 3), unit(0, 0, 1, 1, 3), unit(8, 9)
    )
    assert usual == 0 and nothing == 1
    assert min(missing, new, twice) > 0
    one, ten = scored(NearestCounts(), unit(0, 99), unit(*range(10), *range(20, 30)), train=[unit(0), unit(*range(10))])
    assert one == pytest.approx(ten, abs=0.2), "half of it new is half of it new"


def test_nearest_counts_agree_with_the_formula() -> None:
    train, test = sessions(40), [*sessions(10, seed=1), unit(0, 0, 7, 3)]
    baseline = NearestCounts()
    found = scored(baseline, *test, train=train)
    rows, known = (baseline._vectors.weighted(units).toarray() for units in (test, train))
    by_hand = [min(np.abs(a - b).sum() / (a + b).sum() for b in known) for a in rows]
    assert found == pytest.approx(by_hand, abs=1e-9)


def test_trigrams_tell_a_wrong_order_that_counts_do_not() -> None:
    usual, turned, new, begun_wrongly = scored(
        TrigramSurprise(), unit(0, 1, 1, 1, 3), unit(1, 0, 1, 3, 1), unit(0, 1, 9, 1, 3), unit(3, 0, 1, 1)
    )
    assert usual < min(turned, new, begun_wrongly)
    assert scored(NearestCounts(), unit(0, 1, 1, 1, 3)) == scored(NearestCounts(), unit(1, 0, 1, 3, 1))


def test_trigram_probabilities_sum_to_one() -> None:
    baseline = TrigramSurprise()
    baseline.fit(sessions(50))
    # After the lines 0 and 1, over the four lines known and the symbol of all others.
    lines = np.arange(5)
    mark = np.full(5, 1)
    lower = baseline._bigrams.smooth(mark, lines, baseline._base, baseline._unigram[lines])
    upper = baseline._trigrams.smooth(0 * baseline._base + mark, lines, baseline._base, lower)
    assert baseline._unigram.sum() == pytest.approx(1)
    assert lower.sum() == pytest.approx(1) and upper.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("kind", "strange"),
    [(IsolationTrees, unit(0, *[1] * 30, *[2] * 5, 3)), (PrincipalComponents, unit(0, 0, 0, 1, 1, 3, 3))],
)
def test_counts_out_of_the_usual_stand_out(kind: type[Baseline], strange: UnitLines) -> None:
    usual = unit(0, 1, 1, 1, 1, 3)
    first, second = (scored(kind(3), usual, strange) for _ in range(2))
    assert first[1] > first[0]
    assert first == second, "the same seed gives the same scores"


def test_pca_bears_training_units_that_are_all_the_same() -> None:
    same, other = scored(PrincipalComponents(), unit(0, 1), unit(0, 2), train=[unit(0, 1)] * 8)
    assert same == 0 and other > 0


def test_the_trees_take_counts_that_are_too_many_to_be_dense() -> None:
    from scipy.sparse import csr_array

    wide = csr_array((np.ones(3), ([0, 1, 2], [0, 1, 2_000_000])), shape=(3, 2_000_001))
    assert _plain(wide).nnz == 3


def test_a_threshold_keeps_its_promise_on_later_units() -> None:
    train, test = sessions(1200), sessions(2000, seed=1)
    found = run_baselines(train, test, 0.05, seed=0)
    for name, result in found.items():
        assert result.scores.min() >= 0 and result.scores.max() <= 1
        if name != FlagEverything.name:
            assert (result.scores >= 0.5).mean() < 0.08, name


def test_the_calibration_units_are_later_than_those_fitted_on() -> None:
    # A line that comes up in the last quarter only is new to the baseline, and usual to its threshold.
    train = [*[unit(0, 1)] * 75, *[unit(0, 1, 5)] * 25]
    found = run_baselines(train, [unit(0, 1, 5), unit(0, 1, 5, 6)], 0.2, seed=0)[NewEvents.name].scores
    assert found[0] < 0.5 < found[1]


def test_anomalies_are_alerts_and_seeds_are_kept() -> None:
    train, strange = sessions(400), [unit(0, 9, 9, 3), unit(9)]
    first, again = (run_baselines(train, strange, 0.01, seed=5) for _ in range(2))
    assert list(first) == [baseline.name for baseline in all_baselines(0)]
    usual = run_baselines(train, sessions(50), 0.01, seed=5)
    for name in (NewEvents.name, NearestCounts.name, TrigramSurprise.name):
        assert first[name].scores.min() > usual[name].scores.max(), name
        assert first[name].scores.max() >= 0.5, name
    assert all((first[name].scores == again[name].scores).all() for name in first)


def test_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="3 training units; baselines need 4"):
        run_baselines(sessions(3), sessions(3), 0.01, 0)
    with pytest.raises(ValueError, match="a unit without lines"):
        run_baselines([*sessions(8), unit()], sessions(3), 0.01, 0)
    with pytest.raises(ValueError, match="false-alarm rate 1"):
        run_baselines(sessions(8), sessions(3), 1.0, 0)


@pytest.mark.parametrize(
    ("train", "test", "lines", "texts"), [(2000, 7000, 20, 60), (60, 150, 1200, 2000), (MAX_FITTED + 50, 200, 4, 30)]
)
def test_many_short_units_and_a_few_long_ones_are_scored(train: int, test: int, lines: int, texts: int) -> None:
    rng = np.random.default_rng(0)
    units = [unit(*rng.zipf(1.4, lines).clip(max=texts).tolist()) for _ in range(train + test)]
    for name, found in run_baselines(units[:train], units[train:], 0.01, 0).items():
        assert len(found.scores) == test, name
        assert np.isfinite(found.scores).all(), name
        assert found.seconds >= 0
