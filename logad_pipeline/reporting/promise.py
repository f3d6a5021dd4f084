"""The plot of promised against achieved false-alarm rates.

Belongs here: this plot alone; the others are in ``plots``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from logad_pipeline.reporting.figure import THEMES, ThemeName, add_legend, new_axes, png


def promised_against_achieved(
    runs: Sequence[Mapping[str, Sequence[float]]], title: str, *, theme: ThemeName = "light"
) -> bytes:
    """False-alarm rates on later normal units against those promised, on logarithmic axes.

    Args:
        runs: one a seed, with ``promised``, ``fixed`` and ``adaptive`` rates of equal length.
        title: of the plot.

    Raises:
        ValueError: without runs, or if the lengths differ.
    """
    if not runs or len({len(run[name]) for run in runs for name in ("promised", "fixed", "adaptive")}) != 1:
        raise ValueError("promised, fixed and adaptive rates must be given for each run, as many of each")
    look = THEMES[theme]
    figure, axes = new_axes(title, "promised false-alarm rate", "achieved on later units", theme=look, height=3.6)
    promised = np.asarray(runs[0]["promised"])
    floor = promised[0] / 4
    axes.plot(promised, promised, color=look.muted, linewidth=1.0, linestyle="--", label="as promised")
    for name, colour, mark in (("fixed", look.alert, "o"), ("adaptive", look.normal, "s")):
        values = np.array([run[name] for run in runs])
        shown = np.maximum(values, floor)
        axes.fill_between(promised, shown.min(axis=0), shown.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        axes.plot(promised, np.maximum(values.mean(axis=0), floor), mark + "-", color=colour, markersize=4,
                  linewidth=1.6, label=f"{name} threshold")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(bottom=floor * 0.9)
    axes.annotate("none", (promised[0], floor), xytext=(0, 4), textcoords="offset points", color=look.muted, fontsize=8)
    add_legend(axes, look, loc="upper left")
    return png(figure)
