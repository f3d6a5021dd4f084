"""The inbox: nothing half-written, nothing twice, nothing lost."""

from __future__ import annotations

import gzip
import io
import json
import os
from datetime import UTC, date
from pathlib import Path

import pytest

from logad_pipeline.lake.inbox import Look, Seen, land_new_lines, look_into
from logad_pipeline.lake.landing import land
from logad_pipeline.lake.ledger import path_in, raw_parts, restore
from logad_pipeline.lake.normalising import normalise_day
from logad_pipeline.lake.tables import Lake
from logad_pipeline.lake.triage import raw_lines as raw_lines_of
from logad_pipeline.lake.windowing import cut_day
from logad_pipeline.logs.reader import UnreadableInput
from logad_pipeline_tests.tiny_model import WINDOW

from .small_models import YEAR, raw_lines, stamped

DAY, NEXT = date(YEAR, 3, 8), date(YEAR, 3, 9)
WRITTEN = 1_741_500_000.0
"""Seconds since 1970, a day of March 2025: the year of stamps that name none."""
LATER = 2_000_000_000.0
"""When every file of the tests is old."""


def lines_of(day: date, first: int, last: int) -> str:
    return "".join(f"{line}\n" for line in stamped(day, raw_lines(last))[first:last])


def drop(lake: Lake, name: str, text: str | bytes, written: float = WRITTEN) -> Path:
    """Put a file into the inbox, or write it on, as at that time."""
    path = lake.path("inbox") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (written, written))
    return path


def look(lake: Lake, seen: dict[str, Seen] | None = None, now: float = LATER, most: int = 50) -> Look:
    return look_into(lake, seen or {}, now=now, rest_seconds=60, tz=UTC, most=most)


def look_twice(lake: Lake) -> Look:
    return look(lake, look(lake).seen)


def grow(lake: Lake, texts: list[str], name: str = "app.log") -> Look:
    """Look at a file as it is after each of several writers' visits; the last look."""
    found = Look()
    for number, text in enumerate(texts):
        drop(lake, name, text, written=WRITTEN + number)
        found = look(lake, look(lake, found.seen).seen)
    return found


def landed_lines(lake: Lake) -> int:
    return sum(sum(batch.column("day_lines").to_pylist()) for batch in lake.scan("ledger"))


def test_a_file_is_landed_at_the_second_look_and_never_again(lake: Lake) -> None:
    drop(lake, "app.log", lines_of(DAY, 0, 10) + lines_of(NEXT, 0, 5))
    first = look(lake)
    assert (first.waiting, first.days) == (["app.log"], [])
    second = look(lake, first.seen)
    assert second.days == [DAY, NEXT]
    assert look(lake, second.seen).landed == {}
    assert landed_lines(lake) == 15


def test_a_file_that_is_still_written_is_left_alone(lake: Lake) -> None:
    drop(lake, "app.log", lines_of(DAY, 0, 3), written=WRITTEN)
    first = look(lake, now=WRITTEN + 10)
    assert look(lake, first.seen, now=WRITTEN + 30).waiting == ["app.log"], "it is too young"
    drop(lake, "app.log", lines_of(DAY, 0, 5), written=WRITTEN + 100)
    grown = look(lake, first.seen, now=WRITTEN + 200)
    assert grown.waiting == ["app.log"], "it has grown since"
    assert look(lake, grown.seen, now=WRITTEN + 200).days == [DAY]
    assert landed_lines(lake) == 5


@pytest.mark.parametrize("name", [".app.log.Xy12", "app.log.part", "app.log~", ".sync/app.log", "app.log.tmp"])
def test_names_of_unfinished_files_are_left_alone(name: str, lake: Lake) -> None:
    drop(lake, name, lines_of(DAY, 0, 3))
    assert look_twice(lake) == Look()


def test_an_empty_file_waits_quietly(lake: Lake) -> None:
    drop(lake, "app.log", "")
    found = look_twice(lake)
    assert (found.landed, found.refused, found.waiting) == ({}, {}, [])


def test_what_was_forgotten_between_two_looks_is_not_landed_twice(lake: Lake) -> None:
    drop(lake, "app.log", lines_of(DAY, 0, 10))
    look_twice(lake)
    again = look_twice(lake)
    assert again.landed["app.log"].already_landed
    assert again.days == []
    assert landed_lines(lake) == 10


def test_what_cannot_be_landed_says_why_until_it_changes(lake: Lake) -> None:
    packed = gzip.compress(lines_of(DAY, 0, 10).encode())
    drop(lake, "app.log.gz", packed[:-30])
    found = look_twice(lake)
    assert "app.log.gz" in found.refused["app.log.gz"]
    assert look(lake, found.seen).refused == found.refused
    drop(lake, "app.log.gz", packed)
    mended = look(lake, look(lake, found.seen).seen)
    assert (mended.days, mended.refused) == ([DAY], {})


