"""The log formats that are known by name, and telling which one a file is in.

Belongs here: the registry and the detection. A new format is one class and one line in `FORMATS`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from .application import (
    HDFS,
    LEVELED,
    LEVELED_SLASHED,
    LOG4J,
    LOGBACK,
    LOGBACK_SHORT,
    OPENSTACK,
    PYTHON,
    PYTHON_BASIC,
    SPARK,
    SPRING,
)
from .base import Fields, LogFormat
from .containers import Cri, DockerJson
from .hpc import Bgl, Thunderbird
from .journald import Journald
from .plain import Plain
from .structured import JsonLines
from .syslog import IsoSyslog, Rfc3164, Rfc5424
from .web import Access, ApacheError, NginxError

__all__ = [
    "FORMATS",
    "SAMPLE_LINES",
    "Fields",
    "LogFormat",
    "UnknownFormat",
    "detect_format",
    "get_format",
    "looks_continued",
]

SAMPLE_LINES: Final = 500
"""Lines at the start of a source that detection looks at."""

_PLAIN: Final = Plain()
FORMATS: Final[tuple[LogFormat, ...]] = (
    Journald(), DockerJson(), JsonLines(),
    Bgl(), Thunderbird(), Rfc5424(),
    Access(), ApacheError(), NginxError(),
    Cri(), HDFS, OPENSTACK, SPRING, LOG4J, LOGBACK, LOGBACK_SHORT, SPARK, PYTHON, PYTHON_BASIC,
    Rfc3164(), IsoSyslog(), LEVELED, LEVELED_SLASHED, _PLAIN,
)  # fmt: skip
"""All formats, the more specific before the more general."""

_ENOUGH: Final = 0.6
_AS_GOOD: Final = 0.05
_CONTINUED: Final = re.compile(
    r"\s+\S|Caused by: |Suppressed: |\.\.\. [0-9]+ (?:more|common)|at \S+\(|goroutine [0-9]+ \["
    r"|Traceback \(most recent call last\)|The above exception was the direct cause|--- End of "
    r"|During handling of the above exception"
    r"|(?:[A-Za-z_$][\w$]*\.)*[A-Z]\w*(?:Exception|Error|Throwable)(?::|$)"
)


class UnknownFormat(ValueError):
    """A format name that is not in the registry; the text lists those that are."""


def get_format(name: str) -> LogFormat:
    """The format of that name.

    Raises:
        UnknownFormat: there is none.
    """
    for log_format in FORMATS:
        if log_format.name == name:
            return log_format
    known = ", ".join(log_format.name for log_format in FORMATS)
    raise UnknownFormat(f"no log format is called {name!r}; pass auto or one of: {known}")


def looks_continued(line: str) -> bool:
    """Whether a line without a header continues the record before it by its looks alone.

    True for indented lines and for the unindented lines of Java, Python and Go stack traces.
    """
    return _CONTINUED.match(line) is not None


def detect_format(sample: Sequence[str]) -> LogFormat:
    """The most specific format that nearly as many lines begin a record of as of any other.

    Blank lines and lines that look continued do not count. ``plain`` is the answer where no format takes
    60 % of the others, and for an empty sample.

    Args:
        sample: decoded lines from the start of the source; the first `SAMPLE_LINES` are looked at.
    """
    lines = [line for line in sample[:SAMPLE_LINES] if line.strip()]
    shares = []
    for log_format in FORMATS:
        if log_format is _PLAIN:
            continue
        matched = [log_format.matches(line) for line in lines]
        missed = sum(not hit and not looks_continued(line) for hit, line in zip(matched, lines, strict=True))
        hits = sum(matched)
        shares.append(hits / (hits + missed) if hits else 0.0)
    best = max(shares, default=0.0)
    if best < _ENOUGH:
        return _PLAIN
    return next(fmt for fmt, share in zip(FORMATS, shares, strict=False) if share >= best - _AS_GOOD)
