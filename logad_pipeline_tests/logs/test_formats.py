"""Every known layout is told from the others and taken apart into the right fields."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logad_pipeline.logs.clock import Clock, NoSuchTime
from logad_pipeline.logs.formats import (
    FORMATS,
    Fields,
    UnknownFormat,
    detect_format,
    get_format,
    looks_continued,
)


def at(text: str) -> int:
    """Microseconds of an ISO time in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def parse(name: str, line: str) -> Fields:
    fields = get_format(name).parse(line, Clock(first_year=2024))
    assert fields is not None, f"{name} does not take: {line}"
    return fields


def bunch(**fields: object) -> str:
    return json.dumps(fields)


NOON = at("2024-10-10T12:00:00")

# fmt: off
# format, line, (time, host, program, pid, severity, message)
CASES: list[tuple[str, str, tuple[int | None, str, str, str, str, str]]] = [
    ("rfc3164", "Oct 10 12:00:00 web1 sshd[1000]: Accepted key",
     (NOON, "web1", "sshd", "1000", "", "Accepted key")),
    ("rfc3164", "Oct 10 12:00:00 sshd[1000]: Failed password",
     (NOON, "", "sshd", "1000", "", "Failed password")),
    ("rfc3164", "Oct 10 12:00:00 cron: a: b", (NOON, "", "cron", "", "", "a: b")),
    ("rfc3164", "<34>Oct  1 12:00:00 h su: bad", (at("2024-10-01T12:00:00"), "h", "su", "", "CRIT", "bad")),
    ("rfc3164", "Oct 1 12:00:00.25 h su: x", (at("2024-10-01T12:00:00.25"), "h", "su", "", "", "x")),
    ("rfc3164", "Oct 10 2024 12:00:00: h %FW-6-1: x", (NOON, "h", "%FW-6-1", "", "", "x")),
    ("rfc3164", "Oct 10 12:00:00 h sshd(pam_unix)[7]: x", (NOON, "h", "sshd(pam_unix)", "7", "", "x")),
    ("rfc3164", "Oct 10 12:00:00 h syslogd 1.4.1: restart.",
     (NOON, "h", "syslogd 1.4.1", "", "", "restart.")),
    ("rfc3164", "Oct 10 12:00:00 h Power Agent: fan ok", (NOON, "h", "Power Agent", "", "", "fan ok")),
    ("rfc3164", "Oct 10 12:00:00 h -- root[77]: LOGIN", (NOON, "h", "-- root", "77", "", "LOGIN")),
    ("rfc3164", "Oct 10 12:00:00 h last message repeated 3 times",
     (NOON, "h", "", "", "", "last message repeated 3 times")),
    ("rfc3164", "Oct 10 12:00:00 h kernel: [ 12.5] eth0: up",
     (NOON, "h", "kernel", "", "", "[ 12.5] eth0: up")),
    ("rfc3164", "Oct 10 12:00:00 fe80::1 app[1]: x", (NOON, "fe80::1", "app", "1", "", "x")),
    ("rfc3164", "Oct 10 12:00:00 h postfix/smtpd[9]: x", (NOON, "h", "postfix/smtpd", "9", "", "x")),
    ("rfc3164", "Oct 10 12:00:00 h kernel:", (NOON, "h", "kernel", "", "", "")),
    ("syslog-iso", "2024-10-10T14:00:00.5+02:00 web1 app[3]: x",
     (NOON + 500_000, "web1", "app", "3", "", "x")),
    ("syslog-iso", "2024-10-10T12:00:00Z web1 message repeated 2 times",
     (NOON, "web1", "", "", "", "message repeated 2 times")),
    ("rfc5424", "<165>1 2024-10-10T12:00:00.003Z h app 42 ID1 [a@1 k=\"v\\]\"][b@2] \ufefftext",
     (NOON + 3000, "h", "app", "42", "NOTICE", "text")),
    ("rfc5424", "<13>1 - - - - - [only@1 data=\"1\"]", (None, "", "", "", "NOTICE", "[only@1 data=\"1\"]")),
    ("journald", bunch(__REALTIME_TIMESTAMP=str(NOON), _HOSTNAME="h", SYSLOG_IDENTIFIER="cron", _PID="8",
                       PRIORITY="3", MESSAGE="job failed"), (NOON, "h", "cron", "8", "ERR", "job failed")),
    ("journald", bunch(__REALTIME_TIMESTAMP=str(NOON), _COMM="x", MESSAGE=[104, 255, 105]),
     (NOON, "", "x", "", "", "h\udcffi")),
    ("journald", bunch(__REALTIME_TIMESTAMP=str(NOON), MESSAGE=None), (NOON, "", "", "", "", "")),
    ("access", ('10.1.2.3 - bob [10/Oct/2024:14:00:00 +0200] "GET /a?b=\\"c\\" HTTP/1.1" '
     '200 12 "-" "Mozilla/5.0 (X)"'),
     (NOON, "", "access", "", "", '10.1.2.3 GET /a?b=\\"c\\" HTTP/1.1 200 12 Mozilla')),
    ("access", '10.1.2.3 - - [10/Oct/2024:12:00:00 +0000] "GET / HTTP/1.0" 304 -',
     (NOON, "", "access", "", "", "10.1.2.3 GET / HTTP/1.0 304 -")),
    ("access", 'shop:443 ::1 - a b [10/Oct/2024:12:00:00 +0000] "-" 408 0 "-" "-"',
     (NOON, "", "access", "", "", "::1 - 408 0")),
    ("access", ('10.1.2.3 - - [10/Oct/2024:12:00:00 +0000] "GET / HTTP/1.0" 200 1 '
     '"http://r/" "sqlmap/1.5#dev" 0.01 "x"'),
     (NOON, "", "access", "", "", "10.1.2.3 GET / HTTP/1.0 200 1 sqlmap")),
    ("access", '10.1.2.3 - - [10/Oct/2024:12:00:00 +0000] "GET / HTTP/1.0" 200 1 "-" "CutBot/2 (no end',
     (NOON, "", "access", "", "", "10.1.2.3 GET / HTTP/1.0 200 1 CutBot")),
    ("apache-error", "[Thu Oct 10 12:00:00.000007 2024] [core:error] [pid 35:tid 4] [client 10.0.0.1:5] no",
     (NOON + 7, "", "core", "35", "ERROR", "[client 10.0.0.1:5] no")),
    ("apache-error", "[Thu Oct 10 12:00:00 2024] [notice] caught SIGTERM",
     (NOON, "", "apache", "", "NOTICE", "caught SIGTERM")),
    ("nginx-error", "2024/10/10 12:00:00 [warn] 12#0: *5 slow, client: 10.0.0.1",
     (NOON, "", "nginx", "12", "WARN", "*5 slow, client: 10.0.0.1")),
    ("hdfs", "241010 120000 148 INFO dfs.Data$Node: got blk_-1",
     (NOON, "", "dfs.Data$Node", "148", "INFO", "got blk_-1")),
    ("openstack", "2024-10-10 12:00:00.145 97 WARNING nova.api [req-1 - - - - -] slow",
     (NOON + 145_000, "", "nova.api", "97", "WARNING", "[req-1 - - - - -] slow")),
    ("openstack", "nova-api.log.1.2024 2024-10-10 12:00:00.000 97 INFO nova.api [-] x",
     (NOON, "", "nova.api", "97", "INFO", "[-] x")),
    ("openstack", "2024-10-10 12:00:00.000 97 ERROR nova.api", (NOON, "", "nova.api", "97", "ERROR", "")),
    ("log4j", "2024-10-10 12:00:00,978 INFO [main] org.acme.X: up",
     (NOON + 978_000, "", "org.acme.X", "main", "INFO", "up")),
    ("log4j", "2024-10-10 12:00:00,000 - WARN  [Peer[id=1]/0:2181:Q@7] - gone",
     (NOON, "", "", "Peer[id=1]/0:2181:Q@7", "WARN", "gone")),
    ("logback", "2024-10-10 12:00:00,000 [pool 1] ERROR c.acme.X - bad",
     (NOON, "", "c.acme.X", "pool 1", "ERROR", "bad")),
    ("logback-short", "12:00:00.000 [main] DEBUG c.acme.X - hm",
     (None, "", "c.acme.X", "main", "DEBUG", "hm")),
    ("spring", "2024-10-10T12:00:00.000Z  INFO 12 --- [shop] [  main] o.s.App   : up",
     (NOON, "", "o.s.App", "12", "INFO", "up")),
    ("spark", "24/10/10 12:00:00 INFO executor.X: task 1", (NOON, "", "executor.X", "", "INFO", "task 1")),
    ("python", "2024-10-10 12:00:00,123 - shop.cart - ERROR - no: x",
     (NOON + 123_000, "", "shop.cart", "", "ERROR", "no: x")),
    ("python-basic", "WARNING:shop.cart:no: x", (None, "", "shop.cart", "", "WARNING", "no: x")),
    ("leveled", "[2024-10-10T12:00:00Z] [error] no", (NOON, "", "", "", "ERROR", "no")),
    ("leveled", "[2024-10-10T12:00:00Z][warn] no", (NOON, "", "", "", "WARN", "no")),
    ("leveled", "2024-10-10 12:00:00 INFO - up", (NOON, "", "", "", "INFO", "up")),
    ("leveled", "2024-10-10T12:00:00.000+0200\tinfo\tserver/x.go:5\tup",
     (NOON - 7_200_000_000, "", "", "", "INFO", "server/x.go:5\tup")),
    ("leveled-slashed", "2024/10/10 12:00:00 [INFO] up", (NOON, "", "", "", "INFO", "up")),
    ("bgl", "- 1117838570 2005.06.03 R1-M0 2005-06-03-15.42.50.675872 R1-M0 RAS KERNEL INFO parity error",
     (1117838570_000000, "R1-M0", "KERNEL", "", "INFO", "parity error")),
    ("bgl", "KERNTERM 1117838570 2005.06.03 R1-M0 2005-06-03-15.42.50.675872 R1-M0 RAS KERNEL FATAL",
     (1117838570_000000, "R1-M0", "KERNEL", "", "FATAL", "")),
    ("bgl", "1117838570 2005.06.03 R1-M0 2005-06-03-15.42.50.675872 R1-M0 RAS APP FATAL x",
     (1117838570_000000, "R1-M0", "APP", "", "FATAL", "x")),
    ("thunderbird", "VAPI 1132061285 2005.11.15 an3 Nov 15 05:28:05 an3/an3 snmpd[19]: trap",
     (1132061285_000000, "an3", "snmpd", "19", "", "trap")),
    ("thunderbird", "1132061285 2005.11.15 an3 Nov 5 05:28:05 src@an3 exiting on signal 15",
     (1132061285_000000, "an3", "", "", "", "exiting on signal 15")),
    ("cri", "2024-10-10T12:00:00.123456789Z stderr F  indented",
     (NOON + 123_456, "", "", "", "", " indented")),
    ("cri", "2024-10-10T12:00:00Z stdout F", (NOON, "", "", "", "", "")),
    ("docker", bunch(log="up\n", stream="stdout", time="2024-10-10T12:00:00.5Z"),
     (NOON + 500_000, "", "", "", "", "up")),
    # OpenTelemetry, ECS flat and nested, bunyan, zap, pino, logrus, GELF, Serilog, MongoDB, structlog
    ("json", bunch(Timestamp=NOON * 1000, SeverityText="Error", Body="no",
                   Resource={"host.name": "h", "service.name": "cart"}),
     (NOON, "h", "cart", "", "ERROR", "no")),
    ("json", bunch(timeUnixNano=str(NOON * 1000), severityNumber=17, body={"stringValue": "no"}),
     (NOON, "", "", "", "ERROR", "no")),
    ("json", '{"@timestamp":"2024-10-10T12:00:00.000Z","log.level":"info","log.logger":"x","message":"m"}',
     (NOON, "", "x", "", "INFO", "m")),
    ("json", bunch(**{"@timestamp": "2024-10-10T12:00:00Z", "log": {"level": "warn", "logger": "x"},
                      "event": {"kind": "k"}, "host": {"name": "h"}, "process": {"pid": 5}, "message": "m",
                      "error": {"stack_trace": "at a\nat b"}}),
     (NOON, "h", "x", "5", "WARN", "m\nat a\nat b")),
    ("json", bunch(name="app", hostname="h", pid=3, level=40, msg="m", time="2024-10-10T12:00:00.000Z", v=0),
     (NOON, "h", "app", "3", "WARN", "m")),
    ("json", bunch(level="info", ts=NOON / 1e6 + 0.25, logger="db", caller="x.go:1", msg="m"),
     (NOON + 250_000, "", "db", "", "INFO", "m")),
    ("json", bunch(level=50, time=NOON // 1000, pid=1, hostname="h", msg="m"),
     (NOON, "h", "", "1", "ERROR", "m")),
    ("json", bunch(time="2024-10-10 12:00:00", level="warning", msg="m"), (NOON, "", "", "", "WARNING", "m")),
    ("json", bunch(version="1.1", host="h", short_message="m", timestamp=NOON / 1e6, level=6, _pid=4),
     (NOON, "h", "", "4", "INFO", "m")),
    ("json", '{"@t":"2024-10-10T14:00:00+02:00","@l":"Error","@m":"m"}', (NOON, "", "", "", "ERROR", "m")),
    ("json", bunch(t={"$date": "2024-10-10T12:00:00Z"}, s="W", c="NET", ctx="conn1", msg="m"),
     (NOON, "", "NET", "conn1", "WARNING", "m")),
    ("json", bunch(event="m", timestamp="no time", level="info"), (None, "", "", "", "INFO", "m")),
    ("json", '{"msg":{"a":1},"level":"info","text":"t"}', (None, "", "", "", "INFO", "t")),
    ("json", '{"msg":"lone \\ud800 half, raw \\udcff"}',
     (None, "", "", "", "", "lone \ufffd half, raw \udcff")),
    ("json", '{"level":"info","status":200}', (None, "", "", "", "INFO", '{"level":"info","status":200}')),
    ("plain", "2024-10-10 12:00:00 | started", (NOON, "", "", "", "", "started")),
    ("plain", "[2024/10/10 12:00:00.5] error: no", (NOON + 500_000, "", "", "", "ERROR", "no")),
    ("plain", "Thu Oct 10 12:00:00 2024: up", (NOON, "", "", "", "", "up")),
    ("plain", "Oct 10 12:00:00 up", (NOON, "", "", "", "", "up")),
    ("plain", "error is what begins this sentence",
     (None, "", "", "", "", "error is what begins this sentence")),
    ("plain", "2024-10-99 12:00:00 up", (None, "", "", "", "", "2024-10-99 12:00:00 up")),
    ("plain", "WARN | low", (None, "", "", "", "WARN", "low")),
]
# fmt: on


@pytest.mark.parametrize(("name", "line", "expected"), CASES)
def test_fields(name: str, line: str, expected: tuple[object, ...]) -> None:
    assert parse(name, line)[:6] == expected


@pytest.mark.parametrize(("name", "line"), [case[:2] for case in CASES if case[0] != "plain"])
def test_each_line_is_detected_as_its_own_format(name: str, line: str) -> None:
    assert detect_format([line] * 3).name == name


def test_every_format_has_a_case_and_its_own_name() -> None:
    names = [log_format.name for log_format in FORMATS]
    assert sorted(set(names)) == sorted(names) and {case[0] for case in CASES} == set(names)
    assert all(log_format.description for log_format in FORMATS)


def test_labels_never_reach_the_record() -> None:
    for rest in (
        "1132061285 2005.11.15 an3 Nov 15 05:28:05 an3/an3 snmpd[19]: trap",
        "1117838570 2005.06.03 R1-M0 2005-06-03-15.42.50.675872 R1-M0 RAS APP FATAL x",
    ):
        log_format = detect_format([rest])
        assert len({log_format.parse(label + rest, Clock()) for label in ("", "- ", "KERNDTLB ")}) == 1


def test_container_pieces_are_marked() -> None:
    assert parse("cri", "2024-10-10T12:00:00Z stdout P abc")[6:] == ("stdout", True)
    assert parse("cri", "2024-10-10T12:00:00Z stdout F abc")[6:] == ("stdout", False)
    assert parse("docker", bunch(log="abc", stream="stderr", time="2024-10-10T12:00:00Z"))[6:] == (
        "stderr",
        True,
    )


def test_classic_syslog_may_turn_to_iso_times_in_the_middle() -> None:
    assert parse("rfc3164", "2024-10-10T12:00:00+00:00 h app[3]: x")[:2] == (NOON, "h")


def test_an_application_line_is_no_syslog_of_the_host_info() -> None:
    assert detect_format(["2024-10-10T12:00:00 INFO cart: added"]).name == "leveled"


def test_impossible_times_are_said() -> None:
    for name, line in (
        ("rfc3164", "Oct 32 12:00:00 h a: x"),
        ("hdfs", "249910 120000 1 INFO a: x"),
        ("access", '1.1.1.1 - - [10/Foo/2024:12:00:00 +0000] "GET /" 200 1'),
    ):
        with pytest.raises(NoSuchTime, match="no such"):
            parse(name, line)
        assert not get_format(name).matches(line)


def test_detection_ignores_blank_and_continued_lines_and_needs_sixty_percent() -> None:
    head = "2024-10-10 12:00:00,978 ERROR [main] org.acme.X: failed"
    trace = ["java.io.IOException: no", "\tat a.B.c(D.java:1)", "Caused by: x", ""]
    assert detect_format([head, *trace * 20]).name == "log4j"
    assert detect_format([head] * 6 + ["some other text"] * 4).name == "log4j"
    assert detect_format([head] * 5 + ["some other text"] * 5).name == "plain"
    assert detect_format([]).name == "plain"
    assert detect_format(["", "  "]).name == "plain"


def test_the_general_format_wins_where_the_specific_one_leaves_many_lines() -> None:
    specific = ["2024-10-10 12:00:00.1 97 INFO nova.api [-] x"] * 7
    general = ["2024-10-10T12:00:00 INFO up"] * 30
    assert detect_format(specific + general).name == "leveled"


def test_unknown_format_names_the_known() -> None:
    with pytest.raises(UnknownFormat, match=r"'syslogg'.*auto.*rfc3164"):
        get_format("syslogg")


def test_what_looks_continued() -> None:
    for line in (
        "  x",
        "\tat a.b(C.java:1)",
        "Caused by: y",
        "... 12 more",
        "ValueError: z",
        "a.b.FooException",
    ):
        assert looks_continued(line), line
    for line in ("", "at noon all was well", "Error rate is high", "plain words"):
        assert not looks_continued(line), line


@given(st.text(st.characters(exclude_characters="\n"), max_size=200))
def test_no_format_fails_on_any_text(line: str) -> None:
    for log_format in FORMATS:
        log_format.matches(line)


@given(
    st.sampled_from(CASES),
    st.integers(0, 200),
    st.text(st.characters(exclude_characters="\n"), max_size=20),
)
def test_no_format_fails_on_broken_headers(case: tuple[str, str, tuple[object, ...]], cut: int, text: str) -> None:
    for log_format in FORMATS:
        log_format.matches(case[1][:cut] + text + case[1][cut + len(text) :])


HOSTILE = ["{" * 5, "[", '{"a":', "<1>1 - - - - - [", "a.", "A", " ", "1:", '\\"', "[[", "((", "0 ",
           "Oct 10 12:00:00 A ", '1.1.1.1 - - [10/Oct/2024:12:00:00 +0000] "']  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_lines_take_no_longer_than_their_length(piece: str) -> None:
    started = time.perf_counter()
    for line in (piece * (300_000 // len(piece)), piece + "\\" * 200_000, piece + "a" * 300_000):
        for log_format in FORMATS:
            log_format.matches(line)
        looks_continued(line)
    assert time.perf_counter() - started < 5
