"""From the words of a time stamp to microseconds since the epoch, years and zones included.

Belongs here: the zone of stamps that name none, and the year of stamps that name none (RFC 3164).
Does not: where in a line the stamp stands and how it is laid out, which `formats` knows.
"""

from __future__ import annotations

import time
from calendar import isleap
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

__all__ = ["Clock", "NoSuchTime", "YearSurvey", "YearTracker"]

MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
NEW_YEAR_JUMP_DAYS: Final = 183
"""A jump back by more than this is a New Year; a smaller one is lines out of order."""
LATE_DAYS: Final = 7
"""A line of the old year may come this many days after the first line of the new one."""

_MONTH_LENGTHS: Final = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAYS_BEFORE: Final = tuple(sum(_MONTH_LENGTHS[:month]) for month in range(13))
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_MINUTE_US: Final = 60_000_000
_DAY_US: Final = 1440 * _MINUTE_US
_CACHED_MINUTES: Final = 4096

MinuteParts = tuple[int, int, int, int, int]
"""Year, month, day, hour and minute."""


class NoSuchTime(ValueError):
    """A stamp that has the right shape and names no time; the text says which and why."""


class YearTracker:
    """Follows the New Years through a stream of dates without a year.

    Does not work across a silence of more than half a year, nor where a clock without a battery
    jumps to 1 January in the second half of a year: both look like what they are not.

    Args:
        first_year: the year of the first date.
    """

    def __init__(self, first_year: int) -> None:
        self.year = first_year
        self.day_of_year = 0

    def year_of(self, month: int, day: int) -> int:
        """Year of the next date in the stream; ``month`` and ``day`` exist in a leap year."""
        day_of_year = _DAYS_BEFORE[month] + day
        jump = day_of_year - self.day_of_year
        if self.day_of_year == 0:
            self.day_of_year = day_of_year
        elif jump < -NEW_YEAR_JUMP_DAYS:
            self.year += 1
            self.day_of_year = day_of_year
        elif jump >= 366 - LATE_DAYS:
            # 31 December just after 1 January: late, and so no reason to move on.
            return self.year - 1
        elif jump > 0:
            self.day_of_year = day_of_year
        return self.year


class Clock:
    """Gives the time of every stamp of one source; one clock a source, lines in their order.

    Args:
        tz: zone of stamps that name none.
        first_year: year of the first stamp that has no year. Without it that year is the latest one in
            which the stamp's day is at most one after that of ``now``; stamps further ahead are refused.
        now: seconds since the epoch, asked again whenever a stamp seems to lie ahead of it.

    Raises:
        ValueError: ``first_year`` is not in 1 .. 9999.
    """

    def __init__(
        self, *, tz: tzinfo = UTC, first_year: int | None = None, now: Callable[[], float] = time.time
    ) -> None:
        if first_year is not None and not 1 <= first_year <= 9999:
            raise ValueError(f"year {first_year} is not in 1 .. 9999; pass the year of the first line")
        self._tz = tz
        self._now = now
        self._minutes: dict[str, int] = {}
        self._tracker = None if first_year is None else YearTracker(first_year)
        self._latest: tuple[int, int, int] | None = None if first_year is not None else (0, 0, 0)
        self._yearless_minute = ""
        self._yearless_us = 0

    def dated(
        self,
        minute: str,
        second: str,
        fraction: str | None,
        zone: str | None,
        read: Callable[[str], MinuteParts],
    ) -> int:
        """Microseconds since the epoch of a stamp that names its year.

        Args:
            minute: the stamp down to its minute, as it stands; equal text must mean an equal minute.
            second: two digits, up to 60 (a leap second).
            fraction: digits behind the decimal mark, or ``None``; cut after six.
            zone: ``Z``, ``UTC``, ``GMT``, ``+0200`` or ``+02:00``; ``None`` for the clock's own.
            read: takes ``minute`` apart; called once for each new minute.

        Raises:
            NoSuchTime: there is no such minute or second.
        """
        key = minute + zone if zone else minute
        start = self._minutes.get(key)
        if start is None:
            start = self._minute_us(read(minute), zone)
            if len(self._minutes) >= _CACHED_MINUTES:
                self._minutes.clear()
            self._minutes[key] = start
        return start + _second_us(second, fraction)

    def yearless(self, minute: str, second: str, fraction: str | None) -> int:
        """Microseconds since the epoch of a stamp such as ``Oct 10 12:00``, second and fraction.

        Stamps are given in the order of their lines. ``Oct 10 2024 12:00`` is taken at its word.

        Raises:
            NoSuchTime: no such day or minute, 29 February in a year that has none, or a time that lies
                ahead of now where the year had to be guessed from it.
        """
        if minute != self._yearless_minute:
            self._yearless_us = self._yearless_minute_us(minute)
            self._yearless_minute = minute
        return self._yearless_us + _second_us(second, fraction)

    def _yearless_minute_us(self, minute: str) -> int:
        self._yearless_minute = ""
        name, day_text, *rest, clock_time = minute.split()
        month, day = MONTHS.get(name, 0), int(day_text)
        if month == 0 or not 1 <= day <= _MONTH_LENGTHS[month]:
            raise NoSuchTime(f"no such day: {name} {day}")
        hour, minutes = int(clock_time[:2]), int(clock_time[3:])
        if rest:
            return self._minute_us((int(rest[0]), month, day, hour, minutes), None)
        year = self._year_of(month, day)
        if (month, day) == (2, 29) and not isleap(year):
            raise NoSuchTime(f"29 February does not exist in {year}; pass --year, the year of the first line")
        self._refuse_future(year, month, day)
        return self._minute_us((year, month, day, hour, minutes), None)

    def _year_of(self, month: int, day: int) -> int:
        if self._tracker is None:
            limit = _a_day_after(self._now(), self._tz)
            self._tracker = YearTracker(_latest_year(month, day, limit))
        return self._tracker.year_of(month, day)

    def _refuse_future(self, year: int, month: int, day: int) -> None:
        if self._latest is None or (year, month, day) <= self._latest:
            return
        latest = _a_day_after(self._now(), self._tz)
        self._latest = (latest.year, latest.month, latest.day)
        if (year, month, day) > self._latest:
            raise NoSuchTime(
                f"{year}-{month:02}-{day:02} would lie in the future; pass --year, the year of the first line"
            )

    def _minute_us(self, parts: MinuteParts, zone: str | None) -> int:
        try:
            moment = datetime(*parts)
            offset = _zone_us(zone) if zone else self._own_offset_us(moment)
        except (ValueError, OverflowError) as error:
            raise NoSuchTime(f"no such time: {error}") from error
        days = moment.toordinal() - _EPOCH_ORDINAL
        return days * _DAY_US + (moment.hour * 60 + moment.minute) * _MINUTE_US - offset

    def _own_offset_us(self, moment: datetime) -> int:
        if self._tz is UTC:
            return 0
        offset = moment.replace(tzinfo=self._tz).utcoffset() or timedelta()
        return offset // timedelta(microseconds=1)


