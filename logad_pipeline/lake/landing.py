"""Landing: a file's lines go, byte for byte, to the days that they tell of, and are counted in the ledger.

Belongs here: which line falls on which day, and the order in which a landing becomes true. Does not: what a
line says (`normalising`), the packing of raw parts (`raw_writer`), reading them back (`ledger`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

import pyarrow.dataset as ds

from logad_pipeline.logs.clock import Clock
from logad_pipeline.logs.formats import get_format
from logad_pipeline.logs.parser import SourceKind, identify, parse_lines
from logad_pipeline.logs.reader import UnreadableInput, open_log, read_lines
from logad_pipeline.logs.records import Record

from .ledger import LedgerRow, copy_lines, open_raw, path_in, raw_parts, rows_of
from .naming import clean_text, raw_name, source_name, tz_name
from .raw_writer import RawWriter
from .tables import AlreadyAppended, Lake, Progress

__all__ = ["Landing", "land", "open_raw", "raw_parts"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_US: Final = 60_000_000
_CACHED_MINUTES: Final = 1 << 14
_SHA_DIGITS: Final = 12
_PROGRESS_LINES: Final = 10_000
_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Landing:
    """What became of a file.

    Attributes:
        source: what it is a part of, by its name.
        sha: sha256 of its bytes as they came, 64 hex digits.
        format: name of its log format.
        lines: its physical lines.
        days: lines by event day; their sum is ``lines``.
        already_landed: its bytes were landed before, and are not counted again.
    """

    source: str
    sha: str
    format: str
    lines: int
    days: dict[date, int]
    already_landed: bool


@dataclass(frozen=True, slots=True)
class _Reading:
    """The arguments of `land` that say how to read the file."""

    format: str
    year: int | None
    tz: tzinfo
    day: date | None
    progress: Progress | None


def land(
    lake: Lake,
    path: Path,
    *,
    format: str = "auto",
    year: int | None = None,
    tz: tzinfo = UTC,
    day: date | None = None,
    progress: Progress | None = None,
    came_from: Path | None = None,
) -> Landing:
    """Take a log file into the lake, once.

    Each line goes to the event day of its record in ``tz``. A record without a time, and a rejected line,
    goes with the record before it in the file; those at the beginning of the file with the first that has a
    time. The ledger's rows are written last and in one commit: whatever stops a landing before leaves
    nothing counted, and the next try overwrites what was left. A file that was landed before, packed or not,
    is only looked at; raw parts of it that are missing are written again.

    Does not work for a file that is still being written: `inbox` waits until it rests.

    Args:
        lake: where to.
        path: a regular file, packed or not.
        came_from: the path to write down, where it is not ``path`` itself; its name is that of the source.
        format: name of the log format, or ``auto``.
        year: of the first dated line, for stamps that lack it; by default the file's own time tells it.
        tz: zone of stamps that name none, and of the days.
        day: where the lines of a file without any time go; by default the day on which it was written last.
        progress: is told the number of lines parsed so far.

    Raises:
        UnreadableInput: the file cannot be read to its end, is empty, no regular file, or changed meanwhile.
        UnknownFormat, ValueError: see `logad_pipeline.logs.parser.read_records`; a zone without a name.
        LakeNotFound: there is no lake.
    """
    path = Path(path).absolute()
    _require_regular(path)
    sha, size = _sha256(path)
    if lake.appended("ledger", sha):
        known = rows_of(lake, sha)
        missing = {row.raw_path for row in known if not path_in(lake, row).exists()}
        if missing:
            _write_parts(lake, path, known, missing)
        return _landing(known, already=True)
    content, content_bytes = _content(path, sha, size)
    if twin := _landed_as(lake, content):
        return _landing(twin, already=True)
    rows = [
        replace(row, content_sha256=content, content_bytes=content_bytes)
        for row in _plan(lake, path, came_from or path, (sha, size), _Reading(format, year, tz, day, progress))
    ]
    _write_parts(lake, path, rows, {row.raw_path for row in rows})
    try:
        lake.append("ledger", LedgerRow.to_batch(rows), once=sha)
    except AlreadyAppended:
        return _landing(rows_of(lake, sha), already=True)
    return _landing(rows, already=False)


def _content(path: Path, sha: str, size: int) -> tuple[str, int]:
    """sha256 and size of what a file holds, unpacked; those of the file itself where it is not packed."""
    digest, total = hashlib.sha256(), 0
    with open_log(path) as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
            total += len(piece)
    return (sha, size) if total == size and digest.hexdigest() == sha else (digest.hexdigest(), total)


def _landed_as(lake: Lake, content: str) -> list[LedgerRow]:
    """The ledger's rows of a landed file that holds the same, packed or not; none if there is none."""
    rows: list[LedgerRow] = []
    same = (ds.field("content_sha256") == content) | (ds.field("file_sha256") == content)
    for batch in lake.scan("ledger", where=same):
        rows += LedgerRow.from_batch(batch)
    first = min((row.file_sha256 for row in rows), default="")
    return sorted((row for row in rows if row.file_sha256 == first), key=lambda row: row.day)


