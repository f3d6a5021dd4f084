"""Pseudo-anomalies: each way of breaking breaks, none equals a normal window, none needs a label."""

from __future__ import annotations

import numpy as np
import pytest

from logad_pipeline.detectors.pseudo import KINDS, corrupt
from logad_pipeline.detectors.pseudo_records import corrupt_records
from logad_pipeline.logs.facts import RecordFacts
from logad_pipeline_tests.tiny_model import cycle_windows, windows_of

SESSIONS = [["open", "read", "close"], ["open", "read", "write", "close"], ["open", "write", "sync", "close"]]


def texts(windows, row: int) -> list[str]:
    return [windows.texts[i] for i in windows.lines(row)]


def test_every_kind_comes_up_and_none_equals_a_normal_window() -> None:
    broken = corrupt(windows_of(SESSIONS, [50, 30, 20]), 400, seed=0)
    assert set(broken.kinds) == set(KINDS)
    assert len(broken.kinds) == len(broken.windows) == len(broken.origins)
    assert not {tuple(texts(broken.windows, i)) for i in range(len(broken.windows))} & {tuple(s) for s in SESSIONS}


def test_windows_of_one_length_stay_so() -> None:
    windows = windows_of(cycle_windows())
    broken = corrupt(windows, 300, seed=1)
    assert set(np.diff(broken.windows.offsets)) == {5}
    assert not set(broken.kinds) & {"removed", "cut"}


def test_what_was_broken_is_what_its_kind_says() -> None:
    broken = corrupt(windows_of(SESSIONS, [50, 30, 20]), 400, seed=0)
    for row, (kind, origin) in enumerate(zip(broken.kinds, broken.origins, strict=True)):
        lines, before = texts(broken.windows, row), SESSIONS[origin]
        if kind == "removed":
            assert len(lines) < len(before)
            assert set(lines) <= set(before)
        elif kind == "swapped":
            assert sorted(lines) == sorted(before)
        elif kind == "cut":
            assert lines == before[: len(lines)]
        elif kind == "repeated":
            assert len(lines) > len(before)
            assert set(lines) == set(before)


def test_the_seed_decides() -> None:
    windows = windows_of(SESSIONS)
    one, same, other = (corrupt(windows, 50, seed) for seed in (3, 3, 4))
    assert one.windows.texts == same.windows.texts
    assert (one.windows.line_ids == same.windows.line_ids).all()
    assert one.windows.line_ids.tobytes() != other.windows.line_ids.tobytes()


def test_records_are_broken_in_what_they_have() -> None:
    edge = RecordFacts("a", (("user:root", "a", "ip:1.1.1.1"), ("host:x", "runs", "process:y")), ())
    number, level = RecordFacts("b", (), (3.0, -2.0)), RecordFacts("c", (), (), "INFO")
    facts = [edge, number, level, RecordFacts("d", (), ())]
    broken = corrupt_records(facts, 200, seed=0)
    assert {place for place, _ in broken} == {0, 1, 2}
    for place, fact in broken:
        assert fact != facts[place]
        if place == 0:
            assert all(target.partition(":")[0] == old.partition(":")[0]
                       for (_, _, target), (_, _, old) in zip(fact.edges, edge.edges, strict=True))  # fmt: skip
        elif place == 1:
            assert min(fact.numbers) > 10 * 2
        else:
            assert fact.severity in ("WARNING", "ERROR", "CRITICAL")


@pytest.mark.parametrize("facts", [[], [RecordFacts("a", (), ())]])
def test_records_with_nothing_to_break_are_left_alone(facts: list[RecordFacts]) -> None:
    assert corrupt_records(facts, 10, seed=0) == []
