"""One lake that went through the whole pipeline by its commands, and copies of it that a test may spoil.

Belongs here: what the tests of orchestration, registry and the lake's commands share. No test stands here.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest
from click.testing import Result
from typer.testing import CliRunner

from logad_pipeline.cli.main import app
from logad_pipeline.lake.alerts import fold_alerts
from logad_pipeline.lake.tables import Lake
from logad_pipeline.registry.registry import Registry
from logad_pipeline.settings import Settings, load_settings

FIRST = date(2025, 3, 3)
DAYS = [FIRST + timedelta(days=number) for number in range(4)]
EMPTY_DAY = FIRST - timedelta(days=1)
DETECTORS = ["surprise", "worst_line", "distance", "counts", "entity_graph", "severity"]
"""Those that are fitted in a moment, of windows and of records."""
SETTINGS = {
    "LOGAD_FIRST_DAY": str(EMPTY_DAY),
    "LOGAD_MODEL__BASE_MODEL": "random",
    "LOGAD_MODEL__MAX_STEPS": "20",
    "LOGAD_MODEL__VOCAB_SIZE": "600",
    "LOGAD_MODEL__DEVICE": "cpu",
    "LOGAD_MODEL__DETECTORS": json.dumps(DETECTORS),
}
"""Of the deployment under test; everything else is as shipped."""

WORKER_LOG = f"""no record: the end of something that was cut off
{DAYS[1]} 09:00:00,100 ERROR [req-0a1b2c3d] service.worker: task 17 failed
Traceback (most recent call last):
  File "worker.py", line 12, in run
ValueError: no such order
{DAYS[1]} 09:00:01,200 INFO [req-0a1b2c3d] service.worker: task 18 done
{DAYS[2]} 09:00:01,200 INFO [req-0a1b2c3e] service.worker: task 19 done
"""
"""A file with a line that is no record, and a record of four lines."""


def logad(*arguments: object) -> Result:
    """Run a `logad` command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@dataclass(frozen=True)
class Deployed:
    """A deployment on disk."""

    root: Path

    @property
    def settings(self) -> Settings:
        return load_settings(self.root)

    @property
    def lake(self) -> Lake:
        return Lake(self.root)

    @property
    def registry(self) -> Registry:
        return Registry(self.settings)

    def rows(self, table: str, days: list[date] | None = None) -> list[dict[str, Any]]:
        """All rows of a table, in an order that does not depend on how they were written."""
        found = [row for batch in self.lake.scan(table, days) for row in batch.to_pylist()]
        return sorted(found, key=repr)

    @contextlib.contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        home = {"DAGSTER_HOME": str(self.root / "dagster")}
        with mock.patch.dict(os.environ, home), dg.DagsterInstance.get() as instance:
            yield instance

    def run_ids(self) -> set[str]:
        with self.instance() as instance:
            return {run.run_id for run in instance.get_runs()}

    def copy(self, to: Path) -> Deployed:
        """This deployment with tables and histories of its own; the models' files stay where they are."""
        shutil.copytree(self.root, to, ignore=shutil.ignore_patterns("artifacts", "simulated"))
        return Deployed(to)


@contextlib.contextmanager
def clean_environment(folder: Path) -> Iterator[None]:
    """The settings of the tests alone, in a folder without a configuration; afterwards all is as before."""
    before = Path.cwd()
    with mock.patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith(("LOGAD_", "DAGSTER_", "MLFLOW_"))]:
            del os.environ[name]
        os.environ.update(SETTINGS)
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


@functools.cache
def judged_lake(base: Path) -> Deployed:
    """`init`, `simulate`, `ingest` and `run`, once a session: four days, a model, and its verdicts."""
    import torch

    torch.set_num_threads(1)
    base.mkdir()
    made = Deployed(base / "lake")
    worker = base / "worker.log"
    worker.write_text(WORKER_LOG, encoding="utf-8")
    with clean_environment(base):
        commands: list[list[object]] = [
            ["init"],
            ["simulate", "--days", len(DAYS), "--lines-per-day", 300, "--start", FIRST],
        ]
        for command in commands:
            _succeed(logad(*command, "--lake", made.root))
        _succeed(logad("ingest", *sorted((made.root / "simulated").glob("*.log")), worker, "--lake", made.root))
        _succeed(logad("run", "--lake", made.root))
    return made


def raise_alarms(deployed: Deployed, share: float) -> None:
    """Let the windows with the highest scores of each day, ``share`` of them, raise an alarm each."""
    for day in DAYS:
        batches = list(deployed.lake.scan("scores", [day]))
        least = float(np.quantile(np.concatenate([batch.column("score").to_numpy() for batch in batches]), 1 - share))
        changed = []
        for batch in batches:
            scores = batch.column("score").to_numpy()
            for name, values in (
                ("is_anomaly", scores >= least),
                ("score", np.where(scores >= least, np.maximum(scores, 0.5 + scores / 2), scores)),
            ):
                place = batch.schema.get_field_index(name)
                batch = batch.set_column(place, batch.schema.field(place), pa.array(values))
            changed.append(batch)
        deployed.lake.replace_day("scores", day, changed)
        fold_alerts(deployed.lake, day)


def _succeed(result: Result) -> None:
    assert result.exit_code == 0, (result.output, result.exception)


@pytest.fixture(autouse=True)
def environment(tmp_path: Path) -> Iterator[None]:
    with clean_environment(tmp_path):
        yield
