"""Runs the application: gunicorn, or waitress where there is none.

Belongs here: processes, sockets and signals. One process with many threads: a second one would hold the model a
second time, and could not read windows of two requests together.
"""

from __future__ import annotations

import ctypes
import io
import logging
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import uuid
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any

from logad_pipeline.detectors.ensemble import ModelNotFound
from logad_pipeline.serving.prompt_input import prompt_input
from logad_pipeline.settings import Settings

if TYPE_CHECKING:
    from apiflask import APIFlask

log = logging.getLogger(__name__)

_STALLED_SECONDS = 60
_GRACE_SECONDS = 30
_M_ARENA_MAX = -8
"""As malloc.h of glibc numbers it."""
_NOT_HTTP = {
    414: "the request's first line is too long; send what is long in the body",
    417: "no such expectation can be met; leave the header Expect out",
    431: "the headers are too many or too long; send fewer",
    501: "a body comes with Content-Length, or chunked",
}


def choose_server(asked: str) -> str:
    """gunicorn or waitress: the one asked for, or with ``auto`` the first that is installed.

    Raises:
        ValueError: if it is not installed, or unknown.
    """
    if asked not in ("auto", "gunicorn", "waitress"):
        raise ValueError(f"server '{asked}' is not known; use auto, gunicorn or waitress")
    for name in ("gunicorn", "waitress") if asked == "auto" else (asked,):
        # gunicorn can be installed where it cannot run: it forks.
        if find_spec(name) is not None and (name == "waitress" or hasattr(signal, "SIGQUIT")):
            return name
    raise ValueError(f"{asked} is not installed; pip install {'waitress' if asked == 'auto' else asked}")


def run(settings: Settings, model: str, server: str, listener: socket.socket) -> None:
    """Answer requests until Ctrl-C or SIGTERM. At SIGTERM those under way are finished first, if that takes no more
    than half a minute, and streams are ended with a word.

    Args:
        settings: of the deployment.
        model: a folder or registry name to serve in the champion's place.
        server: as :func:`choose_server` takes it.
        listener: what `listening.listen` gave.

    Raises:
        ValueError: as for :func:`choose_server`.
        ModelNotFound: if there is no such model, or it cannot judge.
    """
    chosen = choose_server(server)
    _share_arenas()
    if chosen == "gunicorn":
        with tempfile.TemporaryFile() as told:
            _run_gunicorn(settings, model, listener, told)
    else:
        _run_waitress(settings, model, listener)


