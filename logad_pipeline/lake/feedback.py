"""Feedback: what people said of windows, one row a saying, of which the latest counts.

Belongs here: writing verdicts down, reading those in force, and which window each is of once its day was cut anew.
Does not: what follows from them, which alerts, thresholds, trainings and the gate decide for themselves.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
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
        window_id: as it was when that was said.
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
    before = read_feedback(lake, [said.day]).get(window_id)
    if before is not None and before.window_id != window_id:
        # Said of it under the id of an earlier cut; it must not go on to another window now.
        _append(lake, replace(before, verdict=WITHDRAWN, note="", author=said.author, at=said.at))
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
    said = next((each for key, each in read_feedback(lake).items() if window_id in (key, each.window_id)), None)
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

    A late line has its day cut anew, and then windows have other ids. A verdict on one that is gone is that on the
    first window of its day and stream with the same texts that nothing was said of; without any it stays under the
    old id.

    Args:
        days: of windows of these days only; ``None`` for all.
        until: as they stood at that moment.
    """
    latest: dict[str, Feedback] = {}
    for said in feedback_history(lake, days):
        if until is None or said.at <= until:
            latest[said.window_id] = said
    return _as_cut_now(lake, {key: said for key, said in latest.items() if said.verdict != WITHDRAWN})


def _as_cut_now(lake: Lake, said: dict[str, Feedback]) -> dict[str, Feedback]:
    """The same verdicts by the ids that their windows have now."""
    gone = said.keys() - _existing(lake, said)
    if not gone:
        return said
    found = {key: each for key, each in said.items() if key not in gone}
    free = _windows_by_texts(lake, [said[key] for key in gone], set(found))
    for key in sorted(gone, key=lambda key: (said[key].at, key)):
        same = free.get(_identity(asdict(said[key])))
        found[same.pop(0) if same else key] = said[key]
    return found


def _existing(lake: Lake, said: dict[str, Feedback]) -> set[str]:
    """Those of the windows that are cut, or judged, like that now."""
    days, found = {each.day for each in said.values()}, set[str]()
    where = ds.field("window_id").isin(pa.array(sorted(said), pa.string()))
    for table in ("windows", "scores") if said else ():
        for batch in lake.scan(table, days, ["window_id"], where=where):
            found.update(batch.column(0).to_pylist())
    return found


def _windows_by_texts(lake: Lake, gone: list[Feedback], taken: set[str]) -> dict[tuple[Any, ...], list[str]]:
    """Windows that read like those that are gone, in order of time, without those ``taken``."""
    wanted = {_identity(asdict(each)) for each in gone}
    where = ds.field("source").isin(pa.array(sorted({each.source for each in gone}), pa.string()))
    found: dict[tuple[Any, ...], list[tuple[bool, Any, str]]] = {}
    for batch in lake.scan("windows", {each.day for each in gone}, [*_KNOWN, "window_id", "first_time"], where=where):
        for row in batch.to_pylist():
            if (one := _identity(row)) in wanted and row["window_id"] not in taken:
                time = row["first_time"]
                found.setdefault(one, []).append((time is not None, time, row["window_id"]))
    return {one: [key for *_, key in sorted(windows)] for one, windows in found.items()}


def _identity(row: dict[str, Any]) -> tuple[Any, ...]:
    """What of a window stays as it is when its day is cut anew."""
    return (row["day"], row["source"], row["group_key"], tuple(row["text_ids"]))


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
