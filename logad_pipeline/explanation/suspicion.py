"""What speaks against each line of a window, and how loudly.

Belongs here: the witnesses, one rarity a line and witness, all calibrated on held-out normal windows, and
their fusion to one suspicion a line. Which kind of anomaly that makes is ``kinds``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from logad_pipeline.detectors.base import EncodedWindows, FloatArray
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.detectors.fusion import Fusion
from logad_pipeline.detectors.masking import BoolArray
from logad_pipeline.explanation.evidence import ShownWindow
from logad_pipeline.explanation.normal_windows import Lack, NormalWindows
from logad_pipeline.logs.facts import RecordFacts
from logad_pipeline.windows import WindowSet

SURPRISE: Final = "worst_line"
NEXT: Final = "next_event"
UNSEEN: Final = "unseen"
RELATION: Final = "entity_graph"
NUMBERS: Final = "parameters"
LEVEL: Final = "severity"
LENGTH: Final = "length"
TEMPLATE: Final = "template"
REPEATED: Final = "repeated"
_SURE: Final = 0.5
"""Probability from which a line that was expected is quoted."""
_NODE_KINDS: Final = frozenset(("user", "ip", "host", "process", "file"))
_NUMBERS: Final = 5
"""Numbers of a line that are quoted."""
_MOST: Final = 12.0
"""Rarity beyond which one witness is as good as another: the tails there are extrapolated."""
_LEARNED: Final = 2
"""Training windows that must hold a line for the model of what comes next to know it from any other."""


@dataclass(frozen=True)
class Reason:
    """What a witness says of a line in words; ``masked`` names nobody, quotes no line and gives no number."""

    text: str
    masked: str


@dataclass(frozen=True)
class Witnesses:
    """Rarity, ``-log10 p``, of each line by witness, float64 ``[lines]`` each, from 0 to 12.

    Attributes:
        rarity: by witness; those that the model lacks are left out.
        new: bool ``[lines]``, whether a line is of a kind that training did not hold.
        learned: bool ``[lines]``, whether enough training windows hold the line for the models of order to know it.
        fusion: of the witnesses of ``rarity``.
        likely: the lines that were likely at each place, with their probabilities; may be empty.
        lack: the line that is missing most.
    """

    rarity: Mapping[str, FloatArray]
    new: BoolArray
    learned: BoolArray
    fusion: Fusion
    likely: Sequence[Sequence[tuple[str, float]]]
    lack: Lack

    @property
    def suspicion(self) -> FloatArray:
        """One rarity a line: the witnesses are fused as the model fuses its detectors, by a weighted power mean of
        their p-values, so that a sharp one is heard and one alone does not outdo several that agree."""
        return self.fusion({name: -values for name, values in self.rarity.items()})

    def of(self, name: str) -> FloatArray:
        """One witness's rarities; zeros where it is not there."""
        lines = len(next(iter(self.rarity.values())))
        return self.rarity.get(name, np.zeros(lines))


def witnesses(
    model: AnomalyDetector,
    normal: NormalWindows,
    shown: Sequence[ShownWindow],
    windows: WindowSet,
    surprise: FloatArray,
    excess: FloatArray,
    likely: Sequence[Sequence[tuple[str, float]]],
) -> list[Witnesses]:
    """Hear all witnesses on windows, which costs less together.

    Args:
        model: the model that judged them.
        normal: its normal windows.
        shown: the windows.
        windows: the same, one row each.
        surprise: nats a token of each line of all windows, float64 ``[lines]``.
        excess: how far the next-event model's surprise exceeds its expectation, the same shape; empty without it.
        likely: the lines likely at each place; empty without it.
    """
    known = normal.lines(windows.texts)
    of_records, of_surprise, worth = _of_records(model, shown, windows), None, _unseen_worth(model, windows)
    if SURPRISE in model.calibrations:
        short = np.repeat(model.window_spec.ends_early(windows), np.diff(windows.offsets))
        of_surprise = -model.calibrations[SURPRISE].log10_p_value(surprise, short)
    found = []
    for row, window in enumerate(shown):
        part = slice(int(windows.offsets[row]), int(windows.offsets[row + 1]))
        repeats = normal.repetition(window.texts)
        rarity = {
            TEMPLATE: np.array([known[text].rarity for text in window.texts]),
            REPEATED: np.array([repeats[text] for text in window.texts]),
        }
        if of_surprise is not None:
            rarity[SURPRISE] = of_surprise[part]
        learned = np.array([normal.times_seen(text) >= _LEARNED for text in window.texts], dtype=np.bool_)
        if len(excess):
            rarity[NEXT] = _borne(model, window, NEXT, _levelled(excess[part], ~learned))
        if len(worth):
            rarity[UNSEEN] = _borne(model, window, UNSEEN, worth[part])
        if window.facts:
            rarity |= {name: values[part] for name, values in of_records.items()}
        clipped = {name: np.clip(values, 0.0, _MOST) + 0.0 for name, values in rarity.items()}
        new = np.array([known[text].is_new for text in window.texts], dtype=np.bool_)
        found.append(
            Witnesses(
                clipped, new, learned, _fusion(model, tuple(clipped)), likely[part] if likely else [],
                normal.lack(window.texts),
            )
        )  # fmt: skip
    return found


