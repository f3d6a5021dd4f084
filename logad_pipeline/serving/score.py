"""`/score_log` and `/score_batch`: lines in, verdicts out.

Belongs here: the routes. How lines are judged is in `judging`, streams of sequences are in `streaming`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from apiflask import APIBlueprint
from flask import g, request

from logad_pipeline.serving.access import charge, needs
from logad_pipeline.serving.judging import answer, judge, judge_alone
from logad_pipeline.serving.limits import check_lines
from logad_pipeline.serving.problems import FieldError, Problem
from logad_pipeline.serving.schemas import BatchRequest, BatchResponse, ScoreRequest, ScoreResponse
from logad_pipeline.serving.service import service
from logad_pipeline.serving.streaming import NDJSON, answer_stream

routes = APIBlueprint("score", __name__, tag="Score")


@routes.post("/score_log")
@needs("score")
@routes.input(ScoreRequest)
@routes.output(ScoreResponse)
def score_log(json_data: ScoreRequest) -> dict[str, Any]:
    """Judge a sequence of lines.

    Its score is that of its worst window; 0.5 and above is an anomaly.
    """
    own = service()
    served = own.served()
    return answer(own, served, judge_alone(own, served, json_data)).model_dump(exclude={"id"})


def _or_stream(view: Callable[..., Any]) -> Callable[..., Any]:
    """Hand a stream of sequences to :func:`answer_stream`, and everything else to the view."""

    @wraps(view)
    def either(*args: Any, **kwargs: Any) -> Any:
        return answer_stream() if request.mimetype == NDJSON else view(*args, **kwargs)

    return either


@routes.post("/score_batch")
@needs("score")
@_or_stream
@routes.input(BatchRequest)
@routes.output(BatchResponse)
def score_batch(json_data: BatchRequest) -> dict[str, Any]:
    """Judge many sequences.

    As one JSON object, or as `application/x-ndjson`: one sequence a line, answered line by line in the same order
    while more are sent. What is wrong with a line of a stream is told in its place, as `{"id": …, "problem": …}`.
    """
    own = service()
    served = own.served()
    sequences = json_data.sequences
    if len(sequences) > own.limits.max_sequences:
        raise Problem(413, "too-many-sequences", f"{len(sequences)} sequences are more than "
                      f"{own.limits.max_sequences}; send fewer, or stream them as {NDJSON}")  # fmt: skip
    for place, one in enumerate(sequences):
        check_lines(one.log_seq, own.limits, f"#/sequences/{place}/log_seq")
    charge(own, g.get("key"), len(sequences) - 1)
    own.metrics.lines.inc(sum(len(one.log_seq) for one in sequences))
    results = []
    for place, (one, found) in enumerate(zip(sequences, judge(served, sequences), strict=True)):
        if isinstance(found, Problem):
            where = FieldError(pointer=f"#/sequences/{place}", detail=str(found.message))
            raise Problem(found.status_code, found.reason, f"sequence {place}: {found.message}", [where])
        results.append(answer(own, served, found, one.id))
    return {"results": results}
