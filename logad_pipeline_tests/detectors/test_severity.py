"""Severity: how unusual a level is for its kind of record."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from logad_pipeline.detectors.severity import Severity
from logad_pipeline.logs.facts import RecordFacts


def record(template: str, severity: str) -> RecordFacts:
    return RecordFacts(template, (), (), severity)


NORMAL = [
    *[record("request served", "INFO")] * 900,
    *[record("disk is filling", "WARN")] * 98,
    record("disk is filling", "ERROR"),
    *[record("a line without a level", "")] * 50,
]


@pytest.fixture
def severity() -> Severity:
    detector = Severity()
    detector.fit(NORMAL, 0)
    return detector


def score(detector: Severity, template: str, level: str) -> float:
    return float(detector.score([record(template, level)])[0])


def test_the_level_that_a_template_always_has_is_no_news(severity: Severity) -> None:
    assert score(severity, "request served", "INFO") == 0.0
    assert score(severity, "disk is filling", "WARN") == 0.0


def test_a_level_that_a_template_never_had_is_as_rare_as_its_records_are_many(severity: Severity) -> None:
    assert score(severity, "request served", "ERROR") == pytest.approx(math.log(901))
    assert score(severity, "disk is filling", "FATAL") == pytest.approx(math.log(100))
    # One in 99 was as severe, and this one with it.
    assert score(severity, "disk is filling", "ERROR") == pytest.approx(math.log(50))


def test_a_milder_level_than_usual_is_no_alarm(severity: Severity) -> None:
    assert score(severity, "disk is filling", "DEBUG") == 0.0


def test_a_new_message_is_judged_by_the_levels_of_the_stream(severity: Severity) -> None:
    assert score(severity, "never seen", "INFO") == 0.0
    assert score(severity, "never seen", "WARNING") == pytest.approx(math.log(10))
    assert score(severity, "never seen", "CRITICAL") == pytest.approx(math.log(1000))


def test_words_for_the_same_level_count_as_one(severity: Severity) -> None:
    assert score(severity, "disk is filling", "WARNING") == score(severity, "disk is filling", "WARN")
    assert score(severity, "disk is filling", "ERR") == score(severity, "disk is filling", "SEVERE")


@pytest.mark.parametrize("level", ["", "LOUD"])
def test_without_a_level_there_is_nothing_to_say(severity: Severity, level: str) -> None:
    assert score(severity, "request served", level) == 0.0
    assert score(severity, "never seen", level) == 0.0


def test_a_format_without_levels_scores_nothing() -> None:
    detector = Severity()
    detector.fit([record("a line", "")] * 100, 0)
    assert score(detector, "a line", "") == 0.0
    assert score(detector, "a line", "ERROR") == 0.0
    assert detector.score([]).shape == (0,)


def test_a_saved_detector_scores_the_same(severity: Severity, tmp_path: Path) -> None:
    asked = [record(template, level) for template in ("request served", "disk is filling", "new")
             for level in ("", "INFO", "WARN", "ERROR", "PANIC")]  # fmt: skip
    severity.save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["severity.json"]
    assert Severity.load(tmp_path).score(asked).tolist() == severity.score(asked).tolist()


def test_what_was_not_fitted_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="before fit"):
        score(Severity(), "request served", "INFO")
    with pytest.raises(RuntimeError, match="before fit"):
        Severity().save(tmp_path)
