"""Syslog as daemons write it to files: RFC 3164, its ISO 8601 variant, and RFC 5424.

Belongs here: also the tag (program and process id), which other formats that wrap syslog lines reuse.
Does not: the year that RFC 3164 leaves out, which the `Clock` supplies, and journald's JSON.
"""

from __future__ import annotations

import re
from typing import Final

from ..clock import Clock
from .base import Fields, LogFormat
from .timestamps import BSD, ISO, LEVEL, read_iso

SEVERITIES: Final = ("EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG")
"""Names of the severities 0 .. 7 of RFC 5424."""

_PID: Final = r"\[(?P<pid>[^\]\s]{1,40})\]:?\s?"
# A program of several words is told from a sentence by its version or its capitals:
# `syslogd 1.4.1:`, `Server Administrator:`, `-- root[2421]:`.
_TAG: Final = re.compile(
    rf"(?P<program>(?:-- )?[^\s:\[]{{1,64}}(?: [0-9][0-9.]{{0,20}}|(?: [A-Z][A-Za-z]{{0,30}}){{1,3}})?)"
    rf"(?:{_PID}|:(?:\s|$))(?P<message>.*)",
    re.ASCII | re.DOTALL,
)
# The host is tried last: in `sshd[1000]: text` the first word is the program.
_HOST_AND_TAG: Final = rf"(?:(?P<host>\S+) {{1,2}})??(?P<program>[^\s:\[]{{1,64}})(?:{_PID}|:(?:\s|$))(?P<message>.*)"
_PRIORITY: Final = r"(?:<(?P<priority>[0-9]{1,3})>)?"
_BSD_STAMP: Final = rf"{_PRIORITY}(?P<minute>{BSD}):(?P<second>[0-9]{{2}})(?:\.(?P<fraction>[0-9]{{1,9}}))?"
_ISO_STAMP: Final = rf"{_PRIORITY}(?=[0-9-]{{10}}T){ISO}"
# `2024-01-01T12:00:00 INFO x: y` is an application's line, not one of the host INFO.
_NO_LEVEL: Final = rf"(?!\[|{LEVEL})"
_FLAGS: Final = re.ASCII | re.DOTALL
_BSD_LINE: Final = re.compile(rf"{_BSD_STAMP}:? {_HOST_AND_TAG}", _FLAGS)
_BSD_UNTAGGED: Final = re.compile(rf"{_BSD_STAMP}:? (?P<rest>.*)", _FLAGS)
_ISO_LINE: Final = re.compile(rf"{_ISO_STAMP} {_NO_LEVEL}{_HOST_AND_TAG}", _FLAGS)
_ISO_UNTAGGED: Final = re.compile(
    rf"{_ISO_STAMP} {_NO_LEVEL}(?P<rest>\S+ (?:last message|message repeated|{_TAG.pattern}).*)", _FLAGS
)
_RFC5424_LINE: Final = re.compile(
    rf"<(?P<priority>[0-9]{{1,3}})>[1-9][0-9]? (?:-|{ISO}) (?P<host>\S+) (?P<program>\S+) (?P<pid>\S+) \S+ "
    r"(?P<data>-|(?:\[(?:[^\]\\]|\\.)*\])+)(?: (?P<message>.*))?",
    _FLAGS,
)


def split_host_and_tag(rest: str) -> tuple[str, str, str, str]:
    """Host, program, process id and message of what follows the time of a syslog line.

    A line without a tag, such as ``web1 last message repeated 2 times``, has an empty program.
    """
    host, space, tail = rest.partition(" ")
    if not space:
        return "", "", "", rest
    tag = _TAG.match(tail)
    if tag is None:
        return host, "", "", tail
    program, pid, message = tag.group("program", "pid", "message")
    return host, program, pid or "", message


def severity_of(priority: str | None) -> str:
    """Severity word of a PRI number (facility times eight plus severity), ``""`` where there is none."""
    return SEVERITIES[int(priority) & 7] if priority else ""


class Rfc3164(LogFormat):
    """``Oct 10 12:00:00 host sshd[1000]: text``; the host may be missing, a priority may come first.

    Lines with an ISO 8601 time are taken too, since a file may change its layout in the middle.
    """

    name = "rfc3164"
    description = "classic syslog: Oct 10 12:00:00 host sshd[1000]: text (no year, no zone)"
    yearless = True

    def parse(self, line: str, clock: Clock) -> Fields | None:
        match = _BSD_LINE.match(line)
        if match is not None:
            priority, minute, second, fraction, host, program, pid, message = match.groups()
        else:
            match = _BSD_UNTAGGED.match(line)
            if match is None:
                return _parse_iso(line, clock)
            priority, minute, second, fraction, rest = match.groups()
            host, program, pid, message = split_host_and_tag(rest)
        time_us = clock.yearless(minute, second, fraction)
        return Fields(time_us, host or "", program, pid or "", severity_of(priority), message)

    def matches(self, line: str) -> bool:
        return _BSD_UNTAGGED.match(line) is not None and super().matches(line)


class IsoSyslog(LogFormat):
    """``2024-10-10T12:00:00.123456+02:00 host sshd[1000]: text``, today's default of rsyslog."""

    name = "syslog-iso"
    description = "syslog with ISO 8601 time: 2024-10-10T12:00:00+02:00 host sshd[1000]: text"

    def parse(self, line: str, clock: Clock) -> Fields | None:
        return _parse_iso(line, clock)


class Rfc5424(LogFormat):
    """``<34>1 2024-10-10T12:00:00.1Z host app 1000 ID47 [data] text``.

    Structured data and the message id are left out, but stand in for a message that is missing.
    """

    name = "rfc5424"
    description = "structured syslog: <34>1 2024-10-10T12:00:00.1Z host app 1000 ID47 - text"

    def parse(self, line: str, clock: Clock) -> Fields | None:
        match = _RFC5424_LINE.match(line)
        if match is None:
            return None
        priority, minute, second, fraction, zone, host, program, pid, data, message = match.groups()
        time_us = None if minute is None else clock.dated(minute, second, fraction, zone, read_iso)
        message = (message or "").removeprefix("\ufeff") or _known(data)
        return Fields(time_us, _known(host), _known(program), _known(pid), severity_of(priority), message)


def _known(word: str) -> str:
    return "" if word == "-" else word


def _parse_iso(line: str, clock: Clock) -> Fields | None:
    match = _ISO_LINE.match(line)
    if match is not None:
        priority, minute, second, fraction, zone, host, program, pid, message = match.groups()
    else:
        match = _ISO_UNTAGGED.match(line)
        if match is None:
            return None
        priority, minute, second, fraction, zone, rest = match.group(
            "priority", "minute", "second", "fraction", "zone", "rest"
        )
        host, program, pid, message = split_host_and_tag(rest)
    time_us = clock.dated(minute, second, fraction, zone, read_iso)
    return Fields(time_us, host or "", program, pid or "", severity_of(priority), message)
