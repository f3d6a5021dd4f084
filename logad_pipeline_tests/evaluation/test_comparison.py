"""The gate: what holds a challenger back, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from logad_pipeline.evaluation.comparison import Answers, Comparison, GateCheck, Measured, gate, measure
from logad_pipeline.reporting.comparison import comparison_plot, comparison_rows, render_comparison

RATE = 0.01
SOUND = Measured(alarms=0.01, broken_auc=0.9, broken_found=0.5, told_auc=0.95, told_found=0.8, told_false=0.1)


def answers(seed: int, rarer: float = 1.0) -> Answers:
    rng = np.random.default_rng(seed)
    normal = np.log10(rng.random(400)) * rarer
    return Answers(normal, normal[:100], np.log10(rng.random(100)) - 1.5, np.array([-3.0, -0.2, -2.5, -0.1]))


TOLD = np.array([True, False, True, False])


def test_what_is_measured() -> None:
    found = measure(Answers(np.array([-3.0, -1, -1, -1]), np.array([-1.0, -1]), np.array([-3.0, -0.5]),
                            np.array([-3.0, -2.5, -1.0])), np.array([True, False, True]), RATE)  # fmt: skip
    assert (found.alarms, found.broken_found, found.told_found, found.told_false) == (0.25, 0.5, 0.5, 1.0)
    assert (found.broken_auc, found.told_auc) == (0.5, 0.5)
    nothing = measure(Answers(*(np.zeros(0),) * 4), np.zeros(0, dtype=np.bool_), RATE)
    assert nothing == Measured(None, None, None, None, None, None)


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        ({}, True),
        ({"alarms": 0.02}, True),  # twice the promise always passes
        ({"alarms": 0.021}, False),
        ({"alarms": None}, False),
        ({"broken_auc": 0.88}, True),
        ({"broken_auc": 0.86}, False),
        ({"told_auc": 0.9}, False),
        ({"told_found": 0.7}, False),
        ({"told_false": 0.2}, False),
        ({"told_auc": None, "told_found": None, "told_false": None}, True),
        ({"broken_found": 0.0}, True),  # the ranking counts, the threshold is the promise's matter
    ],
)
def test_the_gate(change: dict[str, Any], passes: bool) -> None:
    checks = gate(replace(SOUND, **change), SOUND, RATE)
    assert all(check.passed for check in checks) is passes
    assert all(check.words for check in checks)


def test_a_noisy_champion_sets_the_limit() -> None:
    noisy = replace(SOUND, alarms=0.2)
    assert gate(replace(SOUND, alarms=0.29), noisy, RATE)[0].passed
    assert not gate(replace(SOUND, alarms=0.31), noisy, RATE)[0].passed


def compared(champion: str = "1") -> Comparison:
    both = {"2": answers(0, rarer=2.0), "1": answers(1)}
    measured = {version: measure(each, TOLD, RATE) for version, each in both.items()}
    checks = gate(measured["2"], measured["1"], RATE) if champion else ()
    return Comparison("2", champion, ("2025-03-08", "2025-03-09"), 400, 100, 4, RATE, measured, both, checks)


def test_the_report_says_what_decided() -> None:
    found = compared()
    assert not found.passed
    page = render_comparison(found)
    assert "The gate does not hold: alarms on later days" in page
    assert "Challenger 2 against champion 1" in page
    assert "400 windows of 2 days" in page
    assert "<script" not in page
    assert "src=\"http" not in page
    rows = {what: (new, old) for what, new, old in comparison_rows(found)}
    assert rows["called anomalous, found"] == ("100\u00a0%", "100\u00a0%")
    plot = comparison_plot(found)
    assert plot is not None
    assert plot.startswith(b"\x89PNG")


def test_a_report_without_a_champion() -> None:
    alone = replace(compared(""), measured={"2": compared().measured["2"]}, answers={"2": compared().answers["2"]})
    assert alone.passed
    page = render_comparison(alone)
    assert "there is no champion" in page
    assert "the challenger passes" in page
    assert comparison_plot(replace(alone, windows=0)) is None


def test_a_reason_is_escaped() -> None:
    page = render_comparison(replace(compared(), checks=(GateCheck("<b>x</b>", False, "<i>y</i>"),)))
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page
