"""`logad explain` and `logad benchmark-evidence`: what they say, in text that no terminal obeys."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from logad_pipeline.cli.main import app
from logad_pipeline_tests.evaluation.small_sets import write_cycle_log
from logad_pipeline_tests.explanation.stub_endpoint import GOOD, completion, stub_endpoint
from logad_pipeline_tests.payloads import OBEYED, PAYLOADS
from logad_pipeline_tests.tiny_model import FOREIGN, checkpoint, cycle_lines

pytestmark = pytest.mark.usefixtures("shipped_settings")


def logad(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def log(folder: Path, lines: list[str]) -> Path:
    path = folder / "app.log"
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass"))
    return path


def odd_log(folder: Path) -> Path:
    lines = cycle_lines(40)
    lines[17] = FOREIGN.capitalize()
    return log(folder, lines)


def test_the_worst_window_is_told_with_its_line_and_what_was_expected(model: Path, tmp_path: Path) -> None:
    done = logad("explain", odd_log(tmp_path), "--model", model, "--top", 1)
    assert done.exit_code == 0, done.output
    assert "app.log:16-20  new template" in done.stdout
    assert f"line 18: {FOREIGN.capitalize()}" in done.stdout
    assert "never seen in the normal logs" in done.stdout
    assert "expected instead: " in done.stdout and "nearest normal window: alike to " in done.stdout
    assert f"    + {FOREIGN}" in done.stdout


def test_the_least_expected_words_are_told_with_what_was_expected_for_them(model: Path, tmp_path: Path) -> None:
    told = logad("explain", odd_log(tmp_path), "--model", model, "--top", 1).stdout.splitlines()
    as_json = json.loads(logad("explain", odd_log(tmp_path), "--model", model, "--top", 1, "--json").stdout)
    evidence = as_json["evidence"]
    odd = evidence["lines"][evidence["pointed_at"][0]]
    words = [word for word in odd["words"] if word["text"] != word["expected"][0]["text"]]
    worst = sorted(words, key=lambda word: -word["surprise"])[:3]
    start = next(at for at, line in enumerate(told) if line.startswith("    expected instead: "))
    assert told[start + 1 : start + 4] == [
        f"      '{word['text']}' where '{first['text']}' ({first['probability']:.0%}) or "
        f"'{second['text']}' ({second['probability']:.0%}) was expected"
        for word in words if word in worst
        for first, second in [word["expected"][:2]]
    ]  # fmt: skip
    assert {word["text"] for word in worst} <= set(FOREIGN.split())


def test_json_carries_the_verdict_and_its_evidence(model: Path, tmp_path: Path) -> None:
    done = logad("explain", odd_log(tmp_path), "--model", model, "--top", 2, "--json")
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert first["score"] >= second["score"]
    assert first["evidence"]["kind"] == "new template"
    assert first["evidence"]["lines"][first["evidence"]["pointed_at"][0]]["text"] == FOREIGN


def test_without_a_language_model_in_the_settings_none_is_asked(model: Path, tmp_path: Path) -> None:
    done = logad("explain", odd_log(tmp_path), "--model", model, "--in-words")
    assert done.exit_code == 2
    assert done.stderr.startswith("logad: no language model is set; name one in logad.toml")


def test_a_language_model_of_the_settings_is_asked_and_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai")
    with stub_endpoint() as stub:
        monkeypatch.setenv("LOGAD_EXPLANATION__URL", stub.url)
        monkeypatch.setenv("LOGAD_EXPLANATION__MODEL", "stub")
        asked = logad("explain", odd_log(tmp_path), "--model", model, "--in-words", "--top", 1)
        assert "in words (by stub from masked evidence; it may be wrong): A kernel panic stopped" in asked.stdout
        plain = logad("explain", odd_log(tmp_path), "--model", model, "--top", 1, "--json")
        stub.answer = lambda request: (200, completion("pwned"))
        worded = logad("explain", odd_log(tmp_path), "--model", model, "--in-words", "--top", 1, "--json")
        stub.answer = lambda request: (200, completion({**GOOD, "\x1b[2J\u202e": 1}))
        obeyed = logad("explain", odd_log(tmp_path), "--model", model, "--in-words", "--top", 1)
    assert "it is outside its schema at ␛[2J" in obeyed.stdout and not re.search(OBEYED, obeyed.stdout)
    told = json.loads(worded.stdout)
    assert told.pop("in_words")["by"] == "evidence"
    assert told == json.loads(plain.stdout)


def test_payloads_come_out_as_text(model: Path, tmp_path: Path) -> None:
    lines = [line for payload in PAYLOADS for line in (payload.replace("\n", " "), *cycle_lines(4))]
    done = logad("explain", log(tmp_path, lines), "--model", model, "--top", 400)
    assert done.exit_code == 0, done.output
    assert not re.search(OBEYED, done.stdout)
    assert "␛[31mred" in done.stdout and "<script>" in done.stdout
    as_json = logad("explain", log(tmp_path, lines), "--model", model, "--top", 400, "--json")
    assert as_json.stdout.isascii()
    assert all(json.loads(line) for line in as_json.stdout.splitlines())


def test_evidence_is_measured_on_a_labelled_set(tmp_path: Path) -> None:
    write_cycle_log(tmp_path / "authlog", lines=800)
    done = logad("benchmark-evidence", "authlog", "--data", tmp_path, "--max-steps", 20, "--base-model", checkpoint(),
                 "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["set"] == "authlog" and set(told["hits"]) == {"logad", "a random line", "the rarest template"}
    assert all(0 <= share <= 1 for shares in told["hits"].values() for share in shares.values())


def test_a_set_without_labels_of_lines_is_refused_in_one_line(tmp_path: Path) -> None:
    assert logad("benchmark-evidence", "authlog").stderr == "logad: give the folder of the logs with --data\n"
    done = logad("benchmark-evidence", "authlog", "--data", tmp_path)
    assert done.exit_code == 3 and done.stderr.count("\n") == 1
