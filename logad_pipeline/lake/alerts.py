"""Alerts: the alarms of a day, folded into groups that keep their name from day to day.

Belongs here: the groups, what people and suppressions take off them, when each was first and last seen. Does
not: telling anybody (`notices`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds

from .feedback import NORMAL, Feedback, read_feedback
from .schemas import ALERTS
from .schemas import SUPPRESSED as SUPPRESSED_ROWS
from .suppressions import Suppression, read_suppressions
from .tables import Lake
from .windowing import texts_of

__all__ = [
    "CONFIRMED", "CONTESTED", "SUPPRESSED", "Alert", "fold_alerts", "loudest_line", "read_alerts", "state_of",
    "suppressed_hits",
]  # fmt: skip

CONTESTED: Final = "contested"
CONFIRMED: Final = "confirmed"
SUPPRESSED: Final = "suppressed"

_KEPT_IDS: Final = 50
_COLUMNS: Final = (
    "window_id", "source", "group_key", "text_ids", "worst", "score", "risk", "first_time", "last_time",
    "model_version",
)  # fmt: skip


@dataclass(slots=True)
class Alert:
    """A group of alarms: those about one line of one stream. Over one day a row of `schemas.ALERTS`.

    Attributes:
        days: on which it came, ascending.
        first_time, last_time: of its windows within those days; ``None`` where logs have no times.
        first_seen: as far back as the lake goes.
        window_ids: of the alarms with the highest scores first.
    """

    alert_id: str
    source: str
    group_key: str
    text_id: int
    text: str
    days: list[date]
    model_version: str
    windows: int = 0
    contested: int = 0
    suppressed: int = 0
    suppression: str = ""
    score: float = 0.0
    risk: str = ""
    window_ids: list[str] = field(default_factory=list)
    first_time: datetime | None = None
    last_time: datetime | None = None
    first_seen: datetime | None = None

    @property
    def open(self) -> int:
        """Alarms that nobody contested and nothing keeps quiet."""
        return self.windows - self.contested - self.suppressed


def fold_alerts(lake: Lake, day: date) -> list[Alert]:
    """Make `alerts` and `suppressed` of a day anew from its scores, the feedback and the suppressions.

    Returns:
        The day's alerts, those with open alarms first, then by score.

    Raises:
        BadSuppressions: their file cannot be read.
        DayConflict: another run wrote the day meanwhile.
    """
    rows = sorted(
        _alarms(lake, day), key=lambda row: (row["first_time"] is not None, row["first_time"], row["window_id"])
    )
    texts = texts_of(lake, [day], {row["line"] for row in rows})
    said = read_feedback(lake, [day])
    quiet = _Quiet(lake, day)
    alerts: dict[str, Alert] = {}
    for row in rows:
        text = texts.get(row["line"], "")
        alert = _alert_of(alerts, row, text, day)
        alert.windows += 1
        state = state_of(said.get(row["window_id"]), partial(quiet.keeps, row, text))
        alert.contested += state == CONTESTED
        if state == SUPPRESSED:
            alert.suppressed, alert.suppression = alert.suppressed + 1, quiet.last
    scores = {row["window_id"]: row["score"] for row in rows}
    for alert in alerts.values():
        alert.window_ids.sort(key=lambda window: -scores[window])
    _look_back(lake, day, alerts)
    lake.replace_day("suppressed", day, quiet.batches())
    lake.replace_day("alerts", day, [_batch(day, list(alerts.values()))] if alerts else [])
    return _ranked(alerts.values())


def read_alerts(lake: Lake, days: Collection[date]) -> list[Alert]:
    """The alerts of some days as one list: those of several days are one, with what they came to in all.

    Their order is that of `fold_alerts`.
    """
    alerts: dict[str, Alert] = {}
    if not days:
        return []
    for batch in lake.scan("alerts", days):
        for row in batch.to_pylist():
            one = Alert(**{name: value for name, value in row.items() if name != "day"}, days=[row["day"]])
            known = alerts.setdefault(one.alert_id, one)
            if known is not one:
                _join(known, one)
    # A late line may have raised it on an earlier day since its row was written.
    _look_back(lake, max(days), alerts)
    return _ranked(alerts.values())


def state_of(said: Feedback | None, kept_quiet: Callable[[], bool]) -> str:
    """How a window is settled: ``contested`` or ``confirmed`` by a person, else ``suppressed``, else ``""``.

    What a person said of this very window goes before what a suppression says of all that look like it: a confirmed
    alarm stands. A suppression that ends after so many alarms is then not asked.
    """
    if said is not None:
        return CONTESTED if said.verdict == NORMAL else CONFIRMED
    return SUPPRESSED if kept_quiet() else ""


def suppressed_hits(lake: Lake) -> dict[str, int]:
    """How many alarms each suppression has kept quiet, by its name."""
    hits: dict[str, int] = {}
    for batch in lake.scan("suppressed", columns=["suppression"]):
        for count in batch.column("suppression").value_counts().to_pylist():
            hits[count["values"]] = hits.get(count["values"], 0) + count["counts"]
    return hits


def _alarms(lake: Lake, day: date) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for batch in lake.scan("scores", [day], _COLUMNS, where=ds.field("is_anomaly")):
        rows += batch.to_pylist()
    for row in rows:
        row["line"] = loudest_line(row["text_ids"], row["worst"])
    return rows


def loudest_line(text_ids: Sequence[int], worst: int | None) -> int:
    """The text of a window's line that surprised most, by which its alarms are grouped."""
    # A day that an earlier release judged does not say which one it was: the first stands for it.
    return text_ids[worst or 0]


