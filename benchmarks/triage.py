"""How long the triage pages take on a lake of many days.

Writes tables of so many days with so many windows each (ten records a window, eight hosts, one window in a hundred an
alarm), then asks the pages in this process, each a few times. Prints a table and writes JSON.

    python benchmarks/triage.py [--days 30] [--windows 2000] [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from logad_pipeline.lake.alerts import fold_alerts
from logad_pipeline.lake.schemas import NORMALIZED, SCORES, WINDOWS
from logad_pipeline.lake.tables import Lake
from logad_pipeline.logs.log_tokenizer import MASK_VERSION

SIZE, HOSTS, TEXTS = 10, 8, 400
LAST = date(2026, 3, 31)


def write_day(lake: Lake, day: date, windows: int, rng: np.random.Generator) -> None:
    """Records, windows and scores of a day, and its alerts."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    seconds = np.sort(rng.integers(0, 86_400, windows))
    records: list[dict[str, Any]] = []
    cut: list[dict[str, Any]] = []
    judged: list[dict[str, Any]] = []
    for number in range(windows):
        host = f"host-{rng.integers(HOSTS)}"
        at = begin + timedelta(seconds=int(seconds[number]))
        texts = rng.integers(0, TEXTS, SIZE).tolist()
        ids = list(range(number * SIZE, number * SIZE + SIZE))
        for record, text in zip(ids, texts, strict=True):
            records.append({
                "day": day, "record_id": record, "timestamp": at, "host_name": host, "service_name": "service",
                "process_pid": "7", "severity_text": "INFO", "body": f"template {text} with number {record}",
                "source": f"{host}.log", "file_sha256": "0" * 64, "first_line": record + 1, "last_line": record + 1,
                "text": f"template {text} with number num", "text_id": text, "group_key": host, "group_by": "host",
                "mask_version": MASK_VERSION, "edges": [], "numbers": [],
            })  # fmt: skip
        window = {
            "day": day, "window_id": f"{day.toordinal():08x}{number:08x}", "source": f"{host}.log", "group_key": host,
            "lines": [record + 1 for record in ids], "text_ids": texts, "first_line": ids[0] + 1,
            "last_line": ids[-1] + 1, "first_time": at, "last_time": at, "mask_version": MASK_VERSION,
        }  # fmt: skip
        alarm = rng.random() < 0.01
        score = float(rng.uniform(0.5, 1) if alarm else rng.uniform(0, 0.5))
        cut.append(window | {"record_ids": ids, "window_spec": "{}"})
        judged.append(window | {
            "score": score, "risk": "high" if score > 0.85 else "medium" if alarm else "low", "is_anomaly": alarm,
            "detectors": [("surprise", score), ("counts", score)], "model_name": "logad", "model_version": "1",
            "log10_p": -1.0, "worst": 0,
        })  # fmt: skip
    for table, rows, schema in (
        ("normalized", records, NORMALIZED), ("windows", cut, WINDOWS), ("scores", judged, SCORES),
    ):  # fmt: skip
        lake.replace_day(table, day, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    fold_alerts(lake, day)


def measure(lake: Lake, days: int, times: int) -> dict[str, dict[str, float]]:
    """Seconds of each page: the first view of a fresh application, and the median of those after it."""
    from logad_pipeline.serving.app import create_app
    from logad_pipeline.settings import load_settings

    first = LAST - timedelta(days=days - 1)
    whole = f"from={first}&to={LAST}"
    pages = {
        "first page, newest 7 days": "/", "first page, all days": f"/?{whole}", "windows": f"/triage/windows?{whole}",
        "windows of a host": f"/triage/windows?{whole}&host=host-1", "search": f"/triage/search?{whole}&q=number+777",
        "search without a hit": f"/triage/search?{whole}&q=nowhere",
    }  # fmt: skip
    out = {}
    for name, path in pages.items():
        client = create_app(load_settings(lake.root)).test_client()
        seconds, size = [], 0
        for _ in range(times):
            began = time.perf_counter()
            response = client.get(path, headers={"Accept": "text/html"})
            seconds.append(time.perf_counter() - began)
            size = len(response.data)
            if response.status_code != 200:
                raise SystemExit(f"{path}: {response.status_code} {response.text}")
        out[name] = {"first": seconds[0], "median": float(np.median(seconds[1:])), "kilobytes": size / 1000}
    return out


def main() -> None:
    """Write the lake, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--windows", type=int, default=2000)
    parser.add_argument("--times", type=int, default=6)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="logad-triage-") as folder:
        lake = Lake(Path(folder) / "lake")
        lake.create()
        for back in reversed(range(options.days)):
            write_day(lake, LAST - timedelta(days=back), options.windows, rng)
        found = measure(lake, options.days, options.times)
    print(f"{options.days} days of {options.windows} windows")
    print(f"{'page':<28} {'first s':>8} {'then s':>8} {'kB':>6}")
    for name, row in found.items():
        print(f"{name:<28} {row['first']:>8.3f} {row['median']:>8.3f} {row['kilobytes']:>6.0f}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
