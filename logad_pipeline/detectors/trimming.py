"""Contamination: windows among the normal ones that cannot be normal.

Belongs here: which windows of what was given as normal are left out of training and calibration.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.bags import MeasureDistance, Squash, presence, root
from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.windows import WindowSet

BoolArray = npt.NDArray[np.bool_]

MAX_SHARE: Final = 0.2
"""Largest share of the windows that is left out."""
_ROUNDS: Final = 4
_LEAST_SCALE: Final = 0.03
_BODY: Final = (0.5, 0.9)


def odd_ones_out(windows: WindowSet) -> BoolArray:
    """Mark windows that the bulk of the others does not explain.

    The distance of a window's events and counts to the mass of all others falls off about exponentially
    in normal logs. The rate of that fall is read between the median and the ninth decile, where a tenth
    of incidents moves it little, and carried on outwards: a window beyond the distance at which less than
    half a window is expected (Chauvenet's criterion) is marked. Once the marked ones are gone the rest is
    looked at again.

    When it does not work: incidents that look like normal windows to a bag of events stay; a rare and
    very different normal kind of window is taken for an incident and will raise alarms; with incidents
    in more than a tenth of the windows the bulk itself is off.

    Args:
        windows: unique windows with counts.

    Returns:
        bool ``[n]``; at most ``MAX_SHARE`` of the counted windows is marked, the farthest ones.
    """
    marked = np.zeros(len(windows), dtype=np.bool_)
    for _ in range(_ROUNDS):
        kept = np.flatnonzero(~marked)
        if len(kept) < 2:
            break
        beyond = np.full(len(windows), -np.inf)
        for squash in (root, presence):
            beyond = np.maximum(beyond, _beyond(squash, windows, kept))
        new = (beyond > 0) & ~marked
        if not new.any():
            break
        allowed = MAX_SHARE * windows.counts.sum() - windows.counts[marked].sum()
        order = np.flatnonzero(new)[np.argsort(-beyond[new], kind="stable")]
        within = np.cumsum(windows.counts[order]) <= allowed
        marked[order[within]] = True
        if not within.all():
            break
    return marked


def _beyond(squash: Squash, windows: WindowSet, kept: npt.NDArray[np.int64]) -> FloatArray:
    """How far each window lies beyond the limit that the kept ones set, negative for within."""
    # Rare templates weigh in full: what is looked for is just what hardly ever comes.
    distance = MeasureDistance.fit(windows.take(kept), squash, 1.0).score(windows)
    counts = windows.counts[kept]
    middle, high = _quantiles(distance[kept], counts)
    scale = max((high - middle) / math.log((1 - _BODY[0]) / (1 - _BODY[1])), _LEAST_SCALE)
    expected = (1 - _BODY[1]) * float(counts.sum())
    return np.asarray(distance - (high + scale * max(0.0, math.log(2 * expected))))


def _quantiles(values: FloatArray, counts: npt.NDArray[np.int64]) -> tuple[float, float]:
    order = np.argsort(values, kind="stable")
    share = np.cumsum(counts[order]) / counts.sum()
    places = np.minimum(np.searchsorted(share, _BODY), len(values) - 1)
    middle, high = values[order][places]
    return float(middle), float(high)
