from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from logad_pipeline.lake.labels import BadLabels, label_windows, read_labels
from logad_pipeline.lake.landing import land
from logad_pipeline.lake.normalising import normalise_day
from logad_pipeline.lake.tables import Lake
from logad_pipeline.lake.windowing import cut_day, read_windows
from logad_pipeline.logs.simulator import simulate
from logad_pipeline.windows import WindowSpec


def test_labels_of_simulated_logs_reach_the_windows_of_their_lines(lake: Lake, tmp_path: Path) -> None:
    simulation = simulate(tmp_path / "sim", start=date(2024, 1, 1), days=3, lines_per_day=500, first_incident_day=1)
    (lake.path("labels") / "labels.csv").write_bytes(simulation.labels.read_bytes())
    labels = read_labels(lake)
    assert sum(map(len, labels.values())) == simulation.labelled_lines > 0
    for path in simulation.logs:
        land(lake, path)
    found: dict[str, set[int]] = {}
    for day in lake.days("ledger"):
        normalise_day(lake, day, "none")
        cut_day(lake, day, WindowSpec("fixed", 1))
        for batch in read_windows(lake, [day]):
            for row, mark in zip(batch.to_pylist(), label_windows(batch, labels).to_pylist(), strict=True):
                assert (mark is None) == (row["source"] not in labels)
                if mark:
                    found.setdefault(row["source"], set()).update(row["lines"])
    assert found == labels


def test_a_source_may_be_labelled_as_all_normal(lake: Lake) -> None:
    (lake.path("labels") / "a.csv").write_text("source,line_no,label\na.log,1,0\nb.log,2,1\nb.log,3,normal\n")
    (lake.path("labels") / "b.csv").write_text("\ufeffline_no,source\n7,b.log\n")
    labels = read_labels(lake)
    assert labels == {"a.log": set(), "b.log": {2, 7}}
    sources, lines = ["a.log", "b.log", "b.log", "c.log"], [[1], [1, 2], [3], [1]]
    batch = pa.record_batch({"source": sources, "lines": lines})
    assert label_windows(batch, labels).to_pylist() == [False, True, False, None]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"line,source\n1,a\n", "x.csv: has no column 'line_no'"),
        (b"", "has no column 'source'"),
        (b"source,line_no\na,1\na,one\n", "x.csv line 3: line_no 'one' is no number"),
        (b"source,line_no\na\n", "line 2: line_no 'None' is no number"),
        (b"source,line_no\n\xff,1\n", "is no CSV in UTF-8"),
    ],
)
def test_bad_labels_are_refused_with_their_place(lake: Lake, content: bytes, reason: str) -> None:
    (lake.path("labels") / "x.csv").write_bytes(content)
    with pytest.raises(BadLabels, match=reason):
        read_labels(lake)
