"""From sequences of lines to verdicts: through the same scorer as every other door, several sequences at once.

Belongs here: judging and what the answer says. Routes are in `score`, limits in `limits`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.logs.reader import UnreadableInput
from logad_pipeline.serving.champion import Served
from logad_pipeline.serving.limits import check_lines
from logad_pipeline.serving.problems import Problem
from logad_pipeline.serving.reasons import reasons
from logad_pipeline.serving.schemas import NamedVerdict, ScoreRequest, WindowOptions, WindowVerdictOut
from logad_pipeline.serving.service import Service
from logad_pipeline.streams import FileScorer, LineWindow, WindowVerdict, lines_stream
from logad_pipeline.windows import WindowSpec

_MOST_WINDOW_LINES = 200_000
"""Lines of all windows of a sequence together: what keeps a request from costing hours."""


def spec_of(own: WindowSpec, asked: WindowOptions, lines: int) -> WindowSpec:
    """How a sequence is to be cut.

    Raises:
        Problem: 422 for values that do not go together, or windows that overlap so much that they cost hours.
    """
    group = None if asked.group_by in (None, "model") else asked.group_by
    values = {"window_type": asked.window_type, "size": asked.size, "stride": asked.stride, "group_by": group}
    try:
        spec = own.override(values)
    except ValueError as error:
        raise Problem(422, "invalid-windows", str(error)) from error
    if spec.window_type == "sliding" and lines / spec.stride * spec.size > _MOST_WINDOW_LINES:
        raise Problem(422, "too-much-work", f"windows of {spec.size} lines at stride {spec.stride} over {lines} lines "
                      f"hold more than {_MOST_WINDOW_LINES} lines; give a wider stride or fewer lines")  # fmt: skip
    return spec


class Judged:
    """The verdicts on one sequence.

    Attributes:
        verdicts: of its windows, in their order; at least one.
        rejected: its lines that are no log lines, by reason.
        scorer: whose reader knows the windows' texts.
    """

    def __init__(self, verdicts: list[WindowVerdict], rejected: Counter[str], scorer: FileScorer) -> None:
        self.verdicts = verdicts
        self.rejected = rejected
        self.scorer = scorer


def judge(served: Served, asked: Sequence[ScoreRequest]) -> list[Judged | Problem]:
    """Judge sequences; those that are cut alike are read by the encoder together. What is wrong with one of them
    stands in its place."""
    out: list[Judged | Problem] = [Problem(500, "lost", "not judged")] * len(asked)
    alike: dict[WindowSpec, list[int]] = {}
    for place, one in enumerate(asked):
        try:
            alike.setdefault(spec_of(served.detector.window_spec, one, len(one.log_seq)), []).append(place)
        except Problem as problem:
            out[place] = problem
    for spec, places in alike.items():
        scorer = FileScorer(served.detector, spec, ask=served.scores)
        read: list[tuple[int, list[LineWindow], Counter[str]]] = []
        for place in places:
            before = scorer.account.rejected.copy()
            try:
                windows = list(scorer.reader.read("log_seq", lines_stream(asked[place].log_seq)))
            except UnreadableInput as error:
                out[place] = Problem(422, "no-log-line", str(error))
            else:
                read.append((place, windows, scorer.account.rejected - before))
        verdicts = iter(scorer.judge([window for _, windows, _ in read for window in windows]))
        for place, windows, rejected in read:
            out[place] = Judged([next(verdicts) for _ in windows], rejected, scorer)
    return out


def judge_alone(own: Service, served: Served, asked: ScoreRequest) -> Judged:
    """Judge one sequence, which is held against the limits and counted in the measures.

    Raises:
        Problem: if it cannot be judged.
    """
    check_lines(asked.log_seq, own.limits)
    own.metrics.lines.inc(len(asked.log_seq))
    [found] = judge(served, [asked])
    if isinstance(found, Problem):
        raise found
    return found


def answer(service: Service, served: Served, judged: Judged, name: str | None = None) -> NamedVerdict:
    """What the caller is told of a sequence; counts it in the measures."""
    worst = max(judged.verdicts, key=lambda verdict: verdict.score)
    service.metrics.windows.inc(len(judged.verdicts))
    service.metrics.anomalies.inc(sum(verdict.is_anomaly for verdict in judged.verdicts))
    return NamedVerdict(
        id=name, score=worst.score, is_anomaly=worst.is_anomaly, risk=worst.risk, threshold=THRESHOLD,
        reasons=reasons(worst), windows=[window_out(verdict) for verdict in judged.verdicts],
        rejected_lines=dict(judged.rejected), **model_of(service, served),
    )  # fmt: skip


def model_of(service: Service, served: Served) -> dict[str, Any]:
    """Which model said it."""
    return {
        "model": served.name, "model_version": served.version, "model_content": served.detector.version,
        "degraded": bool(service.champion.degraded),
    }  # fmt: skip


def window_out(verdict: WindowVerdict) -> WindowVerdictOut:
    """A window of the sequence as the caller sees it."""
    return WindowVerdictOut(
        lines=verdict.window.lines, group=verdict.group.encode("utf-8", "replace").decode(), score=verdict.score,
        risk=verdict.risk, is_anomaly=verdict.is_anomaly, detectors=verdict.detectors, reasons=reasons(verdict),
    )  # fmt: skip
