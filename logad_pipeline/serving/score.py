"""`/score_log` and `/score_batch`: lines in, verdicts out.

Belongs here: the routes, and a stream of sequences answered as it comes. How they are judged is in `judging`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import wraps
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any, Final

from apiflask import APIBlueprint
from flask import Response, current_app, g, request
from pydantic import ValidationError

from logad_pipeline.serving.access import needs
from logad_pipeline.serving.champion import Served
from logad_pipeline.serving.judging import Judged, answer, judge, judge_alone
from logad_pipeline.serving.limits import check_lines, parse_json, too_large
from logad_pipeline.serving.problems import FieldError, Problem, details
from logad_pipeline.serving.schemas import (
    BatchRequest,
    BatchResponse,
    NamedSequence,
    ScoreRequest,
    ScoreResponse,
)
from logad_pipeline.serving.service import Service, service

routes = APIBlueprint("score", __name__, tag="Score")
NDJSON: Final = "application/x-ndjson"
_TOGETHER: Final = 32
"""Sequences of a stream that are judged together, if so many have come."""


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
    """Hand a stream of sequences to :func:`_stream`, and everything else to the view."""

    @wraps(view)
    def either(*args: Any, **kwargs: Any) -> Any:
        return _stream() if request.mimetype == NDJSON else view(*args, **kwargs)

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
    own.metrics.lines.inc(sum(len(one.log_seq) for one in sequences))
    results = []
    for place, (one, found) in enumerate(zip(sequences, judge(served, sequences), strict=True)):
        if isinstance(found, Problem):
            where = FieldError(pointer=f"#/sequences/{place}", detail=str(found.message))
            raise Problem(found.status_code, found.reason, f"sequence {place}: {found.message}", [where])
        results.append(answer(own, served, found, one.id))
    return {"results": results}


def _stream() -> Response:
    own = service()
    own.served()
    own.deadlines.end(request.environ.get("gunicorn.socket"))
    told = _answers(own, _incoming(request.stream, own), current_app.app_context(), g.request_id)
    return Response(told, content_type=NDJSON)


def _incoming(stream: IO[bytes], own: Service) -> Queue[bytes | Problem | None]:
    """The lines of the body, read by a thread of their own: so those that came together are judged together."""
    lines: Queue[bytes | Problem | None] = Queue(2 * _TOGETHER)
    limit = own.limits.max_body_bytes

    def read() -> None:
        end: Problem | None = None
        try:
            while line := stream.readline(limit + 1):
                if len(line) > limit:
                    end = too_large(limit)
                    break
                if line.strip():
                    lines.put(line)
        except Exception as error:  # each server has errors of its own for a body that breaks off
            said = f"the stream broke off ({type(error).__name__}); what came before is answered"
            end = Problem(400, "cut-off", said)
        if end is not None:
            lines.put(end)
        lines.put(None)

    Thread(target=read, name="score_batch", daemon=True).start()
    return lines


def _answers(own: Service, lines: Queue[bytes | Problem | None], context: Any, request_id: str) -> Iterator[str]:
    ended = False
    while not ended:
        items = [lines.get()]
        while len(items) < _TOGETHER and items[-1] is not None:
            try:
                items.append(lines.get_nowait())
            except Empty:
                break
        ended = items[-1] is None
        with context:
            g.request_id = request_id
            yield from [json.dumps(row) + "\n" for row in _judged(own, [item for item in items if item is not None])]


def _judged(own: Service, items: list[bytes | Problem]) -> Iterator[dict[str, Any]]:
    """Answers in the order of the items; the model is the one that is in service now."""
    served: Served = own.served()
    asked = [item if isinstance(item, Problem) else _parsed(item, own) for item in items]
    found = iter(judge(served, [one for one in asked if isinstance(one, NamedSequence)]))
    for one in asked:
        result: Judged | Problem = one if isinstance(one, Problem) else next(found)
        name = one.id if isinstance(one, NamedSequence) else None
        if isinstance(result, Problem):
            own.metrics.rejected.labels(result.reason).inc()
            yield {"id": name, "problem": details(result).model_dump(exclude_defaults=True)}
        else:
            own.metrics.lines.inc(len(one.log_seq) if isinstance(one, NamedSequence) else 0)
            yield answer(own, served, result, name).model_dump()


def _parsed(line: bytes, own: Service) -> NamedSequence | Problem:
    try:
        one = NamedSequence.model_validate(parse_json(line))
        check_lines(one.log_seq, own.limits)
    except Problem as problem:
        return problem
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False, include_input=False, include_context=False)
        pointer = "#/" + "/".join(map(str, first["loc"]))
        return Problem(422, "invalid", f"{pointer}: {first['msg']}", [FieldError(pointer=pointer, detail=first["msg"])])
    return one
