"""When things happen: a day, its rhythms, and the chain of events that one happening leaves behind.

Belongs here: time, order and the drift between days. Does not belong here: what is said (the activities), or
how a line is written (``writing``).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, NamedTuple

from logad_pipeline.logs.simulator.cast import Host, World

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
ACCESS_LOG: Final = "web01-access.log"
SERVICE_LOG: Final = "app01-service.log"

UPDATE_DAY: Final = 5
"""Day (1-based) of a software release that brings a new, normal template to stay."""

VARIATION_DAY: Final = 10
"""Day (1-based) of a certificate renewal: benign, and never seen before."""

BURST_GAP_MS: Final = 40_000

Hours = tuple[float, ...]
"""24 weights: how likely a happening starts in each hour of a day."""

STEADY: Final[Hours] = (1.0,) * 24
OFFICE: Final[Hours] = (
    0.02, 0.01, 0.01, 0.01, 0.02, 0.05, 0.3, 1.2, 3.0, 4.0, 4.2, 3.6,
    2.0, 3.4, 4.0, 3.8, 3.0, 1.8, 0.8, 0.4, 0.3, 0.2, 0.1, 0.05,
)  # fmt: skip
CUSTOMERS: Final[Hours] = (
    0.5, 0.3, 0.2, 0.15, 0.2, 0.4, 0.9, 1.5, 2.0, 2.3, 2.4, 2.5,
    2.6, 2.3, 2.2, 2.2, 2.4, 2.7, 3.2, 3.6, 3.5, 2.8, 1.8, 1.0,
)  # fmt: skip


class Event(NamedTuple):
    """One line to be: ``head`` is what stands before the colon (program or level and logger)."""

    time_ms: int
    source: str
    head: str
    message: str
    incident: str


@dataclass(slots=True)
class Day:
    """A day of the simulation: ``number`` counts from 1, ``start_ms`` is its midnight (Unix time, UTC)."""

    world: World
    number: int
    lines: int
    replaced: set[str] = field(default_factory=set)
    """Names of routine chains that an incident plays in its own way on this day."""

    @property
    def start_ms(self) -> int:
        return self.world.start_ms + (self.number - 1) * DAY_MS

    @property
    def date(self) -> date:
        return date(1970, 1, 1) + timedelta(milliseconds=self.start_ms)

    @property
    def weekend(self) -> bool:
        return self.date.weekday() >= 5

    def rng(self, name: str) -> random.Random:
        """A generator of its own for each activity, so that one cannot disturb another."""
        return random.Random(f"{self.world.seed}/{self.number}/{name}")

    @property
    def released(self) -> int:
        """When the release of ``UPDATE_DAY`` is in place (milliseconds since 1970)."""
        return self.world.start_ms + (UPDATE_DAY - 1) * DAY_MS + 10 * HOUR_MS

    def at(self, hour: int, minute: int = 0, second: float = 0) -> int:
        """Milliseconds since 1970 of a time of this day."""
        return self.start_ms + hour * HOUR_MS + minute * 60_000 + int(second * 1000)

    def draw(self, rng: random.Random, hours: Hours) -> int:
        """A time of this day, by a rhythm."""
        hour = rng.choices(range(24), hours)[0]
        return self.at(hour) + rng.randrange(HOUR_MS)


class Chain:
    """The lines of one happening, in order: each step moves ``now`` on and says something.

    Chains are generated one after another and merged by time: lines of several chains interleave as on a
    real host, while the order within a chain stays.
    """

    __slots__ = ("day", "events", "incident", "now", "rng", "world")

    def __init__(self, day: Day, rng: random.Random, start_ms: int, incident: str = "") -> None:
        self.day = day
        self.world = day.world
        self.rng = rng
        self.now = start_ms
        self.incident = incident
        self.events: list[Event] = []

    def wait(self, low: float, high: float) -> None:
        """Let between ``low`` and ``high`` seconds pass."""
        self.now += int(self.rng.uniform(low, high) * 1000)

    def new_pid(self, host: Host) -> int:
        return self.world.new_pid(host, self.now, self.rng)

    def say(
        self,
        host: Host,
        program: str,
        message: str,
        pid: int | None = None,
        after: tuple[float, float] = (0, 0.15),
    ) -> None:
        """A syslog line of a process; without ``pid`` the program writes none."""
        self.wait(*after)
        head = program if pid is None else f"{program}[{pid}]"
        self.events.append(Event(self.now, f"{host.name}.log", head, message, self.incident))

    def daemon(self, host: Host, program: str, message: str, after: tuple[float, float] = (0, 0.15)) -> None:
        """A syslog line of a process that has run since boot."""
        self.say(host, program, message, self.world.daemon_pid(host, program), after)

    def systemd(self, host: Host, message: str, after: tuple[float, float] = (0, 0.15)) -> None:
        self.say(host, "systemd", message, 1, after)

    def kernel(self, host: Host, message: str, after: tuple[float, float] = (0, 0.15)) -> None:
        self.wait(*after)
        uptime = self.world.uptime(host, self.now) + self.rng.randrange(1000) / 1e6
        stamped = f"[{uptime:12.6f}] {message}"
        self.events.append(Event(self.now, f"{host.name}.log", "kernel", stamped, self.incident))

    def service(self, request: str, level: str, logger: str, message: str) -> None:
        """A line of the application log on behalf of a request."""
        head = f"{level} [req-{request}] service.{logger}"
        self.events.append(Event(self.now, SERVICE_LOG, head, message, self.incident))

    def access(
        self,
        address: str,
        request: str,
        status: int,
        size: int,
        agent: str,
        referrer: str = "-",
        after: tuple[float, float] = (0, 0.05),
    ) -> None:
        """A line of the access log; ``request`` is method and path."""
        self.wait(*after)
        shown = "-" if status == 304 else str(size)
        message = f'"{request} HTTP/1.1" {status} {shown} "{referrer}" "{agent}"'
        self.events.append(Event(self.now, ACCESS_LOG, f"{address} - -", message, self.incident))


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that happens again and again, more often where more lines are asked for.

    Attributes:
        share: its part of the lines that remain once the day's fixed jobs are written; they sum to 1.
        weekend: factor on ``share`` on Saturdays and Sundays.
        burst: how likely it follows closely on the one before.
        play: says the lines of one happening.
    """

    name: str
    play: Callable[[Chain], None]
    share: float
    hours: Hours = STEADY
    weekend: float = 1.0
    burst: float = 0.4


def fill(day: Day, activity: Activity, lines: float) -> tuple[list[Event], float]:
    """Play an activity, in bursts, until it has said about ``lines`` lines.

    Returns the events and what is left of ``lines`` (zero or below), to be taken into the next day.
    """
    rng = day.rng(activity.name)
    events: list[Event] = []
    start: int | None = None
    while lines > 0:
        if start is None or rng.random() >= activity.burst:
            start = day.draw(rng, activity.hours)
        else:
            start += 1000 + int(rng.expovariate(1 / BURST_GAP_MS))
        chain = Chain(day, rng, start)
        activity.play(chain)
        events += chain.events
        lines -= len(chain.events)
    return events, lines
