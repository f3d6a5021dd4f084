"""The swimlane: the highest score and the alarms of each stream by span of time, over any number of days.

Belongs here: adding up. How a cell looks is the page's business.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .tables import Lake

__all__ = ["Cell", "Lane", "Swimlane", "read_lanes"]

_MOST_SPANS: Final = 72
_HOURS: Final = (1, 2, 3, 6, 12, 24)
_COLUMNS: Final = ("source", "group_key", "first_time", "score", "is_anomaly")


@dataclass(frozen=True, slots=True)
class Cell:
    """Windows of a stream that begin in one span of time: the highest score, in [0, 1], and how many alarms."""

    score: float
    alarms: int


@dataclass(slots=True)
class Lane:
    """A host, or a source, with its cells by the number of their span from 0 on; spans without windows have none."""

    name: str
    cells: dict[int, Cell] = field(default_factory=dict)

    @property
    def alarms(self) -> int:
        """In all of them."""
        return sum(cell.alarms for cell in self.cells.values())

    @property
    def score(self) -> float:
        """The highest."""
        return max(cell.score for cell in self.cells.values())


@dataclass(frozen=True, slots=True)
class Swimlane:
    """The lanes of some days, those with the highest scores first.

    Attributes:
        start: of the first span, UTC.
        hours: of each span.
        spans: how many; 72 at most.
        windows, alarms: counted.
        timeless: windows that have no time and are in no lane.
    """

    start: datetime
    hours: int
    spans: int
    lanes: tuple[Lane, ...]
    windows: int
    alarms: int
    timeless: int

    def begin(self, span: int) -> datetime:
        """When a span begins."""
        return self.start + timedelta(hours=span * self.hours)


def read_lanes(
    lake: Lake, days: Collection[date], *, by_group: bool, stream: str | None = None, without: Collection[str] = ()
) -> Swimlane:
    """Read the swimlane of judged days.

    Args:
        days: at least one.
        by_group: whether a window's lane is its host or session, where it names one, rather than its source.
        stream: this lane alone.
        without: ids of windows that are left out, such as those that somebody called normal.

    Raises:
        LakeError: there is no lake, or it lacks a table.
    """
    left_out = pa.array(sorted(without), pa.string())
    columns = [*_COLUMNS, "window_id"] if len(left_out) else [*_COLUMNS]
    parts: list[pa.Table] = []
    windows = alarms = timeless = 0
    for batch in lake.scan("scores", days, columns):
        if len(left_out):
            batch = batch.filter(pc.invert(pc.is_in(batch.column("window_id"), left_out)))
        names = batch.column("source")
        if by_group:
            groups = batch.column("group_key")
            names = pc.if_else(pc.equal(groups, ""), names, groups)
        if stream is not None:
            mine = pc.equal(names, stream)
            batch, names = batch.filter(mine), names.filter(mine)
        windows += batch.num_rows
        alarms += pc.sum(batch.column("is_anomaly")).as_py() or 0
        timeless += batch.column("first_time").null_count
        parts.append(_by_hour(names, batch))
    rows = _by_name_and_hour(pa.concat_tables(parts)).to_pylist() if parts else []
    first, hours, spans = _spans(days, [row["hour"] for row in rows])
    lanes: dict[str, Lane] = {}
    for row in rows:
        lane = lanes.setdefault(row["name"], Lane(row["name"]))
        span = (row["hour"] - first) // hours
        before = lane.cells.get(span, Cell(0.0, 0))
        lane.cells[span] = Cell(max(before.score, row["score"]), before.alarms + row["alarms"])
    ranked = sorted(lanes.values(), key=lambda lane: (-lane.score, lane.name))
    start = datetime.fromtimestamp(first * 3600, UTC)
    return Swimlane(start, hours, spans, tuple(ranked), windows, alarms, timeless)


def _by_hour(names: pa.Array, batch: pa.RecordBatch) -> pa.Table:
    hours = np.floor_divide(batch.column("first_time").cast(pa.int64()).fill_null(0).to_numpy(), 3_600_000_000)
    table = pa.table(
        {"name": names, "hour": hours, "score": batch.column("score"),
         "alarms": batch.column("is_anomaly").cast(pa.int64())}
    )  # fmt: skip
    return _by_name_and_hour(table.filter(batch.column("first_time").is_valid()))


def _by_name_and_hour(table: pa.Table) -> pa.Table:
    added = table.group_by(["name", "hour"]).aggregate([("score", "max"), ("alarms", "sum")])
    return added.select(["name", "hour", "score_max", "alarms_sum"]).rename_columns(["name", "hour", "score", "alarms"])


def _spans(days: Collection[date], hours: list[int]) -> tuple[int, int, int]:
    """First hour since 1970, hours of a span, and number of spans, that hold all days and all windows."""
    dawn = date(1970, 1, 1)
    # A window of a day may begin in the zone's neighbouring one.
    first = min([24 * (min(days) - dawn).days, *hours])
    last = max([24 * ((max(days) - dawn).days + 1) - 1, *hours])
    steps = (*_HOURS, 24 * (1 + (last - first) // (24 * (_MOST_SPANS - 1))))
    step = next(step for step in steps if last - _floor(first, step) < step * _MOST_SPANS)
    begin = _floor(first, step)
    return begin, step, (last - begin) // step + 1


def _floor(hour: int, step: int) -> int:
    return hour - hour % min(step, 24)
