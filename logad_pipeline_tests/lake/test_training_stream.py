"""What a training learns from: the days of a policy, less alarms, plus what people vouched for."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest

from logad_pipeline.lake.feedback import record_feedback
from logad_pipeline.lake.tables import Lake, LakeDamaged
from logad_pipeline.lake.training_stream import choose, window_stream

from .judged import DAY, after, alarms, judge, mask_as_before, prepare, put_day

DAYS = [after(number) for number in range(6)]


@pytest.mark.parametrize(
    ("policy", "span", "held_out", "days"),
    [
        ("all", 28, 0, DAYS),
        ("all", 28, 2, DAYS[:4]),
        ("all", 28, 9, DAYS[:1]),
        ("rolling", 2, 0, DAYS[4:]),
        ("rolling", 3, 1, DAYS[2:5]),
        ("decayed", 1, 0, DAYS),
    ],
)
def test_the_days_of_a_policy(policy: str, span: int, held_out: int, days: list[date], lake: Lake) -> None:
    assert list(choose(lake, DAYS, policy, span, held_out=held_out).days) == days  # type: ignore[arg-type]


def test_decay_takes_the_same_ever_smaller_share_of_older_days(lake: Lake) -> None:
    ids = [hashlib.blake2b(str(number).encode(), digest_size=8).hexdigest() for number in range(2000)]
    chosen = choose(lake, DAYS, "decayed", 1)
    taken = [sum(chosen.keep(day, key) for key in ids) / len(ids) for day in DAYS]
    assert taken[-1] == 1.0
    for share, back in zip(taken, range(5, -1, -1), strict=True):
        assert share == pytest.approx(2.0**-back, abs=0.04)
    again = choose(lake, DAYS, "decayed", 1)
    assert [again.keep(DAYS[2], key) for key in ids] == [chosen.keep(DAYS[2], key) for key in ids]


def test_alarms_are_left_out_unless_somebody_calls_them_normal(lake: Lake) -> None:
    put_day(lake, DAY, foreign=(12, 52))
    assert len(window_stream(lake, [DAY]).ids) == 14
    assert choose(lake, [DAY], "all", 28).left_out == 0, "what was not judged counts as normal"
    judge(lake, DAY)
    first, _ = alarms(lake, DAY)
    choice = choose(lake, [DAY], "all", 28)
    assert (choice.left_out, len(window_stream(lake, [DAY], choice=choice).ids)) == (2, 12)
    record_feedback(lake, first, "normal")
    choice = choose(lake, [DAY], "all", 28)
    stream = window_stream(lake, [DAY], choice=choice)
    assert (choice.left_out, choice.readmitted, len(stream.ids)) == (1, {first}, 13)
    [vouched] = stream.vouched
    assert "kernel panic" in stream.windows.text(int(stream.ids[vouched]))


def test_windows_of_older_masks_are_not_learned(lake: Lake) -> None:
    for number in range(2):
        put_day(lake, after(number))
    mask_as_before(lake, DAY, "normalized", "windows")
    days = [DAY, after(1)]
    choice = choose(lake, days, "all", 28)
    assert (choice.days, choice.outdated) == ((after(1),), (DAY,))
    with pytest.raises(LakeDamaged, match=f"{DAY}.*other rules.*prepare_days"):
        window_stream(lake, days)
    with pytest.raises(LakeDamaged, match="prepare_days"):
        choose(lake, [DAY], "all", 28)
    prepare(lake, DAY)
    assert choose(lake, days, "all", 28).outdated == ()


def test_what_is_called_anomalous_leaves_however_normal_it_scored(lake: Lake) -> None:
    put_day(lake, DAY)
    judge(lake, DAY)
    calm = next(iter(lake.scan("scores", [DAY]))).column("window_id")[0].as_py()
    record_feedback(lake, calm, "anomalous")
    choice = choose(lake, [DAY], "all", 28)
    assert not choice.keep(DAY, calm)
    assert choice.left_out == 1


def test_an_alarm_of_three_days_is_a_habit_unless_it_was_confirmed(lake: Lake) -> None:
    for number in range(3):
        put_day(lake, after(number), foreign=(12,))
        judge(lake, after(number))
    days = [after(number) for number in range(3)]
    assert choose(lake, days[:2], "all", 28).left_out == 2
    assert choose(lake, days, "all", 28).left_out == 0
    assert len(choose(lake, days, "all", 28).readmitted) == 3
    assert choose(lake, days, "all", 28, habit_days=0).left_out == 3
    record_feedback(lake, alarms(lake, DAY)[0], "anomalous")
    assert choose(lake, days, "all", 28).left_out == 3