def _plan(lake: Lake, path: Path, came_from: Path, file: tuple[str, int], how: _Reading) -> list[LedgerRow]:
    """The ledger's rows of a file that was never landed, by day; ``file`` is its sha256 and size."""
    sha, size = file
    zone = tz_name(how.tz)
    kind = identify(path, format=how.format, year=how.year, tz=how.tz)
    split = _split(path, kind, how.tz, how.progress)
    if not split.lines:
        raise UnreadableInput(f"{path}: is empty; there is nothing to land")
    timed = split.place_undated(how.day or _written_on(path, how.tz))
    source = source_name(came_from.name)
    name = _free_name(lake, source, sha, split.runs)
    now = datetime.now(UTC)
    return [
        LedgerRow(
            file_sha256=sha,
            source=source,
            original_path=clean_text(str(came_from)),
            format=kind.format,
            tz=zone,
            landed_at=now,
            file_bytes=size,
            file_lines=split.lines,
            day=day,
            day_lines=sum(lines for _, lines in runs),
            runs=tuple(runs),
            first_year=_first_year(kind, day, runs),
            first_time=split.first_times.get(day),
            raw_path=f"raw/day={day}/{name}",
            timed=timed,
        )
        for day, runs in sorted(split.runs.items())
    ]


def _landing(rows: list[LedgerRow], *, already: bool) -> Landing:
    first = rows[0]
    days = {row.day: row.day_lines for row in rows}
    assert sum(days.values()) == first.file_lines, f"{first.original_path}: the days do not add up"
    return Landing(first.source, first.file_sha256, first.format, first.file_lines, days, already)


def _require_regular(path: Path) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UnreadableInput(f"{path}: can be read only once; save it to a file and ingest that")
    with open_log(path):
        pass  # says in its own words if there is no such file


def _sha256(path: Path) -> tuple[str, int]:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
    except OSError as error:
        raise UnreadableInput(f"{path}: reading failed ({error}); check the disk and run it again") from error


def _written_on(path: Path, tz: tzinfo) -> date:
    return datetime.fromtimestamp(path.stat().st_mtime, tz).date()


def _free_name(lake: Lake, source: str, sha: str, days: Iterable[date]) -> str:
    """File name of the raw parts: with all digits of the sha256 where another file has the usual ones."""
    name = raw_name(source, sha[:_SHA_DIGITS])
    if any((lake.path("raw", day) / name).exists() for day in days):
        others = lake.scan("ledger", columns=["raw_path"], where=ds.field("file_sha256") != sha)
        if any(path.endswith(f"/{name}") for batch in others for path in batch.column("raw_path").to_pylist()):
            return raw_name(source, sha)
    return name


def _first_year(kind: SourceKind, day: date, runs: list[tuple[int, int]]) -> int | None:
    # The file's first line may be a rejected stamp of another year, and the clock counts from it.
    return kind.first_year if kind.first_year is None or runs[0][0] == 1 else day.year


@dataclass
class _Split:
    """The lines of a file by day, as far as it was read."""

    lines: int = 0
    undated: int = 0  # lines at the beginning, before the first record that has a time
    newest: date | None = None
    runs: dict[date, list[tuple[int, int]]] = field(default_factory=dict)
    first_times: dict[date, datetime] = field(default_factory=dict)

    def add(self, moment: datetime | None, day: date | None, lines: int) -> None:
        """Take the next record or rejected line; ``day`` is ``None`` where it has no time."""
        if day is None:
            day = self.newest
        elif moment is not None:
            self.first_times.setdefault(day, moment)
        if day is None:
            self.undated += lines
        else:
            self._extend(day, lines)
        self.lines += lines

    def _extend(self, day: date, lines: int) -> None:
        runs = self.runs.setdefault(day, [])
        if day == self.newest:
            first, count = runs[-1]
            runs[-1] = (first, count + lines)
        else:
            runs.append((self.lines + 1 - self.undated, lines + self.undated))
            self.undated = 0
            self.newest = day

    def place_undated(self, day: date) -> bool:
        """Give a file without any time to ``day``; return whether it had one."""
        if self.runs:
            return True
        self.runs[day] = [(1, self.undated)]
        return False


def _split(path: Path, kind: SourceKind, tz: tzinfo, progress: Progress | None) -> _Split:
    split = _Split()
    moments: dict[int, date | None] = {}
    told = 0
    clock = Clock(tz=tz, first_year=kind.first_year)
    with open_log(path) as stream:
        for item in parse_lines(read_lines(stream), fmt=get_format(kind.format), clock=clock):
            if not isinstance(item, Record):
                split.add(None, None, 1)
                continue
            day = moment = None
            if item.time_us is not None:
                minute = item.time_us // _MINUTE_US
                if minute not in moments:
                    if len(moments) >= _CACHED_MINUTES:
                        moments.clear()
                    moments[minute] = _local_day(minute, tz)
                day = moments[minute]
                if day is not None and day not in split.first_times:
                    moment = _EPOCH + timedelta(microseconds=item.time_us)
            split.add(moment, day, item.line_count)
            if progress is not None and split.lines - told >= _PROGRESS_LINES:
                told = split.lines
                progress(told)
    if progress is not None:
        progress(split.lines)
    return split


def _local_day(minute: int, tz: tzinfo) -> date | None:
    """The day of a minute since the epoch; ``None`` for one beyond the calendar, which counts as no time."""
    try:
        return (_EPOCH + timedelta(minutes=minute)).astimezone(tz).date()
    except (OverflowError, ValueError):
        return None


def _write_parts(lake: Lake, path: Path, rows: list[LedgerRow], wanted: set[str]) -> None:
    """Write those raw parts of the file whose paths are wanted, and put them into place together."""
    runs = sorted((first, lines, row.raw_path) for row in rows for first, lines in row.runs)
    changed = f"{path}: changed while it was read; ingest it again when it is complete, or a copy of it"
    with RawWriter(lake.root, lake.path("raw")) as parts, open_log(path) as stream:
        for _, lines, raw_path in runs:
            write = parts.start(raw_path).write if raw_path in wanted else len
            if copy_lines(stream, lines, write) != lines:
                raise UnreadableInput(changed)
        if stream.read(1) or _sha256(path)[0] != rows[0].file_sha256:
            raise UnreadableInput(changed)
        parts.publish()
