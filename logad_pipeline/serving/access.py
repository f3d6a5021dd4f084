"""Who may ask: reads the key of a request, and refuses one that is missing, wrong, over, too weak or too busy.

Belongs here: the check before every request. How keys are kept is in `keys`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from flask import current_app, g, request

from logad_pipeline.serving.keys import ApiKey
from logad_pipeline.serving.problems import Problem
from logad_pipeline.serving.service import Service, service
from logad_pipeline.serving.sessions import is_page, signed_in

View = TypeVar("View", bound=Callable[..., Any])
_MARK = "_needed_scope"


def needs(scope: str) -> Callable[[View], View]:
    """Mark a view as one that a key with this scope is needed for; put it below the route."""

    def mark(view: View) -> View:
        setattr(view, _MARK, scope)
        return view

    return mark


def scope_of(endpoint: str | None) -> str | None:
    """The scope that an endpoint needs; ``None`` for those that are open to all."""
    return getattr(current_app.view_functions.get(endpoint or ""), _MARK, None)


def check_access() -> None:
    """Refuse the request unless its key may make it; where keys are not needed everybody may.

    Raises:
        Problem: 401, 403 or 429.
    """
    scope, own = scope_of(request.endpoint), service()
    if scope is None or not own.limits.needs_keys():
        return
    presented = _presented()
    key = own.keys.find(presented) if presented else signed_in(own.keys) if is_page(request) else None
    if not presented and key is None:
        raise _refused("key-missing", "send a key as `Authorization: Bearer KEY`; `logad key create` makes one")
    if key is None:
        raise _refused("key-wrong", "this key is not known; `logad key list` shows those that are")
    if key.expired(datetime.now(UTC)):
        raise _refused("key-expired", f"the key {key.id} expired on {key.expires}; make a new one")
    g.key = key
    if scope not in key.scopes:
        raise Problem(403, "scope-missing", f"the key {key.id} has not the scope '{scope}' that this needs")
    wait = own.rate_limit.wait(key.id, key.requests_per_minute or own.limits.requests_per_minute)
    if wait:
        raise Problem(429, "too-many-requests", f"the key {key.id} asks too often; wait {wait:.1f} seconds",
                      headers={"Retry-After": str(math.ceil(wait))})  # fmt: skip


def charge(own: Service, key: ApiKey | None, sequences: int) -> float:
    """Count sequences of a request whose key was checked, beyond the one that the request itself counts as; the
    seconds until the key may ask again. Where keys are not needed nothing is counted."""
    if key is None or sequences < 1:
        return 0.0
    return own.rate_limit.charge(key.id, key.requests_per_minute or own.limits.requests_per_minute, sequences)


def _presented() -> str:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else request.headers.get("X-API-Key", "")


def _refused(reason: str, detail: str) -> Problem:
    return Problem(401, reason, detail, headers={"WWW-Authenticate": "Bearer"})
