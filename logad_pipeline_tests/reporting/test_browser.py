"""The report in a browser: alone, quiet, readable in both schemes and at the width of a phone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from logad_pipeline.reporting.data import ReportLine, ReportMember, ReportWindow
from logad_pipeline.reporting.report import render_report
from logad_pipeline_tests.browser import look_with_axe, open_page
from logad_pipeline_tests.payloads import PAYLOADS
from logad_pipeline_tests.reporting.example import example_report, example_window
from logad_pipeline_tests.reporting.test_report import hostile_evidence


@pytest.fixture(scope="module")
def told() -> str:
    """A full report whose windows are explained."""
    data = example_report()
    windows = []
    for window in data.top:
        evidence = hostile_evidence("kernel panic not syncing")
        lines = (replace(window.lines[0], evidence=evidence.lines[0]), *window.lines[1:])
        members = tuple(ReportMember("web-9", window.first_time, 0.6, "w") for _ in range(3))
        windows.append(replace(window, lines=lines, evidence=evidence, members=members))
    return render_report(replace(data, top=tuple(windows))).replace("<details>", "<details open>")


def test_no_payload_is_obeyed_and_the_browser_has_nothing_to_complain_of(tmp_path: Path) -> None:
    windows = []
    for number, payload in enumerate(PAYLOADS[:100]):
        evidence = hostile_evidence(payload)
        line = ReportLine(number, payload, 2.5, evidence.lines[0])
        windows.append(
            replace(example_window(number + 1, 0.9), group=payload, lines=(line,), evidence=evidence, window_id=payload)
        )
    rest = tuple(ReportLine(number, payload, 1.0) for number, payload in enumerate(PAYLOADS[100:]))
    windows[0] = replace(windows[0], lines=(*windows[0].lines, *rest[:30]))
    assert all(isinstance(window, ReportWindow) for window in windows)
    page = tmp_path / "report.html"
    page.write_text(render_report(replace(example_report(), top=tuple(windows))), encoding="utf-8")
    opened = open_page(page, tmp_path / "profile")
    assert opened.console == []
    assert "data-owned" not in opened.dom.split("<body", 1)[0]
    assert "<script" not in opened.dom
    assert "Most suspicious windows" in opened.dom and "setAttribute('data-owned'" in opened.dom


@pytest.mark.parametrize(("size", "dark"), [("1200,900", False), ("1200,900", True), ("390,844", False)])
def test_axe_finds_no_serious_fault_and_nothing_runs_out_of_the_page(
    told: str, tmp_path: Path, size: str, dark: bool
) -> None:
    found = look_with_axe(told, tmp_path, size=size, dark=dark)
    serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == []
    assert found["checked"] > 10
    assert found["dark"] == dark
    assert found["scrolls"] <= found["width"]


def test_a_page_that_obeyed_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "owned.html"
    page.write_text(f"<!doctype html><title>x</title><body>{PAYLOADS[0]}<script>boom()</script>", encoding="utf-8")
    opened = open_page(page, tmp_path / "profile")
    assert "data-owned" in opened.dom.split("<body", 1)[0]
    assert any("boom" in line for line in opened.console)
