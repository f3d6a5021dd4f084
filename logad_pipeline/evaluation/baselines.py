"""Simple baselines on the units of a benchmark: what a model must beat to be worth its cost.

Belongs here: the contract, the rules on single lines, the threshold, and the run over all of them. The
baselines on counts are in ``count_baselines``, the one on order in ``ngram_baseline``. No labels here.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.calibration import ScoreScale, TailCalibration

IntArray = NDArray[np.int64]

HELD_OUT_SHARE: Final = 0.25
"""Share of the training units, the latest, on which a threshold is set; as much as the model holds out."""
MIN_UNITS: Final = 4
_SPREAD_FLOOR: Final = 0.01


@dataclass(frozen=True, eq=False)
class UnitLines:
    """One unit: a session, a round or a window.

    Attributes:
        line_ids: int64 ``[lines]``, numbers of its normalised lines in order, ``>= 0``, from one numbering
            over training and test (``WindowIndex.text_id``); equal lines have equal numbers.
        severe: whether a record of it has a severity of warning or above.
        error: whether a record of it has a severity of error or above.
    """

    line_ids: IntArray
    severe: bool
    error: bool


@dataclass(frozen=True)
class Corpus:
    """Units end to end, for work on arrays.

    Attributes:
        line_ids: int64 ``[total lines]``.
        unit: int64 ``[total lines]``, the unit of each line, ascending.
        starts: int64 ``[units]``, where each unit begins.
        lengths: int64 ``[units]``, lines of each, ``>= 1``.
    """

    line_ids: IntArray
    unit: IntArray
    starts: IntArray
    lengths: IntArray

    @classmethod
    def of(cls, units: Sequence[UnitLines]) -> Corpus:
        """Put units end to end.

        Raises:
            ValueError: if there is no unit, or one has no line.
        """
        lengths = np.array([len(unit.line_ids) for unit in units], dtype=np.int64)
        if not len(lengths) or not lengths.min():
            raise ValueError("there is no unit, or a unit without lines; leave empty units out")
        line_ids = np.concatenate([np.asarray(unit.line_ids, dtype=np.int64) for unit in units])
        return cls(line_ids, np.repeat(np.arange(len(lengths)), lengths), np.cumsum(lengths) - lengths, lengths)


class Baseline(ABC):
    """Two methods, as a detector has: learn from units in time order, score units.

    Attributes:
        name: what it is called in tables.
        decides: whether its scores are verdicts (0 or 1) that need no threshold.
    """

    name: ClassVar[str]
    decides: ClassVar[bool] = False

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @abstractmethod
    def fit(self, units: Sequence[UnitLines]) -> None:
        """Learn from training units, in time order."""

    @abstractmethod
    def score(self, units: Sequence[UnitLines]) -> FloatArray:
        """float64 ``[n]``, finite, higher being stranger."""


class FlagEverything(Baseline):
    """Calls every unit anomalous: what precision and F1 are worth for nothing."""

    name = "flag everything"
    decides = True

    def fit(self, units: Sequence[UnitLines]) -> None:
        """Nothing to learn."""

    def score(self, units: Sequence[UnitLines]) -> FloatArray:
        """All 1."""
        return np.ones(len(units))


class SevereLine(Baseline):
    """Calls a unit anomalous if it holds a warning or anything worse; the rule that people write first.

    When it does not work: where programs warn all the time, or log their failures as INFO. It gives no
    order among those it flags.
    """

    name = "a WARN or ERROR line"
    decides = True

    def fit(self, units: Sequence[UnitLines]) -> None:
        """Nothing to learn."""

    def score(self, units: Sequence[UnitLines]) -> FloatArray:
        """1 or 0."""
        return np.array([unit.severe for unit in units], dtype=np.float64)


class ErrorLine(Baseline):
    """Calls a unit anomalous if it holds an error or anything worse; warnings do not count.

    When it does not work: where programs log their failures as INFO or as warnings.
    """

    name = "an ERROR line"
    decides = True

    def fit(self, units: Sequence[UnitLines]) -> None:
        """Nothing to learn."""

    def score(self, units: Sequence[UnitLines]) -> FloatArray:
        """1 or 0."""
        return np.array([unit.error for unit in units], dtype=np.float64)


class Length(Baseline):
    """How far the logarithm of the number of lines is from its median, in robust spreads (1.48 MAD).

    When it does not work: on windows of a fixed number of lines, where only the last differs.
    """

    name = "length"

    def fit(self, units: Sequence[UnitLines]) -> None:
        """Keep median and spread."""
        logs = np.log(Corpus.of(units).lengths)
        self._median = float(np.median(logs))
        self._spread = max(1.4826 * float(np.median(np.abs(logs - self._median))), _SPREAD_FLOOR)

    def score(self, units: Sequence[UnitLines]) -> FloatArray:
        """Spreads from the median, ``>= 0``."""
        return np.asarray(np.abs(np.log(Corpus.of(units).lengths) - self._median) / self._spread)


class NewEvents(Baseline):
    """How many lines of a unit were never seen in training, after normalisation.

    When it does not work: if normal behaviour is not yet complete in training, or anomalies are made of
    known lines that are missing, repeated or in another order.
    """

    name = "new events"

    def fit(self, units: Sequence[UnitLines]) -> None:
        """Keep the lines seen."""
        self._known = np.unique(Corpus.of(units).line_ids)

    def score(self, units: Sequence[UnitLines]) -> FloatArray:
        """Number of lines, ``>= 0``."""
        corpus = Corpus.of(units)
        new = np.isin(corpus.line_ids, self._known, invert=True)
        return np.bincount(corpus.unit, weights=new, minlength=len(units)).astype(np.float64)


@dataclass(frozen=True, eq=False)
class BaselineScores:
    """What a baseline says of the test units.

    Attributes:
        scores: float64 ``[n]`` in [0, 1]; 0.5 and above is an anomaly, as for the model.
        seconds: of fitting, calibrating and scoring.
    """

    scores: FloatArray
    seconds: float


def all_baselines(seed: int) -> list[Baseline]:
    """Every baseline, unfitted; those with chance in them take it from ``seed``."""
    from .count_baselines import IsolationTrees, NearestCounts, PrincipalComponents
    from .ngram_baseline import TrigramSurprise

    kinds: list[type[Baseline]] = [
        FlagEverything, SevereLine, ErrorLine, Length, NewEvents, NearestCounts, TrigramSurprise,
        IsolationTrees, PrincipalComponents,
    ]  # fmt: skip
    return [kind(seed) for kind in kinds]


def run_baselines(
    train_units: Sequence[UnitLines], test_units: Sequence[UnitLines], rate: float, seed: int
) -> dict[str, BaselineScores]:
    """Fit every baseline, set its threshold without labels, and score the test.

    A baseline is fitted on the first three quarters of the training units; the latest quarter gives the
    p-values (:class:`TailCalibration`) by which its scores become those of the model's scale. Baselines that
    decide by themselves keep their verdicts.

    Args:
        train_units: in time order, ``MIN_UNITS`` or more.
        test_units: those that are judged.
        rate: the promised false-alarm rate, ``0 < rate < 1``.
        seed: for baselines with chance in them.

    Raises:
        ValueError: too few training units, an empty unit, or a rate outside its range.
    """
    if len(train_units) < MIN_UNITS:
        raise ValueError(f"{len(train_units)} training units; baselines need {MIN_UNITS} to fit and set a threshold")
    scale = ScoreScale(rate)
    cut = len(train_units) - math.ceil(HELD_OUT_SHARE * len(train_units))
    found: dict[str, BaselineScores] = {}
    for baseline in all_baselines(seed):
        started = time.monotonic()
        baseline.fit(train_units[:cut])
        scores = baseline.score(test_units)
        if not baseline.decides:
            held_out = baseline.score(train_units[cut:])
            calibration = TailCalibration.fit(held_out, np.ones(len(held_out), dtype=np.int64))
            scores = scale.score(calibration.log10_p_value(scores))
        found[baseline.name] = BaselineScores(scores, time.monotonic() - started)
    return found
