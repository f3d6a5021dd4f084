"""Evidence in one sentence: the same evidence gives the same words, and no language model writes them."""

from __future__ import annotations

from collections.abc import Sequence

from logad_pipeline.explanation.evidence import Kind, LineEvidence

_LONGEST = 90


def summary(kind: Kind, lines: Sequence[LineEvidence], lack: tuple[float, str, str]) -> str:
    """What is wrong with a window, naming the line that has most to answer for."""
    worst = max(lines, key=lambda line: (line.suspicion, -line.place))
    quoted = f"'{shortened(worst.text)}'"
    reason = f" ({worst.reasons[0]})" if worst.reasons else ""
    if kind == "new template":
        return f"A kind of line that is hardly ever there: {quoted}{reason}."
    if kind == "new relation":
        return f"A usual kind of line names something unusual: {quoted}{reason}."
    if kind == "parameter":
        return f"A usual kind of line carries an unusual value or level: {quoted}{reason}."
    if kind == "frequency":
        return f"A usual line comes too often: {quoted}{reason}."
    if kind == "missing" and lack[1]:
        return f"'{shortened(lack[1])}' is missing, which always accompanies '{shortened(lack[2])}'."
    if kind == "missing":
        return f"Something seems to be missing before {quoted}{reason}."
    return f"Usual lines come in an unusual order, at {quoted}{reason}."


def shortened(text: str) -> str:
    """At most 90 characters of a line."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
