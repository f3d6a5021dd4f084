"""Pseudo-anomalies of single records: who, how much and how severe changed on purpose.

Belongs here: breaking what the masks hide. Broken windows are in ``pseudo``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from logad_pipeline.logs.facts import Edge, RecordFacts

_LEVELS = ("WARNING", "ERROR", "CRITICAL")


def corrupt_records(facts: Sequence[RecordFacts], number: int, seed: int) -> list[tuple[int, RecordFacts]]:
    """Break ``number`` normal records; returns pairs of the record's place and what became of it.

    In turn, an edge gets the object of another record, or one that never was; the numbers are far too
    large; the record is severe and says what was never said. A record without what is to be broken is
    broken in the next way; one that holds neither edges, numbers nor a level is left out.
    """
    rng = np.random.default_rng([seed, 78])
    objects = [edge[2] for fact in facts for edge in fact.edges]
    broken = []
    for turn, place in enumerate(rng.integers(len(facts), size=number) if len(facts) else ()):
        fact = facts[int(place)]
        ways = [_strange_edge(fact, objects, rng), _large_numbers(fact, rng), _severe(fact, rng)]
        for way in range(3):
            changed = ways[(turn + way) % 3]
            if changed is not None:
                broken.append((int(place), changed))
                break
    return broken


def _strange_edge(fact: RecordFacts, objects: Sequence[str], rng: np.random.Generator) -> RecordFacts | None:
    if not fact.edges:
        return None
    chosen = int(rng.integers(len(fact.edges)))
    subject, action, target = fact.edges[chosen]
    kind = target.partition(":")[0]
    other = objects[int(rng.integers(len(objects)))]
    fits = rng.random() < 0.5 and other != target and other.startswith(f"{kind}:")
    edge: Edge = (subject, action, other if fits else f"{kind}:never seen")
    return replace(fact, edges=(*fact.edges[:chosen], edge, *fact.edges[chosen + 1 :]))


def _large_numbers(fact: RecordFacts, rng: np.random.Generator) -> RecordFacts | None:
    if not fact.numbers:
        return None
    factor = float(10 ** rng.uniform(1, 4))
    return replace(fact, numbers=tuple((abs(number) + 1) * factor for number in fact.numbers))


def _severe(fact: RecordFacts, rng: np.random.Generator) -> RecordFacts | None:
    if not fact.severity:
        return None
    level = _LEVELS[int(rng.integers(len(_LEVELS)))]
    return replace(fact, severity=level, template=f"{fact.template} never seen")
