"""Where notices go: a real webhook and a real file."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from logad_pipeline.lake.schemas import ALERTS
from logad_pipeline.lake.tables import Lake
from logad_pipeline.orchestration.assets.alerts import _tell
from logad_pipeline.orchestration.sinks import NoticeFailed, NoticeRefused, post, sinks, write_line
from logad_pipeline.settings import AlertSettings, load_settings

NOTICE = {"id": "abc-2025-03-08", "text": "kernel panic", "score": 0.9}


DAY = date(2025, 3, 8)


def alert_of(day: date, source: str) -> dict[str, Any]:
    """A row of the table of alerts, of one open alarm."""
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return {
        "day": day, "alert_id": f"{source}00000000000", "source": source, "group_key": "", "text_id": 1,
        "text": "kernel panic", "windows": 1, "contested": 0, "suppressed": 0, "suppression": "", "score": 0.9,
        "risk": "high", "window_ids": ["0123456789abcdef"], "first_time": moment, "last_time": moment,
        "first_seen": moment, "model_version": "1",
    }  # fmt: skip


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


@pytest.mark.parametrize(("code", "attempts"), [(400, 1), (404, 1), (422, 1), (408, 3), (425, 3), (429, 3), (500, 3)])
def test_a_refusal_says_where_and_why(code: int, attempts: int, receiver: Receiver) -> None:
    receiver.codes = [code]
    with pytest.raises(NoticeFailed, match=rf"webhook at 127\.0\.0\.1:\d+: answered {code}") as caught:
        post(receiver.url, NOTICE, pause_seconds=0)
    assert len(receiver.got) == attempts
    assert isinstance(caught.value, NoticeRefused) == (attempts == 1)


def test_a_notice_that_is_refused_holds_no_other_back(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGAD_ALERTS__WEBHOOK", receiver.url)
    monkeypatch.setenv("LOGAD_ALERTS__NOTICE_DAYS", "100000")
    monkeypatch.setattr("logad_pipeline.orchestration.sinks.time.sleep", lambda _: None)
    lake, settings = Lake(tmp_path / "lake"), load_settings(tmp_path / "lake")
    lake.create()
    for number, source in enumerate(("a", "b", "c")):
        rows = pa.RecordBatch.from_pylist([alert_of(DAY + timedelta(days=number), source)], schema=ALERTS)
        lake.replace_day("alerts", DAY + timedelta(days=number), [rows])
    receiver.codes = [413, 200]
    told, failures = _tell(lake, settings)
    assert (told, len(receiver.got)) == (2, 3)
    [refused] = failures
    assert f"{DAY}: webhook at 127.0.0.1:" in refused
    assert "answered 413" in refused
    assert "/hook" not in refused
    receiver.codes = [503]
    assert (_tell(lake, settings)[0], len(receiver.got)) == (0, 6), "three attempts at the one that is left"
    receiver.codes = [200]
    assert _tell(lake, settings) == (1, [])
    assert _tell(lake, settings) == (0, [])


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
