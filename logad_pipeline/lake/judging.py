"""Judging a day: its threshold, its scores, the row that says what they were made with.

Belongs here: the order of these steps, and that they are of one and the same day's windows. Each step is in a
file of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from logad_pipeline.detectors.ensemble import AnomalyDetector

from .arrivals import files_in
from .host_thresholds import HostThresholds, thresholds_of_hosts
from .judged_days import HostDay, JudgedDay, hosts_in, write_judged_day
from .scoring import ScoreAccount, score_day
from .tables import DayReopened, Lake
from .thresholds import DayThreshold, Promise, threshold_of_day

__all__ = ["Judgement", "judge_day"]

_MADE_OF: Final = ("normalized", "windows")


@dataclass(frozen=True)
class Judgement:
    """What became of a day: the account of its scores, and its row."""

    scores: ScoreAccount
    row: JudgedDay


def judge_day(lake: Lake, day: date, model: AnomalyDetector, name: str, version: str, promise: Promise) -> Judgement:
    """Judge a day with a model, and write down what that was done with.

    Judged again by the same version, a day gets the same verdicts but for windows that are new. A day without
    windows is judged too: its row says that there were none.

    Raises:
        DayReopened: the day's windows were cut anew meanwhile; judge it again.
        DayConflict: another run judged the day meanwhile.
        LakeDamaged: see `scoring.score_day`.
    """
    made_of = [lake.day_files(table, day) for table in _MADE_OF]
    hosts = _windows_by_host(lake, day)
    threshold: DayThreshold | HostThresholds
    if promise.a_day_and_host is None:
        threshold = threshold_of_day(lake, day, version, promise)
    else:
        threshold = thresholds_of_hosts(lake, day, version, promise, hosts, model.scale)
    account = score_day(lake, day, model, name, version, threshold=threshold)
    row = JudgedDay(
        day=day, judged_at=datetime.now(UTC), model_name=name, model_version=version, windows=account.windows,
        alerts=account.alerts, hosts=len(hosts), records=account.records, unseen=account.unseen, psi=account.psi,
        budget=promise.a_day_and_host, files=files_in(lake, day), **_made_with(threshold, promise, hosts, account),
    )  # fmt: skip
    if [lake.day_files(table, day) for table in _MADE_OF] != made_of:
        raise DayReopened(f"{day}: its records or windows were made anew while it was judged; judge the day again")
    # Last, so that a day whose judging was cut short counts as not judged.
    write_judged_day(lake, row)
    return Judgement(account, row)


def _made_with(
    threshold: DayThreshold | HostThresholds, promise: Promise, hosts: Mapping[str, int], account: ScoreAccount
) -> dict[str, Any]:
    """The columns that say where the threshold began."""
    if isinstance(threshold, DayThreshold):
        return {"promised_rate": threshold.rate, "in_force": threshold.in_force, "recent_kinds": threshold.recent}
    by_host = tuple(
        HostDay(host, windows, account.alerts_by_host.get(host, 0), begun.rate, threshold.own.get(host),
                begun.in_force, begun.recent)
        for host, windows in sorted(hosts.items())
        for begun in [threshold.by_host[host]]
    )  # fmt: skip
    windows = sum(hosts.values())
    rate = sum(one.rate * one.windows for one in by_host) / windows if windows else promise.rate
    return {"promised_rate": rate, "in_force": None, "recent_kinds": (), "by_host": by_host}


def _windows_by_host(lake: Lake, day: date) -> Counter[str]:
    """Windows of a day by what they were cut from: hosts, where grouped by host."""
    found: Counter[str] = Counter()
    for batch in lake.scan("windows", [day], ["source", "group_key"]):
        found.update(hosts_in(batch))
    return found
