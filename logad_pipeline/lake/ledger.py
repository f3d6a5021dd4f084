"""The ledger: which lines of which landed file fell on which day, and where their bytes lie.

Belongs here: ledger rows, the raw parts that they name, and the way back from the parts to the file.
Does not: how a file is split (`landing`), or what its lines mean (`normalising`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.dataset as ds

from logad_pipeline.logs.reader import UnreadableInput, open_log

from .schemas import LEDGER
from .tables import Lake, LakeDamaged, LakeError

__all__ = ["LedgerRow", "copy_lines", "open_raw", "path_in", "raw_parts", "restore", "rows_of", "way_out"]

_PIECE_BYTES: Final = 1 << 17


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What one landed file gave to one day; the columns of `schemas.LEDGER`.

    Attributes:
        runs: ``(first_line, lines)`` of each run of lines, 1-based in the landed file, ascending.
        continues_sha256: ``file_sha256`` of the landing before, where a log was landed in several.
    """

    file_sha256: str
    source: str
    original_path: str
    format: str
    tz: str
    landed_at: datetime
    file_bytes: int
    file_lines: int
    day: date
    day_lines: int
    runs: tuple[tuple[int, int], ...]
    first_year: int | None
    first_time: datetime | None
    raw_path: str
    timed: bool
    content_sha256: str | None = None
    content_bytes: int | None = None
    continues_sha256: str | None = None

    @staticmethod
    def to_batch(rows: Iterable[LedgerRow]) -> pa.RecordBatch:
        """The rows in the ledger's schema."""
        dicts = [
            {**asdict(row), "runs": [{"first_line": first, "lines": lines} for first, lines in row.runs]}
            for row in rows
        ]
        return pa.RecordBatch.from_pylist(dicts, schema=LEDGER)

    @staticmethod
    def from_batch(batch: pa.RecordBatch) -> list[LedgerRow]:
        """The rows of a batch that has all columns of the ledger."""
        return [
            LedgerRow(**{**row, "runs": tuple((run["first_line"], run["lines"]) for run in row["runs"])})
            for row in batch.to_pylist()
        ]


def rows_of(lake: Lake, file_sha256: str) -> list[LedgerRow]:
    """The ledger's rows of one landed file, by day; none if it was never landed."""
    rows: list[LedgerRow] = []
    for batch in lake.scan("ledger", where=ds.field("file_sha256") == file_sha256):
        rows += LedgerRow.from_batch(batch)
    return sorted(rows, key=lambda row: row.day)


def raw_parts(lake: Lake, day: date) -> list[LedgerRow]:
    """What the landed files gave to a day: by source, then by first event time, then by landing."""
    rows: list[LedgerRow] = []
    for batch in lake.scan("ledger", [day]):
        rows += LedgerRow.from_batch(batch)
    return sorted(rows, key=_order)


def _order(row: LedgerRow) -> tuple[str, datetime, datetime, str]:
    return (row.source, row.first_time or row.landed_at, row.landed_at, row.file_sha256)


def open_raw(lake: Lake, row: LedgerRow) -> BinaryIO:
    """Open the bytes of one raw part, unpacked; iterating gives its lines, whole and with their ends.

    For lines of any length use `logad_pipeline.logs.reader.read_lines` on it, which bounds them.

    Raises:
        LakeDamaged: the file is missing or cannot be opened.
        UnreadableInput: from the returned stream: the file is damaged.
    """
    try:
        return open_log(lake.root / row.raw_path)
    except UnreadableInput as error:
        raise LakeDamaged(f"{error}; {way_out(row)}") from error


def way_out(row: LedgerRow) -> str:
    """What to do about a raw part that is missing or damaged."""
    return f"delete {row.raw_path}, if it is there, and ingest {row.original_path} again to restore it"


def restore(lake: Lake, file_sha256: str, write: Callable[[bytes], object]) -> int:
    """Put a landed file together again from its raw parts: its bytes as they came, unpacked.

    Of a log that was landed in several parts the sha256 of one gives the log from its beginning to that part's end.

    Args:
        lake: the lake.
        file_sha256: of the file as it came.
        write: takes the bytes, in order, a line or a piece of a long line at a time.

    Returns:
        Number of lines written.

    Raises:
        LakeError: no such file was landed.
        LakeDamaged, UnreadableInput: a part is missing, damaged or too short.
    """
    lines = 0
    for rows in _landings(lake, file_sha256):
        _restore(lake, rows, write)
        lines += rows[0].file_lines
    return lines


def _landings(lake: Lake, file_sha256: str) -> list[list[LedgerRow]]:
    """The rows of a landed file; where it is the last part of a log, after those of the parts before."""
    landings: list[list[LedgerRow]] = []
    wanted: str | None = file_sha256
    while wanted is not None:
        rows = rows_of(lake, wanted)
        if not rows:
            raise LakeError(f"{lake.root}: no file with sha256 {wanted} was landed; see the ledger's rows")
        landings.insert(0, rows)
        wanted = rows[0].continues_sha256
    return landings


def _restore(lake: Lake, rows: list[LedgerRow], write: Callable[[bytes], object]) -> None:
    """The bytes of one landing."""
    left = {row.day: row.day_lines for row in rows}
    streams: dict[date, BinaryIO] = {}
    try:
        for first, lines, row in sorted(chain.from_iterable(map(_runs, rows)), key=itemgetter(0)):
            stream = streams.get(row.day) or streams.setdefault(row.day, open_raw(lake, row))
            if copy_lines(stream, lines, write) != lines:
                raise LakeDamaged(f"{row.raw_path}: lines are missing from line {first} on; {way_out(row)}")
            left[row.day] -= lines
            if not left[row.day]:
                streams.pop(row.day).close()
    finally:
        for stream in streams.values():
            stream.close()


def _runs(row: LedgerRow) -> Iterable[tuple[int, int, LedgerRow]]:
    return ((first, lines, row) for first, lines in row.runs)


def copy_lines(stream: BinaryIO, count: int, write: Callable[[bytes], object]) -> int:
    """Hand on the next ``count`` physical lines, in pieces of bounded size; return how many there were.

    Lines end at ``b"\\n"`` and nowhere else, as with `logad_pipeline.logs.reader.read_lines`.
    """
    readline = stream.readline
    for done in range(count):
        piece = readline(_PIECE_BYTES)
        if not piece:
            return done
        write(piece)
        while len(piece) == _PIECE_BYTES and piece[-1:] != b"\n":
            piece = readline(_PIECE_BYTES)
            write(piece)
    return count


def path_in(lake: Lake, row: LedgerRow) -> Path:
    """Path of a raw part."""
    return lake.root / row.raw_path
