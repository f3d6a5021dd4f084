"""Any text: one line, one record. The last resort, which refuses nothing.

Belongs here: finding a time and a level at the start of a line of unknown layout.
Does not: layouts that are known by name.
"""

from __future__ import annotations

import re
from typing import Final

from ..clock import Clock, NoSuchTime
from .base import Fields, LogFormat
from .timestamps import BSD, ISO, LEVEL, SLASHED, iso_us, read_ctime

_END: Final = r"[\])]?(?:[\s:|,-]+|$)"
_ISO_START: Final = re.compile(rf"[\[(]?(?:{ISO}){_END}", re.ASCII)
_SLASHED_START: Final = re.compile(rf"[\[(]?(?:{SLASHED}){_END}", re.ASCII)
_BSD_START: Final = re.compile(
    rf"[\[(]?(?:[A-Z][a-z]{{2}},? )?({BSD}):([0-9]{{2}})(?:[.,]([0-9]{{1,9}}))?(?: ([0-9]{{4}}))?{_END}",
    re.ASCII,
)
# In lower case a level must be marked as one: `[error]`, `error:`; `error` alone may begin a sentence.
_LEVEL_START: Final = re.compile(
    rf"(?:[\[<(](?P<boxed>(?i:{LEVEL}))[\])>][\s:|-]*|(?P<marked>(?i:{LEVEL})):\s*|(?P<bare>{LEVEL})(?:[\s|-]+|$))",
    re.ASCII,
)


class Plain(LogFormat):
    """The line is the message; a time and a level at its start are taken off where they are recognised.

    Stack traces are not joined: without a header nothing tells a continued record from the next one.
    """

    name = "plain"
    description = "any text, one record a line; a leading time and level are recognised"
    yearless = True

    def parse(self, line: str, clock: Clock) -> Fields | None:
        if not line or line.isspace():
            return None
        time_us, message = _without_time(line, clock)
        level = _LEVEL_START.match(message)
        if level is None:
            return Fields(time_us, "", "", "", "", message)
        word = level["boxed"] or level["marked"] or level["bare"]
        return Fields(time_us, "", "", "", word.upper(), message[level.end() :])


def _without_time(line: str, clock: Clock) -> tuple[int | None, str]:
    """Time and rest of the line; ``None`` and the whole line where no time stands at its start."""
    for pattern in (_ISO_START, _SLASHED_START):
        match = pattern.match(line)
        if match is not None:
            time_us = iso_us(match, clock)
            return (None, line) if time_us is None else (time_us, line[match.end() :])
    match = _BSD_START.match(line)
    if match is None:
        return None, line
    minute, second, fraction, year = match.groups()
    try:
        if year:
            return clock.dated(f"{minute} {year}", second, fraction, None, read_ctime), line[match.end() :]
        return clock.yearless(minute, second, fraction), line[match.end() :]
    except NoSuchTime:
        return None, line
