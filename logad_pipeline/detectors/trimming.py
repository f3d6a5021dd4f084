"""Contamination: windows among the normal ones that cannot be normal.

Belongs here: which windows of what was given as normal are left out of training and calibration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.bags import MeasureDistance, Squash, presence, root
from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.windows import WindowSet

BoolArray = npt.NDArray[np.bool_]

_ROUNDS: Final = 4
_LEAST_SCALE: Final = 0.03
_MANY: Final = 50
"""Units from which their lower half says enough of their body."""


@dataclass(frozen=True)
class Trim:
    """How much is trimmed.

    Attributes:
        most: largest share that is left out, in [0, 1).
        body: quantiles between which the distances are those of normal ones, and fall off about exponentially.
    """

    most: float = 0.2
    body: tuple[float, float] = (0.5, 0.9)

    @classmethod
    def of_units(cls, number: int) -> Trim:
        """For whole units, such as runs of a job, of which four in ten may have failed: read by their lower half.

        Units are few and long, and a failed one stands apart. Of windows as much would be too much: many
        normal kinds are each a small part of them.
        """
        return cls(0.4, (0.25, 0.5)) if number >= _MANY else cls()


_OF_WINDOWS: Final = Trim()


def odd_ones_out(windows: WindowSet, trim: Trim = _OF_WINDOWS) -> BoolArray:
    """Mark windows that the bulk of the others does not explain.

    The distance of a window's events and counts to the mass of all others falls off about exponentially
    in normal logs. The rate of that fall is read between two quantiles (the median and the ninth decile, where a
    tenth of incidents moves it little), and carried on outwards: a window beyond the distance at which less than
    half a window is expected (Chauvenet's criterion) is marked. Once the marked ones are gone the rest is
    looked at again.

    When it does not work: incidents that look like normal windows to a bag of events stay; a rare and
    very different normal kind of window is taken for an incident and will raise alarms; with incidents
    in more than the share beyond the upper quantile the bulk itself is off.

    Args:
        windows: unique windows with counts.
        trim: how much.

    Returns:
        bool ``[n]``; at most ``trim.most`` of the counted windows is marked, the farthest ones.
    """
    marked = np.zeros(len(windows), dtype=np.bool_)
    for _ in range(_ROUNDS):
        kept = np.flatnonzero(~marked)
        if len(kept) < 2:
            break
        beyond = np.full(len(windows), -np.inf)
        for squash in (root, presence):
            beyond = np.maximum(beyond, _beyond(squash, windows, kept, trim.body))
        new = (beyond > 0) & ~marked
        if not new.any():
            break
        allowed = trim.most * windows.counts.sum() - windows.counts[marked].sum()
        order = np.flatnonzero(new)[np.argsort(-beyond[new], kind="stable")]
        within = np.cumsum(windows.counts[order]) <= allowed
        marked[order[within]] = True
        if not within.all():
            break
    return marked


def _beyond(squash: Squash, windows: WindowSet, kept: npt.NDArray[np.int64], body: tuple[float, float]) -> FloatArray:
    """How far each window lies beyond the limit that the kept ones set, negative for within."""
    # Rare templates weigh in full: what is looked for is just what hardly ever comes.
    distance = MeasureDistance.fit(windows.take(kept), squash, 1.0).score(windows)
    counts = windows.counts[kept]
    low, high = _quantiles(distance[kept], counts, body)
    scale = max((high - low) / math.log((1 - body[0]) / (1 - body[1])), _LEAST_SCALE)
    expected = (1 - body[1]) * float(counts.sum())
    return np.asarray(distance - (high + scale * max(0.0, math.log(2 * expected))))


def _quantiles(values: FloatArray, counts: npt.NDArray[np.int64], shares: tuple[float, float]) -> tuple[float, float]:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(counts[order]) / counts.sum()
    places = np.minimum(np.searchsorted(reached, shares), len(values) - 1)
    low, high = values[order][places]
    return float(low), float(high)
