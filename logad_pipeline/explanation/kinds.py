"""Which kind of anomaly a window is.

Belongs here: from what the witnesses say to a strength by kind. Words are in ``wording``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from logad_pipeline.explanation.evidence import KINDS, Kind, NearestNormal, ShownWindow
from logad_pipeline.explanation.suspicion import (
    LEVEL,
    NEXT,
    NUMBERS,
    RELATION,
    REPEATED,
    SURPRISE,
    TEMPLATE,
    Witnesses,
)

_WEAK: Final = 0.5
"""What the order of lines has to say counts half beside a witness that names its reason: almost anything odd
is also unexpected where it stands."""


_ALIKE: Final = 0.7
"""Similarity from which a normal window is near enough for the difference to tell what happened."""


def strengths(
    shown: ShownWindow, heard: Witnesses, nearest: NearestNormal | None, length: float = 0.0, usual_length: float = 0.0
) -> dict[Kind, float]:
    """How rare what speaks for each kind is among normal windows, ``-log10 p``.

    A line that nobody has seen is also unexpected where it stands, so what the models of order say counts
    as order or as a missing line only where the line itself is a usual one. Which of the two, the nearest
    normal window says, if it is near: lines that moved are order, a gap between lines that did not is a missing
    line. Else it is order if the line that was expected there is elsewhere in the window.

    Args:
        shown: the window.
        heard: what speaks against its lines.
        nearest: the nearest normal window.
        length: rarity of its length, where lengths vary: short windows lack lines, long ones repeat them.
        usual_length: the median of normal windows, in lines.
    """
    found: dict[Kind, float] = dict.fromkeys(KINDS, 0.0)
    found["new template"] = float(heard.of(TEMPLATE).max())
    found["new relation"] = float(heard.of(RELATION).max())
    found["parameter"] = float(max(heard.of(NUMBERS).max(), heard.of(LEVEL).max()))
    found["frequency"] = float(heard.of(REPEATED).max())
    found["missing"] = heard.lack[0]
    usual = heard.of(TEMPLATE) < 1.0
    for name in (NEXT, SURPRISE):
        values = np.where(usual, heard.of(name), 0.0)
        place = int(values.argmax())
        kind = _told_by(nearest) or ("order" if _elsewhere(shown, heard.likely, place) else "missing")
        found[kind] = max(found[kind], _WEAK * float(values[place]))
    short_or_long: Kind = "missing" if len(shown.texts) < usual_length else "frequency"
    found[short_or_long] = max(found[short_or_long], _WEAK * length)
    return found


def strongest(found: dict[Kind, float]) -> Kind:
    """The kind with the greatest strength; of equals the one named first in ``KINDS``."""
    return max(KINDS, key=lambda kind: found[kind])


def _told_by(nearest: NearestNormal | None) -> Kind | None:
    """Whether lines moved or are missing against a near normal window, where that is clear."""
    if nearest is None or nearest.similarity < _ALIKE:
        return None
    changes = [row.change for row in nearest.differences]
    if "moved" in changes:
        return "order"
    same = [place for place, change in enumerate(changes) if change == "same"]
    if "missing" in changes and same and "missing" in changes[same[0] : same[-1]]:
        return "missing"
    return None


def _elsewhere(shown: ShownWindow, likely: Sequence[Sequence[tuple[str, float]]], place: int) -> bool:
    """Whether the line expected at ``place`` is in the window, in another place; true where nothing is known."""
    if not likely or not likely[place]:
        return True
    expected = likely[place][0][0]
    return any(text == expected for at, text in enumerate(shown.texts) if at != place)
