"""The numbers that the masks hide: is this value unlike those its kind of message had before?

Belongs here: what is learnt of each masked number, and the surprise of a new value. Reading numbers out of
messages is in ``logs.facts``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.records import RecordDetector
from logad_pipeline.logs.facts import RecordFacts

MIN_SAMPLES: Final = 40
MAX_TEMPLATES: Final = 20_000
MAX_SAMPLES: Final = 20_000
MAX_CATEGORIES: Final = 10

_BELOW_HALF: Final = (0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
_LEVELS: Final = np.array([*_BELOW_HALF, 0.5, *(1 - level for level in reversed(_BELOW_HALF))])
_KNOTS: Final = len(_LEVELS)
_RISING: Final = 0.9
_DIFFERENT: Final = 0.5
_FLAT: Final = 4.0
_TIED: Final = 0.5
_LEAST_SCALE: Final = 0.02

_NAMING_WORDS: Final = frozenset(
    ("port", "pid", "ppid", "process", "tid", "thread", "session", "id", "ino", "inode", "serial", "job", "connection",
     "request", "transaction", "sequence", "seq")
)  # fmt: skip

Kind = Literal["category", "amount", "ignored"]


@dataclass(frozen=True)
class _Spread:
    """How values spread, on the scale of :func:`_compressed`.

    Attributes:
        knots: float64 ``[31]``, quantiles from least to greatest, closer together towards both ends.
        scale: robust width, ``> 0``.
        beyond: the probability of a value outside the quantiles, as held-out values had it.
    """

    knots: FloatArray
    scale: float
    beyond: float

    @classmethod
    def of(cls, values: FloatArray) -> Self:
        early, late = _halves(values)
        outside = float(((late < early.min()) | (late > early.max())).sum())
        low, quarter, three_quarters, high = np.quantile(values, [0.05, 0.25, 0.75, 0.95])
        scale = max((three_quarters - quarter) / 1.35, (high - low) / 3.3, _LEAST_SCALE)
        return cls(np.quantile(values, _LEVELS), float(scale), (outside + 0.5) / (len(late) + 1))

    def surprise(self, values: FloatArray) -> FloatArray:
        """Nats: how rarely a value lies as far out on its side, or further."""
        left = np.interp(values, self.knots, _LEVELS, left=0.0)
        # The same knots read from above, so that a value repeated over several knots keeps its whole mass.
        right = np.interp(-values, -self.knots[::-1], _LEVELS, left=0.0)
        probability = np.clip(2 * np.minimum(left, right), self.beyond, 1.0)
        away = np.maximum(np.maximum(self.knots[0] - values, values - self.knots[-1]), 0.0)
        return np.asarray(2 * np.log1p(away / self.scale) - np.log(probability))

    @property
    def row(self) -> list[float]:
        return [*self.knots.tolist(), self.scale, self.beyond]

    @classmethod
    def from_row(cls, row: FloatArray) -> Self:
        return cls(row[:_KNOTS], float(row[_KNOTS]), float(row[_KNOTS + 1]))


@dataclass(frozen=True)
class _Categories:
    """A small set of values: each value's surprise in nats, and that of one never seen."""

    values: FloatArray
    surprises: FloatArray
    unseen: float

    @classmethod
    def of(cls, values: FloatArray) -> Self:
        early, late = _halves(values)
        different, counts = np.unique(values, return_counts=True)
        once = float((counts == 1).sum())
        held_out = float((~np.isin(late, early)).sum())
        # Good and Turing's estimate knows bursts of one new value too little, the held-out one a change too late.
        unseen = max((once + 0.5) / (len(values) + 1), (held_out + 0.5) / (len(late) + 1))
        as_rare = np.array([counts[counts <= count].sum() for count in counts]) / len(values)
        surprises = np.minimum(-np.log(as_rare), -np.log(unseen))
        return cls(different, np.maximum(surprises, 0.0), float(-np.log(unseen)))

    def surprise(self, values: FloatArray) -> FloatArray:
        where = np.minimum(np.searchsorted(self.values, values), len(self.values) - 1)
        return np.where(self.values[where] == values, self.surprises[where], self.unseen)


