"""Landing: a file's lines go, byte for byte, to the days that they tell of, and are counted in the ledger.

Belongs here: the order in which a landing becomes true. Does not: which line falls on which day (`splitting`),
what of a file is new (`inbox`), the packing of raw parts (`raw_writer`), reading them back (`ledger`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Final

import pyarrow.dataset as ds

from logad_pipeline.logs.formats import get_format
from logad_pipeline.logs.parser import SourceKind, identify
from logad_pipeline.logs.reader import UnreadableInput, open_log

from .ledger import LedgerRow, copy_lines, open_raw, path_in, raw_parts, rows_of
from .naming import clean_text, raw_name, source_name, tz_name
from .raw_writer import RawWriter
from .splitting import After, split_lines
from .tables import AlreadyAppended, Lake, Progress

__all__ = [
    "Landing", "Rest", "land", "land_rest", "landed_before", "open_raw", "raw_parts", "require_regular",
    "write_missing",
]  # fmt: skip

_SHA_DIGITS: Final = 12
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
        waits: its last line has not ended yet; it was left alone, and is not among ``lines``.
    """

    source: str
    sha: str
    format: str
    lines: int
    days: dict[date, int]
    already_landed: bool
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Rest:
    """What of a log is new, where that is not all of it.

    Attributes:
        came_from: path of the log.
        sha, size: sha256 and length of the log's bytes, unpacked, from its beginning to the end of the rest. They
            tell it from the same lines in another log, or further on in this one.
        before: rows of the landing that it continues; none where it is the beginning of the log.
    """

    came_from: Path
    sha: str
    size: int
    before: tuple[LedgerRow, ...] = ()

    def after(self) -> After:
        """Where it begins."""
        if not self.before:
            return After()
        end, day = max((first + lines - 1, row.day) for row in self.before for first, lines in row.runs)
        return After(end, day if self.before[0].timed else None)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The arguments of `land` that say how to read the file."""

    format: str
    year: int | None
    tz: tzinfo
    day: date | None
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class _Part:
    """What is written down of a landing besides its lines; see the columns of `schemas.LEDGER`."""

    came_from: Path
    sha: str
    size: int
    content_sha: str
    content_size: int
    after: After
    continues: str | None


def land(
    lake: Lake,
    path: Path,
    *,
    format: str = "auto",
    year: int | None = None,
    tz: tzinfo = UTC,
    day: date | None = None,
    progress: Progress | None = None,
) -> Landing:
    """Take a whole log file into the lake, once; of a log that goes on `inbox.land_new_lines` takes the rest.

    Each line goes to the event day of its record in ``tz``. A record without a time, and a rejected line,
    goes with the record before it in the file; those at the beginning of the file with the first that has a
    time. The ledger's rows are written last and in one commit: whatever stops a landing before leaves
    nothing counted, and the next try overwrites what was left. A file that was landed before, packed or not,
    is only looked at; raw parts of it that are missing are written again.

    Does not work for a file that is still being written: `inbox` waits until it rests.

    Args:
        lake: where to.
        path: a regular file, packed or not.
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
    require_regular(path)
    sha, size = _sha256(path)
    if lake.appended("ledger", sha):
        known = rows_of(lake, sha)
        if known[0].continues_sha256 is None:
            write_missing(lake, path, known, sha)
        return landed_before(known)
    content, content_bytes = _content(path, sha, size)
    if twin := _landed_as(lake, content):
        return landed_before(twin)
    how = _Reading(format, year, tz, day, progress)
    kind = identify(path, format=format, year=year, tz=tz)
    rows = _plan(lake, path, kind, _Part(path, sha, size, content, content_bytes, After(), None), how)
    return _take(lake, path, rows, sha)


def land_rest(
    lake: Lake,
    path: Path,
    rest: Rest,
    *,
    format: str = "auto",
    year: int | None = None,
    tz: tzinfo = UTC,
    progress: Progress | None = None,
) -> Landing:
    """Take the rest of a log into the lake, once.

    It is read as what it is, a part of the log: in the format that the log was landed in before, with the numbers
    that its lines have there, and on the day of the last record before it until a record names another. After
    lines without any time, which tell nothing of what follows, format and day are found anew.

    Args:
        path: a file of its own with the bytes of the rest, unpacked, that nobody else writes to.
        rest: what it is the rest of.
        format, year, tz, progress: as for `land`. The year is that of the first line of the log.

    Raises:
        UnreadableInput, UnknownFormat, ValueError, LakeNotFound: as `land`.
    """
    if lake.appended("ledger", rest.sha):
        return landed_before(rows_of(lake, rest.sha))
    after = rest.after()
    if after.day is None:
        kind = identify(path, format=format, year=year if not rest.before else None, tz=tz)
    else:
        chosen = get_format(rest.before[0].format if format == "auto" else format)
        kind = SourceKind(chosen.name, after.day.year if chosen.yearless else None)
    continues = rest.before[0].file_sha256 if rest.before else None
    part = _Part(rest.came_from, rest.sha, rest.size, rest.sha, rest.size, after, continues)
    rows = _plan(lake, path, kind, part, _Reading(format, year, tz, None, progress))
    return _take(lake, path, rows, None)


