"""From events to files: the three line formats, the log files, the labels.

Belongs here: how a line is written and counted. Does not belong here: what is said or when.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, TextIO

from logad_pipeline.logs.simulator.cast import HOSTS
from logad_pipeline.logs.simulator.timeline import ACCESS_LOG, SERVICE_LOG, Event

LABELS_FILE: Final = "labels.csv"
INCIDENTS_FILE: Final = "incidents.csv"
LOG_FILES: Final = (*(f"{host.name}.log" for host in HOSTS), ACCESS_LOG, SERVICE_LOG)
ALL_FILES: Final = (*LOG_FILES, LABELS_FILE, INCIDENTS_FILE)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong, as ``incidents.csv`` tells it.

    Attributes:
        incident: its id, ``INC-001`` and on, in order of their beginning.
        kind: one of ``INCIDENT_KINDS``.
        host: the host where it mostly happened.
        first: time of its first line, UTC, in the precision of that line.
        last: time of its last line.
        lines: number of its lines in all files together, as many as ``labels.csv`` has of it.
        description: one sentence.
    """

    incident: str
    kind: str
    host: str
    first: datetime
    last: datetime
    lines: int
    description: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What is known of an incident before its lines are written."""

    incident: str
    kind: str
    host: str
    description: str


def _moment(event: Event) -> datetime:
    """The event's time in the precision in which its line shows it."""
    step = event.time_ms if event.source == SERVICE_LOG else event.time_ms // 1000 * 1000
    return _EPOCH + timedelta(milliseconds=step)


def render(event: Event, moment: datetime) -> str:
    """The line of an event, without its end: application log, Apache combined, or RFC 3164 syslog."""
    clock = f"{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
    if event.source == SERVICE_LOG:
        return f"{moment.date()} {clock},{event.time_ms % 1000:03} {event.head}: {event.message}"
    month = _MONTHS[moment.month - 1]
    if event.source == ACCESS_LOG:
        return f"{event.head} [{moment.day:02}/{month}/{moment.year}:{clock} +0000] {event.message}"
    return f"{month} {moment.day:2} {clock} {event.source.removesuffix('.log')} {event.head}: {event.message}"


class LogWriter:
    """Writes events, which must come in order of time, to the log files of a folder, and labels as they come.

    Use it as a context manager; ``close`` happens at its end and sets each file's time to its last record's.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._planned: dict[str, Planned] = {}
        self._spans: dict[str, tuple[datetime, datetime, int]] = {}
        self._last: dict[str, datetime] = {}
        self.line_counts: dict[str, int] = dict.fromkeys(LOG_FILES, 0)

    def __enter__(self) -> LogWriter:
        with ExitStack() as stack:
            self._files: dict[str, TextIO] = {
                name: stack.enter_context((self._directory / name).open("w", encoding="utf-8", newline="\n"))
                for name in (*LOG_FILES, LABELS_FILE)
            }
            self._labels = csv.writer(self._files[LABELS_FILE], lineterminator="\n")
            self._labels.writerow(("source", "line_no", "time", "incident", "kind"))
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        for source, moment in self._last.items():
            os.utime(self._directory / source, (moment.timestamp(), moment.timestamp()))

    def plan(self, incident: Planned) -> None:
        """Make an incident known; its lines may follow."""
        self._planned[incident.incident] = incident

    def write(self, events: Iterable[Event]) -> None:
        """Append events to their files and their labels to ``labels.csv``."""
        for event in events:
            moment = _moment(event)
            self._files[event.source].write(render(event, moment) + "\n")
            self.line_counts[event.source] += 1
            self._last[event.source] = moment
            if event.incident:
                self._label(event, moment)

    def _label(self, event: Event, moment: datetime) -> None:
        first, last, lines = self._spans.get(event.incident, (moment, moment, 0))
        self._spans[event.incident] = (min(first, moment), max(last, moment), lines + 1)
        timespec = "milliseconds" if event.source == SERVICE_LOG else "seconds"
        self._labels.writerow(
            (
                event.source,
                self.line_counts[event.source],
                moment.isoformat(timespec=timespec),
                event.incident,
                self._planned[event.incident].kind,
            )
        )

    def incidents(self) -> tuple[Incident, ...]:
        """The incidents of which lines were written, in the order in which they were planned."""
        return tuple(
            Incident(known.incident, known.kind, known.host, *self._spans[name], known.description)
            for name, known in self._planned.items()
            if name in self._spans
        )


def write_incidents(path: Path, incidents: Iterable[Incident]) -> None:
    """Write ``incidents.csv``."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("incident", "kind", "host", "first", "last", "lines", "description"))
        for one in incidents:
            rows.writerow(
                (
                    one.incident,
                    one.kind,
                    one.host,
                    one.first.isoformat(timespec="milliseconds"),
                    one.last.isoformat(timespec="milliseconds"),
                    one.lines,
                    one.description,
                )
            )
