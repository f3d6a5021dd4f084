"""A day's raw parts become its normalised records and its quarantine, and every line is accounted for.

Belongs here: reading parts again as their files were read, and writing what comes out. Does not: the layout
of lines and the masks (`logad_pipeline.logs`), where parts lie (`ledger`).
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logad_pipeline.logs.clock import Clock
from logad_pipeline.logs.formats import get_format
from logad_pipeline.logs.parser import parse_lines
from logad_pipeline.logs.reader import UnreadableInput, read_lines
from logad_pipeline.logs.records import Record, Rejected
from logad_pipeline.windows import group_key

from .ledger import LedgerRow, open_raw, raw_parts, way_out
from .naming import tz_from
from .record_rows import MAX_BATCH_CHARS, QuarantineSpool, RecordRows, text_id
from .tables import Lake, LakeDamaged, Progress

__all__ = ["DayAccount", "normalise_day", "text_id"]

_MERGE_IDS: Final = 1 << 21


@dataclass(frozen=True, slots=True)
class DayAccount:
    """Where the lines of a day went, counted in the tables after they were written.

    Attributes:
        day: the day.
        lines: physical lines that the ledger counts on it.
        records: rows of `normalized`.
        continuation_lines: lines of records beyond their first.
        quarantined: rows of `quarantine`.
        quarantine_reasons: quarantined lines by reason.
        unique_texts: different normalised texts.
    """

    day: date
    lines: int
    records: int
    continuation_lines: int
    quarantined: int
    quarantine_reasons: dict[str, int]
    unique_texts: int

    @property
    def balanced(self) -> bool:
        """Whether the tables hold as many lines as the ledger.

        That each line is there once follows with what `normalise_day` checks as it reads: no part has a gap.
        """
        return self.lines == self.records + self.continuation_lines + self.quarantined


def normalise_day(
    lake: Lake, day: date, group_by: str, batch_rows: int = 20_000, progress: Progress | None = None
) -> DayAccount:
    """Make `normalized` and `quarantine` of a day anew from its raw parts.

    Parts come by source, those of a source by time; each is parsed with the format, zone and year of its
    landing, so that a record is what it was in the whole file. Each table is replaced in one commit, first
    the records, then the quarantine: a run that was stopped between the two is made good by the next one.

    Args:
        lake: the lake.
        day: the day; one without any raw part gets empty tables.
        group_by: how a record's group is named, see `logad_pipeline.windows.group_key`.
        batch_rows: rows that are held in memory before they are written.
        progress: is told the number of lines done so far.

    Raises:
        ValueError: ``group_by`` is of no use.
        LakeDamaged: a raw part is missing, damaged, or not as long as the ledger says.
        DayConflict: another run wrote the day meanwhile.
    """
    key = group_key(group_by)
    parts = raw_parts(lake, day)
    with tempfile.TemporaryFile(dir=lake.root) as spool:
        quarantine = QuarantineSpool(day, spool, batch_rows)
        records = RecordRows(day, group_by, key)
        lake.replace_day(
            "normalized",
            day,
            _record_batches(lake, parts, records, quarantine, batch_rows=batch_rows, progress=progress),
        )
        lake.replace_day("quarantine", day, quarantine.batches())
    return _account(lake, day, sum(part.day_lines for part in parts))


def _record_batches(
    lake: Lake,
    parts: list[LedgerRow],
    records: RecordRows,
    quarantine: QuarantineSpool,
    *,
    batch_rows: int,
    progress: Progress | None,
) -> Iterator[pa.RecordBatch]:
    done = 0
    for part in parts:
        for item in _parsed(lake, part):
            if isinstance(item, Rejected):
                quarantine.add(item)
                if quarantine.full:
                    quarantine.flush(part)
                continue
            records.add(item)
            if len(records) >= batch_rows or records.chars >= MAX_BATCH_CHARS:
                if progress is not None:
                    progress(done + records.lines)
                yield records.batch(part)
        if len(records):
            yield records.batch(part)
        quarantine.flush(part)
        done += part.day_lines
        records.lines = 0
        if progress is not None:
            progress(done)


def _parsed(lake: Lake, part: LedgerRow) -> Iterator[Record | Rejected]:
    """The records and rejected lines of a part, numbered as in the landed file, without a gap.

    Each run is parsed by itself, as lines of other days stood between it and the one before.
    """
    log_format, tz = get_format(part.format), tz_from(part.tz)
    with closing(open_raw(lake, part)) as stream:
        lines = read_lines(stream)
        try:
            for first, count in part.runs:
                # Every run but one at the beginning of the file begins with a record of the day.
                year = part.first_year if first == 1 or part.first_year is None else part.day.year
                clock = Clock(tz=tz, first_year=year)
                following = first
                for item in parse_lines(islice(lines, count), fmt=log_format, clock=clock, first_line=first):
                    following += item.line_count if isinstance(item, Record) else 1
                    yield item
                if following != first + count:
                    raise LakeDamaged(f"{part.raw_path}: ends early, at line {following}; {way_out(part)}")
            if next(lines, None) is not None:
                raise LakeDamaged(f"{part.raw_path}: holds more lines than were landed; {way_out(part)}")
        except UnreadableInput as error:
            raise LakeDamaged(f"{error}; {way_out(part)}") from error


def _account(lake: Lake, day: date, lines: int) -> DayAccount:
    records = continuation = quarantined = 0
    texts = _Distinct()
    for batch in lake.scan("normalized", [day], ["first_line", "last_line", "text_id"]):
        records += batch.num_rows
        first, last = batch.column("first_line").to_numpy(), batch.column("last_line").to_numpy()
        continuation += int((last - first).sum())
        texts.add(batch.column("text_id").to_numpy())
    reasons: Counter[str] = Counter()
    for batch in lake.scan("quarantine", [day], ["reason"]):
        quarantined += batch.num_rows
        for count in batch.column("reason").value_counts().to_pylist():
            reasons[count["values"]] += count["counts"]
    return DayAccount(
        day=day,
        lines=lines,
        records=records,
        continuation_lines=continuation,
        quarantined=quarantined,
        quarantine_reasons=dict(reasons.most_common()),
        unique_texts=len(texts),
    )


class _Distinct:
    """Counts different numbers in 8 bytes for each, where a set of them would take ten times that."""

    def __init__(self) -> None:
        self._merged = np.empty(0, np.int64)
        self._new: list[npt.NDArray[np.int64]] = []
        self._waiting = 0

    def add(self, numbers: npt.NDArray[np.int64]) -> None:
        unique = np.unique(numbers)
        self._new.append(unique)
        self._waiting += len(unique)
        if self._waiting >= _MERGE_IDS:
            self._merge()

    def _merge(self) -> None:
        self._merged = np.unique(np.concatenate([self._merged, *self._new]))
        self._new, self._waiting = [], 0

    def __len__(self) -> int:
        self._merge()
        return len(self._merged)