def landed_before(rows: Collection[LedgerRow]) -> Landing:
    """What became of a file that was landed before, in one go or in several."""
    return _landing(rows, already=True)


def write_missing(lake: Lake, path: Path, rows: list[LedgerRow], sha: str | None = None) -> None:
    """Write those raw parts of one landing anew that are gone.

    Args:
        path: a file of the bytes that were landed then, packed or not.
        sha: its sha256, if somebody may write to it meanwhile.

    Raises:
        UnreadableInput: it holds other lines.
    """
    missing = {row.raw_path for row in rows if not path_in(lake, row).exists()}
    if missing:
        _write_parts(lake, path, rows, missing, sha)


def _take(lake: Lake, path: Path, rows: list[LedgerRow], sha: str | None) -> Landing:
    """Write the parts, and then count them."""
    _write_parts(lake, path, rows, {row.raw_path for row in rows}, sha)
    try:
        lake.append("ledger", LedgerRow.to_batch(rows), once=rows[0].file_sha256)
    except AlreadyAppended:
        return landed_before(rows_of(lake, rows[0].file_sha256))
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


def _plan(lake: Lake, path: Path, kind: SourceKind, part: _Part, how: _Reading) -> list[LedgerRow]:
    """The ledger's rows of a file or a rest that was never landed, by day."""
    zone = tz_name(how.tz)
    split = split_lines(path, kind, how.tz, how.progress, part.after)
    if not split.lines:
        raise UnreadableInput(f"{path}: is empty; there is nothing to land")
    timed = split.place_undated(how.day or _written_on(part.came_from, how.tz))
    source = source_name(part.came_from.name)
    name = _free_name(lake, source, part.sha, split.runs)
    now = datetime.now(UTC)
    return [
        LedgerRow(
            file_sha256=part.sha,
            source=source,
            original_path=clean_text(str(part.came_from)),
            format=kind.format,
            tz=zone,
            landed_at=now,
            file_bytes=part.size,
            file_lines=split.lines,
            day=day,
            day_lines=sum(lines for _, lines in runs),
            runs=tuple(runs),
            first_year=_first_year(kind, day, runs),
            first_time=split.first_times.get(day),
            raw_path=f"raw/day={day}/{name}",
            timed=timed,
            content_sha256=part.content_sha,
            content_bytes=part.content_size,
            continues_sha256=part.continues,
        )
        for day, runs in sorted(split.runs.items())
    ]


def _landing(rows: Collection[LedgerRow], *, already: bool) -> Landing:
    days: Counter[date] = Counter()
    for row in rows:
        days[row.day] += row.day_lines
    lines = sum({row.file_sha256: row.file_lines for row in rows}.values())
    *_, last = rows
    assert days.total() == lines, f"{last.original_path}: the days do not add up"
    return Landing(last.source, last.file_sha256, last.format, lines, dict(days), already)


def require_regular(path: Path) -> None:
    """Refuse what can be read only once, and what is not there.

    Raises:
        UnreadableInput: it is a pipe or the like, or cannot be opened.
    """
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


def _write_parts(lake: Lake, path: Path, rows: list[LedgerRow], wanted: set[str], sha: str | None) -> None:
    """Write those raw parts of a landing whose paths are wanted, and put them into place together.

    ``sha`` is that of the file, to see that nobody wrote to it meanwhile; ``None`` for one that nobody else has.
    """
    runs = sorted((first, lines, row.raw_path) for row in rows for first, lines in row.runs)
    changed = f"{path}: changed while it was read; ingest it again when it is complete, or a copy of it"
    with RawWriter(lake.root, lake.path("raw")) as parts, open_log(path) as stream:
        for _, lines, raw_path in runs:
            write = parts.start(raw_path).write if raw_path in wanted else len
            if copy_lines(stream, lines, write) != lines:
                raise UnreadableInput(changed)
        if stream.read(1) or (sha is not None and _sha256(path)[0] != sha):
            raise UnreadableInput(changed)
        parts.publish()
