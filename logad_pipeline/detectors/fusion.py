"""Several detectors' p-values -> one number.

Belongs here: the weights, how they are learned without labels, and the weighted mean. What the number
means is ``calibration``'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from logad_pipeline.detectors.base import FloatArray

_MOST: Final = 60.0
_RIDGE: Final = 0.02
_SHRINK: Final = 5000
"""Normal windows at which the data has as much to say on the weights as the wish for equal ones has: many,
because what the data says is said by pseudo-anomalies."""
_EXPONENT: Final = 0.5
_HARMONIC: Final = 1.0
"""What models were fused by before they said by what."""


def evidence(log10_p: FloatArray) -> FloatArray:
    """Rarity, ``-log10 p``, from 0 up to where numbers end."""
    return np.clip(-np.asarray(log10_p, dtype=np.float64), 0.0, _MOST)


@dataclass(frozen=True)
class Fusion:
    """A weighted power mean of several detectors' p-values, ``(sum w p^-r)^(-1/r)`` with ``r`` = 1/2, as a rarity.

    It stands between the harmonic mean (``r`` = 1; Wilson, 2019), which the rarest p-value alone decides, and
    the geometric (``r`` -> 0), which a detector that sees nothing holds back: one sharp detector is not drowned,
    one that drifts does not outdo several that agree. All of this family bear detectors that depend on one
    another (Vovk and Wang, 2020).

    The weights are those of a logistic regression, none below zero and drawn towards equal ones, that tells
    held-out normal windows from pseudo-anomalies made of them. A detector that calls the latter no rarer
    than the former gets none. Nothing here is ever shown a label.

    When it does not work: weights are as good as the pseudo-anomalies resemble what will come, which is
    why they are held close to equal, each at least ``floor`` of the mean; and a detector whose normal scores
    drift raises alarms for all.

    Attributes:
        names: the detectors, in the order of the columns.
        weights: theirs, ``>= 0``, with a sum of 1.
        exponent: ``r``, ``> 0``.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    exponent: float = _EXPONENT

    @classmethod
    def fit(cls, names: Sequence[str], normal: FloatArray, broken: FloatArray, floor: float = 0.25) -> Self:
        """Learn the weights.

        Args:
            names: of the ``k`` detectors.
            normal: float64 ``[n, k]``, ``log10`` p-values of held-out normal windows.
            broken: float64 ``[m, k]``, those of pseudo-anomalies; with none, all weigh the same.
            floor: least share of the mean weight.
        """
        if not len(normal) or not len(broken):
            return cls(tuple(names), (1 / len(names),) * len(names))
        from scipy.optimize import minimize

        seen = np.concatenate([evidence(normal), evidence(broken)])
        truth = np.concatenate([np.zeros(len(normal)), np.ones(len(broken))])
        balance = np.where(truth == 1, 0.5 / len(broken), 0.5 / len(normal))
        lift = evidence(broken).mean(axis=0) > evidence(normal).mean(axis=0)
        ridge = _RIDGE * (1 + _SHRINK / len(normal))

        def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
            weights, bias = parameters[:-1], parameters[-1]
            margin = seen @ weights + bias
            # Towards one weight for all that tell anything, the more so the fewer normal windows there are.
            away = weights - np.where(lift, weights[lift].mean(), 0.0) if lift.any() else weights
            value = balance @ (np.logaddexp(0, margin) - truth * margin)
            value += ridge * away @ away + _RIDGE / len(names) * weights @ weights
            slope = balance * (1 / (1 + np.exp(-margin)) - truth)
            slopes = seen.T @ slope + 2 * ridge * away + 2 * _RIDGE / len(names) * weights
            return float(value), np.concatenate([slopes, [slope.sum()]])

        start = np.concatenate([np.full(len(names), 0.1), [-0.5]])
        bounds = [(0.0, None if useful else 0.0) for useful in lift] + [(None, None)]
        weights = np.asarray(minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x[:-1])
        weights = np.maximum(weights, np.where(lift, floor * weights.mean(), 0.0))
        if not weights.sum():
            weights = np.ones(len(names))
        return cls(tuple(names), tuple(float(weight) for weight in weights / weights.sum()))

    def without(self, *names: str) -> Fusion:
        """The fusion of the others, their weights scaled up.

        Raises:
            ValueError: if none would be left.
        """
        kept = [(name, weight) for name, weight in zip(self.names, self.weights, strict=True) if name not in names]
        if not kept:
            raise ValueError(f"without {', '.join(names)} no detector is left to fuse")
        total = sum(weight for _, weight in kept)
        return Fusion(
            tuple(name for name, _ in kept),
            tuple(weight / total if total else 1 / len(kept) for _, weight in kept),
            self.exponent,
        )

    def __call__(self, log10_p: Mapping[str, FloatArray]) -> FloatArray:
        """The fused rarity, float64 ``[n]``, ``>= 0``: of no p-value itself, so calibrate it again."""
        columns = np.stack([evidence(log10_p[name]) for name in self.names], axis=1)
        return np.asarray(np.log10(10 ** (self.exponent * columns) @ np.array(self.weights)) / self.exponent)

    def with_share(self, names: Sequence[str], share: float) -> Fusion:
        """The same with the weights of ``names`` scaled to a sum of ``share``, and those of the rest to what is left.

        Where either of the two has no weight at all, nothing is changed.
        """
        chosen = sum(w for name, w in zip(self.names, self.weights, strict=True) if name in names)
        if not 0 < chosen < 1:
            return self
        scale = {True: share / chosen, False: (1 - share) / (1 - chosen)}
        weights = tuple(w * scale[n in names] for n, w in zip(self.names, self.weights, strict=True))
        return Fusion(self.names, weights, self.exponent)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {"names": list(self.names), "weights": list(self.weights), "exponent": self.exponent}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` gave."""
        return cls(tuple(values["names"]), tuple(values["weights"]), values.get("exponent", _HARMONIC))
