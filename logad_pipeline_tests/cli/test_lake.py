"""The commands over the lake: what they print, and that what a user can mend is one line and an exit code."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

import ai_detect_cli
from logad_pipeline.cli.main import app
from logad_pipeline.lake.tables import Lake
from logad_pipeline_tests.orchestration.conftest import DAYS, Deployed, logad

LINES = [
    "sshd[12]: Accepted publickey for root from 10.0.0.1 port 22 ssh2",
    "kernel: Out of memory: Killed process 7",
]


pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A lake that nothing was landed in."""
    lake = tmp_path / "empty"
    Lake(lake).create()
    return lake


def assert_refused(done: Result, code: int, *words: str) -> None:
    assert done.exit_code == code, (done.output, done.exception)
    assert isinstance(done.exception, SystemExit)
    assert "Traceback" not in done.output
    [line] = [line for line in done.stderr.splitlines() if line.startswith("logad: ")]
    for word in words:
        assert word in line
    assert not done.stdout


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("command", ["run", "train", "report", "dev"])
def test_without_a_lake(command: str, tmp_path: Path) -> None:
    assert_refused(logad(command, "--lake", tmp_path / "nowhere"), 3, "no lake at", "nowhere", "logad init")
    assert not (tmp_path / "nowhere" / "ledger").exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [("run", "no landed day"), ("train", "no prepared day"), ("report", "no judged day")],
)
def test_on_an_empty_lake(command: str, words: str, empty: Path) -> None:
    assert_refused(logad(command, "--lake", empty), 3, words, str(empty))


@pytest.mark.parametrize("command", ["run", "train", "report"])
def test_days_the_wrong_way_round(command: str, empty: Path) -> None:
    done = logad(command, "--from", "2025-03-04", "--to", "2025-03-03", "--lake", empty)
    assert_refused(done, 2, "--from 2025-03-04 is after --to 2025-03-03")


