"""Streams of sequences: bounded in number, time and rate, and ended with a word."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from apiflask import APIFlask
from werkzeug.test import TestResponse

from logad_pipeline_tests.serving.conftest import MakeApp, own
from logad_pipeline_tests.serving.test_api import problem


class Endless(io.RawIOBase):
    """A body that goes on with the same line until it is told to wait, and then waits to be let go."""

    def __init__(self, line: bytes, lines: int) -> None:
        self.line, self.lines, self.let_go = line, lines, threading.Event()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.lines:
            self.let_go.wait(60)
            return 0
        self.lines -= 1
        buffer[: len(self.line)] = self.line
        return len(self.line)


def open_stream(app: APIFlask, body: Endless) -> TestResponse:
    """A stream that is open, whose first row has come."""
    environ = {"wsgi.input": io.BufferedReader(body), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    return app.test_client().post(
        "/score_batch", content_type="application/x-ndjson", environ_overrides=environ, buffered=False
    )


def eventually(is_so: Callable[[], bool]) -> bool:
    for _ in range(600):
        if is_so():
            return True
        time.sleep(0.05)
    return False


def reading_threads() -> int:
    return sum(thread.name == "score_batch" for thread in threading.enumerate())


LINE = json.dumps({"log_seq": ["usual"]}).encode() + b"\n"


def test_a_stream_is_slowed_to_the_rate_of_its_key(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logad_pipeline.serving.streaming._TOGETHER", 4)
    app = make_app(require_keys=True)
    service = own(app)
    rested: list[float] = []
    monkeypatch.setattr("logad_pipeline.serving.streaming._Incoming.rest", lambda _, wait: rested.append(wait))
    key = service.keys.create("busy", ["score"], requests_per_minute=60)
    body = (json.dumps({"log_seq": ["a"]}) + "\n") * 14
    response = app.test_client().post(
        "/score_batch", data=body, content_type="application/x-ndjson", headers={"X-API-Key": key}
    )
    assert len(response.text.splitlines()) == 14
    assert max(rested) == pytest.approx(14 - 6, abs=3)


def test_a_client_that_leaves_takes_the_thread_that_reads_it_along(app: APIFlask) -> None:
    before = reading_threads()
    stream = open_stream(app, Endless(LINE, 10_000))
    assert next(iter(stream.response))
    stream.close()
    assert eventually(lambda: reading_threads() == before), "the thread waits for somebody to take what it read"


def test_streams_leave_room_for_other_requests(make_app: MakeApp) -> None:
    app = make_app(max_streams=2)
    quiet = [Endless(LINE, 1) for _ in range(3)]
    streams = [open_stream(app, body) for body in quiet[:2]]
    refused = open_stream(app, quiet[2])
    assert refused.headers["Retry-After"]
    assert "serving.max_streams" in problem(refused, 503, "too-many-streams")["detail"]
    measured = app.test_client().get("/metrics").text
    assert "logad_requests_in_flight 3.0" in measured, "two streams, and the one that asks"
    for body in quiet:
        body.let_go.set()
    for stream in streams:
        stream.close()
    measured = app.test_client().get("/metrics").text
    assert "logad_requests_in_flight 1.0" in measured
    assert 'logad_request_seconds_count{endpoint="/score_batch"} 3.0' in measured
    assert app.test_client().post("/score_batch", data=LINE, content_type="application/x-ndjson").status_code == 200


def test_as_many_streams_as_threads_are_never_open(make_app: MakeApp) -> None:
    assert own(make_app(threads=4, max_streams=100)).most_streams == 3


def test_a_stream_that_stands_still_is_ended_with_a_word(make_app: MakeApp) -> None:
    body = Endless(LINE, 1)
    rows = [json.loads(row) for row in open_stream(make_app(stream_idle_seconds=0.2), body).text.splitlines()]
    body.let_go.set()
    assert "problem" not in rows[0]
    assert (rows[1]["problem"]["status"], rows[1]["problem"]["type"]) == (408, "urn:logad:problem:idle")


def test_a_stream_says_so_when_the_service_stops(app: APIFlask) -> None:
    body = Endless(LINE, 1)
    stream = open_stream(app, body)
    rows = iter(stream.response)
    assert b"problem" not in next(rows)  # type: ignore[operator]
    own(app).stopping = True
    [last] = [json.loads(row) for row in rows]
    body.let_go.set()
    assert last["problem"]["type"] == "urn:logad:problem:stopping"
