"""From log files to windows in one pass, for everything that needs no lake.

Belongs here: reading sources, normalising, cutting, and numbering unique windows. Fitting and scoring
are in ``detectors``; tables are in ``lake``.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np

from logad_pipeline.detectors.adaptive import AdaptiveThreshold
from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.detectors.ensemble import AnomalyDetector, Judged, ModelNotFound
from logad_pipeline.detectors.fitting import FitProgress, FitSpec, fit_detector
from logad_pipeline.detectors.normal_stream import NormalStream, TooFewWindows
from logad_pipeline.detectors.registry import RECORD_DETECTORS
from logad_pipeline.logs.facts import RecordFacts, facts_of
from logad_pipeline.logs.log_tokenizer import LogTokenizer
from logad_pipeline.logs.parser import read_records
from logad_pipeline.logs.reader import UnreadableInput
from logad_pipeline.logs.records import Record, Rejected
from logad_pipeline.window_scores import Ask, TextScore
from logad_pipeline.window_scores import ask as ask_model
from logad_pipeline.windows import Window, Windower, WindowIndex, WindowSet, WindowSpec, group_key, settled_order

SCORED_AT_ONCE: Final = 2048
"""Unique windows that are scored together: bounds memory, and how long a reader waits for the first."""
_FORGET_FROM: Final = 4096
_PROBE: Final = ("session opened for user root by (uid=0)", "Failed password for root from 10.0.0.1 port 22 ssh2")


@dataclass(frozen=True)
class ReadSpec:
    """How sources are read: ``format`` (``auto`` or a name), ``year`` of the first line, and the zone of
    times that name none."""

    format: str = "auto"
    year: int | None = None
    tz: tzinfo = UTC


@dataclass
class LineAccount:
    """What became of the lines of the sources read so far."""

    lines: int = 0
    records: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class LineWindow:
    """A window of a source.

    Attributes:
        source: the file as it was named, ``-`` for standard input.
        group: the stream within it; ``""`` where there is but one.
        spans: 1-based (first, last) physical line of each record, in the order in which they are read.
        positions: ordinals of the records over all sources read, in the same order.
        unique: number of the unique window in the index.
        facts: what each record says beyond its text, if the reader was asked for it.
        time_us: time of the first dated record, microseconds since 1970 UTC, or ``None``.
    """

    source: str
    group: str
    spans: tuple[tuple[int, int], ...]
    positions: tuple[int, ...]
    unique: int
    time_us: int | None
    facts: tuple[RecordFacts, ...] = ()

    @property
    def lines(self) -> list[int]:
        """All physical lines, 1-based, ascending."""
        return sorted(line for first, last in self.spans for line in range(first, last + 1))


class _Held(NamedTuple):
    """What a window has to know of a record."""

    span: tuple[int, int]
    text: int
    time_us: int | None
    facts: RecordFacts | None


class WindowReader:
    """Reads sources and yields their windows; equal windows share one number of :attr:`index`.

    Memory holds the unfinished windows and the unique ones; :meth:`renew` forgets the latter. ``account`` says
    what became of each line. With ``facts`` each window also carries what the detectors of records look at.
    """

    def __init__(self, spec: WindowSpec, read: ReadSpec | None = None, *, facts: bool = False) -> None:
        self.spec = spec
        self.read_spec = read or ReadSpec()
        self.index = WindowIndex()
        self.account = LineAccount()
        self.group_of = group_key(spec.group_by)
        self._facts = facts
        self._tokenizer = LogTokenizer()
        self._next_position = 0
        self._held: dict[int, _Held] = {}
        self._forget_at = _FORGET_FROM
        self.windower = Windower(spec)
        self.wanted: Callable[[], Iterable[int]] = tuple
        """Positions that :meth:`finished` will be asked for although no unfinished window holds them."""

    def read(self, source: str, stream: BinaryIO | None = None) -> Iterator[LineWindow]:
        """Yield the windows of one source as they are complete; ``stream`` is read in its place, if given.

        Raises:
            UnreadableInput: if it cannot be read, or holds no record at all.
        """
        self.windower, self._held = Windower(self.spec), {}
        records = self.account.records
        for item in read_records(
            stream or source, format=self.read_spec.format, year=self.read_spec.year, tz=self.read_spec.tz
        ):
            yield from self.push(source, item)
        yield from self.flush(source)
        if self.account.records == records:
            reasons = ", ".join(f"{reason} ({count})" for reason, count in self.account.rejected.most_common(3))
            raise UnreadableInput(f"{source}: no log line in it ({reasons or 'it is empty'}); nothing to do")

    def push(self, source: str, item: Record | Rejected) -> Iterator[LineWindow]:
        """Take the next record of a source; yield the windows that it completes."""
        if isinstance(item, Rejected):
            self.account.lines += 1
            self.account.rejected[item.reason] += 1
            return
        position = self._take(item)
        for window in self.windower.push([(self.group_of(item), position)]):
            yield self._finish(source, window)
        if len(self._held) > self._forget_at:
            self._forget()

    def flush(self, source: str) -> Iterator[LineWindow]:
        """Yield the unfinished windows at the end of a source."""
        for window in self.windower.flush():
            yield self._finish(source, window)
        self._held = {}

    def finished(self, source: str, windows: Iterable[Window]) -> list[LineWindow]:
        """Windows of records that are held: those of :attr:`windower`, and the ``wanted``."""
        return [self._finish(source, window) for window in windows]

    def renew(self) -> None:
        """Forget the unique windows seen so far, so that a stream without end fits in memory; those to come are
        numbered from 0 again."""
        texts, self.index = self.index.texts, WindowIndex()
        self._forget()
        self._held = {at: held._replace(text=self.index.text_id(texts[held.text])) for at, held in self._held.items()}

    @property
    def newest(self) -> int:
        """Position of the record taken last."""
        return self._next_position - 1

    def _take(self, record: Record) -> int:
        self.account.lines += record.line_count
        self.account.records += 1
        position, self._next_position = self._next_position, self._next_position + 1
        text = self._tokenizer.normalise(record.message)
        facts = facts_of(record, text) if self._facts else None
        self._held[position] = _Held(
            (record.first_line, record.last_line), self.index.text_id(text), record.time_us, facts
        )
        return position

    def _finish(self, source: str, window: Window) -> LineWindow:
        rows = [self._held[position] for position in window.positions]
        order = settled_order([row.time_us for row in rows], [self.index.keys[row.text] for row in rows])
        rows = [rows[place] for place in order]
        times = [row.time_us for row in rows if row.time_us is not None]
        return LineWindow(
            source,
            window.group,
            tuple(row.span for row in rows),
            tuple(window.positions[place] for place in order),
            self.index.add([row.text for row in rows]),
            times[0] if times else None,
            tuple(row.facts for row in rows if row.facts is not None),
        )

    def _forget(self) -> None:
        needed = self.windower.open_positions().union(self.wanted(), (self.newest,))
        self._held = {position: held for position, held in self._held.items() if position in needed}
        self._forget_at = 2 * len(self._held) + _FORGET_FROM


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """A window with what the model says of it; ``detectors`` and ``score`` are in [0, 1).

    ``line_surprise`` is nats a token of each record, aligned with ``window.spans``.
    """

    window: LineWindow
    score: float
    risk: str
    is_anomaly: bool
    detectors: dict[str, float]
    line_surprise: tuple[float, ...] = ()

    @property
    def source(self) -> str:
        """Of the window."""
        return self.window.source

    @property
    def group(self) -> str:
        """Of the window."""
        return self.window.group

    @property
    def first_line(self) -> int:
        """Its first physical line, 1-based."""
        return self.window.lines[0]

    @property
    def last_line(self) -> int:
        """Its last physical line."""
        return self.window.lines[-1]

    @property
    def least_expected(self) -> int:
        """First physical line of the record that was expected least."""
        worst = max(range(len(self.line_surprise)), key=self.line_surprise.__getitem__)
        return self.window.spans[worst][0]

    def to_dict(self, model_version: str) -> dict[str, Any]:
        """The verdict as JSON-ready values: what ``logad detect --json`` writes."""
        lines = self.window.lines
        return {
            "source": self.window.source,
            "group": self.window.group,
            "lines": lines,
            "first_line": lines[0],
            "last_line": lines[-1],
            "score": self.score,
            "risk": self.risk,
            "is_anomaly": self.is_anomaly,
            "detectors": self.detectors,
            "model_version": model_version,
        }


def fit_files(
    sources: Sequence[str],
    window_spec: WindowSpec,
    spec: FitSpec,
    read: ReadSpec | None = None,
    progress: FitProgress | None = None,
) -> tuple[AnomalyDetector, LineAccount]:
    """Fit a model on the normal logs in ``sources``, split in time.

    Windows are ordered by the time of their first record where all have one, else as they were read.

    Raises:
        UnreadableInput: if a source cannot be read.
        TooFewWindows: if they hold too little.
    """
    wanted = any(name in RECORD_DETECTORS for name in spec.detectors)
    reader = WindowReader(window_spec, read, facts=wanted)
    windows = [window for source in sources for window in reader.read(source)]
    times = [window.time_us for window in windows]
    if all(time is not None for time in times):
        windows.sort(key=lambda window: (window.time_us or 0, min(window.positions)))
    else:
        windows.sort(key=lambda window: min(window.positions))
    try:
        model = fit_detector(normal_stream(windows, reader.index.build()), window_spec, spec, progress=progress)
    except TooFewWindows as error:
        raise TooFewWindows(f"{', '.join(sources)}: {error}") from error
    model.card["logs"] = {"lines": reader.account.lines, "records": reader.account.records,
                          "rejected": sum(reader.account.rejected.values())}  # fmt: skip
    return model, reader.account


def normal_stream(windows: Sequence[LineWindow], unique: WindowSet) -> NormalStream:
    """Windows in time order as a model is fitted on them."""
    return NormalStream(
        unique,
        np.array([window.unique for window in windows], dtype=np.int64),
        [window.positions for window in windows],
        [window.source for window in windows],
        [window.group for window in windows],
        [window.time_us for window in windows],
        {position: fact for window in windows for position, fact in zip(window.positions, window.facts, strict=False)},
    )


class FileScorer:
    """Scores the windows of sources with a fitted model: each unique window once, each record once."""

    def __init__(
        self,
        model: AnomalyDetector,
        window_spec: WindowSpec | None = None,
        read: ReadSpec | None = None,
        *,
        adaptive: bool = False,
        ask: Ask | None = None,
    ) -> None:
        """Score with ``model``; with ``adaptive`` the threshold follows drift from one window to the next,
        so that a window's score depends on those before it. ``ask`` is asked in the model's place."""
        self.model = model
        self._ask = ask or partial(ask_model, model)
        self._threshold = AdaptiveThreshold(model.scale.false_alarm_rate) if adaptive else None
        self.reader = WindowReader(window_spec or model.window_spec, read, facts=bool(model.record_detectors))
        self._unique: list[TextScore] = []
        self._kinds: list[bytes] = []
        self._novel: list[bool] = []

    @property
    def account(self) -> LineAccount:
        """What became of the lines read so far."""
        return self.reader.account

    def score(self, source: str, stream: BinaryIO | None = None) -> Iterator[WindowVerdict]:
        """Yield a verdict for each window of ``source`` (or of ``stream``, under that name), in the order in
        which windows are complete."""
        for windows, log10_p in self.log10_p(source, stream):
            yield from self._judge(windows, log10_p, self._threshold)

    def judge(self, windows: list[LineWindow], *, foreseen: bool = False) -> list[WindowVerdict]:
        """Verdicts on windows of :attr:`reader`, in time order; with ``foreseen`` on windows that are still
        growing: they leave the threshold as it is."""
        threshold = copy.deepcopy(self._threshold) if foreseen else self._threshold
        return list(self._judge(windows, self._of(windows), threshold)) if windows else []

    def renew(self) -> None:
        """Forget the unique windows seen so far; every window read so far must have been judged."""
        self.reader.renew()
        self._unique, self._kinds, self._novel = [], [], []
        if self._threshold:
            # Kinds are named by the numbers that are given anew; what it has learned of the rate it keeps.
            self._threshold = AdaptiveThreshold(self._threshold.rate, in_force=self._threshold.in_force)

    def _judge(
        self, windows: list[LineWindow], log10_p: dict[str, FloatArray], threshold: AdaptiveThreshold | None
    ) -> Iterator[WindowVerdict]:
        kinds = [self._kinds[window.unique] for window in windows] if threshold else None
        novel = [self._novel[window.unique] for window in windows] if threshold else None
        judged = self.model.judge(log10_p, threshold, kinds, novel)
        for row, window in enumerate(windows):
            yield self.verdict(window, judged, row)

    def verdict(self, window: LineWindow, judged: Judged, row: int) -> WindowVerdict:
        """What row ``row`` of ``judged`` says of ``window``."""
        score = float(judged.score[row])
        channels = {name: float(values[row]) for name, values in judged.detectors.items()}
        surprise = tuple(self._unique[window.unique].line_surprise.tolist())
        return WindowVerdict(window, score, self.model.scale.risk(score), score >= THRESHOLD, channels, surprise)

    def log10_p(
        self, source: str, stream: BinaryIO | None = None
    ) -> Iterator[tuple[list[LineWindow], dict[str, FloatArray]]]:
        """Yield windows of a source, some thousands at a time, with each detector's ``log10`` p-values."""
        waiting: list[LineWindow] = []
        for window in self.reader.read(source, stream):
            waiting.append(window)
            if len(self.reader.index) - len(self._unique) >= SCORED_AT_ONCE or len(waiting) >= 50 * SCORED_AT_ONCE:
                yield waiting, self._of(waiting)
                waiting = []
        if waiting:
            yield waiting, self._of(waiting)

    def _of(self, windows: list[LineWindow]) -> dict[str, FloatArray]:
        new = self.reader.index.build(start=len(self._unique))
        if len(new):
            self._unique += self._ask(new)
            if self._threshold:
                self._kinds += new.kinds()
                self._novel += self.model.reference.novel(new).tolist()
        rows = np.stack([self._unique[window.unique].log10_p for window in windows])
        log10_p = {name: rows[:, column] for column, name in enumerate(self.model.detectors)}
        return log10_p | self._of_records(windows)

    def _of_records(self, windows: list[LineWindow]) -> dict[str, FloatArray]:
        """The p-values of the worst record of each window; a record in several windows is looked at once."""
        if not self.model.record_detectors:
            return {}
        known = {p: fact for window in windows for p, fact in zip(window.positions, window.facts, strict=True)}
        order = sorted(known)
        place = {position: row for row, position in enumerate(order)}
        rows = np.array([place[p] for window in windows for p in window.positions], dtype=np.int64)
        starts = np.cumsum([0, *(len(window.positions) for window in windows[:-1])])
        facts = [known[position] for position in order]
        return {
            name: self.model.record_log10_p(name, np.maximum.reduceat(detector.score(facts)[rows], starts))
            for name, detector in self.model.record_detectors.items()
        }


