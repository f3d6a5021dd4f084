"""How unusual the level of a record is."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.records import RecordDetector
from logad_pipeline.logs.facts import RecordFacts

_RANKS: Final = {
    "TRACE": 0, "DEBUG": 0, "INFO": 1, "INFORMATIONAL": 1, "NOTICE": 2, "WARN": 3, "WARNING": 3, "ERR": 4,
    "ERROR": 4, "SEVERE": 4, "CRIT": 5, "CRITICAL": 5, "FATAL": 5, "ALERT": 6, "EMERG": 7, "PANIC": 7,
}  # fmt: skip


class Severity(RecordDetector):
    """How rarely a record of this kind is as severe as this one, in nats.

    The level is taken out of the text, so that the model learns what is said and not how loudly. Here it
    is looked at alone: of the records with this template, which share is at least as severe? A template
    that was never seen is judged by the whole stream: a new message at the level that everything has is
    no news, one at a level that hardly ever comes is.

    When it does not work: on formats without levels it scores 0 throughout; and where warnings are the
    daily bread, one more says nothing.
    """

    name: ClassVar[str] = "severity"

    def __init__(self, seen: dict[str, dict[int, int]] | None = None) -> None:
        self._seen = seen

    def fit(self, facts: Sequence[RecordFacts], seed: int) -> None:
        """Count levels by template."""
        seen: dict[str, Counter[int]] = {}
        for fact in facts:
            rank = _RANKS.get(fact.severity)
            if rank is not None:
                seen.setdefault(fact.template, Counter())[rank] += 1
        self._seen = {template: dict(counts) for template, counts in seen.items()}

    def score(self, facts: Sequence[RecordFacts]) -> FloatArray:
        """Negative log of the share of records that are as severe, float64 ``[n]``, ``>= 0``."""
        if self._seen is None:
            raise RuntimeError("Severity.score was called before fit")
        stream: Counter[int] = Counter()
        for counts in self._seen.values():
            stream.update(counts)
        known: dict[tuple[str, str], float] = {}
        out = np.zeros(len(facts))
        for row, fact in enumerate(facts):
            key = (fact.template, fact.severity)
            if key not in known:
                rank = _RANKS.get(fact.severity)
                counts = self._seen.get(fact.template, stream)
                known[key] = 0.0 if rank is None else _surprise(counts, rank)
            out[row] = known[key]
        return out

    def save(self, directory: Path) -> None:
        """Write ``severity.json``."""
        if self._seen is None:
            raise RuntimeError("Severity.save was called before fit")
        (directory / "severity.json").write_text(json.dumps(self._seen), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote."""
        seen = json.loads((directory / "severity.json").read_text(encoding="utf-8"))
        return cls({t: {int(rank): n for rank, n in counts.items()} for t, counts in seen.items()})


def _surprise(counts: dict[int, int], rank: int) -> float:
    total = sum(counts.values())
    as_severe = sum(number for other, number in counts.items() if other >= rank)
    return -math.log((as_severe + 1) / (total + 1))
