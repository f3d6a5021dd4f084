"""The simulation as a whole: each day is played, merged by time and written, then the folder is set in place.

Belongs here: the order of work, the daily volume, the atomic folder. Does not belong here: what a line says.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Final

from logad_pipeline.logs.simulator import daemons, requests, sessions
from logad_pipeline.logs.simulator.cast import World
from logad_pipeline.logs.simulator.housekeeping import scheduled
from logad_pipeline.logs.simulator.incidents import plan, play_incidents
from logad_pipeline.logs.simulator.timeline import CUSTOMERS, DAY_MS, OFFICE, Activity, Day, Event, fill
from logad_pipeline.logs.simulator.writing import (
    ALL_FILES,
    INCIDENTS_FILE,
    LABELS_FILE,
    LOG_FILES,
    Incident,
    LogWriter,
    write_incidents,
)

MIN_LINES_PER_DAY: Final = 300
"""Fewer than the nightly jobs of five hosts alone would say."""

WEEKDAY_FACTOR: Final = 1.03
ACTIVITIES: Final = (
    Activity("requests", requests.api_request, 0.44, CUSTOMERS, weekend=0.9),
    Activity("visits", requests.visit, 0.15, CUSTOMERS, weekend=1.0),
    Activity("strangers", sessions.stranger_knocks, 0.08),
    Activity("bastion", sessions.staff_at_bastion, 0.04, OFFICE, weekend=0.3),
    Activity("hops", sessions.staff_hop, 0.11, OFFICE, weekend=0.3),
    Activity("deployments", sessions.deployment, 0.04, OFFICE, weekend=0.1),
    Activity("database visits", sessions.database_visit, 0.02),
    Activity("database", daemons.database, 0.02, CUSTOMERS, burst=0.15),
    Activity("firewall", daemons.firewall, 0.045),
    Activity("timers", daemons.timer_unit, 0.02, burst=0),
    Activity("web server", daemons.web_server, 0.015, CUSTOMERS),
    Activity("workers", daemons.worker_turnover, 0.01, burst=0),
    Activity("clock", daemons.clock, 0.006, burst=0),
    Activity("hardware", daemons.hardware, 0.004, burst=0),
)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What ``simulate`` wrote.

    Attributes:
        directory: the folder.
        logs: the log files in it: one syslog file a host, the access log, the application log.
        labels: ``labels.csv``, a row per labelled line (source, line_no, time, incident, kind).
        incidents_file: ``incidents.csv``, a row per incident.
        line_counts: lines of each log file, by file name.
        incidents: the incidents, in order of their beginning.
    """

    directory: Path
    logs: tuple[Path, ...]
    labels: Path
    incidents_file: Path
    line_counts: Mapping[str, int]
    incidents: tuple[Incident, ...]

    @property
    def total_lines(self) -> int:
        """Lines of all log files together."""
        return sum(self.line_counts.values())

    @property
    def labelled_lines(self) -> int:
        """Lines that belong to an incident."""
        return sum(incident.lines for incident in self.incidents)


