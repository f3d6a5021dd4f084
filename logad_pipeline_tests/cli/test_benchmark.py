"""`logad benchmark`: what it prints, what it leaves behind, and how it fails."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from logad_pipeline.cli.main import app
from logad_pipeline.detectors.registry import ALL
from logad_pipeline.evaluation.datasets import LOADERS
from logad_pipeline_tests.evaluation.small_sets import write_cycle_log
from logad_pipeline_tests.tiny_model import checkpoint


def benchmark(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["benchmark", *map(str, arguments)])


def fails(done: Result, code: int, *words: str) -> None:
    """One line on stderr that has these words, nothing on stdout, and the exit code."""
    assert done.exit_code == code, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("logad: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_cycle_log(folder / "authlog", lines=800)
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """One tiny run, and the folder that it wrote to."""
    output = tmp_path_factory.mktemp("output") / "new" / "folder"
    done = benchmark("authlog", "--data", data, "--variant", "unlabelled", "--seeds", "3", "--max-steps", "5",
                     "--base-model", checkpoint(), "--false-alarm-rate", "0.05", "--json",
                     "--output", output)  # fmt: skip
    return done, output


def test_list_names_every_set_and_its_variants() -> None:
    done = benchmark("list")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(LOADERS)
    assert all(variant in done.stdout for loader in LOADERS.values() for variant in loader.variants)


def test_json_holds_the_table_the_audit_the_promise_and_the_models(run: tuple[Result, Path]) -> None:
    done, _ = run
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert set(told) == {"title", "note", "rows", "training", "promised_rate", "audit", "promise", "runs"}
    assert told["title"] == "authlog, unlabelled"
    assert told["promised_rate"] == 0.05
    assert "labels have no say" in told["training"]
    assert len(told["audit"]) == 6 and all(finding["passed"] for finding in told["audit"])
    (promise,) = told["promise"]
    assert set(promise) == {"promised", "fixed", "adaptive"}
    (one,) = told["runs"]
    assert one["seed"] == one["models"][0]["training"]["seed"] == 3
    assert one["models"][0]["encoder"]["source"] == "local"
    assert set(one["weights"][0]) == set(ALL)
    names = [row["name"] for row in told["rows"]]
    assert {"fusion", "fusion, adaptive", "new events", "flag everything"} <= set(names)
    assert {f"alone: {name}" for name in ALL} | {f"without {name}" for name in ALL} <= set(names)
    assert {(row["units"], row["positives"]) for row in told["rows"]} == {(48, 8)}


def test_output_holds_the_table_the_json_and_the_plot(run: tuple[Result, Path]) -> None:
    done, output = run
    stem = "authlog-unlabelled"
    assert sorted(file.name for file in output.iterdir()) == [f"{stem}.json", f"{stem}.png", f"{stem}.txt"]
    assert json.loads((output / f"{stem}.json").read_text()) == json.loads(done.stdout)
    assert (output / f"{stem}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    text = (output / f"{stem}.txt").read_text()
    assert text.startswith("authlog, unlabelled: 48 units, 8 anomalous\n")
    assert "\nalone: surprise" in text
    assert "encoder: local, 5 steps; promised 5.00%." in text.splitlines()[-1]


def test_what_is_going_on_is_told_on_stderr(run: tuple[Result, Path]) -> None:
    told = run[0].stderr.splitlines()
    assert told[0].startswith("authlog: all lines of the first 40 %")
    assert "seed 3: fitting …" in told
    assert told[-1] == "baselines …"


def test_without_data_it_asks_for_it() -> None:
    fails(benchmark("hdfs"), 2, "--data")


def test_an_unknown_set_is_a_usage_error_that_names_the_known_ones(data: Path) -> None:
    fails(benchmark("hfds", "--data", data), 2, "'hfds' is not known", "hdfs", "authlog")


def test_a_folder_without_the_set_is_unreadable_input(data: Path, tmp_path: Path) -> None:
    fails(benchmark("hdfs", "--data", data), 3, "hdfs.log", "pass --data")
    fails(benchmark("hdfs", "--data", tmp_path / "nowhere"), 3, "no such folder")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seeds", "0,one"], ["0,one", "such as 0,1,2"]),
        (["--seeds", ""], ["no whole numbers"]),
        (["--variant", "per-moon"], ["per-moon", "unlabelled"]),
        (["--false-alarm-rate", "0"], ["false-alarm rate"]),
    ],
)
def test_a_wrong_value_is_a_usage_error_in_one_line(data: Path, options: list[str], words: list[str]) -> None:
    fails(benchmark("authlog", "--data", data, *options), 2, *words)


def test_a_leak_is_told_and_nothing_is_printed_or_written(tmp_path: Path) -> None:
    write_cycle_log(tmp_path / "authlog", lines=100)
    log = tmp_path / "authlog" / "auth.log.xz"
    lines = lzma.decompress(log.read_bytes()).splitlines(keepends=True)
    log.write_bytes(lzma.compress(b"".join(b"normal " + line for line in lines)))
    done = benchmark("authlog", "--data", tmp_path, "--output", tmp_path / "out", "--base-model", checkpoint())
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.splitlines()[-1].startswith("logad: authlog: label columns: ")
    assert not (tmp_path / "out").exists()
