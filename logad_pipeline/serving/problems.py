"""Errors as RFC 9457 problem details: what is wrong, where, and how to mend it.

Belongs here: their shape and how every error of the application gets it. What is an error is decided where it
happens.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from apiflask import HTTPError
from flask import Response, g, json
from pydantic import BaseModel, Field

PROBLEM_TYPE: Final = "application/problem+json"
_SHOWN: Final = 20
LONGEST_POINTER: Final = 200


class FieldError(BaseModel):
    """One thing wrong in a body."""

    pointer: str = Field(description="JSON pointer into the body, as a fragment: #/log_seq/3")
    detail: str


class ProblemDetails(BaseModel):
    """An error, after RFC 9457."""

    type: str = Field(description="urn:logad:problem:REASON; REASON is what /metrics counts by")
    title: str
    status: int
    detail: str = Field(description="What is wrong and the way out")
    instance: str = Field(description="urn:uuid-like name of the request; it stands in the service's log")
    error: str = Field(description="The detail once more, where the Open Inference protocol looks for it")
    errors: list[FieldError] = []


class Problem(HTTPError):
    """An error to be told to the caller; ``reason`` is one word or a few with hyphens."""

    def __init__(
        self, status: int, reason: str, detail: str, errors: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(status, message=detail, headers=headers or {})
        self.reason = reason
        self.errors = errors or []


def problem_of(error: HTTPError) -> Problem:
    """Any error of the framework in our shape."""
    if isinstance(error, Problem):
        return error
    if error.status_code == HTTPStatus.UNPROCESSABLE_ENTITY and isinstance(error.detail, dict) and error.detail:
        [(place, fields), *_] = error.detail.items()
        errors = [
            FieldError(pointer=_pointer(name), detail=text) for name, texts in fields.items() for text in texts
        ][:_SHOWN]
        first = f"{errors[0].pointer}: {errors[0].detail}" if errors else "not as documented"
        return Problem(422, "invalid", f"the {place} is not as /openapi.json has it: {first}", errors)
    status = HTTPStatus(error.status_code)
    reason = status.phrase.lower().replace(" ", "-")
    return Problem(status, reason, _DETAILS.get(status, status.description or status.phrase), headers=_kept(error))


_DETAILS: Final = {
    HTTPStatus.NOT_FOUND: "nothing is at this path; /openapi.json lists what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path takes other methods; the header Allow lists them",
    HTTPStatus.INTERNAL_SERVER_ERROR: "the service failed; its log tells why, under this request's name",
    HTTPStatus.BAD_REQUEST: "this is not HTTP that can be understood",
}


def respond(problem: Problem) -> Response:
    """The problem as a response."""
    body = details(problem).model_dump(exclude_defaults=True)
    response = Response(json.dumps(body), problem.status_code, content_type=PROBLEM_TYPE)
    response.headers.extend(dict(problem.headers))
    g.rejected = problem.reason
    return response


def details(problem: Problem) -> ProblemDetails:
    """What its body says."""
    return ProblemDetails(
        type=f"urn:logad:problem:{problem.reason}",
        title=HTTPStatus(problem.status_code).phrase,
        status=problem.status_code,
        detail=str(problem.message),
        instance=f"urn:logad:request:{g.get('request_id', '-')}",
        error=str(problem.message),
        errors=problem.errors,
    )


def _pointer(name: str) -> str:
    """``log_seq.3`` as pydantic's adapter writes it, as a pointer."""
    return "#" if name == "_schema" else ("#/" + name.replace(".", "/"))[:LONGEST_POINTER]


def _kept(error: HTTPError) -> dict[str, str]:
    headers: Any = error.headers
    return {name: value for name, value in dict(headers).items() if name in ("Allow", "Retry-After")}
