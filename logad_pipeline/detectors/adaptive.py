"""A threshold that keeps its promise while normal behaviour drifts.

Belongs here: the online update over units in time order. p-values are made elsewhere; labels are
nowhere.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.base import FloatArray

_CLEAR: Final = 0.5
"""Decades below the promised rate from which an alarm is taken for an anomaly and not for drift."""
_RECOVERY: Final = 0.1
"""Share of the promised rate that alarms close to the threshold may take up in the long run."""


_RECENT: Final = 1000
"""Units that are remembered, to see what is frequent now."""
_FREQUENT_WITHIN: Final = 1.0
"""Decades below the promised rate within which being frequent makes a unit normal."""


@dataclass
class AdaptiveThreshold:
    """Keeps the promised rate of false alarms while normal behaviour drifts, in two ways.

    First, what is frequent is not rare. A p-value is at least the share of windows of the same kind; when
    normal behaviour drifts, a kind that made up a hundredth of the training data may make up a third of
    today's. So a unit whose kind has more than the promised share ``r`` of the last thousand units is worth
    that share, unless it was ten times rarer than the threshold: that is no shift of proportions.

    Second, adaptive conformal inference (Gibbs and Candès, 2021) on the alarms close to the threshold whose
    kind came before, if only once: drift repeats itself. After such an alarm between ``r / 3`` and ``r`` the
    rate in force goes down, after every other unit a little up again, at most to ``r``: in the long run a
    tenth of ``r`` is spent on such alarms. In the paper somebody says which alarms were false; here nobody
    does, so rarer alarms and those of a kind of their own count as true and move nothing. Steps are relative
    (they act on the logarithm).

    Neither is done for units with a line that was never seen in training: that is no shift of proportions,
    and a password that is guessed a thousand times does not become a habit.

    When it does not work: a flood of anomalies of one kind that are barely anomalous and made of known lines
    is taken for the new normal after some dozens; new lines of a new release raise alarms until the model has
    learned them; and drift to windows ten times rarer than promised is not adapted to, because
    it cannot be told from an incident: train anew.

    Attributes:
        rate: the promised share of normal units that raise an alarm, ``0 < rate < 1``.
        step: how fast it moves: the change of the logarithm after one alarm. 0 switches both ways off.
        in_force: the rate in force now; between about ``rate / 3`` and ``rate``.
    """

    rate: float
    step: float = 0.3
    in_force: float = 0.0
    _recent: deque[Hashable] = field(default_factory=deque, repr=False)
    _often: Counter[Hashable] = field(default_factory=Counter, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1 or self.step < 0:
            raise ValueError(f"rate {self.rate} must lie between 0 and 1, and step {self.step} not below 0")
        self.in_force = self.in_force or self.rate

    def update(self, log10_p: float, kind: Hashable = None, *, novel: bool = False) -> tuple[float, float]:
        """Take the next unit.

        Args:
            log10_p: its p-value.
            kind: what it has in common with others like it, such as its set of events; ``None`` for nothing.
            novel: whether a line of it was never seen in training.

        Returns:
            The p-value that it is worth, and the rate that was in force for it: an alarm if at most that.
        """
        promised = math.log10(self.rate)
        used = self.in_force
        if self.step:
            if kind is not None and not novel and log10_p > promised - _FREQUENT_WITHIN:
                log10_p = max(log10_p, self._share_of(kind))
            # What never came before is no habit: drift repeats itself.
            close = promised - _CLEAR < log10_p <= math.log10(used)
            habit = not novel and (kind is None or self._often[kind] > 0)
            moved = math.log(used) + self.step * (_RECOVERY * self.rate - float(close and habit))
            self.in_force = min(max(math.exp(moved), self.rate * 10**-_CLEAR), self.rate)
            self._remember(kind)
        return log10_p, used

    def _share_of(self, kind: Hashable) -> float:
        """``log10`` of a kind's share of the recent units, ``-inf`` where it is no frequent one."""
        share = self._often[kind] / max(len(self._recent), _RECENT // 3)
        return math.log10(share) if share > self.rate else -math.inf

    def _remember(self, kind: Hashable) -> None:
        self._recent.append(kind)
        self._often[kind] += 1
        if len(self._recent) > _RECENT:
            gone = self._recent.popleft()
            self._often[gone] -= 1
            if not self._often[gone]:
                del self._often[gone]

    @property
    def recent(self) -> tuple[Hashable, ...]:
        """The kinds of the units that it remembers, oldest first; :meth:`recall` takes them."""
        return tuple(self._recent)

    def recall(self, kinds: Sequence[Hashable]) -> None:
        """Remember units that another threshold saw, so as to go on where it stopped."""
        for kind in kinds:
            self._remember(kind)

    def adapted(
        self,
        log10_p: npt.ArrayLike,
        kinds: Sequence[Hashable] | None = None,
        novel: Sequence[bool] | npt.NDArray[np.bool_] | None = None,
    ) -> FloatArray:
        """p-values of units in time order, stretched so that the rate in force comes to lie at the promised one.

        Scores made of them keep their meaning: 0.5 is the threshold in force.
        """
        values = np.asarray(log10_p, dtype=np.float64)
        out = np.empty(len(values))
        for row, value in enumerate(values):
            worth, used = self.update(
                float(value),
                kinds[row] if kinds is not None else None,
                novel=bool(novel[row]) if novel is not None else False,
            )
            out[row] = worth * math.log(self.rate) / math.log(used)
        return out
