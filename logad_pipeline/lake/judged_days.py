"""The table `days`: one row per judged day, with what its verdicts were made with.

Belongs here: writing and reading those rows. Does not: judging (`judging`), the threshold (`thresholds`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from itertools import islice, repeat

import pyarrow as pa
import pyarrow.compute as pc

from .schemas import DAYS
from .tables import Lake

__all__ = ["HostDay", "JudgedDay", "host_of", "hosts_in", "judged_day", "judged_days", "write_judged_day"]


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


def hosts_in(batch: pa.RecordBatch) -> Iterator[str]:
    """The same of each row of a table that has both columns."""
    return map(host_of, batch.column("group_key").to_pylist(), batch.column("source").to_pylist())


def write_judged_day(lake: Lake, row: JudgedDay) -> None:
    """Put the row in the place of the day's earlier one.

    Raises:
        DayConflict: another run wrote it meanwhile.
    """
    values = asdict(row) | {"recent_kinds": list(row.recent_kinds)}
    lake.replace_day("days", row.day, [pa.RecordBatch.from_pylist([values], schema=DAYS)])


def judged_days(lake: Lake, days: Collection[date] | None = None) -> list[JudgedDay]:
    """The rows of some days, or of all, ascending; what their hosts' thresholds remember is left out, see
    :func:`judged_day`."""
    return _read(lake, days, of_hosts=False)


def judged_day(lake: Lake, day: date) -> JudgedDay | None:
    """The row of one day, or ``None`` if it was never judged."""
    return next(iter(_read(lake, [day], of_hosts=True)), None)


def _read(lake: Lake, days: Collection[date] | None, *, of_hosts: bool) -> list[JudgedDay]:
    rows = []
    for batch in lake.scan("days", days):
        place = batch.schema.get_field_index("by_host")
        hosts = _by_host(batch.column(place), of_hosts)
        for row, by_host in zip(batch.remove_column(place).to_pylist(), hosts, strict=True):
            rows.append(JudgedDay(**{**row, "recent_kinds": tuple(row["recent_kinds"])}, by_host=by_host))
    return sorted(rows, key=lambda row: row.day)


def _by_host(column: pa.ListArray, kinds: bool) -> list[tuple[HostDay, ...]]:
    """The hosts of each row; kinds, which may be thousands a day, are made Python's numbers only if asked for."""
    flat = column.flatten()
    values = dict(zip((field.name for field in flat.type), flat.flatten(), strict=True))
    remembered = values.pop("recent_kinds")
    recent: Iterable[tuple[int, ...]] = map(tuple, remembered.to_pylist()) if kinds else repeat((), len(flat))
    hosts = map(HostDay, *(array.to_pylist() for array in values.values()), recent)
    return [tuple(islice(hosts, count or 0)) for count in pc.list_value_length(column).to_pylist()]
