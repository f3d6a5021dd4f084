"""What a backfill of thirty days costs: runs, seconds, processor time and peak memory.

Makes a lake of simulated logs, trains the shipped model on its first third, starts Dagster's webserver and daemon
as `logad dev` does, asks for a backfill of all days as an operator would (`logad backfill`), and watches the
processes that do the work. The days are prepared and judged anew, all of them, by a champion that has judged none
of the later ones before.

    python benchmarks/backfill.py [--days 30] [--lines-per-day 1500] [--max-steps 150] [--output FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

FIRST = date(2026, 3, 2)
LOOK_SECONDS = 0.25


@dataclass
class Deployment:
    """A lake below ``root`` and the commands on it."""

    root: Path
    max_steps: int

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the caller's settings, but those of this script."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LOGAD_", "DAGSTER_"))}
        return clean | {
            "LOGAD_LAKE": str(self.root / "lake"),
            "LOGAD_FIRST_DAY": str(FIRST),
            "LOGAD_MODEL__BASE_MODEL": "random",
            "LOGAD_MODEL__MAX_STEPS": str(self.max_steps),
            "LOGAD_OPERATION__BY_ITSELF": "false",
        }

    def logad(self, *arguments: object) -> str:
        """Run a command to its end; what it wrote to stdout."""
        command = [sys.executable, "-m", "logad_pipeline", *map(str, arguments)]
        done = subprocess.run(
            command, env=self.environment, cwd=self.root, stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"`logad {' '.join(map(str, arguments))}` ended with {done.returncode}")
        return done.stdout

    @contextmanager
    def pages(self) -> Iterator[tuple[str, int]]:
        """Webserver and daemon: their address and the id of the process above them."""
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        command = [sys.executable, "-m", "logad_pipeline", "dev", "--port", str(port)]
        with (self.root / "dev.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=self.environment, cwd=self.root, stdout=log, stderr=log, start_new_session=True
            )
        url = f"http://127.0.0.1:{port}"
        try:
            while not _knows_assets(url):
                if process.poll() is not None:
                    raise SystemExit((self.root / "dev.log").read_text(errors="replace"))
                time.sleep(0.5)
            yield url, process.pid
        finally:
            os.killpg(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            # Code servers outlive their master until they miss its heartbeat.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _knows_assets(url: str) -> bool:
    body = json.dumps({"query": "{ assetNodes { id } }"}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bool((json.load(answer).get("data") or {}).get("assetNodes"))
    except OSError:
        return False


@dataclass
class Watch:
    """Processes below one: how much memory each had at most, and the processor time that it took since the start."""

    top: int
    peak: dict[int, float] = field(default_factory=dict)
    took: dict[int, float] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    _before: dict[int, float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._look()
        self._before = dict(self.took)
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def cpu_seconds(self) -> float:
        """Of all of them since the watch began, children that came and went between two looks left out."""
        return sum(took - self._before.get(pid, 0.0) for pid, took in self.took.items())

    def biggest(self) -> tuple[str, float]:
        """The process that was biggest, and its peak in MiB."""
        pid = max(self.peak, key=self.peak.__getitem__)
        return self.names[pid], self.peak[pid]

    def _go_on(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        import psutil

        for process in psutil.Process(self.top).children(recursive=True):
            with contextlib.suppress(psutil.Error, OSError):
                times = process.cpu_times()
                self.took[process.pid] = times.user + times.system
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                # The kernel's own high-water mark, so that no peak between two looks is missed.
                marks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
                if marks:  # a process that has ended has none
                    self.peak[process.pid] = int(marks[0]) / 1024
                    self.names.setdefault(process.pid, " ".join(process.cmdline())[:120])


def measure(root: Path, days: int, lines_per_day: int, max_steps: int) -> dict[str, object]:
    """Make the lake, run the backfill, and say what it took."""
    made, last = Deployment(root, max_steps), FIRST + timedelta(days=days - 1)
    made.logad("init")
    print(made.logad("simulate", "--start", FIRST, "--days", days, "--lines-per-day", lines_per_day).strip())
    made.logad("ingest", *sorted((root / "lake" / "simulated").glob("*.log")))
    made.logad("run", "--from", FIRST, "--to", FIRST + timedelta(days=max(2, days // 3) - 1))
    with made.pages() as (url, pid), Watch(pid) as watch:
        began = time.monotonic()
        told = json.loads(made.logad("backfill", "--from", FIRST, "--to", last, "--url", url, "--json"))
        seconds = time.monotonic() - began
    name, peak = watch.biggest()
    return {
        "days": told["days"], "lines_per_day": lines_per_day, "runs": len(told["runs"]), "seconds": seconds,
        "cpu_seconds": watch.cpu_seconds(), "peak_mebibytes": peak, "biggest_process": name, "cpus": os.cpu_count(),
    }  # fmt: skip


def main() -> int:
    """Run it and print one line; the JSON has the same figures."""
    parser = argparse.ArgumentParser(description="Cost of a backfill.")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--lines-per-day", type=int, default=1500)
    parser.add_argument("--max-steps", type=int, default=150, help="of the champion's training")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logad-backfill-") as name:
        told = measure(Path(name), options.days, options.lines_per_day, options.max_steps)
    print(f"{told['days']} days of {told['lines_per_day']} lines: {told['runs']} run(s), {told['seconds']:.0f} s, "
          f"{told['cpu_seconds']:.0f} s of processor time, at most {told['peak_mebibytes']:.0f} MiB in one process "
          f"({told['biggest_process']})")  # fmt: skip
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
