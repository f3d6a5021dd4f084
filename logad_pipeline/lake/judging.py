"""Judging a day: its threshold, its scores, the row that says what they were made with.

Belongs here: the order of these steps, and that they are of one and the same day's windows. Each step is in a
file of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from logad_pipeline.detectors.ensemble import AnomalyDetector

from .arrivals import files_in
from .judged_days import JudgedDay, write_judged_day
from .scoring import ScoreAccount, score_day
from .tables import DayReopened, Lake
from .thresholds import Promise, threshold_of_day

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
    windows, hosts = _size(lake, day)
    threshold = threshold_of_day(lake, day, version, promise, windows, hosts)
    account = score_day(lake, day, model, name, version, threshold=threshold)
    row = JudgedDay(
        day=day, judged_at=datetime.now(UTC), model_name=name, model_version=version, windows=account.windows,
        alerts=account.alerts, hosts=hosts, records=account.records, unseen=account.unseen, psi=account.psi,
        promised_rate=threshold.rate, budget=promise.a_day_and_host, in_force=threshold.in_force,
        recent_kinds=threshold.recent, files=files_in(lake, day),
    )  # fmt: skip
    if [lake.day_files(table, day) for table in _MADE_OF] != made_of:
        raise DayReopened(f"{day}: its records or windows were made anew while it was judged; judge the day again")
    # Last, so that a day whose judging was cut short counts as not judged.
    write_judged_day(lake, row)
    return Judgement(account, row)


def _size(lake: Lake, day: date) -> tuple[int, int]:
    """Windows of a day, and the streams that they were cut from: hosts, where grouped by host."""
    windows = 0
    groups: set[str] = set()
    sources: set[str] = set()
    for batch in lake.scan("windows", [day], ["source", "group_key"]):
        windows += batch.num_rows
        groups.update(batch.column("group_key").unique().to_pylist())
        sources.update(batch.column("source").unique().to_pylist())
    # Lines that name no host belong to their file.
    return windows, len(groups - {""} or sources)
