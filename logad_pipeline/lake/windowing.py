"""A day's normalised records become its windows, and it is measured that they hold every line.

Belongs here: streams of a day to rows of `windows`, and reading those back. Does not: how a stream is cut
(`logad_pipeline.windows`), what a window scores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from logad_pipeline.windows import Window, Windower, WindowSpec, settled_order

from .schemas import WINDOWS
from .tables import Lake, LakeError, Progress, in_record_order

__all__ = ["GroupMismatch", "WindowAccount", "cut_day", "read_windows", "record_ids_of", "texts_of"]

_COLUMNS: Final = (
    "record_id", "timestamp", "first_line", "last_line", "text_id", "file_sha256",
    "source", "group_key", "group_by", "mask_version",
)  # fmt: skip
_BATCH_VALUES: Final = 1 << 18
_BATCH_ROWS: Final = 10_000


class GroupMismatch(LakeError):
    """The windows want another grouping than the one that the day was normalised with."""


@dataclass(frozen=True, slots=True)
class WindowAccount:
    """What became of a day's records, counted in the table after it was written.

    Attributes:
        day: the day.
        windows: rows of `windows`.
        lines_covered: physical lines of the records that are in at least one window.
        records: rows of `normalized`.
        all_lines_covered: whether every record is in at least one window.
    """

    day: date
    windows: int
    lines_covered: int
    records: int
    all_lines_covered: bool


class _Line(NamedTuple):
    """What a window has to know of a record."""

    time_us: int | None
    first: int
    last: int
    text_id: int
    file: str


def cut_day(
    lake: Lake,
    day: date,
    spec: WindowSpec,
    batch_rows: int = _BATCH_ROWS,
    progress: Progress | None = None,
) -> WindowAccount:
    """Make `windows` of a day anew from its normalised records.

    A stream is a source and a group key: windows never mix two sources, nor reach into another day. Memory
    holds the records of unfinished windows, and 5 bytes a record of the day for the account.

    Args:
        lake: the lake.
        day: the day; one without records gets no windows.
        spec: how to cut; ``spec.group_by`` must be what the day was normalised with.
        batch_rows: most rows written at once.
        progress: is told the number of records done so far.

    Raises:
        GroupMismatch: the day was normalised with another ``group_by``.
        LakeDamaged: records of the day are missing in `normalized`.
        DayConflict: another run wrote the day meanwhile.
    """
    cutter = _Cutter(day, spec, batch_rows)
    lake.replace_day("windows", day, cutter.batches(_records(lake, day, spec, progress)))
    spans = np.concatenate([np.empty(0, np.int32), *cutter.spans])
    covered = np.zeros(len(spans), np.bool_)
    windows = 0
    for batch in lake.scan("windows", [day], ["record_ids"]):
        windows += batch.num_rows
        covered[batch.column("record_ids").flatten().to_numpy()] = True
    return WindowAccount(
        day=day,
        windows=windows,
        lines_covered=int(spans[covered].sum(dtype=np.int64)),
        records=len(spans),
        all_lines_covered=bool(covered.all()),
    )


def _records(lake: Lake, day: date, spec: WindowSpec, progress: Progress | None) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in in_record_order(lake.scan("normalized", [day], _COLUMNS)):
        for made_by in batch.column("group_by").unique().to_pylist():
            if made_by != spec.group_by:
                raise GroupMismatch(
                    f"normalized, {day}: was made with group-by '{made_by}', the windows want "
                    f"'{spec.group_by}'; normalise the day again"
                )
        yield batch
        done += batch.num_rows
        if progress is not None:
            progress(done)


class _Cutter:
    """Rows of `windows` on their way into a batch."""

    def __init__(self, day: date, spec: WindowSpec, batch_rows: int) -> None:
        self._day = day
        self._spec = spec
        self._spec_json = json.dumps(spec.to_dict(), sort_keys=True)
        self._batch_rows = batch_rows
        self._windower = Windower(spec)
        self._source = ""
        self._mask_version = ""
        self._held: dict[int, _Line] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._ends: list[int] = [0]
        self._lists: tuple[list[int], list[int], list[int]] = ([], [], [])
        self.spans: list[npt.NDArray[np.int32]] = []

    def batches(self, records: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Cut all records of the day, which come by source."""
        for batch in records:
            first, last = batch.column("first_line").to_numpy(), batch.column("last_line").to_numpy()
            self.spans.append((last - first + 1).astype(np.int32))
            times = batch.column("timestamp").cast(pa.int64()).to_pylist()
            texts, files = batch.column("text_id").to_pylist(), batch.column("file_sha256").to_pylist()
            lines = map(_Line, times, first.tolist(), last.tolist(), texts, files)
            ids, keys = batch.column("record_id").to_pylist(), batch.column("group_key").to_pylist()
            self._mask_version = batch.column("mask_version")[-1].as_py()
            streams = zip(batch.column("source").to_pylist(), keys, ids, lines, strict=True)
            for source, run in groupby(streams, key=lambda each: each[0]):
                if source != self._source:
                    yield from self._batched(self._windower.flush())
                    self._held.clear()
                    self._source = source
                pairs = []
                for _, key, number, line in run:
                    self._held[number] = line
                    pairs.append((key, number))
                yield from self._batched(self._windower.push(pairs))
        yield from self._batched(self._windower.flush())
        if self._rows:
            yield self._batch()

    def _batched(self, windows: Iterable[Window]) -> Iterator[pa.RecordBatch]:
        stride = self._spec.stride if self._spec.window_type == "sliding" else None
        for window in windows:
            self._add(window)
            # What a sliding window has passed; other windows share no records.
            for position in window.positions[:stride]:
                del self._held[position]
            if len(self._rows) >= self._batch_rows or self._ends[-1] >= _BATCH_VALUES:
                yield self._batch()

    def _add(self, window: Window) -> None:
        lines = [self._held[position] for position in window.positions]
        first, last = lines[0], lines[-1]
        order = settled_order([line.time_us for line in lines], [line.text_id for line in lines])
        times = [line.time_us for line in lines if line.time_us is not None]
        identity = (
            str(self._day), self._source, window.group, self._spec_json,
            first.file, first.first, last.file, last.first, len(lines),
        )  # fmt: skip
        digest = hashlib.blake2b(json.dumps(identity).encode(), digest_size=8).hexdigest()
        self._rows.append(
            (
                digest,
                self._source,
                window.group,
                first.first,
                last.last,
                min(times, default=None),
                max(times, default=None),
                self._mask_version,
            )
        )
        ids, starts, texts = self._lists
        ids.extend(window.positions[place] for place in order)
        starts.extend(lines[place].first for place in order)
        texts.extend(lines[place].text_id for place in order)
        self._ends.append(len(ids))

    def _batch(self) -> pa.RecordBatch:
        names = (
            "window_id", "source", "group_key", "first_line", "last_line", "first_time", "last_time",
            "mask_version",
        )  # fmt: skip
        rows = len(self._rows)
        values = dict(zip(names, zip(*self._rows, strict=True), strict=True))
        arrays: dict[str, pa.Array] = {
            "day": pa.repeat(pa.scalar(self._day, pa.date32()), rows),
            "window_spec": pa.repeat(self._spec_json, rows),
        }
        ends = pa.array(self._ends, pa.int32())
        for name, numbers in zip(("record_ids", "lines", "text_ids"), self._lists, strict=True):
            arrays[name] = pa.ListArray.from_arrays(ends, pa.array(numbers, pa.int64()), type=WINDOWS.field(name).type)
        for name, column in values.items():
            arrays[name] = pa.array(column, WINDOWS.field(name).type)
        self._rows, self._ends, self._lists = [], [0], ([], [], [])
        return pa.RecordBatch.from_arrays([arrays[name] for name in WINDOWS.names], schema=WINDOWS)


