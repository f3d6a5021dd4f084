"""Windows: that no line is lost, doubled or mixed with another group's, however a stream is cut."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logad_pipeline.logs.records import Record
from logad_pipeline.windows import (
    SEPARATOR,
    Window,
    Windower,
    WindowIndex,
    WindowSet,
    WindowSpec,
    group_key,
)

STREAMS = st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=120)


@st.composite
def specs(draw: st.DrawFn) -> WindowSpec:
    window_type = draw(st.sampled_from(["fixed", "sliding", "session"]))
    size = draw(st.integers(1, 12))
    stride = draw(st.integers(1, size))
    return WindowSpec(window_type, size, stride, "program", draw(st.integers(1, 30)))


def cut(spec: WindowSpec, groups: list[str]) -> list[Window]:
    windower = Windower(spec)
    return [*windower.push((group, i) for i, group in enumerate(groups)), *windower.flush()]


def by_group(groups: list[str]) -> dict[str, list[int]]:
    out: dict[str, list[int]] = defaultdict(list)
    for position, group in enumerate(groups):
        out[group].append(position)
    return out


def record(message: str = "", *, host: str = "h", program: str = "p", pid: str = "1") -> Record:
    return Record(1, 1, None, host, program, pid, "", message)


@given(specs(), STREAMS)
def test_every_line_is_in_a_window(spec: WindowSpec, groups: list[str]) -> None:
    seen = {position for window in cut(spec, groups) for position in window.positions}
    assert seen == set(range(len(groups)))


@given(specs(), STREAMS)
def test_groups_never_mix_and_lines_keep_their_order(spec: WindowSpec, groups: list[str]) -> None:
    for window in cut(spec, groups):
        assert {groups[position] for position in window.positions} == {window.group}
        assert list(window.positions) == sorted(set(window.positions))


@given(specs(), STREAMS)
def test_a_window_is_a_run_of_its_group_without_gaps(spec: WindowSpec, groups: list[str]) -> None:
    lines = by_group(groups)
    for window in cut(spec, groups):
        own = lines[window.group]
        start = own.index(window.positions[0])
        assert tuple(own[start : start + len(window.positions)]) == window.positions


@given(st.integers(1, 12), STREAMS)
def test_fixed_windows_hold_each_line_once_and_only_the_last_is_short(size: int, groups: list[str]) -> None:
    windows = cut(WindowSpec("fixed", size, group_by="program"), groups)
    positions = [position for window in windows for position in window.positions]
    assert sorted(positions) == list(range(len(groups)))
    for group in set(groups):
        lengths = [len(window.positions) for window in windows if window.group == group]
        assert all(length == size for length in lengths[:-1])
        assert 1 <= lengths[-1] <= size


@given(st.integers(1, 15), st.integers(0, 60))
def test_sliding_windows_of_stride_one_start_at_every_line(size: int, lines: int) -> None:
    windows = [window.positions for window in cut(WindowSpec("sliding", size, 1), [""] * lines)]
    if lines >= size:
        assert windows == [tuple(range(start, start + size)) for start in range(lines - size + 1)]
    else:
        assert windows == ([tuple(range(lines))] if lines else [])


@given(st.integers(1, 12), st.data())
def test_sliding_windows_of_any_stride_start_a_stride_apart(size: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, size))
    lines = data.draw(st.integers(size, 80))
    windows = [window.positions for window in cut(WindowSpec("sliding", size, stride), [""] * lines)]
    assert [window[0] for window in windows] == [number * stride for number in range(len(windows))]
    assert windows[-1][-1] == lines - 1
    # A last window that held nothing new would be scored for nothing.
    assert len(windows) == 1 or windows[-2][-1] < lines - 1


@given(st.lists(st.sampled_from(["a", "b"]), max_size=60))
def test_a_session_is_one_window_with_all_its_lines(groups: list[str]) -> None:
    windows = cut(WindowSpec("session", 3, group_by="program"), groups)
    assert {window.group: list(window.positions) for window in windows} == by_group(groups)
    assert len(windows) == len(set(groups))


@given(st.integers(1, 20), STREAMS)
def test_a_long_session_goes_on_in_further_windows(limit: int, groups: list[str]) -> None:
    windows = cut(WindowSpec("session", 4, group_by="program", max_session_lines=limit), groups)
    for group, own in by_group(groups).items():
        lengths = [len(window.positions) for window in windows if window.group == group]
        most = limit if group else 4  # lines without a key belong to no session: they are cut in fixed ones
        assert lengths == [most] * (len(own) // most) + ([len(own) % most] if len(own) % most else [])


@given(specs(), STREAMS, st.lists(st.integers(0, 120), max_size=5))
def test_how_a_stream_arrives_does_not_change_its_windows(spec: WindowSpec, groups: list[str], cuts: list[int]) -> None:
    records = list(enumerate(groups))
    windower = Windower(spec)
    found: list[Window] = []
    bounds = [0, *sorted(min(at, len(records)) for at in cuts), len(records)]
    for start, end in pairwise(bounds):
        found += windower.push((group, i) for i, group in records[start:end])
        held = windower.open_positions()
        assert windower.held >= len(held)
    found += windower.flush()
    assert found == cut(spec, groups)
    assert windower.held == 0
    assert list(windower.flush()) == []


@given(specs(), STREAMS)
def test_unfinished_windows_stay_bounded(spec: WindowSpec, groups: list[str]) -> None:
    windower = Windower(spec)
    for position, group in enumerate(groups):
        list(windower.push([(group, position)]))
        assert windower.held <= len(set(groups)) * max(spec.size, spec.max_session_lines)


@pytest.mark.parametrize(
    ("fields", "way_out"),
    [
        ({"window_type": "tumbling"}, "use fixed, sliding or session"),
        ({"size": 0}, "size of 1 or more"),
        ({"size": -3}, "size of 1 or more"),
        ({"stride": 0}, r"outside 1\.\.10"),
        ({"size": 4, "stride": 5}, r"outside 1\.\.4"),
        ({"max_session_lines": 0}, "max_session_lines must be 1 or more"),
        ({"window_type": "session"}, "pass --group-by"),
        ({"group_by": "("}, "none, host, program, process"),
        ({"group_by": "(a)(b)"}, r"\(\?:"),
    ],
)
def test_a_bad_spec_names_the_way_out(fields: dict[str, object], way_out: str) -> None:
    with pytest.raises(ValueError, match=way_out):
        WindowSpec(**fields)  # type: ignore[arg-type]


@given(specs())
def test_a_spec_survives_json(spec: WindowSpec) -> None:
    assert WindowSpec(**json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("group_by", "of", "expected"),
    [
        ("none", record("x"), ""),
        ("host", record(host="web1"), "web1"),
        ("program", record(program="sshd"), "sshd"),
        ("process", record(host="web1", program="sshd", pid="77"), "web1/sshd[77]"),
        (r"req-(\w+)", record("GET req-9f done"), "9f"),
        (r"req-\w+", record("GET req-9f done"), "req-9f"),
        (r"req-(\w+)", record("no key here"), ""),
        (r"req-(\w+)?", record("req- empty"), ""),
        (r"(?:req|job)-(\w+)", record("job-7"), "7"),
    ],
)
def test_keys_of_records(group_by: str, of: Record, expected: str) -> None:
    assert group_key(group_by)(of) == expected


WINDOWS = st.lists(st.lists(st.sampled_from(["in", "out", "start", "stop", "fail"]), min_size=1, max_size=6))


def index_of(windows: list[list[str]]) -> tuple[WindowIndex, list[int]]:
    index = WindowIndex()
    return index, [index.add_lines(window) for window in windows]


def lines_of(windows: WindowSet) -> list[list[str]]:
    return [[windows.texts[i] for i in windows.lines(number)] for number in range(len(windows))]


@given(WINDOWS)
def test_the_index_gives_back_every_window_and_keeps_equal_ones_once(windows: list[list[str]]) -> None:
    index, numbers = index_of(windows)
    built = index.build()
    unique = lines_of(built)
    assert [unique[number] for number in numbers] == windows
    assert len({tuple(window) for window in unique}) == len(unique) == len(index)
    assert built.counts.tolist() == [windows.count(window) for window in unique]


@given(WINDOWS, st.integers(0, 10))
def test_a_part_of_the_index_holds_the_windows_from_there_on(windows: list[list[str]], start: int) -> None:
    index, _ = index_of(windows)
    assert lines_of(index.build(start)) == lines_of(index.build())[start:]


@given(WINDOWS.filter(bool), st.data())
def test_take_gives_the_windows_that_were_asked_for(windows: list[list[str]], data: st.DataObject) -> None:
    index, _ = index_of(windows)
    built = index.build()
    chosen = data.draw(st.lists(st.integers(0, len(built) - 1), max_size=8))
    taken = built.take(chosen)
    assert lines_of(taken) == [lines_of(built)[number] for number in chosen]
    assert taken.counts.tolist() == built.counts[np.array(chosen, dtype=int)].tolist()
    again = built.take(chosen, np.full(len(chosen), 7))
    assert again.counts.tolist() == [7] * len(chosen)


def test_a_window_reads_as_the_specification_writes_it() -> None:
    index, _ = index_of([["log0", "log1", "log2"], ["log0"]])
    built = index.build()
    assert SEPARATOR == " [SEP] "
    assert built.text(0) == "log0 [SEP] log1 [SEP] log2"
    assert built.text(1) == "log0"


def test_windows_that_differ_in_order_or_length_are_different() -> None:
    _, numbers = index_of([["a", "b"], ["b", "a"], ["a", "b", "b"], ["a", "b"]])
    assert numbers == [0, 1, 2, 0]


def test_an_empty_index_builds_an_empty_set() -> None:
    built = WindowIndex().build()
    assert len(built) == 0
    assert len(built.take([])) == 0


def test_joined_sets_hold_the_windows_of_both_over_each_text_once() -> None:
    one, other = WindowSet.of_lines([["a", "b"], ["c"]]), WindowSet.of_lines([["b", "d"], ["c"]])
    both = one.joined(other.take([1, 0], np.array([3, 4])))
    assert [[both.texts[i] for i in both.lines(row)] for row in range(4)] == [["a", "b"], ["c"], ["c"], ["b", "d"]]
    assert both.counts.tolist() == [1, 1, 3, 4]
    assert len(both.texts) == len(set(both.texts)) == 4
