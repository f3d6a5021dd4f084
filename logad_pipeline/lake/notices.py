"""Notices: which alerts somebody is still to be told of, and that they were.

Belongs here: the choice and the record of it. Does not: how they are sent.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from .alerts import Alert, read_alerts
from .schemas import NOTICES
from .tables import AlreadyAppended, Lake

__all__ = ["give_notice", "notice_of", "to_be_told"]


def to_be_told(lake: Lake, day: date, sink: str, again_after: timedelta) -> list[Alert]:
    """Alerts of a day with open alarms that a sink was not told of within ``again_after`` before the day.

    An alert that comes day after day is told of once; after a longer quiet it is new again.
    """
    told = _last_told(lake, sink)
    since = {key: day - last for key, last in told.items()}
    return [
        alert
        for alert in read_alerts(lake, [day])
        if alert.open and (alert.alert_id not in since or since[alert.alert_id] > again_after)
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


def _last_told(lake: Lake, sink: str) -> dict[str, date]:
    """Day of the alerts that the last notice of each told of."""
    told: dict[str, date] = {}
    for batch in lake.scan("notices", columns=["alert_id", "day", "sink"]):
        for row in batch.to_pylist():
            if row["sink"] == sink:
                told[row["alert_id"]] = max(row["day"], told.get(row["alert_id"], date.min))
    return told
