"""What goes in and comes out, as the OpenAPI document shows it.

Belongs here: shapes and their limits that do not depend on the deployment. Those that do are in `limits`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, model_validator

Lines = Annotated[list[str], FailFast(), Field(min_length=1, description="Raw log lines, in their order")]


_MOST_UNKNOWN: Final = 20


class RequestBody(BaseModel):
    """What comes in: nothing in it is guessed or passed over, and what is wrong with it is a bounded list."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _has_few_unknown_fields(cls, body: Any) -> Any:
        # Each would be an error of its own, with its place and value; a body holds a million of them.
        if isinstance(body, dict) and len(body) > len(cls.model_fields) + _MOST_UNKNOWN:
            raise ValueError(f"{len(body)} fields are more than there are")
        return body


class WindowOptions(RequestBody):
    """How the lines are cut; by default as the model was fitted."""

    window_type: Literal["fixed", "sliding", "session"] | None = None
    size: int | None = Field(None, ge=1, le=512, description="Lines a window")
    stride: int | None = Field(None, ge=1, le=512, description="Lines between starts of sliding windows")
    group_by: Literal["none", "host", "program", "process", "model"] | None = Field(
        None, description="Cut within these; model: as it was fitted, be it by a pattern"
    )


class ScoreRequest(WindowOptions):
    """A sequence of lines to be judged."""

    model_config = ConfigDict(
        extra="forbid", strict=True,
        json_schema_extra={"examples": [{"log_seq": ["login failed from 1.1.1.1", "sudo reboot"]}]},
    )  # fmt: skip
    log_seq: Lines


class NamedSequence(ScoreRequest):
    """One of several sequences; ``id`` comes back with its verdict."""

    id: str | None = Field(None, max_length=200)


class BatchRequest(RequestBody):
    """Several sequences, judged together."""

    sequences: Annotated[list[NamedSequence], FailFast(), Field(min_length=1)]


class Reason(BaseModel):
    """Something that speaks against a window."""

    detector: str
    score: float
    says: str
    line: int | None = Field(None, description="The line it points at, 1-based in log_seq")


class WindowVerdictOut(BaseModel):
    """A window of the sequence."""

    lines: list[int] = Field(description="1-based in log_seq")
    group: str
    score: float
    risk: str
    is_anomaly: bool
    detectors: dict[str, float]
    reasons: list[Reason]


class ScoreResponse(BaseModel):
    """The verdict on a sequence: that of its worst window."""

    score: float = Field(ge=0, le=1)
    is_anomaly: bool
    risk: str
    threshold: float = Field(description="The score from which on is_anomaly is true")
    model: str
    model_version: str
    model_content: str = Field(description="Hash of the model's content")
    degraded: bool = Field(description="Whether this may not be the registry's champion")
    reasons: list[Reason] = Field(description="Of the worst window, the strongest first")
    windows: list[WindowVerdictOut]
    rejected_lines: dict[str, int] = Field(description="Lines that are no log lines, by reason")


class NamedVerdict(ScoreResponse):
    """The verdict on one of several sequences."""

    id: str | None = None


class BatchResponse(BaseModel):
    """Verdicts in the order of the sequences."""

    results: list[NamedVerdict]


class ModelOut(BaseModel):
    """A version in the registry, or the folder that is served."""

    name: str
    version: str
    aliases: list[str]
    serving: bool


class ModelsResponse(BaseModel):
    """What there is, newest first, and what answers."""

    models: list[ModelOut]
    degraded: bool
    reason: str = Field(description="Why degraded; else empty")


class Health(BaseModel):
    """Whether there is a model to judge with."""

    status: Literal["alive", "ready", "not ready"]
    degraded: bool = False
    reason: str = ""
    model_version: str = ""
