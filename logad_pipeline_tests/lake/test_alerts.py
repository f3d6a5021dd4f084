"""Alerts: stable groups, less what people contest and suppressions keep quiet, and each told of once."""

from __future__ import annotations

import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from logad_pipeline.lake.alerts import fold_alerts, read_alerts, suppressed_hits
from logad_pipeline.lake.feedback import record_feedback, withdraw_feedback
from logad_pipeline.lake.landing import land
from logad_pipeline.lake.notices import give_notice, to_be_told
from logad_pipeline.lake.schemas import ALERTS
from logad_pipeline.lake.suppressions import (
    BadSuppressions,
    Suppression,
    add_suppression,
    read_suppressions,
    suppressions_file,
)
from logad_pipeline.lake.tables import Lake
from logad_pipeline.lake.training_stream import choose
from logad_pipeline_tests.tiny_model import FOREIGN

from .judged import DAY, after, alarms, judge, prepare, put_day
from .small_models import YEAR, raw_lines, stamped

AGAIN = timedelta(days=30)


@pytest.fixture
def alarmed(lake: Lake) -> Lake:
    """Two days of one host with two alarms each, about the same line."""
    for day in (DAY, after(1)):
        put_day(lake, day, foreign=(12, 52))
        judge(lake, day)
        fold_alerts(lake, day)
    return lake


def test_alarms_about_one_line_are_one_alert_with_first_and_last_seen(alarmed: Lake) -> None:
    [one] = read_alerts(alarmed, [DAY])
    assert (one.windows, one.open, one.text, one.source) == (2, 2, FOREIGN, "web1.log")
    assert set(one.window_ids) == set(alarms(alarmed, DAY))
    [both] = read_alerts(alarmed, [DAY, after(1)])
    assert (both.alert_id, both.windows, both.days) == (one.alert_id, 4, [DAY, after(1)])
    [next_day] = read_alerts(alarmed, [after(1)])
    assert next_day.first_seen == one.first_time == both.first_seen
    assert next_day.first_time is not None
    assert next_day.first_time.date() == after(1)
    assert both.last_time == next_day.last_time


def test_an_alarm_that_comes_late_is_the_first_seen_of_later_days(alarmed: Lake) -> None:
    put_day(alarmed, after(-3), foreign=(12,))
    judge(alarmed, after(-3))
    [early] = fold_alerts(alarmed, after(-3))
    for days in ([after(1)], [DAY, after(1)]):
        [later] = read_alerts(alarmed, days)
        assert later.first_seen == early.first_time
    [early] = read_alerts(alarmed, [after(-3)])
    assert early.first_seen == early.first_time
    assert read_alerts(alarmed, []) == []


def test_a_contested_alarm_stays_contested_when_its_day_is_cut_anew(alarmed: Lake) -> None:
    [contested, _] = before = alarms(alarmed, DAY)
    record_feedback(alarmed, contested, "normal")
    with tempfile.TemporaryDirectory() as folder:
        for name, hour, lines in (("web1.log.1", "09", 7), ("web1.log.2", "11", 3)):
            late = [line.replace(" 10:", f" {hour}:") for line in stamped(DAY, raw_lines(lines))]
            file = Path(folder) / name
            file.write_text("".join(f"{line}\n" for line in late), encoding="utf-8")
            land(alarmed, file, year=YEAR)
    prepare(alarmed, DAY)
    judge(alarmed, DAY)
    now = alarms(alarmed, DAY)
    assert not set(now) & set(before)
    assert [(alert.windows, alert.contested) for alert in fold_alerts(alarmed, DAY)] == [(2, 1)]
    choice = choose(alarmed, [DAY], "all", 28, habit_days=0)
    assert (len(choice.readmitted & set(now)), choice.left_out) == (1, 1)


def test_another_host_is_another_alert(alarmed: Lake) -> None:
    put_day(alarmed, DAY, foreign=(12,), host="web2")
    judge(alarmed, DAY)
    assert [(alert.source, alert.windows) for alert in sorted(fold_alerts(alarmed, DAY), key=lambda a: a.source)] == [
        ("web1.log", 2), ("web2.log", 1),
    ]  # fmt: skip


