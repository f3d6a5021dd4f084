"""The simulator's incidents as a labelled set: which lines, and what kind of anomaly each incident is.

Belongs here: splitting simulated days and naming the right answers. What an incident says is the
simulator's business; whether an explanation is right is ``evidence``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from logad_pipeline.logs.parser import read_records
from logad_pipeline.logs.records import Record
from logad_pipeline.logs.simulator import simulate
from logad_pipeline.streams import ReadSpec
from logad_pipeline.windows import WindowSpec

from .benchmark_set import BenchmarkPart, BenchmarkSet, LineFile, Origin, csv_rows, source_lines

NAME: Final = "simulator"
DESCRIPTION: Final = "simulated logs of five hosts, a web server and an application, with incidents of fifteen kinds"
_START: Final = date(2026, 3, 2)
_QUIET_DAYS: Final = 7

NEW_TEMPLATE, ORDER, FREQUENCY, MISSING, PARAMETER, NEW_RELATION = (
    "new template", "order", "frequency", "missing", "parameter", "new relation",
)  # fmt: skip

RIGHT_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "password_guessed": frozenset({FREQUENCY, NEW_RELATION}),
    "privilege_escalation": frozenset({NEW_TEMPLATE, NEW_RELATION}),
    "data_exfiltration": frozenset({NEW_RELATION}),
    "lateral_movement": frozenset({NEW_RELATION}),
    "unknown_root_key": frozenset({NEW_RELATION}),
    "web_scan": frozenset({NEW_RELATION, FREQUENCY}),
    "web_injection": frozenset({NEW_RELATION}),
    "unusual_cron": frozenset({NEW_RELATION}),
    "log_tampering": frozenset({NEW_TEMPLATE, NEW_RELATION}),
    "missing_backup_step": frozenset({MISSING}),
    "wrong_request_order": frozenset({ORDER}),
    "service_restart_loop": frozenset({NEW_TEMPLATE, FREQUENCY}),
    "disk_failure": frozenset({NEW_TEMPLATE}),
    "out_of_memory": frozenset({NEW_TEMPLATE}),
    "slow_database": frozenset({NEW_TEMPLATE, FREQUENCY}),
}
"""What a careful reader would call an incident of each kind of the simulator; where two words fit, either."""


@dataclass(frozen=True, eq=False)
class SimulatedSet:
    """The set, and by test file the incident of each line and its kind, ``None`` for none, index 0 being line 1."""

    benchmark: BenchmarkSet
    incidents: Mapping[str, list[tuple[str, str] | None]]


def simulated_set(work: Path, *, days: int = 21, lines_per_day: int = 1500, seed: int = 0) -> SimulatedSet:
    """Simulate into ``work``; the first seven days, which hold no incident, are learned from.

    Raises:
        ValueError: for fewer than eight days, or too few lines a day.
    """
    if days <= _QUIET_DAYS:
        raise ValueError(f"{days} days hold no incident; simulate at least {_QUIET_DAYS + 1}")
    made = work / "simulated"
    simulate(made, start=_START, days=days, seed=seed, lines_per_day=lines_per_day,
             first_incident_day=_QUIET_DAYS + 1, overwrite=True)  # fmt: skip
    labelled: dict[str, dict[int, tuple[str, str]]] = {}
    for row in csv_rows(made / "labels.csv", ("source", "line_no", "incident", "kind")):
        labelled.setdefault(row["source"], {})[int(row["line_no"])] = (row["incident"], row["kind"])
    train, test = [], []
    provenance: dict[str, tuple[Origin, ...]] = {}
    incidents: dict[str, list[tuple[str, str] | None]] = {}
    for source in sorted(path for path in made.glob("*.log")):
        cut = _first_line_from(source, _START + timedelta(days=_QUIET_DAYS))
        with LineFile(work / f"train-{source.name}") as learn, LineFile(work / f"test-{source.name}") as judge:
            for number, line in source_lines(source):
                (learn if number < cut else judge).write(line, number, source.name)
            provenance |= {learn.path.name: learn.close(), judge.path.name: judge.close()}
        train.append(learn.path)
        test.append(judge.path)
        known = labelled.get(source.name, {})
        numbers = provenance[judge.path.name][0].lines
        incidents[judge.path.name] = [known.get(int(number)) for number in numbers]
    truth = {name: np.array([one is not None for one in told], dtype=np.bool_) for name, told in incidents.items()}
    part = BenchmarkPart("", tuple(train), tuple(test), None, truth, provenance)
    benchmark = BenchmarkSet(
        NAME, DESCRIPTION, "window", WindowSpec("fixed", size=10, group_by="host"), ReadSpec(year=_START.year),
        (part,), "the first seven days, without incidents",
    )  # fmt: skip
    return SimulatedSet(benchmark, incidents)


def _first_line_from(source: Path, day: date) -> int:
    """Number of the first line that is not before ``day``, 1-based; one past the end where there is none."""
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1e6)
    last = 0
    for record in read_records(str(source), year=_START.year):
        if not isinstance(record, Record):
            continue
        if record.time_us is not None and record.time_us >= midnight:
            return record.first_line
        last = record.last_line
    return last + 1
