"""Scores -> p-values -> [0, 1]: what a number of a detector means.

Belongs here: the empirical p-value with its extrapolated tail, the fusion of several, the map to
[0, 1], and the risk bands. No labels come near this file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.base import FloatArray

THRESHOLD: Final = 0.5
HIGH_RISK: Final = 0.85
_KNOTS: Final = 1024
_TAIL_SHARE: Final = 0.05
_TAIL_MIN: Final = 20
BEYOND: Final = 2.0
"""Decades beyond the rarest that was held out, within which a tail of known width is taken at its word."""
_FUSED_SHAPE: Final = 0.4
"""Of the Pareto tail of a handful of fused p-values."""
_ENOUGH: Final = 300
"""Held-out windows from which on a calibration is believed over the fused p-value itself: of these, three are to be
expected beyond a rate of one in a hundred."""
_COUNTED: Final = 5
"""Windows that must have reached a score for their share to be believed more than the tail."""
_CLEARLY: Final = 0.25
"""How far beyond the highest score lies clearly beyond it, as a share of it, where no spread says so."""


@dataclass(frozen=True)
class TailCalibration:
    """How rare a score is among held-out normal windows, as ``log10`` of a p-value.

    Within what was held out, the p-value is the share of normal windows that score as high, counted as
    in conformal prediction (with the new window among them, so it is never 0). To the highest 5 %
    a generalised Pareto tail (Pickands, 1975) is fitted by probability-weighted moments (Hosking and
    Wallis, 1987), with a shape in (0, 0.5]: the tail never ends, so stranger stays stranger however far out.
    What five windows or more have reached is no rarer than that, whatever the tail says: a normal kind of
    window that lies apart from the rest bends no smooth tail. Beyond it the tail goes on from there.
    A hundred times rarer than any of ``n`` windows could show is as far as the tail is taken at its word; from
    there on rarity grows with the logarithm alone, lest one detector's extrapolation outweigh all others. Where
    nearly all of the tail is one value, nothing is known of its width, and that begins where ``n`` windows end.

    A score may be a rarity already: ``-log10`` of a mean of p-values, which is nearly a p-value, however they depend
    on one another (Vovk and Wang, 2020). Held-out windows that agree make it look far rarer than it says, and a few
    hours of them agree more than later days do. So of what a calibration finds beyond such a score a share is
    believed: ``n`` of 300.

    When it does not work: with fewer than some hundred held-out windows the tail is a guess (a handful of
    fused p-values has one by :meth:`fit`'s ``decades``), and once
    normal behaviour drifts the p-values are those of the old behaviour.

    Attributes:
        knots: distinct scores, ascending.
        log10_p: their ``log10`` p-values, strictly descending.
        tail_scale: scale of the tail beyond the last knot, ``> 0``.
        tail_shape: its shape, ``0 <= shape <= 0.5``.
        windows: how many windows were held out.
        trusted: decades beyond the rarest of these within which the tail is taken at its word, ``>= 0``.
        believed: for scores that are rarities, the share of the rarity beyond the score's own that counts, in
            [0, 1]; ``None`` for scores of another scale.
    """

    knots: tuple[float, ...]
    log10_p: tuple[float, ...]
    tail_scale: float
    tail_shape: float
    windows: int
    trusted: float = BEYOND
    believed: float | None = None

    @classmethod
    def fit(
        cls, scores: FloatArray, counts: npt.NDArray[np.int64], *, decades: bool = False, trusted: float = BEYOND
    ) -> Self:
        """Calibrate on held-out normal windows.

        Args:
            scores: theirs.
            counts: how often each was seen.
            decades: whether the scores are ``-log10`` of p-values fused, of which :attr:`believed` says how far
                they may be passed. Of a handful of these the tail is known without being measured: such a score
                loses a decade for a decade.
            trusted: see the attribute.

        Raises:
            ValueError: if there is no window or a score is not finite.
        """
        if len(scores) == 0 or counts.sum() <= 0:
            raise ValueError("no held-out windows to calibrate on; give more logs")
        if not np.isfinite(scores).all():
            raise ValueError("a held-out score is not finite; the model has diverged, train it again")
        made = cls._of(scores, counts, decades, trusted)
        return replace(made, believed=min(made.windows / _ENOUGH, 1.0)) if decades else made

    @classmethod
    def _of(cls, scores: FloatArray, counts: npt.NDArray[np.int64], decades: bool, trusted: float) -> Self:
        values, inverse = np.unique(_without_noise(scores), return_inverse=True)
        weight = np.bincount(inverse, weights=counts.astype(np.float64)).astype(np.float64)
        total = float(weight.sum())
        at_least = np.cumsum(weight[::-1])[::-1]
        p = (at_least + 1) / (total + 1)
        wanted = max(_TAIL_SHARE * total, min(_TAIL_MIN, total / 2))
        start = int(np.flatnonzero(at_least >= wanted)[-1])
        if decades and total < _TAIL_MIN:
            return cls._by_decades(values, p, int(total))
        if start + 1 == len(values) or at_least[start + 1] < min(_COUNTED, total):
            return cls._counted(values, p, int(total))
        scale, shape = _fit_tail(values[start:], weight[start:])
        # What some windows reach is no rarer than counted, whatever the tail says; it goes on from there.
        last = max(start, int(np.flatnonzero(at_least >= min(_COUNTED, total))[-1]))
        p[start:] = np.maximum(p[start:], p[start] * np.exp(-_drop(values[start:] - values[start], scale, shape)))
        chosen = _spread(last)
        scale += shape * float(values[last] - values[start])
        knots, log10_p = tuple(map(float, values[chosen])), tuple(map(float, np.log10(p[chosen])))
        return cls(knots, log10_p, scale, shape, int(total), trusted)

    @classmethod
    def _by_decades(cls, values: FloatArray, p: FloatArray, windows: int) -> Self:
        """Where a handful is held out: beyond the highest, a decade of a fused p-value is worth a decade.

        That holds for any mean of p-values, up to a factor (Vovk and Wang, 2020), which the handful sets. How far it
        can be relied on, a handful cannot say: a heavy tail, and the same for whichever number of them, so that the
        scores of models of a few units each compare.
        """
        knots, log10_p = tuple(map(float, values)), tuple(map(float, np.log10(p)))
        return cls(knots, log10_p, 1 / math.log(10), _FUSED_SHAPE, windows)

    @classmethod
    def _counted(cls, values: FloatArray, p: FloatArray, windows: int) -> Self:
        """Where the highest scores are nearly all one value, nothing is known of a tail: only counts speak.

        What lies clearly beyond is as rare as one window more than were held out, and little rarer the further out.
        """
        chosen = _spread(len(values) - 1)
        highest = abs(float(values[-1]))
        knots = [*values[chosen].tolist(), float(values[-1]) + _CLEARLY * (highest + 0.2)]
        log10_p = np.log10([*p[chosen], 1 / (windows + 1)]).tolist()
        return cls(tuple(knots), tuple(log10_p), max(1.0, highest), 0.5, windows, trusted=0.0)

    def log10_p_value(self, scores: FloatArray) -> FloatArray:
        """``log10`` of the p-value of each score, ``<= 0``; strictly lower for higher scores above the
        least held-out one."""
        knots, log_p = np.array(self.knots), np.array(self.log10_p)
        inside = np.interp(scores, knots, log_p, left=0.0)
        beyond = np.maximum(scores - knots[-1], 0.0)
        tail = log_p[-1] - _drop(beyond, self.tail_scale, self.tail_shape) / math.log(10)
        shown = -math.log10(self.windows + 1) - self.trusted
        tail = np.where(tail < shown, shown - np.log10(1 + np.maximum(shown - tail, 0.0)), tail)
        found = np.where(scores > knots[-1], tail, inside)
        if self.believed is None:
            return np.asarray(found)
        return np.asarray(np.where(found < -scores, self.believed * found - (1 - self.believed) * scores, found))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "knots": list(self.knots),
            "log10_p": list(self.log10_p),
            "tail_scale": self.tail_scale,
            "tail_shape": self.tail_shape,
            "windows": self.windows,
            "trusted": self.trusted,
            "believed": self.believed,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` gave."""
        return cls(
            tuple(values["knots"]), tuple(values["log10_p"]), values["tail_scale"], values["tail_shape"],
            values["windows"], values["trusted"], values["believed"],
        )  # fmt: skip


def _spread(last: int) -> npt.NDArray[np.int64]:
    """At most ``_KNOTS`` numbers from 0 to ``last``, both among them."""
    return np.unique(np.linspace(0, last, min(_KNOTS, last + 1)).round().astype(np.int64))


def _without_noise(scores: FloatArray) -> FloatArray:
    """Scores with those next to one another made equal, so that a last digit does not decide on a rank.

    The same window may score a little differently in another batch. Knots that are apart by no more than
    a thousandth of the spread of the scores become one: between knots the p-value is interpolated, and
    then moves as little as the score does.
    """
    values, inverse = np.unique(scores, return_inverse=True)
    least = 1e-3 * float(np.quantile(values, 0.95) - values[0])
    if least <= 0:
        return scores
    merged, start = values.copy(), values[0]
    for place, value in enumerate(values):
        if value - start > least:
            start = value
        merged[place] = start
    return np.asarray(merged[inverse])


def _drop(excess: FloatArray, scale: float, shape: float) -> FloatArray:
    """Minus the natural logarithm of a generalised Pareto distribution's survival function."""
    beyond = excess / scale
    return np.asarray(np.log1p(shape * beyond) / shape if shape > 1e-6 else beyond)


def _fit_tail(values: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Scale and shape of a generalised Pareto tail beyond the first of ``values`` (ascending), weighted.

    The shape is at least one over the number of windows in the tail: with the scale of an exponential tail
    known from ``k`` of them only, what is to be expected of the next is a Pareto tail of that shape.
    """
    share = weight / weight.sum()
    excess = values - values[0]
    mean = float(share @ excess)
    above = 1 - (np.cumsum(share) - share / 2)
    second = float((share * above) @ excess)
    shape = 2 - mean / (mean - 2 * second) if mean > 2 * second else 0.5
    shape = min(max(shape, 1 / float(weight.sum())), 0.5)
    return mean * (1 - shape), shape


@dataclass(frozen=True)
class Calibration:
    """What a detector's score is worth: the larger of its p-values in two parts of the normal logs.

    The later part, held out, says how the detector does on windows that it has not learned from; but it is
    short, and what is common in one week may be rare in the next. So a score that was nothing rare among
    the training windows is nothing rare either. Scores of training windows may be too low, which makes
    their p-values too small, and then the held-out part decides.

    Attributes:
        held_out: on the held-out windows.
        learned: on training windows; ``None`` to use the held-out ones alone.
        short: on normal windows cut short, for those that end early; ``None`` where there are none.
    """

    held_out: TailCalibration
    learned: TailCalibration | None = None
    short: TailCalibration | None = None

    @classmethod
    def fit(
        cls,
        held_out: FloatArray,
        learned: FloatArray | None = None,
        *,
        decades: bool = False,
        trusted: float = BEYOND,
    ) -> Self:
        """Calibrate on the scores of held-out windows and, where there are any, of training windows.

        ``decades`` and ``trusted`` are those of :meth:`TailCalibration.fit`.

        Raises:
            ValueError: as :meth:`TailCalibration.fit`.
        """
        parts = [
            TailCalibration.fit(scores, np.ones(len(scores), dtype=np.int64), decades=decades, trusted=trusted)
            if scores is not None and len(scores) else None for scores in (held_out, learned)
        ]  # fmt: skip
        if parts[0] is None:
            raise ValueError("no held-out windows to calibrate on; give more logs")
        return cls(parts[0], parts[1])

    def log10_p_value(self, scores: FloatArray, short: npt.NDArray[np.bool_] | None = None) -> FloatArray:
        """``log10`` of the p-value of each score, ``<= 0``; ``short`` says which are of windows that end early."""
        values = self.held_out.log10_p_value(scores)
        if self.learned is not None:
            values = np.maximum(values, self.learned.log10_p_value(scores))
        if self.short is not None and short is not None:
            values = np.where(short, np.maximum(values, self.short.log10_p_value(scores)), values)
        return values

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        tails = {"held_out": self.held_out, "learned": self.learned, "short": self.short}
        return {name: tail.to_dict() if tail else None for name, tail in tails.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` gave."""
        learned, short = (TailCalibration.from_dict(values[n]) if values[n] else None for n in ("learned", "short"))
        return cls(TailCalibration.from_dict(values["held_out"]), learned, short)


def fuse(log10_p: Sequence[FloatArray]) -> FloatArray:
    """One number from the p-values of several detectors: ``-log10`` of their harmonic mean (Wilson, 2019).

    The least p-value carries it, so one sharp detector is not drowned by others that see nothing, and
    the detectors may depend on one another. It is no p-value itself: calibrate it again.
    """
    stacked = -np.stack(log10_p) * math.log(10)
    top = stacked.max(axis=0)
    log_mean = top + np.log(np.exp(stacked - top).mean(axis=0))
    return np.asarray(log_mean / math.log(10))


@dataclass(frozen=True)
class ScoreScale:
    """The map from p-values to [0, 1], and the words for it.

    0.5 is the promised false-alarm rate, where ``is_anomaly`` turns true; 0.85 is ten times rarer; from
    there on the score nears 1 without reaching it, so that order is kept.

    Attributes:
        false_alarm_rate: share of normal windows that may be called anomalous, ``0 < rate < 1``.
        bands: risk words by the least score of each, ascending; the first must start at 0.

    Raises:
        ValueError: if one of them is outside its range.
    """

    false_alarm_rate: float = 0.01
    bands: tuple[tuple[str, float], ...] = field(default=(("low", 0.0), ("medium", THRESHOLD), ("high", HIGH_RISK)))

    def __post_init__(self) -> None:
        if not 0 < self.false_alarm_rate < 1:
            raise ValueError(f"false-alarm rate {self.false_alarm_rate} is outside 0..1; 0.01 is one in a hundred")
        bounds = [bound for _, bound in self.bands]
        if not bounds or bounds[0] != 0 or bounds != sorted(set(bounds)) or bounds[-1] >= 1:
            raise ValueError(f"risk bands {self.bands} must ascend from 0 and stay below 1")

    def score(self, log10_p: FloatArray) -> FloatArray:
        """Scores in [0, 1), float64, from ``log10`` p-values."""
        rarity = -np.asarray(log10_p, dtype=np.float64)
        promised = -math.log10(self.false_alarm_rate)
        beyond = np.maximum(rarity - promised - 1, 0.0)
        low = THRESHOLD * rarity / promised
        middle = THRESHOLD + (HIGH_RISK - THRESHOLD) * (rarity - promised)
        high = HIGH_RISK + (1 - HIGH_RISK) * (beyond / (beyond + 3))
        return np.asarray(np.where(rarity < promised, np.maximum(low, 0.0), np.where(beyond > 0, high, middle)))

    def rarity(self, score: float) -> float:
        """``-log10`` of the p-value behind a score in [0, 1): :meth:`score` read backwards."""
        promised = -math.log10(self.false_alarm_rate)
        if score < THRESHOLD:
            return promised * score / THRESHOLD
        if score <= HIGH_RISK:
            return promised + (score - THRESHOLD) / (HIGH_RISK - THRESHOLD)
        share = min((score - HIGH_RISK) / (1 - HIGH_RISK), 1 - 1e-9)
        return promised + 1 + 3 * share / (1 - share)

    def risk(self, score: float) -> str:
        """The word of the band that ``score`` falls into."""
        return [word for word, bound in self.bands if score >= bound][-1]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {"false_alarm_rate": self.false_alarm_rate, "bands": [list(band) for band in self.bands]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` gave."""
        return cls(values["false_alarm_rate"], tuple((word, bound) for word, bound in values["bands"]))