def simulate(
    directory: Path,
    *,
    start: date,
    days: int = 14,
    seed: int = 0,
    lines_per_day: int = 1500,
    first_incident_day: int = 8,
    overwrite: bool = False,
) -> Simulation:
    """Write logs of five hosts, a web server and an application over several days, with labelled incidents.

    Made for tests, demonstrations and first tries: everything follows from the arguments, the same ones give
    the same bytes. It does not tell how well a detector does on real logs: simulated ones are kinder, as
    every program is known, nothing is cut off, clocks agree and the labels are complete. From ``UPDATE_DAY``
    on a new normal template stays, and on ``VARIATION_DAY`` a certificate is renewed for the first time: what
    a detector says of that is a false alarm, and an understandable one.

    Args:
        directory: where the files go; made if absent, with its parents. Appears whole or not at all.
        start: the first day; all times are UTC.
        days: how many days, at least 1. Day numbers count from 1.
        seed: everything random follows from it.
        lines_per_day: lines of all files together on a day, at least ``MIN_LINES_PER_DAY``. The mean is held
            within 15 %; weekends are about 10 % quieter.
        first_incident_day: no incident before this day, at least 1; beyond ``days`` means none at all. About
            2 % of the lines from this day on are labelled. Every kind appears where there is room for it, as
            there is with the defaults.
        overwrite: replace the files of an earlier simulation in ``directory``.

    Raises:
        ValueError: a number is out of its range, or the days go beyond the calendar.
        FileExistsError: ``directory`` is a file, or holds something and ``overwrite`` is not set, or holds
            files that no simulation has written (they are never deleted).
        OSError: the files cannot be written; ``directory`` is then as it was.
    """
    for name, value, least in (
        ("days", days, 1),
        ("lines_per_day", lines_per_day, MIN_LINES_PER_DAY),
        ("first_incident_day", first_incident_day, 1),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}, must be at least {least}")
    if days > (date.max - start).days:
        raise ValueError(f"{days} days from {start} go beyond {date.max}")
    directory = directory.resolve()
    _refuse_to_destroy(directory, overwrite)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as staging:
        fresh = Path(staging) / "new"
        fresh.mkdir()
        world = World.from_seed(seed, start)
        with LogWriter(fresh) as writer:
            _write_days(writer, world, days, lines_per_day, first_incident_day)
        incidents = writer.incidents()
        write_incidents(fresh / INCIDENTS_FILE, incidents)
        _set_in_place(fresh, directory, Path(staging) / "old")
    return Simulation(
        directory=directory,
        logs=tuple(directory / name for name in LOG_FILES),
        labels=directory / LABELS_FILE,
        incidents_file=directory / INCIDENTS_FILE,
        line_counts=MappingProxyType(writer.line_counts),
        incidents=incidents,
    )


def _write_days(writer: LogWriter, world: World, days: int, lines_per_day: int, first_incident_day: int) -> None:
    planned = plan(world.seed, days, first_incident_day, lines_per_day)
    rng = Day(world, 0, lines_per_day).rng("balance")
    balance = {activity.name: -6 * rng.random() for activity in ACTIVITIES}
    late: list[Event] = []
    number = 1
    for index in range(1, days + 1):
        day = Day(world, index, lines_per_day)
        world.forget_sessions()
        events = late
        for incident, lines in play_incidents(day, planned.get(index, ()), number):
            writer.plan(incident)
            events += lines
            number += 1
        events += _routine(day, balance)
        events.sort(key=lambda event: event.time_ms)
        midnight = day.start_ms + DAY_MS
        late = [event for event in events if event.time_ms >= midnight]
        writer.write(events[: len(events) - len(late)])


def _routine(day: Day, balance: dict[str, float]) -> list[Event]:
    """A day without incidents; ``balance`` carries what an activity said too much into the next day."""
    events = [event for chain in scheduled(day) for event in chain.events]
    swing = day.rng("swing").uniform(0.97, 1.03)
    room = max(0.0, day.lines * WEEKDAY_FACTOR * swing - len(events))
    for activity in ACTIVITIES:
        balance[activity.name] += room * activity.share * (activity.weekend if day.weekend else 1.0)
        played, balance[activity.name] = fill(day, activity, balance[activity.name])
        events += played
    return events


def _refuse_to_destroy(directory: Path, overwrite: bool) -> None:
    if not directory.exists():
        return
    if not directory.is_dir():
        raise FileExistsError(f"{directory} is a file; name a folder that is empty or does not exist")
    present = sorted(path.name for path in directory.iterdir())
    if present and not overwrite:
        raise FileExistsError(
            f"{directory} is not empty (it holds {present[0]}); name another folder or allow to overwrite"
        )
    foreign = [name for name in present if name not in ALL_FILES]
    if foreign:
        raise FileExistsError(
            f"{directory} holds {foreign[0]}, which no simulation has written; name another folder or move it"
        )


def _set_in_place(fresh: Path, directory: Path, aside: Path) -> None:
    """Put the new folder where the old one was; if that fails, the old one comes back."""
    if directory.exists():
        directory.rename(aside)
    try:
        fresh.rename(directory)
    except OSError:
        if aside.exists():
            shutil.move(aside, directory)
        raise
