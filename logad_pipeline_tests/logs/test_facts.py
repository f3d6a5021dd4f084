"""The facts of raw records: who did what to whom, and which numbers are named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logad_pipeline.logs.facts import MAX_EDGES, MAX_NUMBERS, RecordFacts, facts_of
from logad_pipeline.logs.log_tokenizer import LogTokenizer
from logad_pipeline.logs.records import Record

TOKENIZER = LogTokenizer()
NODE_TYPES = {"user", "ip", "host", "process", "file"}


def facts(message: str, program: str = "", host: str = "") -> RecordFacts:
    record = Record(1, 1, None, host, program, "42", "", message)
    return facts_of(record, TOKENIZER.normalise(message))


def pairs(message: str, program: str = "", host: str = "") -> set[tuple[str, str]]:
    return {(subject, target) for subject, _, target in facts(message, program, host).edges}


def test_a_login_ties_the_account_to_its_address_and_to_the_host() -> None:
    found = facts("Failed password for invalid user admin from 10.0.0.9 port 4022 ssh2", "sshd", "web1")
    action = "sshd: failed password for invalid user from ip port"
    assert found.edges == (
        ("host:web1", "runs", "process:sshd"),
        ("process:sshd", action, "user:admin"),
        ("user:admin", action, "ip:10.0.0.9"),
        ("user:admin", action, "host:web1"),
        ("process:sshd", action, "ip:10.0.0.9"),
    )
    assert found.template == "failed password for invalid user from ip port num ssh2"
    assert found.numbers == (4022.0,)


def test_sudo_says_who_ran_what_as_whom() -> None:
    message = "  mira : TTY=pts/0 ; PWD=/home/mira ; USER=root ; COMMAND=/usr/bin/vim /etc/shadow"
    found = pairs(message, "sudo", "db1")
    assert {("user:mira", "user:root"), ("user:mira", "file:/usr/bin/vim"), ("user:mira", "file:/etc/shadow")} <= found
    assert ("user:mira", "host:db1") in found
    assert not any("pts" in target or target == "file:/home/mira" for _, target in found)


@pytest.mark.parametrize(
    ("message", "program", "edge"),
    [
        ("(root) CMD (/usr/local/bin/backup.sh --all)", "CRON", ("user:root", "file:/usr/local/bin/backup.sh")),
        ("pam_unix(su:session): session opened for user root by mira(uid=1001)", "su", ("user:mira", "user:root")),
        ("Successful su for postgres by mira", "su", ("user:mira", "user:postgres")),
        ("New session 1 of user mira.", "systemd-logind", ("process:systemd-logind", "user:mira")),
        ("add 'eve' to group 'sudo'", "useradd", ("process:useradd", "user:eve")),
        ("new user: name=eve, UID=1001, GID=1001", "useradd", ("process:useradd", "user:eve")),
        ("Out of Memory: Killed process 28473 (httpd).", "kernel", ("process:kernel", "process:httpd")),
        ("Stopped auditd.service - Security Auditing Service.", "systemd", ("process:systemd", "process:auditd")),
        ("klogd 1.4.1, log source = /proc/kmsg started.", "kernel", ("process:kernel", "file:/proc/kmsg")),
        ("connection from 61.218.67.60 (mail.net-star.com.tw)", "ftpd", ("process:ftpd", "host:mail.net-star.com.tw")),
        ("authentication failure; uid=0 ruser= rhost=10.1.2.3  user=test", "sshd", ("user:test", "ip:10.1.2.3")),
        ("Connection closed by ::ffff:10.1.2.3", "sshd", ("process:sshd", "ip:10.1.2.3")),
        ("10.0.0.9 GET /wp-login.php?x=1 HTTP/1.1 404 292 curl", "access", ("ip:10.0.0.9", "file:/wp-login.php")),
        ("[client 10.0.0.9] File does not exist: /var/www/x", "core", ("ip:10.0.0.9", "file:/var/www/x")),
    ],
)
def test_well_known_lines_say_who_did_what_to_whom(message: str, program: str, edge: tuple[str, str]) -> None:
    assert edge in pairs(message, program)


def test_what_is_never_the_same_twice_is_no_entity() -> None:
    for message in (
        "Received block blk_-1608999687919862906 of size 91178",
        "[instance: 3edec1e4-9678-4a3a-a21b-a145a4ee5e61] VM started",
        "Removed session 4711.",
    ):
        assert facts(message).edges == ()


def test_ids_inside_names_of_files_are_collapsed() -> None:
    one = pairs("wrote /var/tmp/job-1734/5f0c9a7b3e.tmp", "batch")
    assert (
        one
        == pairs("wrote /var/tmp/job-9921/0a1b2c3d4e.tmp", "batch")
        == {("process:batch", "file:/var/tmp/job-*/*.tmp")}
    )


def test_words_that_follow_user_are_no_names() -> None:
    assert not any("user:" in target for _, target in pairs("check pass; user unknown", "sshd"))


def test_versions_of_a_program_are_one_process() -> None:
    assert pairs("restart.", "syslogd 1.4.1", "combo") == {("host:combo", "process:syslogd")}


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        ("duration: 26345.886 ms", (26.345886,)),
        ("timed out after 900 seconds", (900.0,)),
        ("took 250ms, waited 2 hours", (0.25, 7200.0)),
        ("sent 4 KiB and 2MB of 4096 bytes", (4096.0, 2_000_000.0, 4096.0)),
        ("used 1,234,567 of 80%", (1_234_567.0, 80.0)),
        ("exit code -1, load 0.75", (-1.0, 0.75)),
        ('"GET /x HTTP/1.1" 200 5120', (5120.0,)),
        ("started at 2024-01-02 10:11:12 with 3 workers", (3.0,)),
        ("user 4711 from 10.0.0.9 on eth0", ()),
        ("nothing to count", ()),
    ],
)
def test_numbers_come_in_order_in_seconds_and_bytes(message: str, numbers: tuple[float, ...]) -> None:
    assert facts(message).numbers == pytest.approx(numbers)


def test_a_record_with_many_names_and_numbers_is_bounded() -> None:
    found = facts(" ".join(f"10.0.0.{i} {i}" for i in range(100)), "scan")
    assert len(found.edges) == MAX_EDGES
    assert len(found.numbers) == MAX_NUMBERS


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200), st.text(max_size=8), st.text(max_size=8))
def test_any_text_gives_typed_nodes_and_finite_numbers(message: str, program: str, host: str) -> None:
    found = facts(message, program, host)
    for subject, action, target in found.edges:
        assert subject != target and action
        assert {subject.partition(":")[0], target.partition(":")[0]} <= NODE_TYPES
        assert subject.partition(":")[2] and target.partition(":")[2]
    assert all(abs(number) < float("inf") for number in found.numbers)
