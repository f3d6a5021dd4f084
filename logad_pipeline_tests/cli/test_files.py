"""`logad fit` and `logad detect`: what they print, what they leave behind, and how they fail."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from logad_pipeline.cli.main import app
from logad_pipeline.detectors.calibration import ScoreScale
from logad_pipeline.detectors.registry import ALL
from logad_pipeline.logs.simulator import Simulation, simulate
from logad_pipeline.streams import FileScorer
from logad_pipeline_tests.tiny_model import FOREIGN, WINDOW, checkpoint, cycle_lines, tiny_model

REPOSITORY = Path(__file__).resolve().parents[2]
KEYS = {
    "source", "group", "lines", "first_line", "last_line", "score", "risk", "is_anomaly", "detectors",
    "model_version",
}  # fmt: skip
UNIT_KEYS = (KEYS - {"lines"}) | {"unit", "windows", "worst"}


pytestmark = pytest.mark.usefixtures("shipped_settings")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    folder = tmp_path_factory.mktemp("simulated") / "logs"
    return simulate(folder, start=date(2026, 3, 2), days=2, lines_per_day=900, seed=5)


def log_of(logs: Simulation, name: str) -> Path:
    return next(path for path in logs.logs if path.name == name)


@pytest.fixture(scope="module")
def fitted(logs: Simulation, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A model that the command fitted on one simulated log, and what it said."""
    folder = tmp_path_factory.mktemp("fitted") / "model"
    source = log_of(logs, "app01-service.log")
    done = logad("fit", source, "--model", folder, "--max-steps", "30", "--base-model", "random",
                 "--device", "cpu")  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder, done


