"""Words -> the windows whose records hold them.

Belongs here: a search through `normalized`, bounded by hits and by time. There is no index: it reads the days.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from .tables import Lake

__all__ = ["Found", "search_lines"]

_SEARCHED: Final = ("body", "host_name", "service_name")
_COLUMNS: Final = ("record_id", "source", "first_line", "body")


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes:
        lines: by id of the window, its records that hold the words: source, first line in the landed file, message.
        records: how many hold them, as far as was looked.
        back_to: the earliest day that was looked through.
        whole: whether all days were, to their end.
    """

    lines: dict[str, list[tuple[str, int, str]]]
    records: int
    back_to: date | None
    whole: bool


def search_lines(lake: Lake, days: Collection[date], words: str, *, most: int = 500, seconds: float = 5.0) -> Found:
    """Look for words in the messages, hosts and programs of the records of some days, the newest day first.

    Args:
        words: as they stand in the line; upper and lower case are one.
        most: records after which the search stops.
        seconds: of search after which it stops.

    Raises:
        LakeError: there is no lake, or it lacks a table.
    """
    until = time.monotonic() + seconds
    lines: dict[str, list[tuple[str, int, str]]] = {}
    records, back_to = 0, None
    where: ds.Expression = ds.scalar(False)
    for name in _SEARCHED:
        where = where | pc.match_substring(ds.field(name), words, ignore_case=True)
    for day in sorted(days, reverse=True):
        back_to, hits, cut = day, [], False
        # Without the condition, so that the clock is looked at though nothing is found.
        for batch in lake.scan("normalized", [day], [*_COLUMNS, "host_name", "service_name"], batch_rows=100_000):
            found = pa.Table.from_batches([batch]).filter(where).slice(0, most - records)
            records += found.num_rows
            hits.append(found)
            cut = records >= most or time.monotonic() > until
            if cut:
                break
        if hits:
            _add(lake, day, pa.concat_tables(hits), lines)
        if cut:
            return Found(lines, records, back_to, whole=False)
    return Found(lines, records, back_to, whole=True)


def _add(lake: Lake, day: date, hits: pa.Table, lines: dict[str, list[tuple[str, int, str]]]) -> None:
    """Put the hits of a day to the windows that hold them."""
    rows = {row["record_id"]: row for row in hits.to_pylist()}
    wanted = pa.array(sorted(rows), pa.int64())
    for batch in lake.scan("windows", [day], ["window_id", "record_ids"]) if rows else ():
        held = batch.column("record_ids")
        numbers, owners = pc.list_flatten(held), pc.list_parent_indices(held)
        ids = batch.column("window_id")
        for place in np.flatnonzero(pc.is_in(numbers, wanted).to_numpy(zero_copy_only=False)).tolist():
            row = rows[numbers[place].as_py()]
            key = ids[owners[place].as_py()].as_py()
            lines.setdefault(key, []).append((row["source"], row["first_line"], row["body"]))
