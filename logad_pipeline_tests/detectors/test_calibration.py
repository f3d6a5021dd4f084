"""Calibration: the promised false-alarm rate is kept, and stranger is always scored higher."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logad_pipeline.detectors.calibration import HIGH_RISK, THRESHOLD, Calibration, ScoreScale, TailCalibration, fuse

Draw = Callable[[np.random.Generator, int], np.ndarray]

DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(3, 2, n),
    "exponential": lambda rng, n: rng.exponential(0.1, n),
    "heavy-tailed": lambda rng, n: rng.standard_t(3, n),
    "uniform": lambda rng, n: rng.uniform(-5, -4, n),
    "two clouds": lambda rng, n: np.where(rng.random(n) < 0.9, rng.normal(0, 1, n), rng.normal(20, 1, n)),
}
SCORES = st.lists(st.integers(-(10**9), 10**9).map(lambda score: score / 1000), min_size=1, max_size=200)


def calibrated(scores: np.ndarray | list[float], counts: list[int] | None = None) -> TailCalibration:
    values = np.asarray(scores, dtype=np.float64)
    return TailCalibration.fit(values, np.asarray(counts or np.ones(len(values)), dtype=np.int64))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("rate", [0.1, 0.05, 0.01])
def test_the_promised_rate_is_kept_on_fresh_draws(name: str, rate: float) -> None:
    draw, kept = DISTRIBUTIONS[name], []
    for seed in range(20):
        rng = np.random.default_rng([seed, 17])
        p = 10 ** calibrated(draw(rng, 2000)).log10_p_value(draw(rng, 5000))
        kept.append(float(np.mean(p <= rate)))
    # Each share has the spread of 5000 fresh draws and that of the 2000 held-out ones; twenty are averaged.
    spread = np.sqrt(rate * (1 - rate) * (1 / 5000 + 1 / 2000) / len(kept))
    assert abs(np.mean(kept) - rate) < 4 * spread + 0.1 * rate


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_rate_of_a_few_held_out_windows_is_not_exceeded(name: str) -> None:
    # Two in a thousand of 2000 windows are four: where the tail ends, the extrapolation is on the safe side.
    draw, kept = DISTRIBUTIONS[name], []
    for seed in range(20):
        rng = np.random.default_rng([seed, 19])
        p = 10 ** calibrated(draw(rng, 2000)).log10_p_value(draw(rng, 5000))
        kept.append(float(np.mean(p <= 0.002)))
    assert np.mean(kept) < 0.003


@pytest.mark.parametrize("values", [2, 5, 40])
def test_the_promise_is_not_broken_where_scores_are_heavily_tied(values: int) -> None:
    kept = []
    for seed in range(20):
        rng = np.random.default_rng([seed, 23])
        held_out, fresh = (np.floor(values * rng.random(n) ** 2) for n in (1000, 4000))
        kept.append(float(np.mean(10 ** calibrated(held_out).log10_p_value(fresh) <= 0.01)))
    # Ties can only make alarms rarer than promised.
    assert np.mean(kept) < 0.013


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_p_values_of_fresh_normal_scores_are_uniform(name: str) -> None:
    rng = np.random.default_rng(11)
    held_out, fresh = (DISTRIBUTIONS[name](rng, 4000) for _ in range(2))
    p = np.sort(10 ** calibrated(held_out).log10_p_value(fresh))
    # Kolmogorov and Smirnov's distance of two samples of 4000, at one in a thousand.
    assert np.abs(p - np.linspace(0, 1, len(p))).max() < 1.95 * np.sqrt(2 / 4000)


def test_a_score_counts_as_often_as_it_was_seen() -> None:
    once = calibrated([1.0, 2.0, 3.0] * 50 + [5.0])
    counted = calibrated([1.0, 2.0, 3.0, 5.0], [50, 50, 50, 1])
    assert counted == once
    assert counted.windows == 151


@given(SCORES)
def test_stranger_stays_stranger_however_far_out(scores: list[float]) -> None:
    calibration = calibrated(scores)
    top = max(scores)
    beyond = top + np.array([1e-3, 1.0, 10.0, 1e3, 1e6, 1e9]) * max(1.0, abs(top))
    log_p = calibration.log10_p_value(beyond)
    assert np.isfinite(log_p).all()
    assert (np.diff(log_p) < 0).all()
    assert log_p[0] < calibration.log10_p_value(np.array([top]))[0] or len(set(scores)) == 1


@given(SCORES, st.lists(st.floats(-2e6, 2e6), min_size=2, max_size=30))
def test_a_higher_score_is_never_likelier(scores: list[float], asked: list[float]) -> None:
    log_p = calibrated(scores).log10_p_value(np.sort(np.array(asked)))
    assert (np.diff(log_p) <= 0).all()
    assert (log_p <= 0).all()


def test_what_is_below_every_normal_score_is_not_rare_at_all() -> None:
    assert calibrated([1.0, 2.0, 3.0]).log10_p_value(np.array([-9.0, 1.0])).tolist() == [0.0, 0.0]


def test_one_more_than_the_highest_of_n_is_about_one_in_n() -> None:
    scores = np.random.default_rng(0).normal(size=999)
    log_p = calibrated(scores).log10_p_value(np.array([np.sort(scores)[-1]]))[0]
    assert -3.7 < log_p < -2.6


@given(SCORES)
def test_a_calibration_survives_json(scores: list[float]) -> None:
    calibration = calibrated(scores)
    again = TailCalibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
    assert again == calibration


def test_a_large_calibration_stays_small_on_disk() -> None:
    calibration = calibrated(np.random.default_rng(0).normal(size=200_000))
    assert len(calibration.knots) <= 1024


def test_nothing_to_calibrate_on_is_an_error() -> None:
    with pytest.raises(ValueError, match="give more logs"):
        calibrated([])
    with pytest.raises(ValueError, match="diverged"):
        calibrated([1.0, float("nan")])
    with pytest.raises(ValueError, match="diverged"):
        calibrated([1.0, float("inf")])


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.01, 0.001])
def test_the_score_is_half_at_the_promised_rate_and_high_at_a_tenth_of_it(rate: float) -> None:
    scale = ScoreScale(rate)
    at, tenth = scale.score(np.log10([rate, rate / 10]))
    assert at == pytest.approx(THRESHOLD, abs=1e-12)
    assert tenth == pytest.approx(HIGH_RISK, abs=1e-12)
    assert scale.score(np.array([0.0])) == 0.0


@given(st.floats(0.0001, 0.5), st.lists(st.floats(-1e6, 0), min_size=2, max_size=40))
def test_scores_stay_below_one_and_keep_the_order(rate: float, log_p: list[float]) -> None:
    scores = ScoreScale(rate).score(np.sort(np.array(log_p))[::-1])
    assert (np.diff(scores) >= 0).all()
    assert scores.min() >= 0.0
    assert scores.max() < 1.0


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.2])
def test_the_rarity_behind_a_score_is_found_again(rate: float) -> None:
    scale = ScoreScale(rate)
    for rarity in (0.0, 0.3, 1.0, 2.5, 7.0):
        assert scale.rarity(float(scale.score(-np.array(rarity)))) == pytest.approx(rarity)


def test_the_risk_bands_are_the_specifications() -> None:
    scale = ScoreScale()
    scores = [0.0, 0.4999, 0.5, 0.8499, 0.85, 0.9999]
    assert [scale.risk(score) for score in scores] == ["low", "low", "medium", "medium", "high", "high"]


def test_own_bands_survive_json() -> None:
    scale = ScoreScale(0.02, (("calm", 0.0), ("odd", 0.3), ("page someone", 0.95)))
    again = ScoreScale.from_dict(json.loads(json.dumps(scale.to_dict())))
    assert again == scale
    assert [again.risk(score) for score in (0.29, 0.3, 0.95)] == ["calm", "odd", "page someone"]


@pytest.mark.parametrize(
    ("rate", "bands"),
    [
        (0.0, None),
        (1.0, None),
        (-0.1, None),
        (0.01, ()),
        (0.01, (("low", 0.1),)),
        (0.01, (("low", 0.0), ("high", 0.9), ("odd", 0.5))),
        (0.01, (("low", 0.0), ("odd", 0.0))),
        (0.01, (("low", 0.0), ("never", 1.0))),
    ],
)
def test_a_scale_out_of_range_is_refused(rate: float, bands: tuple[tuple[str, float], ...] | None) -> None:
    with pytest.raises(ValueError, match=r"outside|must ascend"):
        ScoreScale(rate, *([] if bands is None else [bands]))


def test_the_sharpest_detector_carries_the_fusion() -> None:
    sharp = fuse([np.array([-8.0]), np.array([-0.1]), np.array([0.0])])[0]
    assert 8.0 - np.log10(3) <= sharp <= 8.0
    agreed = fuse([np.array([-2.0])] * 3)[0]
    assert agreed == pytest.approx(2.0)


def test_the_fusion_does_not_overflow_on_the_absurdly_rare() -> None:
    fused = fuse([np.array([-1e5, -1e6]), np.array([-1.0, -1.0])])
    assert np.isfinite(fused).all()
    assert fused[1] > fused[0]


def test_what_was_common_in_training_is_not_rare_though_it_was_not_held_out() -> None:
    rng = np.random.default_rng(0)
    held, learned = rng.normal(size=500), np.append(rng.normal(size=960), np.full(40, 6.0))
    alone, both = Calibration.fit(held), Calibration.fit(held, learned)
    assert alone.log10_p_value(np.array([6.0]))[0] < -4
    assert both.log10_p_value(np.array([6.0]))[0] > -2
    assert both.log10_p_value(np.array([12.0]))[0] < -2


def test_one_in_ten_thousand_is_not_claimed_lightly_on_a_hundred_windows() -> None:
    few = calibrated(np.random.default_rng(0).normal(size=100))
    far, farther = few.log10_p_value(np.array([30.0, 60.0]))
    assert -6 < farther < far < -4


def test_a_normal_kind_apart_from_the_rest_is_as_common_as_counted() -> None:
    rng = np.random.default_rng(4)
    apart = np.concatenate([rng.normal(0, 1, 985), np.full(15, 9.0)])
    fitted = TailCalibration.fit(apart, np.ones(1000, dtype=np.int64))
    at, just_above, beyond, far = 10 ** fitted.log10_p_value(np.array([9.0, 9.01, 12.0, 1e6]))
    assert at == pytest.approx(16 / 1001)
    assert 0.9 * at < just_above < at, "the tail goes on from there"
    assert at > beyond > far > 0


@pytest.mark.parametrize("windows", [20, 55, 200])
def test_what_none_of_a_few_windows_showed_is_about_as_rare_as_one_of_them(windows: int) -> None:
    """All held-out windows score 0, so nothing says how far from 0 is far: the count alone speaks."""
    calibration = TailCalibration.fit(np.zeros(windows), np.ones(windows, dtype=np.int64))
    far = 10 ** calibration.log10_p_value(np.array([1.0, 5.0, 100.0]))
    assert (far > 1 / (20 * windows)).all()
    assert (np.diff(far) < 0).all()


@pytest.mark.parametrize("odd", [0, 1, 4])
def test_having_seen_a_score_makes_it_no_rarer(odd: int) -> None:
    scores = np.array([0.0] * (200 - odd) + [1.0] * odd)
    p = 10 ** TailCalibration.fit(scores, np.ones(200, dtype=np.int64)).log10_p_value(np.array([1.0]))[0]
    assert (odd + 1) / 201 * 0.6 <= p <= (odd + 1) / 201


def test_windows_that_end_early_are_compared_with_others_that_do() -> None:
    ones = np.ones(200, dtype=np.int64)
    whole, short = np.linspace(0, 1, 200), np.linspace(0, 5, 200)
    calibration = Calibration(TailCalibration.fit(whole, ones), short=TailCalibration.fit(short, ones))
    read = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
    early, not_early = 10 ** read.log10_p_value(np.array([2.5, 2.5]), np.array([True, False]))
    assert early == pytest.approx(0.5, abs=0.02)
    assert not_early < 0.01


def handful(units: int) -> tuple[TailCalibration, float]:
    rarities = -np.log10(np.random.default_rng(units).uniform(size=units))
    return TailCalibration.fit(rarities, np.ones(units, dtype=np.int64), decades=True), float(rarities.max())


@pytest.mark.parametrize("units", [4, 8, 18])
def test_a_handful_of_fused_p_values_knows_its_tail(units: int) -> None:
    """A rate of one in a hundred is reached by what is much rarer than any of them, not by what is a little so."""
    calibration, rarest = handful(units)
    little, much = calibration.log10_p_value(rarest + np.array([0.2, 5.0]))
    assert much < -2 < little


def test_what_lies_beyond_a_handful_is_worth_about_as_much_beyond_another() -> None:
    worth = []
    for units in (4, 8, 18):
        calibration, rarest = handful(units)
        at, beyond = calibration.log10_p_value(rarest + np.array([0.0, 1.0]))
        worth.append(at - beyond)
    assert worth == pytest.approx([worth[0]] * 3, abs=0.2)
    assert min(worth) > 0.5 and max(worth) < 1


def test_a_tail_is_taken_at_its_word_as_far_as_is_said() -> None:
    scores, ones = np.random.default_rng(0).exponential(size=30), np.ones(30, dtype=np.int64)
    little, much = (TailCalibration.fit(scores, ones, trusted=decades) for decades in (1.0, 4.0))
    near, far = scores.max() + np.array([0.1]), scores.max() + np.array([60.0])
    assert little.log10_p_value(near) == much.log10_p_value(near)
    assert little.log10_p_value(far)[0] > much.log10_p_value(far)[0] + 1
    assert TailCalibration.from_dict(much.to_dict()) == much


def test_of_many_fused_p_values_the_tail_is_measured() -> None:
    rarities, ones = -np.log10(np.random.default_rng(1).uniform(size=400)), np.ones(400, dtype=np.int64)
    scores = np.linspace(0.0, 9.0, 50)
    fused, plain = (TailCalibration.fit(rarities, ones, decades=decades) for decades in (True, False))
    assert (fused.log10_p_value(scores) == plain.log10_p_value(scores)).all()


@pytest.mark.parametrize("windows", [30, 150, 299])
def test_windows_that_agree_make_a_fused_p_value_rarer_the_more_of_them_there_are(windows: int) -> None:
    agreeing, ones = np.random.default_rng(2).uniform(0.0, 0.5, size=windows), np.ones(windows, dtype=np.int64)
    scores = np.linspace(0.6, 4.0, 30)
    fused, plain = (TailCalibration.fit(agreeing, ones, decades=decades) for decades in (True, False))
    found, says = fused.log10_p_value(scores), plain.log10_p_value(scores)
    assert (says < -scores).all()  # never was a mean of p-values as high as half a decade
    assert found == pytest.approx(-scores + windows / 300 * (says + scores))
    assert (np.diff(found) < 0).all()
    assert TailCalibration.from_dict(fused.to_dict()) == fused


def test_a_fused_p_value_that_is_common_is_as_common_as_it_was_counted() -> None:
    common, ones = np.random.default_rng(3).uniform(1.0, 3.0, size=60), np.ones(60, dtype=np.int64)
    fused, plain = (TailCalibration.fit(common, ones, decades=decades) for decades in (True, False))
    scores = np.linspace(1.0, 2.5, 20)
    assert (fused.log10_p_value(scores) == plain.log10_p_value(scores)).all()
