"""Evidence in one sentence: the same evidence gives the same words, and no language model writes them."""

from __future__ import annotations

from logad_pipeline.explanation.evidence import Kind, LineEvidence

_LONGEST = 90
_TELLING = 1.0


def summary(kind: Kind, worst: LineEvidence, lack: tuple[float, str, str], rarity: float) -> str:
    """What is wrong with a window, naming the line that shows it most.

    Args:
        kind: the kind of anomaly that has most to show.
        worst: the line that shows it.
        lack: rarity of a missing line, that line, and the one it usually accompanies.
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
    if kind == "missing" and worst.text == lack[2]:
        return f"'{shortened(lack[1])}' is missing, which always accompanies '{shortened(lack[2])}'."
    if kind == "missing":
        return f"Something seems to be missing before {quoted}{reason}."
    return f"Usual lines come in an unusual order, at {quoted}{reason}."


def shortened(text: str) -> str:
    """At most 90 characters of a line."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
