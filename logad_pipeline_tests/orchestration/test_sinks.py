"""Where notices go: a real webhook and a real file."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from logad_pipeline.orchestration.sinks import NoticeFailed, post, sinks, write_line
from logad_pipeline.settings import AlertSettings

NOTICE = {"id": "abc-2025-03-08", "text": "kernel panic", "score": 0.9}


class Receiver(HTTPServer):
    """Answers in turn with the given codes, the last one for ever, and keeps what it was sent."""

    codes: list[int]
    got: list[tuple[dict[str, Any], str | None]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Answer(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append((body, self.headers["Idempotency-Key"]))
        self.send_response(self.server.codes.pop(0) if len(self.server.codes) > 1 else self.server.codes[0])
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(("127.0.0.1", 0), Answer) as server:
        server.codes, server.got = [200], []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_webhook_gets_the_notice_under_its_name(receiver: Receiver) -> None:
    post(receiver.url, NOTICE)
    assert receiver.got == [(NOTICE, NOTICE["id"])]


def test_trouble_on_the_other_side_is_tried_again(receiver: Receiver) -> None:
    receiver.codes = [503, 500, 204]
    post(receiver.url, NOTICE, pause_seconds=0)
    assert len(receiver.got) == 3


@pytest.mark.parametrize(("code", "attempts"), [(404, 1), (500, 3)])
def test_a_refusal_says_where_and_why(code: int, attempts: int, receiver: Receiver) -> None:
    receiver.codes = [code]
    with pytest.raises(NoticeFailed, match=rf"{receiver.url}: answered {code}"):
        post(receiver.url, NOTICE, pause_seconds=0)
    assert len(receiver.got) == attempts


def test_nobody_there(receiver: Receiver) -> None:
    with pytest.raises(NoticeFailed, match=r"127\.0\.0\.1:9.*told again"):
        post("http://127.0.0.1:9/hook", NOTICE, pause_seconds=0)


def test_a_file_gets_a_line_once(tmp_path: Path) -> None:
    file = tmp_path / "new" / "alerts.jsonl"
    other = NOTICE | {"id": "abc-2025-03-09"}
    for notice in (NOTICE, NOTICE, other):
        write_line(file, notice)
    assert [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] == [NOTICE, other]
    with pytest.raises(NoticeFailed, match=str(tmp_path)):
        write_line(tmp_path, NOTICE)


def test_only_what_is_configured(tmp_path: Path) -> None:
    assert sinks(AlertSettings()) == {}
    both = sinks(AlertSettings(webhook="http://127.0.0.1:9/", file=str(tmp_path / "a.jsonl")))
    assert list(both) == ["webhook", "file"]
    with pytest.raises(ValueError, match="no http"):
        AlertSettings(webhook="ftp://x")
