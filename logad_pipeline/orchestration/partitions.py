"""The days: one partitions definition and one backfill policy that all daily assets share."""

import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TypeVar

import dagster as dg

from logad_pipeline.lake.tables import DayConflict, LakeDamaged
from logad_pipeline.settings import Settings

T = TypeVar("T")
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
STOPPED_AT = "logad/stopped_at"
"""Tag of a failed run: the days at which it stopped, which the next runs leave to one of their own."""
ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 1.0


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Days from ``first_day`` to today, in the deployment's time zone."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.first_day.isoformat(), timezone=settings.time_zone, end_offset=1
    )


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """The days that this run was asked for, ascending."""
    return sorted(date.fromisoformat(key) for key in context.partition_keys)


def range_tags(first: date, last: date) -> dict[str, str]:
    """Tags that make one run go over all the days from first to last."""
    return {RANGE_START: str(first), RANGE_END: str(last)}


def daily_asset(
    days: dg.DailyPartitionsDefinition,
    *,
    deps: Sequence[str] = (),
    kinds: set[str],
    description: str,
    check_specs: Sequence[dg.AssetCheckSpec] = (),
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """The decorator of all daily assets.

    A backfill of thirty days is one run that goes from day to day, not thirty processes.
    """
    return dg.asset(
        deps=deps, partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run(), group_name="daily",
        kinds=kinds, description=description, check_specs=check_specs,
    )  # fmt: skip


def in_its_turn(context: dg.AssetExecutionContext, day: date, work: Callable[[], T]) -> T:
    """Do the work of one day; where another run is at the same day, say so and do it again after it.

    Raises:
        DayConflict: if the other runs do not end.
    """
    with blaming(context, day):
        return _patiently(context, day, work)


@contextmanager
def blaming(context: dg.AssetExecutionContext, day: date) -> Iterator[None]:
    """Write down on the run that it was this day at which it stopped, should it."""
    try:
        yield
    except Exception as error:
        # Nothing is wrong with a day that another run works on.
        if not isinstance(error, DayConflict) or isinstance(error, LakeDamaged):
            blame(context, [day])
        raise


def blame(context: dg.AssetExecutionContext, days: Collection[date]) -> None:
    """Write down on the run that it stops at these days, see ``STOPPED_AT``."""
    context.instance.add_run_tags(context.run.run_id, {STOPPED_AT: " ".join(map(str, sorted(days)))})


def _patiently(context: dg.AssetExecutionContext, day: date, work: Callable[[], T]) -> T:
    for attempt in range(1, ATTEMPTS):
        try:
            return work()
        except DayConflict as error:
            # Two that wait for one another must not meet again.
            pause = _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
            context.log.warning("%s: attempt %d of %d, again in %.0f s: %s", day, attempt, ATTEMPTS, pause, error)
            time.sleep(pause)
    return work()
