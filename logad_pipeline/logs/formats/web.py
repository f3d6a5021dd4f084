"""What web servers write: access logs (Apache, nginx) and the error logs of both.

Belongs here: NCSA common and combined, Apache error 2.2 and 2.4, nginx error.
Does not: applications behind a web server, see `application`.
"""

from __future__ import annotations

import re
from typing import Final

from ..clock import Clock
from .base import Fields, LogFormat
from .timestamps import read_common_log, read_ctime, read_iso

_QUOTED: Final = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
# The agent may lack its closing quote where the line was cut; what custom formats add behind is left out.
_ACCESS_LINE: Final = re.compile(
    r"(?:\S+:[0-9]+ )?(\S+) \S+ .{1,200}? ?\[([0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}):([0-9]{2}) "
    rf'([+-][0-9]{{4}})\] {_QUOTED} ([0-9]{{3}}|-) ([0-9]+|-)(?: {_QUOTED} "([^"\\]*(?:\\.[^"\\]*)*).*| .*)?',
    re.ASCII | re.DOTALL,
)
_PRODUCT: Final = re.compile(r"[^\s/;(]+")
_APACHE_ERROR_LINE: Final = re.compile(
    r"\[[A-Z][a-z]{2} ([A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r" ([0-9]{4})\] "
    r"\[(?:([a-z0-9_]*):)?([a-z]+[0-9]?)\] (?:\[pid ([0-9]+)[^\]]*\] )?(.*)",
    re.ASCII | re.DOTALL,
)
_NGINX_ERROR_LINE: Final = re.compile(
    r"([0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}):([0-9]{2}) \[([a-z]+)\] ([0-9]+)#[0-9]+: (.*)",
    re.ASCII | re.DOTALL,
)


class Access(LogFormat):
    """NCSA common and combined access logs.

    The message is ``client METHOD target PROTOCOL status bytes agent``. The client stays in it because
    relations between hosts are read from messages; of the agent only the first product's name is kept,
    since versions would make every browser update an anomaly. The referrer is left out.
    """

    name = "access"
    description = 'web access log: 10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 12'

    def parse(self, line: str, clock: Clock) -> Fields | None:
        match = _ACCESS_LINE.match(line)
        if match is None:
            return None
        client, minute, second, zone, request, status, size, _, agent = match.groups()
        message = f"{client} {request} {status} {size}"
        if agent and agent != "-":
            product = _PRODUCT.match(agent)
            message = f"{message} {product.group() if product else agent.split(maxsplit=1)[0]}".rstrip()
        return Fields(clock.dated(minute, second, None, zone, read_common_log), "", "access", "", "", message)


class ApacheError(LogFormat):
    """Apache's error log, 2.2 (no process id) and 2.4; ``[client …]`` stays in the message."""

    name = "apache-error"
    description = "Apache error log: [Wed Oct 11 14:32:52.1 2000] [core:error] [pid 35:tid 4] text"

    def parse(self, line: str, clock: Clock) -> Fields | None:
        match = _APACHE_ERROR_LINE.match(line)
        if match is None:
            return None
        minute, second, fraction, year, module, level, pid, message = match.groups()
        time_us = clock.dated(f"{minute} {year}", second, fraction, None, read_ctime)
        return Fields(time_us, "", module or "apache", pid or "", level.upper(), message)


class NginxError(LogFormat):
    """nginx's error log; the connection's number (``*5``) stays in the message."""

    name = "nginx-error"
    description = "nginx error log: 2015/02/09 09:57:12 [error] 1234#0: *5 text"

    def parse(self, line: str, clock: Clock) -> Fields | None:
        match = _NGINX_ERROR_LINE.match(line)
        if match is None:
            return None
        minute, second, level, pid, message = match.groups()
        time_us = clock.dated(minute, second, None, None, read_iso)
        return Fields(time_us, "", "nginx", pid, level.upper(), message)
