"""A template and its values as a response: escaped, with a policy that lets nothing in but our own style.

Belongs here: what all triage pages share. What a page says is in the file of its route.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from flask import Response, flash, g, get_flashed_messages, request, session

from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.reporting.page import common_style, page_environment
from logad_pipeline.serving.service import service
from logad_pipeline.serving.sessions import form_token

if TYPE_CHECKING:
    from jinja2 import Environment

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    # Not none: a form must say where it comes from.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Fill in a template; all text is escaped, and a name that it lacks is an error."""
    key = g.get("key")
    text = _environment().get_template(template).render(
        threshold=THRESHOLD, token=form_token(), told=get_flashed_messages(), style=style_address(),
        dagster=dagster_pages(), mlflow=mlflow_pages(), here=here(),
        signed_in=key.name if key and "key" in session else "", may_answer=not key or "feedback" in key.scopes,
        **{"query": "", **values},
    )  # fmt: skip
    return Response(text, status, headers=_HEADERS, content_type="text/html; charset=utf-8")


def tell(text: str) -> None:
    """Say something at the top of the next page that this browser is shown."""
    flash(text)


def go_to(path: str) -> Response:
    """Lead the browser on; ``path`` must be one of `local_path`."""
    return Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})


def here() -> str:
    """Path and query of the page that is shown."""
    query = request.query_string.decode("ascii", "replace")
    return f"{request.path}?{query}" if query else request.path


def local_path(path: str) -> str:
    """A path of this service that a form or an address named; ``/`` for what would lead to another."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isascii() and path.isprintable()
    return path if plain else "/"


def mlflow_pages() -> str:
    """Address of MLflow's pages; ``""`` where it is not known."""
    settings = service().settings
    server = settings.tracking_uri if settings.tracking_uri.startswith(("http://", "https://")) else ""
    return without_login(settings.serving.mlflow_url or server)


def dagster_pages() -> str:
    """Address of Dagster's pages; ``""`` where it is not known."""
    return without_login(service().settings.serving.dagster_url)


def without_login(url: str) -> str:
    """An address to link to: a page is seen by more people than may log in there as the service does."""
    return re.sub(r"^(https?://)[^/]*@", r"\1", url).rstrip("/")


@cache
def style_text() -> str:
    """The style of the pages: that of the reports and their own."""
    return common_style() + (files(__package__) / "templates" / "triage.css").read_text(encoding="utf-8")


@cache
def style_address() -> str:
    """Where the style is, by its content, so that a browser may keep it."""
    return f"/triage/{hashlib.sha256(style_text().encode()).hexdigest()[:12]}.css"


@cache
def _environment() -> Environment:
    return page_environment("logad_pipeline.serving.pages")