@pytest.fixture(scope="module")
def of_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A model fitted on a log an hour, without the detectors that take long, and what the command said."""
    folder = tmp_path_factory.mktemp("hours")
    logs = [plain(folder / f"{hour:02}.log", 35, hour=hour) for hour in range(20)]
    done = logad("fit", *logs, "--model", folder / "model", "--max-steps", "20", "--window-size", "5", "--json",
                 "--base-model", checkpoint(), "--device", "cpu", "--without", "next_event", "--without", "head",
                 "--without", "autoencoder")  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "model", done


def logad(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def plain(file: Path, lines: int = 40, odd: int | None = None, hour: int = 10) -> Path:
    """A log of normal lines, a second apart, with a foreign one at line ``odd`` (from 1)."""
    text = cycle_lines(lines)
    if odd is not None:
        text[odd - 1] = FOREIGN
    return written(file, text, hour)


def written(file: Path, texts: list[str], hour: int = 10) -> Path:
    moments = (f"Mar  2 {hour:02}:{i // 60:02}:{i % 60:02}" for i in range(len(texts)))
    file.write_text("".join(f"{at} web1 app[7]: {line}\n" for at, line in zip(moments, texts, strict=True)))
    return file


def fails(done: Result, code: int, *words: str) -> None:
    """One line on stderr that has these words, nothing on stdout, and the exit code."""
    assert done.exit_code == code, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("logad: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


def test_fit_tells_a_person_what_was_learned(fitted: tuple[Path, Result], logs: Simulation) -> None:
    folder, done = fitted
    lines = logs.line_counts["app01-service.log"]
    assert str(folder) in done.stdout
    assert "encoder    random" in done.stdout
    assert "4 layers, 256 hidden" in done.stdout
    assert f"{lines} lines, " in done.stdout
    assert "30 steps on cpu (all that were asked for)" in done.stdout
    assert "1.00% of normal windows" in done.stdout


def test_fit_says_nothing_of_a_librarys_inner_life(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = plain(tmp_path / "a.log", 1200)
    done = logad("fit", source, "--model", "m", "--max-steps", "1", "--base-model", checkpoint())
    assert done.exit_code == 0, done.output
    assert not [record.getMessage() for record in caplog.records if record.name.startswith("transformers")]


def test_fit_json_is_the_card(logs: Simulation, tmp_path: Path) -> None:
    source = log_of(logs, "app01-service.log")
    done = logad("fit", source, "--model", "m", "--max-steps", "1", "--base-model", "random", "--json",
                 "--window-type", "sliding", "--window-size", "6", "--stride", "3", "--seed",
                 "4")  # fmt: skip
    assert done.exit_code == 0, done.output
    card = json.loads(done.stdout)
    assert card["window_spec"]["window_type"] == "sliding"
    assert (card["window_spec"]["size"], card["window_spec"]["stride"]) == (6, 3)
    assert (card["training"]["seed"], card["training"]["max_steps"]) == (4, 1)
    assert card["encoder"]["source"] == "random"
    assert card["logs"]["sources"] == [str(source)]
    assert card["version"] == json.loads((tmp_path / "m" / "model.json").read_text())["version"]


def test_fit_leaves_out_what_it_is_told_to(of_files: tuple[Path, Result]) -> None:
    weights = json.loads(of_files[1].stdout)["weights"]
    assert set(ALL) - set(weights) == {"next_event", "head", "autoencoder"}
    assert sum(weights.values()) == pytest.approx(1.0)


def test_fit_without_a_detector_that_is_none(tmp_path: Path) -> None:
    done = logad("fit", plain(tmp_path / "a.log", 400), "--model", "m", "--without", "surprize")
    fails(done, 2, "detector surprize is not known", "worst_line")
    assert not (tmp_path / "m").exists()


def test_detect_json_has_a_row_a_window_and_every_line_is_in_one(fitted: tuple[Path, Result], logs: Simulation) -> None:
    source = log_of(logs, "app01-service.log")
    done = logad("detect", source, "--model", fitted[0], "--json")
    assert done.exit_code == 0, done.output
    found = rows(done.stdout)
    assert all(set(row) == KEYS for row in found)
    lines = [line for row in found for line in row["lines"]]
    assert lines == list(range(1, logs.line_counts[source.name] + 1))
    for row in found:
        assert row["source"] == str(source)
        assert (row["first_line"], row["last_line"]) == (row["lines"][0], row["lines"][-1])
        assert 0 <= row["score"] < 1
        assert row["is_anomaly"] is (row["score"] >= 0.5)
        assert row["risk"] == ("high" if row["score"] >= 0.85 else "medium" if row["is_anomaly"] else "low")
        assert all(0 <= value < 1 for value in row["detectors"].values())
    assert len({row["model_version"] for row in found}) == 1


def test_people_see_the_strangest_windows_first(model: Path, tmp_path: Path) -> None:
    source = plain(tmp_path / "a.log", 60, odd=33)
    done = logad("detect", source, "--model", model, "--top", "3")
    shown, lines = done.stdout.splitlines()[::2], done.stdout.splitlines()[1::2]
    assert len(shown) == len(lines) == 3
    assert shown[0].startswith("! ")
    assert f"{source}:31-35" in shown[0]
    assert lines[0].strip() == source.read_text(encoding="utf-8").splitlines()[32], "the line that was expected least"
    scores = [float(line[2:].split()[0]) for line in shown]
    assert scores == sorted(scores, reverse=True)
    assert "12 windows of 60 lines" in done.stderr


def test_standard_input_reads_like_the_file(model: Path, tmp_path: Path) -> None:
    source = plain(tmp_path / "a.log")
    from_file = rows(logad("detect", source, "--model", model, "--json").stdout)
    for content in (source.read_bytes(), gzip.compress(source.read_bytes())):
        piped = rows(logad("detect", "-", "--model", model, "--json", stdin=content).stdout)
        assert {row.pop("source") for row in piped} == {"-"}
        assert piped == [{key: row[key] for key in row if key != "source"} for row in from_file]


def test_several_files_are_judged_one_after_the_other(model: Path, tmp_path: Path) -> None:
    files = [plain(tmp_path / name, 7) for name in ("a.log", "b.log")]
    found = rows(logad("detect", *files, "--model", model, "--json").stdout)
    assert [(row["source"], row["first_line"], row["last_line"]) for row in found] == [
        (str(file), first, last) for file in files for first, last in ((1, 5), (6, 7))
    ]


def test_windows_may_be_cut_otherwise_than_at_the_fit(model: Path, tmp_path: Path) -> None:
    source = plain(tmp_path / "a.log", 12)
    sliding = rows(logad("detect", source, "--model", model, "--json", "--window-type", "sliding").stdout)
    assert [row["first_line"] for row in sliding] == list(range(1, 9))
    small = rows(logad("detect", source, "--model", model, "--json", "--window-size", "4").stdout)
    assert [len(row["lines"]) for row in small] == [4, 4, 4]
    grouped = rows(logad("detect", source, "--model", model, "--json", "--group-by", "program").stdout)
    assert {row["group"] for row in grouped} == {"app"}


def test_a_file_is_judged_whole(of_files: tuple[Path, Result], tmp_path: Path) -> None:
    calm, odd = plain(tmp_path / "calm.log", 35), plain(tmp_path / "odd.log", 35, odd=17)
    done = logad("detect", calm, odd, "--model", of_files[0], "--unit", "file", "--json")
    assert done.exit_code == 0, done.output
    good, bad = rows(done.stdout)
    for row, source in ((good, calm), (bad, odd)):
        assert set(row) == UNIT_KEYS
        assert set(row["worst"]) == KEYS
        assert (row["unit"], row["source"], row["group"]) == ("file", str(source), "")
        assert (row["first_line"], row["last_line"], row["windows"]) == (1, 35, 7)
        assert 0 <= row["score"] < 1
        assert all(0 <= value < 1 for value in row["detectors"].values())
    assert bad["score"] > good["score"]
    assert bad["worst"]["first_line"] <= 17 <= bad["worst"]["last_line"]
    assert "2 units (file) of 70 lines" in done.stderr


def test_five_minutes_are_judged_together(of_files: tuple[Path, Result], tmp_path: Path) -> None:
    done = logad("detect", plain(tmp_path / "a.log", 700), "--model", of_files[0], "--unit", "5min", "--json")
    assert done.exit_code == 0, done.output
    found = rows(done.stdout)
    assert all(set(row) == UNIT_KEYS and row["unit"] == "5min" for row in found)
    assert [(row["first_line"], row["last_line"]) for row in found] == [(1, 300), (301, 600), (601, 700)]


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("fortnight", ["'fortnight' is not known", "5min"]),
        ("0min", ["'0min' is not known"]),
        ("group", ["--group-by"]),
    ],
)
def test_a_unit_that_cannot_be_judged_is_a_usage_error(
    of_files: tuple[Path, Result], tmp_path: Path, unit: str, words: list[str]
) -> None:
    fails(logad("detect", plain(tmp_path / "a.log"), "--model", of_files[0], "--unit", unit), 2, *words)


def test_units_that_the_model_has_too_few_of_are_a_usage_error(model: Path, tmp_path: Path) -> None:
    done = logad("detect", plain(tmp_path / "a.log"), "--model", model, "--unit", "file")
    fails(done, 2, "whole units of 'file'", "fit on more logs, or ask for smaller units")


@pytest.mark.parametrize("novel", [False, True], ids=["known lines", "a line never seen"])
def test_the_threshold_follows_alarms_close_to_it_unless_told_not_to(tmp_path: Path, novel: bool) -> None:
    odd = [*cycle_lines(4), FOREIGN] if novel else cycle_lines(1) * WINDOW.size
    assert len(odd) == WINDOW.size
    ((_, log10_p),) = FileScorer(tiny_model()).log10_p(str(written(tmp_path / "one.log", odd)))
    # Promise a rate at which this window is just an alarm.
    rate = 1.5 * 10 ** float(tiny_model().judge(log10_p).log10_p[0])
    replace(tiny_model(), scale=ScoreScale(rate)).save(tmp_path / "m")
    source = written(tmp_path / "many.log", odd * 8)

    def scores(*options: str) -> list[float]:
        return [row["score"] for row in rows(logad("detect", source, "--model", "m", "--json", *options).stdout)]

    fixed, adapted = scores("--no-adapt"), scores()
    assert len(fixed) == 8
    assert len(set(fixed)) == 1 and fixed[0] >= 0.5
    assert adapted[0] == fixed[0]
    assert adapted == fixed if novel else adapted[-1] < 0.5, "lines never seen become no habit"


def test_fail_on_anomaly_is_for_scripts(model: Path, tmp_path: Path) -> None:
    calm, odd = plain(tmp_path / "calm.log"), plain(tmp_path / "odd.log", odd=3)
    assert logad("detect", calm, "--model", model, "--fail-on-anomaly").exit_code == 0
    assert logad("detect", odd, "--model", model).exit_code == 0
    assert logad("detect", odd, "--model", model, "--fail-on-anomaly").exit_code == 1


def test_output_goes_to_a_file_that_appears_whole(model: Path, tmp_path: Path) -> None:
    source, out = plain(tmp_path / "a.log"), tmp_path / "out.jsonl"
    done = logad("detect", source, "--model", model, "--json", "--output", out)
    assert (done.exit_code, done.stdout) == (0, "")
    assert out.read_text() == logad("detect", source, "--model", model, "--json").stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "out.jsonl"]


def test_output_is_left_as_it_was_where_the_input_breaks_off(model: Path, tmp_path: Path) -> None:
    packed = tmp_path / "cut.log.gz"
    packed.write_bytes(gzip.compress(plain(tmp_path / "a.log", 2000).read_bytes())[:-60])
    out = tmp_path / "out.jsonl"
    out.write_text("yesterday's\n")
    done = logad("detect", packed, "--model", model, "--json", "--output", out)
    fails(done, 3, "cut.log.gz", "fetch the file again")
    assert out.read_text() == "yesterday's\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "cut.log.gz", "out.jsonl"]


def test_output_into_a_folder_that_is_not_there(model: Path, tmp_path: Path) -> None:
    source = plain(tmp_path / "a.log")
    fails(logad("detect", source, "--model", model, "--output", "no/such/out.txt"), 2, "--output")
    fails(logad("detect", source, "--model", model, "--output", tmp_path), 2, "--output")


@pytest.mark.parametrize("command", ["detect", "fit"])
def test_an_unknown_option_is_a_usage_error(command: str, tmp_path: Path) -> None:
    done = logad(command, plain(tmp_path / "a.log"), "--model", "m", "--colour", "blue")
    assert done.exit_code == 2
    assert "--colour" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--window-type", "tumbling"], ["tumbling", "fixed, sliding or session"]),
        (["--window-size", "0"], ["window size 0"]),
        (["--window-type", "session"], ["--group-by"]),
        (["--group-by", "("], ["group-by '('", "regular expression"]),
        (["--group-by", "(a)(b)"], ["2 groups"]),
        (["--format", "klingon"], ["klingon"]),
        (["--device", "abacus"], ["no device 'abacus' here", "auto or cpu"]),
    ],
)
@pytest.mark.parametrize("command", ["detect", "fit"])
def test_a_wrong_value_is_a_usage_error_in_one_line(
    command: str, options: list[str], words: list[str], model: Path, tmp_path: Path
) -> None:
    target = model if command == "detect" else tmp_path / "new"
    fails(logad(command, plain(tmp_path / "a.log", 200), "--model", target, *options), 2, *words)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("option", "value"), [("--max-steps", "0"), ("--max-steps", "-3"), ("--max-minutes", "-1"), ("--seed", "-1")]
)
def test_a_training_that_cannot_be_is_refused_before_a_line_is_read(option: str, value: str) -> None:
    done = logad("fit", "nowhere.log", "--model", "m", option, value)
    assert done.exit_code == 2
    assert option in done.stderr


def test_a_device_that_torch_was_not_built_for_is_named(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    done = logad("fit", plain(tmp_path / "a.log", 200), "--model", "m", "--device", "cuda")
    fails(done, 2, "no device 'cuda' here", "auto or cpu")


@pytest.mark.parametrize("rate", ["0", "1", "-0.5"])
def test_a_false_alarm_rate_that_is_none_is_refused(rate: str, tmp_path: Path) -> None:
    done = logad("fit", plain(tmp_path / "a.log"), "--model", "m", "--false-alarm-rate", rate)
    fails(done, 2, "false-alarm rate")


def unreadable(kind: str, folder: Path) -> Path:
    file = folder / "odd.log"
    if kind == "directory":
        file.mkdir()
    elif kind == "empty":
        file.touch()
    elif kind == "binary":
        file.write_bytes(bytes(range(256)) * 40)
    elif kind == "truncated gzip":
        file.write_bytes(gzip.compress(plain(folder / "a.log", 3000).read_bytes())[:-100])
    return file


@pytest.mark.parametrize("kind", ["missing", "directory", "empty", "binary", "truncated gzip"])
@pytest.mark.parametrize("command", ["detect", "fit"])
def test_input_that_cannot_be_read_is_named_in_one_line(command: str, kind: str, model: Path, tmp_path: Path) -> None:
    target = model if command == "detect" else tmp_path / "new"
    # Without --json the rows come at the end, so that stdout stays empty.
    fails(logad(command, unreadable(kind, tmp_path), "--model", target), 3, "odd.log")
    assert not (tmp_path / "new").exists()


def test_empty_standard_input_is_an_error(model: Path) -> None:
    fails(logad("detect", "-", "--model", model, stdin=b""), 3, "-: no log line")


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "alerts"])
def test_a_stream_that_goes_on_keeps_no_verdict_back(as_json: bool, model: Path, tmp_path: Path) -> None:
    # So many windows are judged before the stream pauses, that nothing is left to be judged after it.
    text = plain(tmp_path / "a.log", 512 * WINDOW.size + 3, odd=4).read_bytes()
    command = [sys.executable, "-c", "from logad_pipeline.cli.main import main; main()", "detect", "-",
               "--model", str(model), "--device", "cpu", *(["--json"] if as_json else [])]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    environment.pop("PYTHONUNBUFFERED", None)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin
        assert process.stdout
        feeding = threading.Thread(target=lambda: (process.stdin.write(text), process.stdin.flush()))  # type: ignore[union-attr]
        feeding.start()
        too_late = threading.Timer(90, process.kill)
        too_late.start()
        told = [process.stdout.readline().decode() for _ in range(512 if as_json else 2)]
        alive = process.poll() is None
        too_late.cancel()
        feeding.join()
        process.stdin.close()
        assert process.wait(60) == 0
    assert alive, "the verdicts came only with the end"
    assert json.loads(told[-1])["last_line"] == 512 * WINDOW.size if as_json else FOREIGN in told[1]


def test_without_any_model_detect_says_how_to_get_one(tmp_path: Path) -> None:
    done = logad("detect", plain(tmp_path / "a.log"))
    fails(done, 4, "logad fit FILE --model DIR", "logad train")
    fails(logad("detect", "-", stdin=b"a line\n"), 4, "logad train")


def test_too_short_a_log_to_learn_from(tmp_path: Path) -> None:
    source = plain(tmp_path / "short.log", 30)
    fails(logad("fit", source, "--model", "m"), 3, "short.log", "only 3 windows", "give more lines")
    assert not (tmp_path / "m").exists()


def test_without_a_model_detect_says_how_to_make_one(tmp_path: Path) -> None:
    done = logad("detect", plain(tmp_path / "a.log"), "--model", "nowhere")
    fails(done, 4, "no model at nowhere", "logad fit FILE --model nowhere")


def test_a_damaged_model_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.json").write_text("{")
    fails(logad("detect", plain(tmp_path / "a.log"), "--model", "m"), 4, "damaged")


def test_fit_never_overwrites_what_is_no_model(tmp_path: Path) -> None:
    source = plain(tmp_path / "a.log", 400)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    fails(logad("fit", source, "--model", precious, "--base-model", "random"), 2, "give another --model")
    fails(logad("fit", source, "--model", source, "--base-model", "random"), 2, "give another --model")
    assert [file.name for file in precious.iterdir()] == ["thesis.txt"]


def test_a_base_model_folder_that_is_not_there(tmp_path: Path) -> None:
    done = logad("fit", plain(tmp_path / "a.log", 400), "--model", "m", "--base-model", "./nowhere")
    assert done.exit_code == 2
    assert "config.json" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "m").exists()


def test_formats_lists_the_names_that_format_takes(tmp_path: Path, model: Path) -> None:
    names = [line.split()[0] for line in logad("formats").stdout.splitlines()]
    assert len(names) == len(set(names)) > 5
    source = plain(tmp_path / "a.log")
    syslog = next(name for name in names if "syslog" in name or "rfc3164" in name)
    assert logad("detect", source, "--model", model, "--format", syslog).exit_code == 0


def test_a_terminal_is_not_given_what_a_log_line_smuggles_in(model: Path, tmp_path: Path) -> None:
    source = plain(tmp_path / "a.log")
    source.write_text(source.read_text().replace("app[7]", "app[7]: \x1b[31mred"))
    done = logad("detect", source, "--model", model, "--group-by", r"(\S+red)")
    assert done.exit_code == 0
    assert "\x1b" not in done.output
    assert "red" in done.stdout


HELP = """
import sys
from typer.main import get_command
from logad_pipeline.cli.main import app

