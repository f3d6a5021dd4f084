"""`logad triage`, `logad compare` and `logad key`: what a person on duty sees of a lake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from logad_pipeline.lake.alerts import read_alerts
from logad_pipeline.lake.answering import answer_window, keep_quiet
from logad_pipeline.lake.suppressions import Suppression
from logad_pipeline_tests.orchestration.conftest import DAYS, Deployed, logad, raise_alarms

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def alarmed(spare: Deployed) -> Deployed:
    """A copy in which every window with a score in the upper half of its day raises an alarm."""
    raise_alarms(spare, 0.5)
    return spare


def rows(*arguments: object) -> list[dict[str, Any]]:
    done = logad(*arguments, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_alarm_is_in_an_alert_once_the_strangest_first(alarmed: Deployed) -> None:
    alerts = rows("triage", "--top", 1000, "--lake", alarmed.root)
    alarms = [row for row in alarmed.rows("scores") if row["is_anomaly"]]
    assert sum(alert["open"] for alert in alerts) == len(alarms) > 0
    assert [alert["alert_id"] for alert in alerts] == [each.alert_id for each in read_alerts(alarmed.lake, DAYS)]
    scores = [alert["score"] for alert in alerts]
    assert scores == sorted(scores, reverse=True)


def test_an_alert_opens_to_its_windows_and_a_window_to_its_raw_lines(alarmed: Deployed, judged: Deployed) -> None:
    alerts = rows("triage", "--top", 1000, "--lake", alarmed.root)
    rank, chosen = next((rank, alert) for rank, alert in enumerate(alerts, 1) if alert["source"] != "worker.log")
    by_rank, by_id = (
        rows("triage", name, "--top", 1000, "--lake", alarmed.root) for name in (rank, chosen["alert_id"][:9])
    )
    assert by_rank == by_id
    assert len(by_id) == chosen["windows"]
    assert {window["text"] for window in by_id} == {chosen["text"]}
    assert by_id[0]["score"] == chosen["score"] == max(window["score"] for window in by_id)

    first = by_id[0]
    row = next(row for row in alarmed.rows("scores") if row["window_id"] == first["window_id"])
    raw = (judged.root / "simulated" / first["source"]).read_text(encoding="utf-8").splitlines()
    lines = rows("triage", first["window_id"], "--context", 2, "--lake", alarmed.root)
    assert [line["number"] for line in lines if line["in_window"]] == sorted(row["lines"])
    assert all(line["text"] == raw[line["number"] - 1] for line in lines)
    near = {line for middle in row["lines"] for line in range(middle - 2, middle + 3)}
    assert {line["number"] for line in lines} <= near
    shown = logad("triage", rank, "--lake", alarmed.root).stdout
    assert f"> {min(row['lines']):>7}  {raw[min(row['lines']) - 1]}" in shown


def test_what_is_called_normal_or_kept_quiet_leaves_the_list(alarmed: Deployed) -> None:
    first, second, *_ = rows("triage", "--top", 1000, "--lake", alarmed.root)
    for window in rows("triage", first["alert_id"], "--top", 1000, "--lake", alarmed.root):
        answer_window(alarmed.lake, window["window_id"], "normal")
    quiet = Suppression(name="q", reason="r", template=second["text"], source=second["source"], more=1000)
    keep_quiet(alarmed.lake, quiet)
    left = rows("triage", "--top", 1000, "--lake", alarmed.root)
    assert not {first["alert_id"], second["alert_id"]} & {alert["alert_id"] for alert in left}
    every = {alert["alert_id"]: alert for alert in rows("triage", "--all", "--top", 1000, "--lake", alarmed.root)}
    assert every[first["alert_id"]]["contested"] == first["windows"]
    assert (every[second["alert_id"]]["suppressed"], every[second["alert_id"]]["suppression"]) == (
        second["windows"], "q",
    )  # fmt: skip
    states = {window["state"] for window in rows("triage", first["alert_id"], "--lake", alarmed.root)}
    assert states == {"contested"}


def test_an_alert_that_is_not_there(judged: Deployed) -> None:
    for name, code in (("999", 2), ("0" * 16, 3)):
        done = logad("triage", name, "--lake", judged.root)
        assert done.exit_code == code
        assert done.stderr.splitlines()[-1].startswith("logad: ")


def test_escapes_in_a_log_reach_no_terminal(alarmed: Deployed) -> None:
    for command in (["triage"], ["triage", "1"], ["compare", DAYS[0], DAYS[1]]):
        done = logad(*command, "--lake", alarmed.root)
        assert done.exit_code == 0, done.output
        assert "\x1b" not in done.output


def test_days_are_compared_template_by_template(judged: Deployed) -> None:
    shifts = rows("compare", DAYS[0], DAYS[1], "--lake", judged.root)
    texts = [{row["text"] for row in judged.rows("normalized", [day])} for day in DAYS[:2]]
    assert {each["text"] for each in shifts if each["change"] == "appeared"} == texts[1] - texts[0]
    assert {each["text"] for each in shifts if each["change"] == "vanished"} == texts[0] - texts[1]
    assert all(0 <= each["p_value"] <= each["q_value"] <= 1 for each in shifts)
    assert all(each["q_value"] <= 0.05 for each in shifts if each["change"] == "shifted")
    told = logad("compare", DAYS[0], DAYS[1], "--lake", judged.root)
    assert "appeared" in told.output


def test_days_that_cannot_be_compared(judged: Deployed) -> None:
    assert logad("compare", DAYS[0], DAYS[0], "--lake", judged.root).exit_code == 2
    assert logad("compare", DAYS[0], "2031-01-01", "--lake", judged.root).exit_code == 3


def test_a_key_is_shown_once(tmp_path: Path) -> None:
    made = logad("key", "create", "robot", "--scope", "score", "--rate", 5, "--lake", tmp_path / "lake")
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip().split("_", 2)[2]
    listed = logad("key", "list", "--lake", tmp_path / "lake")
    assert "robot" in listed.stdout
    assert secret not in listed.stdout
    [row] = rows("key", "list", "--lake", tmp_path / "lake")
    assert (row["scopes"], row["requests_per_minute"]) == (["score"], 5)
    assert "hash" not in row
    assert logad("key", "revoke", "robot", "--lake", tmp_path / "lake").exit_code == 0
    assert rows("key", "list", "--lake", tmp_path / "lake") == []
    assert logad("key", "revoke", "robot", "--lake", tmp_path / "lake").exit_code == 2
