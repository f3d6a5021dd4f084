"""From physical lines to records: every line ends up in exactly one record or is rejected with a reason.

Belongs here: decoding, joining continuation lines, and choosing format and year for a source.
Does not: the layout of a line (`formats`), the meaning of a stamp (`clock`), unpacking (`reader`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, tzinfo
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from .clock import Clock, NoSuchTime, YearSurvey
from .formats import FORMATS, SAMPLE_LINES, Fields, LogFormat, detect_format, get_format, looks_continued
from .reader import UnreadableInput, open_log, read_lines
from .records import Record, Rejected

__all__ = [
    "MAX_RECORD_CHARS",
    "MAX_RECORD_LINES",
    "SourceKind",
    "detect",
    "identify",
    "message_of",
    "parse_lines",
    "read_records",
]

MAX_RECORD_LINES: Final = 500
"""Physical lines of one record; those that would continue it further are rejected."""
MAX_RECORD_CHARS: Final = 64 * 1024
"""Characters up to which continuation lines are joined to a record's message."""

_NO_TEXT: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\udc80-\udcff]")
_TOO_LONG: Final = f"continues a record beyond {MAX_RECORD_LINES} lines or {MAX_RECORD_CHARS // 1024} KiB"


class SourceKind(NamedTuple):
    """How a source is to be parsed, so that it, or a part of it, is parsed the same way again.

    Attributes:
        format: name of the format.
        first_year: year of the first dated line, ``None`` where lines name their year themselves.
    """

    format: str
    first_year: int | None


def read_records(
    source: str | Path | BinaryIO,
    *,
    format: str = "auto",
    year: int | None = None,
    tz: tzinfo = UTC,
    mtime: float | None = None,
) -> Iterator[Record | Rejected]:
    """Parse a log, in one streaming pass; the last record comes when its source ends.

    A regular file is opened up to twice more before that pass: to see its first lines if ``format`` is
    ``"auto"``, and, if its stamps lack the year and none is given, to count the New Years in it. Of a
    stream the first `SAMPLE_LINES` are awaited before the first record comes, unless ``format`` is given.

    Args:
        source: a path, ``"-"`` for standard input, or a stream of unpacked bytes, which is left open.
        format: name of a format, or ``"auto"`` to detect it.
        year: year of the first dated line, for stamps that lack it. Without it the last line of a file is
            from the year of ``mtime``; the first line of a stream is from the latest year that does not
            put it more than a day after ``mtime``, or after now, and lines further ahead are rejected.
        tz: zone of stamps that name none.
        mtime: seconds since the epoch; by default the file's own.

    Raises:
        UnknownFormat: there is no format of that name.
        UnreadableInput: the source cannot be opened; from the iterator: it cannot be read to its end, in
            which case all that could be read has been given before.
        ValueError: ``year`` is not in 1 .. 9999.
    """
    if isinstance(source, (str, Path)) and str(source) != "-" and Path(source).is_file():
        kind = identify(source, format=format, year=year, tz=tz, mtime=mtime)
        clock = Clock(tz=tz, first_year=kind.first_year)
        return _parse_and_close(open_log(source), get_format(kind.format), clock)
    if format != "auto":
        get_format(format)
    clock = Clock(tz=tz, first_year=year, now=time.time if mtime is None else lambda: mtime)
    if isinstance(source, (str, Path)):
        return _parse_and_close(open_log(source), format, clock)
    return _parse_stream(source, format, clock)


def identify(
    source: str | Path,
    *,
    format: str = "auto",
    year: int | None = None,
    tz: tzinfo = UTC,
    mtime: float | None = None,
) -> SourceKind:
    """Find the format of a file and, if its stamps lack the year, the year of its first dated line.

    The arguments are those of `read_records`; ``source`` is a file that can be opened again. For a part of
    the file, store with it the year of the part's own first dated line, read in ``tz``.

    Raises:
        UnknownFormat, ValueError: as `read_records`.
        UnreadableInput: as `read_records`; also for standard input and pipes, which can be read only once.
    """
    if str(source) == "-" or Path(source).is_fifo():
        raise UnreadableInput(f"{source}: can be read only once; save it to a file, or pass --format and --year")
    log_format = detect(source) if format == "auto" else get_format(format)
    if not log_format.yearless:
        return SourceKind(log_format.name, None)
    if year is None:
        survey = YearSurvey(tz=tz)
        with open_log(source) as stream:
            for _ in parse_lines(_readable_lines(stream), fmt=log_format, clock=survey):
                pass
        year = survey.first_year(Path(source).stat().st_mtime if mtime is None else mtime)
    return SourceKind(log_format.name, year)


def detect(source: str | Path) -> LogFormat:
    """Tell the format of a file by its first lines; see `detect_format`.

    Raises:
        UnreadableInput: the file cannot be opened.
    """
    with open_log(source) as stream:
        return _detect_by(list(islice(_readable_lines(stream), SAMPLE_LINES)))


