from __future__ import annotations

import gzip
import lzma
import math
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logad_pipeline.lake import record_rows
from logad_pipeline.lake.landing import land
from logad_pipeline.lake.ledger import raw_parts, rows_of
from logad_pipeline.lake.normalising import normalise_day, text_id
from logad_pipeline.lake.tables import Lake, LakeDamaged
from logad_pipeline.logs.parser import read_records
from logad_pipeline.logs.reader import UnreadableInput
from logad_pipeline.logs.records import Record
from logad_pipeline.logs.simulator import simulate
from logad_pipeline_tests.conftest import shared_data

from .conftest import WriteLog, rows

DAY = date(2024, 1, 1)


def test_every_line_of_simulated_days_is_found_again_by_its_number(lake: Lake, tmp_path: Path) -> None:
    simulation = simulate(tmp_path / "sim", start=date(2024, 3, 1), days=3, lines_per_day=600, seed=4)
    files = {land(lake, path).sha: path for path in simulation.logs}
    accounts = [normalise_day(lake, day, "host", batch_rows=100) for day in lake.days("ledger")]
    assert all(account.balanced and account.lines for account in accounts)
    assert sum(account.lines for account in accounts) == simulation.total_lines
    originals = {sha: path.read_text().splitlines() for sha, path in files.items()}
    seen = set()
    for row in rows(lake, "normalized", "record_id"):
        line = originals[row["file_sha256"]][row["first_line"] - 1]
        if row["source"] == "web01-access.log":  # the message of an access line is put together anew
            assert set(row["body"].split()[:3]) <= set(line.replace('"', " ").split())
        else:
            assert line.endswith(row["body"])
        assert row["source"] == files[row["file_sha256"]].name
        assert row["timestamp"].date() == row["day"]
        assert row["text_id"] == text_id(row["text"])
        assert row["group_key"] == row["host_name"]
        seen.add((row["file_sha256"], row["first_line"]))
    assert len(seen) == simulation.total_lines


def test_real_days_are_balanced(lake: Lake) -> None:
    landed = land(lake, shared_data("authlog/auth.log.xz"), year=2017)
    accounts = [normalise_day(lake, day, "none") for day in landed.days]
    assert len(accounts) == 25
    assert all(account.balanced for account in accounts)
    assert [account.lines for account in accounts] == list(landed.days.values())
    with lzma.open(shared_data("authlog/auth.log.xz"), "rt") as stream:
        lines = stream.read().splitlines()
    for row in rows(lake, "normalized", "record_id"):
        assert lines[row["first_line"] - 1].startswith(f"{row['timestamp']:%b} {row['timestamp'].day:>2} ")
        assert lines[row["first_line"] - 1].rstrip().endswith(row["body"].rstrip())


def test_a_run_again_gives_the_same_rows(lake: Lake, write_log: WriteLog) -> None:
    lines = [f"2024-01-01 00:00:{i:02},000 INFO a: number {i}" for i in range(60)]
    land(lake, write_log("app.log", [*lines, "\0"]))
    first = normalise_day(lake, DAY, "none", batch_rows=7)
    before = [rows(lake, table, key) for table, key in (("normalized", "record_id"), ("quarantine", "line"))]
    assert normalise_day(lake, DAY, "none") == first
    after = [rows(lake, table, key) for table, key in (("normalized", "record_id"), ("quarantine", "line"))]
    assert before == after
    assert [row["record_id"] for row in after[0]] == list(range(60))


