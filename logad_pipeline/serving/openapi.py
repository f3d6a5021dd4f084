"""The OpenAPI document where the framework leaves gaps: problems, keys, streams, and limits of the deployment.

Belongs here: the document alone.
"""

from __future__ import annotations

from typing import Any, Final

from flask import current_app

from logad_pipeline.serving.access import scope_of
from logad_pipeline.serving.problems import PROBLEM_TYPE, ProblemDetails
from logad_pipeline.serving.service import service
from logad_pipeline.serving.streaming import NDJSON

_REF: Final = "#/components/schemas/"
_OF_ALL: Final = {"500": "The service failed"}
_OF_BODIES: Final = {
    "400": "No JSON, or cut off", "408": "The body came too slowly", "413": "More than a request may hold",
    "422": "Not as documented here", "503": "No model",
}  # fmt: skip
_OF_KEYS: Final = {"401": "A key is needed", "403": "The key may not do this", "429": "The key asks too often"}


def complete(document: dict[Any, Any] | str) -> dict[Any, Any] | str:
    """The framework's document with what every answer may be; it is no text, which it would be as YAML."""
    assert isinstance(document, dict)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    described = ProblemDetails.model_json_schema(ref_template=_REF + "{model}")
    schemas |= described.pop("$defs", {}) | {"ProblemDetails": described}
    limits = service().limits
    for name in ("ScoreRequest", "ExplainRequest", "NamedSequence"):
        for title, schema in schemas.items():
            if title.rpartition(".")[2] == name and "properties" in schema:
                lines = schema["properties"]["log_seq"]
                lines["maxItems"], lines["items"]["maxLength"] = limits.max_lines, limits.max_line_chars
                lines["items"]["pattern"] = "^[^\\u0000]*$"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete_operation(path, method, operation)
    return document


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    errors = dict(_OF_ALL)
    scope = scope_of(_endpoint(path, method))
    if scope is not None:
        operation["security"] = [{"key": []}, {}] if not service().limits.needs_keys() else [{"key": []}]
        operation["description"] = f"{operation.get('description', '')}\n\nScope of the key: {scope}.".strip()
        errors |= _OF_KEYS
    if body := operation.get("requestBody"):
        errors |= _OF_BODIES
        body["required"] = True
    if "{" in path:
        errors["404"] = "No such model"
    responses = operation["responses"]
    if not any(status.startswith("2") for status in responses):
        responses["200"] = {"description": "Successful response", "content": {"application/json": {"schema": {}}}}
    for status, description in errors.items():
        responses.setdefault(status, {"description": description})
    for status, response in responses.items():
        if not status.startswith("2"):
            response["content"] = {PROBLEM_TYPE: {"schema": {"$ref": f"{_REF}ProblemDetails"}}}
    if path == "/metrics":
        responses["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    if path == "/score_batch":
        described = {"schema": {"type": "string", "description": "One JSON object a line"}}
        responses["200"]["content"][NDJSON] = operation["requestBody"]["content"][NDJSON] = described


def _endpoint(path: str, method: str) -> str | None:
    for rule in current_app.url_map.iter_rules():
        shown = "".join("{" + part.rpartition(":")[2] + "}" if variable else part
                        for variable, part in _parts(rule.rule))  # fmt: skip
        if shown == path and method.upper() in (rule.methods or ()):
            return str(rule.endpoint)
    return None


def _parts(rule: str) -> list[tuple[bool, str]]:
    """A route's text and variables by turns: ``/models/<name>`` is ``/models/`` and ``name``."""
    pieces = rule.replace(">", "<").split("<")
    return [(place % 2 == 1, piece) for place, piece in enumerate(pieces)]
