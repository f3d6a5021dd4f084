"""Fitting: what is learned and what it is measured on never overlap, and the model knows the normal order."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logad_pipeline.detectors.calibration import ScoreScale
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.detectors.fitting import fit_detector
from logad_pipeline.detectors.normal_stream import (
    MIN_WINDOWS,
    NormalStream,
    TooFewWindows,
    split_in_time,
    stretches,
)
from logad_pipeline.windows import WindowSpec
from logad_pipeline_tests.tiny_model import (
    CYCLE,
    FOREIGN,
    WINDOW,
    cycle_lines,
    cycle_windows,
    fit_tiny,
    stream_of,
    tiny_fit_spec,
    windows_of,
)


def sliding(lines: int, size: int, stride: int) -> list[tuple[int, ...]]:
    return [tuple(range(start, start + size)) for start in range(0, lines - size + 1, stride)]


@given(st.integers(60, 400), st.integers(1, 8), st.data())
def test_parts_share_no_line_and_are_in_time_order(lines: int, size: int, data: st.DataObject) -> None:
    positions = sliding(lines, size, data.draw(st.integers(1, size)))
    try:
        split = split_in_time(positions, 0.65, 0.1)
    except TooFewWindows:
        assert len(positions) < MIN_WINDOWS or 0.1 * len(positions) < size + 2
        return
    parts = [split.train, split.choose, split.calibrate]
    for earlier, later in pairwise([{line for i in part for line in positions[i]} for part in parts]):
        assert max(earlier) < min(later)
    assert all((np.diff(part) > 0).all() for part in parts)


def test_windows_without_overlap_are_all_used_in_the_asked_shares() -> None:
    split = split_in_time([(i,) for i in range(200)], 0.65, 0.1)
    assert [len(part) for part in (split.train, split.choose, split.calibrate)] == [130, 20, 50]


def test_only_the_windows_across_a_cut_are_left_out() -> None:
    split = split_in_time(sliding(309, 10, 1), 0.65, 0.1)
    kept = sum(map(len, (split.train, split.choose, split.calibrate)))
    assert kept == 300 - 2 * 9


def test_too_few_windows_say_how_many_are_needed() -> None:
    with pytest.raises(TooFewWindows, match=rf"only 19 windows .* at least {MIN_WINDOWS} are needed"):
        split_in_time([(i,) for i in range(19)], 0.65, 0.1)
    with pytest.raises(TooFewWindows, match="leave a part of the split empty; give more lines"):
        split_in_time(sliding(30, 10, 1), 0.65, 0.1)


def test_the_order_of_lines_is_learned(model: AnomalyDetector) -> None:
    normal = cycle_windows()
    swapped = [[w[0], w[3], w[2], w[1], w[4]] for w in normal]
    reversed_ = [w[::-1] for w in normal]
    usual = model.score(windows_of(normal)).score
    assert model.score(windows_of(swapped)).score.mean() > usual.mean() + 0.15
    assert model.score(windows_of(reversed_)).score.mean() > usual.mean() + 0.15


def test_a_line_never_seen_is_an_anomaly_wherever_it_stands(model: AnomalyDetector) -> None:
    normal = cycle_windows()
    foreign = [[*w[:at], FOREIGN, *w[at + 1 :]] for w in normal for at in range(WINDOW.size)]
    strange = model.score(windows_of(foreign)).score
    assert (strange >= 0.5).all()
    assert strange.min() > model.score(windows_of(normal)).score.max()


def test_normal_windows_that_come_later_are_not_called_anomalous(model: AnomalyDetector) -> None:
    windows, ids, _ = stream_of(cycle_lines(700, start=3))
    assert not model.score(windows).is_anomaly[ids].any()


def test_the_card_tells_what_was_done(model: AnomalyDetector) -> None:
    windows, training = model.card["windows"], model.card["training"]
    assert (windows["train"], windows["choose"], windows["calibrate"]) == (260, 40, 100)
    assert windows["left_out_at_cuts"] == 0
    assert training["steps_taken"] == 150
    assert training["device"] == "cpu"
    assert model.card["unique_lines"] == len(CYCLE)
    assert model.card["encoder"]["source"] == "local"
    assert model.window_spec == WINDOW
    assert model.calibrations["fusion"].held_out.windows == 100


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    one, same, other = (fit_tiny(max_steps=10, seed=seed) for seed in (1, 1, 2))
    windows = windows_of([*cycle_windows(), [FOREIGN]])
    scores = [fitted.score(windows).log10_p for fitted in (one, same, other)]
    assert (scores[0] == scores[1]).all()
    assert (scores[0] != scores[2]).any()


def test_the_same_seed_gives_the_same_version(tmp_path: Path) -> None:
    one, same = (fit_tiny(max_steps=2, seed=1).save(tmp_path / name) for name in ("one", "same"))
    assert one == same


def test_nothing_later_leaks_into_the_vocabulary_and_the_weights() -> None:
    # Two streams that differ in their latest quarter alone, which only calibrates.
    lines = cycle_lines(600)
    changed = [*lines[:480], *[FOREIGN] * 120]
    windows = windows_of([*cycle_windows(), [FOREIGN]])
    one, other = (
        fit_detector(NormalStream(*stream_of(stream)), WINDOW, tiny_fit_spec(10)) for stream in (lines, changed)
    )
    assert (one.encoder.encode(windows).line_surprise == other.encoder.encode(windows).line_surprise).all()


def test_sliding_windows_lose_only_those_at_the_cuts() -> None:
    spec = WindowSpec("sliding", size=4, stride=1)
    fitted = fit_detector(NormalStream(*stream_of(cycle_lines(303), spec)), spec, tiny_fit_spec(2))
    assert fitted.card["windows"]["left_out_at_cuts"] == 2 * 3


def test_a_promise_that_so_few_windows_cannot_show_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    spec = dataclasses.replace(tiny_fit_spec(1), scale=ScoreScale(0.001))
    fit_detector(NormalStream(*stream_of(cycle_lines(300))), WINDOW, spec)
    assert "cannot show a false-alarm rate of 0.001" in caplog.text


def test_progress_is_told_to_the_end_of_each_task() -> None:
    told: dict[str, tuple[int, int]] = {}
    fit_detector(
        NormalStream(*stream_of(cycle_lines(200))), WINDOW, tiny_fit_spec(3),
        progress=lambda what, done, total: told.__setitem__(what.split(",")[0], (done, total)),
    )  # fmt: skip
    assert set(told) == {
        "training", "reading training windows", "reading broken windows", "fitting", "calibrating on later windows",
        "reading training windows again", "reading windows cut short",
    }  # fmt: skip
    assert all(done == total for done, total in told.values())


def test_a_stream_of_one_kind_of_window_is_learned_without_what_needs_contrast(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = "query took duration"
    model = fit_detector(NormalStream(*stream_of([one] * 2000)), WINDOW, tiny_fit_spec(2))
    assert "head is left out" in caplog.text
    assert "head" not in model.names
    assert "distance" in model.names
    scores = model.score(windows_of([[one] * 5, [one, FOREIGN, one, one, one]])).score
    assert scores[0] < 0.5 < scores[1]


def test_stretches_are_spread_over_time_and_hold_no_more_than_asked() -> None:
    ids = np.arange(1000)
    rows = np.arange(100, 900)
    assert stretches(ids, rows, 2000).tolist() == rows.tolist()
    some = stretches(ids, rows, 80)
    assert 60 <= len(some) <= 80
    assert some[0] == 100
    assert some[-1] > 800
    assert np.bincount(np.diff(some)).argmax() == 1
