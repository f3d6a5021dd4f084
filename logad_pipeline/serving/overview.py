"""What tells of the service itself: health, models, measures, and the page to try it at `/docs`.

Belongs here: reading alone; nothing here judges a line.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from logad_pipeline.serving.access import needs
from logad_pipeline.serving.schemas import Health, ModelOut, ModelsResponse
from logad_pipeline.serving.service import service

routes = APIBlueprint("overview", __name__, tag="Service")
_PAGE_POLICY = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@routes.get("/health/live")
@routes.output(Health)
def live() -> dict[str, Any]:
    """Whether the process answers."""
    return {"status": "alive"}


@routes.get("/health/ready")
@routes.output(Health)
@routes.doc(responses={503: "No model"})
def ready() -> dict[str, Any]:
    """Whether there is a model to judge with."""
    served, champion = service().served(), service().champion
    return {"status": "ready", "degraded": bool(champion.degraded), "reason": champion.degraded,
            "model_version": served.version}  # fmt: skip


@routes.get("/models")
@needs("read")
@routes.output(ModelsResponse)
def models() -> dict[str, Any]:
    """The versions in the registry, newest first, and which one answers."""
    champion = service().champion
    served = champion.current
    found = champion.registered()
    if served is not None and not any(version == served.version for version, _ in found):
        found = [(served.version, []), *found]
    name = served.name if served is not None else service().settings.model.name
    told = [
        ModelOut(name=name, version=version, aliases=aliases, serving=served is not None and version == served.version)
        for version, aliases in found
    ]
    return {"models": told, "degraded": bool(champion.degraded), "reason": champion.degraded}


@routes.get("/metrics")
@needs("read")
def metrics() -> Response:
    """Measures in Prometheus' format."""
    own = service()
    own.metrics.ready.set(own.champion.current is not None)
    own.metrics.degraded.set(bool(own.champion.degraded))
    return Response(own.metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")


@routes.get("/docs")
@routes.doc(hide=True)
def page() -> Response:
    """A page to try the API on; it needs no other host."""
    response = Response(_page(), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _PAGE_POLICY
    return response


@cache
def _page() -> bytes:
    return (files("logad_pipeline.serving") / "try.html").read_bytes()