def test_one_bad_file_keeps_no_other_waiting_and_many_are_taken_in_portions(lake: Lake) -> None:
    for number in range(4):
        drop(lake, f"{number}.log", b"\x1f\x8b\x08no gzip" if number == 1 else lines_of(DAY, 0, number + 3))
    first = look(lake, look(lake).seen, most=2)
    assert (sorted(first.landed), first.waiting) == (["0.log", "2.log"], ["3.log"])
    assert sorted(look(lake, first.seen).landed) == ["3.log"]


# ---------------------------------------------------------------- each line once


def test_a_log_that_goes_on_is_landed_line_by_line_once(lake: Lake) -> None:
    whole = lines_of(DAY, 0, 10) + lines_of(NEXT, 0, 6)
    pieces = [len(lines_of(DAY, 0, 4)), len(lines_of(DAY, 0, 10)), len(whole)]
    seen: dict[str, Seen] = {}
    days = []
    for number, end in enumerate(pieces):
        drop(lake, "app.log", whole[:end], written=WRITTEN + number)
        found = look(lake, look(lake, seen).seen)
        seen = found.seen
        days.append(found.days)
    assert days == [[DAY], [DAY], [NEXT]]
    assert landed_lines(lake) == 16
    assert {row.source for row in raw_parts(lake, DAY)} == {"app.log"}


@pytest.mark.parametrize("pack", [False, True])
def test_its_rotated_copy_adds_only_what_is_new(pack: bool, lake: Lake) -> None:
    drop(lake, "app.log", lines_of(DAY, 0, 10))
    look_twice(lake)
    rotated = lines_of(DAY, 0, 12).encode()
    drop(lake, "app.log.1.gz" if pack else "app.log.1", gzip.compress(rotated) if pack else rotated)
    found = look(lake, look(lake, look(lake).seen).seen)
    assert landed_lines(lake) == 12, found


@pytest.mark.parametrize("pack", [False, True])
def test_a_log_of_several_parts_is_known_under_any_name_and_at_any_tick(pack: bool, lake: Lake) -> None:
    whole = lines_of(DAY, 0, 9)
    before = grow(lake, [lines_of(DAY, 0, 5)])
    drop(lake, "app.log", whole, written=WRITTEN + 9)
    waiting = look(lake, before.seen)
    for _ in range(2):
        look(lake, waiting.seen)
    assert landed_lines(lake) == 9
    (lake.path("inbox") / "app.log").unlink()
    drop(lake, "app.log.1.gz" if pack else "app.log.1", gzip.compress(whole.encode()) if pack else whole)
    [again] = look_twice(lake).landed.values()
    assert (again.already_landed, again.lines, again.days) == (True, 9, {DAY: 9})
    assert landed_lines(lake) == 9


def test_the_same_rest_of_two_logs_or_twice_of_one_is_landed_each_time(lake: Lake) -> None:
    for name, first in (("a.log", 0), ("b.log", 2)):
        grow(lake, [lines_of(DAY, first, first + 2), lines_of(DAY, first, first + 2) + lines_of(DAY, 8, 9)], name)
    assert landed_lines(lake) == 6
    start, lost = lines_of(DAY, 0, 1), lines_of(DAY, 1, 2)
    grow(lake, [start + lost * times for times in range(5)], "c.log")
    assert landed_lines(lake) == 11


def test_a_rest_goes_on_where_its_log_was(lake: Lake) -> None:
    whole = lines_of(DAY, 0, 5) + "\n" + '  File "x.py", line 3\n' + "\n" + lines_of(NEXT, 0, 2)
    ends = [len(whole[: whole.index("\n", at) + 1]) for at in (len(lines_of(DAY, 0, 4)), len(lines_of(DAY, 0, 5)) + 2)]
    found = grow(lake, [whole[: ends[0]], whole[: ends[1]], whole])
    assert landed_lines(lake) == 10
    parts = [*raw_parts(lake, DAY), *raw_parts(lake, NEXT)]
    assert {row.format for row in parts} == {parts[0].format}, "a traceback alone would be plain text"
    assert sum(row.day_lines for row in raw_parts(lake, DAY)) == 8, "lines without a time go with those before"
    assert sorted(run for row in parts for run in row.runs) == [(1, 5), (6, 2), (8, 1), (9, 2)]
    out = io.BytesIO()
    assert restore(lake, found.landed["app.log"].sha, out.write) == 10
    assert out.getvalue() == whole.encode()
    for day, records in ((DAY, 5), (NEXT, 2)):
        account = normalise_day(lake, day, "host")
        assert (account.balanced, account.records) == (True, records)


def test_a_window_over_the_end_of_a_part_shows_the_lines_of_both(lake: Lake) -> None:
    grow(lake, [lines_of(DAY, 0, 3), lines_of(DAY, 0, 8)])
    normalise_day(lake, DAY, WINDOW.group_by)
    cut_day(lake, DAY, WINDOW)
    [window] = [
        row["window_id"] for batch in lake.scan("windows") for row in batch.to_pylist() if row["first_line"] == 1
    ]
    shown = list(raw_lines_of(lake, DAY, window, 1).lines)
    assert [(line.number, line.in_window, line.gap) for line in shown] == [
        (number, number <= 5, False) for number in range(1, 7)
    ]
    assert "".join(f"{line.text}\n" for line in shown) == lines_of(DAY, 0, 6)


