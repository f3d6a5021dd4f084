"""Scored rows -> what a person is shown of them: raw lines, and windows ready to be explained.

Belongs here: reading the records of a few windows out of `normalized`. Which windows, and what is said of
them, is the caller's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds

from logad_pipeline.explanation.evidence import Evidence, ShownWindow
from logad_pipeline.logs.facts import RecordFacts
from logad_pipeline.reporting.data import ReportLine, ReportWindow

from .record_facts import FactReader
from .tables import Lake
from .windowing import record_ids_of

_COLUMNS: Final = (
    "record_id", "first_line", "timestamp", "host_name", "service_name", "process_pid", "severity_text", "body",
    "text", "text_id", "edges", "numbers",
)  # fmt: skip
Explain = Callable[[Sequence[ShownWindow]], list[Evidence]]


@dataclass(frozen=True)
class ShownRecord:
    """A record as a person reads it (time, host, program, message), its normalised text, and its facts, if kept.

    ``number`` is its place in the day: records of one source lie in the order of their files and lines.
    """

    number: int
    line: str
    message: str
    text: str
    facts: RecordFacts | None


Records = Sequence[ShownRecord | None]
"""Those of a window, parallel to its ``lines``; ``None`` for one that is not there any more."""


def read_records_of(lake: Lake, rows: Sequence[Mapping[str, Any]]) -> dict[str, Records]:
    """The records of some windows by the window's id, a day at a time.

    A day that was cut or normalised anew since it was judged may hold others in their place: what does not read as
    it was judged counts as gone.

    Args:
        rows: of `scores`, with ``day``, ``window_id``, ``lines`` and ``text_ids``.
    """
    by_day: dict[date, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_day.setdefault(row["day"], []).append(row)
    found: dict[str, Records] = {}
    for day, windows in by_day.items():
        ids = record_ids_of(lake, [day], {row["window_id"] for row in windows})
        there = _records(lake, day, {number for numbers in ids.values() for number in numbers})
        for row in windows:
            numbers = ids.get(row["window_id"], [])
            if len(numbers) != len(row["lines"]):
                found[row["window_id"]] = [None] * len(row["lines"])
                continue
            judged = zip(numbers, row["lines"], row["text_ids"], strict=True)
            found[row["window_id"]] = [there.get((number, line, text)) for number, line, text in judged]
    return found


def _records(lake: Lake, day: date, wanted: Collection[int]) -> dict[tuple[int, int, int], ShownRecord]:
    """Records of a day by their number, first line and text."""
    found: dict[tuple[int, int, int], ShownRecord] = {}
    reader = FactReader()
    where = ds.field("record_id").isin(pa.array(sorted(wanted), pa.int64()))
    for batch in lake.scan("normalized", [day], list(_COLUMNS), where=where) if wanted else ():
        facts: Sequence[RecordFacts | None] = reader.read(batch) or [None] * batch.num_rows
        records = batch.drop_columns(["edges", "numbers"]).to_pylist()
        for one, fact in zip(records, facts, strict=True):
            key = (one["record_id"], one["first_line"], one["text_id"])
            found[key] = ShownRecord(one["record_id"], _as_line(one), one["body"], one["text"], fact)
    return found


def to_explain(
    row: Mapping[str, Any], records: Records, line_surprise: tuple[float, ...] | None
) -> ShownWindow | None:
    """A row as an explainer takes it; ``None`` if a record of it is not there any more."""
    known = [record for record in records if record is not None]
    if not known or len(known) < len(records):
        return None
    facts = [record.facts for record in known if record.facts is not None]
    return ShownWindow(
        tuple(record.text for record in known), dict(row["detectors"]),
        tuple(facts) if len(facts) == len(known) else (), line_surprise,
    )  # fmt: skip


def lines_of(
    row: Mapping[str, Any], records: Records, surprises: Sequence[float] | None, why: Evidence | None
) -> tuple[ReportLine, ...]:
    """The lines of a window as they lie in its files, with what speaks against each.

    Args:
        surprises: nats a token of each line in the order of the row; of the evidence where ``None``.
    """
    lines = []
    for place, (line, record) in enumerate(zip(row["lines"], records, strict=True)):
        surprise = surprises[place] if surprises is not None else why.lines[place].surprise if why else None
        shown = ReportLine(line, record.line if record else "", surprise, why.lines[place] if why else None)
        lines.append((record.number if record else line, shown))
    # Without all records only the numbers in the files are left to go by.
    whole = all(record is not None for record in records)
    return tuple(shown for _, shown in sorted(lines, key=lambda one: one[0] if whole else one[1].line_no))


def explained_window(lake: Lake, row: Mapping[str, Any], explain: Explain | None) -> ReportWindow:
    """One row of `scores` with its lines, and with the evidence if ``explain`` is given and its records are there."""
    records = read_records_of(lake, [row])[row["window_id"]]
    shown = to_explain(row, records, None)
    why = explain([shown])[0] if explain is not None and shown is not None else None
    return ReportWindow(
        1, row["window_id"], row["source"], row["group_key"] or row["source"], row["first_time"], row["last_time"],
        lines_of(row, records, None, why), row["score"], row["risk"], row["is_anomaly"], dict(row["detectors"]),
        evidence=why,
    )  # fmt: skip


def _as_line(record: Mapping[str, Any]) -> str:
    pid = f"[{record['process_pid']}]" if record["process_pid"] else ""
    program = f"{record['service_name']}{pid}:" if record["service_name"] or pid else ""
    time = f"{record['timestamp']:%H:%M:%S}" if record["timestamp"] else ""
    parts = (time, record["host_name"], record["severity_text"], program, record["body"])
    return " ".join(part for part in parts if part)
