"""Counts, events and length: what each finds strange in bags of lines, and the distance they rest on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from logad_pipeline.detectors.bags import MAX_REFERENCE, MeasureDistance, presence, root
from logad_pipeline.detectors.base import Detector, EncodedWindows
from logad_pipeline.detectors.counts import Counts
from logad_pipeline.detectors.events import Events
from logad_pipeline.detectors.length import Length
from logad_pipeline.detectors.measure import distance_to_measure
from logad_pipeline.windows import WindowIndex, WindowSet
from logad_pipeline_tests.tiny_model import windows_of

NORMAL = [["open", "read", "read", "close"], ["open", "read", "close"], ["open", "write", "close"]]


def unread(windows: list[list[str]], counts: list[int] | None = None) -> EncodedWindows:
    return EncodedWindows.unread(windows_of(windows, counts))


def fitted(kind: type[Detector], windows: list[list[str]], counts: list[int] | None = None) -> Detector:
    detector = kind()
    detector.fit(unread(windows, counts))
    return detector


def test_the_distance_is_to_the_nearest_share_not_to_the_nearest_one() -> None:
    distance = np.array([[0.0, 1.0, 2.0, 3.0]])
    counts = np.array([1.0, 1.0, 1.0, 7.0])
    assert distance_to_measure(distance, counts, 0.1)[0] == 0.0
    assert distance_to_measure(distance, counts, 0.2)[0] == pytest.approx(0.5)
    assert distance_to_measure(distance, counts, 0.5)[0] == pytest.approx((0 + 1 + 2 + 3 + 3) / 5)


@pytest.mark.parametrize("kind", [Counts, Events])
def test_new_and_missing_events_are_farther_than_any_normal_window(kind: type[Detector]) -> None:
    detector = fitted(kind, NORMAL, [40, 40, 20])
    worst = detector.score(unread(NORMAL)).max()
    odd = [["open", "read"], ["open", "read", "close", "panic"], ["panic"]]
    assert (detector.score(unread(odd)) > worst).all()


def test_counts_see_how_often_and_events_do_not() -> None:
    loop = unread([["open", *["read"] * 40, "close"]])
    counts, events = fitted(Counts, NORMAL, [40, 40, 20]), fitted(Events, NORMAL, [40, 40, 20])
    assert counts.score(loop)[0] > counts.score(unread(NORMAL)).max()
    assert events.score(loop)[0] == pytest.approx(events.score(unread([["open", "read", "close"]]))[0])


def test_a_repeated_incident_in_the_training_stays_strange() -> None:
    windows = [*NORMAL, ["open", "panic"]]
    detector = fitted(Events, windows, [400, 400, 200, 10])
    assert detector.score(unread([["open", "panic"]]))[0] > 2 * detector.score(unread(NORMAL)).max()


def test_order_does_not_matter_to_a_bag() -> None:
    detector = fitted(Counts, NORMAL)
    one, other = detector.score(unread([["open", "read", "close"], ["close", "open", "read"]]))
    assert one == pytest.approx(other)


def test_many_different_bags_are_sampled_and_keep_their_mass() -> None:
    rng = np.random.default_rng(0)
    index = WindowIndex()
    texts = [index.text_id(f"event {i}") for i in range(60)]
    for _ in range(MAX_REFERENCE + 3000):
        index.add(rng.choice(texts, size=12).tolist())
    distance = MeasureDistance.fit(index.build(), root, 1.0)
    assert len(distance._counts) == MAX_REFERENCE
    assert distance._counts.sum() == pytest.approx(len(index), rel=0.01)


def test_length_is_rare_at_both_ends_and_grows_beyond() -> None:
    windows = [["x"] * n for n in range(5, 16)]
    detector = fitted(Length, windows, [1, 2, 5, 20, 50, 80, 50, 20, 5, 2, 1])
    middle, shortest, shorter, longest, longer = detector.score(unread([["x"] * n for n in (10, 5, 1, 15, 60)]))
    assert middle < shortest < shorter
    assert middle < longest < longer


def test_a_length_that_is_nearly_a_usual_one_is_usual() -> None:
    length = fitted(Length, [["a"] * 1000], [50])
    near, far = length.score(unread([["a"] * 1001, ["a"] * 1300]))
    assert near < 0.01
    assert far > 3


def test_length_says_nothing_where_all_windows_are_of_one_length() -> None:
    detector = fitted(Length, [["a", "b"], ["b", "a"]])
    assert detector.score(unread([["a", "b"], ["c", "d"]])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("kind", [Counts, Events, Length])
def test_before_fit_it_says_so(kind: type[Detector], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="before fit"):
        kind().score(unread([["a"]]))
    with pytest.raises(RuntimeError, match="before fit"):
        kind().save(tmp_path)


def test_squashing_keeps_zero_and_one() -> None:
    counts = np.array([0.0, 1.0, 9.0])
    assert root(counts).tolist() == [0.0, 1.0, 3.0]
    assert presence(counts).tolist() == [0.0, 1.0, 1.0]


def test_a_set_without_windows_has_no_scores() -> None:
    empty = WindowSet([], np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64))
    assert len(fitted(Counts, NORMAL).score(EncodedWindows.unread(empty))) == 0
