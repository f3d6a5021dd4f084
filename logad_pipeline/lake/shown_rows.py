"""Scored rows -> what a person is shown of them: raw lines, and windows ready to be explained.

Belongs here: reading the records of a few windows out of `normalized`. Which windows, and what is said of
them, is the caller's choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds

from logad_pipeline.explanation.evidence import ShownWindow
from logad_pipeline.logs.facts import RecordFacts

from .record_facts import FactReader
from .tables import Lake

_COLUMNS: Final = (
    "source", "first_line", "timestamp", "host_name", "service_name", "process_pid", "severity_text", "body",
    "text", "edges", "numbers",
)  # fmt: skip
Key = tuple[date, str, int]
"""Day, source and first line of a record."""


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


def _as_line(record: Mapping[str, Any]) -> str:
    pid = f"[{record['process_pid']}]" if record["process_pid"] else ""
    program = f"{record['service_name']}{pid}:" if record["service_name"] or pid else ""
    time = f"{record['timestamp']:%H:%M:%S}" if record["timestamp"] else ""
    parts = (time, record["host_name"], record["severity_text"], program, record["body"])
    return " ".join(part for part in parts if part)
