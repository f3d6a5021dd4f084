"""Evidence in one sentence: the same evidence gives the same words, and no language model writes them."""

from __future__ import annotations

import math

from logad_pipeline.explanation.evidence import Kind, LineEvidence
from logad_pipeline.explanation.normal_windows import Lack

_LONGEST = 90
_TELLING = 1.0


def summary(kind: Kind, worst: LineEvidence, lack: Lack, rarity: float) -> str:
    """What is wrong with a window, naming the line that shows it most.

    Args:
        kind: the kind of anomaly that has most to show.
        worst: the line that shows it.
        lack: the line that is missing most.
        rarity: of what speaks for the kind; where one of ten normal windows shows as much, that is said.
    """
    quoted = f"'{shortened(worst.text)}'"
    reason = f" ({worst.reasons[0]})" if worst.reasons else ""
    if rarity < _TELLING:
        return f"Nothing in it is rare by itself; most unusual is {quoted}{reason}."
    if kind == "new template":
        return f"A kind of line that is hardly ever there: {quoted}{reason}."
    if kind == "new relation":
        return f"A usual kind of line names something unusual: {quoted}{reason}."
    if kind == "parameter":
        return f"A usual kind of line carries an unusual value or level: {quoted}{reason}."
    if kind == "frequency":
        return f"A usual line comes too often: {quoted}{reason}."
    if kind == "missing" and lack.text and worst.text == lack.beside:
        missing, beside = shortened(lack.text), shortened(lack.beside)
        return f"'{missing}' is missing, which {_share(lack.share)} of the normal windows with '{beside}' hold."
    if kind == "missing":
        return f"Something seems to be missing before {quoted}{reason}."
    return f"Usual lines come in an unusual order, at {quoted}{reason}."


def _share(share: float) -> str:
    """Per cent, rounded down, so that only what is true of all is called 100%."""
    return f"{math.floor(share * 1000 + 1e-9) / 10:g}%"


def shortened(text: str) -> str:
    """At most 90 characters of a line."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
