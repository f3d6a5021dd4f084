"""What applications write through logging libraries: log4j, logback, Python's logging, oslo.log.

Belongs here: one pattern a layout, all with the same named groups. A message may span lines.
Does not: JSON from the same libraries, see `structured`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ..clock import Clock, MinuteParts
from .base import Fields, LogFormat
from .timestamps import (
    COMPACT,
    ISO,
    LEVEL,
    NONE,
    SHORT_SLASHED,
    SLASHED,
    TIME_OF_DAY,
    read_compact,
    read_iso,
    read_short_slashed,
)

_LEVEL: Final = rf"(?P<level>{LEVEL})"
_THREAD: Final = r"\[ *(?P<pid>(?:[^\[\]]|\[[^\[\]]*\]){0,120})\]"
_NO_PID: Final = r"(?P<pid>)"
_NO_LOGGER: Final = r"(?P<logger>)"
_LOGGER: Final = r"(?P<logger>[^\s:\[\]]+)"
_MESSAGE: Final = r"(?P<message>.*)"
# A rare level word in lower case and without brackets is the beginning of a sentence: `config loaded`.
_ANY_CASE_LEVEL: Final = (
    rf"[\[<(]?(?P<level>{LEVEL}|(?<=[\[<(])(?i:{LEVEL})|(?i:trace|debug|info|warn|warning|error|fatal|critical)\b)"
    r"[\])>]?[ \t:|-]*"
)
_GROUPS: Final = ("minute", "second", "fraction", "zone", "pid", "level", "logger", "message")


class ApplicationFormat(LogFormat):
    """A layout that one pattern describes, with the groups minute, second, fraction, zone, pid, level,
    logger and message; an empty group stands for what the layout lacks.

    Args:
        name, description: as in `LogFormat`.
        pattern: matched at the start of the line.
        read: takes the minute apart, see `Clock.dated`.
    """

    multiline = True

    def __init__(
        self, name: str, description: str, pattern: str, read: Callable[[str], MinuteParts] = read_iso
    ) -> None:
        self.name = name
        self.description = description
        self._match = re.compile(pattern, re.ASCII | re.DOTALL).match
        self._read = read

    def parse(self, line: str, clock: Clock) -> Fields | None:
        match = self._match(line)
        if match is None:
            return None
        minute, second, fraction, zone, pid, level, logger, message = match.group(*_GROUPS)
        time_us = clock.dated(minute, second, fraction, zone, self._read) if minute else None
        return Fields(time_us, "", logger or "", pid.rstrip(), level.upper(), message)


HDFS: Final = ApplicationFormat(
    "hdfs",
    "early Hadoop: 081109 203615 148 INFO dfs.DataNode$PacketResponder: text",
    rf"{COMPACT} (?P<pid>[0-9]+) {_LEVEL} {_LOGGER}: {_MESSAGE}",
    read_compact,
)
# Files that were merged from several services carry the file's name in front.
OPENSTACK: Final = ApplicationFormat(
    "openstack",
    "OpenStack (oslo.log): 2018-06-27 00:32:26.145 9743 INFO nova.wsgi [req-…] text",
    rf"(?:\S+\.log\S* )?{ISO} (?P<pid>[0-9]+) {_LEVEL} (?P<logger>[\w.-]+)(?: |$){_MESSAGE}",
)
SPRING: Final = ApplicationFormat(
    "spring",
    "Spring Boot: 2024-01-01 12:00:00.123  INFO 1234 --- [main] o.s.Application : text",
    rf"{ISO} +{_LEVEL} (?P<pid>[0-9]+) --- (?:\[[^\]]*\] ?)+ *(?P<logger>\S+) *: {_MESSAGE}",
)
LOG4J: Final = ApplicationFormat(
    "log4j",
    "log4j, level first: 2015-10-18 18:01:47,978 INFO [main] org.apache.hadoop.X: text",
    rf"{ISO}(?: -)? +{_LEVEL} +{_THREAD}(?: -|:? (?P<logger>[^\s:\[\]]+)(?: -|:))(?: |$){_MESSAGE}",
)
LOGBACK: Final = ApplicationFormat(
    "logback",
    "log4j and logback, thread first: 2024-01-01 12:00:00,123 [main] INFO com.acme.X - text",
    rf"(?:{ISO}) {_THREAD} {_LEVEL} +(?P<logger>[^\s:\[\]]+)(?: -|:)(?: |$){_MESSAGE}",
)
LOGBACK_SHORT: Final = ApplicationFormat(
    "logback-short",
    "logback without a date: 12:00:00.123 [main] INFO com.acme.X - text",
    rf"{TIME_OF_DAY} {_THREAD} {_LEVEL} +(?P<logger>[^\s:\[\]]+)(?: -|:)(?: |$){_MESSAGE}",
)
SPARK: Final = ApplicationFormat(
    "spark",
    "Spark: 17/06/09 20:10:40 INFO executor.Executor: text",
    rf"{SHORT_SLASHED} {_LEVEL} {_NO_PID}{_LOGGER}: {_MESSAGE}",
    read_short_slashed,
)
PYTHON: Final = ApplicationFormat(
    "python",
    "Python logging: 2024-01-01 12:00:00,123 - name - LEVEL - text",
    rf"{ISO} - {_NO_PID}(?P<logger>\S+) - {_LEVEL} -(?: |$){_MESSAGE}",
)
PYTHON_BASIC: Final = ApplicationFormat(
    "python-basic",
    "Python logging without a time: LEVEL:name:text",
    rf"{NONE}{_NO_PID}(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL):(?P<logger>[^\s:]*):{_MESSAGE}",
)
LEVELED: Final = ApplicationFormat(
    "leveled",
    "a time, a level, a text: [2024-01-01T12:00:00Z] [INFO] text",
    rf"\[?(?:{ISO})\]?(?: -)?(?:[ \t]+|(?=\[)){_NO_PID}{_NO_LOGGER}{_ANY_CASE_LEVEL}{_MESSAGE}",
)
LEVELED_SLASHED: Final = ApplicationFormat(
    "leveled-slashed",
    "a time with slashes, a level, a text: 2024/01/01 12:00:00 [INFO] text",
    rf"\[?(?:{SLASHED})\]?(?: -)?(?:[ \t]+|(?=\[)){_NO_PID}{_NO_LOGGER}{_ANY_CASE_LEVEL}{_MESSAGE}",
)
