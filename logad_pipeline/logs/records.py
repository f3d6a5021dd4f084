"""What a log record is: the one shape that every format is parsed into.

Belongs here: the record, the line that could not be one, and nothing that reads or parses.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Record:
    """One log event, which may span several physical lines (a stack trace).

    Attributes:
        first_line: 1-based number of its first physical line in the source.
        last_line: 1-based number of its last physical line, ``>= first_line``.
        time_us: microseconds since 1970-01-01T00:00:00Z, or ``None`` where the line has no time.
        host: the machine that wrote it, ``""`` where unknown.
        program: the program, logger or component, without process id; ``""`` where unknown.
        pid: the process (or thread) id as text, ``""`` where unknown.
        severity: upper-case level word as it stood in the line (``"INFO"``), ``""`` where none.
        message: what the program said, header removed, decoded as UTF-8 with ``surrogateescape``;
            continuation lines are joined by ``"\\n"``.
    """

    first_line: int
    last_line: int
    time_us: int | None
    host: str
    program: str
    pid: str
    severity: str
    message: str

    @property
    def line_count(self) -> int:
        """Number of physical lines in the record, at least 1."""
        return self.last_line - self.first_line + 1


@dataclass(slots=True)
class Rejected:
    """A physical line that is no record and continues none: it goes to the quarantine.

    Attributes:
        line: 1-based number in the source.
        raw: the bytes as they stood, without the line end.
        reason: what was expected and not found, in a few plain words.
    """

    line: int
    raw: bytes
    reason: str
