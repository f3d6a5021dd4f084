"""What a report counts: one story after feedback, every alert in it or said to be left out, time in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from logad_pipeline.lake.alerts import fold_alerts
from logad_pipeline.lake.feedback import record_feedback
from logad_pipeline.lake.promises import promise_days
from logad_pipeline.lake.report_data import gather_report
from logad_pipeline.lake.schemas import SCORES
from logad_pipeline.lake.suppressions import Suppression, add_suppression
from logad_pipeline.lake.tables import Lake
from logad_pipeline.lake.triage import settled
from logad_pipeline.reporting.data import ReportData
from logad_pipeline.reporting.report import render_report
from logad_pipeline_tests.tiny_model import FOREIGN

from .judged import DAY, alarms, judge, put_day
from .small_models import text_model


def gathered(lake: Lake, days: Sequence[date], rows: list[dict[str, Any]] | None = None) -> ReportData:
    batches = lake.scan("scores", days) if rows is None else [pa.RecordBatch.from_pylist(rows, schema=SCORES)]
    return gather_report(
        lake, days, batches, text_model(), title="t", version="1", labels={}, settings={},
        states=settled(lake, days), promise=promise_days(lake, days[-1], len(days)), with_map=False,
    )  # fmt: skip


def judged_row(number: int, at: datetime, score: float, texts: list[int]) -> dict[str, Any]:
    """A window of `scores` whose records are gone."""
    return {
        "day": at.date(), "window_id": f"{number:016x}", "source": "app.log", "group_key": "", "text_ids": texts,
        "lines": list(range(1, len(texts) + 1)), "first_line": 1, "last_line": len(texts), "first_time": at,
        "last_time": at, "score": score, "risk": "high", "is_anomaly": score >= 0.5, "detectors": [], "worst": 0,
        "model_name": "logad", "model_version": "1", "mask_version": "1", "log10_p": -3.0, "unseen": 0,
    }  # fmt: skip


def said(data: ReportData) -> str:
    return " ".join(re.sub("<[^>]+>", " ", render_report(data)).split())


def test_after_feedback_and_suppressions_all_figures_tell_one_story(lake: Lake) -> None:
    put_day(lake, DAY, foreign=(12, 52, 92), lines=140)
    judge(lake, DAY)
    add_suppression(lake, Suppression(name="one", reason="r", template=FOREIGN, more=1))
    record_feedback(lake, alarms(lake, DAY)[0], "normal")
    fold_alerts(lake, DAY)
    data = gathered(lake, [DAY])
    assert (data.windows, data.alerts, data.called_normal, data.kept_quiet, data.raised) == (28, 1, 1, 1, 3)
    assert [window.window_id for window in data.top if window.is_anomaly] == alarms(lake, DAY)[2:]
    assert data.swimlane is not None and data.swimlane.alarms == 1
    text = said(data)
    assert "1 of 28 windows raised an alert that stands (1 called normal and 1 kept quiet not counted); the" in text
    assert "alerts 1 score 0.5 or more, without 1 called normal and 1 kept quiet" in text
    assert re.search(r"alert rate 10\.7\s% promised [\d.]+\s%, of all 3 raised", text)
    assert "every alert that was raised, 3 in all: 1 that stands, 1 called normal and 1 kept quiet" in text
    assert f"{DAY} 28 3 0 10.7" in text, "the table by day says what the chart of it draws"
    record_feedback(lake, alarms(lake, DAY)[2], "normal")
    fold_alerts(lake, DAY)
    quiet = gathered(lake, [DAY])
    assert (quiet.alerts, quiet.called_normal, quiet.kept_quiet) == (0, 2, 1)
    assert "high risk 0 score 0.85 or more, of those that stand" in said(quiet)
    assert "None of 28 windows raised an alert that stands" in said(quiet)


def test_what_a_person_said_of_a_window_goes_before_a_suppression_in_report_and_alerts_alike(lake: Lake) -> None:
    put_day(lake, DAY, foreign=(12, 52, 92), lines=140)
    judge(lake, DAY)
    add_suppression(lake, Suppression(name="all", reason="r", template=FOREIGN, more=9))
    fold_alerts(lake, DAY)
    contested, confirmed, _ = alarms(lake, DAY)
    record_feedback(lake, contested, "normal")
    record_feedback(lake, confirmed, "anomalous")
    for folded in (False, True):  # before the day's alerts are made anew too
        if folded:
            [alert] = fold_alerts(lake, DAY)
            assert (alert.open, alert.contested, alert.suppressed) == (1, 1, 1)
        data = gathered(lake, [DAY])
        assert (data.alerts, data.called_normal, data.kept_quiet) == (1, 1, 1)
        assert [window.window_id for window in data.top if window.is_anomaly] == [confirmed]


@pytest.mark.parametrize("days", [2, 5])
def test_the_swimlane_goes_on_over_new_year(lake: Lake, days: int) -> None:
    first = date(2025, 12, 32 - days)
    span = [first + timedelta(days=number) for number in range(days + 1)]
    times = [datetime(day.year, day.month, day.day, 10, tzinfo=UTC) for day in span]
    data = gathered(lake, span, [judged_row(n, at, 0.1 + n / 100, [n]) for n, at in enumerate(times)])
    assert data.swimlane is not None
    [lane] = data.swimlane.lanes
    assert [cell.score for _, cell in sorted(lane.cells.items())] == [0.1 + n / 100 for n in range(days + 1)]
    begins = [data.swimlane.begin(span) for span in sorted(lane.cells)]
    assert begins == [at - at.hour % data.swimlane.hours * timedelta(hours=1) for at in times]


def test_the_same_date_of_two_years_is_two_columns(lake: Lake) -> None:
    times = [datetime(year, 3, 8, 10, tzinfo=UTC) for year in (2024, 2025)]
    rows = [judged_row(n, at, 0.1 + n / 10, [n]) for n, at in enumerate(times)]
    data = gathered(lake, [at.date() for at in times], rows)
    assert data.swimlane is not None
    assert len(data.swimlane.lanes[0].cells) == 2


def test_every_alert_is_in_an_entry_or_said_to_be_left_out(lake: Lake) -> None:
    at = datetime(2025, 3, 8, 10, tzinfo=UTC)
    # 80 different windows about one line, of which 50 are looked at; and 40 that read the same about another.
    rows = [judged_row(n, at, 0.95 - n / 1000, [7, 100 + n]) for n in range(80)]
    rows += [judged_row(100 + n, at, 0.99, [8, 8]) for n in range(40)]
    data = gathered(lake, [at.date()], rows)
    assert data.alerts == 120
    stand_for = [window.alarms for window in data.top]
    assert stand_for[:3] == [40, 1 + 31, 1], "the first entry about a line stands for those that were not looked at"
    left_out = 120 - sum(number or 0 for number in stand_for)
    assert left_out == 25
    text = said(data)
    assert "and 39 alike" in text and "and 31 alike" in text
    assert "25 more alerts are in none of these entries" in text


def test_alerts_for_one_reason_are_alike_though_few_were_explained(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_day(lake, DAY, foreign=(12, 51, 93), lines=140)
    judge(lake, DAY)
    monkeypatch.setattr("logad_pipeline.lake.report_data._EXPLAINED", 1)
    data = gathered(lake, [DAY])
    assert [window.alarms for window in data.top] == [3] == [data.alerts]
    assert "and 2 alike" in said(data)
    assert "in none of these entries" not in said(data)
