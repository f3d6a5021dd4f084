"""One JSON line a request, with its name and never a word of what was sent.

Belongs here: naming requests, timing and logging them. What is measured is in `metrics`.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import uuid
from typing import Final, TextIO

import structlog
from flask import Flask, Response, g, request

from logad_pipeline.serving.service import service

_GIVEN_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
HEADER = "X-Request-Id"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_SHARED: Final[list[structlog.typing.Processor]] = [
    structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]  # fmt: skip
log: structlog.stdlib.BoundLogger = structlog.wrap_logger(
    logging.getLogger(__name__),
    processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    wrapper_class=structlog.stdlib.BoundLogger,
)
"""Goes through the standard library's logging, so that who has set that up decides where it ends."""


def set_up_json_logging(stream: TextIO | None = None) -> None:
    """Every log record of this process as a line of JSON on ``stream`` (stderr): ours from INFO on, those of
    libraries from WARNING on."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("logad_pipeline").setLevel(logging.INFO)


def name_request() -> None:
    """Give the request its name, the caller's own if it is a plain one, and look at the clock."""
    given = request.headers.get(HEADER, "")
    g.request_id = given if _GIVEN_NAME.fullmatch(given) else uuid.uuid4().hex
    g.began = time.perf_counter()
    service().metrics.in_flight.inc()


def log_request(response: Response) -> Response:
    """Measure and log the request, a streamed answer when it has ended.

    Its path is logged as the route has it, since a path may hold anything, and so may what stands for its method.
    """
    own, route = service(), request.url_rule.rule if request.url_rule else "none"
    began, status = g.began, response.status_code
    method = request.method if request.method in _METHODS else "other"
    facts = {"request_id": g.request_id, "method": method, "route": route, "status": status,
             "bytes": request.content_length or 0}  # fmt: skip
    response.headers[HEADER] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    if key := g.get("key"):
        facts["key"] = key.id
    if rejected := g.get("rejected"):
        own.metrics.rejected.labels(rejected).inc()
        facts["rejected"] = rejected

    def ended() -> None:
        seconds = time.perf_counter() - began
        own.metrics.requests.labels(route, method, status).inc()
        own.metrics.seconds.labels(route).observe(seconds)
        (log.warning if status >= 500 else log.info)("request", **facts, milliseconds=round(1000 * seconds, 1))

    if response.is_streamed:
        g.streams = True
        response.call_on_close(ended)
        response.call_on_close(own.metrics.in_flight.dec)
    else:
        ended()
    return response


def end_request(_error: BaseException | None) -> None:
    """It is no longer in flight, if its answer is whole."""
    if "began" in g and "streams" not in g:
        service().metrics.in_flight.dec()


def observe(app: Flask) -> None:
    """Name, time and log every request of an application."""
    app.before_request(name_request)
    app.after_request(log_request)
    app.teardown_request(end_request)