def test_what_is_no_record_is_quarantined_with_its_line_and_bytes(lake: Lake, write_log: WriteLog) -> None:
    content = (
        b"2024-01-01 00:00:00,000 INFO a: one\n  more\n\0\xff\n2024-01-02 00:00:00,000 INFO a: two\n"
        b"2024-01-01 00:00:01,000 WARN a: bad \xff \xed\xa0\x80 end\n\0 again\n"
    )
    landed = land(lake, write_log("app.log", content), format="leveled")
    account = normalise_day(lake, DAY, "none")
    assert (account.lines, account.records, account.continuation_lines, account.quarantined) == (5, 2, 1, 2)
    assert account.balanced
    assert account.quarantine_reasons == {"bytes that are no text": 2}
    first, second = rows(lake, "quarantine", "line")
    assert (first["line"], first["raw"], first["file_sha256"]) == (3, b"\0\xff", landed.sha)
    assert (second["line"], second["raw"]) == (6, b"\0 again")
    one, late = rows(lake, "normalized", "record_id")
    assert (one["first_line"], one["last_line"], one["body"]) == (1, 2, "a: one\n  more")
    assert (late["first_line"], late["body"]) == (5, "a: bad \ufffd \ufffd\ufffd\ufffd end")
    assert late["timestamp"] == datetime(2024, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert (late["severity_text"], late["service_name"], late["host_name"]) == ("WARN", "", "")


def test_lone_surrogates_become_replacement_characters(lake: Lake, write_log: WriteLog) -> None:
    line = r'{"timestamp": "2024-01-01T00:00:00Z", "level": "info", "logger": "\udc80", "msg": "a \ud800 b"}'
    land(lake, write_log("app.json", [line]))
    normalise_day(lake, DAY, r"a (.)")
    (row,) = rows(lake, "normalized", "record_id")
    assert (row["body"], row["group_key"]) == ("a \ufffd b", "\ufffd")


def test_a_day_without_anything_becomes_empty(lake: Lake, write_log: WriteLog) -> None:
    land(lake, write_log("app.log", ["2024-01-01 00:00:00,000 INFO a: one", "\0"]))
    normalise_day(lake, DAY, "none")
    account = normalise_day(lake, date(2024, 1, 2), "none")
    assert (account.lines, account.records, account.balanced) == (0, 0, True)
    assert lake.days("normalized") == lake.days("quarantine") == [DAY]
    emptied = Lake(lake.root)
    emptied.replace_day("normalized", DAY, iter(()))
    assert emptied.days("normalized") == []


def test_two_parts_of_a_source_are_one_stream_in_time(lake: Lake, write_log: WriteLog) -> None:
    for name, hour in (("a.log", 18), ("a.log.1", 9)):
        land(lake, write_log(name, [f"2024-01-01 {hour:02}:00:0{i},000 INFO a: {name}" for i in range(3)]))
    normalise_day(lake, DAY, "none", batch_rows=2)
    hours = [row["timestamp"].hour for row in rows(lake, "normalized", "record_id")]
    assert hours == [9, 9, 9, 18, 18, 18]


def test_a_raw_part_that_is_not_what_was_landed_stops_the_day(lake: Lake, write_log: WriteLog) -> None:
    path = write_log("app.log", [f"2024-01-01 00:00:0{i},000 INFO a: one" for i in range(9)])
    land(lake, path)
    normalise_day(lake, DAY, "none")
    (part,) = raw_parts(lake, DAY)
    raw = lake.root / part.raw_path
    for content, reason in (
        (raw.read_bytes()[:-5], "zstd data"),
        (gzip.compress(b"".join(path.read_bytes().splitlines(True)[:5])), "ends early, at line 6"),
        (gzip.compress(path.read_bytes() + b"x\n"), "more lines than were landed"),
    ):
        raw.write_bytes(content)
        with pytest.raises(LakeDamaged, match=rf"{reason}.*ingest .*app\.log again"):
            normalise_day(lake, DAY, "none")
    assert len(rows(lake, "normalized", "record_id")) == 9
    raw.unlink()
    land(lake, path)
    assert normalise_day(lake, DAY, "none").balanced


def test_a_bad_grouping_is_refused_before_anything_is_written(lake: Lake) -> None:
    with pytest.raises(ValueError, match="group-by"):
        normalise_day(lake, DAY, "(unclosed")
    assert lake.version("normalized") == 0


def test_long_lines_are_written_in_small_batches(
    lake: Lake, write_log: WriteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logad_pipeline.lake.normalising.MAX_BATCH_CHARS", 1000)
    monkeypatch.setattr(record_rows, "MAX_BATCH_CHARS", 1000)
    lines = [f"2024-01-01 00:00:00,000 INFO a: {'x' * 400} {i}" for i in range(20)]
    land(lake, write_log("app.log", [*lines, *(["\0" * 400] * 9)]))
    account = normalise_day(lake, DAY, "none")
    assert (account.records, account.quarantined, account.balanced) == (20, 9, True)


STAMPS = st.one_of(
    st.builds(
        "{} {:>2} 00:00:0{} h app[1]: x".format,
        st.sampled_from(["Jan", "Feb", "Jun", "Jul", "Dec"]), st.integers(1, 31), st.integers(0, 9),
    ),
    st.builds("{} {:>2} 25:00:00 h app: x".format, st.sampled_from(["Jan", "Dec"]), st.integers(1, 31)),
    st.sampled_from(["Feb 29 00:00:00 h app: x", "  at x", "", "\0", "no header", "Caused by: y"]),
)  # fmt: skip


# 29 February is left out: in a file of several years it may be read as another year's, see the README.
@given(st.lists(STAMPS.filter(lambda line: not line.startswith("Feb 29")), min_size=1, max_size=25))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_day_is_parsed_as_the_whole_file_was(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    folder = tmp_path_factory.mktemp("whole")
    path = folder / "syslog"
    path.write_text("\n".join(lines))
    lake = Lake(folder / "lake")
    lake.create()
    try:
        landed = land(lake, path, format="rfc3164", year=2023, day=DAY)
    except UnreadableInput:
        assert not any(lines)
        return
    for day in landed.days:
        assert normalise_day(lake, day, "none").balanced
    expected_records, expected_rejected = [], []
    for item in read_records(path, format="rfc3164", year=2023):
        if isinstance(item, Record):
            expected_records.append((item.first_line, item.last_line, item.time_us, item.message))
        else:
            expected_rejected.append((item.line, item.raw, item.reason))
    found = [
        (row["first_line"], row["last_line"], micros(row["timestamp"]), row["body"])
        for row in rows(lake, "normalized", "record_id")
    ]
    assert sorted(found, key=lambda each: each[0]) == expected_records
    rejected = [(row["line"], row["raw"], row["reason"]) for row in rows(lake, "quarantine", "line")]
    assert sorted(rejected) == expected_rejected
    assert math.fsum(row.day_lines for row in rows_of(lake, landed.sha)) == landed.lines


def micros(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1_000_000)
