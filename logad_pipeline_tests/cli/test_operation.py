"""The commands of every day: what they print and write, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from logad_pipeline.lake.feedback import read_feedback
from logad_pipeline.lake.suppressions import suppressions_file
from logad_pipeline.lake.tables import Lake
from logad_pipeline_tests.orchestration.conftest import DAYS, Deployed, logad, raise_alarms

from .test_lake import assert_refused

pytestmark = pytest.mark.usefixtures("clean")


def all_alerts(deployed: Deployed) -> list[dict[str, object]]:
    done = logad("triage", "--all", "--top", 1000, "--json", "--lake", deployed.root)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_alerts_are_listed_until_they_are_contested(spare: Deployed) -> None:
    raise_alarms(spare, 0.1)
    alarms = sum(row["is_anomaly"] for row in spare.rows("scores"))
    told = all_alerts(spare)
    assert sum(int(str(alert["windows"])) for alert in told) == alarms > 0
    for alert in told:
        for window in alert["window_ids"]:  # type: ignore[attr-defined]
            done = logad("feedback", window, "normal", "--note", "the backup", "--author", "ann", "--lake", spare.root)
            assert done.exit_code == 0, done.output
            assert "normal, says ann" in done.stdout
    assert all(alert["open"] == 0 for alert in all_alerts(spare))
    done = logad("triage", "--lake", spare.root)
    assert f"0 of {len(told)} alerts" in done.stderr


def test_feedback_can_be_withdrawn(spare: Deployed) -> None:
    window = spare.rows("scores")[0]["window_id"]
    assert logad("feedback", window, "anomalous", "--lake", spare.root).exit_code == 0
    assert read_feedback(spare.lake)[window].verdict == "anomalous"
    assert "withdrawn" in logad("feedback", window, "withdraw", "--lake", spare.root).stdout
    assert read_feedback(spare.lake) == {}
    assert_refused(logad("feedback", window, "withdraw", "--lake", spare.root), 3, "nothing to withdraw")
    assert_refused(logad("feedback", "feedfacefeedface", "normal", "--lake", spare.root), 3, "no window")
    assert logad("feedback", window, "perhaps", "--lake", spare.root).exit_code == 2


def test_a_suppression_is_written_down_to_be_reviewed(spare: Deployed) -> None:
    done = logad("suppress", "drill", "--reason", "the drill", "--text", "panic", "--more", 3, "--author", "ann",
                 "--lake", spare.root)  # fmt: skip
    assert done.exit_code == 0, done.output
    [entry] = yaml.safe_load(suppressions_file(spare.lake).read_text(encoding="utf-8"))
    assert entry == {"name": "drill", "reason": "the drill", "author": "ann", "text": "panic", "more": 3}
    [told] = [json.loads(x) for x in logad("suppressions", "--json", "--lake", spare.root).stdout.splitlines()]
    assert (told["name"], told["hits"], told["ended"]) == ("drill", 0, False)
    refused = logad("suppress", "all", "--reason", "r", "--more", 3, "--lake", spare.root)
    assert_refused(refused, 2, "at least one of text, template, source and group")
    refused = logad("suppress", "drill", "--reason", "r", "--text", "x", "--more", 3, "--lake", spare.root)
    assert_refused(refused, 3, "drill stands there already")


def test_what_somebody_wrote_is_shown_and_never_obeyed(spare: Deployed) -> None:
    suppressions_file(spare.lake).write_text(
        '- {name: "a\\e[31m", reason: "\\e]0;owned\\a", author: ann, text: panic, more: 3}\n', encoding="utf-8"
    )
    done = logad("suppressions", "--lake", spare.root)
    assert done.exit_code == 0, done.output
    assert "owned" in done.stdout
    assert not {"\x1b", "\x07"} & set(done.output)


def test_everything_can_be_suppressed_by_where_it_comes_from(spare: Deployed) -> None:
    for number, source in enumerate({str(alert["source"]) for alert in all_alerts(spare)}):
        done = logad("suppress", f"s{number}", "--reason", "r", "--source", source, "--until", DAYS[-1],
                     "--lake", spare.root)  # fmt: skip
        assert done.exit_code == 0, done.output
    told = all_alerts(spare)
    assert all(alert["open"] == 0 for alert in told)
    listed = logad("suppressions", "--lake", spare.root).stdout
    assert sum(int(line.split(": ")[1].split()[0]) for line in listed.splitlines()) == sum(
        int(str(alert["windows"])) for alert in told
    ), "what is kept quiet is counted"


def test_a_backfill_without_dagster_says_how_to_start_it() -> None:
    done = logad("backfill", "--from", DAYS[0], "--to", DAYS[1], "--url", "http://127.0.0.1:9")
    assert_refused(done, 3, "127.0.0.1:9", "logad dev")
    assert_refused(logad("backfill", "--from", DAYS[1], "--to", DAYS[0]), 2, "swap them")


def test_alerts_of_a_lake_without_verdicts(tmp_path: Path) -> None:
    Lake(tmp_path / "empty").create()
    assert_refused(logad("triage", "--lake", tmp_path / "empty"), 3, "no judged day")
