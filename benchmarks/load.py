"""How many requests a second the API answers, how fast, and whether its memory stays flat.

Starts `logad serve` on a model (one fitted on simulated logs, if none is named) and asks it with 1 to 64 clients,
each on a connection of its own: ten lines a request, once with lines seen before, once with lines whose windows
are new. Prints a table and writes JSON. With --soak it asks for so many seconds, and watches the memory instead.

    python benchmarks/load.py [--model DIR] [--seconds 8] [--clients 1,2,4,8,16,32,64] [--output FILE]
    python benchmarks/load.py --soak 300 [--model DIR] [--output FILE]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

LINES = 10
_MESSAGES = (
    "sshd[812]: Accepted publickey for deploy from 10.0.0.7 port 40022 ssh2",
    "sshd[812]: pam_unix(sshd:session): session opened for user deploy by (uid=0)",
    "sshd[812]: pam_unix(sshd:session): session closed for user deploy",
    "systemd[1]: Started Session 114 of user deploy.",
    "CRON[4411]: (root) CMD (run-parts /etc/cron.hourly)",
    "service.worker: task 1871 done in 231 ms",
    "service.api: GET /orders/list 200 12 ms",
    "kernel: eth0: link up, 1000 Mbps, full duplex",
)
Body = Callable[[int], bytes]


def fit_model(folder: Path) -> Path:
    """A model of the shipped size, on a day of simulated logs."""
    from logad_pipeline.detectors.encoder import EncoderSpec
    from logad_pipeline.detectors.fitting import FitSpec
    from logad_pipeline.detectors.training import TrainingSpec
    from logad_pipeline.logs.simulator import simulate
    from logad_pipeline.streams import fit_files
    from logad_pipeline.windows import WindowSpec

    logs = simulate(folder / "logs", start=date(2026, 3, 2), days=2, lines_per_day=1500, seed=0)
    spec = FitSpec(encoder=EncoderSpec(base_model="random"), training=TrainingSpec(max_steps=40))
    model, _ = fit_files([str(path) for path in logs.logs], WindowSpec("fixed", LINES), spec)
    model.save(folder / "model")
    return folder / "model"


@contextmanager
def server(model: Path, folder: Path) -> Iterator[tuple[int, int]]:
    """A running server: its port and the id of the process that answers."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "logad_pipeline", "serve", "--model", str(model), "--port", str(port),
               "--lake", str(folder / "lake")]  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        while not _ready(port):
            if process.poll() is not None:
                raise SystemExit((folder / "server.log").read_text())
            time.sleep(0.2)
        import psutil

        children = psutil.Process(process.pid).children()
        yield port, children[0].pid if children else process.pid
    finally:
        process.terminate()
        process.wait()


def _ready(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False


def _ask_once(port: int, payload: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/score_log", payload)
    connection.getresponse().read()
    connection.close()


def seen(number: int) -> bytes:
    """One of twenty requests, whose windows are remembered once each was asked."""
    return _body([_line(number % 20 * 31 + i, i) for i in range(LINES)])


def new(number: int) -> bytes:
    """A request whose window was hardly ever seen: usual lines in an order of its own, one of a billion."""
    return _body([_line(number * 7919 + i * 104_729, i) for i in range(LINES)])


def _line(seed: int, second: int) -> str:
    return f"Mar  2 10:00:{second:02} web01 {_MESSAGES[int(np.random.default_rng(seed).integers(len(_MESSAGES)))]}"


def _body(lines: list[str]) -> bytes:
    return json.dumps({"log_seq": lines}).encode()


def ask(port: int, clients: int, seconds: float, body: Body, first: int = 0) -> tuple[list[float], list[str], float]:
    """Ask for some seconds: the time of each answer, what was no answer, and how long it was until the last one."""
    start = time.perf_counter()
    until = start + seconds
    times: list[list[float]] = [[] for _ in range(clients)]
    errors: list[str] = []

    def client(me: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        number = first + me
        while time.perf_counter() < until:
            payload = body(number)
            began = time.perf_counter()
            try:
                connection.request("POST", "/score_log", payload, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    errors.append(str(response.status))
            except (OSError, http.client.HTTPException) as error:
                errors.append(type(error).__name__)
                connection.close()
            times[me].append(time.perf_counter() - began)
            number += clients

    threads = [threading.Thread(target=client, args=(me,)) for me in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [each for some in times for each in some], errors, time.perf_counter() - start


def load(port: int, clients: list[int], seconds: float) -> list[dict[str, Any]]:
    """The table: a row a number of clients and kind of request."""
    rows = []
    for number in range(20):
        _ask_once(port, seen(number))
    first = 0
    for name, body in (("seen", seen), ("new", new)):
        for count in clients:
            times, errors, took = ask(port, count, seconds, body, first)
            first += len(times) + count
            p50, p99 = (1000 * float(np.quantile(times, q)) for q in (0.5, 0.99))
            rows.append({"windows": name, "clients": count, "requests": len(times), "errors": len(errors),
                         "requests_a_second": len(times) / took, "p50_ms": p50, "p99_ms": p99})  # fmt: skip
            print(f"{name:<6} {count:>7} {len(times) / took:>12.1f} {p50:>9.1f} {p99:>9.1f} {len(errors):>7}",
                  flush=True)  # fmt: skip
    return rows


def soak(port: int, pid: int, seconds: float) -> dict[str, Any]:
    """Ask with 8 clients, half of the requests new, and look at the memory every few seconds."""
    import psutil

    process, memory, stop = psutil.Process(pid), [], threading.Event()

    def look() -> None:
        while not stop.wait(min(5.0, seconds / 20)):
            memory.append(process.memory_info().rss / 2**20)

    looking = threading.Thread(target=look)
    looking.start()
    times, errors, _ = ask(port, 8, seconds, lambda number: new(number) if number % 2 else seen(number))
    stop.set()
    looking.join()
    part = max(1, len(memory) // 5)
    # The first fifth fills the memory of scores and the allocator's pools.
    early, late = (float(np.median(some)) for some in (memory[part : 2 * part], memory[-part:]))
    print(f"{len(times)} requests in {seconds:.0f} s, {len(errors)} errors; memory {early:.0f} MiB after a fifth of "
          f"the time, {late:.0f} MiB at the end ({late / early - 1:+.1%})")  # fmt: skip
    return {"requests": len(times), "errors": len(errors), "seconds": seconds, "mebibytes": memory,
            "early": early, "late": late}  # fmt: skip


def main() -> int:
    """Run it; 1 if a request failed or memory grew by more than a twentieth."""
    parser = argparse.ArgumentParser(description="Load test of the API.")
    parser.add_argument("--model", type=Path, help="model folder; by default one is fitted on simulated logs")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each row")
    parser.add_argument("--clients", default="1,2,4,8,16,32,64")
    parser.add_argument("--soak", type=float, help="seconds to soak for, instead of the table")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logad-load-") as name:
        folder = Path(name)
        model = options.model or fit_model(folder)
        with server(model, folder) as (port, pid):
            told: dict[str, Any] = {"cpus": os.cpu_count()}
            if options.soak:
                told |= soak(port, pid, options.soak)
                failed = told["errors"] or told["late"] > 1.05 * told["early"]
            else:
                print(f"{'windows':<6} {'clients':>7} {'requests/s':>12} {'p50 ms':>9} {'p99 ms':>9} {'errors':>7}")
                told["rows"] = load(port, [int(count) for count in options.clients.split(",")], options.seconds)
                failed = any(row["errors"] for row in told["rows"])
        if options.output:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