@dataclass(frozen=True)
class _Position:
    """What is known of one number of one template; ``steps`` only where values stay near the last one."""

    kind: Kind
    categories: _Categories | None = None
    spread: _Spread | None = None
    steps: _Spread | None = None
    last: float = 0.0

    @classmethod
    def of(cls, values: FloatArray, word: str) -> Self:
        """Learn from values in time order, at least ``MIN_SAMPLES``; ``word`` stands before them, if known."""
        if len(np.unique(values)) <= MAX_CATEGORIES:
            return cls("category", categories=_Categories.of(values))
        if word in _NAMING_WORDS or _names_things(values):
            return cls("ignored")
        amounts = _compressed(values)
        spread, steps = _Spread.of(amounts), _Spread.of(np.diff(amounts))
        tied = steps.scale < _TIED * spread.scale
        return cls("amount", spread=spread, steps=steps if tied else None, last=float(amounts[-1]))

    def surprise(self, values: FloatArray) -> FloatArray:
        if self.categories is not None:
            return self.categories.surprise(values)
        if self.spread is None:
            return np.zeros(len(values))
        amounts = _compressed(values)
        surprise = self.spread.surprise(amounts)
        if self.steps is None:
            return surprise
        return np.maximum(surprise, self.steps.surprise(np.diff(amounts, prepend=self.last)))


class ParameterValues(RecordDetector):
    """Surprise of the strangest masked number of a record, in nats.

    The parameter-value model of DeepLog (Du, Li, Zheng and Srikumar, 2017) asks of each kind of message
    whether its numbers go on as before, with an LSTM for each. Here each number (by template and position)
    has a distribution instead: a few hundred values, which is what most templates have, do not train a
    recurrent network, thousands of networks do not load in a service, and their squared error has no
    common unit. What is kept is the question, and a value is compared to the recent one by its step. The
    price is that longer patterns (a daily curve, two numbers that move together) are not seen.

    - At most ``10`` different values (exit codes, states): each is as surprising as values that rare are,
      one never seen as the chance of a new one, by Good and Turing (Good, 1953) or as held-out values
      had it, whichever is greater.
    - Counters, ports, process ids and other names made of digits: ignored. They are told by the word before
      them, by rising, or as whole numbers that hardly repeat and are spread evenly.
    - Other amounts: how rarely a value lies so far out, by the quantiles of training on a logarithmic
      scale. Outside the range of training it is what held-out values had, falling with the square of
      the distance in robust widths. Where values stay near one another, steps are judged the same way.

    Held-out values are the later half of training against the earlier one, so a number that drifts has
    little to say. With ``k`` numbers in a record the surprise is lowered by ``log k`` (Bonferroni).

    When it does not work: templates with fewer than ``40`` records score 0, and so does an even spread of
    amounts that looks like a name. Steps go from record to record, whichever host or process wrote them, and
    the first step of each call of :meth:`score` starts at the last training value. Two lists of different
    length in one template shift its positions.
    """

    name: ClassVar[str] = "parameters"

    def __init__(self) -> None:
        self._positions: dict[str, list[_Position | None]] | None = None

    def fit(self, facts: Sequence[RecordFacts], seed: int) -> None:
        """Learn each number of the most frequent ``20,000`` templates; nothing here is random."""
        grouped = sorted(_by_template(facts), key=lambda group: -len(group[1]))[:MAX_TEMPLATES]
        learnt: dict[str, list[_Position | None]] = {}
        for template, rows in grouped:
            columns = _columns([facts[row].numbers for row in rows[-MAX_SAMPLES:]])
            words = _words_before(template, len(columns))
            positions = [
                _Position.of(values, word) if len(values) >= MIN_SAMPLES else None
                for word, (_, values) in zip(words, columns, strict=True)
            ]
            if any(positions):
                learnt[template] = positions
        self._positions = learnt

    def score(self, facts: Sequence[RecordFacts]) -> FloatArray:
        """Nats of the strangest number, float64 ``[n]``; 0 where none is known well enough."""
        if self._positions is None:
            raise RuntimeError("ParameterValues.score was called before fit")
        scores = np.zeros(len(facts))
        for template, rows in _by_template(facts):
            known = self._positions.get(template)
            if known is None:
                continue
            worst, judged = np.zeros(len(rows)), np.zeros(len(rows))
            columns = _columns([facts[row].numbers for row in rows])
            for position, (where, values) in zip(known, columns, strict=False):
                if position is not None and position.kind != "ignored":
                    worst[where] = np.maximum(worst[where], position.surprise(values))
                    judged[where] += 1
            scores[rows] = np.maximum(worst - np.log(np.maximum(judged, 1)), 0.0)
        return scores

    def save(self, directory: Path) -> None:
        """Write ``parameters.json`` (templates and kinds) and ``parameters.safetensors`` (distributions)."""
        from safetensors.numpy import save_file

        if self._positions is None:
            raise RuntimeError("ParameterValues.save was called before fit")
        spreads: list[list[float]] = []
        categories: list[tuple[float, float]] = []
        templates = {}
        for template, positions in self._positions.items():
            rows: list[list[float | str] | None] = []
            for position in positions:
                rows.append(None if position is None else _written(position, spreads, categories))
            templates[template] = rows
        (directory / "parameters.json").write_text(json.dumps(templates), encoding="utf-8")
        tensors = {
            "spreads": np.array(spreads, dtype=np.float64).reshape(-1, _KNOTS + 2),
            "categories": np.array(categories, dtype=np.float64).reshape(-1, 2),
        }
        save_file(tensors, directory / "parameters.safetensors")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote."""
        from safetensors.numpy import load_file

        templates = json.loads((directory / "parameters.json").read_text(encoding="utf-8"))
        tensors = load_file(directory / "parameters.safetensors")
        spreads, categories = iter(tensors["spreads"]), iter(tensors["categories"])
        detector = cls()
        detector._positions = {
            template: [None if row is None else _read(row, spreads, categories) for row in rows]
            for template, rows in templates.items()
        }
        return detector


def _written(
    position: _Position, spreads: list[list[float]], categories: list[tuple[float, float]]
) -> list[float | str]:
    """Kind and counts for the JSON file; the distributions go to the ends of the two lists."""
    if position.categories is not None:
        known = position.categories
        categories += zip(known.values.tolist(), known.surprises.tolist(), strict=True)
        return [position.kind, len(known.values), known.unseen]
    held = [spread for spread in (position.spread, position.steps) if spread is not None]
    spreads += [spread.row for spread in held]
    return [position.kind, len(held), position.last]


def _read(row: tuple[Kind, int, float], spreads: Iterator[FloatArray], categories: Iterator[FloatArray]) -> _Position:
    kind, count, number = row
    if kind == "category":
        pairs = np.stack([next(categories) for _ in range(count)])
        return _Position(kind, categories=_Categories(pairs[:, 0].copy(), pairs[:, 1].copy(), number))
    held = [_Spread.from_row(next(spreads)) for _ in range(count)]
    return _Position(kind, spread=held[0] if held else None, steps=held[1] if count > 1 else None, last=number)


def _by_template(facts: Sequence[RecordFacts]) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Templates with numbers, and the rows of their records in order."""
    rows: dict[str, list[int]] = {}
    for row, record in enumerate(facts):
        if record.numbers:
            rows.setdefault(record.template, []).append(row)
    return [(template, np.array(found, dtype=np.int64)) for template, found in rows.items()]


