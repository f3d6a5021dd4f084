"""Which detectors there are.

Belongs here: one line a detector. Each is one file and can be left out by configuration.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from logad_pipeline.detectors.autoencoder import Autoencoder
from logad_pipeline.detectors.base import Detector
from logad_pipeline.detectors.counts import Counts
from logad_pipeline.detectors.distance import EmbeddingDistance
from logad_pipeline.detectors.entity_graph import EntityGraph
from logad_pipeline.detectors.events import Events
from logad_pipeline.detectors.head import ScoreHead
from logad_pipeline.detectors.length import Length
from logad_pipeline.detectors.neighbours import Neighbours
from logad_pipeline.detectors.next_event import NextEvent
from logad_pipeline.detectors.parameters import ParameterValues
from logad_pipeline.detectors.precision import PrecisionVariance
from logad_pipeline.detectors.records import RecordDetector
from logad_pipeline.detectors.severity import Severity
from logad_pipeline.detectors.surprise import Surprise
from logad_pipeline.detectors.top_tokens import TopTokens
from logad_pipeline.detectors.unseen import UnseenLines
from logad_pipeline.detectors.worst_line import WorstLine

DETECTORS: Final[dict[str, type[Detector]]] = {
    detector.name: detector
    for detector in (
        Surprise, WorstLine, TopTokens, PrecisionVariance, EmbeddingDistance, Neighbours, Autoencoder, ScoreHead,
        NextEvent, Counts, Events, UnseenLines, Length,
    )
}  # fmt: skip
"""Detectors of windows, by name."""

RECORD_DETECTORS: Final[dict[str, type[RecordDetector]]] = {
    detector.name: detector for detector in (EntityGraph, ParameterValues, Severity)
}
"""Detectors of single records, by name."""

ALL: Final = (*DETECTORS, *RECORD_DETECTORS)


def all_but(left_out: Iterable[str]) -> tuple[str, ...]:
    """All detectors but these.

    Raises:
        ValueError: for a name that is not known.
    """
    names = tuple(left_out)
    check_names((*names, next(iter(DETECTORS))))
    return tuple(name for name in ALL if name not in names)


def check_names(names: tuple[str, ...]) -> None:
    """Refuse names that are not known, or none at all.

    Raises:
        ValueError: naming them and what there is.
    """
    unknown = [name for name in names if name not in ALL]
    if unknown:
        raise ValueError(f"detector {', '.join(unknown)} is not known; there are {', '.join(ALL)}")
    if not any(name in DETECTORS for name in names):
        raise ValueError(f"at least one detector of windows is needed: {', '.join(DETECTORS)}")