def message_of(line: str) -> str:
    """The message of one line whose format its looks alone must tell; ``""`` for a blank line.

    For a person's question about one line; files are read with `read_records`, which looks at many lines.
    """
    line = line.rstrip("\r\n")
    for log_format in FORMATS:
        try:
            fields = log_format.parse(line, Clock(first_year=2000))
        except NoSuchTime:
            continue
        if fields is not None:
            return fields.message
    return ""


def parse_lines(
    lines: Iterable[bytes], *, fmt: LogFormat, clock: Clock, first_line: int = 1
) -> Iterator[Record | Rejected]:
    """Turn physical lines into records and rejected lines, in their order and without a gap.

    A line without a header joins the record directly before it if it is blank, looks continued (see
    `looks_continued`) or the format is `LogFormat.multiline`, up to `MAX_RECORD_LINES` and
    `MAX_RECORD_CHARS`. Blank lines at the end of a record add nothing to its message.

    Args:
        lines: with or without their line ends.
        fmt: the layout of their headers.
        clock: a new one for each source.
        first_line: number of the first of ``lines`` in its source.
    """
    parse = fmt.parse
    growing: _Growing | None = None
    orphan_reason = no_record = f"no {fmt.name} header, and no record before it to continue"
    for number, raw in enumerate(lines, first_line):
        line = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if number == 1:
            line = line.removeprefix("\ufeff")
        fields, reason = None, ""
        if not line.isprintable():
            reason = _no_text(line, raw)
        if not reason:
            try:
                fields = parse(line, clock)
            except NoSuchTime as error:
                reason = str(error)
        if fields is not None:
            if growing is not None:
                if growing.takes_piece(fields):
                    continue
                yield growing.finished()
            growing = _Growing(number, fields)
            continue
        if reason:
            orphan_reason = no_record
        elif line and not line.isspace() and not (fmt.multiline or looks_continued(line)):
            reason = f"no {fmt.name} header"
            orphan_reason = no_record
        elif growing is not None:
            if growing.takes_line(line):
                continue
            reason = orphan_reason = _TOO_LONG
        else:
            reason = orphan_reason if line and not line.isspace() else "blank line"
        if growing is not None:
            yield growing.finished()
            growing = None
        yield Rejected(number, raw.removesuffix(b"\n"), reason)
    if growing is not None:
        yield growing.finished()


class _Growing:
    """The newest record, which the next lines may continue."""

    __slots__ = ("_chars", "_parts", "_record", "_stream", "_unfinished")

    def __init__(self, number: int, fields: Fields) -> None:
        time_us, host, program, pid, severity, message, self._stream, self._unfinished = fields
        self._record = Record(number, number, time_us, host, program, pid, severity, message)
        self._chars = len(message)
        self._parts: list[str] | None = None

    def takes_line(self, line: str) -> bool:
        """Join a line without a header, unless the record is full."""
        return self._takes("\n" + line)

    def takes_piece(self, fields: Fields) -> bool:
        """Join the next piece of a message that the writer cut, unless it is none or the record is full."""
        if not self._unfinished or fields.stream != self._stream or not self._takes(fields.message):
            return False
        self._unfinished = fields.unfinished
        return True

    def _takes(self, text: str) -> bool:
        record = self._record
        if record.line_count >= MAX_RECORD_LINES or self._chars + len(text) > MAX_RECORD_CHARS:
            return False
        if self._parts is None:
            self._parts = [record.message]
        self._parts.append(text)
        self._chars += len(text)
        record.last_line += 1
        return True

    def finished(self) -> Record:
        if self._parts is not None:
            while len(self._parts) > 1 and self._parts[-1].isspace():
                self._parts.pop()
            self._record.message = "".join(self._parts)
        return self._record


def _no_text(line: str, raw: bytes) -> str:
    """Why a line is no text, ``""`` if it is: it holds NUL, or more than half of it is no characters."""
    if "\0" in line or 2 * len(_NO_TEXT.findall(line)) > len(raw):
        return "bytes that are no text"
    return ""


def _parse_and_close(stream: BinaryIO, fmt: LogFormat | str, clock: Clock) -> Iterator[Record | Rejected]:
    with closing(stream):
        yield from _parse_stream(stream, fmt, clock)


def _parse_stream(stream: BinaryIO, fmt: LogFormat | str, clock: Clock) -> Iterator[Record | Rejected]:
    lines = read_lines(stream)
    if fmt == "auto":
        sample = list(islice(lines, SAMPLE_LINES))
        fmt, lines = _detect_by(sample), chain(sample, lines)
    elif isinstance(fmt, str):
        fmt = get_format(fmt)
    yield from parse_lines(lines, fmt=fmt, clock=clock)


def _detect_by(sample: list[bytes]) -> LogFormat:
    texts = [raw.decode("utf-8", "surrogateescape").rstrip("\r\n") for raw in sample]
    if texts:
        texts[0] = texts[0].removeprefix("\ufeff")
    return detect_format(texts)


def _readable_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines up to the end or to the first damage, which is left to the parse itself to meet and raise."""
    try:
        yield from read_lines(stream)
    except UnreadableInput:
        return
