"""The promise day by day: what counts against it, and the picture of it."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date, timedelta

import pytest

from logad_pipeline.reporting.figure import THEMES, ThemeName
from logad_pipeline.reporting.promise import (
    PromiseDay,
    PromiseHost,
    hosts_over,
    kept_by_day,
    kept_in_words,
    promise_kept,
    promised_briefly,
    promised_in_words,
)

FIRST = date(2025, 3, 1)
CALM = PromiseDay(FIRST, windows=1000, hosts=4, alarms=10, confirmed=0, rate=0.01)


@pytest.mark.parametrize(("alarms", "confirmed", "kept"), [(0, 0, True), (18, 0, True), (19, 0, False), (60, 50, True)])
def test_alarms_beyond_chance_break_it_and_confirmed_ones_do_not(alarms: int, confirmed: int, kept: bool) -> None:
    assert promise_kept([replace(CALM, alarms=alarms, confirmed=confirmed)]) is kept


def test_one_bad_day_among_many_good_ones_is_within_it() -> None:
    month = [replace(CALM, day=FIRST + timedelta(days=n), alarms=5) for n in range(29)]
    assert promise_kept([*month, replace(CALM, alarms=100)])
    assert promise_kept([])


def test_a_budget_counts_hosts() -> None:
    day = replace(CALM, budget=5.0, rate=0.02)
    assert (day.of, day.allowed) == (4, 20)
    assert (CALM.of, CALM.allowed) == (1000, 10)


def test_the_words_and_the_picture() -> None:
    days = [CALM, replace(CALM, day=FIRST + timedelta(days=1), alarms=40, confirmed=12)]
    assert kept_in_words(days) == "50 alarms in 2 days, 12 of them confirmed; promised at most 20"
    for shown in (days, [replace(day, budget=5.0) for day in days]):
        plot = kept_by_day(shown)
        assert plot is not None
        assert plot.startswith(b"\x89PNG")
    assert kept_by_day([replace(CALM, windows=0, alarms=0)]) is None


def test_a_host_beyond_its_budget_breaks_the_promise_though_all_together_keep_it() -> None:
    hosts = [PromiseHost(f"web{number}", 0, 0) for number in range(9)]
    calm = PromiseDay(FIRST, 1000, 10, 6, 2, 0.05, 5.0, (*hosts, PromiseHost("db", 6, 2)))
    noisy = replace(calm, day=FIRST + timedelta(days=1), alarms=42, by_host=(*hosts, PromiseHost("db", 42, 2)))
    assert promise_kept([calm])
    assert not promise_kept([noisy]), "40 of 50, and all of them on one host"
    assert [one.host for one in hosts_over([calm, noisy])] == ["db"]
    assert kept_in_words([noisy]).endswith("promised at most 50; most on db: 40 of at most 5")
    with_hosts, without = (kept_by_day([replace(noisy, by_host=each)]) for each in (noisy.by_host, ()))
    assert with_hosts != without, "the worst host is marked"


def test_what_was_promised_is_told_as_it_was_promised() -> None:
    days = [replace(CALM, budget=1.0), replace(CALM, budget=5.0)]
    assert promised_in_words(days, 0.01) == "no host raises more than 5 alerts a day"
    assert promised_in_words(days[:1], 0.01) == "no host raises more than 1 alert a day"
    assert promised_briefly(days, 0.01) == "at most 5 a host and day"
    for without in ([], [CALM]):
        assert promised_in_words(without, 0.01) == "1.00\u00a0% of normal windows raise an alert"
        assert promised_briefly(without, 0.01) == "1.00\u00a0%"


@pytest.mark.parametrize("theme", list(THEMES))
def test_the_name_of_the_worst_host_does_not_run_out_of_the_picture(theme: ThemeName) -> None:
    from PIL import Image

    hosts = (PromiseHost("W" * 200, 1234, 100),)
    days = [replace(CALM, day=FIRST + timedelta(n), alarms=1234, confirmed=100, budget=500.0, by_host=hosts)
            for n in range(30)]  # fmt: skip
    plot = kept_by_day(days, theme=theme)
    assert plot is not None
    image = Image.open(io.BytesIO(plot)).convert("RGB")
    edge = image.crop((image.width - 3, 0, image.width, image.height))
    assert edge.getcolors() == [(3 * image.height, tuple(bytes.fromhex(THEMES[theme].paper[1:])))]
