"""Asking a model: scores to the last bit in any company, several askers read together, a memory of bounded size."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from logad_pipeline import window_scores
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.window_scores import RememberedScores, TextScore, ask
from logad_pipeline.windows import WindowSet
from logad_pipeline_tests.tiny_model import FOREIGN, cycle_lines, cycle_windows, tiny_model, windows_of


@pytest.fixture(scope="module")
def model() -> AnomalyDetector:
    return tiny_model()


def many() -> WindowSet:
    """Windows of several lengths, usual ones and odd ones."""
    odd = [[FOREIGN, *cycle_lines(length, start)] for length in range(1, 7) for start in range(3)]
    return windows_of([*cycle_windows(), *odd])


def test_a_window_is_worth_the_same_to_the_last_bit_in_any_company(model: AnomalyDetector) -> None:
    windows = many()
    together = ask(model, windows)
    for size in (1, 2, 5):
        for start in range(0, len(windows), size):
            rows = np.arange(start, min(start + size, len(windows)))
            for row, score in zip(rows, ask(model, windows.take(rows)), strict=True):
                np.testing.assert_array_equal(score.line_surprise, together[row].line_surprise)
                np.testing.assert_allclose(score.log10_p, together[row].log10_p, rtol=0, atol=1e-12)


def test_askers_that_wait_are_read_together(model: AnomalyDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    began = threading.Event()

    def slow(model: AnomalyDetector, windows: WindowSet) -> list[TextScore]:
        read.append(len(windows))
        began.set()
        time.sleep(0.3)
        return ask(model, windows)

    monkeypatch.setattr(window_scores, "ask", slow)
    remembered = RememberedScores(model, 100)
    windows = many()
    found: dict[int, TextScore] = {}

    def asker(row: int) -> None:
        [found[row]] = remembered(windows.take([row]))

    first = threading.Thread(target=asker, args=(0,))
    first.start()
    began.wait()
    others = [threading.Thread(target=asker, args=(row,)) for row in range(1, 9)]
    for thread in others:
        thread.start()
    for thread in (first, *others):
        thread.join()
    assert sum(read) == 9
    assert len(read) < 9
    monkeypatch.undo()
    for row, score in found.items():
        np.testing.assert_allclose(score.log10_p, ask(model, windows.take([row]))[0].log10_p, rtol=0, atol=1e-12)


def test_what_is_remembered_is_not_read_again_and_has_an_end(model: AnomalyDetector) -> None:
    told: list[tuple[str, int]] = []
    remembered = RememberedScores(model, 3, lambda what, windows: told.append((what, windows)))
    windows = many()
    remembered(windows.take([0, 1]))
    remembered(windows.take([1, 2, 3]))
    remembered(windows.take([0]))
    assert told == [("remembered", 0), ("read", 2), ("remembered", 1), ("read", 2), ("remembered", 0), ("read", 1)]


def test_a_reading_that_fails_fails_for_those_that_asked_and_for_nobody_after(
    model: AnomalyDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[TextScore]:
        raise RuntimeError("out of memory")

    remembered = RememberedScores(model, 10)
    with monkeypatch.context() as patched:
        patched.setattr(window_scores, "ask", broken)
        with pytest.raises(RuntimeError, match="out of memory"):
            remembered(many())
    assert len(remembered(many())) == len(many())
