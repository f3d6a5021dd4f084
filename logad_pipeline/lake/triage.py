"""What a person on duty opens: the windows of judged days, ranked, and the raw lines of one with their neighbours.

Belongs here: reading the tables and the raw parts. Groups of alarms are in `alerts`; how all this is shown is the
business of the command line and the pages.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import groupby, islice
from pathlib import PurePath
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from logad_pipeline.logs.reader import UnreadableInput, read_lines

from .alerts import Alert, loudest_line, state_of
from .feedback import read_feedback
from .ledger import LedgerRow, open_raw, raw_parts, way_out
from .tables import Lake, LakeDamaged, LakeError
from .windowing import record_ids_of, texts_of

__all__ = [
    "JudgedWindow", "RawLine", "RawLines", "Wanted", "find_window", "ranked_windows", "raw_lines", "read_window",
    "settled",
]  # fmt: skip

_COLUMNS: Final = (
    "day", "window_id", "source", "group_key", "first_time", "last_time", "first_line", "last_line", "text_ids",
    "worst", "score", "risk", "is_anomaly", "model_version",
)  # fmt: skip
_KEYS: Final = pa.schema([("day", pa.date32()), ("window_id", pa.string()), ("score", pa.float64())])
_HELD: Final = 200_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which windows of some days; what is ``None`` does not matter.

    Attributes:
        stream: host or session where windows were cut by such, else the source.
        since, before: of the window's first time, with a zone; a window without a time is in no such span.
        alert: those of the alarms that it folds.
        ids: these alone.
    """

    stream: str | None = None
    by_group: bool = True
    since: datetime | None = None
    before: datetime | None = None
    alert: Alert | None = None
    ids: Collection[str] | None = None

    def condition(self) -> ds.Expression | None:
        """As far as the table can tell."""
        parts: list[ds.Expression] = []
        if self.stream is not None:
            source = ds.field("source") == self.stream
            group = ds.field("group_key")
            parts.append((group == self.stream) | ((group == "") & source) if self.by_group else source)
        if self.since is not None:
            parts.append(ds.field("first_time") >= pa.scalar(self.since, pa.timestamp("us", tz="UTC")))
        if self.before is not None:
            parts.append(ds.field("first_time") < pa.scalar(self.before, pa.timestamp("us", tz="UTC")))
        if self.alert is not None:
            one = self.alert
            parts.append(
                ds.field("is_anomaly") & (ds.field("source") == one.source) & (ds.field("group_key") == one.group_key)
            )
        if self.ids is not None:
            parts.append(ds.field("window_id").isin(pa.array(sorted(self.ids), pa.string())))
        whole: ds.Expression | None = None
        for part in parts:
            whole = part if whole is None else whole & part
        return whole


