"""How well scores agree with labels: ranking quality, quality at a threshold, and how sure we may be.

Belongs here: numbers from (scores, labels). Not here: how scores are made, data sets, plots, reports.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
RankingMetric = Literal["roc_auc", "pr_auc"]

MIN_UNITS_PER_CLASS = 5
"""Below this many units of either class a bootstrap interval says nothing, so none is given."""

_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class ThresholdMetrics:
    """Counts and ratios when every unit with ``score >= threshold`` is an alert.

    Attributes:
        threshold: the alert threshold, in [0, 1].
        precision: share of alerts that are labelled anomalous; ``None`` without alerts.
        recall: share of labelled anomalies that are alerts; ``None`` without labelled anomalies.
        f1: ``2·hits / (alerts + positives)``; ``None`` without labelled anomalies.
        false_alarm_rate: share of normal units that are alerts; ``None`` without normal units.
        alerts, positives, hits, units: number of alerts, of labelled anomalies, of both at once, of all.
    """

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None
    false_alarm_rate: float | None
    alerts: int
    positives: int
    hits: int
    units: int


@dataclass(frozen=True)
class BestF1:
    """The best F1 that any threshold gives on these labels.

    An oracle: the threshold is chosen by looking at the labels it is judged on. It is an upper bound
    and comparable with papers that report it; it is not what the detector reaches in use.
    """

    threshold: float
    precision: float
    recall: float
    f1: float
    oracle: Literal[True] = True


@dataclass(frozen=True)
class Interval:
    """A percentile bootstrap interval; ``resamples`` is the number of draws on which it rests."""

    low: float
    high: float
    level: float
    resamples: int


@dataclass(frozen=True)
class Evaluation:
    """Everything that is said of one set of scores against its labels; ``None`` marks what is undefined."""

    units: int
    positives: int
    roc_auc: float | None
    roc_auc_interval: Interval | None
    pr_auc: float | None
    pr_auc_interval: Interval | None
    at_threshold: ThresholdMetrics
    best_f1_oracle: BestF1 | None
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Nested plain Python values (int, float, bool, None, dict), ready for ``json.dumps``."""
        return asdict(self)


def roc_auc(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Area under the ROC curve: the chance that an anomaly scores above a normal unit (ties count half).

    Args:
        scores: shape (units,), finite floats; only their order matters.
        labels: shape (units,), bool, true for an anomaly.

    Returns:
        A value in [0, 1], 0.5 for chance; ``None`` unless both classes are present.

    Raises:
        ValueError: scores are not finite, labels are not bool, or their lengths differ.
    """
    values, truth = _checked(scores, labels)
    if not _has_both_classes(truth):
        return None
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, values))


def pr_auc(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Average precision: the area under the precision-recall curve as a step function.

    Chance is the share of anomalies, so compare it only between data sets with the same share.
    Arguments and errors as for :func:`roc_auc`; ``None`` unless both classes are present.
    """
    values, truth = _checked(scores, labels)
    if not _has_both_classes(truth):
        return None
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, values))


def at_threshold(scores: ArrayLike, labels: ArrayLike, threshold: float) -> ThresholdMetrics:
    """Quality of the alerts ``score >= threshold``.

    Args:
        scores: shape (units,), float64 in [0, 1].
        labels: shape (units,), bool.
        threshold: in [0, 1].

    Raises:
        ValueError: as :func:`roc_auc`; or a score or the threshold lies outside [0, 1].
    """
    values, truth = _checked(scores, labels)
    _require_unit_range(values, threshold)
    alert = values >= threshold
    units, alerts, positives = len(values), int(alert.sum()), int(truth.sum())
    hits = int((alert & truth).sum())
    return ThresholdMetrics(
        threshold=float(threshold),
        precision=_ratio(hits, alerts),
        recall=_ratio(hits, positives),
        f1=_ratio(2 * hits, alerts + positives) if positives else None,
        false_alarm_rate=_ratio(alerts - hits, units - positives),
        alerts=alerts,
        positives=positives,
        hits=hits,
        units=units,
    )


def best_f1(scores: ArrayLike, labels: ArrayLike) -> BestF1 | None:
    """The oracle's F1: the best over all thresholds, the highest threshold among equals.

    Arguments and errors as for :func:`roc_auc`; ``None`` unless both classes are present.
    """
    values, truth = _checked(scores, labels)
    if not _has_both_classes(truth):
        return None
    levels, positives, negatives = _counts_by_score(values, truth)
    hits, alerts = np.cumsum(positives), np.cumsum(positives + negatives)
    total = int(positives.sum())
    f1 = 2 * hits / (alerts + total)
    best = int(np.argmax(f1))
    return BestF1(
        threshold=float(levels[best]),
        precision=float(hits[best] / alerts[best]),
        recall=float(hits[best] / total),
        f1=float(f1[best]),
    )


