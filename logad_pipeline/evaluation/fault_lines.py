"""Labels of single lines for sets that are judged by round: OpenStack's intervals from fault to failure.

Belongs here: carrying the published labels of lines over to the files that a benchmark has written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .benchmark_set import BenchmarkPart, BoolArray, SetNotFound, csv_rows, find_file

LABEL = "interval_label"


def openstack_lines(part: BenchmarkPart, data: Path) -> Mapping[str, BoolArray]:
    """For each test file, whether each line lies between the activation of a fault and the end of its round.

    Args:
        part: of the set ``openstack`` with rounds.
        data: the folder of the set, or the one above it.

    Raises:
        SetNotFound: the labels of a host are missing.
    """
    labels: dict[str, BoolArray] = {}
    out = {}
    for path in part.test:
        for origin in part.provenance[path.name]:
            host = origin.stream
            if host not in labels:
                labels[host] = _read(host, data)
            out[path.name] = labels[host][origin.lines - 1]
    return out


def _read(host: str, data: Path) -> BoolArray:
    tries = (find_file(folder, (f"{host}.labels.csv",)) for folder in (data, data / "openstack", data / "OpenStack"))
    table = next((path for path in tries if path is not None), None)
    if table is None:
        raise SetNotFound(f"{data}: no {host}.labels.csv (plain, .xz or .gz); fetch the set again")
    return np.array([row[LABEL] == "1" for row in csv_rows(table, ("line_no", LABEL))], dtype=np.bool_)
