"""Where notices go: a webhook, and a file of JSON lines.

Belongs here: sending one notice. Which ones are sent is `lake.notices`.
"""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from logad_pipeline.settings import AlertSettings

Send = Callable[[dict[str, Any]], None]
ATTEMPTS = 3
_PASSING = (408, 425, 429)
"""Answers below 500 that say nothing of the notice: too slow, too early, too many."""
TIMEOUT_SECONDS = 10.0


class NoticeFailed(Exception):
    """A notice could not be given; the text says where and why."""


class NoticeRefused(NoticeFailed):
    """The other side works, and does not want this notice."""


def sinks(settings: AlertSettings) -> dict[str, Send]:
    """The configured sinks by name."""
    found: dict[str, Send] = {}
    if settings.webhook:
        found["webhook"] = lambda notice: post(settings.webhook, notice)
    if settings.file:
        file = Path(settings.file)
        found["file"] = lambda notice: write_line(file, notice)
    return found


def _host(url: str) -> str:
    """Where a webhook is, without its path and name: those may be its secret."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def post(url: str, notice: dict[str, Any], pause_seconds: float = 1.0) -> None:
    """Post a notice as JSON; three attempts where the other side does not answer, is busy or in trouble.

    The header ``Idempotency-Key`` names it, for a receiver that gets one twice.

    Raises:
        NoticeRefused: it was refused; others may be taken.
        NoticeFailed: it was not taken, and no other would be now.
    """
    body = json.dumps(notice).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(notice["id"])}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            request = urllib.request.Request(url, body, headers, method="POST")
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
                return
        except urllib.error.HTTPError as error:
            reason = f"answered {error.code} {error.reason}"
            if error.code < 500 and error.code not in _PASSING:
                what = f"webhook at {_host(url)}: {reason} to {notice['id']}"
                raise NoticeRefused(f"{what}; it is told again with the next run") from error
        except (OSError, ValueError) as error:
            reason = str(error)
        if attempt == ATTEMPTS:
            raise NoticeFailed(f"webhook at {_host(url)}: {reason}; it is told again with the next run")
        time.sleep(pause_seconds * attempt)


def write_line(file: Path, notice: dict[str, Any]) -> None:
    """Append a notice to a file as one line, unless one of that id stands there.

    Raises:
        NoticeFailed: the file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        mark = f'"id": {json.dumps(notice["id"])}'.encode()
        with file.open("ab+") as out:
            out.seek(0)
            if any(mark in line for line in out):
                return
            out.write(json.dumps(notice).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise NoticeFailed(f"{file}: {error}; it is told again with the next run") from error
