"""What container runtimes wrap around each line of output: Kubernetes' CRI and Docker's json-file.

Belongs here: the wrapper, and telling which lines the runtime cut in pieces.
Does not: the layout inside, which is the application's own; it stays in the message.
"""

from __future__ import annotations

import re
from typing import Final

from ..clock import Clock
from .base import Fields, LogFormat
from .structured import read_object, scalar_text
from .timestamps import ISO, read_iso, text_us

_CRI_LINE: Final = re.compile(rf"{ISO} (stdout|stderr) ([FP])(?::\S*)?(?: (.*))?", re.ASCII | re.DOTALL)


class Cri(LogFormat):
    """``2016-10-06T00:17:09.669794202Z stdout F text``; ``P`` marks a line cut by the runtime.

    The pieces of a cut line are joined where they follow each other directly.
    """

    name = "cri"
    description = "Kubernetes (CRI): 2016-10-06T00:17:09.669794202Z stdout F text"

    def parse(self, line: str, clock: Clock) -> Fields | None:
        match = _CRI_LINE.fullmatch(line)
        if match is None:
            return None
        minute, second, fraction, zone, stream, tag, message = match.groups()
        time_us = clock.dated(minute, second, fraction, zone, read_iso)
        return Fields(time_us, "", "", "", "", message or "", stream, tag == "P")


class DockerJson(LogFormat):
    """Docker's json-file driver; a ``log`` without a line end at its end was cut by the runtime."""

    name = "docker"
    description = 'Docker json-file: {"log":"text\\n","stream":"stdout","time":"…"}'

    def parse(self, line: str, clock: Clock) -> Fields | None:
        entry = read_object(line)
        if entry is None or not {"log", "time"} <= entry.keys() or "stream" not in entry:
            return None
        text = scalar_text(entry["log"])
        time_us = text_us(scalar_text(entry["time"]), clock)
        stream = scalar_text(entry["stream"])
        return Fields(time_us, "", "", "", "", text.removesuffix("\n"), stream, not text.endswith("\n"))
