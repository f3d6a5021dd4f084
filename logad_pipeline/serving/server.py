"""Runs the application: gunicorn, or waitress where there is none.

Belongs here: processes, sockets and signals. One process with many threads: a second one would hold the model a
second time, and could not read windows of two requests together.
"""

from __future__ import annotations

import io
import logging
import signal
import socket
import struct
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from logad_pipeline.settings import Settings

if TYPE_CHECKING:
    from apiflask import APIFlask

log = logging.getLogger(__name__)

_STALLED_SECONDS = 60
_GRACE_SECONDS = 30


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


def run(settings: Settings, model: str, server: str) -> None:
    """Answer requests until SIGTERM or Ctrl-C; those under way are finished first.

    Raises:
        ValueError: as for :func:`choose_server`.
    """
    if choose_server(server) == "gunicorn":
        _run_gunicorn(settings, model)
    else:
        _run_waitress(settings, model)


def watching_app(settings: Settings, model: str) -> APIFlask:
    """The application, with JSON logs, looking for its model."""
    from logad_pipeline.serving.app import create_app
    from logad_pipeline.serving.request_log import set_up_json_logging

    set_up_json_logging()
    app = create_app(settings, model)
    app.extensions["logad"].champion.watch()
    return app


def _run_gunicorn(settings: Settings, model: str) -> None:
    from gunicorn.app.base import BaseApplication

    limits = settings.serving
    host = f"[{limits.host}]" if ":" in limits.host else limits.host

    class Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in {
                "bind": f"{host}:{limits.port}", "workers": 1, "threads": limits.threads, "proc_name": "logad",
                "worker_class": _worker_class(), "graceful_timeout": _GRACE_SECONDS, "timeout": 120,
                "keepalive": 30, "loglevel": "warning", "control_socket_disable": True,
                "worker_connections": max(1000, 2 * limits.threads),
            }.items():  # fmt: skip
                self.cfg.set(name, value)

        def load(self) -> APIFlask:
            app = watching_app(settings, model)
            app.wsgi_app = _prompt_input(app.wsgi_app)  # type: ignore[method-assign]
            return app

    Server().run()


def _prompt_input(app: Callable[..., Any]) -> Callable[..., Any]:
    """Hand on bytes of a body when they come: gunicorn's own input waits for a kilobyte, and who sends line by line
    and waits for each answer would wait for ever."""

    def with_prompt_input(environ: dict[str, Any], start_response: Any) -> Any:
        environ["wsgi.input"] = io.BufferedReader(_PromptInput(environ["wsgi.input"].reader), 1 << 16)
        return app(environ, start_response)

    return with_prompt_input


class _PromptInput(io.RawIOBase):
    """The bytes that gunicorn's reader of a body has at hand, at least one."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for a byte, and take what came with it."""
        data = self._reader.read(1)
        if data and len(buffer) > 1:
            data += self._reader.read(min(len(buffer) - 1, self._at_hand()))
        buffer[: len(data)] = data
        return len(data)

    def _at_hand(self) -> int:
        chunked = getattr(self._reader, "buf", None)
        if chunked is not None:
            return int(chunked.tell())
        return min(len(self._reader.unreader.buf.getvalue()), int(self._reader.length))


def _worker_class() -> type[Any]:
    from gunicorn.workers.gthread import ThreadWorker

    class BoundedWorker(ThreadWorker):  # type: ignore[misc]
        """Gives a client that sends or takes its bytes too slowly its thread for a bounded time only."""

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

        def notify(self) -> None:
            super().notify()
            for late in self.wsgi.extensions["logad"].deadlines.late():
                try:
                    # Reading ends there, as if the client had stopped; it can still be told so.
                    late.shutdown(socket.SHUT_RD)
                except OSError as error:
                    log.debug("a slow client has gone: %s", error)

    return BoundedWorker


def _run_waitress(settings: Settings, model: str) -> None:
    from waitress.server import create_server

    limits = settings.serving
    server = create_server(
        watching_app(settings, model), host=limits.host, port=limits.port, threads=limits.threads, ident="logad",
        channel_timeout=int(_STALLED_SECONDS),
    )  # fmt: skip

    def stop(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    server.run()
