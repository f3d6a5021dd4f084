"""`/explain`: lines in, the evidence behind their verdicts out.

Belongs here: the route. What counts as evidence is ``explanation``'s business.
"""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from pydantic import Field

from logad_pipeline.explanation.explainer import shown_windows
from logad_pipeline.serving.access import needs
from logad_pipeline.serving.judging import answer, judge_alone, window_out
from logad_pipeline.serving.schemas import ScoreRequest, ScoreResponse, WindowVerdictOut
from logad_pipeline.serving.service import service

routes = APIBlueprint("explain", __name__, tag="Score")


class ExplainRequest(ScoreRequest):
    """A sequence whose strangest windows are to be explained."""

    top: int = Field(1, ge=1, le=10, description="Windows to explain, those of the highest scores")


class ExplainedWindow(WindowVerdictOut):
    """A window with what speaks for and against it."""

    evidence: dict[str, Any] = Field(
        description="kind and summary of the anomaly, line by line what was expected, the nearest normal window"
    )


class ExplainResponse(ScoreResponse):
    """The verdict, and evidence for the strangest windows, the strangest first."""

    explained: list[ExplainedWindow]


@routes.post("/explain")
@needs("score")
@routes.input(ExplainRequest)
@routes.output(ExplainResponse)
def explain(json_data: ExplainRequest) -> dict[str, Any]:
    """Judge a sequence of lines, and say why.

    No language model takes part: the same model and lines give the same evidence.
    """
    own = service()
    served = own.served()
    found = judge_alone(own, served, json_data)
    strangest = sorted(found.verdicts, key=lambda verdict: -verdict.score)[: json_data.top]
    shown = shown_windows(strangest, found.scorer.reader.index)
    evidence = served.explain(shown)
    explained = [
        window_out(verdict).model_dump() | {"evidence": told.to_dict()}
        for verdict, told in zip(strangest, evidence, strict=True)
    ]
    return answer(own, served, found).model_dump(exclude={"id"}) | {"explained": explained}