def _columns(numbers: Sequence[tuple[float, ...]]) -> list[tuple[npt.NDArray[np.int64], FloatArray]]:
    """For each position: which records have it, and its values."""
    columns = []
    for position in range(max(map(len, numbers), default=0)):
        where = [row for row, values in enumerate(numbers) if len(values) > position]
        values = np.array([numbers[row][position] for row in where], dtype=np.float64)
        columns.append((np.array(where, dtype=np.int64), values))
    return columns


def _words_before(template: str, count: int) -> list[str]:
    """The word before each number of a template, ``""`` where it is not known which number a word stands before."""
    words = template.split()
    found = [words[at - 1] if at else "" for at, word in enumerate(words) if word in ("num", "duration", "size")]
    sure = found if len(found) == count else found[:1]
    return [*sure, *[""] * count][:count]


def _compressed(values: FloatArray) -> FloatArray:
    """The sign kept and the size on a logarithmic scale, which starts linearly at 0."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def _halves(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    middle = (len(values) + 1) // 2
    return values[:middle], values[middle:]


def _names_things(values: FloatArray) -> bool:
    """Whether numbers count up or are names made of digits, so that a new one is no news."""
    if (np.diff(values) >= 0).mean() >= _RISING:
        return True
    whole = bool((values == np.round(values)).all())
    if not whole or len(np.unique(values)) < _DIFFERENT * len(values):
        return False
    # Ports and process ids fill their range; sizes and times crowd at its lower end.
    low, middle, high = np.quantile(np.abs(values), [0.02, 0.5, 0.98])
    return bool(high < _FLAT * max(middle, 1.0) and high > 1.5 * max(low, 1.0) and high >= 1000)