def texts_of(lake: Lake, days: Collection[date], wanted: Collection[int] | None = None) -> dict[int, str]:
    """The normalised texts of some days, all or those ``wanted``, by their ``text_id``; memory grows with the
    different ones."""
    texts: dict[int, str] = {}
    if wanted is not None and not wanted:
        return texts
    where = None if wanted is None else ds.field("text_id").isin(pa.array(sorted(wanted), pa.int64()))
    for batch in lake.scan("normalized", days, ["text_id", "text"], where=where):
        ids, places = np.unique(batch.column("text_id").to_numpy(), return_index=True)
        column = batch.column("text")
        for number, place in zip(ids.tolist(), places.tolist(), strict=True):
            if number not in texts:
                texts[number] = column[place].as_py()
    return texts


def record_ids_of(lake: Lake, days: Collection[date], window_ids: Collection[str]) -> dict[str, list[int]]:
    """The records of some windows of some days, by the window's id, in the order in which they are read."""
    where = ds.field("window_id").isin(pa.array(sorted(window_ids), pa.string()))
    return {
        row["window_id"]: row["record_ids"]
        for batch in lake.scan("windows", days, ["window_id", "record_ids"], where=where)
        for row in batch.to_pylist()
    }


def read_windows(lake: Lake, days: Collection[date], batch_rows: int = _BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """The windows of some days, day after day, in the schema of `windows`; in no fixed order within one.

    Raises:
        LakeNotFound, MissingTable: there is nothing to read.
    """
    return lake.scan("windows", days, batch_rows=batch_rows)