def bootstrap_interval(
    scores: ArrayLike,
    labels: ArrayLike,
    metric: RankingMetric,
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval | None:
    """Percentile bootstrap interval over units (Efron and Tibshirani 1993, chapter 13).

    Units with the same score and label are drawn together as one multinomial cell, which has the same
    distribution as drawing the units one by one and costs as much as there are distinct scores.

    When it does not work: units must be independent. Sliding windows share lines, and an incident spans
    many windows; over such units the interval is too narrow, so pass one unit a session or an incident.
    A perfect ranking gives [1, 1] however few units it rests on.

    Args:
        scores, labels: as for :func:`roc_auc`.
        metric: ``"roc_auc"`` or ``"pr_auc"``.
        seed: the same seed gives the same interval.
        resamples: number of draws, at least 1; draws that miss a class are left out.
        level: the share of draws inside, in (0, 1).

    Returns:
        The interval, or ``None`` with fewer than ``MIN_UNITS_PER_CLASS`` units of either class.

    Raises:
        ValueError: as :func:`roc_auc`; or ``metric``, ``resamples`` or ``level`` is out of range.
    """
    if metric not in ("roc_auc", "pr_auc"):
        raise ValueError(f"metric {metric!r} is unknown; use 'roc_auc' or 'pr_auc'")
    if resamples < 1 or not 0.0 < level < 1.0:
        raise ValueError(f"resamples={resamples} must be at least 1 and level={level} between 0 and 1")
    values, truth = _checked(scores, labels)
    if min(int(truth.sum()), int((~truth).sum())) < MIN_UNITS_PER_CLASS:
        return None
    _, positives, negatives = _counts_by_score(values, truth)
    cells = np.concatenate([positives, negatives])
    filled = np.flatnonzero(cells)
    share = cells[filled] / len(values)
    rng = np.random.default_rng(seed)
    found: list[FloatArray] = []
    at_once = max(1, _CELLS_AT_ONCE // len(cells))
    for start in range(0, resamples, at_once):
        drawn = np.zeros((min(at_once, resamples - start), len(cells)), dtype=np.int64)
        drawn[:, filled] = rng.multinomial(len(values), share, size=len(drawn))
        found.append(_ranking_metric(drawn[:, : len(positives)], drawn[:, len(positives) :], metric))
    sample = np.concatenate(found)
    sample = sample[~np.isnan(sample)]
    if not len(sample):
        return None
    low, high = np.quantile(sample, [(1 - level) / 2, (1 + level) / 2])
    return Interval(low=float(low), high=float(high), level=level, resamples=len(sample))


def evaluate(scores: ArrayLike, labels: ArrayLike, threshold: float, seed: int, *, resamples: int = 1000) -> Evaluation:
    """All metrics of this module at once.

    Args:
        scores: shape (units,), float64 in [0, 1].
        labels: shape (units,), bool, true for an anomaly.
        threshold: the alert threshold in [0, 1]; a unit is an alert where ``score >= threshold``.
        seed: seed of the bootstrap.
        resamples: bootstrap draws.

    Raises:
        ValueError: as :func:`at_threshold`.
    """
    metrics = at_threshold(scores, labels, threshold)
    return Evaluation(
        units=metrics.units,
        positives=metrics.positives,
        roc_auc=roc_auc(scores, labels),
        roc_auc_interval=bootstrap_interval(scores, labels, "roc_auc", seed=seed, resamples=resamples),
        pr_auc=pr_auc(scores, labels),
        pr_auc_interval=bootstrap_interval(scores, labels, "pr_auc", seed=seed, resamples=resamples),
        at_threshold=metrics,
        best_f1_oracle=best_f1(scores, labels),
        seed=seed,
    )


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, BoolArray]:
    values = np.asarray(scores, dtype=np.float64)
    truth = np.asarray(labels)
    if values.ndim != 1 or truth.ndim != 1:
        raise ValueError(f"scores {values.shape} and labels {truth.shape} must have one dimension each")
    if len(values) != len(truth):
        raise ValueError(f"{len(values)} scores but {len(truth)} labels: give one label to every score")
    if len(truth) and truth.dtype != np.bool_:
        raise ValueError(f"labels are {truth.dtype}, not bool: convert them, true meaning anomalous")
    bad = int((~np.isfinite(values)).sum())
    if bad:
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"{bad} of {len(values)} scores are NaN or infinite, the first at position {first}")
    return values, truth.astype(np.bool_)


def _require_unit_range(values: FloatArray, threshold: float) -> None:
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold {threshold} lies outside [0, 1]")
    if len(values) and (values.min() < 0.0 or values.max() > 1.0):
        raise ValueError(f"scores span {values.min():g} to {values.max():g}, outside [0, 1]: calibrate them first")


def _has_both_classes(truth: BoolArray) -> bool:
    return bool(truth.any()) and not bool(truth.all())


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _counts_by_score(values: FloatArray, truth: BoolArray) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
    """Distinct scores from high to low, with the number of anomalies and of normal units at each."""
    levels, place = np.unique(-values, return_inverse=True)
    positives = np.bincount(place[truth], minlength=len(levels)).astype(np.int64)
    negatives = np.bincount(place[~truth], minlength=len(levels)).astype(np.int64)
    return -levels, positives, negatives


def _ranking_metric(positives: NDArray[np.int64], negatives: NDArray[np.int64], metric: RankingMetric) -> FloatArray:
    """The metric of each row of counts (draws, distinct scores from high to low); NaN without a class."""
    hits = np.cumsum(positives, axis=1, dtype=np.float64)
    false_alarms = np.cumsum(negatives, axis=1, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        if metric == "roc_auc":
            # Each normal unit is beaten by the anomalies strictly above it and by half of those at its score.
            wins = (negatives * (hits - positives / 2)).sum(axis=1)
            return np.asarray(wins / (hits[:, -1] * false_alarms[:, -1]), dtype=np.float64)
        precision = np.where(hits > 0, hits / (hits + false_alarms), 0.0)
        area = (positives * precision).sum(axis=1) / hits[:, -1]
        return np.where(false_alarms[:, -1] > 0, area, np.nan)
