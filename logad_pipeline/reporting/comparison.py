"""The report of a comparison: one plot, one page.

Belongs here: how champion and challenger are shown side by side. What was measured is in ``evaluation``.
"""

from __future__ import annotations

import base64

import numpy as np

from logad_pipeline.evaluation.comparison import Comparison, Measured
from logad_pipeline.reporting.figure import THEMES, ThemeName, add_legend, new_axes, png
from logad_pipeline.reporting.page import render_page
from logad_pipeline.reporting.text import percent

_WORDS = {
    "alarms": ("alarms on later normal windows", True),
    "broken_auc": ("pseudo-anomalies, ROC-AUC", False),
    "broken_found": ("pseudo-anomalies found", True),
    "told_auc": ("labels and feedback, ROC-AUC", False),
    "told_found": ("called anomalous, found", True),
    "told_false": ("called normal, alarms", True),
}


def comparison_rows(comparison: Comparison) -> list[tuple[str, str, str]]:
    """(what, challenger, champion) in words, those left out that nothing was measured of."""
    new, old = (comparison.measured.get(version) for version in (comparison.challenger, comparison.champion))
    rows = []
    for name, (what, share) in _WORDS.items():
        shown = tuple(_shown(each, name, share) for each in (new, old))
        if any(shown):
            rows.append((what, *shown))
    return [(row[0], row[1], row[2]) for row in rows]


def _shown(measured: Measured | None, name: str, share: bool) -> str:
    value = getattr(measured, name) if measured is not None else None
    if value is None:
        return ""
    return percent(value) if share else f"{value:.3f}"


def comparison_plot(comparison: Comparison, *, theme: ThemeName = "light") -> bytes | None:
    """Share of windows that raise an alarm, by the rate that is promised: of later normal ones, and of broken ones.

    Normal windows should follow the diagonal or lie below it, broken ones high above. ``None`` without windows.
    """
    if not comparison.windows:
        return None
    look = THEMES[theme]
    title = f"Challenger {comparison.challenger} " + ("passes" if comparison.passed else "does not pass")
    title += f" against champion {comparison.champion}" if comparison.champion else "; there is no champion"
    figure, axes = new_axes(title, "promised false-alarm rate", "share that raises an alarm", theme=look, height=3.8)
    rates = np.logspace(-4, 0, 81)
    axes.plot(rates, rates, color=look.muted, linewidth=1.0, linestyle=":", label="as promised")
    shown = [(comparison.challenger, look.alert, "challenger")]
    if comparison.champion and comparison.champion != comparison.challenger:
        shown.append((comparison.champion, look.normal, "champion"))
    for version, colour, name in shown:
        answers = comparison.answers[version]
        for values, dash, what in ((answers.normal, "-", "normal"), (answers.broken, "--", "broken")):
            if len(values):
                achieved = [(values <= limit).mean() for limit in np.log10(rates)]
                axes.plot(rates, np.maximum(achieved, 1e-4), dash, color=colour, linewidth=1.7,
                          label=f"{name} {version}, {what}")  # fmt: skip
    axes.axvline(comparison.rate, color=look.ink, linewidth=1.0)
    axes.set(xscale="log", yscale="log", xlim=(1e-4, 1), ylim=(1e-4, 1.2))
    add_legend(axes, look, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3)
    return png(figure)


def render_comparison(comparison: Comparison) -> str:
    """The comparison as one HTML document, without scripts and without anything to fetch."""
    plots = {theme: comparison_plot(comparison, theme=theme) for theme in ("light", "dark")}
    return render_page(
        "comparison.html.j2",
        comparison=comparison,
        rows=comparison_rows(comparison),
        promised=percent(comparison.rate),
        plots={theme: base64.b64encode(plot).decode("ascii") for theme, plot in plots.items() if plot},
    )
