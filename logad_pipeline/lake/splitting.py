"""Splitting: which line of a file falls on which day.

Belongs here: reading the times of a file, or of the rest of one, and the runs of lines that they make. Does not:
what becomes of the runs (`landing`), what a line says (`normalising`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

from logad_pipeline.logs.clock import MONTHS, Clock
from logad_pipeline.logs.formats import get_format
from logad_pipeline.logs.parser import SourceKind, parse_lines
from logad_pipeline.logs.reader import open_log, read_lines
from logad_pipeline.logs.records import Record

from .tables import Progress

__all__ = ["After", "Split", "split_lines"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_US: Final = 60_000_000
_CACHED_MINUTES: Final = 1 << 14
_PROGRESS_LINES: Final = 10_000


@dataclass(frozen=True, slots=True)
class After:
    """Where in its file a rest begins.

    Attributes:
        lines: of the file before it.
        day: of the last of them, with which lines without a time go; ``None`` where no line had any.
    """

    lines: int = 0
    day: date | None = None


@dataclass
class Split:
    """The lines of a file by day, as far as it was read.

    Attributes:
        after: where the lines begin.
        lines: how many there are.
        undated: how many at the beginning, before the first record that has a time.
        newest: day of the last record.
        runs: ``(first_line, lines)`` of each run by day, 1-based in the whole file.
        first_times: of the first record of each day.
    """

    after: After = field(default_factory=After)
    lines: int = 0
    undated: int = 0
    newest: date | None = None
    runs: dict[date, list[tuple[int, int]]] = field(default_factory=dict)
    first_times: dict[date, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.newest = self.after.day

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
        if runs and day == self.newest:
            first, count = runs[-1]
            runs[-1] = (first, count + lines)
        else:
            runs.append((self.after.lines + self.lines + 1 - self.undated, lines + self.undated))
            self.undated = 0
            self.newest = day

    def place_undated(self, day: date) -> bool:
        """Give a file without any time to ``day``; return whether it had one."""
        if self.runs:
            return True
        self.runs[day] = [(self.after.lines + 1, self.undated)]
        return False


def split_lines(path: Path, kind: SourceKind, tz: tzinfo, progress: Progress | None, after: After) -> Split:
    """Read a file, packed or not, for the days of its lines in ``tz``.

    Args:
        path: the file, or the rest of one.
        kind: how it is parsed.
        progress: is told the number of lines parsed so far.
        after: what stands before the rest; ``After()`` for a whole file.

    Raises:
        UnreadableInput: it cannot be read to its end.
    """
    split = Split(after)
    moments: dict[int, date | None] = {}
    told = 0
    clock = _clock_after(kind, tz, after)
    first = after.lines + 1
    with open_log(path) as stream:
        for item in parse_lines(read_lines(stream), fmt=get_format(kind.format), clock=clock, first_line=first):
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


def _clock_after(kind: SourceKind, tz: tzinfo, after: After) -> Clock:
    """A clock that has seen what stands before; the years of the rest follow on from there."""
    clock = Clock(tz=tz, first_year=kind.first_year)
    if kind.first_year is not None and after.day is not None:
        clock.yearless(f"{list(MONTHS)[after.day.month - 1]} {after.day.day} 00:00", "00", None)
    return clock


def _local_day(minute: int, tz: tzinfo) -> date | None:
    """The day of a minute since the epoch; ``None`` for one beyond the calendar, which counts as no time."""
    try:
        return (_EPOCH + timedelta(minutes=minute)).astimezone(tz).date()
    except (OverflowError, ValueError):
        return None
