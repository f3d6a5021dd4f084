"""Evidence for a few raw lines, judged as one stream: what `explain` answers at a door."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from logad_pipeline.explanation.explainer import Explainer, shown_windows
from logad_pipeline.streams import FileScorer
from logad_pipeline.windows import WindowSpec


def explain_sequence(
    explainer: Explainer, lines: Sequence[str], window_spec: WindowSpec | None = None, most: int = 3
) -> dict[str, Any]:
    """Judge lines as :func:`logad_pipeline.streams.score_sequence` does, with evidence for the worst windows.

    Args:
        explainer: of the model that judges.
        lines: raw lines, in order.
        window_spec: how they are cut; as the model was fitted, if left out.
        most: windows that are explained, the worst first.

    Returns:
        JSON-ready: ``score``, ``is_anomaly``, ``risk`` and ``model_version`` of the sequence, and ``windows``,
        each with the numbers of its lines, its verdict, and ``evidence`` (see ``Evidence.to_dict``), to whose
        ``lines`` ``line`` (1-based, of the raw line where the record begins) is added.

    Raises:
        UnreadableInput: if there is no text in the lines.
    """
    model = explainer.model
    text = "".join(line.replace("\n", " ") + "\n" for line in lines)
    text = re.sub("[\ud800-\udc7f\udd00-\udfff]", "\N{REPLACEMENT CHARACTER}", text)
    scorer = FileScorer(model, window_spec or model.window_spec)
    verdicts = list(scorer.score("lines", BytesIO(text.encode("utf-8", "surrogateescape"))))
    worst = sorted(verdicts, key=lambda verdict: (-verdict.score, verdict.first_line))
    chosen = worst[:most]
    windows = []
    for verdict, evidence in zip(
        chosen, explainer.explain(shown_windows(chosen, scorer.reader.index)), strict=True
    ):
        told = evidence.to_dict()
        for line, span in zip(told["lines"], verdict.window.spans, strict=True):
            line["line"] = span[0]
        windows.append({
            "lines": verdict.window.lines, "score": verdict.score, "risk": verdict.risk,
            "is_anomaly": verdict.is_anomaly, "evidence": told,
        })  # fmt: skip
    first = worst[0]
    return {
        "score": first.score, "is_anomaly": first.is_anomaly, "risk": first.risk, "model_version": model.version,
        "windows": windows,
    }  # fmt: skip