def score_sequence(
    model: AnomalyDetector, lines: Sequence[str], window_spec: WindowSpec | None = None
) -> dict[str, Any]:
    """Judge a few raw lines as one stream; the sequence's score is that of its worst window.

    Without ``window_spec`` the lines are cut as the model was fitted.

    Raises:
        UnreadableInput: if there is no text in the lines.
    """
    verdicts = FileScorer(model, window_spec).score("lines", lines_stream(lines))
    rows = [verdict.to_dict(model.version) for verdict in verdicts]
    worst = max(rows, key=lambda row: row["score"])
    windows = [{key: row[key] for key in ("lines", "score", "risk", "is_anomaly", "detectors")} for row in rows]
    return {key: worst[key] for key in ("score", "is_anomaly", "risk", "model_version")} | {"windows": windows}


def lines_stream(lines: Sequence[str]) -> BytesIO:
    """A few lines as a source that :meth:`WindowReader.read` takes; a line end inside a line makes no second one."""
    text = "".join(line.replace("\n", " ") + "\n" for line in lines)
    # JSON can hold half a character; one that stands for no byte is handed on as the reader would show it.
    text = re.sub("[\ud800-\udc7f\udd00-\udfff]", "\N{REPLACEMENT CHARACTER}", text)
    return BytesIO(text.encode("utf-8", "surrogateescape"))


def probe(model: AnomalyDetector) -> float:
    """Try a model on a few lines before anybody depends on it; the score that it gives them.

    Raises:
        ModelNotFound: if it does not judge, or what it gives is no score.
    """
    try:
        score = float(score_sequence(model, _PROBE)["score"])
    except Exception as error:  # whatever it is: this model cannot judge
        raise ModelNotFound(f"it loads, but does not judge: {error}") from error
    if not 0 <= score <= 1:
        raise ModelNotFound(f"it gives the score {score}, which is none")
    return score
