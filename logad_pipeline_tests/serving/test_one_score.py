"""One score: whichever door a window comes in by, it is judged the same."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest

import ai_detect_cli
from logad_pipeline.serving.app import create_app
from logad_pipeline.streams import score_sequence
from logad_pipeline_tests.orchestration.conftest import DAYS, Deployed, logad
from logad_pipeline_tests.serving.conftest import own
from logad_pipeline_tests.serving.test_server import free_port, wait_for

SAME = 1e-6
Scores = dict[tuple[int, ...], float]
"""Score of a window by its lines."""


pytestmark = pytest.mark.usefixtures("clean")


def of_the_pipeline(deployed: Deployed, source: str) -> Scores:
    rows = deployed.rows("scores", [DAYS[0]])
    return {tuple(sorted(row["lines"])): row["score"] for row in rows if row["source"] == source}


def of_verdicts(rows: list[dict[str, Any]]) -> Scores:
    return {tuple(row["lines"]): row["score"] for row in rows}


def assert_same(found: Scores, pipeline: Scores) -> None:
    both = found.keys() & pipeline.keys()
    assert len(both) >= 4
    assert max(abs(found[lines] - pipeline[lines]) for lines in both) <= SAME


@pytest.mark.parametrize("name", ["app01-service.log", "web01.log"])
def test_a_window_has_one_score_through_every_door(
    name: str, judged: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOGAD_LAKE", str(judged.root))
    log = judged.root / "simulated" / name
    pipeline = of_the_pipeline(judged, log.name)
    # The first day alone: at midnight the pipeline begins a new window.
    lines = log.read_text(encoding="utf-8").splitlines()[: max(max(window) for window in pipeline)]
    part = tmp_path / log.name
    part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    model = "models:/logad@champion"
    detect = logad("detect", part, "--model", model, "--json", "--no-adapt", "--device", "cpu")
    assert detect.exit_code == 0, detect.output
    assert_same(of_verdicts([json.loads(row) for row in detect.stdout.splitlines()]), pipeline)

    app = create_app(judged.settings)
    own(app).champion.refresh()
    client = app.test_client()
    answer = client.post("/score_log", json={"log_seq": lines}).get_json()
    assert_same(of_verdicts(answer["windows"]), pipeline)
    windows = sorted(pipeline)
    sequences = [{"log_seq": [lines[line - 1] for line in window]} for window in windows]
    batch = client.post("/score_batch", json={"sequences": sequences}).get_json()["results"]
    alone = [client.post("/score_log", json=one).get_json() for one in sequences]
    for answers in (batch, alone):
        assert_same({lines: one["score"] for lines, one in zip(windows, answers, strict=True)}, pipeline)

    mlflow.set_tracking_uri(judged.settings.tracking_uri)
    pyfunc = mlflow.pyfunc.load_model(model)
    given = pyfunc.predict([one["log_seq"] for one in sequences])
    assert_same({lines: one["score"] for lines, one in zip(windows, given, strict=True)}, pipeline)

    for window, one in list(zip(windows, sequences, strict=True))[:2]:
        assert ai_detect_cli.main(["--model", model, "--json", "--logs", *one["log_seq"]]) == 0
        assert abs(json.loads(capsys.readouterr().out)["score"] - pipeline[window]) <= SAME
    piped = io.TextIOWrapper(io.BytesIO("\n".join(sequences[0]["log_seq"]).encode()))
    monkeypatch.setattr(sys, "stdin", piped)
    assert ai_detect_cli.main(["--model", model, "--json"]) == 0
    assert abs(json.loads(capsys.readouterr().out)["score"] - pipeline[windows[0]]) <= SAME


@contextmanager
def mlflow_serving(deployed: Deployed, folder: Path) -> Iterator[str]:
    """`mlflow models serve` on the champion, as its README line has it: where it answers."""
    port = free_port()
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": deployed.settings.tracking_uri, "OMP_NUM_THREADS": "1",
        # MLflow runs uvicorn by its name.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/logad@champion",
               "--env-manager", "local", "-p", str(port)]  # fmt: skip
    said = folder / "mlflow.log"
    with said.open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", process, said, 900)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        # Both of them: MLflow told to go alone leaves its server behind.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_mlflows_own_server_gives_that_score_too(judged: Deployed, tmp_path: Path) -> None:
    lines = (judged.root / "simulated" / "web01.log").read_text(encoding="utf-8").splitlines()[:12]
    model = judged.registry.load("models:/logad@champion", "cpu").detector
    with mlflow_serving(judged, tmp_path) as url:
        body = json.dumps({"inputs": [lines, lines[:1]]}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            given = json.load(response)["predictions"]
    for answer, sequence in zip(given, [lines, lines[:1]], strict=True):
        own_verdict = score_sequence(model, sequence)
        assert abs(answer["score"] - own_verdict["score"]) <= SAME
        assert answer["risk"] == own_verdict["risk"]
