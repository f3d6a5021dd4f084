"""What a person on duty looks at: ranked alerts with repeats folded, and the raw lines behind one of them.

Belongs here: reading the tables and the raw parts. How it is shown is the command line's business.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any, Final

import pyarrow.dataset as ds

from logad_pipeline.logs.reader import UnreadableInput, read_lines

from .feedback import NORMAL, read_feedback
from .ledger import LedgerRow, open_raw, raw_parts, way_out
from .tables import Lake, LakeDamaged, LakeError

__all__ = ["Alert", "RawLine", "alert_of", "ranked_alerts", "raw_lines"]

_COLUMNS: Final = (
    "day", "window_id", "source", "group_key", "first_time", "lines", "text_ids", "score", "risk", "detectors",
    "model_version",
)  # fmt: skip


@dataclass(frozen=True)
class Alert:
    """Alerts on windows of the same set of lines, named by the one with the highest score.

    Attributes:
        rarest: the normalised line of the window that was seen least on these days, and ``seen`` how often.
        repeats: how many windows it stands for, itself included.
        confirmed: whether somebody said that it is an anomaly.
    """

    window_id: str
    day: date
    source: str
    group: str
    time: datetime | None
    first_line: int
    last_line: int
    score: float
    risk: str
    detectors: dict[str, float]
    model_version: str
    rarest: str
    seen: int
    repeats: int
    confirmed: bool


@dataclass(frozen=True)
class RawLine:
    """A line as it came; ``number`` is 1-based in the landed file. ``gap`` says that lines before it are left out."""

    number: int
    text: str
    in_window: bool
    gap: bool


def ranked_alerts(lake: Lake, days: Collection[date], top: int, *, settled: bool = False) -> tuple[list[Alert], int]:
    """The alerts of judged days, the strangest first, repeats folded; and how many windows they fold.

    Args:
        settled: whether those that somebody said are normal are shown too.

    Raises:
        LakeError: there is no lake, or it lacks a table.
    """
    said = read_feedback(lake, days)
    folded: dict[frozenset[int], dict[str, Any]] = {}
    repeats: Counter[frozenset[int]] = Counter()
    for batch in lake.scan("scores", days, _COLUMNS, where=ds.field("is_anomaly")):
        for row in batch.to_pylist():
            verdict = said.get(row["window_id"])
            if verdict is not None and verdict.verdict == NORMAL and not settled:
                continue
            kind = frozenset(row["text_ids"])
            repeats[kind] += 1
            if kind not in folded or row["score"] > folded[kind]["score"]:
                folded[kind] = row
    best = heapq.nsmallest(top, folded.items(), key=lambda item: (-item[1]["score"], item[1]["window_id"]))
    often, texts = _templates(lake, days, {number for kind, _ in best for number in kind})
    alerts = []
    for kind, row in best:
        rarest = min(row["text_ids"], key=lambda number: (often[number], number))
        verdict = said.get(row["window_id"])
        alerts.append(
            Alert(
                row["window_id"], row["day"], row["source"], row["group_key"], row["first_time"], min(row["lines"]),
                max(row["lines"]), row["score"], row["risk"], dict(row["detectors"]), row["model_version"],
                texts.get(rarest, ""), often[rarest], repeats[kind], verdict is not None and verdict.verdict != NORMAL,
            )
        )  # fmt: skip
    return alerts, sum(repeats.values())


def _templates(lake: Lake, days: Collection[date], wanted: set[int]) -> tuple[Counter[int], dict[int, str]]:
    often: Counter[int] = Counter()
    texts: dict[int, str] = {}
    if not wanted:
        return often, texts
    for batch in lake.scan("normalized", days, ["text_id", "text"], where=ds.field("text_id").isin(sorted(wanted))):
        for number, text in zip(batch.column("text_id").to_pylist(), batch.column("text").to_pylist(), strict=True):
            often[number] += 1
            texts.setdefault(number, text)
    return often, texts


def alert_of(lake: Lake, days: Collection[date], name: str) -> tuple[date, str]:
    """Day and id of the one judged window whose id begins with ``name``.

    Raises:
        LakeError: there is none, or more than one.
    """
    found = {
        (row["day"], row["window_id"])
        for batch in lake.scan("scores", days, ["day", "window_id"])
        for row in batch.to_pylist()
        if row["window_id"].startswith(name)
    }
    if len(found) != 1:
        how = "no judged window" if not found else f"{len(found)} judged windows"
        raise LakeError(f"{how} of these days begin with '{name}'; `logad triage` lists ids")
    return found.pop()


def raw_lines(lake: Lake, day: date, window_id: str, context: int) -> Iterator[RawLine]:
    """The lines of a window as they came, with ``context`` lines around each record of it.

    Raises:
        LakeError: the window or its records are gone, or the raw part is.
    """
    where = ds.field("window_id") == window_id
    ids = [number for batch in lake.scan("windows", [day], ["record_ids"], where=where)
           for row in batch.column(0).to_pylist() for number in row]  # fmt: skip
    columns = ["file_sha256", "first_line", "last_line"]
    spans = [
        row
        for batch in lake.scan("normalized", [day], columns, where=ds.field("record_id").isin(ids))
        for row in batch.to_pylist()
    ]
    if not spans:
        raise LakeDamaged(f"{day}: window {window_id} or its records are gone; run the day again")
    held = {line for span in spans for line in range(span["first_line"], span["last_line"] + 1)}
    shown = {near for line in held for near in range(line - context, line + context + 1)}
    [sha] = {span["file_sha256"] for span in spans}
    last = None
    for part in raw_parts(lake, day):
        if part.file_sha256 == sha:
            for number, raw in _numbered(lake, part):
                if number in shown:
                    text = raw.decode("utf-8", "replace").rstrip("\r\n")
                    yield RawLine(number, text, number in held, last is not None and number != last + 1)
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
