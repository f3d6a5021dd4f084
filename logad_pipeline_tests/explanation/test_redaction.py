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
    secrets = list(planted(10_000, seed=0))
    for masked in (redact, for_others):
        left = [(kind, line) for kind, secret, line in secrets if secret.lower() in masked(line).lower()]
        print(f"{masked.__name__}: {len(secrets):,} secrets of {len(MAKERS)} kinds planted, {len(left)} left")
        assert not left
    assert {kind for kind, _, _ in secrets} == set(MAKERS)


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
