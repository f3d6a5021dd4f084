from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from logad_pipeline.lake.landing import land
from logad_pipeline.lake.normalising import normalise_day
from logad_pipeline.lake.tables import Lake, LakeDamaged
from logad_pipeline.lake.windowing import GroupMismatch, cut_day, read_windows, texts_of
from logad_pipeline.logs.simulator import simulate
from logad_pipeline.streams import ReadSpec, WindowReader
from logad_pipeline.windows import WindowSpec

from .conftest import WriteLog, rows

DAY = date(2024, 1, 1)
SPECS = [
    WindowSpec("fixed", 10),
    WindowSpec("fixed", 7, group_by="host"),
    WindowSpec("sliding", 10, 1),
    WindowSpec("sliding", 8, 3, group_by="program"),
    WindowSpec("session", 10, group_by="process", max_session_lines=40),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.window_type}-{spec.group_by}")
def test_windows_of_simulated_days_hold_every_line_and_mix_no_sources(
    lake: Lake, tmp_path: Path, spec: WindowSpec
) -> None:
    simulation = simulate(tmp_path / "sim", start=DAY, days=2, lines_per_day=500)
    for path in simulation.logs:
        land(lake, path)
    days = lake.days("ledger")
    total = 0
    for day in days:
        normalise_day(lake, day, spec.group_by, batch_rows=150)
        account = cut_day(lake, day, spec, batch_rows=64)
        assert account.all_lines_covered
        assert account.windows == sum(batch.num_rows for batch in read_windows(lake, [day]))
        total += account.lines_covered
    assert total == simulation.total_lines
    records = {(row["day"], row["record_id"]): row for row in rows(lake, "normalized", "record_id")}
    texts = texts_of(lake, days)
    for window in rows(lake, "windows", "window_id"):
        held = [records[window["day"], number] for number in window["record_ids"]]
        assert {row["source"] for row in held} == {window["source"]}
        assert {row["group_key"] for row in held} == {window["group_key"]}
        assert window["lines"] == [row["first_line"] for row in held]
        assert [texts[number] for number in window["text_ids"]] == [row["text"] for row in held]
        came = sorted(held, key=lambda row: row["record_id"])
        assert (window["first_line"], window["last_line"]) == (came[0]["first_line"], came[-1]["last_line"])
        assert window["first_time"] == min(row["timestamp"] for row in held)
        assert window["last_time"] == max(row["timestamp"] for row in held)
        assert WindowSpec(**json.loads(window["window_spec"])) == spec


def test_windows_are_the_same_when_cut_again_and_their_ids_differ(lake: Lake, write_log: WriteLog) -> None:
    land(lake, write_log("app.log", [f"2024-01-01 00:00:{i:02},000 INFO a: same" for i in range(50)]))
    normalise_day(lake, DAY, "none")
    cut_day(lake, DAY, WindowSpec("sliding", 5, 1))
    before = rows(lake, "windows", "window_id")
    normalise_day(lake, DAY, "none", batch_rows=3)
    cut_day(lake, DAY, WindowSpec("sliding", 5, 1), batch_rows=4)
    assert rows(lake, "windows", "window_id") == before
    assert len({row["window_id"] for row in before}) == len(before) == 46
    assert all(len(row["window_id"]) == 16 for row in before)
    cut_day(lake, DAY, WindowSpec("sliding", 5, 2))
    others = {row["window_id"] for row in rows(lake, "windows", "window_id")}
    assert others.isdisjoint(row["window_id"] for row in before)


def test_each_stream_is_cut_from_its_own_beginning(lake: Lake, write_log: WriteLog) -> None:
    for name, lines in (("a.log", 7), ("b.log", 5), ("c.log", 2)):
        land(lake, write_log(name, [f"2024-01-01 00:00:0{i},000 INFO a: {name}" for i in range(lines)]))
    normalise_day(lake, DAY, "none")
    account = cut_day(lake, DAY, WindowSpec("sliding", 3, 2))
    sizes = Counter((row["source"], len(row["lines"])) for row in rows(lake, "windows", "window_id"))
    assert sizes == {("a.log", 3): 3, ("b.log", 3): 2, ("c.log", 2): 1}
    assert (account.windows, account.records, account.all_lines_covered) == (6, 14, True)


def test_continuation_lines_count_as_covered_and_records_without_time_have_none(
    lake: Lake, write_log: WriteLog
) -> None:
    land(lake, write_log("app.log", ["one", "  more", "two"]), day=DAY)
    normalise_day(lake, DAY, "none")
    account = cut_day(lake, DAY, WindowSpec("fixed", 10))
    (window,) = rows(lake, "windows", "window_id")
    assert account.lines_covered == 3
    assert (window["first_time"], window["last_time"]) == (None, None)
    assert (window["first_line"], window["last_line"]) == (1, 3)


def test_a_day_without_records_has_no_windows(lake: Lake, write_log: WriteLog) -> None:
    land(lake, write_log("app.log", ["2024-01-01 00:00:00,000 INFO a: one"]))
    normalise_day(lake, DAY, "none")
    cut_day(lake, DAY, WindowSpec("fixed", 10))
    lake.replace_day("normalized", DAY, iter(()))
    account = cut_day(lake, DAY, WindowSpec("fixed", 10))
    assert (account.windows, account.records, account.all_lines_covered) == (0, 0, True)
    assert lake.days("windows") == []


def test_a_grouping_that_the_day_was_not_normalised_with_is_refused(lake: Lake, write_log: WriteLog) -> None:
    land(lake, write_log("app.log", ["2024-01-01 00:00:00,000 INFO a: one"]))
    normalise_day(lake, DAY, "none")
    with pytest.raises(GroupMismatch, match="group-by 'none', the windows want 'host'; normalise the day"):
        cut_day(lake, DAY, WindowSpec("fixed", 10, group_by="host"))
    assert lake.version("windows") == 0


def test_records_that_are_missing_are_noticed(lake: Lake, write_log: WriteLog) -> None:
    land(lake, write_log("app.log", [f"2024-01-01 00:00:0{i},000 INFO a: one" for i in range(9)]))
    normalise_day(lake, DAY, "none")
    (batch,) = lake.scan("normalized", [DAY])
    lake.replace_day("normalized", DAY, [batch.slice(0, 3), batch.slice(5)])
    with pytest.raises(LakeDamaged, match="record 3 is missing before record 5"):
        cut_day(lake, DAY, WindowSpec("fixed", 10))


@pytest.mark.parametrize(
    "spec", [WindowSpec("fixed", 5), WindowSpec("sliding", 4, 2)], ids=lambda spec: spec.window_type
)
def test_lines_of_one_second_are_read_in_the_order_in_which_files_are(
    lake: Lake, write_log: WriteLog, spec: WindowSpec
) -> None:
    words = ["delta", "alpha", "echo", "bravo", "charlie", "alpha"]
    lines = [f"Jan  1 00:00:{i // 4:02} h app[1]: {words[i % len(words)]} happened" for i in range(40)]
    path = write_log("app.log", lines)
    land(lake, path, year=2024)
    normalise_day(lake, DAY, "none", batch_rows=7)
    cut_day(lake, DAY, spec)
    found = sorted((row["lines"] for row in rows(lake, "windows", "window_id")), key=min)
    expected = [
        [first for first, _ in window.spans] for window in WindowReader(spec, ReadSpec(year=2024)).read(str(path))
    ]
    assert found == sorted(expected, key=min)
    assert any(window != sorted(window) for window in found), "nothing was out of order"
