"""The windows of days, as a model is fitted on them: which days, which of their windows, in order of time.

Belongs here: the choice of what is learned, and gathering it. Does not: fitting, or when to train.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from logad_pipeline.detectors.normal_stream import NormalStream
from logad_pipeline.logs.facts import RecordFacts
from logad_pipeline.logs.log_tokenizer import MASK_VERSION
from logad_pipeline.windows import WindowIndex

from .arrivals import days_of_other_masks
from .feedback import ANOMALOUS, NORMAL, read_feedback
from .record_facts import COLUMNS, FactReader, other_records, strings_of
from .tables import Lake, LakeDamaged
from .windowing import texts_of

__all__ = ["Choice", "Keep", "Policy", "choose", "window_stream"]

Policy = Literal["rolling", "decayed", "all"]
Keep = Callable[[date, str], bool]
"""Whether a window of a day is taken, by its id."""

_STREAM_COLUMNS: Final = (
    "window_id", "day", "text_ids", "record_ids", "first_time", "source", "group_key", "mask_version",
)  # fmt: skip
_ALARM_COLUMNS: Final = ("window_id", "day", "source", "group_key", "text_ids", "worst")
_FORGOTTEN: Final = 0.02
"""Share of a day's windows from which on downwards a decayed day is left out."""


@dataclass(frozen=True)
class Choice:
    """What a training learns from.

    Attributes:
        days: ascending.
        outdated: days that the policy would take, and that are left out since their windows were masked by other
            rules than this release's; prepared anew they can be taken.
        keep: which of their windows.
        left_out: windows that are not taken since they raised an alarm or a person called them anomalous.
        readmitted: alarms that are taken since a person called them normal, or as a new habit, by id.
    """

    days: tuple[date, ...]
    outdated: tuple[date, ...]
    keep: Keep
    left_out: int
    readmitted: frozenset[str]


def choose(
    lake: Lake, days: Collection[date], policy: Policy, span: int, *, held_out: int = 0, habit_days: int = 3
) -> Choice:
    """Choose days, and those of their windows that were accepted as normal.

    A window is left out if it raised an alarm that nobody contested, or was called anomalous. Alarms about one
    line of one stream that came on ``habit_days`` of the days, and that nobody called anomalous, are taken for a
    new habit of the stream: otherwise what is new and normal would never be learned. Windows of days that were
    not judged yet count as normal.

    Args:
        days: there are to choose from.
        policy: ``rolling`` takes the newest ``span`` days, ``all`` all of them. ``decayed`` takes of each day
            a share that halves every ``span`` days back, the same windows whenever it is asked.
        span: days, 1 or more.
        held_out: newest days that are left to be measured on; fewer if that would leave none.
        habit_days: see above; 0 for never.

    Raises:
        LakeDamaged: all of these days were masked by other rules than this release's.
    """
    available = sorted(days)
    there = available[: max(len(available) - held_out, min(len(available), 1))]
    newest = there[-1] if there else date.min
    shares = dict.fromkeys(there, 1.0)
    if policy == "rolling":
        shares = {day: 1.0 for day in there if day > newest - timedelta(days=span)}
    elif policy == "decayed":
        shares = {day: 2.0 ** (-(newest - day).days / span) for day in there}
        shares = {day: share for day, share in shares.items() if share >= _FORGOTTEN}
    outdated = sorted(shares.keys() & days_of_other_masks(lake, "windows"))
    if outdated and len(outdated) == len(shares):
        raise _other_masks(outdated[0], outdated[-1])
    for day in outdated:
        del shares[day]
    refused, readmitted = _refused(lake, shares, habit_days)

    def keep(day: date, window_id: str) -> bool:
        # The id is a hash already: its first digits are as good as a drawn number.
        return window_id not in refused and int(window_id[:8], 16) / 16**8 < shares[day]

    return Choice(tuple(sorted(shares)), tuple(outdated), keep, len(refused), readmitted)


def _other_masks(first: date, last: date) -> LakeDamaged:
    return LakeDamaged(
        f"the windows of {first} to {last} were masked by other rules than version {MASK_VERSION} of this release; "
        "materialise normalized_logs and windows of these days again (job `prepare_days`)"
    )


