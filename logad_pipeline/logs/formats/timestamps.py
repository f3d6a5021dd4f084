"""The layouts of dates and levels that several formats share: their patterns and how to read them.

Belongs here: text to numbers. Does not: zones and missing years, which the `Clock` supplies.
"""

from __future__ import annotations

import re
from typing import Final

from ..clock import MONTHS, Clock, MinuteParts, NoSuchTime

_CLOCK: Final = r":(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?"
_MINUTE: Final = r"[0-9]{2}:[0-9]{2}"

ZONE: Final = r"(?: ?(?P<zone>Z|UTC\b|GMT\b|[+-][0-9]{2}:?[0-9]{2}\b))?"
ISO: Final = rf"(?P<minute>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{_MINUTE}){_CLOCK}{ZONE}"
SLASHED: Final = rf"(?P<minute>[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}} {_MINUTE}){_CLOCK}{ZONE}"
SHORT_SLASHED: Final = rf"(?P<minute>[0-9]{{2}}/[0-9]{{2}}/[0-9]{{2}} {_MINUTE}){_CLOCK}(?P<zone>)"
COMPACT: Final = r"(?P<minute>[0-9]{6} [0-9]{4})(?P<second>[0-9]{2})(?P<fraction>)(?P<zone>)"
NONE: Final = r"(?P<minute>)(?P<second>)(?P<fraction>)(?P<zone>)"
TIME_OF_DAY: Final = r"(?:[0-9]{2}:[0-9]{2}:[0-9]{2}[.,][0-9]{3})" + NONE
BSD: Final = r"[A-Z][a-z]{2} {1,2}[0-9]{1,2} (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}"
"""The minute of an RFC 3164 stamp, ``Oct 10 12:00``; Cisco and others add the year."""

LEVEL: Final = (
    r"(?:TRACE|DEBUG|VERBOSE|INFO|INFORMATION|NOTICE|WARN|WARNING|ERR|ERROR|SEVERE|CRIT|CRITICAL|FATAL|ALERT"
    r"|EMERG|EMERGENCY|PANIC|AUDIT|CONFIG|FINE|FINER|FINEST)\b"
)

# Epoch numbers beyond these are the next smaller unit; together they reach the year 5138.
_EPOCH_UNITS: Final = ((1e11, 1_000_000.0), (1e14, 1_000.0), (1e17, 1.0), (1e20, 0.001))
_ISO_TEXT: Final = re.compile(ISO, re.ASCII)
_SLASHED_TEXT: Final = re.compile(SLASHED, re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{9,20}(?:\.[0-9]{1,9})?", re.ASCII)


def read_iso(minute: str) -> MinuteParts:
    """``2024-01-01T12:00``, with any separators."""
    return int(minute[:4]), int(minute[5:7]), int(minute[8:10]), int(minute[11:13]), int(minute[14:16])


def read_short_slashed(minute: str) -> MinuteParts:
    """``17/06/09 20:10``: year, month, day."""
    return (
        _whole_year(minute[:2]), int(minute[3:5]), int(minute[6:8]), int(minute[9:11]), int(minute[12:14])
    )  # fmt: skip


def read_compact(minute: str) -> MinuteParts:
    """``081109 2036``: year, month, day, hour and minute."""
    return (
        _whole_year(minute[:2]), int(minute[2:4]), int(minute[4:6]), int(minute[7:9]), int(minute[9:11])
    )  # fmt: skip


def read_common_log(minute: str) -> MinuteParts:
    """``17/May/2015:10:05``, the time of NCSA access logs."""
    return int(minute[7:11]), _month(minute[3:6]), int(minute[:2]), int(minute[12:14]), int(minute[15:17])


def read_ctime(minute: str) -> MinuteParts:
    """``Oct 11 14:32 2000``, the minute of C's ``ctime`` with the year behind it."""
    name, day, clock_time, year = minute.split()
    return int(year), _month(name), int(day), int(clock_time[:2]), int(clock_time[3:])


def epoch_us(value: float) -> int | None:
    """Microseconds of a number since the epoch whose unit (s, ms, µs or ns) its size tells.

    ``None`` where no such unit gives a time after 1970 and before the year 5138.
    """
    if not 0 < value < _EPOCH_UNITS[-1][0]:
        return None
    for limit, factor in _EPOCH_UNITS:
        if value < limit:
            # Integers above 2**53 lose digits as floats.
            if isinstance(value, int):
                return value * int(factor) if factor >= 1 else value // round(1 / factor)
            return round(value * factor)
    return None


def text_us(text: str, clock: Clock) -> int | None:
    """Microseconds of a whole text that is an ISO 8601 time or an epoch number, else ``None``."""
    for pattern in (_ISO_TEXT, _SLASHED_TEXT):
        match = pattern.fullmatch(text)
        if match:
            return iso_us(match, clock)
    if _NUMBER.fullmatch(text):
        return epoch_us(float(text) if "." in text else int(text))
    return None


def iso_us(match: re.Match[str], clock: Clock) -> int | None:
    """Microseconds of a match of `ISO` or `SLASHED`; ``None`` if there is no such time."""
    try:
        minute, second, fraction, zone = match.group("minute", "second", "fraction", "zone")
        return clock.dated(minute, second, fraction, zone, read_iso)
    except NoSuchTime:
        return None


def _whole_year(two_digits: str) -> int:
    year = int(two_digits)
    return year + (2000 if year < 70 else 1900)


def _month(name: str) -> int:
    return MONTHS.get(name, 0)  # 0 is refused with the rest of the date
