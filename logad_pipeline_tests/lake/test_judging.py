"""Judging days: thresholds that follow, days that come back, and what changed is told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from logad_pipeline.lake import judging
from logad_pipeline.lake.arrivals import days_behind, days_missed, stretches
from logad_pipeline.lake.feedback import record_feedback
from logad_pipeline.lake.judged_days import judged_day, judged_days
from logad_pipeline.lake.promises import promise_days
from logad_pipeline.lake.scoring import VerdictChange
from logad_pipeline.lake.tables import DayReopened, Lake, LakeDamaged
from logad_pipeline.lake.thresholds import DayThreshold, Promise, kind_of, threshold_of_day
from logad_pipeline.reporting.promise import hosts_of

from .judged import DAY, PROMISE, after, alarms, judge, mask_as_before, prepare, put_day


def verdicts(lake: Lake, *days: Any) -> list[dict[str, Any]]:
    rows = [row for batch in lake.scan("scores", days or None) for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: (row["day"], row["window_id"]))


# ---------------------------------------------------------------- the row of a day


def test_a_day_says_what_its_verdicts_were_made_with(lake: Lake) -> None:
    put_day(lake, DAY, foreign=(12,))
    judged = judge(lake, DAY, version="7")
    row = judged_day(lake, DAY)
    assert row == judged.row
    assert row is not None
    assert (row.windows, row.alerts, row.hosts, row.records, row.files) == (14, 1, 1, 70, 1)
    assert row.unseen == 1, "the foreign line was never seen in training"
    assert (row.model_version, row.promised_rate, row.in_force) == ("7", 0.01, 0.01)


def test_a_day_without_data_is_recorded_as_empty(lake: Lake) -> None:
    prepare(lake, DAY)
    assert judge(lake, DAY).row.windows == 0
    row = judged_day(lake, DAY)
    assert row is not None
    assert (row.windows, row.alerts, row.psi) == (0, 0, None)
    assert promise_days(lake, DAY, 30) == [], "it promises nothing"


def test_judging_again_changes_nothing(lake: Lake) -> None:
    for number in range(3):
        put_day(lake, after(number), foreign=(12,))
        judge(lake, after(number))
    before = verdicts(lake)
    record_feedback(lake, alarms(lake, DAY)[0], "normal")  # said after the next day was judged
    assert judge(lake, after(1)).scores.changes == ()
    assert verdicts(lake) == before


def test_a_late_line_changes_its_day_and_the_change_is_told(lake: Lake) -> None:
    for number in range(2):
        put_day(lake, after(number))
        judge(lake, after(number))
    other = verdicts(lake, after(1))
    assert days_behind(lake, judged=True) == {}
    put_day(lake, DAY, foreign=(3,), lines=5, host="web2")
    assert days_behind(lake, judged=True) == {DAY: 2}
    assert days_behind(lake, judged=False) == {}, "it is prepared"
    judged = judge(lake, DAY)
    [late] = alarms(lake, DAY)
    assert judged.scores.changes == (VerdictChange(late, "absent", "alert"),)
    assert verdicts(lake, after(1)) == other
    assert days_behind(lake, judged=True) == {}


def test_a_day_that_is_cut_anew_meanwhile_is_not_taken_for_judged(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_day(lake, DAY)
    score_day = judging.score_day

    def interrupted(*arguments: Any, **named: Any) -> Any:
        account = score_day(*arguments, **named)
        put_day(lake, DAY, lines=5, host="web2")
        return account

    monkeypatch.setattr(judging, "score_day", interrupted)
    with pytest.raises(DayReopened, match=f"{DAY}.*judge the day again"):
        judge(lake, DAY)
    monkeypatch.undo()
    assert days_behind(lake, judged=True) == {DAY: 2}
    judge(lake, DAY)
    assert days_behind(lake, judged=True) == {}


def test_a_day_of_older_masks_is_behind_until_it_is_prepared_and_judged_anew(lake: Lake) -> None:
    for number in range(2):
        put_day(lake, after(number))
        judge(lake, after(number))
    mask_as_before(lake, DAY, "normalized", "windows", "scores")
    assert days_behind(lake, judged=True) == days_behind(lake, judged=False) == {DAY: 1}
    with pytest.raises(LakeDamaged, match="masked by version 0"):
        judge(lake, DAY)
    prepare(lake, DAY)
    assert days_behind(lake, judged=False) == {}
    assert days_behind(lake, judged=True) == {DAY: 1}, "its verdicts are of the older masks"
    judge(lake, DAY)
    assert days_behind(lake, judged=True) == {}


def test_days_that_were_missed(lake: Lake) -> None:
    assert days_missed(lake, DAY, 14) == [DAY]
    put_day(lake, DAY)
    judge(lake, DAY)
    assert days_missed(lake, after(3), 14) == [after(1), after(2), after(3)]
    assert days_missed(lake, after(3), 1) == [after(2), after(3)]
    assert stretches([after(3), DAY, after(1), after(1)]) == [(DAY, after(1)), (after(3), after(3))]


# ---------------------------------------------------------------- the threshold


def test_a_budget_is_a_rate_of_the_windows_of_a_host() -> None:
    budget = Promise(0.01, a_day_and_host=5)
    assert budget.rate_on(windows=500) == 0.01
    assert budget.rate_on(windows=10) == 0.2, "a day of few windows is not all alarm"
    assert Promise(0.03).rate_on(10) == 0.03


def test_the_score_of_the_threshold_is_half_whatever_rate_is_in_force() -> None:
    start = DayThreshold(0.05)
    adapted = start.adapted(np.log10([0.05, 0.04, 0.06]), [1, 2, 3], [False] * 3, 0.01)
    assert adapted[0] == pytest.approx(math.log10(0.01))
    assert (adapted <= math.log10(0.01) + 1e-12).tolist() == [True, True, False]


def test_a_kind_of_window_does_not_depend_on_order_or_repetition() -> None:
    assert kind_of([5, -7, 5]) == kind_of([-7, 5]) != kind_of([5])


def test_the_next_day_begins_lower_after_alarms_that_people_contest(lake: Lake) -> None:
    put_day(lake, DAY, foreign=(12, 52))
    judge(lake, DAY)
    calm = threshold_of_day(lake, after(1), "1", PROMISE)
    assert calm.in_force == 0.01, "clear alarms are taken for true"
    for window in alarms(lake, DAY):
        record_feedback(lake, window, "normal")
    contested = threshold_of_day(lake, after(1), "1", PROMISE)
    assert contested.in_force is not None
    assert contested.in_force < 0.01 * 0.8
    assert threshold_of_day(lake, after(1), "2", PROMISE).in_force == 0.01, "another version's day says nothing"
    assert threshold_of_day(lake, after(1), "1", Promise(0.01, adaptive=False)) == DayThreshold(0.01)


def test_the_threshold_goes_on_from_day_to_day(lake: Lake) -> None:
    put_day(lake, DAY)
    judge(lake, DAY)
    start = threshold_of_day(lake, after(1), "1", PROMISE)
    assert len(start.recent) == 14
    put_day(lake, after(1))
    judge(lake, after(1))
    assert [row.recent_kinds for row in judged_days(lake)] == [(), start.recent]


def test_the_promise_of_days_counts_alarms_and_those_confirmed(lake: Lake) -> None:
    put_day(lake, DAY, foreign=(12, 52))
    judge(lake, DAY, promise=Promise(0.01, a_day_and_host=2))
    record_feedback(lake, alarms(lake, DAY)[0], "anomalous")
    [day] = promise_days(lake, DAY, 30)
    assert (day.windows, day.hosts, day.alarms, day.confirmed, day.budget) == (14, 1, 2, 1, 2)
    assert (day.of, day.allowed) == (1, 2)


# ---------------------------------------------------------------- a budget of each host


def by_host(lake: Lake, day: Any) -> dict[str, int]:
    """How many alarms each host raises; its lines are a file of its own."""
    judged = judged_day(lake, day)
    return {row.host.removesuffix(".log"): row.alerts for row in judged.by_host} if judged else {}


def test_what_one_host_may_raise_does_not_depend_on_the_others(lake: Lake) -> None:
    budget = Promise(0.01, a_day_and_host=0.14)
    put_day(lake, DAY, foreign=(12,))
    judge(lake, DAY, promise=budget)
    alone = {row["window_id"]: row["score"] for row in verdicts(lake, DAY)}
    put_day(lake, DAY, lines=5, host="web2")
    judge(lake, DAY, promise=budget)
    scores = {row["window_id"]: row["score"] for row in verdicts(lake, DAY)}
    assert {window: scores[window] for window in alone} == alone
    row = judged_day(lake, DAY)
    assert row is not None
    assert [(one.host, one.windows, one.alerts, one.rate) for one in row.by_host] == [
        ("web1.log", 14, 1, pytest.approx(0.01)), ("web2.log", 1, 0, pytest.approx(0.14)),
    ]  # fmt: skip
    assert row.promised_rate == pytest.approx(0.28 / 15)


def noisy_days(lake: Lake, promise: Promise) -> None:
    """Four days: on the first three web1 goes beyond a budget of one, web2 has a line of note only on the fourth."""
    for number in range(4):
        put_day(lake, after(number), foreign=(12, 32, 52))
        put_day(lake, after(number), foreign=(22,) if number == 3 else (), host="web2")
        judge(lake, after(number), promise=promise)


def test_a_host_that_keeps_exceeding_its_budget_is_judged_more_strictly_and_no_other_is(lake: Lake) -> None:
    noisy_days(lake, Promise(0.01, a_day_and_host=1))
    assert [by_host(lake, after(number))["web1"] for number in range(3)] == [3, 3, 3]
    fourth = by_host(lake, after(3))
    assert fourth["web1"] <= 1
    assert fourth["web2"] == 1
    before = verdicts(lake, after(3))
    assert judge(lake, after(3), promise=Promise(0.01, a_day_and_host=1)).scores.changes == ()
    assert verdicts(lake, after(3)) == before, "judged again it is judged alike"


def test_alarms_that_people_confirmed_make_no_host_stricter(lake: Lake) -> None:
    budget = Promise(0.01, a_day_and_host=1)
    noisy_days(lake, budget)
    for window in alarms(lake, DAY):
        record_feedback(lake, window, "anomalous")
    put_day(lake, after(3), lines=5, host="web3")  # a new host: the old ones begin where they began
    judge(lake, after(3), promise=budget)
    assert by_host(lake, after(3))["web1"] <= 1
    judge(lake, after(3), version="2", promise=budget)
    assert by_host(lake, after(3))["web1"] == 3, "another version's days say nothing"
    judge(lake, after(3), promise=budget)
    assert by_host(lake, after(3))["web1"] == 3, "two days beyond the budget are no habit"
    fixed = Promise(0.01, a_day_and_host=1, adaptive=False)
    judge(lake, after(3), promise=fixed)
    assert by_host(lake, after(3)).items() >= {("web1", 3), ("web2", 1)}


def test_the_promise_of_days_is_told_of_each_host(lake: Lake) -> None:
    noisy_days(lake, Promise(0.01, a_day_and_host=1))
    record_feedback(lake, alarms(lake, DAY)[0], "anomalous")
    days = promise_days(lake, after(2), 30)
    assert [(one.host, one.alarms, one.confirmed) for one in days[0].by_host] == [
        ("web1.log", 3, 1), ("web2.log", 0, 0),
    ]  # fmt: skip
    assert [(one.host, one.unconfirmed, one.allowed) for one in hosts_of(days)] == [
        ("web1.log", 8, 3), ("web2.log", 0, 3),
    ]  # fmt: skip
