"""The application: routes, limits and errors put together; it listens nowhere itself.

Belongs here: the factory. Who runs it is `server`.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from apiflask import APIFlask, HTTPError
from flask import Request, Response, current_app, g
from werkzeug.exceptions import HTTPException

from logad_pipeline.lake.tables import LakeError
from logad_pipeline.serving import explain, feedback, open_inference, overview, score
from logad_pipeline.serving.access import check_access
from logad_pipeline.serving.champion import Champion, Served
from logad_pipeline.serving.keys import key_file
from logad_pipeline.serving.limits import parse_json, read_body
from logad_pipeline.serving.metrics import Metrics
from logad_pipeline.serving.openapi import complete
from logad_pipeline.serving.origin import check_origin
from logad_pipeline.serving.pages import PAGES
from logad_pipeline.serving.pages.errors import respond
from logad_pipeline.serving.problems import Problem, problem_of
from logad_pipeline.serving.request_log import observe
from logad_pipeline.serving.service import Service, put, service
from logad_pipeline.serving.sessions import prepare_sessions
from logad_pipeline.settings import Settings

_ABOUT = "Unsupervised log anomaly detection: lines in, calibrated verdicts out. 0.5 and above is an anomaly."


class BoundedRequest(Request):
    """A request whose body is read within the limits, once."""

    _parsed: tuple[Any] | None = None
    _body: bytes | None = None

    def body(self) -> bytes:
        """The body as it came.

        Raises:
            Problem: if it breaks a limit.
        """
        if self._body is None:
            own = service()
            try:
                self._body = read_body(self, own.limits)
            finally:
                own.deadlines.end(self.environ.get("gunicorn.socket"))
        return self._body

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The body as JSON, whatever it says its type is.

        Raises:
            Problem: if it breaks a limit or is no JSON.
        """
        if self._parsed is None:
            self._parsed = (parse_json(self.body()),)
        return self._parsed[0]


def create_app(settings: Settings, model: str = "") -> APIFlask:
    """The application of a deployment, not yet watching for a model: see ``extensions["logad"].champion``.

    Args:
        settings: of the deployment; its lake need not exist.
        model: a folder or registry name to serve in the champion's place.
    """
    app = APIFlask(
        "logad_pipeline.serving",
        title="logad",
        version=version("logad-pipeline"),
        docs_path=None,
        static_folder=None,  # type: ignore[arg-type]  # as Flask has it
    )
    app.request_class = BoundedRequest
    app.config.update(
        DESCRIPTION=_ABOUT,
        AUTO_SERVERS=False,
        AUTO_TAGS=True,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_404_RESPONSE=False,
        SECURITY_SCHEMES={"key": {"type": "http", "scheme": "bearer"}},
    )
    metrics = Metrics()
    champion = Champion(settings, model, metrics.tell)
    own = Service(settings, champion, key_file(settings.lake), metrics)

    def in_service(served: Served) -> None:
        metrics.loads.inc()
        metrics.model.info(
            {"name": served.name, "version": served.version, "content": served.detector.version}
        )

    champion.exchanged = in_service
    app.extensions.update(put(own))
    prepare_sessions(app, settings.serving.port)
    observe(app)
    app.before_request(check_origin)
    app.before_request(check_access)
    app.error_processor(_told)
    app.register_error_handler(HTTPException, _told_of_http)
    app.register_error_handler(LakeError, _told_of_lake)
    app.register_error_handler(Exception, _told_of_failure)
    app.spec_processor(complete)
    for part in (score, explain, feedback, overview, open_inference, *PAGES):
        app.register_blueprint(part.routes)
    return app


def _told(error: HTTPError) -> Response:
    return respond(problem_of(error))


def _told_of_http(error: HTTPException) -> Response:
    headers = dict(error.get_headers())
    return respond(problem_of(HTTPError(error.code or 500, headers=headers)))


def _told_of_lake(error: LakeError) -> Response:
    current_app.logger.warning("request %s: %s", g.get("request_id", "-"), error)
    return respond(Problem(503, "no-lake", str(error)))


def _told_of_failure(error: Exception) -> Response:
    current_app.logger.exception("request %s failed", g.get("request_id", "-"), exc_info=error)
    return respond(Problem(500, "failed", "the service failed; its log tells why, under this request's name"))