def _borne(model: AnomalyDetector, window: ShownWindow, name: str, share: FloatArray) -> FloatArray:
    """What a detector says of a window, borne by its lines: all of it by the one with the greatest share."""
    loud = model.scale.rarity(window.detectors.get(name, 0.0))
    return np.asarray(loud * np.maximum(share, 0.0) / max(float(share.max()), 1e-9))


def _levelled(excess: FloatArray, alike: BoolArray) -> FloatArray:
    """The excess with the greatest of the lines that are one event to the model given to all of these: which of
    them it expected least says where that one stood, not what it is."""
    return np.where(alike, excess[alike].max(), excess) if alike.any() else excess


def _unseen_worth(model: AnomalyDetector, windows: WindowSet) -> FloatArray:
    """How much of a novelty each line is, float64 ``[lines]``, 0 for a known one; empty without that detector."""
    if UNSEEN not in model.detectors or not len(windows.texts):
        return np.zeros(0)
    worth = model.detectors[UNSEEN].score(EncodedWindows.unread(WindowSet.of_lines([(t,) for t in windows.texts])))
    return np.asarray(worth[windows.line_ids])


def _fusion(model: AnomalyDetector, names: tuple[str, ...]) -> Fusion:
    """A witness of records weighs as its detector does. Those of texts share what all detectors of texts weigh,
    since most of these judge windows and name no line."""
    weights = dict(zip(model.fusion.names, model.fusion.weights, strict=True))
    texts = [name for name in names if name not in model.record_detectors]
    share = sum(weight for name, weight in weights.items() if name not in model.record_detectors) / len(texts)
    found = np.array([share if name in texts else weights.get(name, 0.0) for name in names])
    if not found.any():
        found = np.ones(len(names))
    return Fusion(names, tuple((found / found.sum()).tolist()), model.fusion.exponent)


def _of_records(model: AnomalyDetector, shown: Sequence[ShownWindow], windows: WindowSet) -> dict[str, FloatArray]:
    """What each detector of records says of every line, float64 ``[lines]``; 0 where no facts are given."""
    facts = [fact for window in shown for fact in window.facts]
    if not facts:
        return {}
    given = np.repeat([bool(window.facts) for window in shown], np.diff(windows.offsets))
    found = {}
    for name, detector in model.record_detectors.items():
        found[name] = np.zeros(len(given))
        found[name][given] = -model.record_log10_p(name, detector.score(facts))
    return found


def reasons(
    place: int, shown: ShownWindow, heard: Witnesses, normal: NormalWindows, model: AnomalyDetector, loud: float
) -> tuple[Reason, ...]:
    """What speaks against a line in words, the strongest first; a witness below ``loud`` is not quoted."""
    text = shown.texts[place]
    fact = shown.facts[place] if shown.facts else None
    loudest = sorted((-float(values[place]), name) for name, values in heard.rarity.items() if values[place] >= loud)
    said = (_in_words(name, text, shown, fact, heard, normal, model, place) for _, name in loudest)
    return tuple(dict.fromkeys(said))


def _in_words(
    name: str, text: str, shown: ShownWindow, fact: RecordFacts | None, heard: Witnesses, normal: NormalWindows,
    model: AnomalyDetector, place: int,
) -> Reason:  # fmt: skip
    if name == NEXT:
        likely = heard.likely[place] if place < len(heard.likely) else ()
        if likely and likely[0][1] >= _SURE:
            chance = f"was expected here ({likely[0][1]:.0%})"
            return Reason(f"'{likely[0][0]}' {chance}", f"another line {chance}")
        return _open("not expected after the lines before it")
    if name == RELATION and fact is not None:
        return relation(model, fact)
    if name == NUMBERS and fact is not None:
        numbers = ", ".join(f"{number:g}" for number in fact.numbers[:_NUMBERS])
        more = ", …" if len(fact.numbers) > _NUMBERS else ""
        return Reason(f"an unusual number ({numbers}{more})", "an unusual number")
    if name == LEVEL and fact is not None:
        return _open(f"level {fact.severity or 'none'} is rare for it")
    if name == REPEATED:
        return _open(f"{shown.texts.count(text)} times in one window")
    if name == UNSEEN:
        return _open("never seen in the normal logs")
    if name == TEMPLATE:
        share = normal.seen_in(text)
        if not share and text in model.reference.known_texts:
            return _open("in none of the normal windows learned from")
        return _open(f"in {share:.2%} of the normal windows" if share else "never seen in the normal logs")
    return _open("the model guessed it badly from its neighbours")


def _open(text: str) -> Reason:
    return Reason(text, text)


def relation(model: AnomalyDetector, fact: RecordFacts) -> Reason:
    """The least likely edge of a record, in words."""
    from logad_pipeline.detectors.entity_graph import EntityGraph

    graph = model.record_detectors[RELATION]
    assert isinstance(graph, EntityGraph)
    if not fact.edges:
        return _open("unusual company")
    subject, _, target = max(fact.edges, key=graph.edge_surprise)
    return Reason(f"{subject} with {target} is unusual", f"{_kind(subject)} with {_kind(target)} is unusual")


def _kind(node: str) -> str:
    kind = node.partition(":")[0]
    return kind if kind in _NODE_KINDS else "something"
