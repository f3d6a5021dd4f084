"""Feedback: what people said of windows, one row a saying, of which the latest counts.

Belongs here: writing verdicts down and reading those in force. Does not: what follows from them, which alerts,
thresholds, trainings and the gate decide for themselves.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, get_args

import pyarrow as pa
import pyarrow.dataset as ds

from .naming import clean_text
from .schemas import FEEDBACK
from .tables import AlreadyAppended, Lake, LakeError

__all__ = [
    "ANOMALOUS", "NORMAL", "Feedback", "UnknownWindow", "Verdict", "feedback_history", "read_feedback",
    "record_feedback", "withdraw_feedback",
]  # fmt: skip

Verdict = Literal["normal", "anomalous"]
NORMAL: Final = "normal"
ANOMALOUS: Final = "anomalous"
WITHDRAWN: Final = "withdrawn"
_KNOWN: Final = ("day", "source", "group_key", "text_ids")


class UnknownWindow(LakeError):
    """There is no window of that id, or nothing was ever said of it."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What was said of one window; the columns of `schemas.FEEDBACK`.

    Attributes:
        verdict: ``normal`` or ``anomalous``; in a history also ``withdrawn``.
        text_ids: the normalised texts of the window's records, by which it is known should it be cut anew.
        score, model_version: the score that the verdict answered, and whose it was; ``None`` if not judged.
    """

    window_id: str
    day: date
    verdict: str
    note: str
    author: str
    at: datetime
    source: str
    group_key: str
    text_ids: tuple[int, ...]
    score: float | None
    model_version: str | None


def record_feedback(
    lake: Lake, window_id: str, verdict: Verdict, note: str = "", author: str = "", at: datetime | None = None
) -> Feedback:
    """Write down what somebody says of a window. An earlier verdict on it no longer counts, but is kept.

    Args:
        window_id: of a judged window, or of one that is only cut yet.
        verdict: ``normal`` contests an alarm, ``anomalous`` confirms one or names one that was missed.
        at: when it was said, with a zone; now by default. The same moment twice is one saying.

    Raises:
        UnknownWindow: no window has that id now.
        ValueError: another verdict, or a time without a zone.
    """
    if verdict not in get_args(Verdict):
        raise ValueError(f"verdict '{verdict}' is not known; say {' or '.join(get_args(Verdict))}")
    found = _find(lake, window_id)
    if found is None:
        raise UnknownWindow(
            f"no window '{window_id}' in {lake.root}; ids stand in the report and in `logad triage`, and change "
            "when a day is cut anew"
        )
    said = Feedback(window_id, verdict=verdict, note=clean_text(note), author=clean_text(author), at=_moment(at),
                    **found)  # fmt: skip
    _append(lake, said)
    return said


def withdraw_feedback(
    lake: Lake, window_id: str, note: str = "", author: str = "", at: datetime | None = None
) -> Feedback:
    """Take back what was said of a window: from then on nothing was.

    Raises:
        UnknownWindow: there is nothing to take back.
        ValueError: a time without a zone.
    """
    said = read_feedback(lake).get(window_id)
    if said is None:
        raise UnknownWindow(f"nothing was said of window '{window_id}' in {lake.root}; there is nothing to withdraw")
    words = {"verdict": WITHDRAWN, "note": clean_text(note), "author": clean_text(author), "at": _moment(at)}
    taken_back = Feedback(**(asdict(said) | words))
    _append(lake, taken_back)
    return taken_back


def read_feedback(
    lake: Lake, days: Collection[date] | None = None, *, until: datetime | None = None
) -> dict[str, Feedback]:
    """The verdicts in force by window id, those that were withdrawn left out.

    Args:
        days: of windows of these days only; ``None`` for all.
        until: as they stood at that moment.
    """
    latest: dict[str, Feedback] = {}
    for said in feedback_history(lake, days):
        if until is None or said.at <= until:
            latest[said.window_id] = said
    return {key: said for key, said in latest.items() if said.verdict != WITHDRAWN}


def feedback_history(lake: Lake, days: Collection[date] | None = None) -> list[Feedback]:
    """All that was ever said, in order of time."""
    rows: list[dict[str, Any]] = []
    for batch in lake.scan("feedback", days):
        rows += batch.to_pylist()
    said = [Feedback(**{**row, "text_ids": tuple(row["text_ids"])}) for row in rows]
    return sorted(said, key=lambda each: (each.at, each.window_id))


def _moment(at: datetime | None) -> datetime:
    if at is not None and at.tzinfo is None:
        raise ValueError(f"the time {at} of a verdict has no zone; give one, such as {at}+00:00")
    return (at or datetime.now(UTC)).astimezone(UTC)


def _find(lake: Lake, window_id: str) -> dict[str, Any] | None:
    """What is written down of a window besides the verdict."""
    where = ds.field("window_id") == window_id
    for table, judged in (("scores", ("score", "model_version")), ("windows", ())):
        for batch in lake.scan(table, columns=[*_KNOWN, *judged], where=where):
            row: dict[str, Any] = {"score": None, "model_version": None} | batch.to_pylist()[0]
            return {**row, "text_ids": tuple(row["text_ids"])}
    return None


def _append(lake: Lake, said: Feedback) -> None:
    rows = pa.RecordBatch.from_pylist([asdict(said) | {"text_ids": list(said.text_ids)}], schema=FEEDBACK)
    try:
        lake.append("feedback", rows, once=f"{said.window_id} {said.at.isoformat()}")
    except AlreadyAppended:
        return
