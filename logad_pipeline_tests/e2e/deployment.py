"""A deployment of its own with a real webserver and daemon, as `logad dev` starts them.

Belongs here: starting, asking and stopping it. What it is to do stands in the tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from logad_pipeline.lake.judged_days import JudgedDay, judged_days
from logad_pipeline.lake.tables import Lake
from logad_pipeline.logs.simulator import simulate
from logad_pipeline_tests.tiny_model import write_checkpoint

REPOSITORY = Path(__file__).resolve().parents[2]
FIRST = date(2025, 3, 3)
PATIENCE_SECONDS = 600.0
"""How long something may take that should happen by itself; a slow machine is no failure."""


@dataclass
class Serving:
    """A lake below ``root``, and the processes that work on it."""

    root: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    story: list[tuple[float, str]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def lake(self) -> Lake:
        return Lake(self.root / "lake")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LOGAD_", "DAGSTER_"))}
        return clean | {
            "LOGAD_CONFIG": str(self.root / "logad.toml"),
            "PYTHONPATH": str(REPOSITORY),
            "OMP_NUM_THREADS": "1",
        }

    def tiny_base(self) -> str:
        """A checkpoint that is trained in seconds, to be the base model."""
        return str(write_checkpoint(self.root / "tiny"))

    def settle(self, first_day: date = FIRST, **sections: Mapping[str, object]) -> None:
        """Write the settings; those of models and alerts count from the next run on."""
        lines = ['lake = "lake"', f"first_day = {first_day}"]
        for name, values in sections.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
        (self.root / "logad.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def logad(self, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [sys.executable, "-m", "logad_pipeline", *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, cwd=self.root, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-4000:])
        return done

    def start(self) -> None:
        """Start webserver and daemon, and wait until they answer."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        log = (self.root / "dev.log").open("wb")
        command = [sys.executable, "-m", "logad_pipeline", "dev", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, env=self.environment, cwd=self.root, stdout=log, stderr=log, start_new_session=True
        )
        self.wait_for("Dagster's pages answer", self._answers)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.root / "dev.log").read_text()[-4000:]
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=5):
                return bool(self.ask("{ repositoriesOrError { __typename ... on RepositoryConnection "
                                     "{ nodes { name } } } }")["repositoriesOrError"].get("nodes"))  # fmt: skip
        except OSError:
            return False

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """A GraphQL question."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def runs(self) -> list[dict[str, Any]]:
        """All runs, newest first."""
        query = """{ runsOrError(limit: 200) { ... on Runs { results {
            runId jobName status startTime endTime tags { key value } } } } }"""
        found: list[dict[str, Any]] = self.ask(query)["runsOrError"]["results"]
        return found

    def wait_for(self, what: str, holds: Callable[[], object]) -> Any:
        """Wait until something holds, and note when it did; fail with what the runs say if it never does."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := holds()):
            if time.monotonic() > deadline:
                states = [(run["jobName"], run["status"]) for run in self.runs()]
                log = (self.root / "dev.log").read_text(errors="replace")[-6000:]
                raise AssertionError(f"{what}: not within {PATIENCE_SECONDS:.0f} s; runs {states}; log {log}")
            time.sleep(1.0)
        self.tell(what)
        return found

    def tell(self, what: str) -> None:
        """Note that something has happened."""
        self.story.append((time.monotonic() - self.began, what))
        print(f"{self.story[-1][0]:7.1f} s  {what}", flush=True)

    def stop(self) -> None:
        """Stop all that `start` started."""
        if self.process is None or self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        # Code servers outlive their master until they miss its heartbeat.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def judged(self) -> dict[date, JudgedDay]:
        """The judged days."""
        return {row.day: row for row in judged_days(self.lake)}

    def drop(self, first: date, days: int, seed: int, lines_per_day: int = 300) -> None:
        """Put simulated logs of some days into the inbox, as a copy that takes its time would."""
        made = simulate(
            self.root / f"simulated-{seed}", start=first, days=days, seed=seed, lines_per_day=lines_per_day,
            first_incident_day=days,
        )  # fmt: skip
        for log in made.logs:
            target = self.lake.path("inbox") / f"{first}" / log.name
            target.parent.mkdir(exist_ok=True)
            partial = target.with_name(f"{log.name}.part")
            shutil.copy2(log, partial)  # with its time, which tells the year of stamps that name none
            partial.replace(target)
