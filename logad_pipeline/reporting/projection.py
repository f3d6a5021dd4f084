"""Embeddings on the plane by t-SNE, for a person to look at.

Belongs here: the sample and the projection. Not here: the picture (``plots``), and nothing that scores:
distances on the plane are no evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_POINTS = 2000
MIN_POINTS = 5


@dataclass(frozen=True, eq=False)
class Projection:
    """A map of embeddings on the plane.

    Attributes:
        points: shape (points, 2), float64, no unit: only who lies near whom has a meaning.
        index: shape (points,), int64: the row of the embeddings that each point shows, ascending.
    """

    points: NDArray[np.float64]
    index: NDArray[np.int64]


def tsne(embeddings: ArrayLike, seed: int, keep: ArrayLike | None = None) -> Projection | None:
    """t-SNE of [CLS] embeddings (van der Maaten and Hinton 2008), of at most ``MAX_POINTS`` of them.

    Args:
        embeddings: shape (windows, dimensions), finite floats.
        seed: seed of the sample and of t-SNE.
        keep: shape (windows,), bool: rows that go into the sample first, such as the alerts, so that a
            rare few are not lost; they fill at most half of it.

    Returns:
        The projection, or ``None`` with fewer than ``MIN_POINTS`` windows.

    Raises:
        ValueError: embeddings are not two-dimensional or not finite, or ``keep`` has another length.
    """
    rows = np.asarray(embeddings, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"embeddings have shape {rows.shape}; expected (windows, dimensions)")
    if not np.isfinite(rows).all():
        raise ValueError("embeddings hold NaN or infinite values")
    wanted = np.zeros(len(rows), dtype=np.bool_) if keep is None else np.asarray(keep, dtype=np.bool_)
    if wanted.shape != (len(rows),):
        raise ValueError(f"keep has shape {wanted.shape} for {len(rows)} embeddings")
    if len(rows) < MIN_POINTS:
        return None
    index = _sample(wanted, np.random.default_rng(seed))
    rows = rows[index]
    spread = float(rows.std(axis=0).max(initial=0.0))
    if spread == 0.0:
        return Projection(points=np.zeros((len(rows), 2)), index=index)
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    model = TSNE(
        n_components=2,
        perplexity=max(1.0, min(30.0, (len(rows) - 1) / 3)),
        init="pca" if rows.shape[1] >= 2 else "random",
        random_state=seed,
    )
    # One thread: on a busy machine the threads of its inner loops spend their time waiting for one another.
    with threadpool_limits(1):
        # Divided by the spread, so that tiny embeddings do not underflow in the pairwise distances.
        points = model.fit_transform(rows / spread)
    return Projection(points=np.asarray(points, dtype=np.float64), index=index)


def _sample(wanted: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    if len(wanted) <= MAX_POINTS:
        return np.arange(len(wanted), dtype=np.int64)
    first, rest = rng.permutation(np.flatnonzero(wanted)), rng.permutation(np.flatnonzero(~wanted))
    kept = min(len(first), max(MAX_POINTS // 2, MAX_POINTS - len(rest)))
    return np.sort(np.concatenate([first[:kept], rest[: MAX_POINTS - kept]])).astype(np.int64)
