"""What cannot be seen becomes visible; what can be seen stays as it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logad_pipeline.reporting.text import (
    count,
    percent,
    score_text,
    shorten,
    span_text,
    time_text,
    visible,
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[2J\x00\x7f", "␛[2J␀␡"),
        ("a\tb\nc\r", "a␉b␊c␍"),
        ("\x85\u202e\u200b\ufeff", "⟨U+0085⟩⟨U+202E⟩⟨U+200B⟩⟨U+FEFF⟩"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf⟨0xe9⟩"),
        ("\ud83d", "\ufffd"),
        ("naïve 主机 שלום <b>", "naïve 主机 שלום <b>"),
    ],
)
def test_signs(raw: str, shown: str) -> None:
    assert visible(raw) == shown


def test_the_lines_of_one_record_stay_lines() -> None:
    assert visible("a\n\tat b\x1b", keep_breaks=True) == "a␊\n\tat b␛"


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_becomes_printable_utf8_and_stays_so(raw: str) -> None:
    shown = visible(raw)
    shown.encode("utf-8")
    assert visible(shown) == shown
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in shown)


def test_a_score_never_rounds_up_to_the_threshold_or_to_one() -> None:
    assert [score_text(s) for s in (0.4999, 0.5, 0.99999, 1.0, 0.29)] == [
        "0.499", "0.500", "0.999", "1.000", "0.290",
    ]  # fmt: skip


def test_figures_in_words() -> None:
    assert [percent(r) for r in (None, 0.0, 0.00012, 0.0074, 0.385, 1.0)] == [
        "undefined", "0\u00a0%", "0.012\u00a0%", "0.74\u00a0%", "38.5\u00a0%", "100\u00a0%",
    ]  # fmt: skip
    assert [count(n, "window") for n in (0, 1, 12_340)] == ["no windows", "1 window", "12,340 windows"]
    assert shorten("abcdef", 4) == "abcd… (+2 characters)"


def test_times_in_words() -> None:
    begin = datetime(2026, 5, 4, 23, 59, 50, tzinfo=UTC)
    assert time_text(None) == "no time"
    assert time_text(begin.astimezone(timezone(timedelta(hours=9)))) == "2026-05-04 23:59:50 UTC"
    assert span_text(begin, begin) == "2026-05-04 23:59:50 UTC"
    assert span_text(begin, begin + timedelta(seconds=5)) == "2026-05-04 23:59:50 to 23:59:55 UTC"
    assert span_text(begin, begin + timedelta(minutes=1)) == ("2026-05-04 23:59:50 to 2026-05-05 00:00:50 UTC")
    assert span_text(None, begin) == time_text(begin)
