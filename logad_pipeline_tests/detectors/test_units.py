"""Units: which windows they hold, and that they are judged with the promise of windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from logad_pipeline.detectors.calibration import ScoreScale
from logad_pipeline.detectors.reference import CALIBRATE, CHOOSE, TRAIN, Reference
from logad_pipeline.detectors.unit_model import TooFewUnits, UnitModel, _both_ways
from logad_pipeline.detectors.unit_reference import rate_for_budget
from logad_pipeline.detectors.units import UnitKind, gather, whole
from logad_pipeline_tests.tiny_model import windows_of

NORMAL = windows_of([["open", "read"], ["read", "close"], ["open", "close"]])
BROKEN = windows_of([["panic"], ["open", "panic"]])


def test_kinds_are_read_and_written() -> None:
    for text in ("window", "group", "file", "5min", "60min"):
        assert str(UnitKind.parse(text)) == text
    for text in ("", "day", "0min", "-1min", "min", "1.5min"):
        with pytest.raises(ValueError, match="use window, group, file"):
            UnitKind.parse(text)


def test_windows_of_one_unit_share_a_key() -> None:
    minute = 60_000_000
    span, group = UnitKind.parse("5min"), UnitKind.parse("group")
    assert span.key("a", "g", 4 * minute, 0) == span.key("a", "h", 0, 1) != span.key("a", "g", 5 * minute, 2)
    assert group.key("a", "g", 0, 0) == group.key("a", "g", 9, 1) != group.key("b", "g", 0, 2)
    assert group.key("a", "", 0, 0) != group.key("a", "", 0, 1)
    assert UnitKind.parse("file").key("a", "g", 0, 0) == UnitKind.parse("file").key("a", "h", 1, 1)
    assert UnitKind().key("a", "g", 0, 0) != UnitKind().key("a", "g", 0, 1)


def test_a_unit_holds_the_lines_of_its_windows() -> None:
    table = gather(["x", "y", "x"], np.array([0, 2, 1]), NORMAL)
    assert len(table) == 2
    assert table.rows.tolist() == [0, 2, 1]
    assert [NORMAL.texts[i] for i in table.bags.lines(0)] == ["open", "read", "read", "close"]
    assert [NORMAL.texts[i] for i in table.bags.lines(1)] == ["open", "close"]


def test_a_unit_that_the_split_cuts_is_left_out() -> None:
    assert whole(["a", "a", "b", "b"], [0, 1, 1, 1]) == [False, False, True, True]


def reference(units: int, rng: np.random.Generator, windows_a_unit: int = 12) -> Reference:
    """A stream of files of some windows each; two detectors with honest p-values."""
    total = units * windows_a_unit
    file = np.repeat(np.arange(units), windows_a_unit)
    part = np.where(file < 0.65 * units, TRAIN, np.where(file < 0.75 * units, CHOOSE, CALIBRATE))
    log10_p = np.log10(rng.uniform(size=(total, 2))).astype(np.float32)
    log10_p[part == TRAIN] = np.nan
    broken = np.full((2, 2), -3.5, dtype=np.float32)
    return Reference(
        ("one", "two"), NORMAL, rng.integers(3, size=total), part, np.zeros(total, dtype=np.bool_), file,
        np.full(total, -1), np.arange(total) * 1_000_000, log10_p, BROKEN, broken,
    )  # fmt: skip


def judged(units: int, odd_windows: int, windows_a_unit: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Scores of later normal units, and of units with some odd windows in them."""
    rng = np.random.default_rng(0)
    model = UnitModel.fit(reference(units, rng), ["one", "two"], UnitKind("file"), ScoreScale(0.05))
    scores = []
    for odd in (0, odd_windows):
        file = np.repeat(np.arange(200), windows_a_unit)
        table = gather(file.tolist(), rng.integers(3, size=len(file)), NORMAL)
        log10_p = {name: np.log10(rng.uniform(size=len(file))) for name in ("one", "two")}
        for start in range(odd):
            log10_p["one"][start::windows_a_unit] = -5.0
        scores.append(model.judge(table, log10_p).score)
    return scores[0], scores[1]


