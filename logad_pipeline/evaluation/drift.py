"""How far scores have moved: the population stability index.

Belongs here: the measure over arrays. Which scores are compared, and what follows, is decided elsewhere.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

BINS: Final = 10
MIN_VALUES: Final = 30
_FLOOR: Final = 1e-3
"""Least share of a bin, so that one that fell empty counts much but not without end."""


def bin_edges(expected: npt.ArrayLike) -> FloatArray:
    """Inner edges of at most ``BINS`` bins that hold about as many of the expected values each.

    Equal values fall into one bin, so there are fewer edges where many are equal, and none where all are.
    """
    values = np.sort(np.asarray(expected, dtype=np.float64))
    if not len(values):
        return np.zeros(0)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    return np.asarray(edges[edges < values[-1]])


def shares(values: npt.ArrayLike, edges: FloatArray) -> FloatArray:
    """Share of the values in each of the ``len(edges) + 1`` bins; a value on an edge is in the bin below."""
    counts = np.bincount(np.searchsorted(edges, np.asarray(values, dtype=np.float64)), minlength=len(edges) + 1)
    return np.asarray(counts / max(counts.sum(), 1))


def population_stability(expected: FloatArray, found: FloatArray) -> float:
    """The index of two distributions over the same bins: 0 where they are alike; above 0.25 they differ much.

    The sum of ``(found - expected) * ln(found / expected)``, as in credit scoring (Siddiqi, 2006).

    Args:
        expected, found: shares of each bin, adding up to 1.

    When it does not work: with few values chance alone gives about ``bins / values``.
    """
    was, now = np.maximum(expected, _FLOOR), np.maximum(found, _FLOOR)
    return float(np.sum((now - was) * np.log(now / was)))
