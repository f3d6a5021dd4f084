"""Hadoop by application (Lin et al., ICSE 2016), in LogHub's layout: a folder of container logs each.

Belongs here: reading which applications failed, and putting the container logs of one together.
"""

from __future__ import annotations

import re
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
    Origin,
    SetNotFound,
    label_text,
    locate,
    only_variants,
    source_lines,
)

VARIANTS: Final = ("", "unlabelled")
DESCRIPTION: Final = "Hadoop by application: two jobs run with and without injected failures; LogHub's layout only"
_APPLICATION: Final = re.compile(r"application_(\d+)_(\d+)")
_TRAINING: Final = {
    "": "normal applications among the first 40 % in time; labels choose them, and they are few",
    "unlabelled": "all applications among the first 40 % in time, failed ones among them; labels have no say",
}


def load_hadoop(data: Path, work: Path, variant: str = "") -> BenchmarkSet:
    """Applications of Hadoop; the unit is the application: its container logs one after another.

    Containers are numbered as they start, so their order is that of time, while their lines overlap in
    time; a window of ten lines at a seam holds lines of two containers. Applications are ordered by their
    id, which is the start of the cluster and a running number.

    Raises:
        SetNotFound: a file is missing, or an application has no label.
    """
    only_variants("hadoop", variant, VARIANTS)
    layout = Layout("loghub", {"labels": ("abnormal_label.txt",)})
    _, files = locate("hadoop", data, ("hadoop", "Hadoop"), (layout,))
    labels = read_application_labels(files["labels"])
    found = [path for path in files["labels"].parent.glob("application_*") if path.is_dir()]
    applications = sorted(found, key=lambda path: _order(path.name))
    unknown = next((path.name for path in applications if path.name not in labels), None)
    if not applications or unknown:
        what = f"{unknown} has no label in {files['labels'].name}" if unknown else "no folder application_*"
        raise SetNotFound(f"{files['labels'].parent}: {what}; unpack LogHub's whole Hadoop set there")
    cut = int(TRAIN_SHARE * len(applications))
    folder = work / ("hadoop-unlabelled" if variant else "hadoop")
    train: list[Path] = []
    truth: dict[str, bool] = {}
    provenance: dict[str, tuple[Origin, ...]] = {}
    for place, source in enumerate(applications):
        if place < cut and labels[source.name] and not variant:
            continue
        path = folder / f"{place + 1:04d}.log"
        provenance[path.name] = _join_containers(source, path, place)
        if place < cut:
            train.append(path)
        else:
            truth[path.name] = labels[source.name]
    part = BenchmarkPart("", tuple(train), tuple(folder / name for name in truth), truth, None, provenance)
    return BenchmarkSet(
        "hadoop",
        DESCRIPTION,
        "file",
        WindowSpec("fixed", size=10),
        ReadSpec(),
        (part,),
        _TRAINING[variant],
        frozenset({"normal", "abnormal"}),
    )


def read_application_labels(file: Path) -> dict[str, bool]:
    """Application to whether a failure was injected: each stands below the heading of its kind."""
    labels: dict[str, bool] = {}
    failed = True
    for line in label_text(file).splitlines():
        if match := _APPLICATION.search(line):
            labels[match.group()] = failed
        elif line.strip():
            failed = not line.strip().lower().startswith("normal")
    return labels


def _order(application: str) -> tuple[int, int]:
    match = _APPLICATION.fullmatch(application)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)


def _join_containers(source: Path, path: Path, place: int) -> tuple[Origin, ...]:
    with LineFile(path) as file:
        for container in sorted(source.glob("*.log*")):
            for number, line in source_lines(container):
                file.write(line, number, f"{source.name}/{container.name}", "", place)
        return file.close()
