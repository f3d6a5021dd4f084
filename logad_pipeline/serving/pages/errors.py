"""An error as its reader wants it: a page for a browser that asked for one of ours, problem details for all else."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlencode

from flask import Response, g, request

from logad_pipeline.serving import problems
from logad_pipeline.serving.pages.rendering import go_to, here, page
from logad_pipeline.serving.problems import Problem
from logad_pipeline.serving.sessions import is_page


def respond(problem: Problem) -> Response:
    """The problem as a response; a browser that lacks a key is led to the page to sign in on."""
    if not _wants_page():
        return problems.respond(problem)
    g.rejected = problem.reason
    if problem.status_code == HTTPStatus.UNAUTHORIZED:
        return go_to("/sign-in?" + urlencode({"next": here() if request.method == "GET" else "/"}))
    response = page(
        "error.html.j2", problem.status_code, title=HTTPStatus(problem.status_code).phrase,
        detail=str(problem.message), number=problem.status_code, name=g.get("request_id", "-"),
    )  # fmt: skip
    if "Retry-After" in dict(problem.headers):
        response.headers["Retry-After"] = dict(problem.headers)["Retry-After"]
    return response


def _wants_page() -> bool:
    """Browsers name text/html; other clients take anything."""
    named = any(kind.lower() in ("text/html", "application/xhtml+xml") for kind, _ in request.accept_mimetypes)
    return named and (is_page(request) or request.endpoint is None)