def each(group, path=()):
    for name, command in group.commands.items():
        yield [*path, name, "--help"]
        if hasattr(command, "commands"):
            yield from each(command, (*path, name))

asked = list(each(get_command(app)))
for command in (["--version"], ["--help"], *asked):
    try:
        app(command)
    except SystemExit as end:
        assert not end.code, (command, end.code)
heavy = {
    "torch", "transformers", "mlflow", "dagster", "sklearn", "numpy", "pandas", "polars", "pyarrow", "deltalake",
    "flask", "apiflask", "pydantic", "rich", "matplotlib", "requests", "yaml",
}
print("ASKED", ["key", "revoke", "--help"] in asked, len(asked) > 25)
print("LOADED", sorted(heavy & set(sys.modules)))
"""


def test_help_waits_for_no_heavy_library() -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    assert done.stdout.splitlines()[-2:] == ["ASKED True True", "LOADED []"]
    assert done.stdout.startswith("logad ")
    assert "--window-type" in done.stdout
    assert "--context" in done.stdout
    assert "\x1b" not in done.stdout


ENDING = """
import atexit, gc
atexit.register(lambda: print("FROZEN", gc.get_freeze_count() > 0))
from logad_pipeline.cli.main import main
main()
"""


def test_a_command_that_is_done_has_memory_looked_through_no_more() -> None:
    done = subprocess.run([sys.executable, "-c", ENDING, "formats"], capture_output=True, text=True, timeout=60,
                          check=True, env=os.environ | {"PYTHONPATH": str(REPOSITORY)})  # fmt: skip
    assert done.stdout.splitlines()[-1] == "FROZEN True"


COLOURS = """
from rich.table import Table
from logad_pipeline.cli.console import table_console
table = Table("heading", header_style="red")
table.add_row("x", style="green")
table_console().print(table)
"""


@pytest.mark.parametrize(("terminal", "no_color"), [(True, ""), (True, "1"), (False, "")])
def test_tables_are_coloured_on_a_terminal_that_wants_it_alone(terminal: bool, no_color: str) -> None:
    unset = {"NO_COLOR", "FORCE_COLOR", "COLORTERM"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"PYTHONPATH": str(REPOSITORY), "TERM": "xterm-256color"}
    if no_color:
        environment["NO_COLOR"] = no_color
    reader, writer = os.openpty() if terminal else os.pipe()
    subprocess.run([sys.executable, "-c", COLOURS], stdout=writer, timeout=60, check=True, env=environment)
    os.close(writer)
    told = os.read(reader, 65536).decode()
    os.close(reader)
    assert "heading" in told
    assert ("\x1b[31m" in told) is (terminal and not no_color)
    assert terminal or "\x1b" not in told


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "_LOGAD_COMPLETE": f"source_{shell}"}
    code = "from logad_pipeline.cli.main import app; app(prog_name='logad')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    assert "_LOGAD_COMPLETE" in done.stdout
    assert "logad" in done.stdout


def test_the_reader_of_our_output_may_leave_early(model: Path, tmp_path: Path) -> None:
    source = plain(tmp_path / "a.log", 3000)
    code = "from logad_pipeline.cli.main import main; main()"
    command = [sys.executable, "-c", code, "detect", str(source), "--model", str(model), "--json"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(timeout=120) == 0, said
    assert "Traceback" not in said
    assert "BrokenPipe" not in said
