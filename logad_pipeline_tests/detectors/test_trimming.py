"""Contamination: incidents among normal windows are marked, and clean logs are left whole."""

from __future__ import annotations

import numpy as np

from logad_pipeline.detectors.trimming import Trim, odd_ones_out
from logad_pipeline_tests.tiny_model import windows_of


def sessions(rng: np.random.Generator, number: int) -> list[list[str]]:
    """Sessions that differ a little: optional steps, and one step repeated."""
    steps = ["open", "auth", "read", "write", "sync", "stat", "close"]
    out: dict[tuple[str, ...], None] = {}
    while len(out) < number:
        kept = [step for step in steps if step in ("open", "auth", "close") or rng.random() < 0.8]
        out[tuple(kept[:2] + [kept[2]] * int(rng.integers(1, 4)) + kept[2:])] = None
    return [list(each) for each in out]


def test_clean_logs_are_left_almost_whole() -> None:
    rng = np.random.default_rng(0)
    windows = windows_of(sessions(rng, 40), rng.integers(5, 200, size=40).tolist())
    assert windows.counts[odd_ones_out(windows)].sum() / windows.counts.sum() < 0.05


def test_incidents_of_one_in_twenty_are_marked_though_they_repeat() -> None:
    rng = np.random.default_rng(1)
    normal = sessions(rng, 40)
    incidents = [["panic", "dump", "halt"], ["open", "panic"], ["oom", "kill", "kill"]]
    windows = windows_of(normal + incidents, [50] * 40 + [40, 40, 20])
    assert odd_ones_out(windows)[40:].all()
    assert odd_ones_out(windows)[:40].mean() < 0.1


def test_no_more_than_a_share_is_ever_marked() -> None:
    windows = windows_of([["a", "b"], *[[f"x{i}", f"y{i}"] for i in range(50)]], [100] + [2] * 50)
    marked = odd_ones_out(windows)
    assert windows.counts[marked].sum() <= Trim().most * windows.counts.sum()


def test_one_window_or_equal_ones_are_no_reason_to_fail() -> None:
    assert not odd_ones_out(windows_of([["a"]], [10])).any()
    assert not odd_ones_out(windows_of([["a", "b"], ["b", "a"]], [10, 10])).any()


def runs(rng: np.random.Generator, number: int) -> list[list[str]]:
    """Runs of a job: a few dozen lines each, of a dozen kinds."""
    return [[f"step {i}" for i in rng.integers(12, size=60)] for _ in range(number)]


def test_of_whole_units_a_third_may_have_failed() -> None:
    rng = np.random.default_rng(3)
    # Each fails in a way of its own: what a fifth of all has in common would be normal.
    failed = [
        run[: int(rng.integers(5, 20))] + [f"error {i}" for i in rng.integers(99, size=20)] for run in runs(rng, 33)
    ]
    bags = windows_of(runs(rng, 67) + failed)
    marked = odd_ones_out(bags, Trim.of_units(len(bags)))
    assert marked[67:].mean() > 0.9
    assert marked[:67].mean() < 0.1
    assert not odd_ones_out(bags)[67:].any()  # what is right for windows does not see it


def test_clean_units_are_left_almost_whole() -> None:
    bags = windows_of(runs(np.random.default_rng(4), 200))
    assert odd_ones_out(bags, Trim.of_units(len(bags))).mean() < 0.05


def test_of_a_handful_of_units_as_few_are_marked_as_of_windows() -> None:
    assert Trim.of_units(20) == Trim()
