"""The detectors over embeddings: the score head, the autoencoder, the neighbours, and their networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from logad_pipeline.detectors.autoencoder import Autoencoder
from logad_pipeline.detectors.base import Detector, EncodedWindows
from logad_pipeline.detectors.distance import EmbeddingDistance
from logad_pipeline.detectors.head import ScoreHead
from logad_pipeline.detectors.neighbours import MAX_REFERENCE, Neighbours
from logad_pipeline.detectors.networks import EmbeddingNetwork
from logad_pipeline.windows import WindowSet


def encoded(embeddings: np.ndarray, counts: np.ndarray | None = None) -> EncodedWindows:
    """Windows of one line each with these embeddings, both as [CLS] and as mean."""
    total = len(embeddings)
    ones = np.ones(total, dtype=np.int64)
    lines = np.zeros(total, dtype=np.int32)
    windows = WindowSet(["a line"], np.arange(total + 1), lines, ones if counts is None else counts)
    vectors, line = embeddings.astype(np.float32), np.zeros(total, dtype=np.float32)
    return EncodedWindows(windows, vectors, vectors, line, line)


def cloud(at: float, windows: int, seed: int, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(at, 1.0, size=(windows, width))


@pytest.fixture(scope="module")
def head() -> ScoreHead:
    detector = ScoreHead()
    detector.fit(encoded(cloud(0.0, 300, seed=0)), encoded(cloud(2.0, 300, seed=1)))
    return detector


def test_the_head_tells_what_resembles_pseudo_anomalies_from_what_is_normal(head: ScoreHead) -> None:
    normal = head.score(encoded(cloud(0.0, 200, seed=2)))
    broken = head.score(encoded(cloud(2.0, 200, seed=3)))
    assert np.quantile(normal, 0.95) < np.quantile(broken, 0.05)


def test_the_heads_probability_has_the_order_of_its_score(head: ScoreHead) -> None:
    asked = encoded(np.linspace(-50, 50, 101)[:, None] * np.ones(8))
    score, probability = head.score(asked), head.probability(asked)
    assert ((probability >= 0) & (probability <= 1)).all()
    assert (score >= 0).all() and np.isfinite(score).all()
    assert (np.diff(probability[np.argsort(score)]) >= 0).all()
    # Near 1 the probability has ties, which the score has not.
    assert len(np.unique(score[probability == 1.0])) == (probability == 1.0).sum() > 1
    calm = probability < 0.99
    assert score[calm] == pytest.approx(-np.log1p(-probability[calm]))


@pytest.mark.filterwarnings("error")
def test_a_window_far_on_the_normal_side_has_a_probability_of_zero(head: ScoreHead) -> None:
    assert head.probability(encoded(np.full((1, 8), -1e4))).tolist() == [0.0]


@pytest.mark.parametrize("corrupted", [None, encoded(np.zeros((0, 8)))], ids=["none", "empty"])
def test_without_pseudo_anomalies_the_head_cannot_learn(corrupted: EncodedWindows | None) -> None:
    with pytest.raises(ValueError, match="leave it out"):
        ScoreHead().fit(encoded(cloud(0.0, 20, seed=0)), corrupted)


def test_few_pseudo_anomalies_weigh_as_much_as_many_normal_windows() -> None:
    detector = ScoreHead()
    detector.fit(encoded(cloud(0.0, 1000, seed=0)), encoded(cloud(3.0, 20, seed=1)))
    assert np.median(detector.probability(encoded(cloud(3.0, 50, seed=2)))) > 0.9


@pytest.mark.parametrize("kind", [ScoreHead, Autoencoder])
def test_the_seed_alone_decides_what_is_learned(kind: type[Detector]) -> None:
    import torch

    normal, broken = encoded(cloud(0.0, 60, seed=0)), encoded(cloud(2.0, 60, seed=1))

    def scores(seed: int) -> np.ndarray:
        detector = kind.create(seed)
        detector.fit(normal, broken)
        return np.asarray(detector.score(normal))

    before = torch.random.get_rng_state()
    first = scores(3)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(5)
    assert (scores(3) == first).all()
    assert (scores(4) != first).any()


def test_the_autoencoder_rebuilds_what_lies_on_the_manifold_of_normal_windows() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(3, 32))
    detector = Autoencoder()
    detector.fit(encoded(rng.normal(size=(500, 3)) @ plane))
    on = rng.normal(size=(100, 3)) @ plane
    off = on + rng.normal(size=(100, 32)) * 2
    assert detector.score(encoded(on)).max() < detector.score(encoded(off)).min()
    assert (detector.score(encoded(on)) >= 0).all()


def test_between_two_clouds_is_far_from_the_neighbours_and_near_to_the_mean() -> None:
    normal = encoded(np.concatenate([cloud(-10.0, 200, seed=0), cloud(10.0, 200, seed=1)]))
    asked = encoded(np.concatenate([np.full((1, 8), at) for at in (-10.0, 0.0, 10.0)]))
    neighbours, distance = Neighbours(), EmbeddingDistance()
    neighbours.fit(normal)
    distance.fit(normal)
    left, between, right = neighbours.score(asked)
    assert between > 5 * max(left, right)
    left, between, right = distance.score(asked)
    assert between < min(left, right)


def test_an_odd_training_window_does_not_make_its_like_normal() -> None:
    odd = np.full((1, 8), 30.0)
    detector = Neighbours()
    detector.fit(encoded(np.concatenate([cloud(0.0, 400, seed=0), odd])))
    known, normal = detector.score(encoded(np.concatenate([odd, np.zeros((1, 8))])))
    assert known > 5 * normal


def test_equal_windows_score_the_same_alone_and_in_a_batch() -> None:
    detector = Neighbours()
    detector.fit(encoded(cloud(0.0, 500, seed=0, width=64)))
    asked = cloud(0.5, 300, seed=1, width=64)
    asked[299] = asked[0]
    together = detector.score(encoded(asked))
    assert together[299] == together[0]
    alone = [detector.score(encoded(asked[row : row + 1]))[0] for row in (0, 150, 299)]
    assert together[[0, 150, 299]] == pytest.approx(alone, abs=1e-4)


def test_the_neighbours_keep_the_most_frequent_windows_only() -> None:
    rare, often = cloud(20.0, MAX_REFERENCE, seed=0, width=2), cloud(0.0, 100, seed=1, width=2)
    counts = np.array([1] * len(rare) + [9] * len(often))
    detector = Neighbours()
    detector.fit(encoded(np.concatenate([rare, often]), counts))
    assert detector.score(encoded(np.zeros((1, 2))))[0] < 0.1


@pytest.mark.parametrize("kind", [ScoreHead, Autoencoder, Neighbours])
def test_what_was_not_fitted_says_so(kind: type[Detector], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="before fit"):
        kind.create(0).score(encoded(np.zeros((1, 8))))
    with pytest.raises(RuntimeError, match="before fit"):
        kind.create(0).save(tmp_path)


def test_a_dimension_that_never_varies_is_no_reason_to_fail() -> None:
    embeddings = cloud(0.0, 50, seed=0)
    embeddings[:, 3] = 7.0
    network = EmbeddingNetwork.over((8, 4), embeddings.astype(np.float32), seed=0)
    assert np.isfinite(network.scaled(embeddings.astype(np.float32))).all()
    assert np.isfinite(network(np.full((1, 8), 7.5, dtype=np.float32))).all()


def test_a_network_is_kept_with_its_scale(tmp_path: Path) -> None:
    embeddings = (cloud(5.0, 40, seed=0) * 3).astype(np.float32)
    network = EmbeddingNetwork.over((8, 16, 2), embeddings, seed=1)
    network.save(tmp_path / "net.safetensors")
    loaded = EmbeddingNetwork.load(tmp_path / "net.safetensors")
    assert loaded.widths == (8, 16, 2)
    assert (loaded(embeddings) == network(embeddings)).all()
    assert network.scaled(embeddings).std(axis=0) == pytest.approx(np.ones(8), abs=0.01)
