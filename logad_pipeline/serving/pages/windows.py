"""`/triage/windows` and `/triage/window/…`: ranked windows, and one of them with its evidence and raw lines.

Belongs here: reading for these two pages. What a click changes is in `changing`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from apiflask import APIBlueprint
from flask import Response

from logad_pipeline.detectors.calibration import HIGH_RISK, THRESHOLD
from logad_pipeline.lake.alerts import Alert, loudest_line, read_alerts
from logad_pipeline.lake.feedback import read_feedback
from logad_pipeline.lake.scoring import check_masks
from logad_pipeline.lake.shown_rows import explained_window
from logad_pipeline.lake.tables import LakeError, LakeNotFound
from logad_pipeline.lake.triage import RawLine, RawLines, Wanted, ranked_windows, raw_lines, read_window
from logad_pipeline.reporting.ranking import window_view
from logad_pipeline.reporting.text import label, shorten, span_text, time_text, visible
from logad_pipeline.serving.access import needs
from logad_pipeline.serving.pages.asked import Asked, asked, day_of, moment, number, word
from logad_pipeline.serving.pages.rendering import dagster_pages, mlflow_pages, page
from logad_pipeline.serving.pages.views import (
    alert_view,
    by_group,
    linked_lanes,
    open_lanes,
    stream_of,
    where,
    window_row,
)
from logad_pipeline.serving.problems import Problem
from logad_pipeline.serving.service import service
from logad_pipeline.serving.sessions import PAGES_PREFIX

routes = APIBlueprint(f"{PAGES_PREFIX}windows", __name__, enable_openapi=False)
_A_PAGE: Final = 50
_MOST_PAGES: Final = 10_000
_MOST_LINES: Final = 1000
_LONGEST_LINE: Final = 2000
_CONTEXTS: Final = (5, 20, 100)


@routes.get("/triage/windows")
@needs("read")
def windows() -> Response:
    """Windows of the days that are asked for, of a host, a span of time or an alert, the highest score first."""
    want, own = asked(service().lake), service()
    at, hours, alert_id = moment("at"), number("hours", 1, 24 * 366), word("alert", 40)
    shown = number("page", 1, _MOST_PAGES) or 1
    alert = _alert(want, alert_id) if alert_id else None
    wanted = Wanted(
        stream=want.host or None, by_group=by_group(), since=at, before=at + timedelta(hours=hours) if at else None,
        alert=alert,
    )  # fmt: skip
    skip = _A_PAGE * (shown - 1)
    rows, total = ranked_windows(own.lake, want.days, wanted, skip=skip, top=_A_PAGE) if want.days else ([], 0)
    swimlane = open_lanes(want) if want.host and alert is None else None
    link = {"alert": alert_id, "at": word("at", 40), "hours": hours if at else None}
    return page(
        "windows.html.j2", asked=want, alert=alert_view(alert, want) if alert else None, alert_id=alert_id,
        rows=[window_row(row, want) for row in rows], total=total, first=skip + 1,
        lanes=linked_lanes(swimlane, want),
        host=label(want.host, 80), time=span_text(at, at + timedelta(hours=hours)) if at else "",
        earlier=want.link("/triage/windows", page=shown - 1, **link) if shown > 1 else "",
        later=want.link("/triage/windows", page=shown + 1, **link) if _A_PAGE * shown < total else "",
        every=want.link("/triage/windows", host="") if want.host or at or alert_id else "",
        until=until_day(want.last), quiet_days=want.days,
    )  # fmt: skip


@routes.get("/triage/window/<day>/<window_id>")
@needs("read")
def window(day: str, window_id: str) -> Response:
    """One window: why it is suspicious, its raw lines, what stands around them, and what to say of it."""
    own, on, want = service(), day_of(day), asked(service().lake)
    try:
        row = read_window(own.lake, on, window_id) if on is not None else None
    except LakeNotFound:
        row = None
    if on is None or row is None:
        raise Problem(404, "no-such-window", "no window of that day is called so; ids change when a day is cut anew")
    explain, note = _explainer(row)
    view = window_view(explained_window(own.lake, row, explain), THRESHOLD, HIGH_RISK)
    context = number("context", _CONTEXTS[0], _CONTEXTS[-1])
    lines, found, damage = _lines(on, window_id, context)
    of = _alert_of(on, row)
    said = read_feedback(own.lake, [on]).get(window_id)
    stream = stream_of(row["source"], row["group_key"])
    address = f"/triage/window/{on}/{window_id}"
    return page(
        "one_window.html.j2", asked=want, window=view, day=on, window_id=window_id, note=note, lines=lines,
        found=found, asked_context=context, damage=damage, where=where(row["source"], row["group_key"]),
        version=label(row["model_version"], 40),
        contexts=[(each, want.link(address, context=each), each == context) for each in _CONTEXTS],
        alert=alert_view(of, want) if of else None, alert_id=of.alert_id if of else "", said=said,
        said_at=time_text(said.at) if said else "", said_note=visible(said.note) if said else "",
        said_by=label(said.author, 80) if said else "", host=label(stream, 60),
        around=want.link("/triage/windows", host=stream, at=_hour(row["first_time"]), hours=1)
        if row["first_time"] else "",
        partition=_dagster_partition(on), version_page=_mlflow_version(row), until=until_day(on), quiet_days=want.days,
    )  # fmt: skip


def until_day(last: date | None) -> date:
    """What the form to keep alarms quiet proposes: two weeks from now, or from the days that are looked at."""
    return max(datetime.now(UTC).date(), last or date.min) + timedelta(days=14)


def _alert(want: Asked, alert_id: str) -> Alert:
    found = read_alerts(service().lake, want.days) if want.days else []
    for alert in found:
        if alert.alert_id == alert_id:
            return alert
    raise Problem(404, "no-such-alert", "no alert of these days is called so; choose other days, or one of the list")


def _alert_of(day: date, row: dict[str, Any]) -> Alert | None:
    """The group that folds an alarm."""
    if not row["is_anomaly"]:
        return None
    for alert in read_alerts(service().lake, [day]):
        same = (alert.source, alert.group_key) == (row["source"], row["group_key"])
        if same and alert.text_id == loudest_line(row["text_ids"], row["worst"]):
            return alert
    return None


def _explainer(row: dict[str, Any]) -> tuple[Any, str]:
    """What explains a window, and a word on it if that is not the model that judged it."""
    served = service().champion.current
    if served is None:
        return None, "No model is in service now, so that nothing can be explained."
    try:
        check_masks(served.detector, [row["mask_version"]])
    except LakeError:
        return None, "The model in service masks lines otherwise than the one that judged this: run the day again."
    if served.version != row["model_version"]:
        return served.explain, (
            f"Judged by version {label(row['model_version'], 40)}; explained by version {label(served.version, 40)}, "
            "which is in service now."
        )
    return served.explain, ""


def _lines(day: date, window_id: str, context: int) -> tuple[list[RawLine], RawLines | None, str]:
    """The raw lines with their neighbours, what was found of them; or why there are none."""
    try:
        found = raw_lines(service().lake, day, window_id, context, _MOST_LINES)
        lines = list(found.lines)
    except LakeError as error:
        return [], None, str(error)
    return [
        replace(line, text=shorten(visible(line.text[:_LONGEST_LINE]), 2 * _LONGEST_LINE)
                + (f"… (+{len(line.text) - _LONGEST_LINE:,} characters)" if len(line.text) > _LONGEST_LINE else ""),
                file=label(line.file, 120))
        for line in lines
    ], found, ""  # fmt: skip


def _hour(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:00:00Z")


def _dagster_partition(day: date) -> str:
    pages = dagster_pages()
    return f"{pages}/assets/scores?view=partitions&partition={day}" if pages else ""


def _mlflow_version(row: dict[str, Any]) -> str:
    pages, name, version = mlflow_pages(), row["model_name"], row["model_version"]
    return f"{pages}/#/models/{quote(name, safe='')}/versions/{quote(version, safe='')}" if pages else ""
