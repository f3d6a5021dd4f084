"""Windows: fixed, sliding and session runs of lines within a stream, and their unique forms.

Belongs here: how a stream of records is cut, which lines a window holds, and equal windows counted once.
Knows nothing of formats, tables or models.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from logad_pipeline.logs.records import Record

IntArray = npt.NDArray[np.int64]
WindowType = Literal["fixed", "sliding", "session"]

GROUPINGS: Final = ("none", "host", "program", "process")
SEPARATOR: Final = " [SEP] "


@dataclass(frozen=True)
class WindowSpec:
    """How a stream is cut into windows.

    Attributes:
        window_type: ``fixed`` (each line in one window), ``sliding`` (overlapping), or ``session``
            (all lines of a group together; needs a grouping by a key).
        size: lines a window, for fixed and sliding ones. The last window of a group may be shorter.
        stride: lines between the starts of sliding windows, ``1 <= stride <= size``.
        group_by: ``none``, ``host``, ``program``, ``process`` (host, program and pid), or a regular
            expression whose first group (or whole match, where it has none) is the session key.
        max_session_lines: a longer session goes on in a further window, so that memory stays bounded.

    Raises:
        ValueError: for a value outside these, naming it and the way out.
    """

    window_type: WindowType = "fixed"
    size: int = 10
    stride: int = 1
    group_by: str = "none"
    max_session_lines: int = 256

    def __post_init__(self) -> None:
        if self.window_type not in ("fixed", "sliding", "session"):
            raise ValueError(f"window type '{self.window_type}' is not known; use fixed, sliding or session")
        if self.size < 1:
            raise ValueError(f"window size {self.size} is below 1 line; give a size of 1 or more")
        if not 1 <= self.stride <= self.size:
            raise ValueError(
                f"stride {self.stride} is outside 1..{self.size} (the window size): lines would be skipped"
            )
        if self.max_session_lines < 1:
            raise ValueError("max_session_lines must be 1 or more")
        if self.window_type == "session" and self.group_by == "none":
            raise ValueError(
                "session windows need a key: pass --group-by host, program, process or a regular expression"
            )
        group_key(self.group_by)

    def ends_early(self, windows: WindowSet) -> npt.NDArray[np.bool_]:
        """Which windows hold fewer lines than this asks for, as at the end of a file or of a day: bool ``[n]``.

        A session has no length that was asked for, so none of them does.
        """
        return np.asarray((np.diff(windows.offsets) < self.size) & (self.window_type != "session"))

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values; ``WindowSpec(**spec.to_dict()) == spec``."""
        return asdict(self)

    def override(self, values: Mapping[str, Any]) -> WindowSpec:
        """The same with the values that are not ``None`` replaced; a stride that is not given never exceeds the
        size.

        Raises:
            ValueError: as for a new one.
        """
        given = {name: value for name, value in values.items() if value is not None}
        merged = self.to_dict() | given
        if "stride" not in given:
            merged["stride"] = min(merged["stride"], merged["size"])
        return WindowSpec(**merged)


def group_key(group_by: str) -> Callable[[Record], str]:
    """Return the function that names a record's group; ``""`` where the record has no key.

    Raises:
        ValueError: if ``group_by`` is none of the known words and no usable regular expression.
    """
    if group_by == "none":
        return lambda record: ""
    if group_by == "host":
        return lambda record: record.host
    if group_by == "program":
        return lambda record: record.program
    if group_by == "process":
        return lambda record: f"{record.host}/{record.program}[{record.pid}]"
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        known = ", ".join(GROUPINGS)
        raise ValueError(f"group-by '{group_by}' is not one of {known}, nor a regular expression: {error}") from error
    if pattern.groups > 1:
        raise ValueError(f"group-by '{group_by}' has {pattern.groups} groups; use one, '(?:…)' for the others")

    def from_message(record: Record) -> str:
        match = pattern.search(record.message)
        return match.group(pattern.groups) or "" if match else ""

    return from_message


@dataclass(frozen=True, slots=True)
class Window:
    """One window: the group it was cut from and the ordinals of its records, ascending."""

    group: str
    positions: tuple[int, ...]


def text_id(text: str) -> int:
    """The number of a normalised text: the first 8 bytes of its blake2b, big-endian, signed."""
    return int.from_bytes(hashlib.blake2b(text.encode()).digest()[:8], "big", signed=True)


def settled_order(times_us: Sequence[int | None], keys: Sequence[int]) -> list[int]:
    """The order in which the lines of a window are read: lines of one whole second by their text.

    Stamps of whole seconds do not say which of two lines came first, and daemons that write at once
    interleave at random; read as they happen to lie, each mixture would be a window of its own. Lines
    with finer stamps, or none, stay where they are.

    Args:
        times_us: microseconds since 1970, ``None`` where a line has no time.
        keys: the :func:`text_id` of each line.

    >>> settled_order([5_000_000, 5_000_000, 5_000_001, None], [8, 7, 2, 1])
    [1, 0, 2, 3]
    """
    order: list[int] = []
    run: list[int] = []
    for place, time in enumerate(times_us):
        if run and (time is None or time != times_us[run[0]]):
            order += sorted(run, key=keys.__getitem__)
            run = []
        if time is None or time % 1_000_000:
            order.append(place)
        else:
            run.append(place)
    return order + sorted(run, key=keys.__getitem__)