@dataclass(frozen=True, slots=True)
class JudgedWindow:
    """A judged window as a list shows it.

    Attributes:
        text: the normalised line that surprised most.
        state: see `alerts.state_of`.
    """

    window_id: str
    day: date
    source: str
    group: str
    first_time: datetime | None
    last_time: datetime | None
    first_line: int
    last_line: int
    score: float
    risk: str
    is_anomaly: bool
    model_version: str
    text: str
    state: str


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line as it came; ``number`` is 1-based in the landed ``file``.

    ``gap`` says that lines between it and the one before, of the same file, are left out.
    """

    number: int
    text: str
    in_window: bool
    gap: bool
    file: str


@dataclass(frozen=True, slots=True)
class RawLines:
    """The lines of a window with their neighbours, file after file.

    Attributes:
        lines: as they are read.
        files: how many landed files they lie in.
        context: lines around each record that are shown.
        left_out: neighbours that were asked for and are not shown.
    """

    lines: Iterator[RawLine]
    files: int
    context: int
    left_out: int


def settled(lake: Lake, days: Collection[date]) -> dict[str, str]:
    """Windows of these days that somebody or something has settled, with how: see `alerts.state_of`."""
    quiet: set[str] = set()
    for batch in lake.scan("suppressed", days, ["window_id"]):
        quiet.update(batch.column(0).to_pylist())
    said = read_feedback(lake, days)
    return {key: state_of(said.get(key), partial(quiet.__contains__, key)) for key in quiet | said.keys()}


def ranked_windows(
    lake: Lake, days: Collection[date], wanted: Wanted, *, skip: int = 0, top: int = 100
) -> tuple[list[JudgedWindow], int]:
    """The windows of judged days that are wanted, the highest score first, and how many there are.

    Args:
        skip, top: how many of them are left out from the first on, and given back then.

    Raises:
        LakeError: there is no lake, or it lacks a table.
    """
    keys, total = _best(lake, days, wanted, skip + top)
    chosen = keys.slice(skip)
    places = {key: place for place, key in enumerate(chosen.column("window_id").to_pylist())}
    if not places:
        return [], total
    some = set(chosen.column("day").to_pylist())
    rows = [
        row
        for batch in lake.scan("scores", some, _COLUMNS, where=Wanted(ids=places).condition())
        for row in batch.to_pylist()
    ]
    rows.sort(key=lambda row: places[row["window_id"]])
    lines = [loudest_line(row["text_ids"], row["worst"]) for row in rows]
    texts, states = texts_of(lake, some, set(lines)), settled(lake, some)
    return [
        JudgedWindow(
            row["window_id"], row["day"], row["source"], row["group_key"], row["first_time"], row["last_time"],
            row["first_line"], row["last_line"], row["score"], row["risk"], row["is_anomaly"], row["model_version"],
            texts.get(line, ""), states.get(row["window_id"], ""),
        )
        for row, line in zip(rows, lines, strict=True)
    ], total  # fmt: skip


def _best(lake: Lake, days: Collection[date], wanted: Wanted, most: int) -> tuple[pa.Table, int]:
    """Day, id and score of the windows of the highest scores, in order, and how many are wanted in all.

    Memory does not grow with the days.
    """
    names, one = ["day", "window_id", "score"], wanted.alert
    columns = names if one is None else [*names, "text_ids", "worst"]
    best, total = _KEYS.empty_table(), 0
    for batch in lake.scan("scores", days, columns, where=wanted.condition()):
        if one is not None:
            pairs = zip(batch.column("text_ids").to_pylist(), batch.column("worst").to_pylist(), strict=True)
            mine = [loudest_line(ids, worst) == one.text_id for ids, worst in pairs]
            batch = batch.filter(pa.array(mine, pa.bool_()))
        total += batch.num_rows
        best = pa.concat_tables([best, pa.Table.from_batches([batch.select(names).cast(_KEYS)])])
        if best.num_rows > most + _HELD:
            best = _first(best, most)
    return _first(best, most), total


def _first(keys: pa.Table, most: int) -> pa.Table:
    order = pc.sort_indices(keys, sort_keys=[("score", "descending"), ("window_id", "ascending")])
    return keys.take(order.slice(0, most))


def read_window(lake: Lake, day: date, window_id: str) -> dict[str, Any] | None:
    """The row of `scores` of a judged window; ``None`` if there is none."""
    for batch in lake.scan("scores", [day], where=Wanted(ids=[window_id]).condition()):
        row: dict[str, Any] = batch.to_pylist()[0]
        return row
    return None


def find_window(lake: Lake, days: Collection[date], name: str) -> tuple[date, str]:
    """Day and id of the one judged window whose id begins with ``name``.

    Raises:
        LakeError: there is none, or more than one.
    """
    found = {
        (row["day"], row["window_id"])
        for batch in lake.scan("scores", days, ["day", "window_id"], where=pc.starts_with(ds.field("window_id"), name))
        for row in batch.to_pylist()
    }
    if len(found) != 1:
        how = f"{len(found)} judged windows of these days begin" if found else "no judged window of these days begins"
        raise LakeError(f"{how} with '{name}'; `logad triage` lists alerts and their windows")
    return found.pop()


def raw_lines(lake: Lake, day: date, window_id: str, context: int, most: int | None = None) -> RawLines:
    """The lines of a window as they came, with ``context`` lines around each record of it.

    Args:
        most: lines from which on there is less context, the same around each record, so that no more are shown;
            those of the window itself are shown however many they are. ``None`` for no such bound.

    Raises:
        LakeError: the window or its records are gone, or the raw part is; the latter while lines are read.
    """
    held: dict[str, set[int]] = {}
    records = record_ids_of(lake, [day], [window_id]).get(window_id, [])
    where = ds.field("record_id").isin(pa.array(records, pa.int64()))
    for batch in lake.scan("normalized", [day], ["file_sha256", "first_line", "last_line"], where=where):
        for row in batch.to_pylist():
            held.setdefault(row["file_sha256"], set()).update(range(row["first_line"], row["last_line"] + 1))
    parts = [part for part in raw_parts(lake, day) if part.file_sha256 in held]
    if not parts:
        raise LakeDamaged(f"{day}: window {window_id} or its records are gone; run the day again")
    asked = shown = [_near(part, held[part.file_sha256], context) for part in parts]
    while most is not None and context and sum(map(len, shown)) > most:
        context = 0 if context == 1 else context // 2
        shown = [_near(part, held[part.file_sha256], context) for part in parts]
    left_out = sum(map(len, asked)) - sum(map(len, shown))
    lines = (
        line for part, near in zip(parts, shown, strict=True) for line in _raw(lake, part, held[part.file_sha256], near)
    )
    return RawLines(lines, len(parts), context, left_out)


def _near(part: LedgerRow, held: set[int], context: int) -> set[int]:
    """Numbers of the lines of a part that are in the window, or so near to one that is."""
    near: set[int] = set()
    ordered = sorted(held)
    # Runs of lines without a gap, so that the records of one stack trace cost no more than one line.
    for _, run in groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        near.update(range(numbers[0] - context, numbers[-1] + context + 1))
    starts = [first for first, _ in part.runs]
    places = ((number, bisect(starts, number) - 1) for number in near)
    return {number for number, place in places if place >= 0 and number < sum(part.runs[place])}


def _raw(lake: Lake, part: LedgerRow, held: set[int], shown: set[int]) -> Iterator[RawLine]:
    end, last, file = max(shown), None, PurePath(part.original_path).name
    for number, raw in _numbered(lake, part):
        if number > end:
            break
        if number in shown:
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            yield RawLine(number, text, number in held, last is not None and number != last + 1, file)
            last = number


def _numbered(lake: Lake, part: LedgerRow) -> Iterator[tuple[int, bytes]]:
    """The lines of a part with their numbers in the landed file."""
    try:
        with open_raw(lake, part) as stream:
            lines = read_lines(stream)
            for first, count in part.runs:
                yield from enumerate(islice(lines, count), first)
    except UnreadableInput as error:
        raise LakeError(f"{error}; {way_out(part)}") from error
