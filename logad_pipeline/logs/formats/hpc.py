"""Logs of supercomputers as the CFDR and LogHub publish them: Blue Gene/L, and Thunderbird and its kin.

Belongs here: cutting off the first column. It is the annotators' label (``-`` or an alert's name), and
nothing behind this module may see it. Files whose labels were cut beforehand are read as well.
"""

from __future__ import annotations

import re
from typing import Final

from ..clock import Clock
from .base import Fields, LogFormat
from .syslog import split_host_and_tag
from .timestamps import BSD

_LABEL_AND_TIME: Final = r"(?:\S+ )?([0-9]{9,10}) [0-9]{4}\.[0-9]{2}\.[0-9]{2} "
_BGL_LINE: Final = re.compile(
    _LABEL_AND_TIME + r"(\S+) [0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9.]{8,15} \S+ \S+ (\S+) (\S+)(?: (.*))?",
    re.ASCII | re.DOTALL,
)
_THUNDERBIRD_LINE: Final = re.compile(rf"{_LABEL_AND_TIME}(\S+) {BSD}:[0-9]{{2}} (.*)", re.ASCII | re.DOTALL)


class Bgl(LogFormat):
    """Blue Gene/L's RAS log; the host is the node, the program the component, the time the epoch second."""

    name = "bgl"
    description = "Blue Gene/L: [label] 1117838570 2005.06.03 node time node RAS KERNEL INFO text"

    def parse(self, line: str, clock: Clock) -> Fields | None:
        match = _BGL_LINE.match(line)
        if match is None:
            return None
        seconds, node, component, severity, message = match.groups()
        return Fields(_epoch_us(seconds), node, component, "", severity.upper(), message or "")


class Thunderbird(LogFormat):
    """Thunderbird, Spirit and Liberty: syslog behind the label, the epoch second (the time) and the node."""

    name = "thunderbird"
    description = "Thunderbird: [label] 1131566461 2005.11.09 node Nov 9 12:01:01 node/node prog[1]: text"

    def parse(self, line: str, clock: Clock) -> Fields | None:
        match = _THUNDERBIRD_LINE.match(line)
        if match is None:
            return None
        seconds, node, rest = match.groups()
        _, program, pid, message = split_host_and_tag(rest)
        return Fields(_epoch_us(seconds), node, program, pid, "", message)


def _epoch_us(seconds: str) -> int:
    return int(seconds) * 1_000_000
