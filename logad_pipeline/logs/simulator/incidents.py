"""Which incidents there are, how many come, and on which days.

Belongs here: the register of kinds and the plan. Does not belong here: how an incident plays (``intrusions``,
``faults``), or how its lines are labelled (``writing``).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from logad_pipeline.logs.simulator import faults, intrusions
from logad_pipeline.logs.simulator.cast import Host
from logad_pipeline.logs.simulator.timeline import Chain, Day, Event
from logad_pipeline.logs.simulator.writing import Planned

LABELLED_SHARE: Final = 0.021
"""Part of the lines of the days with incidents that belong to one."""

TYPICAL_LINES: Final = 14.0
"""Lines of an incident, the mean over the kinds."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of incident: how it plays, and between which hours it starts."""

    name: str
    play: Callable[[Chain], tuple[Host, str] | None]
    first_hour: int
    last_hour: int


KINDS: Final = (
    Kind("password_guessed", intrusions.guessed_password, 0, 22),
    Kind("privilege_escalation", intrusions.new_rights, 7, 21),
    Kind("data_exfiltration", intrusions.carried_off, 1, 4),
    Kind("lateral_movement", intrusions.wandering_key, 0, 5),
    Kind("unknown_root_key", intrusions.strange_key, 0, 22),
    Kind("web_scan", intrusions.scanned_site, 0, 22),
    Kind("web_injection", intrusions.altered_query, 8, 22),
    Kind("unusual_cron", intrusions.odd_cron, 0, 22),
    Kind("log_tampering", intrusions.traces_removed, 0, 22),
    Kind("missing_backup_step", faults.unverified_backup, 1, 3),
    Kind("wrong_request_order", faults.order_before_payment, 8, 21),
    Kind("service_restart_loop", faults.restart_loop, 0, 22),
    Kind("disk_failure", faults.dying_disk, 0, 22),
    Kind("out_of_memory", faults.out_of_memory, 9, 22),
    Kind("slow_database", faults.slow_database, 9, 21),
)

INCIDENT_KINDS: Final = tuple(kind.name for kind in KINDS)
"""The kinds as ``labels.csv`` and ``incidents.csv`` name them."""


def plan(seed: int, days: int, first_day: int, lines_per_day: int) -> dict[int, tuple[Kind, ...]]:
    """Spread incidents evenly over the days from ``first_day`` on (days count from 1).

    Kinds come round in an order of the seed, so that each comes once before one comes twice; how many there
    are follows the lines, so that the labelled share stays about ``LABELLED_SHARE``.
    """
    struck = range(first_day, days + 1)
    if not struck:
        return {}
    rng = random.Random(f"{seed}/plan")
    count = max(1, round(LABELLED_SHARE * lines_per_day * len(struck) / TYPICAL_LINES))
    order = rng.sample(KINDS, len(KINDS))
    planned: dict[int, tuple[Kind, ...]] = {}
    for index, day in enumerate(struck):
        first, last = count * index // len(struck), count * (index + 1) // len(struck)
        planned[day] = tuple(order[number % len(order)] for number in range(first, last))
    return planned


def play_incidents(day: Day, kinds: tuple[Kind, ...], first_number: int) -> list[tuple[Planned, list[Event]]]:
    """Play a day's incidents and number them, from ``first_number`` on, in order of their beginning.

    Marks in ``day.replaced`` the routine chains that an incident plays in its own way.
    """
    played: list[tuple[list[Event], Kind, Host, str]] = []
    for index, kind in enumerate(kinds):
        rng = day.rng(f"incident/{index}/{kind.name}")
        start = day.at(rng.randint(kind.first_hour, kind.last_hour)) + rng.randrange(3_000_000)
        chain = Chain(day, rng, start)
        told = kind.play(chain)
        if told is not None:
            played.append((chain.events, kind, *told))
    played.sort(key=lambda one: one[0][0].time_ms)
    numbered: list[tuple[Planned, list[Event]]] = []
    for number, (events, kind, host, description) in enumerate(played, first_number):
        identity = f"INC-{number:03}"
        labelled = [event._replace(incident=identity) for event in events]
        numbered.append((Planned(identity, kind.name, host.name, description), labelled))
    return numbered