def test_one_odd_window_makes_a_unit_odd_and_the_promise_is_kept() -> None:
    normal, odd = judged(400, 1)
    assert (odd >= 0.5).mean() > 0.9
    assert (normal >= 0.5).mean() < 0.12


def test_the_worst_of_many_windows_is_no_odder_for_their_number() -> None:
    rng = np.random.default_rng(2)
    few, many = (
        _both_ways(np.log10(rng.uniform(size=3000 * size)), np.arange(0, 3000 * size + 1, size))[1]
        for size in (3, 100)
    )
    assert np.quantile(few, 0.9) == pytest.approx(np.quantile(many, 0.9), rel=0.1)


def test_a_dozen_units_still_give_scores_and_three_too_few_say_so() -> None:
    normal, odd = judged(20, 1)
    assert np.isfinite(normal).all()
    assert np.median(odd) > np.median(normal)
    with pytest.raises(TooFewUnits, match="fit on more logs, or ask for smaller units"):
        judged(4, 0)


def test_a_channel_left_out_has_no_say_and_the_last_one_stays() -> None:
    rng = np.random.default_rng(5)
    model = UnitModel.fit(reference(200, rng), ["one", "two"], UnitKind("file"), ScoreScale(0.05))
    rest = model.without("two")
    assert set(model.fusion.names) - set(rest.fusion.names) == {"two"}
    table = gather(["x"] * 12, np.zeros(12, dtype=np.int64), NORMAL)
    quiet, loud = np.full(12, -0.3), np.full(12, -6.0)
    scores = [rest.judge(table, {"one": quiet, "two": two}).score[0] for two in (quiet, loud)]
    assert scores[0] == scores[1]
    with pytest.raises(ValueError, match="no detector is left"):
        model.without(*model.fusion.names)


def test_units_that_were_common_in_training_raise_no_alarm() -> None:
    rng = np.random.default_rng(6)
    known = reference(400, rng)
    log10_p = np.log10(rng.uniform(size=known.log10_p.shape)).astype(np.float32)
    training = known.part == TRAIN
    log10_p[training & (known.source % 10 == 0)] = -2.5
    read_again = replace(known, log10_p=np.where(training[:, None], log10_p, known.log10_p))
    table = gather(["x"] * 12, rng.integers(3, size=12), NORMAL)
    values = {name: np.full(12, -2.5) for name in ("one", "two")}
    alone, both = (
        UnitModel.fit(each, ["one", "two"], UnitKind("file"), ScoreScale(0.05)).judge(table, values).log10_p[0]
        for each in (known, read_again)
    )
    assert alone < -2
    assert both > -1.3


def test_a_budget_of_alerts_is_a_rate() -> None:
    one = reference(40, np.random.default_rng(1))  # a window a second: 480 seconds
    units_a_day = 40 / (479 / 86_400)
    assert rate_for_budget(one, UnitKind("file"), 10) == pytest.approx(10 / units_a_day)
    assert rate_for_budget(one, UnitKind("file"), 1e9) == 0.5
    with pytest.raises(ValueError, match="give a false-alarm rate instead"):
        rate_for_budget(one, UnitKind("file"), 0)


def test_a_reference_is_written_and_read(tmp_path) -> None:
    one = reference(10, np.random.default_rng(1))
    one.save(tmp_path)
    again = Reference.load(tmp_path)
    assert again.names == one.names
    assert list(again.windows.texts) == list(one.windows.texts)
    np.testing.assert_array_equal(again.log10_p, one.log10_p)
    np.testing.assert_array_equal(again.held_out(), one.held_out())
    assert again.column("two", again.held_out()).dtype == np.float64
