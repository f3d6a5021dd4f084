"""Each plot of a report as PNG bytes.

Belongs here: one function a plot, from arrays. Not here: colours and sizes (``figure``), the page around.
A plot without data is ``None``: the caller says so in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray

from logad_pipeline.reporting.figure import (
    THEMES,
    ThemeName,
    add_legend,
    add_note,
    day_bars,
    drawable,
    new_axes,
    png,
)
from logad_pipeline.reporting.text import count, percent, score_text

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def score_histogram(
    scores: ArrayLike,
    threshold: float,
    labels: ArrayLike | None = None,
    *,
    high_risk: float = 0.85,
    theme: ThemeName = "light",
) -> bytes | None:
    """Windows by score in 40 steps on a logarithmic axis, with the alert and high-risk thresholds.

    Args:
        scores: shape (windows,), in [0, 1].
        threshold, high_risk: in [0, 1].
        labels: shape (windows,), bool: labelled anomalies are drawn apart.

    Raises:
        ValueError: scores are outside [0, 1] or NaN, or labels have another length.
    """
    values = _unit_scores(scores)
    if not len(values):
        return None
    look = THEMES[theme]
    truth = None if labels is None else _mask(labels, len(values), "labels")
    alerts = int((values >= threshold).sum())
    title = f"{count(alerts, 'window').capitalize()} of {len(values):,} at or above {threshold:g}"
    figure, axes = new_axes(title, "score (0 usual, 1 anomalous)", "windows (log)", theme=look)
    edges = np.linspace(0.0, 1.0, 41)
    usual = values if truth is None else values[~truth]
    name = "all windows" if truth is None else f"labelled normal ({len(usual):,})"
    axes.hist(usual, bins=edges, color=look.normal, alpha=0.8, label=name)
    if truth is not None:
        rare = values[truth]
        axes.hist(rare, bins=edges, histtype="step", hatch="////", linewidth=1.4, color=look.alert,
                  label=f"labelled anomalous ({len(rare):,})")  # fmt: skip
        add_legend(axes, look, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7, top=max(10.0, 3.0 * float(np.histogram(values, edges)[0].max())))
    axes.set_xlim(0.0, 1.0)
    top = axes.get_ylim()[1]
    for at, word, dash in ((threshold, "alert", "-"), (high_risk, "high risk", ":")):
        axes.axvline(at, color=look.ink, linewidth=1.2, linestyle=dash)
        add_note(axes, at, top, f"{word} {at:g}", look.ink, offset=(3, -10))
    return png(figure)


def roc_curve(scores: ArrayLike, labels: ArrayLike, *, theme: ThemeName = "light") -> bytes | None:
    """Recall against the false-alarm rate over all thresholds; ``None`` unless both classes are present.

    Raises:
        ValueError: as :func:`score_histogram`.
    """
    values, truth = _both_classes(scores, labels)
    if truth is None:
        return None
    from sklearn.metrics import auc
    from sklearn.metrics import roc_curve as roc_points

    false_alarms, recall, _ = roc_points(truth, values)
    look = THEMES[theme]
    title = f"ROC: area {score_text(auc(false_alarms, recall))} (chance 0.5)"
    figure, axes = new_axes(title, "false-alarm rate", "recall", theme=look, height=3.6)
    axes.plot([0, 1], [0, 1], color=look.muted, linestyle=":", linewidth=1.2, label="chance")
    axes.plot(false_alarms, recall, color=look.normal, linewidth=2, label="these scores", clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    add_legend(axes, look, loc="lower right")
    return png(figure)


def pr_curve(scores: ArrayLike, labels: ArrayLike, threshold: float, *, theme: ThemeName = "light") -> bytes | None:
    """Precision against recall, the alert threshold marked; ``None`` unless both classes are present.

    Raises:
        ValueError: as :func:`score_histogram`.
    """
    values, truth = _both_classes(scores, labels)
    if truth is None:
        return None
    from sklearn.metrics import average_precision_score, precision_recall_curve

    precision, recall, _ = precision_recall_curve(truth, values)
    look = THEMES[theme]
    chance = float(truth.mean())
    area = score_text(float(average_precision_score(truth, values)))
    title = f"Precision and recall: area {area} (chance {chance:.3g})"
    figure, axes = new_axes(title, "recall", "precision", theme=look, height=3.6)
    axes.axhline(chance, color=look.muted, linestyle=":", linewidth=1.2, label="chance")
    axes.step(recall, precision, where="post", color=look.normal, linewidth=2, label="these scores")
    alert = values >= threshold
    if alert.any():
        at = (float(truth[alert].sum() / truth.sum()), float(truth[alert].mean()))
        axes.plot(*at, "D", color=look.alert, markersize=7, label=f"at {threshold:g}", clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    add_legend(axes, look, loc="best")
    return png(figure)


def embedding_scatter(
    points: ArrayLike,
    is_alert: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    *,
    theme: ThemeName = "light",
) -> bytes | None:
    """Embeddings on the plane, alerts and labelled anomalies marked by shape and colour.

    Args:
        points: shape (points, 2), as :func:`logad_pipeline.reporting.projection.tsne` gives them.
        is_alert, labels: shape (points,), bool.

    Raises:
        ValueError: a shape does not fit.
    """
    at = np.asarray(points, dtype=np.float64)
    if at.size == 0:
        return None
    if at.ndim != 2 or at.shape[1] != 2:
        raise ValueError(f"points have shape {at.shape}; expected (points, 2)")
    alert = np.zeros(len(at), np.bool_) if is_alert is None else _mask(is_alert, len(at), "is_alert")
    look = THEMES[theme]
    title = f"Do the {count(int(alert.sum()), 'alert')} lie apart from the rest?"
    if not alert.any():
        title = f"Embeddings of {count(len(at), 'window')}, none an alert"
    figure, axes = new_axes(title, "t-SNE 1 (no unit)", "t-SNE 2 (no unit)", theme=look, height=4.2)
    usual = at[~alert]
    axes.scatter(usual[:, 0], usual[:, 1], s=9, color=look.normal, alpha=0.45, linewidths=0,
                 label=f"no alert ({len(usual):,})")  # fmt: skip
    if alert.any():
        axes.scatter(at[alert, 0], at[alert, 1], s=34, marker="^", color=look.alert, edgecolors=look.paper,
                     linewidths=0.6, label=f"alert ({int(alert.sum()):,})")  # fmt: skip
    if labels is not None:
        truth = _mask(labels, len(at), "labels")
        axes.scatter(at[truth, 0], at[truth, 1], s=70, facecolors="none", edgecolors=look.labelled,
                     linewidths=0.9, label=f"labelled anomalous ({int(truth.sum()):,})")  # fmt: skip
    add_legend(axes, look, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3)
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    return png(figure)


def training_curves(
    steps: ArrayLike, train_loss: ArrayLike, held_out_loss: ArrayLike, *, theme: ThemeName = "light"
) -> bytes | None:
    """Masked-token loss by optimiser step, on the training windows and on windows held out.

    Args:
        steps: shape (points,), optimiser steps, ascending.
        train_loss, held_out_loss: shape (points,), nats a masked token; NaN where not measured.

    Raises:
        ValueError: the lengths differ.
    """
    at, train, held = (np.asarray(a, dtype=np.float64).ravel() for a in (steps, train_loss, held_out_loss))
    if not len(at) == len(train) == len(held):
        raise ValueError(f"{len(at)} steps, {len(train)} training and {len(held)} held-out losses")
    seen, checked = np.isfinite(train), np.isfinite(held)
    if not (seen.any() or checked.any()):
        return None
    look = THEMES[theme]
    title = "Loss by step; nothing was held out"
    if checked.any():
        best = int(np.flatnonzero(checked)[np.argmin(held[checked])])
        title = f"Held-out loss: lowest {held[best]:.3g} at step {at[best]:,.0f} of {at[-1]:,.0f}"
    figure, axes = new_axes(title, "optimiser step", "loss (nats a masked token)", theme=look)
    axes.plot(at[seen], train[seen], color=look.normal, linewidth=1.4, label="training")
    if checked.any():
        axes.plot(at[checked], held[checked], "o-", color=look.alert, linewidth=1.8, markersize=3.5,
                  label="held out")  # fmt: skip
    axes.set_ylim(bottom=0.0)
    add_legend(axes, look, loc="best")
    return png(figure)


def alert_rate_by_day(
    by_day: Sequence[tuple[date | str, int, int]], promised_rate: float, *, theme: ThemeName = "light"
) -> bytes | None:
    """Achieved alert rate of each day as bars, the promised rate as a line, both in per cent.

    A bar is drawn as above the promise where it exceeds it by more than chance would in 1 day of 100.

    Args:
        by_day: (day, windows, alerts) in order; a day without windows has no bar.
        promised_rate: share of normal windows that may raise an alert, in [0, 1].
    """
    total = sum(windows for _, windows, _ in by_day)
    if not total:
        return None
    look = THEMES[theme]
    achieved = percent(sum(alerts for _, _, alerts in by_day) / total)
    title = f"Alert rate over {count(len(by_day), 'day')}: {achieved}, promised {percent(promised_rate)}"
    figure, axes = new_axes(title, "day", "alerts among windows (%)", theme=look, height=2.7)
    rate = np.array([100 * alerts / windows if windows else 0.0 for _, windows, alerts in by_day])
    above = [_above_chance(windows, alerts, promised_rate) for _, windows, alerts in by_day]
    place = np.arange(len(rate))
    day_bars(axes, rate.tolist(), above, look, "within it")
    axes.axhline(100 * promised_rate, color=look.ink, linewidth=1.4, label="promised")
    axes.set_ylim(0.0, 1.35 * max(100 * promised_rate, float(rate.max()), 0.01))
    axes.set_xlim(-0.6, len(rate) - 0.4)
    every = max(1, -(-len(rate) // 8))
    names = [drawable(str(day), 12) for day, _, _ in by_day]
    axes.set_xticks(place[::every], [name[5:] if len(names) > 4 and name[4:5] == "-" else name
                                     for name in names[::every]], parse_math=False)  # fmt: skip
    axes.grid(False, axis="x")
    add_legend(axes, look, loc="upper left", ncols=3)
    return png(figure)


def _above_chance(windows: int, alerts: int, promised_rate: float) -> bool:
    """Whether ``alerts`` lie above the 99 % point of a binomial count, by its normal approximation."""
    usual = windows * promised_rate
    return alerts > usual + 2.33 * float(np.sqrt(usual * (1 - promised_rate)))


def _unit_scores(scores: ArrayLike) -> FloatArray:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"scores have shape {values.shape}; expected one dimension")
    if len(values) and not (values.min() >= 0.0 and values.max() <= 1.0):
        raise ValueError(f"scores span {values.min():g} to {values.max():g}; expected values in [0, 1]")
    return values


def _mask(marks: ArrayLike, length: int, name: str) -> BoolArray:
    mask = np.asarray(marks, dtype=np.bool_)
    if mask.shape != (length,):
        raise ValueError(f"{name} have shape {mask.shape} for {length} points")
    return mask


def _both_classes(scores: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, BoolArray | None]:
    values = _unit_scores(scores)
    truth = _mask(labels, len(values), "labels")
    return values, truth if truth.any() and not truth.all() else None