def test_contested_alarms_leave_the_list_and_come_back_when_withdrawn(alarmed: Lake) -> None:
    first, second = alarms(alarmed, DAY)
    record_feedback(alarmed, first, "normal")
    [alert] = fold_alerts(alarmed, DAY)
    assert (alert.windows, alert.contested, alert.open) == (2, 1, 1)
    record_feedback(alarmed, second, "normal")
    assert [alert.open for alert in fold_alerts(alarmed, DAY)] == [0]
    withdraw_feedback(alarmed, second)
    assert [alert.open for alert in fold_alerts(alarmed, DAY)] == [1]
    record_feedback(alarmed, second, "anomalous")
    assert [alert.open for alert in fold_alerts(alarmed, DAY)] == [1], "a confirmed alarm stays"


# ---------------------------------------------------------------- suppressions


def test_a_suppression_keeps_its_alarms_quiet_until_its_last_day_and_counts_them(alarmed: Lake) -> None:
    add_suppression(alarmed, Suppression(name="drill", reason="r", text="^kernel panic", until=DAY))
    [quiet] = fold_alerts(alarmed, DAY)
    [loud] = fold_alerts(alarmed, after(1))
    assert (quiet.open, quiet.suppressed, quiet.suppression) == (0, 2, "drill")
    assert (loud.open, loud.suppressed) == (2, 0)
    assert suppressed_hits(alarmed) == {"drill": 2}


def test_n_more_are_counted_in_order_of_time_whenever_days_are_folded(alarmed: Lake) -> None:
    add_suppression(alarmed, Suppression(name="three", reason="r", group=None, source="web1.log", more=3))
    for _ in range(2):
        assert [alert.suppressed for alert in fold_alerts(alarmed, DAY)] == [2]
        assert [alert.suppressed for alert in fold_alerts(alarmed, after(1))] == [1]
        assert suppressed_hits(alarmed) == {"three": 3}


def test_no_more_than_n_are_kept_quiet_when_an_earlier_day_is_folded_last(alarmed: Lake) -> None:
    add_suppression(alarmed, Suppression(name="three", reason="r", source="web1.log", more=3))
    assert [alert.suppressed for alert in fold_alerts(alarmed, after(1))] == [2]
    assert [alert.suppressed for alert in fold_alerts(alarmed, DAY)] == [1]
    assert suppressed_hits(alarmed) == {"three": 3}


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ({"text": "panic.*fatal"}, True),
        ({"text": "^panic"}, False),
        ({"template": FOREIGN}, True),
        ({"template": FOREIGN[:-1]}, False),
        ({"source": "web1.log", "text": "panic"}, True),
        ({"source": "web2.log", "text": "panic"}, False),
        ({"group": "db"}, False),
    ],
)
def test_all_that_an_entry_names_must_match(pattern: dict[str, Any], matches: bool) -> None:
    entry = Suppression(name="n", reason="r", more=1, **pattern)
    assert entry.matches("web1.log", "", FOREIGN) is matches


