"""Notices: which alerts somebody is still to be told of, and that they were.

Belongs here: the choice and the record of it. Does not: how they are sent.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from .alerts import Alert, read_alerts
from .schemas import NOTICES
from .tables import AlreadyAppended, Lake

__all__ = ["give_notice", "notice_of", "to_be_told"]


def to_be_told(lake: Lake, day: date, sink: str, again_after: timedelta) -> list[Alert]:
    """Alerts of a day with open alarms that a sink does not know of.

    An alert is told of once while it goes on, however long; when nothing open came of it for longer than
    ``again_after``, it is new again.
    """
    found = [alert for alert in read_alerts(lake, [day]) if alert.open]
    told = _told(lake, sink)
    came = _open_days(lake, day, [alert.alert_id for alert in found])
    return [
        alert
        for alert in found
        if not _goes_on(told.get(alert.alert_id, set()), came.get(alert.alert_id, set()), day, again_after)
    ]


def give_notice(lake: Lake, day: date, sink: str, alerts: list[Alert], send: Callable[[dict[str, Any]], None]) -> int:
    """Send each alert and write down that it was sent; return how many were.

    What is sent carries an ``id``: should the process be stopped between the two, it is sent again under the
    same one.

    Raises:
        Exception: what ``send`` raises; the alerts before that stay told, the others are told the next time.
    """
    sent = 0
    for alert in alerts:
        send(notice_of(alert, day))
        row = {"alert_id": alert.alert_id, "day": day, "sink": sink, "at": datetime.now(UTC)}
        try:
            rows = pa.RecordBatch.from_pylist([row], schema=NOTICES)
            lake.append("notices", rows, once=f"{sink} {alert.alert_id} {day}")
        except AlreadyAppended:
            continue
        sent += 1
    return sent


def notice_of(alert: Alert, day: date) -> dict[str, Any]:
    """What is sent: JSON-ready values, of which ``id`` names the notice."""
    times = {
        name: time.isoformat() if time else None
        for name, time in (("first_seen", alert.first_seen), ("first_time", alert.first_time),
                           ("last_time", alert.last_time))
    }  # fmt: skip
    return {
        "id": f"{alert.alert_id}-{day}",
        "alert": alert.alert_id,
        "day": str(day),
        "source": alert.source,
        "group": alert.group_key,
        "text": alert.text,
        "score": round(alert.score, 6),
        "risk": alert.risk,
        "alarms": alert.open,
        "windows": alert.window_ids,
        "model_version": alert.model_version,
        **times,
    }


def _goes_on(told: set[date], came: set[date], day: date, again_after: timedelta) -> bool:
    """Whether an alert of a day was told of, and never quiet for too long since then."""
    before = [on for on in told if on <= day]
    if not before:
        return bool(told)  # told of a later day: this one came late
    last = max(before)
    steps = sorted({last, day, *(on for on in came if on > last)})
    return all(after - on <= again_after for on, after in pairwise(steps))


def _open_days(lake: Lake, day: date, alert_ids: list[str]) -> dict[str, set[date]]:
    """Days before ``day`` on which alerts had open alarms."""
    came: dict[str, set[date]] = {}
    if not alert_ids:
        return came
    columns = ["alert_id", "day", "windows", "contested", "suppressed"]
    where = ds.field("alert_id").isin(pa.array(alert_ids, pa.string())) & (
        ds.field("day") < pa.scalar(day, pa.date32())
    )
    for batch in lake.scan("alerts", columns=columns, where=where):
        for row in batch.to_pylist():
            if row["windows"] > row["contested"] + row["suppressed"]:
                came.setdefault(row["alert_id"], set()).add(row["day"])
    return came


def _told(lake: Lake, sink: str) -> dict[str, set[date]]:
    """Days of the alerts that a sink was told of."""
    told: dict[str, set[date]] = {}
    for batch in lake.scan("notices", columns=["alert_id", "day"], where=ds.field("sink") == sink):
        for row in batch.to_pylist():
            told.setdefault(row["alert_id"], set()).add(row["day"])
    return told
