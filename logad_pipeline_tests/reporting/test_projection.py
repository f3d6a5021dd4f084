"""t-SNE of few, many, equal and tiny embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from logad_pipeline.reporting import projection
from logad_pipeline.reporting.projection import MAX_POINTS, tsne

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("windows", [0, 1, 4])
def test_too_few_windows_give_none(windows: int) -> None:
    assert tsne(np.ones((windows, 8)), seed=1) is None


@pytest.mark.parametrize("windows", [5, 6, 31])
def test_few_windows_get_a_legal_perplexity(windows: int) -> None:
    found = tsne(np.random.default_rng(1).normal(size=(windows, 8)), seed=1)
    assert found is not None and found.points.shape == (windows, 2)
    assert np.isfinite(found.points).all() and found.index.tolist() == list(range(windows))


@pytest.mark.parametrize("rows", [np.ones((20, 8)), np.eye(20) * 1e-30, np.arange(20.0).reshape(20, 1)])
def test_degenerate_embeddings_still_give_finite_points(rows: np.ndarray) -> None:
    found = tsne(rows, seed=1)
    assert found is not None and np.isfinite(found.points).all()


def test_two_clusters_stay_two_and_the_seed_repeats() -> None:
    rng = np.random.default_rng(2)
    rows = np.concatenate([rng.normal(0, 1, (40, 16)), rng.normal(20, 1, (40, 16))])
    found, again = tsne(rows, seed=3), tsne(rows, seed=3)
    assert found is not None and again is not None
    assert np.array_equal(found.points, again.points)
    first, second = found.points[:40], found.points[40:]
    apart = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert apart > 2 * max(first.std(), second.std())


def test_the_sample_is_capped_and_keeps_the_rare() -> None:
    rng = np.random.default_rng(4)
    wanted = np.zeros(50_000, np.bool_)
    wanted[rng.choice(50_000, 30, replace=False)] = True
    index = projection._sample(wanted, rng)
    assert len(index) == len(set(index.tolist())) == MAX_POINTS
    assert wanted[index].sum() == 30 and (np.diff(index) > 0).all()
    assert projection._sample(np.ones(50_000, np.bool_), rng).shape == (MAX_POINTS,)
    mostly = np.arange(50_000) > 500
    assert (~mostly[projection._sample(mostly, rng)]).sum() == 501


def test_what_is_no_embedding_is_refused() -> None:
    with pytest.raises(ValueError, match="expected \\(windows, dimensions\\)"):
        tsne(np.ones(9), seed=1)
    with pytest.raises(ValueError, match="NaN or infinite"):
        tsne(np.full((9, 2), np.nan), seed=1)
    with pytest.raises(ValueError, match="keep has shape"):
        tsne(np.ones((9, 2)), seed=1, keep=[True])
