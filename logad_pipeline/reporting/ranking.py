"""The ranked windows as a page shows them: which lines, which are marked, and when to stop.

Belongs here: choosing, shortening and marking. Not here: HTML. However long the windows are, what is
chosen stays within a budget of bytes, so that a report can be mailed and opened.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from logad_pipeline.reporting.data import ReportData, ReportLine, ReportWindow
from logad_pipeline.reporting.text import count, label, score_text, shorten, span_text, visible

MAX_WINDOWS = 100
MAX_LINES = 40
MAX_LINE_CHARACTERS = 600
MAX_DETECTORS = 16
TEXT_BUDGET_BYTES = 2_500_000

_ROW_BYTES = 160
_MARKED_LINES = 3


@dataclass(frozen=True)
class LineView:
    """A row of a window: a line, or where ``gap`` is true a word on the lines left out."""

    number: str
    text: str
    surprise: str = ""
    marked: bool = False
    gap: bool = False


@dataclass(frozen=True)
class DetectorView:
    """A detector's calibrated score; ``width`` is in per cent; it spoke if it reached the threshold."""

    name: str
    score: str
    width: float
    spoke: bool


@dataclass(frozen=True)
class WindowView:
    """A ranked window in words. ``level`` is ``high``, ``alert`` or ``normal``: the colour of its badge."""

    rank: int
    score: str
    width: float
    level: str
    risk: str
    is_anomaly: bool
    where: str
    source: str
    when: str
    window_id: str
    spoke: str
    detectors: tuple[DetectorView, ...]
    label: str
    repeats: str
    lines: tuple[LineView, ...]
    note: str


def window_views(data: ReportData, budget_bytes: int = TEXT_BUDGET_BYTES) -> tuple[WindowView, ...]:
    """The first ``MAX_WINDOWS`` windows; once the budget is spent they come without their lines."""
    views, left = [], budget_bytes
    for window in data.top[:MAX_WINDOWS]:
        lines = _line_views(window.lines)
        cost = sum(_ROW_BYTES + len(html.escape(line.text).encode()) for line in lines)
        note = "" if lines else "This window came without its lines."
        if cost > left:
            lines = ()
            note = f"{count(len(window.lines), 'line').capitalize()} left out to keep this file small."
        else:
            left -= cost
        views.append(_window_view(window, data, lines, note))
    return tuple(views)


def _window_view(window: ReportWindow, data: ReportData, lines: tuple[LineView, ...], note: str) -> WindowView:
    detectors = tuple(
        DetectorView(label(name, 60), score_text(score), _width(score), score >= data.threshold)
        for name, score in sorted(window.detectors.items(), key=lambda item: (-item[1], item[0]))
    )[:MAX_DETECTORS]
    level = "normal"
    if window.is_anomaly:
        level = "high" if window.score >= data.high_risk else "alert"
    return WindowView(
        rank=window.rank,
        score=score_text(window.score),
        width=_width(window.score),
        level=level,
        risk=label(window.risk, 40) or "no level",
        is_anomaly=window.is_anomaly,
        where=label(window.group, 80) or "no group",
        source=label(window.source, 160) or "no source",
        when=span_text(window.first_time, window.last_time),
        window_id=label(window.window_id, 120),
        spoke=", ".join(detector.name for detector in detectors if detector.spoke),
        detectors=detectors,
        label={True: "labelled anomalous", False: "labelled normal", None: ""}[window.label],
        repeats=f"seen {window.repeats:,} times" if window.repeats > 1 else "",
        lines=lines,
        note=note,
    )


def _width(score: float) -> float:
    return round(100 * min(1.0, max(0.0, score)), 1)


def _line_views(lines: Sequence[ReportLine]) -> tuple[LineView, ...]:
    marked = _most_surprising(lines)
    views: list[LineView] = []
    before = -1
    for place in _places_shown(lines):
        if place > before + 1:
            views.append(_gap(place - before - 1))
        line = lines[place]
        # Cut before and after: a shown character may stand for eight.
        text = shorten(visible(line.text[:MAX_LINE_CHARACTERS], keep_breaks=True), 2 * MAX_LINE_CHARACTERS)
        if len(line.text) > MAX_LINE_CHARACTERS:
            text += f"… (+{len(line.text) - MAX_LINE_CHARACTERS:,} characters)"
        surprise = "" if line.surprise is None else f"{line.surprise:.2f}"
        views.append(LineView(f"{line.line_no}", text, surprise, place in marked))
        before = place
    if before + 1 < len(lines):
        views.append(_gap(len(lines) - before - 1))
    return tuple(views)


def _gap(lines: int) -> LineView:
    return LineView("", f"… {count(lines, 'line')} not shown …", gap=True)


def _by_surprise(lines: Sequence[ReportLine]) -> list[tuple[float, int]]:
    known = [
        (line.surprise, place)
        for place, line in enumerate(lines)
        if line.surprise is not None and math.isfinite(line.surprise)
    ]
    return sorted(known, key=lambda pair: (-pair[0], pair[1]))


def _most_surprising(lines: Sequence[ReportLine]) -> frozenset[int]:
    """At most three lines and a third of the window: above its median, and half its highest or more."""
    known = _by_surprise(lines)
    if len(known) < 2:
        return frozenset()
    usual = median(surprise for surprise, _ in known)
    most = max(1, min(_MARKED_LINES, len(known) // 3))
    return frozenset(place for surprise, place in known[:most] if surprise > usual and surprise >= known[0][0] / 2)


def _places_shown(lines: Sequence[ReportLine]) -> list[int]:
    """All places of a short window; of a long one the most surprising, their neighbours, then the head."""
    if len(lines) <= MAX_LINES:
        return list(range(len(lines)))
    wanted: list[int] = [0, len(lines) - 1]
    for _, place in _by_surprise(lines)[: MAX_LINES // 3]:
        wanted += [place, place - 1, place + 1]
    wanted += range(MAX_LINES)
    inside = dict.fromkeys(place for place in wanted if 0 <= place < len(lines))
    return sorted(list(inside)[:MAX_LINES])
