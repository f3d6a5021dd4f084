"""Lines never seen: what they are worth."""

from __future__ import annotations

import numpy as np
import pytest

from logad_pipeline.detectors.base import EncodedWindows
from logad_pipeline.detectors.unseen import UnseenLines
from logad_pipeline.windows import WindowSet

NORMAL = [["job started", "job done"]] * 5 + [["sudo run a", "job started"], ["sudo run b", "job done"]]


def windows(lines: list[list[str]]) -> EncodedWindows:
    return EncodedWindows.unread(WindowSet.of_lines(lines))


def fitted(lines: list[list[str]] = NORMAL) -> UnseenLines:
    detector = UnseenLines()
    detector.fit(windows(lines))
    return detector


def test_known_lines_are_worth_nothing_in_any_order_or_number() -> None:
    assert fitted().score(windows([["job done"] * 9, ["job done", "sudo run a"]])).tolist() == [0.0, 0.0]


def test_a_new_line_counts_once_however_often_it_comes() -> None:
    once, often, two = fitted().score(windows([["oops", "job done"], ["oops"] * 9, ["oops", "panic"]]))
    assert once == often == 1.0
    assert two == 2.0


def test_a_new_line_where_most_are_new_is_worth_less() -> None:
    """Both normal sudo lines came in one window only: of three, the next one among them, two are new."""
    sudo, job = fitted().score(windows([["sudo run c"], ["job failed"]]))
    assert sudo == pytest.approx(1 - 2 / 3)
    assert job == pytest.approx(1.0)


def test_a_window_that_came_often_is_not_one_that_came_once() -> None:
    learned = windows([["sudo run a"], ["job done"]])
    detector = UnseenLines()
    detector.fit(learned.take([0, 1], np.array([5, 1])))
    sudo, job = detector.score(windows([["sudo run c"], ["job failed"]]))
    assert sudo == 1.0
    assert job == 0.5


def test_the_company_of_a_window_leaves_no_trace_in_its_score() -> None:
    rng = np.random.default_rng(0)
    many = [[f"sudo run {rng.integers(99)}" for _ in range(6)] + ["oops"] for _ in range(30)]
    detector = fitted(many[:10])
    together = detector.score(windows(many))
    assert [float(detector.score(windows([one]))[0]) for one in many] == together.tolist()


def test_not_fitted_is_said() -> None:
    with pytest.raises(RuntimeError, match="before fit"):
        UnseenLines().score(windows([["a"]]))
