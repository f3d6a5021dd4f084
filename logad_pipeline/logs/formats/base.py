"""What a log format is: it takes the header of a line apart and hands on what the program said.

Belongs here: the interface, and the fields that every header is reduced to.
Does not: any one format, and joining lines into records, which `logs.parser` does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from ..clock import Clock, NoSuchTime

__all__ = ["Fields", "LogFormat"]


class Fields(NamedTuple):
    """One line taken apart; the first six are those of `Record`.

    Attributes:
        stream: which of several interleaved streams the line belongs to, for container logs.
        unfinished: the message was cut by the writer and goes on in the next line of ``stream``.
    """

    time_us: int | None
    host: str
    program: str
    pid: str
    severity: str
    message: str
    stream: str = ""
    unfinished: bool = False


class LogFormat(ABC):
    """One layout of log lines.

    Attributes:
        name: what ``--format`` calls it.
        description: one line for a person who chooses among the formats.
        multiline: messages of this format are known to hold line ends, so that any line without a header
            continues the record before it. In other formats only indented lines and stack traces do.
        yearless: stamps may lack the year, so that a first reading has to find it.
    """

    name: str
    description: str
    multiline: bool = False
    yearless: bool = False

    @abstractmethod
    def parse(self, line: str, clock: Clock) -> Fields | None:
        """Take one decoded line without its line end apart; ``None`` if it has no header of this format.

        Raises:
            NoSuchTime: the header is there and its time is none.
        """

    def matches(self, line: str) -> bool:
        """Whether the line begins a record of this format."""
        try:
            return self.parse(line, Clock(first_year=2000)) is not None
        except NoSuchTime:
            return False
