"""The stream of normal windows that a model is fitted on, and its split in time.

Belongs here: what a stream is and how it is cut into parts. What is learned from them is ``fitting``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from logad_pipeline.logs.facts import RecordFacts
from logad_pipeline.windows import IntArray, WindowSet

MIN_WINDOWS: Final = 20
"""Fewer normal windows than this cannot be split into what is learned and what it is measured on."""

_STRETCHES: Final = 8


class TooFewWindows(ValueError):
    """There are not enough normal windows to learn from."""


@dataclass(frozen=True)
class Split:
    """Numbers of the windows of each part, in time order, no line in two of them."""

    train: IntArray
    choose: IntArray
    calibrate: IntArray


def split_in_time(positions: Sequence[Sequence[int]], train_share: float, choose_share: float) -> Split:
    """Split windows, given in time order by the positions of their lines, into three consecutive parts.

    A window of a later part that shares a line with an earlier one (as sliding windows do at the cut)
    is left out, so that nothing is measured on what was learned.

    Raises:
        TooFewWindows: below ``MIN_WINDOWS``.
    """
    total = len(positions)
    if total < MIN_WINDOWS:
        given = f"{total} window" if total == 1 else f"{total} windows"
        raise TooFewWindows(
            f"only {given} of normal logs, at least {MIN_WINDOWS} are needed; give more lines, or smaller or "
            "sliding windows"
        )
    cuts = [0, int(total * train_share), int(total * (train_share + choose_share)), total]
    used: set[int] = set()
    parts = []
    for start, end in pairwise(cuts):
        kept = [i for i in range(start, end) if used.isdisjoint(positions[i])]
        for i in kept:
            used.update(positions[i])
        parts.append(np.array(kept, dtype=np.int64))
    if not all(len(part) for part in parts):
        raise TooFewWindows(f"{total} overlapping windows leave a part of the split empty; give more lines")
    return Split(*parts)


@dataclass(frozen=True)
class NormalStream:
    """The windows of normal logs in time order, as a model is fitted on them.

    Attributes:
        windows: the unique windows (their counts are not looked at).
        ids: int64 ``[N]``, the unique window of each window of the stream.
        positions: for each of them, where its lines stand in the stream.
        source, group: for each, what it was cut from; ``""`` for no key.
        time_us: for each, microseconds since 1970 of its first dated line, or ``None``.
        facts: what is known of the record at each position, for the detectors of records; may be empty,
            then they are left out.
        vouched: numbers of windows that a person vouched for: however odd, they are learned as normal.
    """

    windows: WindowSet
    ids: IntArray
    positions: Sequence[Sequence[int]]
    source: Sequence[str] = ()
    group: Sequence[str] = ()
    time_us: Sequence[int | None] = ()
    facts: Mapping[int, RecordFacts] = field(default_factory=dict)
    vouched: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Part:
    """Some windows of the stream: their rows, the unique ones among them, and which of these each row is."""

    rows: IntArray
    ids: IntArray
    place: IntArray

    @classmethod
    def of(cls, stream: NormalStream, rows: IntArray) -> Part:
        """The windows of ``stream`` at ``rows``."""
        ids, place = np.unique(stream.ids[rows], return_inverse=True)
        return cls(rows, ids, place.astype(np.int64))


def stretches(ids: IntArray, rows: IntArray, most: int) -> IntArray:
    """Rows with at most about ``most`` unique windows among them: all, or stretches spread evenly over time.

    Whole stretches, because a unit can be looked at only if all of its windows are there.
    """
    parts = np.array_split(rows, min(_STRETCHES, len(rows)))
    share = 1.0
    while True:
        chosen = np.concatenate([part[: max(1, int(share * len(part)))] for part in parts])
        if len(np.unique(ids[chosen])) <= most or share < 1e-4:
            return chosen
        share *= 0.9
