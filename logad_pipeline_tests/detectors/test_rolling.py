"""Learning from all there is while every window is judged by what was known before it."""

from __future__ import annotations

import numpy as np

from logad_pipeline.detectors.base import EncodedWindows
from logad_pipeline.detectors.rolling import fit_in_time
from logad_pipeline.detectors.unseen import UnseenLines
from logad_pipeline.windows import WindowSet


def windows(*texts: str) -> EncodedWindows:
    return EncodedWindows.unread(WindowSet.of_lines([[text] for text in texts]))


FIRST = windows("a", "a")
LATER = windows("a", "new one", "odd one")


def run(place: list[int], pieces: list[list[int]], left_out: tuple[int, ...] = ()) -> tuple[UnseenLines, list[float]]:
    kept = np.array([row not in left_out for row in range(len(place))])
    followed = fit_in_time(UnseenLines, FIRST, LATER, np.array(place), kept, [np.array(piece) for piece in pieces])
    assert isinstance(followed.final, UnseenLines)
    return followed.final, followed.scores.tolist()


def test_a_line_is_new_in_its_piece_and_known_after_it() -> None:
    _, scores = run([0, 1, 1, 1, 0], [[0, 1], [2, 3, 4]])
    assert scores == [0.0, 1.0, 0.0, 0.0, 0.0]


def test_within_a_piece_nothing_is_learned() -> None:
    _, scores = run([1, 1, 1], [[0, 1, 2]])
    assert scores == [1.0, 1.0, 1.0]


def test_in_the_end_everything_is_known_but_what_was_left_out() -> None:
    detector, scores = run([1, 2, 2], [[0, 1], [2]], left_out=(1, 2))
    assert scores == [1.0, 1.0, 1.0]
    assert detector.score(LATER).tolist() == [0.0, 0.0, 1.0]


def test_the_one_before_the_last_piece_can_still_be_asked_about_it() -> None:
    pieces = [np.array([0]), np.array([1])]
    followed = fit_in_time(UnseenLines, FIRST, LATER, np.array([1, 2]), np.ones(2, dtype=np.bool_), pieces)
    assert followed.before.score(LATER).tolist() == [0.0, 0.0, 1.0]
    assert followed.final.score(LATER).tolist() == [0.0, 0.0, 0.0]
