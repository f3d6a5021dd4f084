"""Rows of the lake as the pages show them: words, classes and addresses.

Belongs here: text and links. Markup is in ``templates/``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from logad_pipeline.lake.alerts import CONFIRMED, Alert
from logad_pipeline.lake.lanes import read_lanes
from logad_pipeline.lake.triage import JudgedWindow, settled
from logad_pipeline.reporting.swimlane import LanesView, Swimlane, alarm_level, lanes_view, stamp
from logad_pipeline.reporting.text import count, label, score_text, span_text
from logad_pipeline.serving.pages.asked import Asked
from logad_pipeline.serving.service import service

_LONGEST: Final = 240


@dataclass(frozen=True)
class Gauge:
    """A score as a figure and a bar, ``width`` in per cent; ``level`` is ``high``, ``alert`` or ``normal``."""

    score: str
    width: float
    level: str
    risk: str


@dataclass(frozen=True)
class AlertView:
    """A group of alarms in a list."""

    link: str
    line: str
    where: str
    gauge: Gauge
    alarms: str
    settled: str
    first_seen: str
    last_seen: str


@dataclass(frozen=True)
class WindowRow:
    """A window in a list."""

    link: str
    line: str
    where: str
    when: str
    gauge: Gauge
    state: str


def gauge(score: float, risk: str, is_alarm: bool = True) -> Gauge:
    """A score in [0, 1] and its level of risk."""
    return Gauge(score_text(score), round(100 * min(1.0, max(0.0, score)), 1), _level(score, is_alarm), label(risk, 40))


def _level(score: float, is_alarm: bool) -> str:
    if not is_alarm:
        return "normal"
    return alarm_level(score)


def by_group() -> bool:
    """Whether a window's lane is its group rather than its source: where groups are hosts."""
    return service().settings.windows.group_by == "host"


def stream_of(source: str, group: str) -> str:
    """The lane of a window."""
    return group if group and by_group() else source


def alert_view(alert: Alert, asked: Asked) -> AlertView:
    """A group as a row of the list."""
    parts = []
    if alert.contested:
        parts.append(f"{count(alert.contested, 'alarm')} called normal")
    if alert.suppressed:
        parts.append(f"{count(alert.suppressed, 'alarm')} kept quiet by {label(alert.suppression, 60)}")
    return AlertView(
        asked.link("/triage/windows", alert=alert.alert_id), label(alert.text, _LONGEST) or "(an empty line)",
        where(alert.source, alert.group_key), gauge(alert.score, alert.risk),
        f"{count(alert.open, 'open alarm')} of {alert.windows:,}", "; ".join(parts),
        _minute(alert.first_seen) or str(alert.days[0]), _minute(alert.last_time) or str(alert.days[-1]),
    )  # fmt: skip


def _minute(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" if at else ""


def where(source: str, group: str) -> str:
    """Host or session and source in words."""
    return f"{label(group, 80)}, {label(source, 80)}" if group and group != source else label(source, 80)


def window_row(window: JudgedWindow, asked: Asked) -> WindowRow:
    """A window as a row of the list."""
    says = {"contested": "called normal", "confirmed": "confirmed", "suppressed": "kept quiet"}
    when = span_text(window.first_time, window.last_time) if window.first_time else str(window.day)
    return WindowRow(
        asked.link(f"/triage/window/{window.day}/{window.window_id}"),
        label(window.text, _LONGEST) or "(an empty line)", where(window.source, window.group), when,
        gauge(window.score, window.risk, window.is_anomaly), says.get(window.state, ""),
    )  # fmt: skip


def open_lanes(asked: Asked) -> Swimlane | None:
    """The swimlane of what is asked for, without what is settled; ``None`` where no day is."""
    if not asked.days:
        return None
    lake = service().lake
    without = [key for key, state in settled(lake, asked.days).items() if state != CONFIRMED]
    return read_lanes(lake, asked.days, by_group=by_group(), stream=asked.host or None, without=without)


def linked_lanes(swimlane: Swimlane | None, asked: Asked) -> LanesView | None:
    """The swimlane as a table that leads to the windows of each lane and cell; ``None`` without lanes."""
    if swimlane is None:
        return None
    path, hours = "/triage/windows", swimlane.hours
    return lanes_view(
        swimlane,
        lambda lane: asked.link(path, host=lane),
        lambda lane, span: asked.link(path, host=lane, at=stamp(swimlane.begin(span)), hours=hours),
    )


def headline(alerts: Sequence[Alert], swimlane: Swimlane | None, hosts: Collection[str]) -> str:
    """What there is to do, in one sentence."""
    if swimlane is None:
        return "No day of this range was judged."
    if not swimlane.windows:
        return "No window here, or none that is not settled; choose another host, or other days."
    still = [alert for alert in alerts if alert.open]
    if not still:
        return f"No open alarm among {count(swimlane.windows, 'window')}."
    alarms = sum(alert.open for alert in still)
    return (
        f"{count(len(still), 'alert')} with {count(alarms, 'open alarm')}, on {count(len(hosts), 'host')}, "
        f"among {count(swimlane.windows, 'window')}."
    )
