"""Stamps become the right microseconds: zones, missing years, leap days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logad_pipeline.logs.clock import Clock, NoSuchTime, YearSurvey, YearTracker
from logad_pipeline.logs.formats.timestamps import epoch_us, read_iso

BERLIN = ZoneInfo("Europe/Berlin")


def seconds(text: str, tz: tzinfo = UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=tz).timestamp()


def day_of(time_us: int) -> str:
    return str((datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)).date())


def stamp(day: date) -> str:
    return f"{day:%b} {day.day:2} 12:00"


def years(clock: Clock, *days: str) -> list[int]:
    """Years that the clock gives to stamps such as ``Dec 31``."""
    return [int(day_of(clock.yearless(f"{day} 12:00", "00", None))[:4]) for day in days]


def surveyed(*days: str, mtime: str, tz: tzinfo = UTC) -> int | None:
    survey = YearSurvey(tz=tz)
    for day in days:
        survey.yearless(f"{day} 12:00", "00", None)
    return survey.first_year(seconds(mtime, tz))


@pytest.mark.parametrize(
    ("zone", "tz", "hour_utc"),
    [
        (None, UTC, 12),
        (None, timezone(timedelta(hours=-5)), 17),
        (None, BERLIN, 10),  # summer time
        ("Z", BERLIN, 12),
        ("UTC", BERLIN, 12),
        ("+02:00", UTC, 10),
        ("-0530", UTC, 17.5),
    ],
)
def test_zones(zone: str | None, tz: tzinfo, hour_utc: float) -> None:
    time_us = Clock(tz=tz).dated("2024-07-01T12:00", "07", "123456789", zone, read_iso)
    assert time_us == round((seconds("2024-07-01") + hour_utc * 3600 + 7) * 1e6) + 123_456


def test_the_same_minute_in_two_zones_is_two_times() -> None:
    clock = Clock()
    first = clock.dated("2024-07-01T12:00", "00", None, "+01:00", read_iso)
    assert clock.dated("2024-07-01T12:00", "00", None, "Z", read_iso) - first == 3600 * 1_000_000


def test_what_is_no_time() -> None:
    clock = Clock(first_year=2024)
    for minute in ("2024-13-01T12:00", "2023-02-29T12:00", "2024-01-01T24:00", "0000-01-01T00:00"):
        with pytest.raises(NoSuchTime):
            clock.dated(minute, "00", None, None, read_iso)
    with pytest.raises(NoSuchTime, match="second"):
        clock.dated("2024-01-01T00:00", "61", None, None, read_iso)
    for minute in ("Feb 30 12:00", "Foo 1 12:00", "Jan 0 12:00", "Jan 1 25:00"):
        with pytest.raises(NoSuchTime):
            clock.yearless(minute, "00", None)
    with pytest.raises(ValueError, match="year 0"):
        Clock(first_year=0)


def test_a_year_beside_the_day_is_believed() -> None:
    assert day_of(Clock(first_year=2020).yearless("Oct 10 2011 12:00", "00", None)) == "2011-10-10"


@given(
    start=st.dates(date(1971, 1, 1), date(2090, 1, 1)),
    steps=st.lists(st.integers(0, 170), max_size=60),
)
def test_years_are_followed_over_any_gap_below_half_a_year(start: date, steps: list[int]) -> None:
    days = [start]
    for step in steps:
        days.append(days[-1] + timedelta(days=step))
    clock = Clock(first_year=start.year)
    assert [day_of(clock.yearless(stamp(day), "00", None)) for day in days] == [str(day) for day in days]


@given(
    start=st.dates(date(1971, 1, 1), date(2090, 1, 1)),
    steps=st.lists(st.integers(0, 150), max_size=60),
    lag=st.integers(0, 1),
)
def test_mtime_gives_the_same_years(start: date, steps: list[int], lag: int) -> None:
    days = [start]
    for step in steps:
        days.append(days[-1] + timedelta(days=step))
    survey = YearSurvey()
    for day in days:
        survey.yearless(stamp(day), "00", None)
    mtime = datetime(days[-1].year, days[-1].month, days[-1].day, 13, tzinfo=UTC) + timedelta(hours=lag)
    assert survey.first_year(mtime.timestamp()) == start.year


def test_lines_out_of_order_are_no_new_year() -> None:
    assert years(Clock(first_year=2020), "Mar 5", "Mar 3", "Mar 5", "Jan 9", "Mar 6") == [2020] * 5


def test_a_line_far_out_of_order_does_not_hide_the_new_year() -> None:
    assert years(Clock(first_year=2020), "Dec 20", "Jul 1", "Jan 2") == [2020, 2020, 2021]


def test_a_late_line_of_the_old_year() -> None:
    late = years(Clock(first_year=2020), "Dec 30", "Jan 1", "Dec 31", "Dec 31", "Jan 1", "Jan 2", "Dec 31")
    assert late == [2020, 2021, 2020, 2020, 2021, 2021, 2020]
    assert years(Clock(first_year=2021), "Jan 1", "Dec 31", "Jan 1") == [2021, 2020, 2021]


def test_a_silence_from_spring_to_winter_stays_in_the_year() -> None:
    assert years(Clock(first_year=2020), "Jan 20", "Oct 5", "Dec 1", "Jan 3") == [2020, 2020, 2020, 2021]


def test_leap_day_in_an_explicit_year() -> None:
    assert years(Clock(first_year=2024), "Feb 29") == [2024]
    with pytest.raises(NoSuchTime, match="29 February does not exist in 2023"):
        Clock(first_year=2023).yearless("Feb 29 12:00", "00", None)
    clock = Clock(first_year=2023)
    assert years(clock, "Nov 1", "Feb 29", "Mar 1") == [2023, 2024, 2024]


def test_mtime_is_the_year_of_the_last_line() -> None:
    assert surveyed("Jun 9", "Oct 1", "Feb 3", mtime="2006-02-04") == 2005
    assert surveyed("Jun 9", "Oct 1", "Feb 3", mtime="2006-02-01") == 2004  # not ahead of the file
    assert surveyed("Dec 31", "Jan 1", mtime="2005-12-31") == 2005  # but a day may be a zone's doing
    assert surveyed("Dec 31", "Jan 1", "Dec 31", mtime="2006-01-01") == 2005
    assert surveyed(mtime="2006-01-01") is None


def test_mtime_and_leap_days() -> None:
    assert surveyed("Feb 28", "Feb 29", "Mar 1", mtime="2023-05-01") == 2020
    assert surveyed("Feb 29", mtime="2024-02-29") == 2024
    assert surveyed("Feb 29", mtime="2024-02-20") == 2020
    assert surveyed("Nov 1", "Feb 29", mtime="2026-05-01") == 2023
    assert surveyed("Feb 29", mtime="1903-05-01") == 1896  # 1900 was no leap year


def test_without_a_year_the_first_line_is_not_in_the_future() -> None:
    def clock() -> Clock:
        return Clock(now=lambda: seconds("2024-01-10"))

    assert years(clock(), "Jan 9") == [2024]
    assert years(clock(), "Jan 11") == [2024]
    assert years(clock(), "Jan 12") == [2023]
    assert years(clock(), "Dec 31", "Jan 1") == [2023, 2024]
    assert years(clock(), "Feb 29") == [2020]
    with pytest.raises(NoSuchTime, match="future"):
        years(clock(), "Jan 9", "Feb 20")


def test_now_moves_on_while_a_stream_is_read() -> None:
    now = [seconds("2024-01-10")]
    clock = Clock(now=lambda: now[0])
    assert years(clock, "Jan 10") == [2024]
    now[0] = seconds("2024-02-20")
    assert years(clock, "Feb 20") == [2024]


def test_tracker_needs_no_line_on_new_year() -> None:
    tracker = YearTracker(1999)
    assert [tracker.year_of(12, 1), tracker.year_of(5, 1), tracker.year_of(11, 2)] == [1999, 2000, 2000]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_epoch_units(unit: int) -> None:
    assert epoch_us(1_700_000_000 * unit) == 1_700_000_000_000_000
    assert epoch_us(1_700_000_000.25) == 1_700_000_000_250_000


@pytest.mark.parametrize("value", [0, -5, float("nan"), float("inf"), 10**20, 10**400])
def test_no_epoch(value: float) -> None:
    assert epoch_us(value) is None
