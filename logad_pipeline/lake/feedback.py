"""Feedback: what people said of windows, one row a saying, of which the latest counts.

Belongs here: writing verdicts down, reading those in force, and which window each is of once its day was cut anew.
Does not: what follows from them, which alerts, thresholds, trainings and the gate decide for themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from itertools import chain
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
_ALIKE: Final = 0.5
"""Share that two windows have in common, from which on what was said of one is said of the other."""


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

    A late line has its day cut anew, and then its lines are in other windows, with other ids. A verdict on a window
    that is gone is that on the one of its day and stream that reads most alike, if nothing was said of that one and
    at least half is the same, a text weighing the less the more windows hold it: a window that has got another rare
    line is another. Without any it stays under the old id.

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
    for key, window_id in _successors(lake, [said[key] for key in gone], set(found)).items():
        found[window_id] = said[key]
        gone.remove(key)
    return found | {key: said[key] for key in gone}


def _existing(lake: Lake, said: dict[str, Feedback]) -> set[str]:
    """Those of the windows that are cut, or judged, like that now."""
    days, found = {each.day for each in said.values()}, set[str]()
    where = ds.field("window_id").isin(pa.array(sorted(said), pa.string()))
    for table in ("windows", "scores") if said else ():
        for batch in lake.scan(table, days, ["window_id"], where=where):
            found.update(batch.column(0).to_pylist())
    return found


def _successors(lake: Lake, gone: list[Feedback], taken: set[str]) -> dict[str, str]:
    """For windows that are gone those that read most alike now, each of one of them at most."""
    windows = _windows_of(lake, {_stream(asdict(each)) for each in gone})
    pairs: list[tuple[float, datetime, str, str]] = []
    for each in gone:
        there = windows.get(_stream(asdict(each)), {})
        holding = Counter(chain.from_iterable(there.values()))
        for window_id, texts in there.items():
            alike = _alike(texts, frozenset(each.text_ids), holding)
            if alike >= _ALIKE and window_id not in taken:
                pairs.append((-alike, each.at, each.window_id, window_id))
    found: dict[str, str] = {}
    for _, _, key, window_id in sorted(pairs):
        if key not in found and window_id not in taken:
            found[key] = window_id
            taken.add(window_id)
    return found


def _windows_of(lake: Lake, streams: set[tuple[Any, ...]]) -> dict[tuple[Any, ...], dict[str, frozenset[int]]]:
    """The texts of the windows of some streams on their days, by window id."""
    found: dict[tuple[Any, ...], dict[str, frozenset[int]]] = {}
    where = ds.field("source").isin(pa.array(sorted({source for _, source, _ in streams}), pa.string()))
    for batch in lake.scan("windows", {day for day, _, _ in streams}, [*_KNOWN, "window_id"], where=where):
        for row in batch.to_pylist():
            if (stream := _stream(row)) in streams:
                found.setdefault(stream, {})[row["window_id"]] = frozenset(row["text_ids"])
    return found


def _stream(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["day"], row["source"], row["group_key"])


def _alike(one: frozenset[int], other: frozenset[int], holding: Mapping[int, int]) -> float:
    """How much of what two windows hold both hold, 0 to 1; a text weighs less the more windows hold it."""

    def weight(texts: frozenset[int]) -> float:
        return sum(1 / max(holding.get(text, 1), 1) for text in sorted(texts))

    both = one & other
    return weight(both) / weight(one | other) if both else 0.0


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