def _alert_of(alerts: dict[str, Alert], row: dict[str, Any], text: str, day: date) -> Alert:
    name = "\0".join((row["source"], row["group_key"], text))
    alert_id = blake2b(name.encode(), digest_size=6).hexdigest()
    alert = alerts.get(alert_id)
    if alert is None:
        alert = alerts[alert_id] = Alert(
            alert_id, row["source"], row["group_key"], row["line"], text, [day], row["model_version"]
        )
    if row["score"] > alert.score:
        alert.score, alert.risk = row["score"], row["risk"]
    alert.window_ids.append(row["window_id"])
    alert.first_time = _least(alert.first_time, row["first_time"])
    alert.last_time = _most(alert.last_time, row["last_time"])
    return alert


def _join(known: Alert, other: Alert) -> None:
    """Add what another day says of an alert."""
    if other.days > known.days:
        known.model_version, known.suppression = other.model_version, other.suppression or known.suppression
    known.days = sorted([*known.days, *other.days])
    known.windows += other.windows
    known.contested += other.contested
    known.suppressed += other.suppressed
    known.window_ids = [*known.window_ids, *other.window_ids] if known.score >= other.score else [
        *other.window_ids, *known.window_ids,
    ]  # fmt: skip
    if other.score > known.score:
        known.score, known.risk = other.score, other.risk
    known.first_time = _least(known.first_time, other.first_time)
    known.last_time = _most(known.last_time, other.last_time)


def _look_back(lake: Lake, day: date, alerts: dict[str, Alert]) -> None:
    """Say of each alert when it was first seen, by the days before ``day`` too."""
    for alert in alerts.values():
        alert.first_seen = alert.first_time
    if not alerts:
        return
    where = ds.field("alert_id").isin(pa.array(sorted(alerts))) & (ds.field("day") < pa.scalar(day, pa.date32()))
    for batch in lake.scan("alerts", columns=["alert_id", "first_time"], where=where):
        for row in batch.to_pylist():
            alert = alerts[row["alert_id"]]
            alert.first_seen = _least(alert.first_seen, row["first_time"])


class _Quiet:
    """The suppressions over the alarms of a day, which come in order of time."""

    def __init__(self, lake: Lake, day: date) -> None:
        self._day = day
        self._all: list[Suppression] = [each for each in read_suppressions(lake) if each.concerns(day)]
        self._left = {each.name: each.more for each in self._all if each.more is not None}
        if self._left:
            # Later days too: of a day that is folded late no more are kept quiet than are left.
            others = ds.field("day") != pa.scalar(day, pa.date32())
            for batch in lake.scan("suppressed", columns=["suppression"], where=others):
                for name in batch.column("suppression").to_pylist():
                    if name in self._left:
                        self._left[name] -= 1
        self._hits: list[dict[str, Any]] = []
        self.last = ""

    def keeps(self, row: dict[str, Any], text: str) -> bool:
        """Whether a suppression keeps an alarm quiet; the first that does counts it, and is ``last`` then."""
        for each in self._all:
            if self._left.get(each.name, 1) > 0 and each.matches(row["source"], row["group_key"], text):
                if each.name in self._left:
                    self._left[each.name] -= 1
                self._hits.append({"day": self._day, "suppression": each.name, "window_id": row["window_id"],
                                   "first_time": row["first_time"]})  # fmt: skip
                self.last = each.name
                return True
        return False

    def batches(self) -> list[pa.RecordBatch]:
        return [pa.RecordBatch.from_pylist(self._hits, schema=SUPPRESSED_ROWS)] if self._hits else []


def _batch(day: date, alerts: list[Alert]) -> pa.RecordBatch:
    rows = []
    for alert in alerts:
        values: dict[str, Any] = {name: getattr(alert, name) for name in ALERTS.names if name != "day"}
        rows.append(values | {"day": day, "window_ids": alert.window_ids[:_KEPT_IDS]})
    return pa.RecordBatch.from_pylist(rows, schema=ALERTS)


def _ranked(alerts: Collection[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: (not alert.open, -alert.score, alert.alert_id))


def _least(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((time for time in (one, other) if time is not None), default=None)


def _most(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((time for time in (one, other) if time is not None), default=None)
