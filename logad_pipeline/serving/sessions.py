"""Who looks at the pages with a browser: signed in with a key, and holding a token that no other site can know.

Belongs here: the signed cookie. It names the key and never holds it; the secret that signs it lives as long as the
process, so that a restart signs everybody out.
"""

from __future__ import annotations

import secrets
import time
from datetime import timedelta
from hmac import compare_digest
from typing import Final

from flask import Flask, Request, session

from logad_pipeline.serving.keys import ApiKey, KeyFile
from logad_pipeline.serving.problems import Problem

PAGES_PREFIX: Final = "pages-"
"""Names of blueprints whose routes are for browsers begin so; only they know the cookie."""
_SECONDS: Final = 12 * 3600
_KEY, _HASH, _SINCE, _TOKEN = "key", "hash", "since", "token"


def prepare_sessions(app: Flask, port: int) -> None:
    """Give the application its secret, and the cookie its bounds; browsers do not tell cookies of two ports apart."""
    app.secret_key = secrets.token_bytes(32)
    app.permanent_session_lifetime = timedelta(seconds=_SECONDS)
    app.config.update(
        SESSION_COOKIE_NAME=f"logad_{port}", SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Strict",
        SESSION_REFRESH_EACH_REQUEST=False,
    )  # fmt: skip


def is_page(request: Request) -> bool:
    """Whether a route for browsers answers."""
    return (request.blueprint or "").startswith(PAGES_PREFIX)


def sign_in(key: ApiKey) -> None:
    """Let this browser act with a key for twelve hours, or until the key is revoked."""
    session.clear()
    session[_KEY], session[_HASH], session[_SINCE] = key.id, key.hash[:16], int(time.time())


def sign_out() -> None:
    """Forget the browser."""
    session.clear()


def signed_in(keys: KeyFile) -> ApiKey | None:
    """The key that this browser signed in with, if there still is one."""
    if time.time() - session.get(_SINCE, 0) > _SECONDS:
        return None
    return next((key for key in keys.all() if key.id == session.get(_KEY) and key.hash[:16] == session[_HASH]), None)


def form_token() -> str:
    """What a form must bring back, the same for all forms of a browser."""
    if _TOKEN not in session:
        session[_TOKEN] = secrets.token_urlsafe(24)
    return str(session[_TOKEN])


def check_token(presented: str) -> None:
    """Refuse a form that was not filled in on one of our pages in this browser.

    Raises:
        Problem: 403.
    """
    if not compare_digest(presented.encode(), str(session.get(_TOKEN, "")).encode()) or _TOKEN not in session:
        raise Problem(403, "form-expired", "this form is of an earlier start of the service, or of no page of it; "
                      "load the page again and send it once more")  # fmt: skip
