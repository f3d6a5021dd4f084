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
    """Measure and log the request; its path is logged as the route has it, since a path may hold anything."""
    own, route = service(), request.url_rule.rule if request.url_rule else "none"
    seconds = time.perf_counter() - g.began
    status = response.status_code
    own.metrics.requests.labels(route, request.method, status).inc()
    own.metrics.seconds.labels(route).observe(seconds)
    if rejected := g.get("rejected"):
        own.metrics.rejected.labels(rejected).inc()
    response.headers[HEADER] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    facts = {"request_id": g.request_id, "method": request.method, "route": route, "status": status,
             "milliseconds": round(1000 * seconds, 1), "bytes": request.content_length or 0}  # fmt: skip
    if key := g.get("key"):
        facts["key"] = key.id
    if rejected:
        facts["rejected"] = rejected
    (log.warning if status >= 500 else log.info)("request", **facts)
    return response


def end_request(_error: BaseException | None) -> None:
    """It is no longer in flight."""
    if "began" in g:
        service().metrics.in_flight.dec()


def observe(app: Flask) -> None:
    """Name, time and log every request of an application."""
    app.before_request(name_request)
    app.after_request(log_request)
    app.teardown_request(end_request)