def _share_arenas() -> None:
    """Have threads share what they allocate from. glibc gives each of them an arena of its own, and each keeps what
    a forward pass took: with many threads memory grows for long, to a hundred MiB more. Other libraries do not."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)


def watching_app(settings: Settings, model: str) -> APIFlask:
    """The application, with JSON logs, looking for its model.

    Raises:
        ModelNotFound: if a model was named and is not there, or cannot judge.
    """
    from logad_pipeline.serving.app import create_app
    from logad_pipeline.serving.request_log import set_up_json_logging

    set_up_json_logging()
    app = create_app(settings, model)
    champion = app.extensions["logad"].champion
    champion.load_named()
    champion.watch()
    return app


def _run_gunicorn(settings: Settings, model: str, listener: socket.socket, told: IO[bytes]) -> None:
    """Serve. The worker, which loads the model, writes in ``told`` why there is none, for the process that waits."""
    from gunicorn.app.base import BaseApplication

    limits, address = settings.serving, f"fd://{listener.detach()}"

    class Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in {
                "bind": address, "workers": 1, "threads": limits.threads, "proc_name": "logad",
                "worker_class": _worker_class(), "graceful_timeout": _GRACE_SECONDS, "timeout": 120,
                "keepalive": 30, "loglevel": "warning", "control_socket_disable": True,
                "worker_connections": max(1000, 2 * limits.threads), "child_exit": give_up,
            }.items():  # fmt: skip
                self.cfg.set(name, value)

        def load(self) -> APIFlask:
            try:
                app = watching_app(settings, model)
            except ModelNotFound as error:
                told.write(str(error).encode())
                told.flush()
                raise SystemExit from error
            app.wsgi_app = prompt_input(app.wsgi_app)  # type: ignore[method-assign]
            return app

    def give_up(arbiter: Any, worker: Any) -> None:
        if told.seek(0, io.SEEK_END):
            arbiter.stop()
            told.seek(0)
            raise SystemExit(told.read().decode())

    try:
        Server().run()
    except SystemExit as end:
        if isinstance(end.code, str):
            raise ModelNotFound(end.code) from end
        raise


def _worker_class() -> type[Any]:
    from gunicorn.util import write_nonblock
    from gunicorn.workers.gthread import ThreadWorker

    class BoundedWorker(ThreadWorker):  # type: ignore[misc]
        """Gives a client that sends or takes its bytes too slowly its thread for a bounded time only, and tells what
        is no HTTP so as the application tells its errors."""

        def handle_exit(self, sig: int, frame: Any) -> None:
            if (app := getattr(self, "wsgi", None)) is not None:
                app.extensions["logad"].stopping = True
            super().handle_exit(sig, frame)

        def handle_quit(self, sig: int, frame: Any) -> None:
            # Ctrl-C comes from the terminal and, a moment later, from the master: it would cut the end in two.
            for again in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(again, lambda *_: None)
            super().handle_quit(sig, frame)

        def set_accept_enabled(self, enabled: bool) -> None:
            super().set_accept_enabled(enabled)
            if not self.alive:
                # Who has connected is answered; who comes now is refused at once, not left to wait and dropped.
                for listener in self.sockets:
                    self._accept_waiting(listener)
                    listener.close()
                self._end_idle()

        def _end_idle(self) -> None:
            """Answer what has come on connections that were kept, and close the others: a browser or a proxy that
            asks nothing would have the whole grace."""
            self.wait_for_and_dispatch_events(timeout=0)
            for kept in (self.keepalived_conns, self.pending_conns):
                while kept:
                    conn = kept.popleft()
                    self.poller.unregister(conn.sock)
                    self.nr_conns -= 1
                    conn.close()

        def _accept_waiting(self, listener: Any) -> None:
            before = -1
            while before < self.nr_conns < self.worker_connections:
                before = self.nr_conns
                self.accept(listener)

        def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
            status, headers, body = _refusal(self.wsgi, _status_of(exc), exc)
            head = "".join(f"{name}: {value}\r\n" for name, value in headers)
            try:
                write_nonblock(client, f"HTTP/1.1 {status}\r\nConnection: close\r\n{head}\r\n".encode() + body)
            except OSError as error:
                log.debug("who sent no HTTP has gone: %s", error)

        def handle(self, conn: Any) -> Any:
            # A kernel's timeval; a stream may go on for long, but not stand still.
            stalled = struct.pack("ll", _STALLED_SECONDS, 0)
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                conn.sock.setsockopt(socket.SOL_SOCKET, option, stalled)
            again = self._handle_one(conn)
            # What was read ahead is the next request: no socket becomes readable for it.
            while again is True and self.alive and not conn.is_http2 and conn.parser.unreader.buf.getvalue():
                again = self._handle_one(conn)
            return again

        def _handle_one(self, conn: Any) -> Any:
            own = self.wsgi.extensions["logad"]
            own.deadlines.begin(conn.sock, own.limits.read_seconds)
            try:
                return super().handle(conn)
            finally:
                own.deadlines.end(conn.sock)

        def handle_request(self, req: Any, conn: Any) -> bool:
            again = super().handle_request(req, conn)
            return bool(again) and conn.sock not in self.wsgi.extensions["logad"].given_up

        def notify(self) -> None:
            super().notify()
            for late in self.wsgi.extensions["logad"].deadlines.late():
                try:
                    # Reading ends there, as if the client had stopped; it can still be told so.
                    late.shutdown(socket.SHUT_RD)
                except OSError as error:
                    log.debug("a slow client has gone: %s", error)

    return BoundedWorker


def _status_of(error: BaseException) -> int:
    """Of what gunicorn could not read, or 500 for a failure of its own."""
    from gunicorn.http import errors

    for kind, status in (
        (errors.LimitRequestLine, 414), (errors.ExpectationFailed, 417), (errors.LimitRequestHeaders, 431),
        (errors.UnsupportedTransferCoding, 501), (errors.ParseException, 400),
    ):  # fmt: skip
        if isinstance(error, kind):
            return status
    return 500


def _refusal(
    app: APIFlask, status: int, error: BaseException | None = None
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status line, headers and body for a request that never reached the application; logged by its name, and
    without a byte of what came."""
    from flask import g

    from logad_pipeline.serving.limits import too_large
    from logad_pipeline.serving.problems import Problem, respond
    from logad_pipeline.serving.request_log import HEADER

    name, own = uuid.uuid4().hex, app.extensions["logad"]
    if status == 500:
        log.error("request %s failed before it was read", name, exc_info=error)
        problem = Problem(500, "failed", "the service failed; its log tells why, under this request's name")
    else:
        log.info("request %s is refused with %d before it was read", name, status)
        said = _NOT_HTTP.get(status, "this is not HTTP that can be understood")
        problem = too_large(own.limits.max_body_bytes) if status == 413 else Problem(status, "not-http", said)
    own.metrics.rejected.labels(problem.reason).inc()
    with app.app_context():
        g.request_id = name
        response = respond(problem)
    headers = [(HEADER, name), *response.headers.to_wsgi_list()]
    return response.status, headers, response.get_data()


def _run_waitress(settings: Settings, model: str, listener: socket.socket) -> None:
    from waitress import wasyncore
    from waitress.channel import HTTPChannel
    from waitress.server import BaseWSGIServer, create_server
    from waitress.task import ErrorTask, ThreadedTaskDispatcher

    limits = settings.serving
    app = watching_app(settings, model)
    threads = ThreadedTaskDispatcher()
    threads.set_thread_count(limits.threads)
    sockets: dict[int, Any] = {}
    create_server(
        app, map=sockets, _dispatcher=threads, sockets=[listener], threads=limits.threads,
        ident="logad", channel_timeout=int(_STALLED_SECONDS), max_request_body_size=limits.max_body_bytes + 1,
    )  # fmt: skip

    class ProblemTask(ErrorTask):  # type: ignore[misc]
        """Tells what is no HTTP, or more than may be, so as the application tells its errors."""

        def execute(self) -> None:
            self.status, headers, body = _refusal(app, self.request.error.code)
            self.response_headers.extend(headers)
            self.set_close_on_finish()
            self.content_length = len(body)
            self.write(body)

    class Channel(HTTPChannel):  # type: ignore[misc]
        error_task_class = ProblemTask

    servers = [each for each in sockets.values() if isinstance(each, BaseWSGIServer)]
    stopping = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stopping.set())
    for server in servers:
        server.channel_class = Channel
    while not stopping.is_set():
        wasyncore.loop(timeout=0.5, map=sockets, count=1)
    for server in servers:
        server.accepting = False
    # waitress itself drops what waits for a thread, and after five seconds what has one.
    until = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < until and (threads.queue or threads.active_count or _unsent(sockets)):
        wasyncore.loop(timeout=0.1, map=sockets, count=1)
    threads.shutdown(timeout=1)


def _unsent(sockets: dict[int, Any]) -> bool:
    return any(getattr(each, "total_outbufs_len", 0) for each in sockets.values())
