"""The days: one partitions definition and one backfill policy that all daily assets share."""

from datetime import date

import dagster as dg

from logad_pipeline.settings import Settings


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Days from ``first_day`` to today, in the deployment's time zone."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.first_day.isoformat(), timezone=settings.time_zone, end_offset=1
    )


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """The days that this run was asked for, ascending."""
    return sorted(date.fromisoformat(key) for key in context.partition_keys)


# A backfill of thirty days is one run that goes from day to day, not thirty processes.
ONE_RUN = dg.BackfillPolicy.single_run()
