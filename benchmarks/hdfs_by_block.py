"""`logad fit` and `logad detect` on HDFS by block, against the authors' labels.

Splits in time as the data's README says: learns from normal blocks that lie wholly in the first 40 % of
the lines, judges all blocks that start after that. Labels choose the normal training blocks (as the
protocol has it) and measure at the end; the threshold never sees one.

python benchmarks/hdfs_by_block.py --data DIR [--seeds 0 1 2] [--max-steps N]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import lzma
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from logad_pipeline.evaluation.metrics import evaluate

BLOCK = re.compile(rb"blk_-?\d+")
LEVEL = re.compile(rb" (?:WARN|ERROR|FATAL) ")


def read_labels(file: Path) -> dict[str, bool]:
    """Block to whether its authors call it anomalous."""
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))[1:]
    return {row[0]: row[-1] in ("1", "Anomaly") for row in rows}


def split(lines: list[bytes], labels: dict[str, bool]) -> tuple[list[bytes], list[bytes], set[str]]:
    """Lines to learn from, lines to judge, and the blocks judged."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    keys = [match.group().decode() if (match := BLOCK.search(line)) else "" for line in lines]
    for number, key in enumerate(keys):
        first.setdefault(key, number)
        last[key] = number
    cut = int(0.4 * len(lines))
    train = {key for key in first if key and last[key] < cut and not labels[key]}
    test = {key for key in first if key and first[key] >= cut}
    assert not train & test
    return (
        [line for line, key in zip(lines, keys, strict=True) if key in train],
        [line for line, key in zip(lines, keys, strict=True) if key in test],
        test,
    )


def logad(*arguments: str) -> float:
    """Run the command; return its seconds."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "logad_pipeline", *arguments], check=True)
    return time.monotonic() - started


def run_seed(train: Path, test: Path, folder: Path, seed: int, max_steps: int) -> tuple[dict[str, float], float, float]:
    """Fit and detect; return the score of each block and the seconds of both."""
    model, out = folder / f"model-{seed}", folder / f"scores-{seed}.jsonl"
    fit = logad("fit", str(train), "--model", str(model), "--window-type", "session", "--group-by",
                r"(blk_-?\d+)", "--seed", str(seed), "--max-steps", str(max_steps))  # fmt: skip
    detect = logad("detect", str(test), "--model", str(model), "--json", "--output", str(out))
    scores: dict[str, float] = {}
    with out.open(encoding="utf-8") as stream:
        for row in map(json.loads, stream):
            scores[row["group"]] = max(row["score"], scores.get(row["group"], 0.0))
    return scores, fit, detect


def main() -> None:
    """Print a row a seed, and the simple rule beside them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with hdfs.log.xz and anomaly_label.csv.gz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--max-steps", type=int, default=700)
    options = parser.parse_args()
    labels = read_labels(options.data / "anomaly_label.csv.gz")
    with lzma.open(options.data / "hdfs.log.xz") as stream:
        train, test, blocks = split(stream.readlines(), labels)
    units = sorted(blocks)
    truth = np.array([labels[unit] for unit in units])
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "train.log").write_bytes(b"".join(train))
        (folder / "test.log").write_bytes(b"".join(test))
        for seed in options.seeds:
            scores, fit, detect = run_seed(folder / "train.log", folder / "test.log", folder, seed, options.max_steps)
            quality = evaluate(np.array([scores[unit] for unit in units]), truth, 0.5, seed=0, resamples=200)
            results.append({"seed": seed, "fit_s": round(fit), "detect_s": round(detect), **quality.to_dict()})
            print_row(f"seed {seed}", results[-1])
    flagged = {BLOCK.search(line).group().decode() for line in test if LEVEL.search(line) and BLOCK.search(line)}  # type: ignore[union-attr]
    rule = evaluate(np.array([float(unit in flagged) for unit in units]), truth, 0.5, seed=0, resamples=200)
    results.append({"seed": None, "baseline": "a WARN or ERROR line", **rule.to_dict()})
    print_row("WARN rule", results[-1])
    print(json.dumps(results))


def print_row(name: str, row: dict[str, object]) -> None:
    """One line of the table."""
    at = row["at_threshold"]
    assert isinstance(at, dict)
    print(f"{name:<10} ROC-AUC {row['roc_auc']:.4f}  PR-AUC {row['pr_auc']:.4f}  F1 {at['f1']:.3f}  "
          f"precision {at['precision']:.3f}  recall {at['recall']:.3f}  false alarms {at['false_alarm_rate']:.4f}  "
          f"fit {row.get('fit_s', '-')} s  detect {row.get('detect_s', '-')} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
