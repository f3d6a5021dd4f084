"""Scored rows -> what a person is shown of them: raw lines, and windows ready to be explained.

Belongs here: reading the records of a few windows out of `normalized`. Which windows, and what is said of
them, is the caller's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

_COLUMNS: Final = (
    "source", "first_line", "timestamp", "host_name", "service_name", "process_pid", "severity_text", "body",
    "text", "edges", "numbers",
)  # fmt: skip
Key = tuple[date, str, int]
"""Day, source and first line of a record."""
Explain = Callable[[Sequence[ShownWindow]], list[Evidence]]


@dataclass(frozen=True)
class ShownRecord:
    """A record as a person reads it (time, host, program, message), its normalised text, and its facts, if kept."""

    line: str
    message: str
    text: str
    facts: RecordFacts | None


def read_records_of(lake: Lake, rows: Sequence[Mapping[str, Any]]) -> dict[Key, ShownRecord]:
    """The records of some windows, a day at a time.

    Args:
        rows: of `scores`, with ``day``, ``source`` and ``lines``.
    """
    wanted: dict[date, set[int]] = {}
    for row in rows:
        wanted.setdefault(row["day"], set()).update(row["lines"])
    found: dict[Key, ShownRecord] = {}
    reader = FactReader()
    for day, lines in wanted.items():
        where = ds.field("first_line").isin(pa.array(sorted(lines), pa.int64()))
        for batch in lake.scan("normalized", [day], list(_COLUMNS), where=where):
            facts: Sequence[RecordFacts | None] = reader.read(batch) or [None] * batch.num_rows
            records = batch.drop_columns(["edges", "numbers"]).to_pylist()
            for record, fact in zip(records, facts, strict=True):
                key = (day, record["source"], record["first_line"])
                found[key] = ShownRecord(_as_line(record), record["body"], record["text"], fact)
    return found


def to_explain(
    row: Mapping[str, Any], records: Mapping[Key, ShownRecord], line_surprise: tuple[float, ...] | None
) -> ShownWindow | None:
    """A row as an explainer takes it; ``None`` if a record of it is not there any more."""
    of_window = [records.get((row["day"], row["source"], line)) for line in row["lines"]]
    known = [record for record in of_window if record is not None]
    if not known or len(known) < len(of_window):
        return None
    facts = [record.facts for record in known if record.facts is not None]
    return ShownWindow(
        tuple(record.text for record in known), dict(row["detectors"]),
        tuple(facts) if len(facts) == len(known) else (), line_surprise,
    )  # fmt: skip


def lines_of(
    row: Mapping[str, Any], records: Mapping[Key, ShownRecord], surprises: Sequence[float] | None, why: Evidence | None
) -> tuple[ReportLine, ...]:
    """The lines of a window as they lie in the file, with what speaks against each.

    Args:
        surprises: nats a token of each line in the order of the row; of the evidence where ``None``.
    """
    lines = []
    for place, line in enumerate(row["lines"]):
        record = records.get((row["day"], row["source"], line))
        surprise = surprises[place] if surprises is not None else why.lines[place].surprise if why else None
        lines.append(ReportLine(line, record.line if record else "", surprise, why.lines[place] if why else None))
    return tuple(sorted(lines, key=lambda one: one.line_no))


def explained_window(lake: Lake, row: Mapping[str, Any], explain: Explain | None) -> ReportWindow:
    """One row of `scores` with its lines, and with the evidence if ``explain`` is given and its records are there."""
    records = read_records_of(lake, [row])
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
