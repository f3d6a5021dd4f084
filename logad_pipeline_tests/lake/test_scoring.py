"""Scoring days: each window judged as the model judges its texts, once a version, and day by day."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.lake import scoring
from logad_pipeline.lake.landing import land
from logad_pipeline.lake.normalising import normalise_day
from logad_pipeline.lake.report_data import gather_report, line_account
from logad_pipeline.lake.score_cache import CachedScore, ScoreCache, window_key
from logad_pipeline.lake.scoring import check_masks, score_day, scored_batches
from logad_pipeline.lake.tables import Lake, LakeDamaged
from logad_pipeline.lake.training_stream import window_stream
from logad_pipeline.lake.windowing import cut_day
from logad_pipeline_tests.tiny_model import FOREIGN, WINDOW, cycle_lines, windows_of

from .conftest import WriteLog, rows
from .small_models import stamped, text_model

DAY = date(2025, 3, 3)
NEXT = DAY + timedelta(days=1)
LINES_A_DAY = 70
ODD = 32
"""Line of the first day that was never seen in training, from 1."""


@pytest.fixture
def cut(lake: Lake, write_log: WriteLog) -> Lake:
    """Two days of the strict order, one foreign line in the first."""
    first, second = cycle_lines(LINES_A_DAY), cycle_lines(LINES_A_DAY)
    first[ODD - 1] = FOREIGN
    land(lake, write_log("app.log", stamped(DAY, first) + stamped(NEXT, second)), year=2025)
    for day in (DAY, NEXT):
        normalise_day(lake, day, WINDOW.group_by)
        cut_day(lake, day, WINDOW)
    return lake


def scored(lake: Lake, *days: date) -> list[dict[str, object]]:
    for day in days:
        score_day(lake, day, text_model(), "logad", "7")
    return rows(lake, "scores", "first_line")


def test_a_window_scores_what_its_texts_score(cut: Lake) -> None:
    texts = {row["text_id"]: row["text"] for row in rows(cut, "normalized", "record_id")}
    verdicts = scored(cut, DAY, NEXT)
    assert len(verdicts) == 2 * LINES_A_DAY // WINDOW.size
    for row in verdicts:
        model = text_model()
        alone = model.score(windows_of([[texts[number] for number in row["text_ids"]]]))
        assert row["score"] == pytest.approx(float(alone.score[0]), abs=1e-5)
        assert row["is_anomaly"] == (row["score"] >= THRESHOLD)
        assert row["risk"] == model.scale.risk(row["score"])
        assert {name: float(value[0]) for name, value in alone.detectors.items()} == pytest.approx(
            dict(row["detectors"]), abs=1e-5
        )
        assert (row["model_name"], row["model_version"]) == ("logad", "7")


def test_the_foreign_line_is_in_the_worst_window(cut: Lake) -> None:
    worst = max(scored(cut, DAY, NEXT), key=lambda row: row["score"])
    assert worst["is_anomaly"]
    assert worst["day"] == DAY
    assert ODD in worst["lines"]


def test_the_account_says_what_the_table_holds(cut: Lake) -> None:
    account = score_day(cut, DAY, text_model(), "logad", "7")
    verdicts = rows(cut, "scores", "first_line")
    assert account.windows == len(verdicts)
    assert account.alerts == sum(row["is_anomaly"] for row in verdicts)
    assert account.highest == max(row["score"] for row in verdicts)
    assert account.newly_scored == len({tuple(row["text_ids"]) for row in verdicts}) < account.windows


def test_a_window_is_asked_of_the_model_once(cut: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    original = AnomalyDetector.score

    def counting(self: AnomalyDetector, windows: object, *more: object) -> object:
        asked.append(len(windows))
        return original(self, windows, *more)

    monkeypatch.setattr(AnomalyDetector, "score", counting)
    verdicts = scored(cut, DAY, NEXT)
    different = {tuple(row["text_ids"]) for row in verdicts}
    assert sum(asked) == len(different), "the second day repeats windows of the first"
    asked.clear()
    assert score_day(cut, DAY, text_model(), "logad", "8").newly_scored == 0
    assert asked == []
    assert [row | {"model_version": "7"} for row in rows(cut, "scores", "first_line")] == verdicts


def test_scoring_in_small_portions_gives_the_same(cut: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [row["score"] for row in scored(cut, DAY)]
    scoring.cache_file(cut, text_model()).unlink()
    monkeypatch.setattr(scoring, "SCORED_AT_ONCE", 3)
    told: list[tuple[int, int]] = []
    score_day(cut, DAY, text_model(), "logad", "7", lambda done, total: told.append((done, total)))
    assert [row["score"] for row in rows(cut, "scores", "first_line")] == pytest.approx(before, abs=1e-5)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1]


def test_another_day_stays_as_it_is(cut: Lake) -> None:
    scored(cut, DAY, NEXT)
    score_day(cut, DAY, text_model(), "logad", "8")
    versions = {row["day"]: row["model_version"] for row in rows(cut, "scores", "first_line")}
    assert versions == {DAY: "8", NEXT: "7"}


def test_a_day_without_windows_has_no_verdicts(cut: Lake) -> None:
    account = score_day(cut, NEXT + timedelta(days=1), text_model(), "logad", "7")
    assert (account.windows, account.alerts, account.newly_scored, account.highest) == (0, 0, 0, 0.0)


def test_a_day_that_fell_empty_loses_its_verdicts(cut: Lake) -> None:
    scored(cut, DAY)
    cut.replace_day("windows", DAY, [])
    score_day(cut, DAY, text_model(), "logad", "7")
    assert rows(cut, "scores", "first_line") == []


def test_other_masks_are_not_judged() -> None:
    model = text_model()
    check_masks(model, [model.mask_version])
    with pytest.raises(LakeDamaged, match=r"masked by version 0.*train anew"):
        check_masks(model, ["0", model.mask_version])


def test_evaluating_writes_no_verdict(cut: Lake) -> None:
    batches = list(scored_batches(cut, DAY, text_model(), "logad", "9"))
    assert sum(batch.num_rows for batch, _ in batches) == LINES_A_DAY // WINDOW.size
    assert rows(cut, "scores", "first_line") == []


# ---------------------------------------------------------------- the stream that is learned from


def test_the_stream_is_in_order_of_time_and_shares_no_records(cut: Lake) -> None:
    stream = window_stream(cut, [NEXT, DAY])
    assert len(stream.ids) == len(stream.positions) == 2 * LINES_A_DAY // WINDOW.size
    flat = [position for window in stream.positions for position in window]
    assert flat == sorted(set(flat))
    texts = [stream.windows.texts[i] for unique in stream.ids for i in stream.windows.lines(int(unique))]
    landed = cycle_lines(LINES_A_DAY)
    landed[ODD - 1] = FOREIGN
    assert texts == landed + cycle_lines(LINES_A_DAY)


def test_a_training_can_be_repeated_on_what_it_saw(cut: Lake) -> None:
    version = cut.version("windows")
    before = window_stream(cut, [DAY], version)
    cut.replace_day("windows", DAY, [])
    assert len(window_stream(cut, [DAY]).ids) == 0
    assert window_stream(cut, [DAY], version).positions == before.positions


# ---------------------------------------------------------------- what is remembered


def test_the_cache_gives_back_what_was_put(tmp_path: Path) -> None:
    key, other = window_key([1, -2, 3]), window_key([3, -2, 1])
    assert key != other
    value = CachedScore(np.array([-1 / 3, 0]), np.array([0.5, -1.5], dtype=np.float32), (0.5, 2.25, 0.0))
    with ScoreCache(tmp_path / "new" / "scores.sqlite") as cache:
        cache.put({key: value})
        cache.put({key: CachedScore(np.zeros(2), np.zeros(2, dtype=np.float32), ())})
    with ScoreCache(tmp_path / "new" / "scores.sqlite") as cache:
        many = [window_key([number]) for number in range(1200)]
        found = cache.get([*many, key, other])
    assert found.keys() == {key}
    assert found[key].log10_p.tolist() == value.log10_p.tolist()
    assert found[key].cls.tolist() == [0.5, -1.5]
    assert found[key].line_surprise == value.line_surprise


# ---------------------------------------------------------------- what a report gathers


def gathered(lake: Lake, days: list[date], labels: dict[str, set[int]]) -> object:
    return gather_report(
        lake,
        days,
        lake.scan("scores", days),
        text_model(),
        title="t",
        version="7",
        labels=labels,
        settings={},
    )


def test_the_report_shows_each_different_window_once_at_its_reasons_rank(cut: Lake) -> None:
    verdicts = scored(cut, DAY, NEXT)
    data = gathered(cut, [DAY, NEXT], {"app.log": {ODD}})
    assert data.windows == len(verdicts)
    assert [w.score for w in data.top] == sorted((w.score for w in data.top), reverse=True)
    assert [w.rank for w in data.top] == list(range(1, len(data.top) + 1))
    different = {tuple(row["text_ids"]) for row in verdicts}
    assert sum(1 + len(w.members) for w in data.top) == len(different)
    worst = data.top[0]
    assert ODD in [line.line_no for line in worst.lines]
    assert any(FOREIGN in line.text and line.surprise is not None for line in worst.lines)
    assert worst.label is True
    assert data.evaluation is not None and data.evaluation.roc_auc == 1.0
    assert data.by_day == [(day, LINES_A_DAY // WINDOW.size, sum(
        row["is_anomaly"] for row in verdicts if row["day"] == day)) for day in (DAY, NEXT)]  # fmt: skip
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d web1 app\[7\]: .+", line.text) for line in worst.lines)


def test_labels_change_no_score(cut: Lake) -> None:
    scored(cut, DAY)
    without, with_labels = gathered(cut, [DAY], {}), gathered(cut, [DAY], {"app.log": {1}})
    assert without.scores.tolist() == with_labels.scores.tolist()
    assert [w.window_id for w in without.top] == [w.window_id for w in with_labels.top]
    assert without.evaluation is None
    assert without.labels is None


def test_a_report_of_nothing_is_one(cut: Lake) -> None:
    data = gathered(cut, [NEXT + timedelta(days=1)], {"app.log": {ODD}})
    assert (data.windows, data.alerts, data.top, data.evaluation) == (0, 0, (), None)


def test_the_account_of_lines_adds_up(cut: Lake) -> None:
    account = line_account(cut, [DAY, NEXT])
    assert (account.lines, account.records, account.missing) == (2 * LINES_A_DAY, 2 * LINES_A_DAY, 0)
