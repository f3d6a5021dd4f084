"""Units: what a verdict is about when it is not a window, and which windows and lines it holds.

Belongs here: the kinds of unit and gathering windows into them. Judging them is ``unit_model``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from logad_pipeline.windows import IntArray, WindowSet

Kind = Literal["window", "group", "file", "span"]


@dataclass(frozen=True)
class UnitKind:
    """What a verdict is about.

    Attributes:
        kind: ``window``; ``group`` (all windows of a key: a session, a request, a process); ``file`` (all
            of a source: a job's or a run's log); ``span`` (the windows of a source that begin within some
            minutes of the clock).
        minutes: length of a span, 0 for the others.
    """

    kind: Kind = "window"
    minutes: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``window``, ``group``, ``file`` or ``<N>min``.

        Raises:
            ValueError: for anything else.
        """
        if text in ("window", "group", "file"):
            return cls(text)  # type: ignore[arg-type]
        number = text.removesuffix("min")
        if text.endswith("min") and number.isdigit() and int(number) > 0:
            return cls("span", int(number))
        raise ValueError(f"unit '{text}' is not known; use window, group, file, or minutes such as 5min")

    def __str__(self) -> str:
        """As :meth:`parse` reads it."""
        return f"{self.minutes}min" if self.kind == "span" else self.kind

    def key(self, source: Hashable, group: Hashable, time_us: int | None, ordinal: int) -> Hashable:
        """The unit that a window belongs to.

        A window without a key (``""``) is a group of its own, named by its ``ordinal``. A window without a
        time belongs to the span that has none.
        """
        if self.kind == "file":
            return (source,)
        if self.kind == "group" and group != "":
            return (source, group)
        if self.kind == "span":
            return (source, None if time_us is None else time_us // (self.minutes * 60_000_000))
        return (source, group, ordinal)


@dataclass(frozen=True)
class UnitTable:
    """Units over the windows of a stream.

    Attributes:
        bags: one row a unit: the lines of its windows, one after the other. Lines that several sliding
            windows share are in it as often as they share them.
        rows: int64, numbers of the windows in their stream, unit after unit.
        offsets: int64 ``[n + 1]``; unit ``i`` holds ``rows[offsets[i]:offsets[i + 1]]``.
    """

    bags: WindowSet
    rows: IntArray
    offsets: IntArray

    def __len__(self) -> int:
        return len(self.offsets) - 1


def gather(keys: Iterable[Hashable], unique: IntArray, windows: WindowSet) -> UnitTable:
    """Gather the windows of a stream into units, in the order in which units begin.

    Args:
        keys: the unit of each window (see :meth:`UnitKind.key`).
        unique: int64 ``[N]``, the unique window of each.
        windows: the unique windows.
    """
    units: dict[Hashable, list[int]] = {}
    for row, key in enumerate(keys):
        units.setdefault(key, []).append(row)
    members = list(units.values())
    rows = np.array([row for unit in members for row in unit], dtype=np.int64)
    offsets = np.concatenate(([0], np.cumsum([len(unit) for unit in members]))).astype(np.int64)
    return UnitTable(_bags(windows, unique[rows], offsets), rows, offsets)


def _bags(windows: WindowSet, chosen: IntArray, offsets: IntArray) -> WindowSet:
    """The lines of ``chosen`` windows, joined between consecutive ``offsets``."""
    lengths = np.diff(windows.offsets)[chosen]
    ends = np.concatenate(([0], np.cumsum(lengths)))
    ones = np.ones(len(offsets) - 1, dtype=np.int64)
    return WindowSet(windows.texts, ends[offsets], windows.line_ids[windows.places(chosen)], ones)


def whole(keys: Sequence[Hashable], parts: Sequence[int]) -> list[bool]:
    """Whether each window's unit lies within one part: a unit cut by the split is neither learned nor measured."""
    seen: dict[Hashable, set[int]] = {}
    for key, part in zip(keys, parts, strict=True):
        seen.setdefault(key, set()).add(part)
    return [len(seen[key]) == 1 for key in keys]
