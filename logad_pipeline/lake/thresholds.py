"""The threshold of a day: carried on from the accepted days before it, and from what people said of them.

Belongs here: the promise, the state in which a day begins, and how it goes on over the day. The online rule
itself is `logad_pipeline.detectors.adaptive`; how hosts share a day under a budget is in `host_thresholds`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b
from typing import Final, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from logad_pipeline.detectors.adaptive import AdaptiveThreshold
from logad_pipeline.detectors.base import FloatArray

from .feedback import ANOMALOUS, NORMAL, Feedback, read_feedback
from .judged_days import JudgedDay, host_of, judged_day, judged_days
from .tables import Lake

__all__ = ["DayThreshold", "Promise", "kind_of", "replayed", "threshold_of_day"]

_REPLAYED: Final = 20_000
"""Windows before a day, at most, over which its threshold is found."""
_MOST: Final = 0.2
"""Largest rate that a budget may come to: a day of few windows is not all alarm."""
_CLOSE: Final = 0.49
"""Decades below the promised rate at which a contested alarm counts at most: as close, however rare it was."""


@dataclass(frozen=True)
class Promise:
    """What is promised of alarms on normal windows.

    Attributes:
        rate: share of normal windows that may raise one.
        a_day_and_host: how many may a day on each host, whatever the others do; ``None`` for the rate alone.
        adaptive: whether the threshold follows drift, from day to day and over each day.
        days: how many days back it looks.
    """

    rate: float
    a_day_and_host: float | None = None
    adaptive: bool = True
    days: int = 14

    def rate_on(self, windows: int) -> float:
        """The share that keeps the promise on so many windows: of a host under a budget, else of the day."""
        if self.a_day_and_host is None or not windows:
            return self.rate
        return min(max(self.a_day_and_host / windows, 1e-6), _MOST)


@dataclass(frozen=True)
class DayThreshold:
    """Where a day's threshold begins.

    Attributes:
        rate: the promised share of normal windows that raise an alarm.
        in_force: the share in force at the beginning; ``None`` for a threshold that stays fixed.
        recent: kinds of the windows before, see :func:`kind_of`.
    """

    rate: float
    in_force: float | None = None
    recent: tuple[int, ...] = ()

    def adapted(
        self, log10_p: FloatArray, kinds: Sequence[int], novel: Sequence[bool], model_rate: float,
        hosts: Sequence[str] = (),
    ) -> FloatArray:  # fmt: skip
        """p-values of the day's windows, in time order, stretched so that the model's own rate is the one in force.

        Args:
            log10_p: float64 ``[n]``.
            kinds: what each window has in common with others like it.
            novel: whether it holds a text that the model has not learned from.
            model_rate: the rate that a score of 0.5 stands for.
            hosts: of the windows; here they have one threshold.
        """
        values = log10_p
        if self.in_force is not None:
            threshold = AdaptiveThreshold(self.rate, in_force=self.in_force)
            threshold.recall(self.recent)
            values = threshold.adapted(log10_p, kinds, novel)
        return np.asarray(values * (math.log(model_rate) / math.log(self.rate)))


def kind_of(text_ids: Sequence[int]) -> int:
    """What windows of the same set of texts have in common: 8 bytes of a hash, as a number."""
    unique = np.unique(np.asarray(text_ids, dtype="<i8"))
    return int.from_bytes(blake2b(unique.tobytes(), digest_size=8).digest(), "big", signed=True)


def threshold_of_day(lake: Lake, day: date, version: str, promise: Promise) -> DayThreshold:
    """Where the threshold of a day begins, a rate being promised.

    A day that this model version has judged before begins where it began then, so that judging it again gives
    the same; else the windows before it are gone through once more: alarms that people confirmed move
    nothing, those that they contested count as false ones however rare they were.

    Args:
        version: of the model; days that another one judged say nothing.
    """
    rate = promise.rate
    if not promise.adaptive:
        return DayThreshold(rate)
    known = judged_day(lake, day)
    if known is not None and known.model_version == version and known.in_force is not None:
        # Another rate may be promised now; what is kept is how far below it was.
        return DayThreshold(rate, rate * min(known.in_force / known.promised_rate, 1.0), known.recent_kinds)
    return replayed(lake, day, version, promise, {"": rate}, together=True)[""]


def replayed(
    lake: Lake, day: date, version: str, promise: Promise, rates: Mapping[str, float], *, together: bool = False
) -> dict[str, DayThreshold]:
    """Thresholds as the windows before a day leave them, by host; ``together``, the only one takes those of all."""
    thresholds = {host: AdaptiveThreshold(rate) for host, rate in rates.items()}
    before = [day - timedelta(days=back) for back in range(1, promise.days + 1)]
    feedback = read_feedback(lake, before)
    for window in _before(lake, before, version):
        threshold = thresholds.get("" if together else window.host)
        if threshold is not None:
            _take(threshold, window, feedback.get(window.window_id))
    return {
        host: DayThreshold(each.rate, each.in_force, tuple(cast("tuple[int, ...]", each.recent)))
        for host, each in thresholds.items()
    }


class _Window(NamedTuple):
    """A window of a day before, as its model saw it."""

    day: date
    time_us: int
    window_id: str
    log10_p: float
    kind: int
    novel: bool
    host: str


def _take(threshold: AdaptiveThreshold, window: _Window, said: Feedback | None) -> None:
    if said is not None and said.verdict == ANOMALOUS:
        return
    if said is not None and said.verdict == NORMAL:
        # Without its kind: that a person contests it says as much as that it came before.
        least = math.log10(threshold.rate) - _CLOSE
        threshold.update(max(min(window.log10_p, math.log10(threshold.in_force)), least))
    else:
        threshold.update(window.log10_p, window.kind, novel=window.novel)


def _before(lake: Lake, days: Sequence[date], version: str) -> list[_Window]:
    """The latest windows of ``days`` that the version judged, in order of time."""
    rows: Mapping[date, JudgedDay] = {row.day: row for row in judged_days(lake, days) if row.model_version == version}
    chosen: list[date] = []
    total = 0
    for day in sorted(rows, reverse=True):
        if total >= _REPLAYED:
            break
        chosen.append(day)
        total += rows[day].windows
    if not chosen:
        return []
    found: list[_Window] = []
    columns = ["day", "first_time", "window_id", "log10_p", "text_ids", "unseen", "group_key", "source"]
    where = ds.field("log10_p").is_valid() & (ds.field("model_version") == version)
    for batch in lake.scan("scores", chosen, columns, where=where):
        times = batch.column("first_time").cast(pa.int64()).to_pylist()
        others = (batch.column(name).to_pylist() for name in columns[:1] + columns[2:])
        for time, day, window_id, log10_p, ids, unseen, *stream in zip(times, *others, strict=True):
            host = host_of(*stream)
            found.append(_Window(day, time or 0, window_id, log10_p, kind_of(ids), bool(unseen), host))
    return sorted(found)[-_REPLAYED:]
