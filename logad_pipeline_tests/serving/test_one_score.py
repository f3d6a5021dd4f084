"""One score: whichever door a window comes in by, it is judged the same."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytest

import ai_detect_cli
from logad_pipeline.serving.app import create_app
from logad_pipeline_tests.orchestration.conftest import DAYS, Deployed, logad
from logad_pipeline_tests.serving.conftest import own

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
