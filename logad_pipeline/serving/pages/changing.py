"""What the buttons do: say that a window is normal or anomalous, take that back, keep a pattern quiet.

Belongs here: reading the forms. What follows is ``lake.answering``'s, whichever door the answer came by.
"""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

from apiflask import APIBlueprint
from flask import Response, g
from pydantic import ValidationError

from logad_pipeline.lake.alerts import Alert, read_alerts
from logad_pipeline.lake.answering import answer_window, keep_quiet
from logad_pipeline.lake.feedback import UnknownWindow
from logad_pipeline.lake.suppressions import Suppression, read_suppressions
from logad_pipeline.lake.tables import Lake
from logad_pipeline.reporting.text import count
from logad_pipeline.serving.access import needs
from logad_pipeline.serving.pages.asked import day_of, form_values
from logad_pipeline.serving.pages.rendering import go_to, local_path, tell
from logad_pipeline.serving.problems import Problem
from logad_pipeline.serving.service import service
from logad_pipeline.serving.sessions import PAGES_PREFIX, check_token

routes = APIBlueprint(f"{PAGES_PREFIX}changing", __name__, enable_openapi=False)
_MOST_DAYS: Final = 31
"""Days, the newest that are looked at and the newest of the alert, whose alerts are folded anew at once."""
_SAYS: Final[dict[str, Literal["normal", "anomalous", "withdrawn"]]] = {
    "normal": "normal", "anomalous": "anomalous", "withdrawn": "withdrawn",
}  # fmt: skip
_TOLD: Final = {
    "normal": "Noted: normal. The alarm has left the list; the gate and the next training know.",
    "anomalous": "Noted: anomalous. The alarm stays in the list; the gate and the next training know.",
    "withdrawn": "Taken back: nothing is said of this window now.",
}


@routes.post("/triage/feedback")
@needs("feedback")
def feedback() -> Response:
    """Say something of a window."""
    sent = form_values(("token", "window_id", "verdict", "note", "back"))
    check_token(sent["token"])
    verdict = _SAYS.get(sent["verdict"])
    if verdict is None:
        raise Problem(422, "no-verdict", "say normal, anomalous or withdrawn; load the page again")
    try:
        answer_window(service().lake, sent["window_id"], verdict, sent["note"], _author())
    except UnknownWindow as error:
        raise Problem(404, "no-such-window", "no such window is there any more, or nothing was said of it; ids change "
                      "when a day is cut anew") from error  # fmt: skip
    tell(_TOLD[verdict])
    return go_to(local_path(sent["back"]))


@routes.post("/triage/suppress")
@needs("feedback")
def suppress() -> Response:
    """Keep the alarms of a group quiet, or those about its line on any host."""
    sent = form_values(("token", "alert_id", "day", "first", "last", "everywhere", "until", "more", "reason", "back"))
    check_token(sent["token"])
    own = service()
    first, last = day_of(sent["first"]), day_of(sent["last"])
    days = [day for day in own.lake.days("scores") if first and last and first <= day <= last]
    alert = _alert(own.lake, sent["alert_id"], days, day_of(sent["day"]))
    with own.answering:
        new = _suppression(own.lake, alert, sent)
        keep_quiet(own.lake, new, {*days[-_MOST_DAYS:], *alert.days[-_MOST_DAYS:]})
    history = len(alert.days[:-_MOST_DAYS])
    tell(
        f"{new.name} keeps these alarms quiet; `logad suppressions` lists and counts them."
        + (f" Those of its first {count(history, 'day')} stay in the list as they were." if history else "")
    )
    return go_to(local_path(sent["back"]))


def _alert(lake: Lake, alert_id: str, days: list[date], day: date | None) -> Alert:
    looked = {*days, *([day] if day else [])}
    for alert in read_alerts(lake, looked) if looked else ():
        if alert.alert_id == alert_id:
            return alert
    raise Problem(404, "no-such-alert", "no alert of these days is called so any more; load the list again")


def _suppression(lake: Lake, alert: Alert, sent: dict[str, str]) -> Suppression:
    if sent["more"] and not (sent["more"].isascii() and sent["more"].isdigit() and len(sent["more"]) < 10):
        raise Problem(422, "invalid-number", "the number of further alarms is a whole number from 1 on; mend it")
    until = day_of(sent["until"])
    if sent["until"] and until is None:
        raise Problem(422, "invalid-days", "the last day is a day such as 2026-03-01; mend it")
    if not sent["reason"]:
        raise Problem(422, "no-reason", "say why, for whoever reviews the suppressions; go back and fill it in")
    taken = {each.name for each in read_suppressions(lake)}
    names = (f"page-{alert.alert_id}{'' if again == 1 else f'-{again}'}" for again in range(1, len(taken) + 2))
    stream = {} if sent["everywhere"] else {"source": alert.source, "group": alert.group_key}
    try:
        return Suppression(
            name=next(name for name in names if name not in taken), reason=sent["reason"], author=_author(),
            template=alert.text, until=until, more=int(sent["more"]) if sent["more"] else None, **stream,
        )  # fmt: skip
    except ValidationError as error:
        wrong = "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
        raise Problem(422, "invalid", f"{wrong}; go back and mend it") from error


def _author() -> str:
    return str(g.key.name) if "key" in g else ""
