"""What one request may hold: size, number and length of lines, and the time that its body may take.

Belongs here: reading a body and refusing one. Limits are those of the settings.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from typing import Any

from flask import Request

from logad_pipeline.serving.problems import FieldError, Problem
from logad_pipeline.settings import ServingSettings

_CHUNK = 1 << 16


class ReadDeadlines:
    """When the request on a socket must have come whole; the server asks which are late, and cuts them off."""

    def __init__(self) -> None:
        self._until: dict[int, tuple[Any, float]] = {}
        self._access = threading.Lock()

    def begin(self, socket: Any, seconds: float) -> None:
        """A request begins to come."""
        with self._access:
            self._until[id(socket)] = (socket, time.monotonic() + seconds)

    def end(self, socket: Any) -> None:
        """It has come, or nothing more is expected."""
        with self._access:
            self._until.pop(id(socket), None)

    def late(self) -> list[Any]:
        """Sockets that took too long; each is named once."""
        now = time.monotonic()
        with self._access:
            found = [key for key, (_, until) in self._until.items() if now >= until]
            return [self._until.pop(key)[0] for key in found]


def read_body(request: Request, settings: ServingSettings) -> bytes:
    """The whole body.

    Raises:
        Problem: 413 if it is too large, 408 if it does not come in time, 400 if it is cut off.
    """
    limit, until = settings.max_body_bytes, time.monotonic() + settings.read_seconds
    declared = request.content_length
    if declared is not None and declared > limit:
        raise too_large(limit)
    parts: list[bytes] = []
    size = 0
    stream = request.environ["wsgi.input"] if declared is None and _chunked(request) else request.stream
    try:
        while declared is None or size < declared:
            part = stream.read(_CHUNK if declared is None else min(_CHUNK, declared - size))
            if not part:
                break
            parts.append(part)
            size += len(part)
            if size > limit:
                raise too_large(limit)
            if time.monotonic() > until:
                raise too_slow(settings)
    except Problem:
        raise
    except Exception as error:  # each server has errors of its own for a body that breaks off or stalls
        raise (too_slow(settings) if time.monotonic() > until else cut_off()) from error
    if declared is not None and size < declared:
        raise too_slow(settings) if time.monotonic() > until else cut_off()
    return b"".join(parts)


def _chunked(request: Request) -> bool:
    return "chunked" in request.headers.get("Transfer-Encoding", "").lower()


def too_large(limit: int) -> Problem:
    """413, with the way out."""
    return Problem(413, "body-too-large", f"the body is larger than {limit} bytes; send it in pieces",
                   headers={"Connection": "close"})  # fmt: skip


def too_slow(settings: ServingSettings) -> Problem:
    """408, with the way out."""
    return Problem(408, "too-slow", f"the body did not come within {settings.read_seconds:g} seconds; send it faster, "
                   "or less", headers={"Connection": "close"})  # fmt: skip


def cut_off() -> Problem:
    """400 for a body that ends before its end."""
    return Problem(400, "cut-off", "the body ends before its end; send it again", headers={"Connection": "close"})


def parse_json(body: bytes) -> Any:
    """The JSON in a body.

    Raises:
        Problem: 400, saying where it is none.
    """
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise Problem(400, "not-json", "the body is nested too deeply; a request has a few levels") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise Problem(400, "not-json", f"the body is not JSON: {error.msg} at {where}") from error
    except UnicodeDecodeError as error:
        raise Problem(400, "not-json", f"the body is not JSON: byte {error.start} is not UTF-8") from error
    except ValueError as error:
        raise Problem(400, "not-json", f"the body is not JSON: {error}") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def check_lines(lines: Sequence[str], settings: ServingSettings, pointer: str = "#/log_seq") -> None:
    """Refuse lines that are too many, too long, or hold NUL.

    Raises:
        Problem: 413 or 422, naming the line.
    """
    if len(lines) > settings.max_lines:
        raise Problem(413, "too-many-lines", f"{len(lines)} lines are more than {settings.max_lines}; send them in "
                      "pieces, or stream them to /score_batch")  # fmt: skip
    for place, line in enumerate(lines):
        if len(line) > settings.max_line_chars:
            said = f"a line of {len(line)} characters is longer than {settings.max_line_chars}; cut it"
            raise Problem(422, "line-too-long", said, [FieldError(pointer=f"{pointer}/{place}", detail=said)])
        if "\0" in line:
            said = "a NUL character is in no log line; leave such lines out"
            raise Problem(422, "nul-character", said, [FieldError(pointer=f"{pointer}/{place}", detail=said)])
