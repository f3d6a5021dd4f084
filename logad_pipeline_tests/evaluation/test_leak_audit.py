"""The leak audit: clean sets pass, and a leak of every kind that is planted is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from logad_pipeline.evaluation.benchmark_set import BenchmarkPart, BenchmarkSet, LineFile, source_lines
from logad_pipeline.evaluation.datasets import load_set
from logad_pipeline.evaluation.leak_audit import LeakFound, audit, raise_on_leak, threshold_is_label_free

from ..conftest import shared_data
from .small_sets import only_part, write_by_line, write_hadoop, write_hdfs, write_hpc, write_instances, write_rounds


def hdfs(folder: Path, variant: str = "") -> BenchmarkSet:
    write_hdfs(folder / "hdfs", public=False)
    return load_set("hdfs", folder, folder / "work", variant)


def rounds(folder: Path) -> BenchmarkSet:
    write_rounds(folder / "openstack")
    return load_set("openstack", folder, folder / "work")


def bgl(folder: Path) -> BenchmarkSet:
    write_hpc(folder / "BGL", "BGL.log")
    return load_set("bgl", folder, folder / "work")


def with_part(benchmark: BenchmarkSet, part: BenchmarkPart) -> BenchmarkSet:
    return replace(benchmark, parts=(part,))


def failures(benchmark: BenchmarkSet) -> dict[str, str]:
    return {finding.name: finding.detail for finding in audit(benchmark) if not finding.passed}


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(b"".join(change(line) for _, line in source_lines(path)))


def test_sets_as_loaded_pass(tmp_path: Path) -> None:
    write_hdfs(tmp_path / "hdfs", public=True)
    write_rounds(tmp_path / "openstack")
    write_hpc(tmp_path / "BGL", "BGL.log")
    write_hpc(tmp_path / "thunderbird", "thunderbird.log")
    write_by_line(tmp_path / "linux", "Linux.log", "labels_weak.csv")
    write_hadoop(tmp_path / "Hadoop")
    write_instances(tmp_path / "instances" / "OpenStack")
    for name in ("hdfs", "openstack", "bgl", "thunderbird", "linux", "hadoop"):
        findings = audit(load_set(name, tmp_path, tmp_path / "work"), lambda part: 0.5)
        raise_on_leak(findings)
        assert len(findings) == 7
    raise_on_leak(audit(load_set("openstack", tmp_path / "instances", tmp_path / "work")))
    by_host = audit(load_set("openstack", tmp_path, tmp_path / "work", "per-host"))
    assert {finding.name for finding in by_host} >= {"units (10.0.0.1)", "units (10.0.0.2)"}
    raise_on_leak(by_host)


@pytest.mark.parametrize(("name", "variant"), [("hdfs", ""), ("openstack", ""), ("thunderbird", "")])
def test_the_shared_sets_pass(tmp_path: Path, name: str, variant: str) -> None:
    raise_on_leak(audit(load_set(name, shared_data(name), tmp_path, variant)))


@pytest.mark.parametrize("label", [b"- ", b"KERNDTLB "])
def test_a_label_column_left_in_an_hpc_log_is_found(tmp_path: Path, label: bytes) -> None:
    benchmark = bgl(tmp_path)
    rewrite(benchmark.parts[0].test[0], lambda line: label + line if b"event 29" in line else line)
    assert "test.log line 10 begins with" in failures(benchmark)["label columns"]


@pytest.mark.parametrize(
    "change",
    [
        lambda line: b"Normal," + line,
        lambda line: b"0\t" + line,
        lambda line: line.rstrip() + b",1\n",
        lambda line: line.rstrip() + b" Anomaly\n",
    ],
)
def test_a_label_column_in_any_log_is_found(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    benchmark = hdfs(tmp_path)
    rewrite(benchmark.parts[0].train[0], change)
    assert "train.log" in failures(benchmark)["label columns"]


def test_a_status_word_before_a_line_is_found(tmp_path: Path) -> None:
    benchmark = rounds(tmp_path)
    rewrite(benchmark.parts[0].test[0], lambda line: b"NO_FAILURE " + line)
    assert "no_failure" in failures(benchmark)["label columns"].lower()


@pytest.mark.parametrize("name", ["openstack_abnormal.log", "0007-FAILURE.log", "NO_FAILURE_7.log"])
def test_a_label_in_a_file_s_name_is_found(tmp_path: Path, name: str) -> None:
    benchmark = rounds(tmp_path)
    part = only_part(benchmark.parts)
    old = part.test[0]
    path = old.rename(old.with_name(name))
    truth = {(name if key == old.name else key): value for key, value in (part.truth or {}).items()}
    origins = {(name if key == old.name else key): value for key, value in part.provenance.items()}
    leaky = replace(part, test=(path, *part.test[1:]), truth=truth, provenance=origins)
    assert list(failures(with_part(benchmark, leaky))) == ["file names"]


def test_a_line_in_both_training_and_test_is_found(tmp_path: Path) -> None:
    benchmark = bgl(tmp_path)
    part = only_part(benchmark.parts)
    line = next(line for number, line in source_lines(part.test[0]) if number == 1)
    with LineFile(part.train[0]) as file:
        file.write(line, 21, "BGL.log")
        provenance = {**part.provenance, "train.log": file.close()}
    found = failures(with_part(benchmark, replace(part, provenance=provenance)))
    assert found["shared lines"] == "1 lines of test.log are in training, the first BGL.log line 21"


def test_a_training_later_than_the_test_is_found(tmp_path: Path) -> None:
    benchmark = bgl(tmp_path)
    part = only_part(benchmark.parts)
    turned = replace(part, train=part.test, test=part.train, line_truth={"train.log": np.zeros(18, dtype=np.bool_)})
    assert list(failures(with_part(benchmark, turned))) == ["time order"]


def test_a_later_source_of_the_same_stream_is_later_in_time(tmp_path: Path) -> None:
    write_hadoop(tmp_path / "Hadoop")
    benchmark = load_set("hadoop", tmp_path, tmp_path / "work")
    part = only_part(benchmark.parts)
    truth = {path.name: False for path in part.train}
    turned = replace(part, train=part.test, test=part.train, truth=truth)
    assert "time order" in failures(with_part(benchmark, turned))


def test_a_group_seen_in_training_is_found(tmp_path: Path) -> None:
    benchmark = hdfs(tmp_path)
    part = only_part(benchmark.parts)
    leaky = replace(part, truth={**(part.truth or {}), "blk_0": False})
    assert failures(with_part(benchmark, leaky))["units"].endswith("seen in training, such as blk_0")


def test_a_file_seen_in_training_is_found_by_its_content(tmp_path: Path) -> None:
    benchmark = rounds(tmp_path)
    part = only_part(benchmark.parts)
    part.test[0].write_bytes(part.train[0].read_bytes())
    assert failures(benchmark)["units"].endswith(f"seen in training, such as {part.test[0].name}")


def test_labels_that_fit_no_unit_are_found(tmp_path: Path) -> None:
    benchmark = hdfs(tmp_path)
    part = only_part(benchmark.parts)
    lost = replace(part, truth={**(part.truth or {}), "blk_77": True})
    assert "not in the test files, such as blk_77" in failures(with_part(benchmark, lost))["units"]
    by_line = bgl(tmp_path)
    short = replace(by_line.parts[0], line_truth={"test.log": np.zeros(3, dtype=np.bool_)})
    assert "test.log has not one label a line" in failures(with_part(by_line, short))["units"]


def test_lines_without_a_known_origin_are_found(tmp_path: Path) -> None:
    benchmark = hdfs(tmp_path)
    with benchmark.parts[0].train[0].open("ab") as stream:
        stream.write(b"081109 203500 1 INFO dfs.DataNode: added blk_0\n")
    assert failures(benchmark)["provenance"] == "train.log holds 5 lines, the origin of 4 is known"
    part = only_part(benchmark.parts)
    twice = replace(part, train=part.test)
    assert "the same name" in failures(with_part(benchmark, twice))["provenance"]


def test_the_error_names_every_leak(tmp_path: Path) -> None:
    benchmark = hdfs(tmp_path)
    part = only_part(benchmark.parts)
    leaky = with_part(benchmark, replace(part, name="all", truth={"blk_0": False}))
    with pytest.raises(LeakFound, match=r"units \(all\): 1 units .* nothing was fitted"):
        raise_on_leak(audit(leaky))


SCORES = np.linspace(0, 1, 5)


def tuned(part: BenchmarkPart) -> float:
    """The mistake that papers make: the threshold with the best F1 on the test."""
    truth = np.array(list((part.truth or {}).values()))
    f1 = [2 * (truth & (s <= SCORES)).sum() / ((s <= SCORES).sum() + max(truth.sum(), 1)) for s in SCORES]
    return float(SCORES[int(np.argmax(f1))])


def peeking(part: BenchmarkPart) -> float:
    """Reads labels to no effect."""
    return 0.5 + 0 * sum((part.truth or {}).values())


def test_a_threshold_tuned_on_labels_is_found(tmp_path: Path) -> None:
    benchmark = hdfs(tmp_path)
    part = benchmark.parts[0]
    assert "moves with the labels" in threshold_is_label_free(tuned, part).detail
    assert "labels were read 15 times" in threshold_is_label_free(peeking, part).detail
    honest = threshold_is_label_free(lambda part: float(len(part.truth or ())), part)
    assert honest.passed, "counting units reads no label"
    assert [finding.name for finding in audit(benchmark, tuned) if not finding.passed] == ["threshold"]


def test_a_threshold_tuned_on_labels_of_lines_is_found(tmp_path: Path) -> None:
    part = bgl(tmp_path).parts[0]
    share = threshold_is_label_free(lambda part: float((part.line_truth or {})["test.log"].mean()), part)
    assert not share.passed
    first = threshold_is_label_free(lambda part: float((part.line_truth or {})["test.log"][9]), part)
    assert not first.passed
