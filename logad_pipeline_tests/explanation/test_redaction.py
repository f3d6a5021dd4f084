"""What is taken out of text that leaves, and what is left in it."""

from __future__ import annotations

import doctest

import pytest

from logad_pipeline.explanation import redaction
from logad_pipeline.explanation.redaction import for_others, redact
from logad_pipeline_tests.explanation.planted import MAKERS, planted


def test_doctests() -> None:
    assert doctest.testmod(redaction, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_of_ten_thousand_planted_secrets_none_is_left() -> None:
    kinds = set()
    for kind, secret, line in planted(10_000, seed=0):
        kinds.add(kind)
        assert secret.lower() not in redact(line).lower(), (kind, line)
        assert secret.lower() not in for_others(line).lower(), (kind, line)
    assert kinds == set(MAKERS)


@pytest.mark.parametrize(
    "line",
    [
        "Failed password for invalid user admin",
        "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
        "password changed for user",
        "token expired",
        "Started Session 12 of user root.",
        "GET /shop/cart HTTP/1.1 200 5120",
        "user : TTY=pts/0 ; PWD=/home/build ; USER=root ; COMMAND=/bin/ls",
        "took 1234.567 ms for 4022 rows",
        "blk_update_request: I/O error, dev sda, sector 1234567",
    ],
)
def test_ordinary_lines_come_through_as_they_are(line: str) -> None:
    assert redact(line) == line
