"""The systemd journal as ``journalctl --output=json`` writes it, one JSON object a line.

Belongs here: the journal's own field names. Does not: other JSON logs, see `structured`.
"""

from __future__ import annotations

from ..clock import Clock
from .base import Fields, LogFormat
from .structured import read_object, scalar_text
from .syslog import SEVERITIES


class Journald(LogFormat):
    """Fields after systemd.journal-fields(7); a ``MESSAGE`` that is no text comes as an array of bytes."""

    name = "journald"
    description = 'systemd journal: {"__REALTIME_TIMESTAMP": "…", "MESSAGE": "…"}'

    def parse(self, line: str, clock: Clock) -> Fields | None:
        entry = read_object(line)
        if entry is None or "__REALTIME_TIMESTAMP" not in entry:
            return None
        stamp = scalar_text(entry["__REALTIME_TIMESTAMP"])
        return Fields(
            int(stamp) if stamp.isascii() and stamp.isdigit() and len(stamp) < 19 else None,
            scalar_text(entry.get("_HOSTNAME")),
            scalar_text(entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM")),
            scalar_text(entry.get("_PID") or entry.get("SYSLOG_PID")),
            _severity(scalar_text(entry.get("PRIORITY"))),
            _message(entry.get("MESSAGE")),
        )


def _severity(priority: str) -> str:
    return SEVERITIES[int(priority)] if priority in tuple("01234567") else ""


def _message(value: object) -> str:
    if isinstance(value, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
        return bytes(value).decode("utf-8", "surrogateescape")
    return scalar_text(value)
