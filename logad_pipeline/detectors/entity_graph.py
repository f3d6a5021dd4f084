"""Who did what to whom: how unlikely the least likely edge of a record is.

Belongs here: the knowledge of training edges and the rates of novelty. The graph autoencoder that judges
pairs never seen together is in ``graph_autoencoder``, reading edges out of records in ``logs.facts``.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.graph_autoencoder import UNKNOWN, GraphEmbedding, embed
from logad_pipeline.detectors.records import RecordDetector
from logad_pipeline.logs.facts import Edge, RecordFacts

MAX_NODES: Final = 20_000
MAX_EDGES: Final = 200_000
_EPOCHS: Final = 5
_BLOCK_RECORDS: Final = 20
_MAX_BLOCKS: Final = 1000
_SUBJECT_STEPS: Final = 5
_OBJECT_STEPS: Final = 7
_PRIOR_BLOCKS: Final = 1.0
_PAIR_UNKNOWN: Final = 2
_MAX_SHIFT: Final = 2.0

Numbered = tuple[int, int, int, int]
"""Subject, action and object by number, -1 where unknown, and the number of their pair of types."""
Context = tuple[int, int, int]
"""What a rate is of: a kind, and up to two numbers that it is about."""

_SUBJECT, _SUBJECT_TYPES, _OF_SUBJECT, _OBJECT, _OBJECT_TYPES, _NEW, _NEW_TYPES, _ACTIONLESS = range(8)


@dataclass(slots=True)
class _Knowledge:
    """What was seen: edges with how often, and what they imply of pairs, roles and nodes."""

    edges: dict[tuple[int, int, int], int] = field(default_factory=dict)
    pairs: set[tuple[int, int]] = field(default_factory=set)
    subjects: dict[tuple[int, int], int] = field(default_factory=dict)
    objects: set[tuple[int, int]] = field(default_factory=set)
    nodes: set[int] = field(default_factory=set)
    actions: set[int] = field(default_factory=set)

    def learn(self, edges: Iterable[tuple[Numbered, int]]) -> None:
        for (subject, action, target, _), count in edges:
            if UNKNOWN in (subject, action, target):
                continue
            key = (subject, action, target)
            self.edges[key] = self.edges.get(key, 0) + count
            self.pairs.add((subject, target))
            self.subjects[subject, action] = self.subjects.get((subject, action), 0) + count
            self.objects.add((target, action))
            self.nodes.update((subject, target))
            self.actions.add(action)

    def place(self, edge: Numbered) -> tuple[tuple[int, list[Context]], tuple[int, list[Context]]]:
        """How familiar subject and object are (0 is brand-new), each with what its rate is of, finest first."""
        subject, action, _, types = edge
        if action not in self.actions:
            # A new kind of event makes everything new with it, and is for the detectors of windows to find.
            return (_SUBJECT_STEPS - 1, []), (self._object_step(edge), [(_ACTIONLESS, types, 0)])
        often = self.subjects.get((subject, action), 0)
        step = 1 + _times(often) if often else int(subject in self.nodes)
        subject_at = (step, [(_SUBJECT, action, 0), (_SUBJECT_TYPES, types, 0)])
        if often:
            wider = [(_OF_SUBJECT, subject, action), (_OBJECT, action, 0), (_OBJECT_TYPES, types, 0)]
        else:
            wider = [(_NEW, action, 0), (_NEW_TYPES, types, 0)]
        return subject_at, (self._object_step(edge), wider)

    def _object_step(self, edge: Numbered) -> int:
        subject, action, target, _ = edge
        if target not in self.nodes:
            return 0
        if action in self.actions and (target, action) not in self.objects:
            return 1
        if (subject, target) not in self.pairs:
            return _PAIR_UNKNOWN
        often = self.edges.get((subject, action, target), 0)
        if action not in self.actions:
            return _OBJECT_STEPS - 1
        return 3 + _times(often) if often else 3


def _times(count: int) -> int:
    """Once, a few times, often: 1, 2, 3."""
    return 1 if count == 1 else 2 if count <= 3 else 3


@dataclass(slots=True)
class _Rates:
    """In how many blocks of records each context was active, by the least familiar step that came up there."""

    histograms: dict[Context, list[int]] = field(default_factory=dict)

    def learn(self, knowledge: _Knowledge, edges: Iterable[Numbered]) -> None:
        """Count one block of records against what was known before it."""
        lowest: dict[Context, int] = {}
        for edge in edges:
            for step, contexts in knowledge.place(edge):
                for context in contexts:
                    lowest[context] = min(step, lowest.get(context, step))
        for context, step in lowest.items():
            self.histograms.setdefault(context, [0] * _OBJECT_STEPS)[step] += 1

    def surprise(self, step: int, steps: int, contexts: Sequence[Context]) -> float:
        """Nats: how rarely a block held something as little familiar as ``step`` or less."""
        probability = (step + 1) / steps
        for context in reversed(contexts):
            blocks = self.histograms.get(context)
            if blocks is not None:
                as_new = sum(blocks[: step + 1])
                probability = (as_new + _PRIOR_BLOCKS * probability) / (sum(blocks) + _PRIOR_BLOCKS)
        return max(0.0, -math.log(probability))


class EntityGraph(RecordDetector):
    """Surprise of the least likely edge (subject, action, object) of a record, in nats.

    An edge is as surprising as its subject for the action, plus its object for the subject and action. Each
    takes a step of familiarity: never seen at all, never with this action, never with one another, never
    so, so once, so a few times, so often. How rare a step is was counted in the training records: they are
    cut into ``5`` spans, each met with the knowledge of those before it only (held-out estimation,
    Jelinek and Mercer, 1980), and a rate is the share of short blocks of records, among those where the
    subject or the action came up, in which something as unfamiliar did. Rates of a subject with an action
    back off to the action, and those to the types. So a new address costs little where new ones turn up
    all the time, a new user much where the users are always the same, and a burst of one newcomer counts
    as one.

    With the ``graph`` extra (torch-geometric) the pairs are also embedded by a graph autoencoder (Kipf and
    Welling, 2016, "Variational Graph Auto-Encoders": two graph convolutions, inner-product decoder). Pairs
    never seen together become less or more surprising, by half at most and by no more than 2 nats, as its
    log odds say, which are calibrated on held-out pairs against random pairs of the same types (Platt,
    1999). Without the extra the novelty stands alone; a model fitted with it scores without it.

    When it does not work: entities that training never saw have no place in the graph and are judged by the
    mean vector of their type, so the autoencoder says little of them; with fewer than 100 different pairs,
    or where who meets whom follows no pattern, it is left out. A new action is judged by its nodes alone. A
    known account used from its known address is normal whatever it does. Beyond the 20,000 most frequent
    nodes and the 200,000 most frequent edges all count as never seen, in training too, so that their
    novelty costs little. Rates are those of the training days: a fleet that grows looks like news.
    """

    name: ClassVar[str] = "entity_graph"

    def __init__(self) -> None:
        self._nodes: dict[str, int] = {}
        self._actions: dict[str, int] = {}
        self._types: dict[str, int] = {}
        self._knowledge: _Knowledge | None = None
        self._rates = _Rates()
        self._embedding: GraphEmbedding | None = None

    @property
    def embeds(self) -> bool:
        """Whether a graph autoencoder takes part."""
        return self._embedding is not None

    def fit(self, facts: Sequence[RecordFacts], seed: int) -> None:
        """Learn edges and rates of novelty from records in time order; ``seed`` is for the autoencoder."""
        sets: dict[tuple[Edge, ...], int] = {}
        which = np.array([sets.setdefault(record.edges, len(sets)) for record in facts], dtype=np.int64)
        often = np.bincount(which, minlength=len(sets))
        self._name_nodes(sets, often)
        known = [[self._number(edge) for edge in edges] for edges in sets]
        kept = _most_frequent(known, often)
        known = [[edge if edge in kept else _unseen(edge) for edge in edges] for edges in known]
        self._rates = _Rates()
        self._knowledge = _Knowledge()
        blocks = np.arange(len(facts)) * _block_count(len(facts)) // max(len(facts), 1)
        for span, part in enumerate(np.array_split(np.arange(len(facts)), _EPOCHS)):
            if span:
                self._count_blocks(known, which[part], blocks[part])
            numbers, counts = np.unique(which[part], return_counts=True)
            self._knowledge.learn((edge, int(c)) for i, c in zip(numbers, counts, strict=True) for edge in known[i])
        pairs = sorted(self._knowledge.pairs)
        types = np.array([self._types[_type(node)] for node in self._nodes], dtype=np.int64)
        self._embedding = embed(pairs, types, len(self._types), seed)

    def _name_nodes(self, sets: Iterable[tuple[Edge, ...]], often: npt.NDArray[np.int64]) -> None:
        nodes: Counter[str] = Counter()
        actions: dict[str, int] = {}
        for edges, count in zip(sets, often.tolist(), strict=True):
            for subject, action, target in edges:
                nodes[subject] += count
                nodes[target] += count
                actions.setdefault(action, len(actions))
        chosen = sorted(nodes, key=lambda node: (-nodes[node], node))[:MAX_NODES]
        self._nodes = {node: number for number, node in enumerate(chosen)}
        self._actions = actions
        self._types = {kind: number for number, kind in enumerate(sorted({_type(node) for node in nodes}))}

    def _number(self, edge: Edge) -> Numbered:
        subject, action, target = edge
        here, there = self._types.get(_type(subject), UNKNOWN), self._types.get(_type(target), UNKNOWN)
        pair = here * len(self._types) + there if here >= 0 and there >= 0 else UNKNOWN
        known = self._nodes
        return known.get(subject, UNKNOWN), self._actions.get(action, UNKNOWN), known.get(target, UNKNOWN), pair

    def _count_blocks(
        self, known: list[list[Numbered]], which: npt.NDArray[np.int64], blocks: npt.NDArray[np.int64]
    ) -> None:
        assert self._knowledge is not None
        for block in np.split(which, np.flatnonzero(np.diff(blocks)) + 1):
            self._rates.learn(self._knowledge, (edge for number in set(block.tolist()) for edge in known[number]))

    def score(self, facts: Sequence[RecordFacts]) -> FloatArray:
        """Nats of the least likely edge, float64 ``[n]``; 0 for records without an edge."""
        seen: dict[tuple[Edge, ...], float] = {}
        scores = np.zeros(len(facts))
        for row, record in enumerate(facts):
            value = seen.get(record.edges)
            if value is None:
                value = seen[record.edges] = max(map(self.edge_surprise, record.edges), default=0.0)
            scores[row] = value
        return scores

    def edge_surprise(self, edge: Edge) -> float:
        """Nats of one edge, at least 0: what an explanation of a record's score points at.

        Raises:
            RuntimeError: if the detector was not fitted.
        """
        if self._knowledge is None:
            raise RuntimeError("EntityGraph.score was called before fit")
        numbered = self._number(edge)
        (subject_step, subject_of), (object_step, object_of) = self._knowledge.place(numbered)
        surprise = self._rates.surprise(object_step, _OBJECT_STEPS, object_of)
        if subject_of:
            surprise += self._rates.surprise(subject_step, _SUBJECT_STEPS, subject_of)
        if self._embedding is None or numbered[3] == UNKNOWN or (numbered[0], numbered[2]) in self._knowledge.pairs:
            return surprise
        kinds = divmod(numbered[3], len(self._types))
        shift = -self._embedding.log_odds(numbered[0], kinds[0], numbered[2], kinds[1])
        bound = min(surprise / 2, _MAX_SHIFT)
        return surprise + min(max(shift, -bound), bound)

    def save(self, directory: Path) -> None:
        """Write ``entity_graph.json`` (names) and ``entity_graph.safetensors`` (edges, rates, embedding)."""
        from safetensors.numpy import save_file

        if self._knowledge is None:
            raise RuntimeError("EntityGraph.save was called before fit")
        names: dict[str, Any] = {key: list(getattr(self, f"_{key}")) for key in ("nodes", "actions", "types")}
        edges = [(*edge, count) for edge, count in self._knowledge.edges.items()]
        rates = [(*context, *blocks) for context, blocks in self._rates.histograms.items()]
        tensors: dict[str, npt.NDArray[Any]] = {
            "edges": np.array(edges, dtype=np.int32).reshape(-1, 4),
            "rates": np.array(rates, dtype=np.int32).reshape(-1, 3 + _OBJECT_STEPS),
        }
        if self._embedding is not None:
            tensors |= {"node_vectors": self._embedding.nodes, "type_vectors": self._embedding.types}
            names["decoder"] = [self._embedding.slope, self._embedding.bias]
        (directory / "entity_graph.json").write_text(json.dumps(names), encoding="utf-8")
        save_file(tensors, directory / "entity_graph.safetensors")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote; torch-geometric is not needed."""
        from safetensors.numpy import load_file

        names = json.loads((directory / "entity_graph.json").read_text(encoding="utf-8"))
        tensors = load_file(directory / "entity_graph.safetensors")
        detector = cls()
        for key in ("nodes", "actions", "types"):
            setattr(detector, f"_{key}", {name: number for number, name in enumerate(names[key])})
        detector._knowledge = _Knowledge()
        detector._knowledge.learn(((s, a, o, 0), count) for s, a, o, count in tensors["edges"].tolist())
        detector._rates = _Rates({(row[0], row[1], row[2]): row[3:] for row in tensors["rates"].tolist()})
        if "decoder" in names:
            detector._embedding = GraphEmbedding(tensors["node_vectors"], tensors["type_vectors"], *names["decoder"])
        return detector


def _type(node: str) -> str:
    return node.partition(":")[0]


def _block_count(records: int) -> int:
    return min(max(records // _BLOCK_RECORDS, 2 * _EPOCHS), _MAX_BLOCKS)


def _unseen(edge: Numbered) -> Numbered:
    """An edge too rare to be kept: its object is as good as never seen."""
    return edge[0], edge[1], UNKNOWN, edge[3]


def _most_frequent(known: list[list[Numbered]], often: npt.NDArray[np.int64]) -> set[Numbered]:
    counts: Counter[Numbered] = Counter()
    for edges, count in zip(known, often.tolist(), strict=True):
        for edge in edges:
            counts[edge] += count
    if len(counts) <= MAX_EDGES:
        return set(counts)
    return set(sorted(counts, key=lambda edge: (-counts[edge], edge))[:MAX_EDGES])
