"""The report's charts: each plot in a light and a dark version, as data URIs with a text alternative.

Belongs here: which plot is made from which part of the report, and the words beside it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from logad_pipeline.reporting import plots
from logad_pipeline.reporting.data import ReportData
from logad_pipeline.reporting.figure import DOTS_PER_INCH, WIDTH_INCHES, ThemeName
from logad_pipeline.reporting.promise import kept_by_day, kept_in_words
from logad_pipeline.reporting.text import count, percent


@dataclass(frozen=True)
class Chart:
    """A picture for both colour schemes; ``width`` and ``height`` in pixels keep the page from jumping."""

    light: str
    dark: str
    alt: str
    width: int
    height: int


def histogram(data: ReportData) -> Chart | None:
    """Scores; ``None`` without scores."""
    at_or_above = int((data.scores >= data.threshold).sum())
    alt = f"Histogram of {len(data.scores):,} scores, {at_or_above:,} at or above {data.threshold:g}."
    return _chart(
        lambda theme: plots.score_histogram(
            data.scores, data.threshold, data.labels, high_risk=data.high_risk, theme=theme
        ),
        alt,
    )


def quality(data: ReportData) -> tuple[Chart, ...]:
    """The ROC and the precision-recall curve; none without labels of both classes."""
    if data.labels is None:
        return ()
    labels = data.labels
    roc = _chart(
        lambda theme: plots.roc_curve(data.scores, labels, theme=theme),
        "ROC curve: recall against the false-alarm rate. Its area is in the table.",
    )
    pr = _chart(
        lambda theme: plots.pr_curve(data.scores, labels, data.threshold, theme=theme),
        "Precision against recall. Its area is in the table.",
    )
    return tuple(chart for chart in (roc, pr) if chart is not None)


def embeddings(data: ReportData) -> Chart | None:
    """The t-SNE map; ``None`` without points."""
    if data.embeddings_2d is None:
        return None
    points = data.embeddings_2d
    alerts = 0 if data.point_is_alert is None else int(np.count_nonzero(data.point_is_alert))
    return _chart(
        lambda theme: plots.embedding_scatter(points, data.point_is_alert, data.point_label, theme=theme),
        f"Scatter of {count(len(points), 'window')} on the t-SNE plane, {count(alerts, 'alert')} marked.",
    )


def training(data: ReportData) -> Chart | None:
    """Loss by step; ``None`` without a training."""
    if data.training is None:
        return None
    steps, train, held_out = (tuple(map(_or_none, values.tolist())) for values in data.training)
    return _losses(steps, train, held_out)


def _or_none(value: float) -> float | None:
    # NaN equals nothing, and would be another curve every time.
    return None if np.isnan(value) else value


@lru_cache(maxsize=4)
def _losses(
    steps: tuple[float | None, ...], train: tuple[float | None, ...], held_out: tuple[float | None, ...]
) -> Chart | None:
    # A model's reports, one a day, all show the same curve.
    return _chart(
        lambda theme: plots.training_curves(*(np.array(v, np.float64) for v in (steps, train, held_out)), theme=theme),
        f"Training and held-out loss at {count(len(steps), 'step')}.",
    )


def alert_rate(data: ReportData) -> Chart | None:
    """Promised against achieved alert rate; ``None`` without days."""
    if data.promise:
        kept = data.promise
        return _chart(lambda theme: kept_by_day(kept, theme=theme), f"{kept_in_words(kept)}.")
    if not data.by_day:
        return None
    days = data.by_day
    return _chart(
        lambda theme: plots.alert_rate_by_day(days, data.promised_rate, theme=theme),
        f"Alert rate of {count(len(days), 'day')} against the promised {percent(data.promised_rate)}.",
    )


def _chart(draw: Callable[[ThemeName], bytes | None], alt: str) -> Chart | None:
    light, dark = draw("light"), draw("dark")
    if light is None or dark is None:
        return None
    # A PNG states its size in the header: width and height are big-endian at bytes 16 and 20.
    width, height = (int.from_bytes(light[at : at + 4], "big") for at in (16, 20))
    shown = round(100 * WIDTH_INCHES)
    return Chart(_uri(light), _uri(dark), alt, shown, round(height * shown / (width or DOTS_PER_INCH)))


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
