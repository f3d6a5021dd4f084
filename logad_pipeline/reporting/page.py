"""A template and its values as one HTML document that opens without a network.

Belongs here: what all pages share, the style and the policy that forbids everything else. What a page says is
in ``report`` and ``comparison``.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from logad_pipeline.reporting.text import visible

if TYPE_CHECKING:
    from jinja2 import Environment


def render_page(template: str, **values: Any) -> str:
    """Fill in a template of ``templates/``; all text is escaped, and a name that it lacks is an error."""
    style = common_style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return page_environment().get_template(template).render(style=style, style_hash=digest, **values)


def page_environment(*packages: str) -> Environment:
    """Templates of ``reporting`` and of the ``templates/`` of other packages; all text is escaped.

    Besides Jinja's own filters they have ``visible``, for what was not made so before.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    known = (*packages, "logad_pipeline.reporting")
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates") for package in known]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    return environment


def common_style() -> str:
    """The style that all pages share."""
    return (files("logad_pipeline.reporting") / "templates" / "report.css").read_text(encoding="utf-8")
