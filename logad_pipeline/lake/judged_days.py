"""The table `days`: one row per judged day, with what its verdicts were made with.

Belongs here: writing and reading those rows. Does not: judging (`judging`), the threshold (`thresholds`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from .schemas import DAYS
from .tables import Lake

__all__ = ["HostDay", "JudgedDay", "host_of", "judged_day", "judged_days", "write_judged_day"]


@dataclass(frozen=True, slots=True)
class HostDay:
    """The same of one host of a day that was judged under a budget; see the column ``by_host``."""

    host: str
    windows: int
    alerts: int
    rate: float
    own: float | None
    in_force: float | None
    recent_kinds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class JudgedDay:
    """What a day's verdicts were made with, and came to; the columns of `schemas.DAYS`."""

    day: date
    judged_at: datetime
    model_name: str
    model_version: str
    windows: int
    alerts: int
    hosts: int
    records: int
    unseen: int
    psi: float | None
    promised_rate: float
    budget: float | None
    in_force: float | None
    recent_kinds: tuple[int, ...]
    files: int
    by_host: tuple[HostDay, ...] = ()

    @property
    def unseen_share(self) -> float:
        """Share of the records with a text that the model has not learned from; 0 on an empty day."""
        return self.unseen / self.records if self.records else 0.0


def host_of(group_key: str, source: str) -> str:
    """By whose budget a window is counted: its host's or session's; lines that name none belong to their file."""
    return group_key or source


def write_judged_day(lake: Lake, row: JudgedDay) -> None:
    """Put the row in the place of the day's earlier one.

    Raises:
        DayConflict: another run wrote it meanwhile.
    """
    values = asdict(row) | {"recent_kinds": list(row.recent_kinds)}
    lake.replace_day("days", row.day, [pa.RecordBatch.from_pylist([values], schema=DAYS)])


def judged_days(lake: Lake, days: Collection[date] | None = None) -> list[JudgedDay]:
    """The rows of some days, or of all, ascending."""
    rows = [
        JudgedDay(**{**_with_kinds(row), "by_host": tuple(HostDay(**_with_kinds(one)) for one in row["by_host"] or ())})
        for batch in lake.scan("days", days)
        for row in batch.to_pylist()
    ]
    return sorted(rows, key=lambda row: row.day)


def _with_kinds(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "recent_kinds": tuple(row["recent_kinds"])}


def judged_day(lake: Lake, day: date) -> JudgedDay | None:
    """The row of one day, or ``None`` if it was never judged."""
    return next(iter(judged_days(lake, [day])), None)
