"""A stream of sequences, one a line, answered as it comes: the other way to ask `/score_batch`.

Belongs here: reading it, and its bounds in number, time and rate. How sequences are judged is in `judging`.
"""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import IO, Any, Final

from flask import Response, current_app, g, request
from pydantic import ValidationError

from logad_pipeline.serving.access import charge
from logad_pipeline.serving.champion import Served
from logad_pipeline.serving.judging import Judged, answer, judge
from logad_pipeline.serving.keys import ApiKey
from logad_pipeline.serving.limits import check_lines, parse_json, too_large
from logad_pipeline.serving.problems import LONGEST_POINTER, FieldError, Problem, details
from logad_pipeline.serving.schemas import NamedSequence
from logad_pipeline.serving.service import Service, service

log = logging.getLogger(__name__)

NDJSON: Final = "application/x-ndjson"
_TOGETHER: Final = 32
"""Sequences of a stream that are judged together, if so many have come."""
_LOOK_SECONDS: Final = 1.0
"""Between looks at whether a stream that waits must end."""


def answer_stream() -> Response:
    """Answer the stream that this request sends, line by line.

    Raises:
        Problem: 503 without a model, or where as many streams are open as may be.
    """
    own = service()
    own.served()
    if not own.streams.acquire(blocking=False):
        raise Problem(503, "too-many-streams", f"{own.most_streams} streams are open, as many as may be; come back "
                      "when one has ended, or raise serving.max_streams", headers={"Retry-After": "10"})  # fmt: skip
    connection = request.environ.get("gunicorn.socket")
    own.deadlines.end(connection)
    lines = _Incoming(request.stream, own, connection)
    told = _answers(own, lines, g.get("key"), current_app.app_context(), g.request_id)
    response = Response(told, content_type=NDJSON)
    response.call_on_close(lines.leave)
    response.call_on_close(own.streams.release)
    return response


class _Incoming:
    """The lines of a body, read by a thread of their own: so those that came together are judged together.

    :meth:`leave` ends that thread, whatever it waits for.
    """

    def __init__(self, stream: IO[bytes], own: Service, connection: socket.socket | None) -> None:
        self._own = own
        self._queue: Queue[bytes | Problem | None] = Queue(2 * _TOGETHER)
        self._connection = connection
        self._left = Event()
        self._whole = False
        Thread(target=self._read, args=(stream, own.limits.max_body_bytes), name="score_batch", daemon=True).start()

    def _read(self, stream: IO[bytes], limit: int) -> None:
        end: Problem | None = None
        try:
            while line := stream.readline(limit + 1):
                if len(line) > limit:
                    end = too_large(limit)
                    break
                if line.strip() and not self._put(line):
                    return
            else:
                self._whole = True
        except Exception as error:  # each server has errors of its own for a body that breaks off
            said = f"the stream broke off ({type(error).__name__}); what came before is answered"
            end = Problem(400, "cut-off", said)
        if end is None or self._put(end):
            self._put(None)

    def _put(self, item: bytes | Problem | None) -> bool:
        """Whether there still is somebody who takes it."""
        while not self._left.is_set():
            try:
                self._queue.put(item, timeout=_LOOK_SECONDS)
            except Full:
                continue
            return True
        return False

    def take(self) -> tuple[list[bytes | Problem], bool]:
        """The next lines, once there is one, and whether they are the last; a problem says why, where the client
        did not end the stream."""
        own, until = self._own, time.monotonic() + self._own.limits.stream_idle_seconds
        items: list[bytes | Problem | None] = []
        while not items and not own.stopping and time.monotonic() < until:
            try:
                items.append(self._queue.get(timeout=min(_LOOK_SECONDS, own.limits.stream_idle_seconds)))
            except Empty:
                continue
        while len(items) < _TOGETHER and (not items or items[-1] is not None):
            try:
                items.append(self._queue.get_nowait())
            except Empty:
                break
        taken = [item for item in items if item is not None]
        if len(taken) < len(items):
            return taken, True
        if own.stopping:
            said = "the service stops; send again what is not answered above"
            return [*taken, Problem(503, "stopping", said)], True
        if not taken:
            said = f"no line came for {own.limits.stream_idle_seconds:g} seconds; open a new stream for the next one"
            return [Problem(408, "idle", said)], True
        return taken, False

    def rest(self, seconds: float) -> None:
        """Wait until a key may ask again, or until the stream must end."""
        until = time.monotonic() + seconds
        while not self._own.stopping and (left := until - time.monotonic()) > 0:
            if self._left.wait(min(left, _LOOK_SECONDS)):
                return

    def leave(self) -> None:
        """Read no more; what the client still sends goes nowhere."""
        self._left.set()
        if self._connection is not None and not self._whole:
            self._own.given_up.add(self._connection)
            try:
                self._connection.shutdown(socket.SHUT_RD)
            except OSError as error:
                log.debug("the client of a stream has gone: %s", error)


def _answers(own: Service, lines: _Incoming, key: ApiKey | None, context: Any, request_id: str) -> Iterator[str]:
    ended, paid = False, 1  # the request itself was counted when it came
    while not ended:
        items, ended = lines.take()
        with context:
            g.request_id = request_id
            rows = [json.dumps(row) + "\n" for row in _judged(own, items)]
        yield from rows
        wait = charge(own, key, len(items) - paid)
        paid = 0
        if not ended:
            lines.rest(wait)


def _judged(own: Service, items: list[bytes | Problem]) -> Iterator[dict[str, Any]]:
    """Answers in the order of the items; the model is the one that is in service now."""
    served: Served = own.served()
    asked = [item if isinstance(item, Problem) else _parsed(item, own) for item in items]
    found = iter(judge(served, [one for one in asked if isinstance(one, NamedSequence)]))
    for one in asked:
        result: Judged | Problem = one if isinstance(one, Problem) else next(found)
        name = one.id if isinstance(one, NamedSequence) else None
        if isinstance(result, Problem):
            own.metrics.rejected.labels(result.reason).inc()
            yield {"id": name, "problem": details(result).model_dump(exclude_defaults=True)}
        else:
            own.metrics.lines.inc(len(one.log_seq) if isinstance(one, NamedSequence) else 0)
            yield answer(own, served, result, name).model_dump()


def _parsed(line: bytes, own: Service) -> NamedSequence | Problem:
    try:
        one = NamedSequence.model_validate(parse_json(line))
        check_lines(one.log_seq, own.limits)
    except Problem as problem:
        return problem
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False, include_input=False, include_context=False)
        pointer = ("#/" + "/".join(map(str, first["loc"])))[:LONGEST_POINTER]
        return Problem(422, "invalid", f"{pointer}: {first['msg']}", [FieldError(pointer=pointer, detail=first["msg"])])
    return one
