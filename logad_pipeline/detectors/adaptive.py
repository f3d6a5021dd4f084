"""A threshold that keeps its promise while normal behaviour drifts.

Belongs here: the online update over units in time order. p-values are made elsewhere; labels are
nowhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.base import FloatArray

_CLEAR: Final = 0.5
"""Decades below the promised rate from which an alarm is taken for an anomaly and not for drift."""
_RECOVERY: Final = 0.1
"""Share of the promised rate that alarms close to the threshold may take up in the long run."""


@dataclass
class AdaptiveThreshold:
    """Adaptive conformal inference (Gibbs and Candès, 2021) on the alarms close to the threshold.

    The promised rate ``r`` is what the calibrated p-values would keep if nothing changed. When normal
    behaviour drifts, a kind of window that was just common enough becomes just too rare, and comes by the
    hundred. So after an alarm close to the threshold (a p-value between ``r / 3`` and ``r``) the rate in
    force goes down, and after every other unit a little up again, at most to ``r``: in the long run a
    tenth of ``r`` is spent on such alarms. In the paper somebody says which alarms were false; here nobody
    does, so alarms rarer than ``r / 3`` count as true and move nothing. Steps are relative (they act on the
    logarithm).

    When it does not work: anomalies just beyond the threshold that follow one another are learned as
    drift from the second on; and drift that makes normal windows three times rarer than promised is not
    adapted to, because it cannot be told from an incident: train anew.

    Attributes:
        rate: the promised share of normal units that raise an alarm, ``0 < rate < 1``.
        step: how fast it moves: the change of the logarithm after one alarm. 0 keeps the rate fixed.
        in_force: the rate in force now; between about ``rate / 3`` and ``rate``.
    """

    rate: float
    step: float = 0.3
    in_force: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1 or self.step < 0:
            raise ValueError(f"rate {self.rate} must lie between 0 and 1, and step {self.step} not below 0")
        self.in_force = self.in_force or self.rate

    def update(self, log10_p: float) -> float:
        """Take the next unit; returns the rate that was in force for it.

        The unit is an alarm if its p-value is at most that rate.
        """
        used = self.in_force
        promised = math.log10(self.rate)
        close = promised - _CLEAR < log10_p <= math.log10(used)
        if self.step:
            moved = math.log(used) + self.step * (_RECOVERY * self.rate - float(close))
            self.in_force = min(max(math.exp(moved), self.rate * 10**-_CLEAR), self.rate)
        return used

    def run(self, log10_p: npt.ArrayLike) -> FloatArray:
        """The rate in force for each of some units in time order, float64 ``[n]``."""
        return np.array([self.update(float(value)) for value in np.asarray(log10_p, dtype=np.float64)])

    def adapted(self, log10_p: npt.ArrayLike) -> FloatArray:
        """p-values stretched so that the rate in force for each unit comes to lie at the promised one.

        Scores made of them keep their meaning: 0.5 is the threshold in force.
        """
        values = np.asarray(log10_p, dtype=np.float64)
        return np.asarray(values * math.log(self.rate) / np.log(self.run(values)))
