"""Who appears in the logs: hosts, people, service accounts, customers and strangers.

Belongs here: names, addresses and everything about them that stays the same from day to day. Does not belong
here: what they do (the activities) or when (``timeline``). All addresses are private or for documentation.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

PIDS_PER_SECOND: Final = 0.21
"""Processes that a host starts in a second; process ids then grow with time as the kernel's do."""


@dataclass(frozen=True, slots=True)
class Host:
    """A machine: one syslog file bears its name."""

    name: str
    address: str
    mac: str


WEB01: Final = Host("web01", "10.20.0.11", "52:54:00:a1:0b:11")
WEB02: Final = Host("web02", "10.20.0.12", "52:54:00:a1:0b:12")
DB01: Final = Host("db01", "10.20.0.21", "52:54:00:a1:0b:21")
BASTION: Final = Host("bastion", "10.20.0.5", "52:54:00:a1:0b:05")
APP01: Final = Host("app01", "10.20.0.31", "52:54:00:a1:0b:31")
HOSTS: Final = (WEB01, WEB02, DB01, BASTION, APP01)
INNER_HOSTS: Final = (WEB01, WEB02, DB01, APP01)

BACKUP_STORE: Final = "10.20.0.50"
BUILD_SERVER: Final = "10.20.0.40"
GATEWAY: Final = "10.20.0.1"
TIME_SERVERS: Final = ("192.0.2.123", "192.0.2.124", "192.0.2.125")

_PEOPLE: Final = ("mira", "jonas", "aylin", "teodor", "priya", "hanne", "lucas")
SERVICE_UIDS: Final = {"root": 0, "www-data": 33, "postgres": 113, "deploy": 998, "backup": 34}

GUESSED_NAMES: Final = (
    "admin", "test", "oracle", "ubuntu", "guest", "user", "ftpuser", "git", "pi", "support", "tomcat",
)  # fmt: skip

_WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"
_WEBKIT_APPLE: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
AGENTS: Final = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/122.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:123.0) Gecko/20100101 Firefox/123.0",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT_APPLE} Version/17.3 Safari/605.1.15",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) {_WEBKIT_APPLE} Mobile/15E148",
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_WEBKIT} Chrome/121.0.0.0 Mobile Safari/537.36",
)


@dataclass(frozen=True, slots=True)
class Person:
    """Someone of the staff, with the addresses and the key they log in with."""

    name: str
    uid: int
    addresses: tuple[str, str]
    key: str


@dataclass(frozen=True, slots=True)
class Customer:
    """Someone who visits the shop."""

    number: int
    address: str
    agent: str


def stranger(rng: random.Random) -> str:
    """An address on the Internet that nobody here knows."""
    return f"{rng.choice(('198.51.100', '203.0.113'))}.{rng.randrange(2, 254)}"


def fingerprint(rng: random.Random) -> str:
    """A key's fingerprint as sshd prints it."""
    return "SHA256:" + "".join(rng.choices(string.ascii_letters + string.digits + "+/", k=43))


@dataclass(slots=True)
class World:
    """Everything that stays the same over the days, made from a seed and the first day."""

    seed: int
    start_ms: int
    people: tuple[Person, ...]
    customers: tuple[Customer, ...]
    deploy_key: str
    pid_base: dict[str, int]
    boot_ms: dict[str, int]
    _daemons: dict[tuple[str, str], int] = field(default_factory=dict)
    _sessions: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def from_seed(cls, seed: int, start: date) -> World:
        """Choose addresses, keys and process ids; the names are always the same."""
        rng = random.Random(f"{seed}/world")
        start_ms = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) * 1000
        people = tuple(
            Person(
                name,
                1001 + i,
                (f"10.8.0.{rng.randrange(10, 250)}", f"192.0.2.{rng.randrange(10, 100)}"),
                fingerprint(rng),
            )
            for i, name in enumerate(_PEOPLE)
        )
        customers = tuple(Customer(rng.randrange(1000, 9999), stranger(rng), rng.choice(AGENTS)) for _ in range(150))
        return cls(
            seed=seed,
            start_ms=start_ms,
            people=people,
            customers=customers,
            deploy_key=fingerprint(rng),
            pid_base={host.name: rng.randrange(4_000, 60_000) for host in HOSTS},
            boot_ms={host.name: start_ms - rng.randrange(10**8, 4 * 10**9) for host in HOSTS},
        )

    def new_pid(self, host: Host, time_ms: int, rng: random.Random) -> int:
        """The id of a process that starts now: it grows with time, as on a real host."""
        elapsed = (time_ms - self.start_ms) / 1000
        return self.pid_base[host.name] + int(elapsed * PIDS_PER_SECOND) + rng.randrange(4)

    def daemon_pid(self, host: Host, program: str) -> int:
        """The id of a process that has run since boot."""
        known = self._daemons.get((host.name, program))
        if known is None:
            known = random.Random(f"{self.seed}/{host.name}/{program}").randrange(420, 1900)
            self._daemons[host.name, program] = known
        return known

    def session_number(self, host: Host, time_ms: int) -> int:
        """The number systemd-logind gives to a login session that opens now; no two get the same."""
        number = self.pid_base[host.name] // 90 + (time_ms - self.start_ms) // 61_000
        while (host.name, number) in self._sessions:
            number += 1
        self._sessions.add((host.name, number))
        return number

    def forget_sessions(self) -> None:
        """Drop the numbers of past days, which time has left behind."""
        self._sessions.clear()

    def uptime(self, host: Host, time_ms: int) -> float:
        """Seconds since the host booted, as the kernel stamps its messages."""
        return (time_ms - self.boot_ms[host.name]) / 1000
