"""The ranked windows as a page shows them: which lines, which are marked, and when to stop.

Belongs here: choosing, shortening and marking. Not here: HTML. However long the windows are, what is
chosen stays within a budget of bytes, so that a report can be mailed and opened.
"""

from __future__ import annotations

import html
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import median

from logad_pipeline.explanation.evidence import Evidence
from logad_pipeline.reporting.data import ReportData, ReportLine, ReportWindow
from logad_pipeline.reporting.text import count, label, score_text, shorten, span_text, time_text, visible

MAX_WINDOWS = 100
MAX_LINES = 40
MAX_LINE_CHARACTERS = 600
MAX_DETECTORS = 16
TEXT_BUDGET_BYTES = 2_500_000

_FEW_LINES = 9
_ROW_BYTES = 160
_MARKED_LINES = 3
_MAX_MEMBERS = 12
_MAX_DIFFERENCES = 60
_MAX_WORDS = 3
_MAX_GUESSES = 2


@dataclass(frozen=True)
class WordView:
    """A word that surprised, and what was expected in its place, with the chances that it was given."""

    text: str
    expected: str


@dataclass(frozen=True)
class DifferenceView:
    """A row of the comparison with the nearest normal window: a sign for the change, and the line."""

    change: str
    sign: str
    text: str


@dataclass(frozen=True)
class LineView:
    """A row of a window: a line, or where ``gap`` is true a word on the lines left out."""

    number: str
    text: str
    surprise: str = ""
    marked: bool = False
    gap: bool = False
    reasons: str = ""
    expected: tuple[WordView, ...] = ()
    instead: str = ""


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
    kind: str = ""
    why: str = ""
    nearest: str = ""
    differences: tuple[DifferenceView, ...] = ()
    members: tuple[tuple[str, str, str], ...] = ()
    members_left_out: int = 0


def window_views(
    data: ReportData, budget_bytes: int = TEXT_BUDGET_BYTES, most: int = MAX_WINDOWS
) -> tuple[WindowView, ...]:
    """The first ``most`` windows. Once the budget is spent they come with the lines that count alone, then without."""
    views, left = [], budget_bytes
    for window in data.top[:most]:
        lines, differences = _line_views(window.lines), _differences(window.evidence)
        note = "" if lines else "This window came without its lines."
        if _cost(lines, differences) > left:
            lines, differences = _line_views(window.lines, _FEW_LINES), ()
            what = "Most of its lines" if len(window.lines) > _FEW_LINES else "The nearest normal window"
            note = f"{what} left out to keep this file small."
        if _cost(lines, differences) > left:
            lines = ()
            note = f"{count(len(window.lines), 'line').capitalize()} left out to keep this file small."
        left -= _cost(lines, differences)
        views.append(_window_view(window, (data.threshold, data.high_risk), lines, note, differences))
    return tuple(views)


def text_bytes(views: Sequence[WindowView]) -> int:
    """Bytes that the lines of these windows take, as far as they count against the budget."""
    return sum(_cost(view.lines, view.differences) for view in views)


def alarms_of(window: ReportWindow, threshold: float) -> int:
    """How many alerts a ranked window stands for."""
    if window.alarms is not None:
        return window.alarms
    return window.is_anomaly + sum(one.score >= threshold for one in window.members)


def _cost(lines: Sequence[LineView], differences: Sequence[DifferenceView]) -> int:
    """Bytes that they take on the page, about."""
    rows = sum(_ROW_BYTES + len(html.escape(row.text).encode()) for row in differences)
    return rows + sum(_ROW_BYTES + _bytes(line) for line in lines)


def window_view(window: ReportWindow, threshold: float, high_risk: float) -> WindowView:
    """One window, as it is shown on a page of its own; at most 40 of its lines.

    Args:
        window: the window.
        threshold, high_risk: scores from which on it is an alert, and of high risk, in [0, 1].
    """
    lines = _line_views(window.lines)
    return _window_view(window, (threshold, high_risk), lines, "", _differences(window.evidence))


def _bytes(line: LineView) -> int:
    parts = [line.text, line.reasons, line.instead, *(word.text + word.expected for word in line.expected)]
    return sum(len(html.escape(part).encode()) for part in parts)


