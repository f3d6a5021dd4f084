"""Every physical line is in exactly one record or rejected, and real logs are read whole."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logad_pipeline.logs.clock import Clock
from logad_pipeline.logs.formats import FORMATS, UnknownFormat, get_format
from logad_pipeline.logs.parser import (
    MAX_RECORD_CHARS,
    MAX_RECORD_LINES,
    SourceKind,
    detect,
    identify,
    message_of,
    parse_lines,
    read_records,
)
from logad_pipeline.logs.reader import UnreadableInput, open_log, read_lines
from logad_pipeline.logs.records import Record, Rejected
from logad_pipeline_tests.conftest import shared_data

NAMES = [log_format.name for log_format in FORMATS]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def parsed(name: str, data: bytes, year: int = 2024) -> list[Record | Rejected]:
    lines = read_lines(io.BytesIO(data))
    return list(parse_lines(lines, fmt=get_format(name), clock=Clock(first_year=year)))


def span(entry: Record | Rejected) -> tuple[int, int]:
    return (entry.first_line, entry.last_line) if isinstance(entry, Record) else (entry.line, entry.line)


def account(entries: list[Record | Rejected]) -> list[int]:
    return [number for entry in entries for number in range(span(entry)[0], span(entry)[1] + 1)]


def messages(entries: list[Record | Rejected]) -> list[str]:
    return [entry.message if isinstance(entry, Record) else f"!{entry.reason}" for entry in entries]


LINE = st.one_of(
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"")),
    st.sampled_from(
        [
            b"", b"  ", b"\r", b"\tat a.b(C.java:1)", b"Caused by: x", b"words", b"\xff\xfe\x00", b"\x00" * 9,
            b"Oct 10 12:00:00 h sshd[1]: x", b"Feb 29 12:00:00 h sshd[1]: x", b"Oct 99 12:00:00 h sshd[1]: x",
            b"2024-10-10T12:00:00Z stdout P abc", b"2024-10-10T12:00:00Z stdout F def",
            b"2024-10-10T12:00:00Z stderr P abc", b'{"log":"a","stream":"stdout","time":"x"}', b'{"msg":"m"}',
            b"241010 120000 1 INFO a.B: x", b"249910 120000 1 INFO a.B: x", b"INFO:a:b \xe4",
            b"2024-10-10 12:00:00,1 INFO [main] a.B: x", b"\xef\xbb\xbfINFO:a:b", b"x" * 3000,
        ]
    ),
)  # fmt: skip


@given(st.sampled_from(NAMES), st.lists(LINE, max_size=60), st.booleans())
def test_every_line_is_accounted_for_once(name: str, lines: list[bytes], ended: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    physical = list(read_lines(io.BytesIO(data)))
    entries = parsed(name, data, year=2023)
    assert account(entries) == list(range(1, len(physical) + 1))
    for entry in entries:
        if isinstance(entry, Rejected):
            assert entry.reason and entry.raw == physical[entry.line - 1].removesuffix(b"\n")
        else:
            entry.message.encode("utf-8", "surrogateescape")


@settings(max_examples=30)
@given(st.lists(LINE, min_size=1, max_size=40))
def test_the_whole_way_accounts_for_every_line(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    data = b"\n".join([b"not the first bytes of a packed file", *lines])
    count = len(list(read_lines(io.BytesIO(data))))
    path = tmp_path_factory.mktemp("way") / "x.log"
    path.write_bytes(data)
    assert account(list(read_records(path))) == list(range(1, count + 1))
    assert account(list(read_records(io.BytesIO(data)))) == list(range(1, count + 1))


@given(st.lists(LINE, max_size=60), st.integers(0, 3))
def test_plain_refuses_only_what_is_no_text(lines: list[bytes], blanks: int) -> None:
    data = b"first\n" + b"\n" * blanks + b"\n".join(lines)
    reasons = {entry.reason for entry in parsed("plain", data) if isinstance(entry, Rejected)}
    assert reasons <= {"bytes that are no text", "blank line"}


def test_stack_traces_join_their_record() -> None:
    data = (
        b"2024-10-10 12:00:00,978 ERROR [main] org.acme.X: failed\r\n"
        b"java.io.IOException: no\r\n\tat a.B.c(D.java:1)\r\n\r\nunindented words\r\n\r\n"
        b"2024-10-10 12:00:01,000 INFO [main] org.acme.X: up\r\n"
    )
    first, second = parsed("log4j", data)
    assert isinstance(first, Record) and isinstance(second, Record)
    assert (first.first_line, first.last_line, first.line_count) == (1, 6, 6)
    assert first.message == "failed\njava.io.IOException: no\n\tat a.B.c(D.java:1)\n\nunindented words"
    assert (second.first_line, second.last_line, second.message) == (7, 7, "up")


def test_in_syslog_only_what_looks_continued_joins() -> None:
    data = b"Oct 10 12:00:00 h a: x\n  more\nTraceback (most recent call last):\nwords\n  orphan\n\n"
    assert messages(parsed("rfc3164", data)) == [
        "x\n  more\nTraceback (most recent call last):",
        "!no rfc3164 header",
        "!no rfc3164 header, and no record before it to continue",
        "!blank line",
    ]


def test_a_rejected_line_keeps_its_continuation_from_joining_a_stranger() -> None:
    good, bad = b"241010 120000 1 INFO a.B: x\n", b"249910 120000 1 INFO a.B: bad\n"
    data = good + bad + b"  of the bad one\n" + good
    found = messages(parsed("hdfs", data))
    assert [found[0], found[3]] == ["x", "x"]
    assert found[1].startswith("!no such time") and found[2].startswith("!no hdfs header, and no record")


def test_a_record_has_an_end() -> None:
    data = b"INFO:a:x\n" + b"  more\n" * (MAX_RECORD_LINES + 9) + b"INFO:a:y\n" + b"  more\n"
    entries = parsed("python-basic", data)
    records = [entry for entry in entries if isinstance(entry, Record)]
    assert [record.line_count for record in records] == [MAX_RECORD_LINES, 2]
    assert {entry.reason for entry in entries if isinstance(entry, Rejected)} == {
        "continues a record beyond 500 lines or 64 KiB"
    }
    wide = parsed("python-basic", b"INFO:a:x\n" + (b" " + b"w" * 999 + b"\n") * 100)
    assert isinstance(wide[0], Record) and 60_000 < len(wide[0].message) <= MAX_RECORD_CHARS
    assert len(wide) == 1 + 101 - wide[0].line_count


def test_cut_container_lines_are_joined_again() -> None:
    data = (
        b"2024-10-10T12:00:00Z stdout P one \n2024-10-10T12:00:01Z stdout P two \n"
        b"2024-10-10T12:00:02Z stdout F three\n2024-10-10T12:00:03Z stdout P a\n"
        b"2024-10-10T12:00:04Z stderr F b\n2024-10-10T12:00:05Z stdout F c\n"
    )
    entries = parsed("cri", data)
    assert messages(entries) == ["one two three", "a", "b", "c"]
    assert span(entries[0]) == (1, 3)


def test_bytes_that_are_no_utf8() -> None:
    entries = parsed(
        "rfc3164", b"Oct 10 12:00:00 h a: gr\xfc\xdfe\nOct 10 12:00:00 h a: \x00\n" + bytes(range(128, 255))
    )
    first = entries[0]
    assert isinstance(first, Record) and first.message.encode("utf-8", "surrogateescape") == b"gr\xfc\xdfe"
    assert [entry.reason for entry in entries[1:] if isinstance(entry, Rejected)] == ["bytes that are no text"] * 2


def test_byte_order_mark_and_carriage_return_are_no_message() -> None:
    assert messages(parsed("python-basic", b"\xef\xbb\xbfINFO:a:x\r\nINFO:a:y\r\n")) == ["x", "y"]


def test_leap_day_in_a_year_without_one_is_rejected() -> None:
    entries = list(read_records(io.BytesIO(b"Feb 28 12:00:00 h a: x\nFeb 29 12:00:00 h a: y\n" * 2), year=2023))
    assert [type(entry) for entry in entries] == [Record, Rejected] * 2
    assert isinstance(entries[1], Rejected) and "29 February does not exist in 2023" in entries[1].reason


def syslog(*days: str) -> bytes:
    return "".join(f"{day} 12:00:00 h a[1]: x\n" for day in days).encode()


def days(entries: Iterator[Record | Rejected]) -> list[str]:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    return [
        str((start + timedelta(microseconds=entry.time_us)).date())
        for entry in entries
        if isinstance(entry, Record) and entry.time_us is not None
    ]


def test_year_from_the_file_and_from_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "messages.gz"
    path.write_bytes(gzip.compress(syslog("Nov 30", "Dec 31", "Jan  1", "Dec 31", "Feb 29", "Mar  1")))
    os.utime(path, (seconds("2026-07-01"),) * 2)
    expected = ["2023-11-30", "2023-12-31", "2024-01-01", "2023-12-31", "2024-02-29", "2024-03-01"]
    assert days(read_records(path)) == expected
    assert identify(path) == SourceKind("rfc3164", 2023)
    assert days(read_records(path, year=2019))[-1] == "2020-03-01"
    assert days(read_records(path, mtime=seconds("2021-01-01")))[-1] == "2020-03-01"
    assert detect(path).name == "rfc3164"


def test_a_part_parses_as_in_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    path.write_bytes(syslog("Jun  9", "Dec 31", "Jan  1", "Feb  3"))
    kind = identify(path, year=2005)
    assert kind == SourceKind("rfc3164", 2005)
    with open_log(path) as stream:
        part = list(read_lines(stream))[2:]
    clock = Clock(first_year=2006)
    entries = parse_lines(part, fmt=get_format(kind.format), clock=clock, first_line=3)
    assert list(entries) == list(read_records(path, year=2005))[2:]


def test_a_stream_is_not_in_the_future() -> None:
    stream = io.BytesIO(syslog("Dec 30", "Jan  1"))
    assert days(read_records(stream, mtime=seconds("2024-01-02"))) == ["2023-12-30", "2024-01-01"]
    entries = list(read_records(io.BytesIO(syslog("Dec 30", "Jan  9")), mtime=seconds("2024-01-02")))
    assert isinstance(entries[1], Rejected) and "future" in entries[1].reason


def test_zone_of_the_caller() -> None:
    zone = timezone(timedelta(hours=2))
    record = next(read_records(io.BytesIO(syslog("Oct 10")), year=2024, tz=zone))
    assert isinstance(record, Record) and record.time_us == round(seconds("2024-10-10T10:00") * 1e6)


def test_truncated_file_gives_its_records_and_then_raises(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(os.urandom(90_000).hex().encode() + b"\n" + syslog("Oct 10", "Oct 11"))[:-9])
    seen: list[Record | Rejected] = []
    with pytest.raises(UnreadableInput, match=r"cut\.gz"):
        seen.extend(read_records(path, format="rfc3164"))
    assert len(seen) >= 2


def test_wrong_arguments_are_refused_before_reading(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="no such file"):
        read_records(tmp_path / "none.log")
    with pytest.raises(UnreadableInput, match="directory"):
        read_records(tmp_path)
    with pytest.raises(UnknownFormat, match="one of"):
        read_records(io.BytesIO(b""), format="nope")
    with pytest.raises(ValueError, match="year"):
        read_records(io.BytesIO(b""), year=0)


def test_what_can_be_read_only_once_is_not_identified(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for source in ("-", tmp_path / "pipe"):
        with pytest.raises(UnreadableInput, match="only once"):
            identify(source)


def test_empty_source(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert list(read_records(path)) == []
    assert identify(path) == SourceKind("plain", None)


def test_message_of_one_line() -> None:
    assert message_of("Oct 10 12:00:00 sshd[1000]: Failed password\n") == "Failed password"
    assert message_of("Oct 99 12:00:00 sshd[1000]: no") == "Oct 99 12:00:00 sshd[1000]: no"
    assert message_of("241010 120000 1 INFO a.B: x") == "x"
    assert message_of(" \n") == ""


REAL = [
    ("linux/Linux.log.xz", "linux/labels_weak.csv.gz", "rfc3164", 2005),
    ("authlog/auth.log.xz", "authlog/labels_rule_based.csv.gz", "rfc3164", 2017),
    ("hdfs/hdfs.log.xz", "hdfs/labels.csv.gz", "hdfs", None),
    ("openstack/10.0.20.21.log.xz", "openstack/10.0.20.21.labels.csv.gz", "openstack", None),
    ("openstack/10.0.20.24.log.xz", "openstack/10.0.20.24.labels.csv.gz", "openstack", None),
    ("openstack/10.0.20.25.log.xz", "openstack/10.0.20.25.labels.csv.gz", "openstack", None),
    ("thunderbird/thunderbird.log.xz", "thunderbird/labels.csv.gz", "thunderbird", None),
    ("bgl_sample/BGL_2k.log.xz", "bgl_sample/labels.csv.gz", "bgl", None),
    ("apache_access/access.log.xz", None, "access", None),
    ("intranet_access/access.log.xz", None, "access", None),
]


@pytest.mark.parametrize(("log", "labels", "name", "year"), REAL)
def test_real_logs_are_read_whole_and_at_the_right_time(
    log: str, labels: str | None, name: str, year: int | None
) -> None:
    path = shared_data(log)
    assert identify(path, year=year) == SourceKind(name, year)
    times: dict[int, int] = {}
    last, rejected = 0, 0
    for entry in read_records(path, year=year):
        first, end = span(entry)
        assert first == last + 1
        last = end
        if isinstance(entry, Rejected):
            rejected += 1
        else:
            assert entry.time_us is not None
            times[first] = entry.time_us
    assert rejected <= 0.001 * last
    if labels is None:
        return
    compared = 0
    with gzip.open(shared_data(labels), "rt") as file:
        for row in csv.DictReader(file):
            time_us = times.get(int(row["line_no"]))
            if time_us is not None:
                assert time_us == round(seconds(row["ts"]) * 1_000_000), row
                compared += 1
    assert compared == len(times)


def test_real_syslog_finds_its_years_from_its_mtime() -> None:
    path = shared_data("linux/Linux.log.xz")
    assert identify(path, mtime=seconds("2006-03-01")) == SourceKind("rfc3164", 2005)
