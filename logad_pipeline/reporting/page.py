"""A template and its values as one HTML document that opens without a network.

Belongs here: what all pages share, the style and the policy that forbids everything else. What a page says is
in ``report`` and ``comparison``.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any


def render_page(template: str, **values: Any) -> str:
    """Fill in a template of ``templates/``; all text is escaped, and a name that it lacks is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("logad_pipeline.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (files("logad_pipeline.reporting") / "templates" / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return environment.get_template(template).render(style=style, style_hash=digest, **values)
