"""`/sign-in` and `/sign-out`: a key is exchanged for a cookie of this browser.

Belongs here: the two routes. What the cookie holds is in `sessions`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from apiflask import APIBlueprint
from flask import Response

from logad_pipeline.serving.pages.asked import form_values, word
from logad_pipeline.serving.pages.rendering import go_to, local_path, page
from logad_pipeline.serving.service import service
from logad_pipeline.serving.sessions import PAGES_PREFIX, check_token, sign_in, sign_out

routes = APIBlueprint(f"{PAGES_PREFIX}signing", __name__, enable_openapi=False)


@routes.get("/sign-in")
def form() -> Response:
    """The page to give a key on; where none is needed there is nothing to sign in to."""
    path = local_path(word("next", 2000))
    return page("sign_in.html.j2", next=path, wrong="") if service().limits.needs_keys() else go_to(path)


@routes.post("/sign-in")
def enter() -> Response:
    """Take the key."""
    sent, own = form_values(("token", "key", "back")), service()
    check_token(sent["token"])
    if not own.limits.needs_keys():
        return go_to("/")
    key = own.keys.find(sent["key"])
    if key is None or key.expired(datetime.now(UTC)):
        wrong = "This key is not known or has expired."
    elif "read" not in key.scopes:
        wrong = f"The key {key.id} has not the scope 'read', which the pages need."
    else:
        sign_in(key)
        return go_to(local_path(sent["back"]))
    return page("sign_in.html.j2", 403, next=local_path(sent["back"]), wrong=wrong)


@routes.post("/sign-out")
def leave() -> Response:
    """Forget this browser."""
    check_token(form_values(("token",))["token"])
    sign_out()
    return go_to("/sign-in")
