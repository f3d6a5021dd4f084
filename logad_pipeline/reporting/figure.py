"""How every plot looks, and a figure as PNG bytes.

Belongs here: sizes, the two palettes, axes without clutter. Not here: what a plot shows. Figures are
made with matplotlib's objects and never with pyplot, so threads of a server do not share any state.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from logad_pipeline.reporting.text import visible

ThemeName = Literal["light", "dark"]

WIDTH_INCHES = 6.0
DOTS_PER_INCH = 170
_FONT_SIZE = 9.5


@dataclass(frozen=True)
class Theme:
    """Colours by meaning, after Okabe and Ito (2008): told apart with any colour vision."""

    paper: str
    ink: str
    muted: str
    grid: str
    normal: str
    alert: str
    labelled: str
    ramp: tuple[str, ...]


THEMES: dict[ThemeName, Theme] = {
    "light": Theme(
        paper="#ffffff",
        ink="#1d2328",
        muted="#5b656e",
        grid="#dfe3e6",
        normal="#0072b2",
        alert="#d55e00",
        labelled="#1d2328",
        ramp=("#f1f4f6", "#d3dde4", "#f2c36b", "#d55e00", "#5e1a00"),
    ),
    "dark": Theme(
        paper="#181c20",
        ink="#e4e7ea",
        muted="#9aa4ad",
        grid="#33393f",
        normal="#56b4e9",
        alert="#ff9a4d",
        labelled="#ffffff",
        ramp=("#22282d", "#39444d", "#8a4a14", "#f08a35", "#ffe9b8"),
    ),
}


def new_axes(title: str, x_label: str, y_label: str, *, theme: Theme, height: float = 3.0) -> tuple[Any, Any]:
    """A figure of ``WIDTH_INCHES`` by ``height`` inches and its axes, titled and labelled.

    A title that is too long for a line goes on on the next; a single word that is too long runs out of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DOTS_PER_INCH, facecolor=theme.paper, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_facecolor(theme.paper)
    axes.set_title(
        drawable(title, 150), loc="left", fontsize=_FONT_SIZE + 1, color=theme.ink, weight="bold", parse_math=False,
        wrap=True,
    )  # fmt: skip
    axes.set_xlabel(x_label, fontsize=_FONT_SIZE, color=theme.muted)
    axes.set_ylabel(y_label, fontsize=_FONT_SIZE, color=theme.muted)
    axes.tick_params(which="both", colors=theme.muted, labelsize=_FONT_SIZE - 0.5, length=3)
    axes.grid(True, color=theme.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(theme.grid)
    return figure, axes


def add_legend(axes: Any, theme: Theme, **options: Any) -> None:
    """A legend without a frame, in the size of the tick labels."""
    axes.legend(frameon=False, fontsize=_FONT_SIZE - 0.5, labelcolor=theme.ink, **options)


def day_bars(
    axes: Any, heights: Sequence[float], above: Sequence[bool], theme: Theme, within: str, beyond: str = "above it"
) -> None:
    """A bar a day; those ``above`` what was promised are hatched; ``within`` and ``beyond`` are for the legend."""
    place, values, marked = np.arange(len(heights)), np.asarray(heights), np.asarray(above, dtype=bool)
    for chosen, colour, hatch, name in (
        (~marked, theme.normal, "", f"{within}, chance allowed for"),
        (marked, theme.alert, "///", beyond),
    ):
        if chosen.any():
            axes.bar(place[chosen], values[chosen], width=0.7, color=colour, hatch=hatch, edgecolor=theme.paper,
                     linewidth=0.0, label=name)  # fmt: skip


def add_note(axes: Any, x: float, y: float, text: str, colour: str, **options: Any) -> None:
    """A few words beside a mark, in data coordinates."""
    axes.annotate(
        text,
        (x, y),
        xytext=options.pop("offset", (3, 3)),
        textcoords="offset points",
        fontsize=_FONT_SIZE - 0.5,
        color=colour,
        **options,
    )


def png(figure: Any) -> bytes:
    """The figure as a PNG without time or software stamps: the same figure gives the same bytes."""
    out = io.BytesIO()
    figure.savefig(
        out,
        format="png",
        facecolor=figure.get_facecolor(),
        metadata={"Software": None},
        pil_kwargs={"optimize": True},
    )
    return out.getvalue()


def drawable(text: str, limit: int = 90) -> str:
    """``text`` as one line that the font can draw: what it lacks is replaced by ``\\ufffd``."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    shown = visible(text[: 2 * limit])
    shown = shown if len(shown) <= limit else shown[: limit - 1] + "…"
    return "".join(char if font.get_char_index(ord(char)) else "\ufffd" for char in shown)