def test_days_that_hold_nothing(judged: Deployed) -> None:
    done = logad("report", "--from", "2030-01-01", "--lake", judged.root)
    assert_refused(done, 3, "no judged day in that range")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LOGAD_MODEL__MAX_STEPS", "0", "model.max_steps"),
        ("LOGAD_WINDOWS__WINDOW_TYPE", "round", "windows.window_type"),
        ("LOGAD_MODEL__NO_SUCH", "1", "model.no_such"),
        ("LOGAD_TIME_ZONE", "Mars/Olympus", "Mars/Olympus"),
        ("LOGAD_SCORE_AT", "25:00", "score_at"),
        ("LOGAD_CONFIG", "missing.toml", "missing.toml"),
    ],
)
def test_a_setting_that_is_wrong(
    name: str, value: str, words: str, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert_refused(logad("run", "--lake", empty), 2, words)


def test_a_file_of_settings_that_is_no_toml(empty: Path) -> None:
    Path("logad.toml").write_text("lake = \n", encoding="utf-8")
    assert_refused(logad("run", "--lake", empty), 2)


def test_a_file_that_is_not_there(empty: Path, tmp_path: Path) -> None:
    done = logad("ingest", tmp_path / "no.log", "--lake", empty)
    assert done.exit_code in (2, 3)
    assert "no.log" in done.stderr
    assert "Traceback" not in done.output


# ---------------------------------------------------------------- init, simulate, ingest


def test_init_twice_keeps_what_is_there(empty: Path, tmp_path: Path) -> None:
    note = empty / "inbox" / "app.log"
    note.write_text("2025-03-03 10:00:00,000 INFO [r] service.a: hello\n", encoding="utf-8")
    assert logad("ingest", "--lake", empty).exit_code == 0
    for _ in range(2):
        assert logad("init", "--lake", empty).exit_code == 0
    assert Lake(empty).days("ledger") == [DAYS[0]]
    assert (empty / "mlflow" / "mlflow.db").is_file()
    assert "enabled: false" in (empty / "dagster" / "dagster.yaml").read_text(encoding="utf-8")


def test_a_file_is_landed_once(empty: Path, tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_text("2025-03-03 10:00:00,000 INFO [r] service.a: hello\n", encoding="utf-8")
    first = json.loads(logad("ingest", file, "--json", "--lake", empty).stdout)
    again = json.loads(logad("ingest", file, "--json", "--lake", empty).stdout)
    assert (first["lines"], first["days"], first["already_landed"]) == (1, {str(DAYS[0]): 1}, False)
    assert again == first | {"already_landed": True}
    assert "was landed before" in logad("ingest", file, "--lake", empty).stdout
    assert sum(batch.num_rows for batch in Lake(empty).scan("ledger")) == 1


def test_the_inbox_is_taken_as_the_sensor_takes_it(empty: Path) -> None:
    line, inbox = "2025-03-03 10:00:00,000 INFO [r] service.a: hello {}\n", empty / "inbox"
    for unfinished in ("app.log.part", ".app.log.Xy12"):
        (inbox / unfinished).write_text(line.format(9), encoding="utf-8")
    for end in (2, 3):
        (inbox / "app.log").write_text("".join(map(line.format, range(end))) + "2025-03", encoding="utf-8")
        done = logad("ingest", "--json", "--lake", empty)
        assert "app.log: its last line has not ended" in done.stderr
    assert json.loads(done.stdout)["lines"] == 1
    assert sum(sum(batch.column("day_lines").to_pylist()) for batch in Lake(empty).scan("ledger")) == 3
    assert json.loads(logad("ingest", inbox / "app.log", "--json", "--lake", empty).stdout)["lines"] == 1


def test_days_before_the_first_partition_are_pointed_out(empty: Path, tmp_path: Path) -> None:
    file = tmp_path / "old.log"
    file.write_text("2024-03-03 10:00:00,000 INFO [r] service.a: hello\n", encoding="utf-8")
    done = logad("ingest", file, "--lake", empty)
    assert done.exit_code == 0
    assert "first_day" in done.stderr


def test_an_empty_inbox_is_no_error(empty: Path) -> None:
    done = logad("ingest", "--lake", empty)
    assert done.exit_code == 0
    assert "nothing in" in done.stderr


def test_simulated_days_are_labelled(judged: Deployed) -> None:
    labels = (judged.root / "labels" / "simulated.csv").read_text(encoding="utf-8").splitlines()
    assert labels[0] == "source,line_no,label"
    sources = {path.name for path in (judged.root / "simulated").glob("*.log")}
    assert {line.split(",")[0] for line in labels[1:]} == sources


# ---------------------------------------------------------------- report, doctor


def test_the_report_ranks_descending(judged: Deployed) -> None:
    done = logad("report", "--json", "--top", 7, "--lake", judged.root)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    scores = [window["score"] for window in told["top"]]
    assert len(scores) == 7
    assert scores == sorted(scores, reverse=True)
    assert [window["rank"] for window in told["top"]] == list(range(1, 8))
    verdicts = judged.rows("scores")
    assert told["windows"] == len(verdicts)
    assert told["alerts"] == sum(row["is_anomaly"] for row in verdicts)
    assert scores[0] == max(row["score"] for row in verdicts)
    assert 0 <= told["quality"]["roc_auc"] <= 1
    assert Path(told["report"]).is_file()


def test_the_report_of_one_day_speaks_of_that_day(judged: Deployed) -> None:
    done = logad("report", "--from", DAYS[1], "--to", DAYS[1], "--lake", judged.root)
    assert done.exit_code == 0, done.output
    rows = judged.rows("scores", [DAYS[1]])
    assert f"in {len(rows)} windows, {DAYS[1]}" in done.stdout
    assert "report: " in done.stdout


def test_doctor_is_content(judged: Deployed) -> None:
    done = logad("doctor", "--lake", judged.root)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok   ") for line in lines)
    assert {line.split()[1] for line in lines} >= {"lake", "dagster", "registry", "champion", "torch"}
    assert "encoder: random" in done.stdout


def test_doctor_misses_the_champion(empty: Path) -> None:
    done = logad("doctor", "--json", "--lake", empty)
    assert done.exit_code == 3
    found = {finding["what"]: finding["ok"] for finding in json.loads(done.stdout)}
    assert found["lake"]
    assert found["torch"]
    assert not found["champion"]
    assert not found["registry"]


def test_doctor_without_a_lake_says_where_it_looked(tmp_path: Path) -> None:
    done = logad("doctor", "--lake", tmp_path / "nowhere")
    assert done.exit_code == 3
    assert "FAIL lake" in done.stdout
    assert "nowhere" in done.stdout
    assert not (tmp_path / "nowhere").exists()


# ---------------------------------------------------------------- ai_detect_cli.py


def test_the_short_door_takes_the_newest_model(
    judged: Deployed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOGAD_LAKE", str(judged.root))
    assert ai_detect_cli.main(["--logs", *LINES]) == 0
    told = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert told.keys() == {"score", "is_anomaly", "risk"}
    sliding = ["--window-type", "sliding", "--window-size", "1"]
    assert ai_detect_cli.main(["--logs", *LINES, *sliding, "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert [window["lines"] for window in verdict["windows"]] == [[1], [2]]
    assert verdict["score"] == max(window["score"] for window in verdict["windows"])
    assert ai_detect_cli.main(["--logs", *LINES, "--model", "models:/logad@champion", "--json"]) == 0
    assert float(told["score"]) == pytest.approx(json.loads(capsys.readouterr().out)["score"], abs=1e-4)


def test_detect_takes_the_newest_model_and_says_which(
    judged: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGAD_LAKE", str(judged.root))
    file = tmp_path / "a.log"
    file.write_text("".join(f"{line}\n" for line in LINES))
    for source in (str(file), "-"):
        done = CliRunner().invoke(app, ["detect", source, "--json"], input=file.read_bytes())
        assert done.exit_code == 0, done.output
        assert "judging with models:/logad/1" in done.stderr
        assert json.loads(done.stdout)["lines"] == [1, 2]


def test_a_registry_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGAD_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    file = tmp_path / "a.log"
    file.write_text("a line\n")
    for command in ("detect", "explain"):
        for options in ([], ["--model", "models:/logad@champion"]):
            assert_refused(logad(command, file, *options), 3, "127.0.0.1:9", "Connection refused", "--model DIR")
    for command in (["promote", "1"], ["rollback"]):
        assert_refused(logad(*command), 3, "127.0.0.1:9", "Connection refused", "run it again")


def test_the_short_door_judges_all_of_its_input_or_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ai_detect_cli._MOST_BYTES", 1 << 20)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a line\n" * 200_000)))
    with pytest.raises(SystemExit) as refused:
        ai_detect_cli.main([])
    assert refused.value.code == 2
    said = capsys.readouterr()
    assert not said.out
    assert "more than 1 MiB" in said.err


def test_a_file_name_is_shown_and_never_obeyed(empty: Path, tmp_path: Path) -> None:
    file = tmp_path / "a\x1b]0;owned\x07.log"
    file.write_text("2025-03-03 10:00:00,100 INFO service: started\n", encoding="utf-8")
    done = logad("ingest", file, "--lake", empty)
    assert done.exit_code == 0, done.output
    assert "owned" in done.stdout
    assert not {"\x1b", "\x07"} & set(done.output)


def test_the_short_door_without_a_model(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOGAD_LAKE", str(empty))
    assert ai_detect_cli.main(["--logs", *LINES]) == 4
    said = capsys.readouterr()
    assert not said.out
    assert said.err.count("\n") == 1
    assert "logad train" in said.err


def test_the_short_door_with_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOGAD_MODEL__MAX_STEPS", "0")
    assert ai_detect_cli.main(["--logs", *LINES]) == 2
    assert "ai_detect_cli: " in capsys.readouterr().err
