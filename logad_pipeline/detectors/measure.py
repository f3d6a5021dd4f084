"""The distance from a point to a weighted set of normal ones.

Belongs here: the arithmetic that the detectors over bags and over embeddings share.
"""

from __future__ import annotations

import numpy as np

from logad_pipeline.detectors.base import FloatArray


def distance_to_measure(distance: FloatArray, counts: FloatArray, mass: float) -> FloatArray:
    """Mean distance to the nearest share of the normal windows, each counted as often as it was seen.

    The first-order distance to a measure (Chazal, Cohen-Steiner and Mérigot, 2011). Unlike the distance
    to the nearest neighbour it is not moved by a few odd windows among the normal ones.

    Args:
        distance: float64 ``[rows, reference]``.
        counts: float64 ``[reference]``, how often each was seen.
        mass: the share, ``0 < mass <= 1``; at least one window is always taken.

    Returns:
        float64 ``[rows]``.
    """
    order = np.argsort(distance, axis=1)
    near, weight = np.take_along_axis(distance, order, axis=1), counts[order]
    before = np.cumsum(weight, axis=1) - weight
    share = np.clip(max(1.0, mass * float(counts.sum())) - before, 0.0, weight)
    return np.asarray((near * share).sum(axis=1) / share.sum(axis=1))