def test_the_file_keeps_what_people_wrote_into_it(lake: Lake) -> None:
    file = suppressions_file(lake)
    file.write_text("# ours\n- name: a  # see ticket\n  reason: b\n  source: x.log\n  until: 2030-01-31\n", "utf-8")
    add_suppression(lake, Suppression(name="c", reason="d: e", text="#1", since=date(2025, 1, 1), more=5))
    assert file.read_text(encoding="utf-8").startswith("# ours\n- name: a  # see ticket\n")
    assert [(each.name, each.until, each.more) for each in read_suppressions(lake)] == [
        ("a", date(2030, 1, 31), None), ("c", None, 5),
    ]  # fmt: skip
    with pytest.raises(BadSuppressions, match="c stands there already"):
        add_suppression(lake, Suppression(name="c", reason="d", text="x", more=5))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- name: a\n  reason: b\n  text: '('\n  more: 1\n", r"entry 1 \(a\).*no regular expression"),
        ("- name: a\n  reason: b\n  text: x\n", "give an end"),
        ("- name: a\n  reason: b\n  more: 3\n", "give at least one of"),
        ("- name: a\n  reason: b\n  text: x\n  more: 0\n", "greater than or equal to 1"),
        ("- name: a\n  text: x\n  more: 1\n", "reason"),
        ("- name: a\n  reason: b\n  text: x\n  more: 1\n  untill: 2030-01-01\n", "untill"),
        ("- just text\n", "no list of entries"),
        ("name: a\n", "no list of entries"),
        ("- [", "no YAML"),
        ("- &a {name: a, reason: b, text: x, more: 1}\n- *a\n", "stands there twice"),
    ],
)
def test_a_file_that_is_none_says_where(text: str, words: str, alarmed: Lake) -> None:
    before = read_alerts(alarmed, [DAY])
    suppressions_file(alarmed).write_text(text, encoding="utf-8")
    with pytest.raises(BadSuppressions, match=words) as failure:
        fold_alerts(alarmed, DAY)
    assert "suppressions.yaml" in str(failure.value)
    assert read_alerts(alarmed, [DAY]) == before


# ---------------------------------------------------------------- notices


def told(lake: Lake, day: date, sink: str = "file") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    give_notice(lake, day, sink, to_be_told(lake, day, sink, AGAIN), sent.append)
    return sent


def test_an_alert_is_told_once_to_each(alarmed: Lake) -> None:
    [notice] = told(alarmed, DAY)
    assert (notice["text"], notice["alarms"], notice["day"]) == (FOREIGN, 2, str(DAY))
    assert told(alarmed, DAY) == []
    assert told(alarmed, after(1)) == [], "it is known from the day before"
    assert len(told(alarmed, DAY, "webhook")) == 1
    put_day(alarmed, after(40), foreign=(12,))
    judge(alarmed, after(40))
    fold_alerts(alarmed, after(40))
    assert len(told(alarmed, after(40))) == 1, "after a long quiet it is new"


def came(lake: Lake, day: date, open_alarms: int = 1) -> None:
    """An alert of that day, as it stands in the table."""
    row = dict.fromkeys(ALERTS.names) | {
        "day": day, "alert_id": "a", "source": "s", "group_key": "", "text_id": 1, "text": "t", "windows": 1,
        "contested": 1 - open_alarms, "suppressed": 0, "suppression": "", "score": 0.9, "risk": "high",
        "window_ids": ["w"], "model_version": "1",
    }  # fmt: skip
    lake.replace_day("alerts", day, [pa.RecordBatch.from_pylist([row], schema=ALERTS)])


def test_an_alert_that_goes_on_is_told_once_however_long(lake: Lake) -> None:
    days = [0, 7, 30, 50, 70, 101, 120]
    heard = []
    for number in days:
        came(lake, after(number))
        heard += [number for _ in told(lake, after(number))]
    assert heard == [0, 101], "31 days without it are a longer quiet"
    came(lake, after(60), open_alarms=0)
    assert told(lake, after(60)) == []


def test_an_alert_whose_return_could_not_be_told_is_told_the_next_day(lake: Lake) -> None:
    came(lake, DAY)
    assert len(told(lake, DAY)) == 1
    for number in (40, 41):
        came(lake, after(number))
    assert len(told(lake, after(41))) == 1, "nobody was told of the day before"


def test_what_nobody_wants_to_hear_is_not_told(alarmed: Lake) -> None:
    for window in alarms(alarmed, DAY):
        record_feedback(alarmed, window, "normal")
    fold_alerts(alarmed, DAY)
    assert told(alarmed, DAY) == []


def test_a_notice_that_was_not_taken_is_given_again(alarmed: Lake) -> None:
    def broken(_: object) -> None:
        raise OSError("no route to host")

    with pytest.raises(OSError, match="no route"):
        give_notice(alarmed, DAY, "webhook", to_be_told(alarmed, DAY, "webhook", AGAIN), broken)
    assert len(told(alarmed, DAY, "webhook")) == 1
