"""The detectors: what each of them finds strange, on encoded windows made by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from logad_pipeline.detectors.base import Detector, EncodedWindows
from logad_pipeline.detectors.distance import EmbeddingDistance
from logad_pipeline.detectors.precision import PrecisionVariance
from logad_pipeline.detectors.registry import DETECTORS, RECORD_DETECTORS, check_names
from logad_pipeline.detectors.surprise import Surprise
from logad_pipeline.detectors.top_tokens import TopTokens
from logad_pipeline.detectors.worst_line import WorstLine
from logad_pipeline.windows import WindowSet


def encoded(
    surprises: Sequence[Sequence[float]], means: np.ndarray | None = None, counts: Sequence[int] | None = None
) -> EncodedWindows:
    """Windows with these line surprises and mean embeddings."""
    lengths = [len(window) for window in surprises]
    windows = WindowSet(
        ["a line"],
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        np.zeros(sum(lengths), dtype=np.int32),
        np.array(counts or [1] * len(lengths), dtype=np.int64),
    )
    means = np.zeros((len(lengths), 4)) if means is None else means
    flat = np.array([value for window in surprises for value in window], dtype=np.float32)
    means = means.astype(np.float32)
    return EncodedWindows(windows, means, means, flat, flat)


def cloud(windows: int, rng: np.random.Generator) -> np.ndarray:
    """Embeddings that vary a lot in one direction and little in the others."""
    return rng.normal(size=(windows, 4)) * [10.0, 1.0, 1.0, 1.0] + [5.0, 0.0, 0.0, 0.0]


def test_surprise_is_the_mean_over_lines_and_worst_line_their_maximum() -> None:
    windows = encoded([[1.0, 2.0, 6.0], [4.0], [0.5, 0.5]])
    assert Surprise().score(windows).tolist() == [3.0, 4.0, 0.5]
    assert WorstLine().score(windows).tolist() == [6.0, 4.0, 0.5]


def test_one_odd_line_moves_worst_line_more_than_surprise() -> None:
    windows = encoded([[1.0] * 10, [1.0] * 9 + [11.0]])
    mean, worst = Surprise().score(windows), WorstLine().score(windows)
    assert mean[1] - mean[0] == pytest.approx(1.0)
    assert worst[1] - worst[0] == pytest.approx(10.0)


def test_distance_grows_away_from_the_mean_in_units_of_the_normal_spread() -> None:
    rng = np.random.default_rng(0)
    detector = EmbeddingDistance()
    detector.fit(encoded([[0.0]] * 2000, cloud(2000, rng)))
    asked = np.array([[5.0, 0, 0, 0], [35.0, 0, 0, 0], [5.0, 3.0, 0, 0], [5.0, 30.0, 0, 0]])
    centre, along, across, far = detector.score(encoded([[0.0]] * 4, asked))
    assert centre < 0.5
    # Thirty along the wide direction is as rare as three across it: both are three standard deviations.
    assert along == pytest.approx(3.0, rel=0.15)
    assert across == pytest.approx(3.0, rel=0.15)
    assert far > 5 * across


def test_a_window_seen_often_pulls_the_mean() -> None:
    means = np.array([[0.0, 0, 0, 0], [10.0, 0, 0, 0]])
    detector = EmbeddingDistance()
    detector.fit(encoded([[0.0], [0.0]], means, counts=[10_000, 1]))
    common, rare = detector.score(encoded([[0.0], [0.0]], means))
    assert common < rare


def test_fewer_windows_than_dimensions_still_give_finite_distances() -> None:
    rng = np.random.default_rng(1)
    detector = EmbeddingDistance()
    detector.fit(encoded([[0.0]] * 3, rng.normal(size=(3, 64))))
    scores = detector.score(encoded([[0.0]] * 10, rng.normal(size=(10, 64))))
    assert np.isfinite(scores).all()


def test_one_window_is_no_cloud_but_a_place() -> None:
    detector = EmbeddingDistance()
    detector.fit(encoded([[0.0]], np.ones((1, 4))))
    assert detector.score(encoded([[0.0]] * 2, np.array([[1.0] * 4, [3.0] * 4]))) == pytest.approx([0.0, 4.0])
    with pytest.raises(ValueError, match="needs normal windows"):
        detector.fit(encoded([]))


def test_equal_windows_are_no_reason_to_fail() -> None:
    detector = EmbeddingDistance()
    detector.fit(encoded([[0.0]] * 5, np.ones((5, 4))))
    assert np.isfinite(detector.score(encoded([[0.0]] * 2, np.array([[1.0] * 4, [2.0] * 4])))).all()


@pytest.mark.parametrize("kind", DETECTORS.values(), ids=DETECTORS)
def test_a_saved_detector_scores_the_same(kind: type[Detector], tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    windows = encoded([list(rng.exponential(size=3)) for _ in range(50)], cloud(50, rng))
    detector = kind.create(0)
    corrupted = encoded([list(rng.exponential(size=3)) for _ in range(50)], cloud(50, rng) + 3.0)
    detector.fit(windows, corrupted)
    detector.save(tmp_path)
    assert {file.suffix for file in tmp_path.iterdir()} <= {".safetensors", ".json"}
    assert (kind.load(tmp_path).score(windows) == detector.score(windows)).all()


def test_a_distance_that_was_not_fitted_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="before fit"):
        EmbeddingDistance().score(encoded([[0.0]]))
    with pytest.raises(RuntimeError, match="before fit"):
        EmbeddingDistance().save(tmp_path)


def test_every_detector_is_registered_under_its_own_name() -> None:
    assert all(kind.name == name for name, kind in (DETECTORS | RECORD_DETECTORS).items())
    assert not set(DETECTORS) & set(RECORD_DETECTORS)


def test_names_that_are_not_known_are_refused() -> None:
    check_names(("surprise", "entity_graph"))
    with pytest.raises(ValueError, match="detector surprize is not known; there are surprise"):
        check_names(("surprize",))
    with pytest.raises(ValueError, match="at least one detector of windows"):
        check_names(("entity_graph",))


def test_top_tokens_is_the_mean_of_the_three_largest() -> None:
    windows = encoded([[1.0, 5.0, 2.0, 6.0, 7.0], [4.0], [1.0, 3.0]])
    assert TopTokens().score(windows).tolist() == [6.0, 4.0, 2.0]


def test_precision_variance_is_the_spread_of_the_lines_probabilities() -> None:
    even, odd = [math.log(2.0)] * 3, [0.0, 0.0, math.log(4.0)]
    spread = math.sqrt(((1 - 0.75) ** 2 * 2 + (0.25 - 0.75) ** 2) / 3)
    scores = PrecisionVariance().score(encoded([even, odd, [9.0]])).tolist()
    assert scores == pytest.approx([0.0, spread, 0.0], abs=1e-6)


def test_taking_encoded_windows_takes_their_lines_along() -> None:
    windows = encoded([[1.0, 2.0], [3.0], [4.0, 5.0, 6.0]], np.arange(12.0).reshape(3, 4), counts=[1, 2, 3])
    taken = windows.take([2, 0])
    assert taken.line_surprise.tolist() == [4.0, 5.0, 6.0, 1.0, 2.0]
    assert taken.mean[:, 0].tolist() == [8.0, 0.0]
    assert taken.windows.counts.tolist() == [3, 1]
    assert WorstLine().score(taken).tolist() == [6.0, 2.0]
    assert len(windows.take([])) == 0
    assert math.isclose(Surprise().score(windows.take([1]))[0], 3.0)
