"""`/feedback`: what people say of windows that the pipeline judged, written where trainings and thresholds read it.

Belongs here: the route. What follows from a verdict is the lake's and the pipeline's business.
"""

from __future__ import annotations

from typing import Any, Literal

from apiflask import APIBlueprint
from flask import g
from pydantic import BaseModel, Field

from logad_pipeline.lake.answering import answer_window
from logad_pipeline.lake.feedback import UnknownWindow
from logad_pipeline.lake.tables import LakeError
from logad_pipeline.serving.access import needs
from logad_pipeline.serving.problems import Problem
from logad_pipeline.serving.schemas import RequestBody
from logad_pipeline.serving.service import service

routes = APIBlueprint("feedback", __name__, tag="Feedback")


class FeedbackRequest(RequestBody):
    """What somebody says of a window."""

    window_id: str = Field(pattern="^[0-9a-f]{16}$", description="As reports and the lake's tables have it")
    verdict: Literal["normal", "anomalous"]
    note: str = Field("", max_length=2000)
    author: str = Field("", max_length=200, description="By default the name of the key")


class FeedbackResponse(BaseModel):
    """What was written down; an earlier verdict on the window no longer counts."""

    window_id: str
    day: str
    verdict: str
    author: str
    at: str
    score: float | None = Field(description="The score that the verdict answers; null if it was not judged yet")


@routes.post("/feedback")
@needs("feedback")
@routes.input(FeedbackRequest)
@routes.output(FeedbackResponse, status_code=201)
@routes.doc(responses={404: "No such window"})
def feedback(json_data: FeedbackRequest) -> dict[str, Any]:
    """Say whether a window was an anomaly."""
    author = json_data.author or (g.key.name if "key" in g else "")
    try:
        said = answer_window(service().lake, json_data.window_id, json_data.verdict, json_data.note, author)
    except UnknownWindow as error:
        raise Problem(404, "no-such-window", f"no window of the lake is called '{json_data.window_id}'") from error
    except LakeError as error:
        raise Problem(503, "no-lake", "the lake cannot take it now; `logad doctor` looks why") from error
    return {"window_id": said.window_id, "day": str(said.day), "verdict": said.verdict, "author": said.author,
            "at": said.at.isoformat(), "score": said.score}  # fmt: skip
