"""What has arrived and was not worked on yet, told from the tables: the ledger against what was made of it.

Belongs here: which days are behind. Does not: the inbox (`inbox`), or starting anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import date, timedelta

from logad_pipeline.logs.log_tokenizer import MASK_VERSION

from .judged_days import judged_days
from .tables import Lake

__all__ = ["days_behind", "days_missed", "days_of_other_masks", "files_in", "landed_files", "stretches"]


def landed_files(lake: Lake) -> Counter[date]:
    """How many landed files have lines on each day."""
    counts: Counter[date] = Counter()
    for batch in lake.scan("ledger", columns=["day"]):
        counts.update(batch.column("day").to_pylist())
    return counts


def files_in(lake: Lake, day: date) -> int:
    """How many landed files the records and the quarantine of a day come from."""
    found: set[str] = set()
    for table in ("normalized", "quarantine"):
        for batch in lake.scan(table, [day], ["file_sha256"]):
            found.update(batch.column("file_sha256").unique().to_pylist())
    return len(found)


def days_of_other_masks(lake: Lake, table: str) -> set[date]:
    """Days of `windows` or `scores` that were made by other masks than this release's."""
    return {day for day, values in lake.values_by_day(table, "mask_version").items() if values - {MASK_VERSION}}


def days_behind(lake: Lake, *, judged: bool) -> dict[date, int]:
    """Days that hold lines which were not judged yet, or with ``judged=False`` not even prepared.

    A late line makes its day one of them, and only it; a release with other masks all those of the old ones. That is
    told by the tables, so nothing is forgotten when
    whoever landed a file was stopped before it could ask for the day.

    Returns:
        For each of them, ascending, how many landed files it has.
    """
    landed = landed_files(lake)
    known = {row.day: row.files for row in judged_days(lake)}
    masked = days_of_other_masks(lake, "windows")
    if judged:
        masked |= days_of_other_masks(lake, "scores")
    behind = {day: files for day, files in sorted(landed.items()) if known.get(day) != files or day in masked}
    if judged:
        return behind
    cut = set(lake.days("windows")) - masked
    return {day: files for day, files in behind.items() if day not in cut or files_in(lake, day) != files}


def days_missed(lake: Lake, ended: date, back: int) -> list[date]:
    """The day that has ended, and of the ``back`` days before it those that have no row: they were missed.

    Days before the first that anything was landed of are not missed.
    """
    landed = landed_files(lake)
    first = max(ended - timedelta(days=back), min(landed, default=ended))
    known = {row.day for row in judged_days(lake)}
    between = [first + timedelta(days=number) for number in range(max((ended - first).days, 0))]
    return sorted({ended, *(day for day in between if day not in known)})


def stretches(days: Collection[date]) -> list[tuple[date, date]]:
    """The days as first and last of each unbroken stretch, ascending.

    >>> stretches([date(2025, 3, 1), date(2025, 3, 2), date(2025, 3, 4)])
    [(datetime.date(2025, 3, 1), datetime.date(2025, 3, 2)), (datetime.date(2025, 3, 4), datetime.date(2025, 3, 4))]
    """
    found: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
