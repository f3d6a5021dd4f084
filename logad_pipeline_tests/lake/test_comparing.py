"""Champion and challenger are asked about the same windows, and the worse one does not pass."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from logad_pipeline.detectors.calibration import Calibration, TailCalibration
from logad_pipeline.detectors.ensemble import FUSION, TEXT_FUSION, AnomalyDetector
from logad_pipeline.lake.comparing import compare_models, later_days
from logad_pipeline.lake.feedback import record_feedback
from logad_pipeline.lake.tables import Lake

from .judged import DAY, after, alarms, judge, put_day
from .small_models import text_model


def crying(model: AnomalyDetector) -> AnomalyDetector:
    """The same model, to which everything looks as rare as can be."""
    wolf = Calibration(TailCalibration((-2.0, -1.0), (-2.0, -6.0), 1.0, 0.1, 100))
    return dataclasses.replace(model, calibrations=model.calibrations | {FUSION: wolf, TEXT_FUSION: wolf})


@pytest.fixture
def two_days(lake: Lake) -> Lake:
    for number in range(2):
        put_day(lake, after(number), foreign=(12,), lines=140)
        judge(lake, after(number))
    return lake


def test_later_days_are_those_that_neither_has_learned_from() -> None:
    days = [after(number) for number in range(6)]
    assert later_days(days, [[str(DAY)], [str(DAY), str(after(2))]], 2) == [after(3), after(4)]
    assert later_days(days, [[], [str(after(5))]], 9) == []


def test_a_model_against_itself_passes(two_days: Lake) -> None:
    before = two_days.version("scores")
    days: list[date] = [DAY, after(1)]
    found = compare_models(two_days, days, ("2", text_model()), ("1", text_model()), 0.01)
    assert found.passed
    assert found.measured["1"] == found.measured["2"]
    assert (found.windows, found.told) == (56, 0)
    assert found.broken > 20
    assert found.measured["2"].broken_auc is not None
    assert two_days.version("scores") == before, "comparing writes no verdict"


def test_one_that_cries_wolf_does_not(two_days: Lake) -> None:
    found = compare_models(two_days, [DAY], ("2", crying(text_model())), ("1", text_model()), 0.01)
    assert not found.passed
    assert found.measured["2"].alarms == 1.0
    assert "alarms on later days: 100.00%" in found.reason
    assert found.to_dict()["checks"][0]["passed"] is False


def test_feedback_counts_in_the_gate_and_is_no_normal_window(two_days: Lake) -> None:
    [alarm] = alarms(two_days, DAY)
    record_feedback(two_days, alarm, "anomalous")
    ids = [row for batch in two_days.scan("scores", [DAY], ["window_id"]) for row in batch.column(0).to_pylist()]
    record_feedback(two_days, next(key for key in ids if key != alarm), "normal")
    found = compare_models(two_days, [DAY], ("2", text_model()), ("1", text_model()), 0.01)
    assert found.told == 2
    assert found.measured["2"].told_auc == found.measured["2"].told_found == 1.0
    assert len(found.answers["2"].normal) == found.windows - 1


def test_without_later_days_it_cannot_take_over_from_a_champion(two_days: Lake) -> None:
    found = compare_models(two_days, [], ("2", text_model()), ("1", text_model()), 0.01)
    assert not found.passed
    assert "no later day" in found.reason
    assert compare_models(two_days, [], ("2", text_model()), None, 0.01).passed, "there is nobody to take over from"