def _refused(lake: Lake, days: Collection[date], habit_days: int) -> tuple[set[str], frozenset[str]]:
    """Windows that are not accepted as normal, and the alarms that are nevertheless."""
    if not days:
        return set(), frozenset()
    about: dict[str, tuple[str, str, int | None]] = {}
    came: dict[tuple[str, str, int | None], set[date]] = {}
    for batch in lake.scan("scores", days, _ALARM_COLUMNS, where=ds.field("is_anomaly")):
        for row in batch.to_pylist():
            line = row["text_ids"][row["worst"]] if row["worst"] is not None else None
            about[row["window_id"]] = one = (row["source"], row["group_key"], line)
            came.setdefault(one, set()).add(row["day"])
    said = {key: each.verdict for key, each in read_feedback(lake, days).items()}
    confirmed = {about[key] for key, verdict in said.items() if verdict == ANOMALOUS and key in about}
    habits = {one for one, on in came.items() if habit_days and len(on) >= habit_days and one[2] is not None}
    accepted = {
        key for key, one in about.items() if said.get(key) == NORMAL or (one in habits - confirmed and key not in said)
    }
    anomalous = {key for key, verdict in said.items() if verdict == ANOMALOUS}
    return (about.keys() - accepted) | anomalous, frozenset(accepted)


def window_stream(
    lake: Lake,
    days: Collection[date],
    version: int | None = None,
    *,
    facts: bool = False,
    choice: Choice | None = None,
) -> NormalStream:
    """Gather the windows of ``days``, ordered by time (those without one by their place).

    Args:
        version: of the windows table, to gather just what an earlier run saw; ``None`` for now.
        facts: whether the facts of their records are wanted too; there are none if one of the days was
            normalised without them.
        choice: which windows to take, and which of them a person vouched for; ``None`` for all.

    Raises:
        LakeDamaged: if the windows were masked by other rules than this release's, or cut from records that are
            gone; with ``facts`` also from others than there are now.
    """
    texts = texts_of(lake, sorted(days))
    index = WindowIndex()
    known = _facts_of(lake, days) if facts else {}
    rows: list[_Row] = []
    for batch in lake.scan("windows", days, _STREAM_COLUMNS, version=version):
        if batch.column("mask_version").unique().to_pylist() != [MASK_VERSION]:
            raise _other_masks(batch.column("day")[0].as_py(), batch.column("day")[-1].as_py())
        times = batch.column("first_time").cast(pa.int64()).to_pylist()
        columns = (batch.column(name).to_pylist() for name in ("window_id", "day", "text_ids", "record_ids"))
        streams = (strings_of(batch.column(name)) for name in ("source", "group_key"))
        for window_id, day, ids, records, time, source, group in zip(*columns, times, *streams, strict=True):
            if choice is not None and not choice.keep(day, window_id):
                continue
            base = _base(day)
            positions = tuple(base + record for record in records)
            held = [texts[number] for number in ids if number in texts]
            there = [known[at].template for at in positions if at in known] if known else held
            if len(held) < len(ids) or there != held:
                raise other_records(day)
            unique = index.add_lines(held)
            order = (day.toordinal(), time if time is not None else 0, min(records))
            vouched = choice is not None and window_id in choice.readmitted
            rows.append(_Row(order, unique, positions, source, group, time, vouched))
    rows.sort(key=lambda row: row.order)
    return NormalStream(
        index.build(),
        np.array([row.unique for row in rows], dtype=np.int64),
        [row.positions for row in rows],
        [row.source for row in rows],
        [row.group for row in rows],
        [row.time_us for row in rows],
        known,
        frozenset(number for number, row in enumerate(rows) if row.vouched),
    )


class _Row(NamedTuple):
    """A window on its way into a stream."""

    order: tuple[int, int, int]
    unique: int
    positions: tuple[int, ...]
    source: str
    group: str
    time_us: int | None
    vouched: bool


def _base(day: date) -> int:
    """Position of a day's first record: ids start anew each day, and its ordinal keeps them apart."""
    return day.toordinal() << 40


def _facts_of(lake: Lake, days: Collection[date]) -> dict[int, RecordFacts]:
    """The facts of the records of some days by position; none if one of the days has none."""
    reader = FactReader(shared=True)
    found: dict[int, RecordFacts] = {}
    for day in sorted(days):
        base = _base(day)
        for batch in lake.scan("normalized", [day], COLUMNS):
            facts = reader.read(batch)
            if facts is None:
                return {}
            found.update(zip((base + batch.column("record_id").to_numpy()).tolist(), facts, strict=True))
    return found
