"""Windows cut short, and what they are compared with."""

from __future__ import annotations

import numpy as np
import pytest

from logad_pipeline.detectors.cut_short import cut_short
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.windows import WindowSet, WindowSpec
from logad_pipeline_tests.tiny_model import FOREIGN, cycle_windows

SPEC = WindowSpec(size=4)
NORMAL = WindowSet.of_lines([["a", "b", "c", "d"], ["b", "b", "b", "b"], ["a", "b"]])


def test_they_are_beginnings_of_whole_windows_and_of_every_length() -> None:
    made = cut_short(NORMAL, SPEC, 300, seed=0)
    lines = [tuple(made.texts[i] for i in made.lines(row)) for row in range(len(made))]
    assert sorted(lines) == sorted([("a",), ("a", "b"), ("a", "b", "c"), ("b",), ("b", "b"), ("b", "b", "b")])
    assert made.counts.sum() == 300
    assert made.counts.min() > 25


@pytest.mark.parametrize(
    ("windows", "spec"),
    [
        (NORMAL, WindowSpec(window_type="session", group_by="host", size=4)),
        (NORMAL.take([2]), SPEC),
        (WindowSet.of_lines([["a"]]), WindowSpec(size=1)),
    ],
    ids=["sessions", "all are short", "one line each"],
)
def test_none_are_made_where_nothing_can_be_cut(windows: WindowSet, spec: WindowSpec) -> None:
    assert len(cut_short(windows, spec, 10, seed=0)) == 0


def test_only_windows_that_hold_less_than_asked_for_end_early() -> None:
    assert SPEC.ends_early(NORMAL).tolist() == [False, False, True]
    assert not WindowSpec(window_type="session", group_by="host").ends_early(NORMAL).any()


def test_the_end_of_a_file_is_no_alarm_and_an_odd_line_at_it_is_rarer(model: AnomalyDetector) -> None:
    beginnings = [window[:length] for window in cycle_windows() for length in (1, 2, 4)]
    ends = WindowSet.of_lines(beginnings)
    assert (model.score(ends).score >= 0.5).mean() < 0.1
    odd = WindowSet.of_lines([[*window[:-1], FOREIGN] for window in beginnings])
    assert np.median(model.score(odd).log10_p) < np.median(model.score(ends).log10_p) - 0.5
