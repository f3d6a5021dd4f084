"""The thresholds of a day under a budget: one for each host, so that a noisy one uses up no other's alarms.

Belongs here: what each host's threshold begins with. Does not: how one goes on over the day (`thresholds`), or what
is promised where no budget is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.calibration import ScoreScale

from .feedback import ANOMALOUS, read_feedback
from .judged_days import HostDay, JudgedDay, host_of, judged_day, judged_days
from .tables import Lake
from .thresholds import DayThreshold, Promise, replayed

__all__ = ["HostThresholds", "thresholds_of_hosts"]

_LOOKED_AT: Final = 7
_EXCEEDED: Final = 3
"""Of the newest ``_LOOKED_AT`` days, on how many a host must have gone beyond its budget to be judged more strictly."""
_LEAST: Final = 1e-12


@dataclass(frozen=True)
class HostThresholds:
    """Where the threshold of each host begins on a day.

    Attributes:
        by_host: by the name that `judged_days.host_of` gives.
        own: stricter rates than the budget alone comes to, of hosts whose days before ask for one.
        other: for a host that came only after the day was looked at; the day is judged again then.
    """

    by_host: Mapping[str, DayThreshold]
    own: Mapping[str, float]
    other: DayThreshold

    def adapted(
        self, log10_p: FloatArray, kinds: Sequence[int], novel: Sequence[bool], model_rate: float,
        hosts: Sequence[str],
    ) -> FloatArray:  # fmt: skip
        """p-values as of `DayThreshold.adapted`, each window under the threshold of its host."""
        rows: dict[str, list[int]] = {}
        for row, host in enumerate(hosts):
            rows.setdefault(host, []).append(row)
        out = np.empty(len(hosts))
        for host, mine in rows.items():
            threshold = self.by_host.get(host, self.other)
            out[mine] = threshold.adapted(
                log10_p[mine], [kinds[row] for row in mine], [novel[row] for row in mine], model_rate
            )
        return out


def thresholds_of_hosts(
    lake: Lake, day: date, version: str, promise: Promise, windows: Mapping[str, int], scale: ScoreScale
) -> HostThresholds:
    """Where the thresholds of a day begin under a budget.

    A host's rate is its budget over its own windows. Where that was not enough on three of the last seven days, as
    for a host that is stranger than the others by nature, the host has a rate of its own, at which the budget would
    have held on all but two of them: an incident of two days dulls nothing. Alarms that people confirmed do not
    count. A day that was judged before begins, for every host that it had, where it began then.

    Args:
        version: of the model; days that another one judged say nothing.
        windows: of each host on the day.
        scale: of the model.
    """
    rates = {host: promise.rate_on(count) for host, count in windows.items()}
    other = DayThreshold(promise.rate)
    if not promise.adaptive:
        return HostThresholds({host: DayThreshold(rate) for host, rate in rates.items()}, {}, other)
    known = _known(lake, day, version, promise)
    new = rates.keys() - known.keys()
    own = {host: one.own for host, one in known.items() if one.own is not None and host in rates}
    own |= _own_rates(lake, day, version, promise, {host: rates[host] for host in new}, scale)
    rates = {host: min(rate, own.get(host, rate)) for host, rate in rates.items()}
    begun = {host: _again(rates[host], one) for host, one in known.items() if host in rates}
    begun |= replayed(lake, day, version, promise, {host: rates[host] for host in new}) if new else {}
    return HostThresholds(begun, own, other)


def _known(lake: Lake, day: date, version: str, promise: Promise) -> dict[str, HostDay]:
    """The hosts of the day as this version has judged it before under the same budget."""
    row = judged_day(lake, day)
    if row is None or row.model_version != version or row.budget != promise.a_day_and_host:
        return {}
    return {one.host: one for one in row.by_host if one.in_force is not None}


def _again(rate: float, was: HostDay) -> DayThreshold:
    # With another number of windows the budget is another rate; what is kept is how far below it was.
    return DayThreshold(rate, rate * min((was.in_force or was.rate) / was.rate, 1.0), was.recent_kinds)


def _own_rates(
    lake: Lake, day: date, version: str, promise: Promise, rates: Mapping[str, float], scale: ScoreScale
) -> dict[str, float]:
    """Stricter rates for those of the hosts that need one."""
    rows = [row for row in judged_days(lake) if row.windows and row.model_version == version]
    chosen = [row for row in rows if 0 < (day - row.day).days <= promise.days][-_LOOKED_AT:]
    if len(chosen) < _EXCEEDED or not rates:
        return {}
    needed: dict[str, list[float]] = {}
    for (host, _), rarest in _rarest(lake, chosen, rates, scale).items():
        if len(rarest) > (allowed := int(promise.a_day_and_host or 0)):
            needed.setdefault(host, []).append(sorted(rarest)[allowed])
    # Just below the alarm that was one too many.
    return {
        host: max(10 ** sorted(marks)[_EXCEEDED - 1] * (1 - 1e-6), _LEAST)
        for host, marks in needed.items() if len(marks) >= _EXCEEDED
    }  # fmt: skip


def _rarest(
    lake: Lake, rows: Sequence[JudgedDay], rates: Mapping[str, float], scale: ScoreScale
) -> dict[tuple[str, date], list[float]]:
    """``log10`` of the p-values of windows that would be alarms at these rates, by host and day, without those that
    people confirmed."""
    days = {row.day: row for row in rows}
    then = {(one.host, row.day): one.rate for row in rows for one in row.by_host}
    confirmed = {key for key, said in read_feedback(lake, days).items() if said.verdict == ANOMALOUS}
    found: dict[tuple[str, date], list[float]] = {}
    columns = ["day", "source", "group_key", "window_id", "score"]
    where = ds.field("log10_p") <= pa.scalar(math.log10(max(rates.values())))
    for batch in lake.scan("scores", days, columns, where=where):
        for row in batch.to_pylist():
            host = host_of(row["group_key"], row["source"])
            if host not in rates or row["window_id"] in confirmed:
                continue
            # The score says how rare the window was held for under the rate of its day, frequent kinds allowed for.
            rate = then.get((host, row["day"]), days[row["day"]].promised_rate)
            log10_p = scale.rarity(row["score"]) * math.log10(rate) / -math.log10(scale.false_alarm_rate)
            if log10_p <= math.log10(rates[host]):
                found.setdefault((host, row["day"]), []).append(log10_p)
    return found
