"""`/triage/search`: words, and the alerts and windows whose lines hold them.

Belongs here: the page. How lines are looked through is in ``lake.line_search``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apiflask import APIBlueprint
from flask import Response

from logad_pipeline.lake.alerts import read_alerts
from logad_pipeline.lake.line_search import Found, search_lines
from logad_pipeline.lake.triage import Wanted, ranked_windows
from logad_pipeline.reporting.text import label
from logad_pipeline.serving.access import needs
from logad_pipeline.serving.pages.asked import asked, word
from logad_pipeline.serving.pages.rendering import page
from logad_pipeline.serving.pages.views import WindowRow, alert_view, window_row
from logad_pipeline.serving.service import service
from logad_pipeline.serving.sessions import PAGES_PREFIX

routes = APIBlueprint(f"{PAGES_PREFIX}searching", __name__, enable_openapi=False)
_MOST_ALERTS: Final = 50
_MOST_WINDOWS: Final = 50
_MOST_LINES: Final = 5


@dataclass(frozen=True)
class FoundWindow:
    """A window with some of the lines that hold the words."""

    row: WindowRow
    lines: tuple[tuple[int, str], ...]
    left_out: int


@routes.get("/triage/search")
@needs("read")
def search() -> Response:
    """Alerts and windows with these words."""
    lake = service().lake
    want, words = asked(lake), word("q", 200).strip()
    looking = bool(words and want.days)
    found = search_lines(lake, want.days, words) if looking else Found({}, 0, None, whole=True)
    holding = Wanted(ids=found.lines)
    rows, total = ranked_windows(lake, want.days, holding, top=_MOST_WINDOWS) if found.lines else ([], 0)
    alerts = [
        alert for alert in (read_alerts(lake, want.days) if looking else [])
        if words.casefold() in f"{alert.text}\n{alert.group_key}\n{alert.source}\n{alert.alert_id}".casefold()
    ]  # fmt: skip
    windows = []
    for row in rows:
        lines = found.lines[row.window_id]
        shown = tuple((line, label(body, 240)) for _, line, body in lines[:_MOST_LINES])
        windows.append(FoundWindow(window_row(row, want), shown, len(lines) - len(shown)))
    return page(
        "search.html.j2", asked=want, query=words, alerts=[alert_view(alert, want) for alert in alerts[:_MOST_ALERTS]],
        alerts_left_out=max(0, len(alerts) - _MOST_ALERTS), windows=windows, windows_left_out=max(0, total - len(rows)),
        found=found,
    )  # fmt: skip
