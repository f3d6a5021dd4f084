"""Feedback: the latest verdict of a window counts, the earlier ones are kept, and none is of nothing."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta

import pytest

from logad_pipeline.lake.feedback import (
    UnknownWindow,
    _alike,
    feedback_history,
    read_feedback,
    record_feedback,
    withdraw_feedback,
)
from logad_pipeline.lake.landing import land
from logad_pipeline.lake.normalising import normalise_day
from logad_pipeline.lake.scoring import score_day
from logad_pipeline.lake.tables import Lake
from logad_pipeline.lake.windowing import cut_day
from logad_pipeline_tests.tiny_model import WINDOW

from .conftest import WriteLog
from .small_models import RAW_CYCLE, YEAR, raw_lines, stamped, text_model

DAY = date(YEAR, 3, 8)
SAID = datetime(YEAR, 3, 9, 8, tzinfo=UTC)


@pytest.fixture
def cut(lake: Lake, write_log: WriteLog) -> Lake:
    land(lake, write_log("app.log", stamped(DAY, raw_lines(20))), year=YEAR)
    normalise_day(lake, DAY, WINDOW.group_by)
    cut_day(lake, DAY, WINDOW)
    return lake


def window_ids(lake: Lake) -> list[str]:
    return sorted(number for batch in lake.scan("windows") for number in batch.column("window_id").to_pylist())


def test_a_verdict_keeps_what_it_answered(cut: Lake) -> None:
    score_day(cut, DAY, text_model(), "logad", "7")
    window = window_ids(cut)[0]
    said = record_feedback(cut, window, "normal", note="the backup\udcff", author="ann", at=SAID)
    [row] = [r for batch in cut.scan("scores") for r in batch.to_pylist() if r["window_id"] == window]
    assert read_feedback(cut) == {window: said}
    assert (said.day, said.source, list(said.text_ids)) == (DAY, "app.log", row["text_ids"])
    assert (said.score, said.model_version) == (row["score"], "7")
    assert (said.note, said.author, said.at) == ("the backup\ufffd", "ann", SAID)


def test_a_window_that_is_only_cut_can_be_spoken_of(cut: Lake) -> None:
    said = record_feedback(cut, window_ids(cut)[0], "anomalous")
    assert (said.score, said.model_version) == (None, None)
    assert read_feedback(cut, [DAY]) == {said.window_id: said}
    assert read_feedback(cut, [DAY + timedelta(days=1)]) == {}


def test_the_latest_counts_and_nothing_is_lost(cut: Lake) -> None:
    one, other = window_ids(cut)[:2]
    record_feedback(cut, one, "anomalous", at=SAID + timedelta(hours=2))
    record_feedback(cut, one, "normal", at=SAID)  # said earlier, written down later
    record_feedback(cut, other, "normal", at=SAID)
    assert {key: said.verdict for key, said in read_feedback(cut).items()} == {one: "anomalous", other: "normal"}
    withdraw_feedback(cut, one, note="it was the drill", at=SAID + timedelta(hours=3))
    assert read_feedback(cut).keys() == {other}
    assert read_feedback(cut, until=SAID + timedelta(hours=2)).keys() == {one, other}
    assert [said.verdict for said in feedback_history(cut) if said.window_id == one] == [
        "normal", "anomalous", "withdrawn",
    ]  # fmt: skip
    record_feedback(cut, one, "normal", at=SAID + timedelta(hours=4))
    assert read_feedback(cut)[one].verdict == "normal"


def test_the_same_saying_twice_is_one(cut: Lake) -> None:
    window = window_ids(cut)[0]
    for _ in range(2):
        record_feedback(cut, window, "normal", at=SAID)
    assert len(feedback_history(cut)) == 1


def test_what_cannot_be_said(cut: Lake) -> None:
    window = window_ids(cut)[0]
    with pytest.raises(UnknownWindow, match=r"0123456789abcdef.*logad triage"):
        record_feedback(cut, "0123456789abcdef", "normal")
    with pytest.raises(ValueError, match="normal or anomalous"):
        record_feedback(cut, window, "fine")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no zone"):
        record_feedback(cut, window, "normal", at=datetime(YEAR, 3, 9))
    with pytest.raises(UnknownWindow, match="nothing to withdraw"):
        withdraw_feedback(cut, window)
    assert feedback_history(cut) == []


def test_a_lake_of_an_earlier_release_gets_the_table(cut: Lake) -> None:
    shutil.rmtree(cut.path("feedback"))
    assert read_feedback(cut) == {}
    record_feedback(cut, window_ids(cut)[0], "normal", at=SAID)
    assert len(read_feedback(cut)) == 1


# ---------------------------------------------------------------- a day that is cut anew


def cut_anew(lake: Lake, write_log: WriteLog, lines: int) -> None:
    """As many lines of the log arrive late, from before the others."""
    messages = [line.replace(" 10:", " 09:") for line in stamped(DAY, raw_lines(lines))]
    land(lake, write_log("app.log.1", messages), year=YEAR)
    normalise_day(lake, DAY, WINDOW.group_by)
    cut_day(lake, DAY, WINDOW)


def text_ids(lake: Lake) -> dict[str, list[int]]:
    return {row["window_id"]: row["text_ids"] for batch in lake.scan("windows") for row in batch.to_pylist()}


def test_a_verdict_stays_with_its_texts_when_late_lines_have_the_day_cut_anew(cut: Lake, write_log: WriteLog) -> None:
    before = text_ids(cut)
    [first, second] = sorted(before)[:2]
    record_feedback(cut, first, "normal", at=SAID)
    record_feedback(cut, second, "anomalous", at=SAID)
    cut_anew(cut, write_log, len(RAW_CYCLE))
    now = text_ids(cut)
    assert not now.keys() & before.keys(), "all windows have other ids"
    said = read_feedback(cut, [DAY])
    assert {each.window_id: now[key] for key, each in said.items()} == {key: before[key] for key in (first, second)}


def test_a_verdict_of_an_earlier_cut_can_be_replaced(cut: Lake, write_log: WriteLog) -> None:
    texts = text_ids(cut)
    old = min(texts)
    record_feedback(cut, old, "normal", at=SAID)
    cut_anew(cut, write_log, len(RAW_CYCLE))
    [new] = read_feedback(cut)
    assert new in text_ids(cut).keys() - texts.keys()
    record_feedback(cut, new, "anomalous", at=SAID + timedelta(hours=1))
    assert {key: said.verdict for key, said in read_feedback(cut).items()} == {new: "anomalous"}
    withdraw_feedback(cut, new, at=SAID + timedelta(hours=2))
    assert read_feedback(cut) == {}


def test_a_verdict_of_an_earlier_cut_can_be_taken_back(cut: Lake, write_log: WriteLog) -> None:
    for window in window_ids(cut)[:2]:
        record_feedback(cut, window, "normal", at=SAID)
    cut_anew(cut, write_log, len(RAW_CYCLE))
    one, other = read_feedback(cut).items()
    for window in (one[0], other[1].window_id):
        withdraw_feedback(cut, window, at=SAID + timedelta(hours=1))
    assert read_feedback(cut) == {}


def test_a_window_that_got_another_rare_line_is_another() -> None:
    holding = dict.fromkeys(range(6), 10) | {7: 1, 8: 1}
    assert _alike(frozenset({1, 2, 3, 4, 7}), frozenset({3, 4, 7, 5, 0}), holding) > 0.5
    assert _alike(frozenset({1, 2, 3, 4, 7}), frozenset({1, 2, 3, 4, 5}), holding) < 0.5
    assert _alike(frozenset({1, 2, 7, 8}), frozenset({3, 4, 7, 0}), holding) < 0.5
