"""Which sites may send a browser here: none but our own pages.

Belongs here: the check of `Host` and `Origin` before every request. Where no key is needed, being on this machine
is all that protects the service, and a browser on this machine does what the page that it shows tells it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Request, request

from logad_pipeline.serving.problems import Problem
from logad_pipeline.serving.service import service
from logad_pipeline.settings import ServingSettings, is_loopback

_READING = ("GET", "HEAD", "OPTIONS")


def check_origin() -> None:
    """Refuse what another site made a browser send.

    On loopback without keys the `Host` must be this machine or one of ``serving.allowed_hosts``: another name that
    leads here is a site that had itself resolved to this machine in order to read the answers.

    Raises:
        Problem: 403.
    """
    limits = service().limits
    if not limits.needs_keys() and is_loopback(limits.host) and not _is_ours(_name(request.host), limits):
        raise Problem(403, "host-unknown", "this service answers on this machine's own address only; if a proxy hands "
                      "on requests under another name, list that name in serving.allowed_hosts")  # fmt: skip
    if request.method not in _READING and _is_foreign(request, limits):
        raise Problem(403, "other-site", "another site's page asked for this, and may not; behind a proxy hand on the "
                      "Host header, or list its name in serving.allowed_hosts")  # fmt: skip


def _is_ours(name: str, limits: ServingSettings) -> bool:
    return is_loopback(name) or name in (limits.host, *limits.allowed_hosts)


def _is_foreign(asked: Request, limits: ServingSettings) -> bool:
    """Whether a browser says that it was another site's page that asked; other clients say nothing."""
    origin = asked.headers.get("Origin")
    if origin is None:
        return asked.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
    # The scheme is not compared: behind a proxy that ends TLS it is another.
    return urlsplit(origin).netloc != asked.host and _name(urlsplit(origin).netloc) not in limits.allowed_hosts


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
