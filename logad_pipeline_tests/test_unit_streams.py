"""From files to verdicts on units: what `logad detect --unit` rests on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.detectors.fitting import FitSpec
from logad_pipeline.detectors.units import UnitKind
from logad_pipeline.streams import ReadSpec, fit_files
from logad_pipeline.unit_streams import UnitScorer, UnitVerdict
from logad_pipeline.windows import WindowSpec
from logad_pipeline_tests.test_streams import START, syslog, write
from logad_pipeline_tests.tiny_model import FOREIGN, cycle_lines, tiny_fit_spec

READ = ReadSpec(year=2026)
SPEC = WindowSpec("fixed", size=5, group_by="process")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AnomalyDetector:
    folder = tmp_path_factory.mktemp("normal")
    files = [
        write(folder / f"{i:03d}.log", syslog(cycle_lines(35, i), START + timedelta(hours=i), (f"job{i}",)))
        for i in range(40)
    ]
    quick = tiny_fit_spec(60)
    spec = FitSpec(
        quick.encoder, quick.training, quick.scale,
        ("surprise", "worst_line", "distance", "counts", "events", "entity_graph"), device="cpu",
    )  # fmt: skip
    return fit_files(files, SPEC, spec, READ)[0]


def judge(model: AnomalyDetector, unit: str, files: list[str]) -> list[UnitVerdict]:
    scorer = UnitScorer(model, UnitKind.parse(unit), read=READ)
    return [verdict for file in files for verdict in scorer.score(file)]


def test_a_file_is_judged_whole(model: AnomalyDetector, tmp_path: Path) -> None:
    good = write(tmp_path / "good.log", syslog(cycle_lines(35, start=2), programs=("job3",)))
    lines = cycle_lines(35, start=2)
    lines[17] = FOREIGN
    bad = write(tmp_path / "bad.log", syslog(lines, programs=("job3",)))
    one, other = judge(model, "file", [good, bad])
    assert (one.source, one.first_line, one.last_line, one.windows) == (good, 1, 35, 7)
    assert other.score > one.score
    assert other.worst.window.lines == [16, 17, 18, 19, 20]


def test_a_group_is_judged_whole(model: AnomalyDetector, tmp_path: Path) -> None:
    source = write(tmp_path / "two.log", syslog(cycle_lines(70), programs=("job1", "job2")))
    verdicts = judge(model, "group", [source])
    assert [(v.group, v.windows) for v in verdicts] == [("web1/job1[7]", 7), ("web1/job2[7]", 7)]
    assert verdicts[1].first_line == 2


def test_a_span_of_minutes_holds_the_windows_that_begin_in_it(model: AnomalyDetector, tmp_path: Path) -> None:
    source = write(tmp_path / "a.log", syslog(cycle_lines(36)))  # ten seconds apart: six minutes
    verdicts = judge(model, "2min", [source])
    assert [v.windows for v in verdicts] == [3, 2, 3]
    assert sum(v.windows for v in verdicts) == 8


def test_json_has_the_unit_and_its_worst_window(model: AnomalyDetector, tmp_path: Path) -> None:
    (verdict,) = judge(model, "file", [write(tmp_path / "a.log", syslog(cycle_lines(35)))])
    told = verdict.to_dict("v1")
    assert set(told) == {
        "unit", "source", "group", "first_line", "last_line", "windows", "score", "risk", "is_anomaly", "detectors",
        "worst", "model_version",
    }  # fmt: skip
    assert told["unit"] == "file"
    assert told["worst"]["source"] == verdict.source
    assert 0 <= told["score"] < 1


def test_groups_need_a_key(model: AnomalyDetector) -> None:
    with pytest.raises(ValueError, match="fit the model with --group-by"):
        UnitScorer(model, UnitKind.parse("group"), WindowSpec("fixed", size=5))
