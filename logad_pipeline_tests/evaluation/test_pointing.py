"""How good evidence is: what counts as a hit, and what the guesses beside it would do."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.evaluation.benchmark_set import BenchmarkPart, BenchmarkSet, SetNotFound, Unit, label_text
from logad_pipeline.evaluation.datasets import load_set
from logad_pipeline.evaluation.fault_lines import openstack_lines
from logad_pipeline.evaluation.pointing import Pointing, measure_pointing, table
from logad_pipeline.evaluation.simulated_set import RIGHT_KINDS, simulated_set
from logad_pipeline.explanation.evidence import KINDS
from logad_pipeline.logs.log_tokenizer import LogTokenizer
from logad_pipeline.logs.parser import read_records
from logad_pipeline.logs.records import Record
from logad_pipeline.logs.simulator import INCIDENT_KINDS
from logad_pipeline.streams import ReadSpec
from logad_pipeline_tests.evaluation.small_sets import HOSTS, write_rounds
from logad_pipeline_tests.tiny_model import FOREIGN, WINDOW, cycle_lines, tiny_model


@pytest.fixture(scope="module")
def model() -> AnomalyDetector:
    return tiny_model()


def labelled_set(folder: Path, lines: list[str], unit: Unit) -> tuple[BenchmarkSet, dict[str, np.ndarray]]:
    """A set of one test file whose foreign lines are labelled."""
    path = folder / "test.log"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    truth = {path.name: np.array([line == FOREIGN for line in lines])}
    part = BenchmarkPart("", (), (path,), None, truth, {})
    return BenchmarkSet("small", "", unit, WINDOW, ReadSpec("plain"), (part,), ""), truth


def test_a_foreign_line_is_pointed_at_first_and_chance_is_told_beside_it(
    model: AnomalyDetector, tmp_path: Path
) -> None:
    lines = cycle_lines(70)
    for place in (12, 33, 51):
        lines[place] = FOREIGN
    benchmark, truth = labelled_set(tmp_path, lines, "window")
    found = measure_pointing(benchmark, model, truth)
    told = found.to_dict()
    assert (found.units, found.alarms, found.one_sided) == (3, 3, 0)
    assert told["hits"]["logad"] == {"first": 1.0, "one_of_three": 1.0}
    assert told["hits"]["a random line"] == pytest.approx({"first": 1 / 5, "one_of_three": 3 / 5})
    assert told["hits"]["the rarest template"]["first"] == 1.0
    assert told["kinds_right"] is None
    assert "a random line" in table([found])


def test_windows_of_labelled_lines_alone_are_left_out(model: AnomalyDetector, tmp_path: Path) -> None:
    benchmark, truth = labelled_set(tmp_path, [*cycle_lines(20), *[FOREIGN] * 5, *cycle_lines(5, 20)], "window")
    found = measure_pointing(benchmark, model, truth)
    assert (found.units, found.one_sided) == (0, 1)


def test_of_a_file_the_lines_of_its_worst_windows_are_looked_at(model: AnomalyDetector, tmp_path: Path) -> None:
    lines = cycle_lines(70)
    lines[33] = FOREIGN
    benchmark, truth = labelled_set(tmp_path, lines, "file")
    told = measure_pointing(benchmark, model, truth).to_dict()
    assert (told["units"], told["hits"]["logad"]["first"]) == (1, 1.0)
    assert told["hits"]["a random line"]["first"] == pytest.approx(1 / 70)


def test_of_each_incident_the_worst_window_counts_and_its_kind_is_held_against_the_right_ones(
    model: AnomalyDetector, tmp_path: Path
) -> None:
    lines = cycle_lines(40)
    lines[12], lines[23] = FOREIGN, FOREIGN
    benchmark, truth = labelled_set(tmp_path, lines, "window")
    incident = ("INC-001", "disk_failure")
    incidents = {"test.log": [incident if line == FOREIGN else None for line in lines]}
    found = measure_pointing(benchmark, model, truth, incidents)
    assert found.units == 1 and found.kinds == {("disk_failure", "new template"): 1}
    assert found.kinds_right == 1.0
    wrong = Pointing("x")
    wrong.kinds["disk_failure", "order"] += 1
    assert wrong.kinds_right == 0.0 and "order 1 (wrong)" in table([wrong])


def test_the_simulated_set_knows_each_incident_and_learns_from_none(tmp_path: Path) -> None:
    made = simulated_set(tmp_path, days=14, lines_per_day=1000)
    assert set(RIGHT_KINDS) == set(INCIDENT_KINDS)
    assert all(kinds <= set(KINDS) for kinds in RIGHT_KINDS.values())
    part = made.benchmark.parts[0]
    normalise = LogTokenizer().normalise
    learned: set[str] = set()
    for path in part.train:
        learned |= {normalise(r.message) for r in read_records(str(path), year=2026) if isinstance(r, Record)}
    told: dict[str, set[str]] = {}
    assert part.line_truth is not None
    for path in part.test:
        known = made.incidents[path.name]
        assert len(known) == len(part.line_truth[path.name]) == len(path.read_bytes().splitlines())
        for record in read_records(str(path), year=2026):
            if isinstance(record, Record) and (incident := known[record.first_line - 1]):
                told.setdefault(incident[1], set()).add(normalise(record.message))
    assert len(told) > 5
    for kind, texts in told.items():
        if RIGHT_KINDS[kind] == {"new template"}:
            assert texts - learned, kind
        if RIGHT_KINDS[kind] in ({"order"}, {"missing"}):
            heads = {" ".join(text.split()[:2]) for text in learned}
            assert {" ".join(text.split()[:2]) for text in texts} <= heads, kind


def test_too_few_days_hold_no_incident(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="7 days hold no incident"):
        simulated_set(tmp_path, days=7)


def test_labels_of_lines_follow_them_into_the_files_of_their_rounds(tmp_path: Path) -> None:
    folder = tmp_path / "openstack"
    write_rounds(folder)
    marked = {}
    for host in HOSTS:
        table = next(path for path in folder.iterdir() if path.name.startswith(f"{host}.labels"))
        head, *rows = [row.split(",") for row in label_text(table).splitlines()]
        for number, row in enumerate(rows):
            row[head.index("interval_label")] = "1" if number % 3 == 1 else "0"
        table.write_bytes(gzip.compress("\n".join(map(",".join, [head, *rows])).encode()))
        marked[host] = [number % 3 == 1 for number in range(len(rows))]
    part = load_set("openstack", tmp_path, tmp_path / "work").parts[0]
    lines = openstack_lines(part, tmp_path)
    assert set(lines) == {path.name for path in part.test}
    for path in part.test:
        (origin,) = part.provenance[path.name]
        assert lines[path.name].any()
        assert lines[path.name].tolist() == [marked[origin.stream][number - 1] for number in origin.lines]
    with pytest.raises(SetNotFound, match=r"no .*labels\.csv"):
        openstack_lines(part, tmp_path / "work")
