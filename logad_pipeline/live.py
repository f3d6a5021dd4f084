"""A log that is still being written: verdicts as its lines come, within a bounded delay and in bounded memory.

Belongs here: when what is read is judged. How lines become windows and scores is in ``streams``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from queue import Empty, Queue
from threading import Thread
from typing import BinaryIO, Final

from logad_pipeline.logs.clock import Clock
from logad_pipeline.logs.formats import SAMPLE_LINES, LogFormat, detect_format, get_format
from logad_pipeline.logs.parser import parse_lines
from logad_pipeline.logs.reader import UnreadableInput, read_lines
from logad_pipeline.logs.records import Record
from logad_pipeline.streams import FileScorer, LineWindow, WindowVerdict
from logad_pipeline.windows import Window

_IDLE: Final = 0.5
"""Seconds without a line after which a record, and the sample of a format, count as whole."""
_WAITING_LINES: Final = 2000
_RECALLED_LINES: Final = 20_000
_RECALLED_BYTES: Final = 300
_JUDGED_AT_ONCE: Final = 512
_MOST_UNIQUE: Final = 20_000
_MOST_HELD: Final = 100_000
_MOST_GROUPS: Final = 20_000
_SESSION_ENDS_AFTER: Final = 600.0


@dataclass(frozen=True, slots=True)
class LiveVerdict:
    """A verdict on a window.

    Attributes:
        growing: the window is none of the model's cutting yet: it ends with the newest record.
        awaited: lines come more slowly than they are judged, so it is a stream that somebody watches.
        number, line: of its least expected line, and the line's beginning as it came; ``""`` if that is long gone.
    """

    verdict: WindowVerdict
    growing: bool
    awaited: bool
    number: int
    line: str


@dataclass(slots=True)
class _Group:
    """When the last record of a group came, its first that no verdict covers, and the records a window back."""

    last: float
    unjudged: float | None
    tail: deque[int]


class LiveScorer:
    """Judges the windows of a stream as they are complete.

    Where a window does not fill up within ``delay`` seconds, the newest records of its group are judged together
    with those before them, as many as make a window, and an anomaly is told; the window goes on growing and is
    judged when it is whole, so windows are those of the model. Sessions alone may take longer than ``delay``: half
    of one is not what the model knows, so they are judged when they are full or had no record for ten minutes. Lines
    wait in a queue of fixed length, and a writer that is faster waits.

    When it does not work: a record's continuation lines that come half a second after it are taken for lines
    without a header.
    """

    def __init__(self, scorer: FileScorer, delay: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        if delay <= 0:
            raise ValueError(f"a delay of {delay:g} seconds is none; give more than 0")
        self._scorer = scorer
        self._delay = delay
        self._clock = clock
        self._groups: dict[str, _Group] = {}
        self._session = scorer.reader.spec.window_type == "session"
        scorer.reader.wanted = lambda: (position for group in self._groups.values() for position in group.tail)
        self._waiting: list[LineWindow] = []
        self._often = min(_IDLE, delay)
        self._judged_at = clock()

    @property
    def version(self) -> str:
        """Of the model that judges."""
        return self._scorer.model.version

    def score(
        self, source: str, stream: BinaryIO, paused: Callable[[], None] = lambda: None
    ) -> Iterator[LiveVerdict]:
        """Yield verdicts on ``stream`` until it ends: on each whole window, and anomalies of growing ones.

        ``paused`` is called when all that came is judged and the next line is awaited.

        Raises:
            UnreadableInput: if it cannot be read to its end, or held no record at all.
        """
        reader = self._scorer.reader
        lines = self._lines = _TimedLines(stream)
        log_format, sample, began = self._format_of(lines)
        clock = Clock(tz=reader.read_spec.tz, first_year=reader.read_spec.year, now=time.time)
        burst: Iterator[bytes] = chain(sample, lines.burst())
        while True:
            for item in parse_lines(burst, fmt=log_format, clock=clock, first_line=reader.account.lines + 1):
                whole = list(reader.push(source, item))
                self._waiting += whole
                if isinstance(item, Record):
                    came = began if reader.account.lines <= len(sample) else self._clock()
                    self._note(reader.group_of(item), covered=bool(whole), came=came)
                if len(self._waiting) >= _JUDGED_AT_ONCE or self._clock() - self._judged_at >= self._often:
                    yield from self._judge(source)
            if lines.ended:
                break
            yield from self._judge(source)
            paused()
            burst = lines.burst()
        self._waiting += reader.flush(source)
        yield from self._told(self._waiting)
        if not reader.account.records:
            raise UnreadableInput(f"{source}: no log line in it; nothing to do")

    def _format_of(self, lines: _TimedLines) -> tuple[LogFormat, list[bytes], float]:
        """The format, the lines that it was told by, and when the first of them came."""
        name = self._scorer.reader.read_spec.format
        if name != "auto":
            return get_format(name), [], self._clock()
        sample: list[bytes] = []
        began = self._clock()
        while not sample and not lines.ended:
            for line in lines.burst():
                began = began if sample else self._clock()
                sample.append(line)
                if len(sample) == SAMPLE_LINES or self._clock() - began >= self._delay:
                    break
        texts = [raw.decode("utf-8", "surrogateescape").rstrip("\r\n").removeprefix("\ufeff") for raw in sample]
        return detect_format(texts), sample, began

    def _note(self, group: str, covered: bool, came: float) -> None:
        reader = self._scorer.reader
        known = self._groups.pop(group, None) or _Group(came, None, deque(maxlen=reader.spec.size))
        since = None if covered else came if known.unjudged is None else known.unjudged
        if not (self._session and group):
            known.tail.append(reader.newest)
        # The last in the dictionary is the one that was written to last.
        self._groups[group] = _Group(came, since, known.tail)

    def _judge(self, source: str) -> Iterator[LiveVerdict]:
        """Verdicts on the windows that wait, on those that must wait no longer, and on sessions that ended."""
        now = self._clock()
        reader = self._scorer.reader
        self._end_groups(source, now)
        whole, self._waiting = self._waiting, []
        growing = []
        for name, group in self._groups.items():
            if group.unjudged is not None and now - group.unjudged >= self._delay and group.tail:
                growing.append(Window(name, tuple(group.tail)))
                group.unjudged = None
        foreseen = reader.finished(source, growing)
        told = [*self._told(whole), *self._told(foreseen, growing=True)]
        if len(reader.index) > _MOST_UNIQUE:
            self._scorer.renew()
        self._judged_at = self._clock()
        yield from told

    def _told(self, windows: list[LineWindow], growing: bool = False) -> Iterator[LiveVerdict]:
        for verdict in self._scorer.judge(windows, foreseen=growing):
            if verdict.is_anomaly or not growing:
                number = verdict.least_expected
                line = self._lines.recall(number) if verdict.is_anomaly else ""
                yield LiveVerdict(verdict, growing, self._lines.waited >= _IDLE, number, line)

    def _end_groups(self, source: str, now: float) -> None:
        windower, reader = self._scorer.reader.windower, self._scorer.reader
        for name, group in list(self._groups.items()):
            ended = self._session and name and now - group.last >= _SESSION_ENDS_AFTER
            if not ended and windower.held <= _MOST_HELD and len(self._groups) <= _MOST_GROUPS:
                break
            last = windower.close(name)
            del self._groups[name]
            if last is not None:
                self._waiting += reader.finished(source, [last])


class _TimedLines:
    """The lines of a stream, read by a thread of their own, so that who waits for one can stop waiting.

    ``waited`` is how many seconds were spent so.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._queue: Queue[bytes | BaseException | None] = Queue(_WAITING_LINES)
        self._recent: deque[bytes] = deque(maxlen=_RECALLED_LINES)
        self._count = 0
        self.ended = False
        self.waited = 0.0
        # A daemon: where it waits for a line that never comes, nobody else has to.
        Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: BinaryIO) -> None:
        end: BaseException | None = None
        try:
            for line in read_lines(stream):
                self._queue.put(line)
        except BaseException as error:
            end = error
        self._queue.put(end)

    def burst(self) -> Iterator[bytes]:
        """Lines until the stream pauses or ends.

        Raises:
            UnreadableInput: if the stream failed.
        """
        while not self.ended:
            asked_at = time.monotonic()
            try:
                item = self._queue.get(timeout=_IDLE)
            except Empty:
                return
            finally:
                self.waited += time.monotonic() - asked_at
            if item is None or isinstance(item, BaseException):
                self.ended = True
                if item is not None:
                    raise item
                return
            self._count += 1
            self._recent.append(item[:_RECALLED_BYTES])
            yield item

    def recall(self, number: int) -> str:
        """The beginning of the line of that number, from 1; ``""`` if it is long gone."""
        place = len(self._recent) - 1 - (self._count - number)
        return self._recent[place].decode("utf-8", "replace").rstrip("\r\n") if place >= 0 else ""