def _window_view(
    window: ReportWindow, limits: tuple[float, float], lines: tuple[LineView, ...], note: str,
    differences: tuple[DifferenceView, ...],
) -> WindowView:  # fmt: skip
    threshold, high_risk = limits
    detectors = tuple(
        DetectorView(label(name, 60), score_text(score), _width(score), score >= threshold)
        for name, score in sorted(window.detectors.items(), key=lambda item: (-item[1], item[0]))
    )[:MAX_DETECTORS]
    listed = window.members[:_MAX_MEMBERS]
    # Its members that raised no alert come on top of the alerts that it stands for.
    alike = alarms_of(window, threshold) - window.is_anomaly + sum(one.score < threshold for one in window.members)
    level = "normal"
    if window.is_anomaly:
        level = "high" if window.score >= high_risk else "alert"
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
        kind=window.evidence.kind if window.evidence else "",
        why=label(window.evidence.summary, 400) if window.evidence else "",
        nearest=_nearest(window.evidence),
        differences=differences,
        members=tuple(
            (label(one.where, 60) or "no group", time_text(one.first_time), score_text(one.score))
            for one in listed
        ),
        members_left_out=max(alike - len(listed), 0),
    )


def _nearest(evidence: Evidence | None) -> str:
    if evidence is None or evidence.nearest is None:
        return ""
    near = evidence.nearest
    return f"alike to {near.similarity:.0%}, seen {near.seen:,} {'time' if near.seen == 1 else 'times'}"


def _differences(evidence: Evidence | None) -> tuple[DifferenceView, ...]:
    if evidence is None or evidence.nearest is None:
        return ()
    signs = {"same": "", "added": "+", "missing": "−", "moved": "↕"}
    rows = evidence.nearest.differences[:_MAX_DIFFERENCES]
    return tuple(DifferenceView(row.change, signs[row.change], label(row.text, 240)) for row in rows)


def _width(score: float) -> float:
    return round(100 * min(1.0, max(0.0, score)), 1)


def _line_views(lines: Sequence[ReportLine], most: int = MAX_LINES) -> tuple[LineView, ...]:
    marked = _most_surprising(lines)
    views: list[LineView] = []
    before = -1
    for place in _places_shown(lines, marked, most):
        if place > before + 1:
            views.append(_gap(place - before - 1))
        line = lines[place]
        # Cut before and after: a shown character may stand for eight.
        text = shorten(visible(line.text[:MAX_LINE_CHARACTERS], keep_breaks=True), 2 * MAX_LINE_CHARACTERS)
        if len(line.text) > MAX_LINE_CHARACTERS:
            text += f"… (+{len(line.text) - MAX_LINE_CHARACTERS:,} characters)"
        surprise = "" if line.surprise is None else f"{line.surprise:.2f}"
        reasons, words, instead = _why(line)
        views.append(LineView(f"{line.line_no}", text, surprise, place in marked, False, reasons, words, instead))
        before = place
    if before + 1 < len(lines):
        views.append(_gap(len(lines) - before - 1))
    return tuple(views)


def _why(line: ReportLine) -> tuple[str, tuple[WordView, ...], str]:
    """What speaks against a line, its most surprising words, and the line that was expected."""
    why = line.evidence
    if why is None or not why.reasons:
        return "", (), ""
    words = tuple(
        WordView(
            label(word.text, 60),
            " or ".join(f"{label(one.text, 40)} ({one.probability:.0%})" for one in word.expected[:_MAX_GUESSES]),
        )
        for word in why.least_expected(_MAX_WORDS)
    )
    return label("; ".join(why.reasons), 300), words, label(why.expected_line, 200)


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
    """Those that the evidence points at; without any, at most three lines and a third of the window: above the
    median of its surprise, and half its highest or more."""
    suspicious = sorted(
        (-line.evidence.suspicion, place, bool(line.evidence.reasons))
        for place, line in enumerate(lines)
        if line.evidence is not None and line.evidence.suspicion > 0
    )
    if suspicious:
        # The first may have nothing loud enough to be put into words.
        reasoned = [place for _, place, told in suspicious if told] or [suspicious[0][1]]
        return frozenset(reasoned[:_MARKED_LINES])
    known = _by_surprise(lines)
    if len(known) < 2:
        return frozenset()
    usual = median(surprise for surprise, _ in known)
    most = max(1, min(_MARKED_LINES, len(known) // 3))
    return frozenset(place for surprise, place in known[:most] if surprise > usual and surprise >= known[0][0] / 2)


def _places_shown(lines: Sequence[ReportLine], marked: Collection[int], most: int) -> list[int]:
    """All places of a short window; of a long one those that are marked and their neighbours, its ends, the most
    surprising ones and their neighbours, then the head."""
    if len(lines) <= most:
        return list(range(len(lines)))
    wanted = [*sorted(marked), *(near for place in sorted(marked) for near in (place - 1, place + 1))]
    wanted += [0, len(lines) - 1]
    for _, place in _by_surprise(lines)[: MAX_LINES // 3]:
        wanted += [place, place - 1, place + 1]
    wanted += range(MAX_LINES)
    inside = dict.fromkeys(place for place in wanted if 0 <= place < len(lines))
    return sorted(list(inside)[:most])