class Windower:
    """Cuts a stream of records into windows, in one pass.

    Push ``(group, position)`` pairs in stream order; windows come out as soon as they are complete, the
    unfinished ones at :meth:`flush`. Groups never mix, and every pushed position is in at least one
    window. Memory holds the unfinished windows only: at most ``size`` positions a group, or
    ``max_session_lines`` for sessions. Records without a key (group ``""``) under a session window are
    cut into fixed ones, since they belong to no session.

    >>> cut = Windower(WindowSpec("fixed", size=2))
    >>> [w.positions for w in cut.push([("", 0), ("", 1), ("", 2)])], [w.positions for w in cut.flush()]
    ([(0, 1)], [(2,)])
    """

    def __init__(self, spec: WindowSpec) -> None:
        self.spec = spec
        self._open: dict[str, list[int]] = {}
        self._emitted: set[str] = set()
        self.held = 0
        """How many positions the unfinished windows hold."""

    def push(self, records: Iterable[tuple[str, int]]) -> Iterator[Window]:
        """Take records in order; yield the windows that they complete."""
        if self.spec.window_type == "sliding":
            yield from self._slide(records)
        else:
            session = self.spec.window_type == "session"
            limit, size = self.spec.max_session_lines, self.spec.size
            for group, position in records:
                held = self._open.setdefault(group, [])
                held.append(position)
                self.held += 1
                if len(held) >= (limit if session and group else size):
                    self.held -= len(held)
                    del self._open[group]
                    yield Window(group, tuple(held))

    def open_positions(self) -> set[int]:
        """Positions that a later window may still hold."""
        return {position for held in self._open.values() for position in held}

    def _slide(self, records: Iterable[tuple[str, int]]) -> Iterator[Window]:
        size, stride = self.spec.size, self.spec.stride
        for group, position in records:
            held = self._open.setdefault(group, [])
            held.append(position)
            self.held += 1
            if len(held) == size:
                yield Window(group, tuple(held))
                self._emitted.add(group)
                # What is left is the overlap with the next window; its length tells how far on we are.
                del held[:stride]
                self.held -= stride

    def unfinished(self, group: str) -> Window | None:
        """What the end of a group would be if it ended now; ``None`` where all of it was yielded before."""
        held = self._open.get(group)
        overlap = self.spec.size - self.spec.stride
        covered = self.spec.window_type == "sliding" and group in self._emitted and held and len(held) <= overlap
        return Window(group, tuple(held)) if held and not covered else None

    def close(self, group: str) -> Window | None:
        """End a group: its unfinished window, if there is one. What comes later in it is cut anew."""
        last = self.unfinished(group)
        self.held -= len(self._open.pop(group, ()))
        self._emitted.discard(group)
        return last

    def flush(self) -> Iterator[Window]:
        """Yield what is unfinished at the end of the stream, oldest group first, and start anew."""
        last = [self.unfinished(group) for group in self._open]
        self._open, self._emitted, self.held = {}, set(), 0
        yield from (window for window in last if window is not None)


