"""Scoring days by a model that looks at records too: as `logad detect` judges the same lines in a file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from logad_pipeline.lake import record_scores
from logad_pipeline.lake.landing import land
from logad_pipeline.lake.normalising import normalise_day
from logad_pipeline.lake.report_data import gather_report
from logad_pipeline.lake.scoring import score_day
from logad_pipeline.lake.tables import Lake, LakeDamaged
from logad_pipeline.lake.training_stream import window_stream
from logad_pipeline.lake.windowing import cut_day
from logad_pipeline.streams import FileScorer, ReadSpec, WindowReader, normal_stream
from logad_pipeline_tests.tiny_model import CYCLE, WINDOW

from .conftest import WriteLog, rows
from .small_models import YEAR, raw_lines, record_model, stamped, text_model
from .test_record_facts import written_before

DAY = date(YEAR, 3, 3)
ODD = 37
"""Line of the day, from 1, in which a user that was never seen opens a session."""
LINES = raw_lines(140)
LINES[ODD - 1] = "session opened for user mallory"
assert CYCLE[(ODD - 1) % len(CYCLE)] == "session opened for user", "its text is that of any other day"


@pytest.fixture
def file(write_log: WriteLog) -> Path:
    return write_log("app.log", stamped(DAY, LINES))


@pytest.fixture
def cut(lake: Lake, file: Path) -> Lake:
    """A lake of that one day."""
    land(lake, file, year=YEAR)
    prepare(lake)
    return lake


def prepare(lake: Lake) -> None:
    normalise_day(lake, DAY, WINDOW.group_by, batch_rows=33)
    cut_day(lake, DAY, WINDOW)


def scored(lake: Lake) -> list[dict[str, object]]:
    score_day(lake, DAY, record_model(), "logad", "7")
    return rows(lake, "scores", "first_line")


@pytest.mark.parametrize("batch_rows", [20_000, 11])
def test_the_lake_gives_the_scores_that_files_give(
    cut: Lake, file: Path, batch_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Lake.scan
    monkeypatch.setattr(Lake, "scan", lambda *some, **more: original(*some, **{"batch_rows": batch_rows} | more))
    verdicts = list(FileScorer(record_model(), WINDOW, ReadSpec(year=YEAR)).score(str(file)))
    found = scored(cut)
    assert [row["lines"] for row in found] == [verdict.window.lines for verdict in verdicts]
    for row, verdict in zip(found, verdicts, strict=True):
        assert row["score"] == pytest.approx(verdict.score, abs=1e-5)
        assert (row["risk"], row["is_anomaly"]) == (verdict.risk, verdict.is_anomaly)
        channels = dict(row["detectors"])
        assert channels.keys() == set(record_model().names)
        assert channels == pytest.approx(verdict.detectors, abs=1e-5)


def test_an_unknown_user_tells_a_window_from_those_of_the_same_texts(cut: Lake) -> None:
    found = scored(cut)
    [odd] = [row for row in found if ODD in row["lines"]]
    alike = [row for row in found if row["text_ids"] == odd["text_ids"] and row is not odd]
    assert alike
    assert odd["score"] > max(row["score"] for row in alike)
    odd_channels = dict(odd["detectors"])
    for row in alike:
        channels = dict(row["detectors"])
        assert {name: channels[name] for name in text_model().names} == {
            name: odd_channels[name] for name in text_model().names
        }
        assert channels["entity_graph"] < odd_channels["entity_graph"]


def test_the_report_shows_the_worst_of_the_windows_of_the_same_texts(cut: Lake) -> None:
    found = scored(cut)
    data = gather_report(
        cut, [DAY], cut.scan("scores", [DAY]), record_model(), title="t", version="7",
        labels={"app.log": {ODD}}, settings={},
    )  # fmt: skip
    assert data.top[0].score == max(row["score"] for row in found)
    different = {tuple(row["text_ids"]) for row in found}
    assert sum(1 + len(window.members) for window in data.top) == len(different)
    [shown] = [window for window in data.top if any("mallory" in line.text for line in window.lines)]
    assert shown.label is True
    assert shown.detectors.keys() == set(record_model().names)
    assert "entity_graph" in data.model["detectors"]


def test_records_are_looked_at_once_and_texts_once_a_version(cut: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, asked = record_model().record_detectors["entity_graph"], []
    original = graph.score
    monkeypatch.setattr(graph, "score", lambda facts: asked.append(len(facts)) or original(facts))
    account = score_day(cut, DAY, record_model(), "logad", "7")
    assert sum(asked) == len(LINES)
    assert account.newly_scored == len(CYCLE)
    assert score_day(cut, DAY, record_model(), "logad", "7").newly_scored == 0


# ---------------------------------------------------------------- days without facts


def test_a_day_without_facts_is_judged_by_its_texts(cut: Lake) -> None:
    written_before(cut)
    found = scored(cut)
    assert record_scores.RecordScores.of_day(cut, DAY, record_model()) is None
    model = record_model()
    assert len(found) == len(LINES) // WINDOW.size
    for row in found:
        assert dict(row["detectors"]).keys() == set(model.detectors)
    texts = {row["text_id"]: row["text"] for row in rows(cut, "normalized", "record_id")}
    reader = WindowReader(WINDOW)
    for row in found:
        reader.index.add_lines(texts[number] for number in row["text_ids"])
    unique = reader.index.build()
    alone = dict(zip((unique.text(i) for i in range(len(unique))), model.score(unique).score, strict=True))
    for row in found:
        assert row["score"] == pytest.approx(
            float(alone[" [SEP] ".join(texts[number] for number in row["text_ids"])]), abs=1e-5
        )
    assert window_stream(cut, [DAY], facts=True).facts == {}


def test_a_day_without_records_is_empty_for_both(cut: Lake) -> None:
    cut.replace_day("normalized", DAY, [])
    cut.replace_day("windows", DAY, [])
    assert scored(cut) == []
    assert window_stream(cut, [DAY], facts=True).positions == []


def test_windows_of_other_records_are_not_judged(cut: Lake, write_log: WriteLog) -> None:
    earlier = [line.replace(" 10:", " 09:") for line in stamped(DAY, ["another program started", *raw_lines(8)])]
    land(cut, write_log("a.log", earlier), year=YEAR)
    normalise_day(cut, DAY, WINDOW.group_by)
    with pytest.raises(LakeDamaged, match=r"windows, 2025-03-03.*materialise windows again"):
        scored(cut)
    with pytest.raises(LakeDamaged, match="materialise windows again"):
        window_stream(cut, [DAY], facts=True)
    cut_day(cut, DAY, WINDOW)
    assert len(scored(cut)) == len(LINES) // WINDOW.size + 2
    cut.replace_day("normalized", DAY, [])
    with pytest.raises(LakeDamaged, match="materialise windows again"):
        window_stream(cut, [DAY], facts=True)


# ---------------------------------------------------------------- the stream that is learned from


def test_a_model_is_fitted_on_the_same_stream_as_from_files(cut: Lake, file: Path) -> None:
    reader = WindowReader(WINDOW, ReadSpec(year=YEAR), facts=True)
    windows = list(reader.read(str(file)))
    expected, found = normal_stream(windows, reader.index.build()), window_stream(cut, [DAY], facts=True)
    assert [found.windows.text(i) for i in found.ids] == [expected.windows.text(i) for i in expected.ids]
    first = DAY.toordinal() << 40
    assert found.positions == [tuple(first + at for at in window) for window in expected.positions]
    for one, other in zip(found.positions, expected.positions, strict=True):
        assert [found.facts[at] for at in one] == [expected.facts[at] for at in other]
    assert len(found.facts) == len(LINES)
    assert found.group == expected.group
    assert found.time_us == expected.time_us
    assert set(found.source) == {"app.log"}
    assert window_stream(cut, [DAY]).facts == {}
