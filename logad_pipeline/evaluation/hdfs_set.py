"""HDFS_v1 by block (Xu et al., SOSP 2009): the sample of whole blocks, or LogHub's whole log.

Belongs here: the split of blocks in time. The log is passed over twice, so that memory holds the blocks
and not the lines.
"""

from __future__ import annotations

import re
from array import array
from pathlib import Path
from typing import Final

from logad_pipeline.streams import ReadSpec
from logad_pipeline.windows import WindowSpec

from .benchmark_set import (
    TRAIN_SHARE,
    BenchmarkPart,
    BenchmarkSet,
    Layout,
    LineFile,
    SetNotFound,
    csv_rows,
    locate,
    only_variants,
    source_lines,
)

VARIANTS: Final = ("", "unlabelled")
DESCRIPTION: Final = "HDFS by block: 203 Hadoop nodes, anomalous blocks marked by the authors"
_BLOCK: Final = re.compile(rb"(blk_-?\d+)")
_LABELS: Final = ("anomaly_label.csv", "preprocessed/anomaly_label.csv")
_LAYOUTS: Final = (Layout("blocks", {"log": ("hdfs.log", "HDFS.log"), "labels": _LABELS}),)
_TRAINING: Final = {
    "": "normal blocks that lie wholly in the first 40 % of the lines; labels choose which blocks those are",
    "unlabelled": "all blocks that lie wholly in the first 40 % of the lines, anomalous ones among them; "
    "labels have no say",
}


def load_hdfs(data: Path, work: Path, variant: str = "") -> BenchmarkSet:
    """Blocks of HDFS; tests on all blocks that start after the first 40 % of the lines.

    A line belongs to the first block that it names, as in the session windows; lines without a block, and
    blocks that lie across the cut, are left out.

    Raises:
        SetNotFound: a file is missing, or a block has no label.
    """
    only_variants("hdfs", variant, VARIANTS)
    _, files = locate("hdfs", data, ("hdfs", "HDFS_v1", "HDFS"), _LAYOUTS)
    labels = read_block_labels(files["labels"])
    train, test = _split(files["log"], labels, keep_anomalous=variant == "unlabelled")
    folder = work / ("hdfs-unlabelled" if variant else "hdfs")
    with LineFile(folder / "train.log") as learn, LineFile(folder / "test.log") as judge:
        for number, line in source_lines(files["log"]):
            key = _block(line)
            into = learn if key in train else judge if key in test else None
            if into:
                into.write(line, number, files["log"].name)
        part = BenchmarkPart(
            "",
            (learn.path,),
            (judge.path,),
            truth={key.decode(): labels[key.decode()] for key in test},
            line_truth=None,
            provenance={learn.path.name: learn.close(), judge.path.name: judge.close()},
        )
    return BenchmarkSet(
        "hdfs",
        DESCRIPTION,
        "group",
        WindowSpec("session", group_by=_BLOCK.pattern.decode()),
        ReadSpec("hdfs"),
        (part,),
        _TRAINING[variant],
        frozenset({"Normal", "Anomaly"}),
    )


def read_block_labels(file: Path) -> dict[str, bool]:
    """Block to whether its authors call it anomalous."""
    return {row["BlockId"]: row["Label"] in ("1", "Anomaly") for row in csv_rows(file, ("BlockId", "Label"))}


def _block(line: bytes) -> bytes:
    match = _BLOCK.search(line)
    return match.group(1) if match else b""


def _split(log: Path, labels: dict[str, bool], *, keep_anomalous: bool) -> tuple[set[bytes], set[bytes]]:
    """Blocks to learn from, and blocks to judge, from one pass over the lines."""
    places: dict[bytes, int] = {}
    first, last = array("q"), array("q")
    number = 0
    for number, line in source_lines(log):
        key = _block(line)
        if not key:
            continue
        place = places.setdefault(key, len(first))
        if place == len(first):
            first.append(number)
            last.append(number)
        else:
            last[place] = number
    unlabelled = next((key.decode() for key in places if key.decode() not in labels), None)
    if unlabelled:
        raise SetNotFound(f"{log}: block {unlabelled} has no label; fetch log and labels of the same release")
    cut = int(TRAIN_SHARE * number)
    train = {key for key, i in places.items() if last[i] <= cut and (keep_anomalous or not labels[key.decode()])}
    test = {key for key, i in places.items() if first[i] > cut}
    return train, test
