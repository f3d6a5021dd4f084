"""The swimlane: the highest score and the alarms of each stream by span of time, over any number of days.

Belongs here: adding up. How a cell looks is ``reporting.swimlane``'s business.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logad_pipeline.reporting.swimlane import Cell, Lane, Swimlane

from .tables import Lake

_MOST_SPANS: Final = 72
_HOURS: Final = (1, 2, 3, 6, 12, 24)
LANE_COLUMNS: Final = ("source", "group_key", "first_time", "score", "is_anomaly")


class LaneSums:
    """Adds up scored windows to the swimlane of some days.

    Args:
        by_group: whether a window's lane is its host or session, where it names one, rather than its source.
        stream: this lane alone; ``None`` for all.
    """

    def __init__(self, by_group: bool, stream: str | None = None) -> None:
        self._by_group, self._stream = by_group, stream
        self._parts: list[pa.Table] = []
        self._windows = self._alarms = self._timeless = 0

    def take(self, batch: pa.RecordBatch) -> None:
        """Count in rows of the scores table, which hold at least ``LANE_COLUMNS``."""
        names = batch.column("source")
        if self._by_group:
            groups = batch.column("group_key")
            names = pc.if_else(pc.equal(groups, ""), names, groups)
        if self._stream is not None:
            mine = pc.equal(names, self._stream)
            batch, names = batch.filter(mine), names.filter(mine)
        self._windows += batch.num_rows
        self._alarms += pc.sum(batch.column("is_anomaly")).as_py() or 0
        self._timeless += batch.column("first_time").null_count
        self._parts.append(_by_hour(names, batch))

    def swimlane(self, days: Collection[date]) -> Swimlane:
        """What was counted in; the spans hold all of ``days``, at least one."""
        rows = _by_name_and_hour(pa.concat_tables(self._parts)).to_pylist() if self._parts else []
        first, hours, spans = _spans(days, [row["hour"] for row in rows])
        lanes: dict[str, Lane] = {}
        for row in rows:
            lane = lanes.setdefault(row["name"], Lane(row["name"]))
            span = (row["hour"] - first) // hours
            before = lane.cells.get(span, Cell(0.0, 0))
            lane.cells[span] = Cell(max(before.score, row["score"]), before.alarms + row["alarms"])
        ranked = sorted(lanes.values(), key=lambda lane: (-lane.score, lane.name))
        start = datetime.fromtimestamp(first * 3600, UTC)
        return Swimlane(start, hours, spans, tuple(ranked), self._windows, self._alarms, self._timeless)


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
    columns = [*LANE_COLUMNS, "window_id"] if len(left_out) else [*LANE_COLUMNS]
    sums = LaneSums(by_group, stream)
    for batch in lake.scan("scores", days, columns):
        if len(left_out):
            batch = batch.filter(pc.invert(pc.is_in(batch.column("window_id"), left_out)))
        sums.take(batch)
    return sums.swimlane(days)


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
