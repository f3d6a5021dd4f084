"""The Open Inference protocol (KServe V2) over HTTP: health, metadata and infer, for servers that speak it.

Belongs here: translating its tensors. Specification: https://kserve.github.io/website/docs/concepts/architecture/
data-plane/v2-protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from itertools import chain
from typing import Annotated, Any, Literal

from apiflask import APIBlueprint
from flask import Response, g, jsonify
from pydantic import BaseModel, FailFast, Field

from logad_pipeline.serving.access import charge, needs
from logad_pipeline.serving.champion import Served
from logad_pipeline.serving.judging import answer, judge
from logad_pipeline.serving.limits import check_lines
from logad_pipeline.serving.problems import Problem
from logad_pipeline.serving.schemas import RequestBody, ScoreRequest
from logad_pipeline.serving.service import Service, service

routes = APIBlueprint("open_inference", __name__, url_prefix="/v2", tag="Open Inference")
_INPUT = "log_seq"
_OUTPUTS = {"score": "FP64", "is_anomaly": "BOOL", "risk": "BYTES"}


class _First(FailFast):
    """The same where it stands in a union, whose parts must have a hash."""

    __hash__ = object.__hash__


_Lines = Annotated[list[str], _First()]


class InputTensor(RequestBody):
    """The lines: of one sequence (shape [n]), or of several of like length (shape [sequences, n], row after row;
    short ones filled up with empty lines)."""

    name: Literal["log_seq"]
    shape: Annotated[list[Annotated[int, Field(ge=1)]], FailFast(), Field(min_length=1, max_length=2)]
    datatype: Literal["BYTES"]
    data: _Lines | Annotated[list[_Lines], _First()]
    parameters: dict[str, Any] = Field({})


class OutputWish(RequestBody):
    """An output that is wanted."""

    name: Literal["score", "is_anomaly", "risk"]
    parameters: dict[str, Any] = Field({})


class InferRequest(RequestBody):
    """A request of the protocol."""

    id: str | None = Field(None, max_length=200)
    inputs: Annotated[list[InputTensor], FailFast(), Field(min_length=1, max_length=1)]
    outputs: Annotated[list[OutputWish], FailFast()] = Field([], max_length=3)
    parameters: dict[str, Any] = Field({})


class OutputTensor(BaseModel):
    """One value a sequence."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float] | list[bool] | list[str]


class InferResponse(BaseModel):
    """A response of the protocol."""

    model_name: str
    model_version: str
    id: str = ""
    outputs: list[OutputTensor]


@routes.get("/health/live")
def live() -> Response:
    """Whether the process answers."""
    return jsonify(live=True)


@routes.get("/health/ready")
@routes.doc(responses={503: "No model"})
def ready() -> Response:
    """Whether there is a model."""
    service().served()
    return jsonify(ready=True)


@routes.get("")
def server_metadata() -> Response:
    """What this server is."""
    return jsonify(name="logad", version=version("logad-pipeline"), extensions=[])


@routes.get("/models/<name>/ready")
@routes.get("/models/<name>/versions/<version>/ready")
@routes.doc(responses={404: "No such model", 503: "No model"})
@needs("read")
def model_ready(name: str, version: str | None = None) -> Response:
    """Whether this model is the one in service."""
    served = _served(name, version)
    return jsonify(name=served.name, ready=True)


@routes.get("/models/<name>")
@routes.get("/models/<name>/versions/<version>")
@routes.doc(responses={404: "No such model", 503: "No model"})
@needs("read")
def model_metadata(name: str, version: str | None = None) -> Response:
    """What goes in and out of the model."""
    served = _served(name, version)
    return jsonify(
        name=served.name,
        versions=[served.version],
        platform="logad",
        inputs=[{"name": _INPUT, "datatype": "BYTES", "shape": [-1]}],
        outputs=[{"name": output, "datatype": kind, "shape": [-1]} for output, kind in _OUTPUTS.items()],
    )


@routes.post("/models/<name>/infer")
@routes.post("/models/<name>/versions/<version>/infer")
@needs("score")
@routes.input(InferRequest)
@routes.output(InferResponse)
@routes.doc(responses={404: "No such model", 503: "No model"})
def infer(name: str, json_data: InferRequest, version: str | None = None) -> dict[str, Any]:
    """Judge one sequence of lines, or several."""
    own, served = service(), _served(name, version)
    sequences = list(_sequences(json_data.inputs[0], own))
    charge(own, g.get("key"), len(sequences) - 1)
    own.metrics.lines.inc(sum(len(one.log_seq) for one in sequences))
    verdicts = []
    for found in judge(served, sequences):
        if isinstance(found, Problem):
            raise found
        verdicts.append(answer(own, served, found))
    wanted: list[str] = [wish.name for wish in json_data.outputs] or list(_OUTPUTS)
    outputs = [
        {"name": output, "shape": [len(verdicts)], "datatype": _OUTPUTS[output],
         "data": [getattr(verdict, output) for verdict in verdicts]}
        for output in wanted
    ]  # fmt: skip
    return {"model_name": served.name, "model_version": served.version, "id": json_data.id or "", "outputs": outputs}


def _sequences(tensor: InputTensor, own: Service) -> Iterator[ScoreRequest]:
    lines: list[str] = [
        *chain.from_iterable([entry] if isinstance(entry, str) else entry for entry in tensor.data)
    ]
    rows, width = ([1, *tensor.shape])[-2:]
    if rows * width != len(lines):
        raise Problem(422, "invalid", f"#/inputs/0: shape {tensor.shape} does not hold {len(lines)} lines")
    if rows > own.limits.max_sequences:
        raise Problem(413, "too-many-sequences", f"{rows} sequences are more than {own.limits.max_sequences}")
    for row in range(rows):
        part = lines[row * width : (row + 1) * width]
        check_lines(part, own.limits, "#/inputs/0/data")
        yield ScoreRequest(log_seq=part)


def _served(name: str, version: str | None) -> Served:
    served = service().served()
    if name != served.name or version not in (None, served.version):
        raise Problem(404, "no-such-model", f"in service is {served.name}, version {served.version}, and no other")
    return served
