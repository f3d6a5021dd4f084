"""`/`: the swimlane of some days, and their alerts, the strangest first.

Belongs here: the first page, and its list as CSV.
"""

from __future__ import annotations

import csv
import io
from typing import Final

from apiflask import APIBlueprint
from flask import Response

from logad_pipeline.lake.alerts import Alert, read_alerts
from logad_pipeline.reporting.text import score_text, time_text, visible
from logad_pipeline.serving.access import needs
from logad_pipeline.serving.pages.asked import Asked, asked
from logad_pipeline.serving.pages.rendering import page, style_text
from logad_pipeline.serving.pages.views import alert_view, headline, linked_lanes, open_lanes, stream_of
from logad_pipeline.serving.service import service
from logad_pipeline.serving.sessions import PAGES_PREFIX

routes = APIBlueprint(f"{PAGES_PREFIX}board", __name__, enable_openapi=False)
_MOST_ALERTS: Final = 100
_RANGES: Final = (1, 7, 30)
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_COLUMNS: Final = (
    "alert_id", "score", "risk", "open", "windows", "contested", "suppressed", "first_seen", "last_seen", "source",
    "group", "line",
)  # fmt: skip


@routes.get("/")
@needs("read")
def board() -> Response:
    """The first page."""
    want = asked(service().lake)
    alerts, swimlane = _alerts(want), open_lanes(want)
    shown = [alert for alert in alerts if alert.open]
    quiet = [alert for alert in alerts if not alert.open]
    hosts = {_stream(alert) for alert in shown}
    return page(
        "board.html.j2", asked=want, headline=headline(shown, swimlane, hosts),
        lanes=linked_lanes(swimlane, want),
        names=[lane.name for lane in swimlane.lanes[:200] if visible(lane.name) == lane.name] if swimlane else [],
        alerts=[alert_view(alert, want) for alert in shown[:_MOST_ALERTS]], left_out=max(0, len(shown) - _MOST_ALERTS),
        quiet=[alert_view(alert, want) for alert in quiet[:_MOST_ALERTS]],
        quiet_left_out=max(0, len(quiet) - _MOST_ALERTS), ranges=_ranges(want), csv=want.link("/triage/alerts.csv"),
    )  # fmt: skip


@routes.get("/triage/alerts.csv")
@needs("read")
def alerts_csv() -> Response:
    """The alerts of the same days as a table; what a spreadsheet would calculate stays text."""
    want = asked(service().lake)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for one in _alerts(want):
        seen = (time_text(one.first_seen), time_text(one.last_time))
        values = (one.alert_id, score_text(one.score), one.risk, one.open, one.windows, one.contested, one.suppressed,
                  *seen, one.source, one.group_key, one.text)  # fmt: skip
        writer.writerow([as_text(value) if isinstance(value, str) else value for value in values])
    name = f"alerts_{want.first}_{want.last}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(out.getvalue(), headers=headers, content_type="text/csv; charset=utf-8")


@routes.get("/triage/<name>.css")
def style(name: str) -> Response:
    """The style of the pages; its address changes with it."""
    return Response(style_text(), content_type="text/css; charset=utf-8",
                    headers={"Cache-Control": "public, max-age=31536000, immutable"})  # fmt: skip


def as_text(value: str) -> str:
    """Text for a cell: visible, and behind an apostrophe where a spreadsheet would take it for a formula."""
    shown = visible(value)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) or value[:1] in ("\t", "\r", "\n") else shown


def _alerts(want: Asked) -> list[Alert]:
    found = read_alerts(service().lake, want.days) if want.days else []
    return [alert for alert in found if not want.host or _stream(alert) == want.host]


def _ranges(want: Asked) -> list[tuple[str, str, bool]]:
    """Ranges to choose with one click: what they are called, where they are, and whether one is shown now."""
    out = []
    for days in _RANGES:
        newest = want.judged[-days:]
        if newest:
            chosen = (want.first, want.last) == (newest[0], newest[-1])
            link = Asked((), newest[0], newest[-1], want.host).link("/")
            out.append((f"{days} days" if days > 1 else "newest day", link, chosen))
    return out


def _stream(alert: Alert) -> str:
    return stream_of(alert.source, alert.group_key)