def test_the_years_of_a_rest_follow_on(lake: Lake, tmp_path: Path) -> None:
    log = tmp_path / "syslog"
    texts = ["Dec 30 10:00:00 h app: a\n", "Dec 31 10:00:00 h app: b\nJan  1 10:00:00 h app: c\n"]
    for end in (1, 2):
        log.write_text("".join(texts[:end]), encoding="utf-8")
        land_new_lines(lake, log, year=2015, tz=UTC)
    assert lake.days("ledger") == [date(2015, 12, 30), date(2015, 12, 31), date(2016, 1, 1)]
    assert normalise_day(lake, date(2016, 1, 1), "host").records == 1


def test_after_lines_that_tell_nothing_a_rest_is_looked_at_anew(lake: Lake) -> None:
    found = grow(lake, ["starting\n", "starting\n" + lines_of(NEXT, 0, 3)])
    assert found.days == [NEXT]
    assert found.landed["app.log"].format != "plain"


def test_a_last_line_waits_for_its_end(lake: Lake) -> None:
    whole = lines_of(DAY, 0, 6)
    cut = len(lines_of(DAY, 0, 4)) + 20
    found = grow(lake, [whole[:20], whole[:cut]])
    assert (landed_lines(lake), found.waiting) == (4, ["app.log"])
    assert look(lake, found.seen).waiting == ["app.log"]
    drop(lake, "app.log", whole, written=WRITTEN + 9)
    assert look(lake, look(lake, found.seen).seen).waiting == []
    assert landed_lines(lake) == 6
    assert normalise_day(lake, DAY, "host").records == 6


@pytest.mark.parametrize("name", ["app.log.1", "app.log.1.gz"])
def test_a_last_line_of_a_rotated_log_waits_no_longer(name: str, lake: Lake) -> None:
    text = lines_of(DAY, 0, 6)[:-1]
    grow(lake, [text])
    assert landed_lines(lake) == 5
    drop(lake, name, gzip.compress(text.encode()) if name.endswith("gz") else text)
    look_twice(lake)
    assert landed_lines(lake) == 6


def test_a_last_line_that_nobody_ends_for_a_day_is_one(lake: Lake) -> None:
    found = grow(lake, [lines_of(DAY, 0, 6)[:-1]])
    found = look(lake, found.seen, now=LATER + 86_000)
    assert landed_lines(lake) == 5
    found = look(lake, found.seen, now=LATER + 86_500)
    assert (landed_lines(lake), found.waiting) == (6, [])


def test_a_lost_part_of_a_log_that_goes_on_is_written_anew(lake: Lake) -> None:
    found = grow(lake, [lines_of(DAY, 0, 4), lines_of(DAY, 0, 6), lines_of(DAY, 0, 9)])
    parts = [path_in(lake, row) for row in raw_parts(lake, DAY)]
    before = [part.read_bytes() for part in parts]
    for part in parts[1:]:
        part.unlink()
    land_new_lines(lake, lake.path("inbox") / "app.log", tz=UTC)
    assert [part.read_bytes() for part in parts] == before
    assert landed_lines(lake) == 9, found


def test_the_same_lines_packed_are_the_same(lake: Lake, tmp_path: Path) -> None:
    plain, packed = tmp_path / "app.log.1", tmp_path / "app.log.2.gz"
    plain.write_text(lines_of(DAY, 0, 10), encoding="utf-8")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert not land(lake, plain, year=YEAR).already_landed
    assert land(lake, packed, year=YEAR).already_landed
    assert landed_lines(lake) == 10
    other = Lake(tmp_path / "other")
    other.create()
    assert not land(other, packed, year=YEAR).already_landed
    assert land_new_lines(other, plain, tz=UTC).already_landed


def test_what_can_be_read_only_once_is_refused_and_not_waited_for(lake: Lake, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableInput, match="save it to a file"):
        land_new_lines(lake, tmp_path / "pipe", tz=UTC)


def test_a_file_of_another_source_that_begins_alike_is_another(lake: Lake) -> None:
    drop(lake, "a.log", lines_of(DAY, 0, 4))
    drop(lake, "b.log", lines_of(DAY, 0, 6))
    look_twice(lake)
    assert landed_lines(lake) == 10


def test_what_is_remembered_is_read_as_it_was_written(lake: Lake) -> None:
    drop(lake, "app.log", lines_of(DAY, 0, 3))
    seen = look_twice(lake).seen
    assert Seen.read(Seen.write(seen)) == seen
    assert Seen.read(None) == {}
    assert json.loads(Seen.write(seen))["app.log"]["done"] is True
