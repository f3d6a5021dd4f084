"""What was promised and achieved, read from the tables, for the plot and the check of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date

from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.reporting.promise import PromiseDay, PromiseHost

from .feedback import ANOMALOUS, read_feedback
from .judged_days import JudgedDay, host_of, judged_days
from .tables import Lake

__all__ = ["promise_days"]


def promise_days(lake: Lake, last: date, span: int, known: Sequence[JudgedDay] | None = None) -> list[PromiseDay]:
    """The last ``span`` judged days up to ``last``, ascending; empty days are left out.

    Alarms that people called normal count as what they are: alarms that should not have been.

    Args:
        known: rows of the table `days`, where they were read already.
    """
    rows = judged_days(lake) if known is None else known
    chosen = [row for row in rows if row.day <= last and row.windows][-span:]
    confirmed: Counter[tuple[date, str]] = Counter()
    said = read_feedback(lake, [row.day for row in chosen]) if chosen else {}
    for each in said.values():
        if each.verdict == ANOMALOUS and each.score is not None and each.score >= THRESHOLD:
            confirmed[each.day, host_of(each.group_key, each.source)] += 1
    on_day: Counter[date] = Counter()
    for (day, _), count in confirmed.items():
        on_day[day] += count
    return [
        PromiseDay(
            row.day, row.windows, row.hosts, row.alerts, min(on_day[row.day], row.alerts), row.promised_rate,
            row.budget,
            tuple(
                PromiseHost(one.host, one.alerts, min(confirmed[row.day, one.host], one.alerts))
                for one in row.by_host
            ),
        )
        for row in chosen
    ]  # fmt: skip
