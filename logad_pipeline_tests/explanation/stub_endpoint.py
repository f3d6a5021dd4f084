"""An OpenAI-compatible endpoint that answers what a test wants, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = {
    "summary": "A kernel panic stopped the host in the middle of a session.",
    "likely_cause": "The kernel met a fatal exception.",
    "check_next": ["Read the console of the host."],
    "confidence": "medium",
}


def completion(content: object, *, refusal: str | None = None, finish_reason: str = "stop") -> bytes:
    """A chat completion with this content, as an endpoint sends it."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return json.dumps({
        "id": "c-1", "object": "chat.completion", "created": 0, "model": "stub",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
    }).encode()  # fmt: skip


class Stub:
    """``answer`` makes (status, body) of the request; ``delay`` seconds pass before it, ``drip`` after each byte,
    ``stall`` in the middle; with ``cut`` the connection ends there. With ``header_drip`` header lines come that far
    apart, four hundred of them; ``left`` is set when the client goes before the last."""

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], tuple[int, bytes]] = lambda request: (200, completion(GOOD))
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.delay = 0.0
        self.drip = 0.0
        self.stall = 0.0
        self.header_drip = 0.0
        self.left = threading.Event()
        self.cut = False
        self.url = ""


@contextmanager
def stub_endpoint() -> Iterator[Stub]:
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.requests.append(request)
            stub.headers.append({name.lower(): value for name, value in self.headers.items()})
            time.sleep(stub.delay)
            status, body = stub.answer(request)
            if not stub.header_drip:
                self.send_response(status)
            elif not self._headers_drip(status):
                return
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                if stub.drip:
                    for byte in body:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                        time.sleep(stub.drip)
                else:
                    half = len(body) // 2
                    self.wfile.write(body[:half])
                    self.wfile.flush()
                    time.sleep(stub.stall)
                    if stub.cut:
                        self.close_connection = True
                        return
                    self.wfile.write(body[half:])
            except OSError:
                pass  # the client has gone, as it should

        def _headers_drip(self, status: int) -> bool:
            self.wfile.write(f"HTTP/1.0 {status} OK\r\n".encode())
            for number in range(400):
                try:
                    self.wfile.write(f"x-{number}: {number}\r\n".encode())
                except OSError:
                    stub.left.set()
                    return False
                time.sleep(stub.header_drip)
            return True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
