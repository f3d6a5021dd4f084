"""Which kind of anomaly a window is.

Belongs here: from what the witnesses say to a strength by kind. Words are in ``wording``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.explanation.evidence import KINDS, Kind, NearestNormal, ShownWindow
from logad_pipeline.explanation.suspicion import (
    LEVEL,
    NEXT,
    NUMBERS,
    RELATION,
    REPEATED,
    SURPRISE,
    TEMPLATE,
    UNSEEN,
    Witnesses,
)

_WEAK: Final = 0.5
"""What the order of lines has to say counts half beside a witness that names its reason: almost anything odd
is also unexpected where it stands."""
_ALIKE: Final = 0.7
"""Similarity from which a normal window is near enough for the difference to tell what happened."""


@dataclass(frozen=True)
class Strength:
    """How rare what speaks for a kind is among normal windows, ``-log10 p``, and the line that shows it most."""

    rarity: float
    place: int


def strengths(
    shown: ShownWindow, heard: Witnesses, nearest: NearestNormal | None, length: float = 0.0, usual_length: float = 0.0
) -> dict[Kind, Strength]:
    """What speaks for each kind of anomaly.

    A line that is rare but known is no new template. What a line of a new kind names, and its level, are new
    with it, and count for the new template. A line that was never seen, of a kind that was, names something that
    its kind never named: a new relation. Both are also unexpected wherever they stand, so what the models of
    order say counts as order or as a missing line only where they have learned the line itself. Which of the
    two, the nearest normal window says: a gap between lines that did not move is a missing line, if it is near;
    else it is order.
    A window that is near to no normal one lacks nothing in particular, so its company counts only where one is.

    Args:
        shown: the window.
        heard: what speaks against its lines.
        nearest: the nearest normal window.
        length: rarity of its length, where lengths vary: short windows lack lines, long ones repeat them.
        usual_length: the median of normal windows, in lines.
    """
    new, repeated, unseen = heard.new, heard.of(REPEATED), heard.of(UNSEEN)
    of_line = np.maximum.reduce([unseen, *(heard.of(name) for name in (TEMPLATE, RELATION, NUMBERS, LEVEL))])
    found: dict[Kind, Strength] = {
        "new template": _most(np.where(new, of_line, 0.0)),
        "new relation": _most(np.where(new, 0.0, np.maximum(heard.of(RELATION), unseen))),
        "parameter": _most(np.where(new, 0.0, np.maximum(heard.of(NUMBERS), heard.of(LEVEL)))),
        "frequency": _most(repeated),
        "missing": Strength(0.0, 0),
        "order": Strength(0.0, 0),
    }
    lack = heard.lack
    if lack.text and nearest is not None and nearest.similarity >= _ALIKE:
        found["missing"] = Strength(lack.rarity, shown.texts.index(lack.beside))
    for name in (NEXT, SURPRISE):
        most = _most(np.where(heard.learned & ~new, heard.of(name), 0.0))
        kind: Kind = "missing" if _gap(nearest) else "order"
        found[kind] = _louder(found[kind], Strength(_WEAK * most.rarity, most.place))
    short_or_long: Kind = "missing" if len(shown.texts) < usual_length else "frequency"
    place = len(shown.texts) - 1 if short_or_long == "missing" else int(repeated.argmax())
    found[short_or_long] = _louder(found[short_or_long], Strength(_WEAK * length, place))
    return found


def _most(values: FloatArray) -> Strength:
    place = int(values.argmax())
    return Strength(float(values[place]), place)


def _louder(one: Strength, other: Strength) -> Strength:
    return other if other.rarity > one.rarity else one


def strongest(found: Mapping[Kind, Strength]) -> Kind:
    """The kind with the greatest strength; of equals the one named first in ``KINDS``."""
    return max(KINDS, key=lambda kind: found[kind].rarity)


def _gap(nearest: NearestNormal | None) -> bool:
    """Whether a near normal window has a line between two others that are here too, and nothing has moved."""
    if nearest is None or nearest.similarity < _ALIKE:
        return False
    changes = [row.change for row in nearest.differences]
    same = [place for place, change in enumerate(changes) if change == "same"]
    return "moved" not in changes and bool(same) and "missing" in changes[same[0] : same[-1]]
