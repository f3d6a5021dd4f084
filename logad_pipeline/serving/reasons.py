"""Why a window has its score, in a few words: the detectors that spoke, and the line they point at.

Belongs here: what is cheap enough for every answer. Evidence in full is /explain's.
"""

from __future__ import annotations

from typing import Final

from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.serving.schemas import Reason
from logad_pipeline.streams import WindowVerdict

_MOST: Final = 4
_POINTING: Final = frozenset({"surprise", "worst_line", "top_tokens", "precision_variance"})
_SAYS: Final = {
    "surprise": "the lines do not lead to one another as usual",
    "worst_line": "a line that its neighbours do not lead to expect",
    "top_tokens": "words that their neighbours do not lead to expect",
    "precision_variance": "a part of the window is far less usual than the rest",
    "distance": "unlike the normal windows as a whole",
    "neighbours": "no normal window is near",
    "autoencoder": "unlike what normal windows have in common",
    "head": "resembles windows that were broken on purpose",
    "next_event": "lines come in an order that is not usual",
    "counts": "lines in unusual numbers",
    "events": "an unusual set of lines",
    "unseen": "lines that were never seen",
    "length": "an unusual number of lines",
    "entity_graph": "somebody does something to something for the first time, or rarely",
    "parameters": "unusual numbers",
    "severity": "more severe levels than usual",
}


def reasons(verdict: WindowVerdict) -> list[Reason]:
    """The detectors that call a window rare, the strongest first; none where none does."""
    loud = [item for item in verdict.detectors.items() if item[1] >= THRESHOLD]
    strongest = sorted(loud, key=lambda item: (-item[1], item[0]))[:_MOST]
    return [
        Reason(detector=name, score=score, says=_SAYS[name], line=verdict.least_expected if name in _POINTING else None)
        for name, score in strongest
    ]