class YearSurvey(Clock):
    """A clock for a first reading of a file, to learn which year its first line is from.

    Parse the whole file with it, then ask `first_year`; the times that it gives meanwhile mean nothing.

    Args:
        tz: zone of stamps that name none.
    """

    def __init__(self, *, tz: tzinfo = UTC) -> None:
        super().__init__(tz=tz, first_year=2000)
        # Year 0 stands for the year of the first line.
        self._offsets = YearTracker(0)
        self._leap_days: Counter[int] = Counter()

    def _year_of(self, month: int, day: int) -> int:
        offset = self._offsets.year_of(month, day)
        if (month, day) == (2, 29):
            self._leap_days[offset] += 1
        return 2000  # a leap year, so that no day is refused here

    def first_year(self, mtime: float) -> int | None:
        """Year of the first line, or ``None`` if the file held no stamp without a year.

        It is the latest year that puts the last line at most a day after ``mtime`` (seconds since the
        epoch) and, where any year does, every 29 February into a leap year.
        """
        last_day = self._offsets.day_of_year
        if last_day == 0:
            return None
        month = next(month for month in range(12, 0, -1) if _DAYS_BEFORE[month] < last_day)
        limit = _a_day_after(mtime, self._tz)
        last_year = _latest_year(month, last_day - _DAYS_BEFORE[month], limit, any_year=True)
        latest = last_year - self._offsets.year
        # Leap years may lie eight years apart (1896 and 1904).
        candidates = range(latest, max(latest - 8, 0), -1)
        if not candidates:
            return 1
        return max(candidates, key=lambda first: (self._leap_days_kept(first), first))

    def _leap_days_kept(self, first_year: int) -> int:
        return sum(count for offset, count in self._leap_days.items() if isleap(first_year + offset))


def _latest_year(month: int, day: int, limit: date, *, any_year: bool = False) -> int:
    """Latest year whose ``month`` and ``day`` are not after ``limit`` and, unless ``any_year``, exist."""
    year = limit.year if (month, day) <= (limit.month, limit.day) else limit.year - 1
    while (month, day) == (2, 29) and not isleap(year) and not any_year:
        year -= 1
    return year


def _a_day_after(seconds: float, tz: tzinfo) -> date:
    return (datetime.fromtimestamp(seconds, tz) + timedelta(days=1)).date()


def _second_us(second: str, fraction: str | None) -> int:
    seconds = int(second)
    if seconds > 60:
        raise NoSuchTime(f"no such second: {second}")
    if fraction:
        return seconds * 1_000_000 + int(fraction[:6].ljust(6, "0"))
    return seconds * 1_000_000


def _zone_us(zone: str) -> int:
    if zone in ("Z", "UTC", "GMT"):
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return (-minutes if zone[0] == "-" else minutes) * _MINUTE_US