@dataclass(frozen=True)
class WindowSet:
    """Unique windows over unique normalised lines, with how often each was seen.

    Attributes:
        texts: the unique normalised lines.
        offsets: int64 ``[n + 1]``; window ``i`` holds ``line_ids[offsets[i]:offsets[i + 1]]``.
        line_ids: int32 ``[total lines]``, indices into ``texts``.
        counts: int64 ``[n]``, how many windows of the stream are this one.
    """

    texts: Sequence[str]
    offsets: IntArray
    line_ids: npt.NDArray[np.int32]
    counts: IntArray

    def __len__(self) -> int:
        return len(self.counts)

    def lines(self, index: int) -> npt.NDArray[np.int32]:
        """Line ids of one window."""
        return self.line_ids[self.offsets[index] : self.offsets[index + 1]]

    def text(self, index: int) -> str:
        """One window as the specification writes it: ``log0 [SEP] log1 [SEP] …``."""
        return SEPARATOR.join(self.texts[i] for i in self.lines(index))

    @classmethod
    def of_lines(cls, windows: Sequence[Sequence[str]]) -> Self:
        """A row for each of ``windows``, given by their normalised lines, equal ones included; each counts once."""
        index = WindowIndex()
        ids = [np.array([index.text_id(text) for text in lines], dtype=np.int32) for lines in windows]
        offsets = np.concatenate(([0], np.cumsum([len(each) for each in ids]))).astype(np.int64)
        line_ids = np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32)
        return cls(index.texts, offsets, line_ids, np.ones(len(ids), dtype=np.int64))

    @staticmethod
    def distinct(windows: Iterable[Iterable[str]]) -> WindowSet:
        """The different ones of ``windows``, given by their normalised lines, in the order in which they first come."""
        index = WindowIndex()
        for lines in windows:
            index.add_lines(lines)
        return index.build()

    def kinds(self) -> list[bytes]:
        """What windows of the same set of lines have in common, one value a window."""
        return [np.unique(self.lines(index)).tobytes() for index in range(len(self))]

    def take(self, indices: npt.ArrayLike, counts: IntArray | None = None) -> WindowSet:
        """The windows at ``indices``, over the same texts; ``counts`` replaces theirs."""
        chosen = np.asarray(indices, dtype=np.int64)
        offsets = np.concatenate(([0], np.cumsum(np.diff(self.offsets)[chosen])))
        ids = self.line_ids[self.places(chosen)]
        return WindowSet(self.texts, offsets, ids, self.counts[chosen] if counts is None else counts)

    def sample(self, most: int) -> tuple[IntArray, IntArray]:
        """Numbers and counts of at most ``most`` windows, for :meth:`take`.

        They are the most frequent ones, and a regular sample whose counts stand for the rest.
        """
        if len(self) <= most:
            return np.arange(len(self)), self.counts
        chosen, counts = stand_ins(self.counts, most)
        return chosen, np.maximum(1, np.round(counts)).astype(np.int64)

    def joined(self, other: WindowSet) -> WindowSet:
        """Both sets, one after the other, over the texts of both; what is in both is there twice."""
        texts, renumbered = self.texts, other.line_ids
        if other.texts is not self.texts:
            number = {text: i for i, text in enumerate(dict.fromkeys([*self.texts, *other.texts]))}
            texts = list(number)
            renumbered = np.array([number[text] for text in other.texts], dtype=np.int32)[other.line_ids]
        return WindowSet(
            texts,
            np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]]),
            np.concatenate([self.line_ids, renumbered]),
            np.concatenate([self.counts, other.counts]),
        )

    def places(self, indices: IntArray) -> IntArray:
        """Where the lines of the windows at ``indices`` stand in ``line_ids``, window after window."""
        lengths = np.diff(self.offsets)[indices]
        ends = np.cumsum(lengths)
        return np.asarray(np.repeat(self.offsets[indices] - (ends - lengths), lengths) + np.arange(lengths.sum()))


def stand_ins(counts: npt.NDArray[Any], most: int) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """Numbers of ``most`` things out of more, and what each counts for.

    The most frequent half stand for themselves, a regular sample of the others for all of these.
    """
    order = np.argsort(-counts, kind="stable")
    often, seldom = order[: most // 2], order[most // 2 :]
    drawn = seldom[np.linspace(0, len(seldom) - 1, most - len(often)).astype(np.int64)]
    scale = counts[seldom].sum() / counts[drawn].sum()
    return np.concatenate([often, drawn]), np.concatenate([counts[often], counts[drawn] * scale])


class WindowIndex:
    """Collects windows, keeping each distinct one once.

    :meth:`add` gives the number of the unique window, so that a score computed once serves every
    repetition. Memory grows with unique windows and unique lines, not with the stream. ``texts`` are the
    unique lines, ``keys`` their :func:`text_id`.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.keys: list[int] = []
        self._text_ids: dict[str, int] = {}
        self._window_ids: dict[bytes, int] = {}
        self._keys: list[bytes] = []
        self._counts: list[int] = []

    def __len__(self) -> int:
        return len(self._keys)

    def text_id(self, text: str) -> int:
        """Number of a normalised line, a new one if it was never seen."""
        known = self._text_ids.get(text)
        if known is None:
            known = self._text_ids[text] = len(self.texts)
            self.texts.append(text)
            self.keys.append(text_id(text))
        return known

    def add(self, line_ids: Sequence[int], count: int = 1) -> int:
        """Count a window of these lines (numbers from :meth:`text_id`); return its unique number."""
        key = np.asarray(line_ids, dtype=np.int32).tobytes()
        known = self._window_ids.get(key)
        if known is None:
            known = self._window_ids[key] = len(self._keys)
            self._keys.append(key)
            self._counts.append(0)
        self._counts[known] += count
        return known

    def add_lines(self, lines: Iterable[str], count: int = 1) -> int:
        """The same, of normalised lines."""
        return self.add([self.text_id(text) for text in lines], count)

    def build(self, start: int = 0) -> WindowSet:
        """The unique windows from number ``start`` on, as arrays."""
        keys = self._keys[start:]
        lengths = np.array([len(key) // 4 for key in keys], dtype=np.int64)
        return WindowSet(
            self.texts,
            np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(lengths))),
            np.frombuffer(b"".join(keys), dtype=np.int32),
            np.array(self._counts[start:], dtype=np.int64),
        )
