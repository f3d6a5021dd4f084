"""Records and rejected lines as rows of `normalized` and `quarantine`.

Belongs here: what of a record goes into which column. Does not: where records come from and when rows are
written, which `normalising` knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from itertools import chain
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa

from logad_pipeline.logs.facts import RecordFacts, facts_of
from logad_pipeline.logs.log_tokenizer import MASK_VERSION, LogTokenizer
from logad_pipeline.logs.records import Record, Rejected
from logad_pipeline.windows import text_id

from .ledger import LedgerRow
from .naming import clean_text
from .record_facts import facts_columns
from .schemas import NORMALIZED, QUARANTINE

__all__ = ["MAX_BATCH_CHARS", "QuarantineSpool", "RecordRows", "text_id"]

MAX_BATCH_CHARS: Final = 1 << 25
"""Characters or bytes of lines up to which a batch is held in memory, however few its rows."""

_FIRST_US: Final = -62_135_596_800_000_000  # 0001-01-01T00:00:00Z
_END_US: Final = 253_402_300_800_000_000  # 10000-01-01T00:00:00Z
_CACHED_TEXTS: Final = 100_000


class RecordRows:
    """Rows of `normalized` on their way into a batch."""

    def __init__(self, day: date, group_by: str, key: Callable[[Record], str]) -> None:
        self._day = day
        self._group_by = group_by
        self._key = key
        self._normalise = LogTokenizer().normalise
        self._text_ids: dict[str, int] = {}
        self._next_id = 0
        self._rows: list[tuple[Any, ...]] = []
        self._facts: list[RecordFacts] = []
        self.chars = 0
        self.lines = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, record: Record) -> None:
        """Take the next record of the day; its text fields are cleaned in place."""
        message = record.message = clean_text(record.message)
        record.host, record.program = clean_text(record.host), clean_text(record.program)
        record.pid, record.severity = clean_text(record.pid), clean_text(record.severity)
        time_us = record.time_us
        if time_us is not None and not _FIRST_US <= time_us < _END_US:
            time_us = None
        text = self._normalise(message)
        facts = facts_of(record, text)
        self._facts.append(facts)
        self._rows.append(
            (
                time_us,
                record.host,
                record.program,
                record.pid,
                record.severity,
                message,
                record.first_line,
                record.last_line,
                text,
                self._id_of(text),
                clean_text(self._key(record)),
            )
        )
        self.chars += len(message) + sum(map(len, chain.from_iterable(facts.edges)))
        self.lines += record.line_count

    def _id_of(self, text: str) -> int:
        known = self._text_ids.get(text)
        if known is None:
            if len(self._text_ids) >= _CACHED_TEXTS:
                self._text_ids.clear()
            known = self._text_ids[text] = text_id(text)
        return known

    def batch(self, part: LedgerRow) -> pa.RecordBatch:
        """The rows since the last batch, all of ``part``."""
        rows = len(self._rows)
        columns = list(zip(*self._rows, strict=True))
        names = (
            "timestamp", "host_name", "service_name", "process_pid", "severity_text", "body",
            "first_line", "last_line", "text", "text_id", "group_key",
        )  # fmt: skip
        values = dict(zip(names, columns, strict=True))
        constants = {
            "day": self._day,
            "source": part.source,
            "file_sha256": part.file_sha256,
            "group_by": self._group_by,
            "mask_version": MASK_VERSION,
        }
        made = {"record_id": pa.array(np.arange(self._next_id, self._next_id + rows))} | facts_columns(self._facts)
        arrays = []
        for column in NORMALIZED:
            if column.name in made:
                arrays.append(made[column.name])
            elif column.name in constants:
                arrays.append(pa.repeat(pa.scalar(constants[column.name], column.type), rows))
            else:
                arrays.append(pa.array(values[column.name], column.type))
        self._next_id += rows
        self._rows, self._facts, self.chars = [], [], 0
        return pa.RecordBatch.from_arrays(arrays, schema=NORMALIZED)


class QuarantineSpool:
    """Rejected lines, kept in a file until the records are written."""

    def __init__(self, day: date, spool: IO[bytes], batch_rows: int) -> None:
        self._day = day
        self._spool = spool
        self._batch_rows = batch_rows
        self._writer = pa.ipc.new_stream(spool, QUARANTINE)
        self._held: list[Rejected] = []
        self._bytes = 0

    def add(self, line: Rejected) -> None:
        """Take a rejected line of the part that `flush` will be told."""
        self._held.append(line)
        self._bytes += len(line.raw)

    @property
    def full(self) -> bool:
        """Whether it is time to flush."""
        return len(self._held) >= self._batch_rows or self._bytes >= MAX_BATCH_CHARS

    def flush(self, part: LedgerRow) -> None:
        """Write what was added since the last time, all of ``part``."""
        rows = [
            {
                "day": self._day,
                "source": part.source,
                "file_sha256": part.file_sha256,
                "line": line.line,
                "raw": line.raw,
                "reason": clean_text(line.reason),
            }
            for line in self._held
        ]
        if rows:
            self._writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=QUARANTINE))
        self._held, self._bytes = [], 0

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All of it, once everything was flushed."""
        self._writer.close()
        self._spool.seek(0)
        with pa.ipc.open_stream(self._spool) as reader:
            yield from reader
