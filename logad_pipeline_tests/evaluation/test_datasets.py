"""The loaders: which lines and units are learned from, which are judged, and what the truth of each is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from logad_pipeline.evaluation.benchmark_set import BenchmarkSet, LineFile, SetNotFound, source_lines
from logad_pipeline.evaluation.datasets import LOADERS, load_set
from logad_pipeline.streams import WindowReader

from ..conftest import shared_data
from .small_sets import (
    HOSTS,
    INJECTED,
    NORMAL,
    only_part,
    read_all,
    write_by_line,
    write_hadoop,
    write_hdfs,
    write_hpc,
    write_instances,
    write_rounds,
)


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize("above", [False, True])
def test_hdfs_is_split_by_block_in_either_layout(tmp_path: Path, public: bool, above: bool) -> None:
    folder = tmp_path / ("HDFS_v1" if public else "hdfs")
    write_hdfs(folder, public=public)
    loaded = load_set("hdfs", tmp_path if above else folder, tmp_path / "work")
    part = only_part(loaded.parts)
    # The cut is after 8 of 20 lines: blocks 0 and 2 lie before it and are normal, 3 and 4 lie across it.
    assert [line.split(b"blk_")[1].split()[0] for line in read_all(part.train)] == [b"0", b"0", b"2", b"2"]
    assert part.truth == {"blk_5": False, "blk_6": False, "blk_7": False, "blk_8": True, "blk_9": True}
    assert len(read_all(part.test)) == 10
    assert "labels choose" in loaded.training


def test_hdfs_without_labels_learns_from_anomalous_blocks_too(tmp_path: Path) -> None:
    write_hdfs(tmp_path / "hdfs", public=False)
    part = only_part(load_set("hdfs", tmp_path, tmp_path / "work", "unlabelled").parts)
    assert sum(b"blk_-1" in line for line in read_all(part.train)) == 2


def test_written_lines_are_the_source_s_bytes_at_the_numbers_recorded(tmp_path: Path) -> None:
    write_hdfs(tmp_path / "hdfs", public=True)
    part = only_part(load_set("hdfs", tmp_path / "hdfs", tmp_path / "work").parts)
    source = (tmp_path / "hdfs" / "HDFS.log").read_bytes().splitlines(keepends=True)
    for path in (*part.train, *part.test):
        (origin,) = part.provenance[path.name]
        assert origin.lines.dtype == np.int64
        assert [source[number - 1] for number in origin.lines] == read_all((path,))


def test_openstack_rounds_are_files_in_time_order_whose_names_say_nothing(tmp_path: Path) -> None:
    write_rounds(tmp_path / "openstack")
    part = only_part(load_set("openstack", tmp_path, tmp_path / "work").parts)
    # Four of ten rounds of each host are early; those fault-free are its rounds 2. Late: tests 2 to 4.
    assert [path.name.split("-")[1] for path in part.train] == [f"{host}.log" for host in HOSTS * 2]
    assert [path.name for path in (*part.train, *part.test)] == sorted(part.provenance)
    assert part.truth is not None and list(part.truth) == [path.name for path in part.test]
    # Round 1 of test 3 is faulty without failure, so it is left out.
    assert len(part.test) == 10 and sum(part.truth.values()) == 4
    failed = next(path for path in part.test if part.truth[path.name])
    assert all(b"in 4\n" in line for line in read_all((failed,)))


def test_openstack_variants(tmp_path: Path) -> None:
    write_rounds(tmp_path / "openstack")
    by_host = load_set("openstack", tmp_path, tmp_path / "work", "per-host")
    assert [part.name for part in by_host.parts] == list(HOSTS)
    assert all(part.name in path.name for part in by_host.parts for path in (*part.train, *part.test))
    unlabelled = only_part(load_set("openstack", tmp_path, tmp_path / "work", "unlabelled").parts)
    assert (len(unlabelled.train), len(unlabelled.test)) == (8, 10)


def test_openstack_of_loghub_is_judged_by_instance(tmp_path: Path) -> None:
    write_instances(tmp_path / "OpenStack")
    loaded = load_set("openstack", tmp_path, tmp_path / "work")
    part = only_part(loaded.parts)
    assert loaded.unit == "group" and part.truth == {NORMAL: False, INJECTED: True}
    assert [path.name for path in part.test] == ["test-1.log", "test-2.log"]
    assert INJECTED.encode() in read_all(part.test)[0], "the older run comes first"
    with pytest.raises(ValueError, match="no variant 'per-host' in this layout"):
        load_set("openstack", tmp_path, tmp_path / "work", "per-host")


@pytest.mark.parametrize(("name", "file"), [("bgl", "BGL.log"), ("thunderbird", "Thunderbird.log")])
def test_a_label_in_the_first_column_is_cut_off(tmp_path: Path, name: str, file: str) -> None:
    write_hpc(tmp_path / "set", file)
    loaded = load_set(name, tmp_path / "set", tmp_path / "work")
    part = only_part(loaded.parts)
    lines = read_all((*part.train, *part.test))
    assert len(lines) == 48, "20 lines before the cut, 2 of them alerts"
    assert all(line.split()[0].isdigit() for line in lines)
    assert part.line_truth is not None
    assert np.flatnonzero(part.line_truth["test.log"]).tolist() == [9, 19, 29]
    assert loaded.label_words == {"-", "KERNDTLB"}
    assert len(read_all(only_part(load_set(name, tmp_path / "set", tmp_path / "w", "unlabelled").parts).train)) == 20


@pytest.mark.parametrize(
    ("name", "log", "labels"),
    [("authlog", "auth.log", "labels_rule_based.csv"), ("linux", "Linux.log", "labels_weak.csv")],
)
def test_a_table_labels_lines_by_number(tmp_path: Path, name: str, log: str, labels: str) -> None:
    write_by_line(tmp_path / name, log, labels)
    part = only_part(load_set(name, tmp_path, tmp_path / "work").parts)
    assert len(read_all(part.train)) == 18
    assert part.line_truth is not None
    assert np.flatnonzero(part.line_truth["test.log"]).tolist() == [9, 19, 29]


def test_hadoop_joins_the_containers_of_an_application(tmp_path: Path) -> None:
    write_hadoop(tmp_path / "Hadoop")
    part = only_part(load_set("hadoop", tmp_path, tmp_path / "work").parts)
    # Two of five applications are early, the first of them disturbed.
    assert [path.name for path in part.train] == ["0002.log"]
    assert part.truth == {"0003.log": False, "0004.log": False, "0005.log": True}
    assert len(read_all(part.train)) == 4, "a file without a last line end does not swallow the next one's first line"
    assert [origin.source[-10:] for origin in part.provenance["0002.log"]] == ["000001.log", "000002.log"]


def write_all(folder: Path) -> None:
    write_hdfs(folder / "hdfs", public=False)
    write_rounds(folder / "openstack")
    write_hpc(folder / "BGL", "BGL.log")
    write_hpc(folder / "thunderbird", "Thunderbird.log")
    write_by_line(folder / "authlog", "auth.log", "labels_rule_based.csv")
    write_by_line(folder / "linux", "Linux.log", "labels_weak.csv")
    write_hadoop(folder / "Hadoop")


@pytest.mark.parametrize("name", sorted(LOADERS))
def test_every_set_is_read_and_cut_as_it_says(tmp_path: Path, name: str) -> None:
    write_all(tmp_path / "data")
    for variant in LOADERS[name].variants:
        loaded = load_set(name, tmp_path / "data", tmp_path / "work", variant)
        for part in loaded.parts:
            check_units_are_found(loaded, part.test, set(part.truth or ()))


def check_units_are_found(loaded: BenchmarkSet, files: tuple[Path, ...], units: set[str]) -> None:
    reader = WindowReader(loaded.window_spec, loaded.read_spec)
    windows = [window for path in files for window in reader.read(str(path))]
    assert not reader.account.rejected
    if loaded.unit == "group":
        assert units == {window.group for window in windows}
    elif loaded.unit == "file":
        assert units == {Path(window.source).name for window in windows}
    assert all(window.time_us is not None for window in windows)


def test_what_is_missing_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="set 'nothing' is not known; use one of authlog, bgl"):
        load_set("nothing", tmp_path, tmp_path)
    with pytest.raises(SetNotFound, match="no such folder; pass --data the folder of the set 'hdfs'"):
        load_set("hdfs", tmp_path / "no", tmp_path)
    with pytest.raises(SetNotFound, match=r"neither .* nor hdfs, HDFS_v1, HDFS below it"):
        load_set("hdfs", tmp_path, tmp_path)
    (tmp_path / "HDFS.log").write_text("")
    with pytest.raises(SetNotFound, match=r"anomaly_label.csv missing; put it beside HDFS.log"):
        load_set("hdfs", tmp_path, tmp_path)
    (tmp_path / "BGL_2k.log").write_text("")
    with pytest.raises(SetNotFound, match="sampled, not contiguous"):
        load_set("bgl", tmp_path, tmp_path)


def test_a_log_whose_label_was_cut_off_already_is_refused(tmp_path: Path) -> None:
    (tmp_path / "BGL.log").write_bytes(b"1117838570 2005.06.03 R02 text\n")
    with pytest.raises(SetNotFound, match="log line 1: no label in its first column"):
        load_set("bgl", tmp_path, tmp_path / "work")


def test_labels_of_another_release_are_refused(tmp_path: Path) -> None:
    write_by_line(tmp_path / "authlog", "auth.log", "labels_rule_based.csv")
    table = tmp_path / "authlog" / "labels_rule_based.csv"
    (tmp_path / "authlog" / "labels_rule_based.csv.gz").unlink()
    table.write_text("line_no,label\n1,0\n")
    with pytest.raises(SetNotFound, match="1 labels for 50 lines"):
        load_set("authlog", tmp_path, tmp_path / "work")
    table.write_text("line_no,label\n51,0\n")
    with pytest.raises(SetNotFound, match="label of line 51, but the log has 50 lines"):
        load_set("authlog", tmp_path, tmp_path / "work")
    table.write_text("line,label\n")
    with pytest.raises(SetNotFound, match="no column line_no"):
        load_set("authlog", tmp_path, tmp_path / "work")
    write_hdfs(tmp_path / "hdfs", public=True)
    (tmp_path / "hdfs" / "preprocessed" / "anomaly_label.csv").write_text("BlockId,Label\nblk_0,Normal\n")
    with pytest.raises(SetNotFound, match="block blk_-1 has no label"):
        load_set("hdfs", tmp_path, tmp_path / "work")


def test_a_line_file_remembers_several_sources(tmp_path: Path) -> None:
    with LineFile(tmp_path / "new" / "a.log") as file:
        file.write(b"one", 1, "a")
        file.write(b"two\n", 7, "b", "stream", 2)
        first, second = file.close()
    assert list(source_lines(file.path)) == [(1, b"one\n"), (2, b"two\n")]
    assert (first.source, first.lines.tolist(), second.stream, second.ordinal) == ("a", [1], "stream", 2)


def test_the_shared_hdfs_has_the_units_of_its_description(tmp_path: Path) -> None:
    part = only_part(load_set("hdfs", shared_data("hdfs"), tmp_path).parts)
    assert part.truth is not None and (len(part.truth), sum(part.truth.values())) == (7207, 180)


def test_the_shared_openstack_rounds_follow_its_description(tmp_path: Path) -> None:
    parts = load_set("openstack", shared_data("openstack"), tmp_path, "per-host").parts
    judged = [(len(part.train), len(part.test), sum((part.truth or {}).values())) for part in parts]
    assert judged == [(13, 32, 8), (22, 53, 23), (23, 55, 18)]
    failed = {(part.name, name) for part in parts for name, bad in (part.truth or {}).items() if bad}
    assert len(failed) == 49


def test_the_shared_thunderbird_shows_no_label(tmp_path: Path) -> None:
    part = only_part(load_set("thunderbird", shared_data("thunderbird"), tmp_path).parts)
    assert part.line_truth is not None and part.line_truth["test.log"].sum() == 715
    assert all(line[:10].isdigit() for line in read_all((*part.train, *part.test)))
