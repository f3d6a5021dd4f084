"""The server as a process: it starts, is patient with nobody for ever, and finishes what is under way."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from logad_pipeline_tests.lake.small_models import raw_lines


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


Running = tuple[subprocess.Popen[bytes], int]


def wait_for(url: str, process: subprocess.Popen[bytes], said: Path, tries: int) -> None:
    """Until a server answers, at most so many tenths of a second; one that has ended meanwhile fails."""
    for _ in range(tries):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert process.poll() is None, said.read_text()
            time.sleep(0.1)


@contextmanager
def serving(model: Path, folder: Path, server: str, **settings: object) -> Iterator[Running]:
    """A server that is ready, and its port; at the end it is asked to go and must have gone well."""
    port = free_port()
    environment = os.environ | {f"LOGAD_SERVING__{name.upper()}": str(value) for name, value in settings.items()}
    environment["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, "-m", "logad_pipeline", "serve", "--model", str(model), "--port", str(port),
               "--server", server, "--lake", str(folder / "lake")]  # fmt: skip
    with (folder / f"{server}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stderr=log, cwd=folder)
    try:
        wait_for(f"http://127.0.0.1:{port}/health/ready", process, folder / f"{server}.log", 600)
        yield process, port
    finally:
        process.terminate()
        assert process.wait(60) == 0, (folder / f"{server}.log").read_text()


def ask(port: int, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/score_log", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def everything_from(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


@pytest.mark.parametrize("server", ["gunicorn", "waitress"])
def test_what_is_under_way_is_finished_before_it_goes(server: str, model: Path, tmp_path: Path) -> None:
    answers: list[dict[str, Any]] = []
    with serving(model, tmp_path, server, threads=2) as (process, port):
        body = {"log_seq": [f"line {number} of {number % 17}" for number in range(2000)], "window_type": "sliding"}
        # More than there are threads: some have not begun when it is told to go.
        asking = [threading.Thread(target=lambda: answers.append(ask(port, body))) for _ in range(8)]
        for each in asking:
            each.start()
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        for each in asking:
            each.join()
        assert process.wait(60) == 0
    assert [len(answer["windows"]) for answer in answers] == [1996] * 8


def test_who_comes_while_it_stops_is_refused_at_once_and_who_was_there_is_answered(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path, "gunicorn", threads=2) as (process, port), connect(port) as early:
        body = json.dumps({"log_seq": raw_lines(3)}).encode()
        head = f"POST /score_log HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        early.sendall(head + body[:10])
        assert ask(port, {"log_seq": raw_lines(2)})["windows"], "the early one has its thread by now"
        process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionRefusedError):
            while process.poll() is None:
                connect(port).close()
                time.sleep(0.05)
        early.sendall(body[10:])
        assert b" 200 OK" in everything_from(early)
        assert process.wait(60) == 0


def test_a_connection_that_is_kept_and_asks_nothing_delays_no_end(model: Path, tmp_path: Path) -> None:
    body = json.dumps({"log_seq": raw_lines(3)}).encode()
    head = f"POST /score_log HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with serving(model, tmp_path, "gunicorn", threads=2) as (process, port), connect(port) as early:
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=25)
        kept.request("GET", "/health/live")
        assert kept.getresponse().read() is not None
        assert kept.sock, "the service keeps it for a next request"
        early.sendall(head + body[:10])
        assert ask(port, {"log_seq": raw_lines(2)})["windows"], "the early one has its thread by now"
        process.send_signal(signal.SIGTERM)
        # It ends while the service still waits for another client's last bytes.
        assert everything_from(kept.sock) == b""
        early.sendall(body[10:])
        assert b" 200 OK" in everything_from(early)
        assert process.wait(20) == 0


def test_slow_clients_are_cut_off_and_take_nobodys_place(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path, "gunicorn", read_seconds=1.5, threads=3) as (_, port):
        head = b"POST /score_log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
        slow = [connect(port) for _ in range(6)]
        for number, connection in enumerate(slow):
            # Half of them stop in the headers, the others in the body.
            connection.sendall(head + (b"\r\n{" if number % 2 else b""))
        assert ask(port, {"log_seq": raw_lines(2)})["windows"]
        received = [everything_from(connection) for connection in slow]
        for connection in slow:
            connection.close()
        told = [answer for answer in received if answer]
        assert len(told) == 3
        assert all(b" 408 " in answer and b"too-slow" in answer for answer in told)
        assert ask(port, {"log_seq": raw_lines(2)})["windows"]


def test_a_stream_is_answered_while_it_is_sent(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path, "gunicorn") as (_, port), connect(port) as connection:
        connection.sendall(
            b"POST /score_batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        received = b""
        for name in ("first", "second"):
            line = json.dumps({"id": name, "log_seq": raw_lines(5)}).encode() + b"\n"
            connection.sendall(b"%x\r\n%s\r\n" % (len(line), line))
            while f'"id": "{name}"'.encode() not in received:
                received += connection.recv(65536)
        connection.sendall(b"0\r\n\r\n")
        received += everything_from(connection)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.rstrip().endswith(b"0")


def test_a_refused_body_spoils_no_connection(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path, "gunicorn") as (_, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for _ in range(50):
            connection.request("DELETE", "/score_log", json.dumps({"log_seq": ["a"]}))
            response = connection.getresponse()
            response.read()
            assert response.status == 405
        connection.close()


def refused(port: int, request: bytes) -> tuple[int, dict[str, Any]]:
    """Status and problem that bytes are answered with."""
    with connect(port) as connection:
        connection.sendall(request)
        head, _, body = everything_from(connection).partition(b"\r\n\r\n")
    status, _, headers = head.decode().partition("\r\n")
    named = dict(line.lower().split(": ", 1) for line in headers.splitlines())
    assert named["content-type"] == "application/problem+json"
    told: dict[str, Any] = json.loads(body)
    assert told["instance"] == f"urn:logad:request:{named['x-request-id']}"
    return int(status.split()[1]), told


@pytest.mark.parametrize("server", ["gunicorn", "waitress"])
def test_what_is_no_http_is_a_problem_too_and_stands_in_no_log(server: str, model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path, server) as (_, port):
        assert refused(port, b"hunter2\r\n\r\n")[0] == 400
        assert refused(port, b"GET / HTTP/1.1\r\nHost: a\r\nhunter2 \x01: x\r\n\r\n")[0] == 400
        strange = b"POST /score_log HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: hunter2\r\n\r\n"
        assert refused(port, strange)[0] in (400, 501)
        if server == "gunicorn":
            assert refused(port, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"hunter2" * 20_000 + b"\r\n\r\n")[0] == 431
        large = b"POST /score_log HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 20000000\r\n\r\n"
        status, told = refused(port, large + b"{")
        assert (status, told["type"]) == (413, "urn:logad:problem:body-too-large")
        assert ask(port, {"log_seq": raw_lines(2)})["windows"]
    assert "hunter2" not in (tmp_path / f"{server}.log").read_text()


def test_an_open_stream_ends_with_a_word_when_the_service_stops(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path, "gunicorn", threads=2) as (process, port), connect(port) as stream:
        stream.sendall(
            b"POST /score_batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        line = json.dumps({"id": "first", "log_seq": raw_lines(5)}).encode() + b"\n"
        stream.sendall(b"%x\r\n%s\r\n" % (len(line), line))
        received = b""
        while b'"id": "first"' not in received:
            received += stream.recv(65536)
        assert ask(port, {"log_seq": raw_lines(2)})["windows"], "one of two threads is left"
        process.send_signal(signal.SIGTERM)
        received += everything_from(stream)
        assert process.wait(60) == 0
    assert b"urn:logad:problem:stopping" in received
    assert received.endswith(b"\r\n0\r\n\r\n")
