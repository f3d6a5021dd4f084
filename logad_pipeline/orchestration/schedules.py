"""When days are judged: every day, the day before, and what was missed; and when the tables are tidied."""

from datetime import timedelta

import dagster as dg

from logad_pipeline.lake.arrivals import days_behind, days_missed
from logad_pipeline.lake.tables import Lake
from logad_pipeline.orchestration.jobs import PREPARE
from logad_pipeline.orchestration.requests import over_days, stopping_days, within_partitions
from logad_pipeline.registry.registry import CHAMPION, Registry, RegistryUnavailable
from logad_pipeline.settings import Settings


def _status(settings: Settings) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if settings.operation.by_itself else dg.DefaultScheduleStatus.STOPPED


def build_daily_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The daily scoring schedule: at ``score_at`` in the deployment's zone, the day that has ended.

    Days before it that were never judged, or got lines since, are asked for too: nobody has to remember that
    the machine was off. Without a champion days are only prepared.
    """
    hour, minute = map(int, settings.score_at.split(":"))

    @dg.schedule(
        name="daily_scoring",
        cron_schedule=f"{minute} {hour} * * *",
        job_name="daily",
        execution_timezone=settings.time_zone,
        default_status=_status(settings),
        description="Prepares and judges the day that has just ended, and days that were missed.",
    )
    def daily_scoring(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        ended = (context.scheduled_execution_time.astimezone(settings.zone) - timedelta(days=1)).date()
        lake, back = Lake(settings.lake), settings.operation.catch_up_days
        late = {day for day in days_behind(lake, judged=True) if ended - timedelta(days=back) <= day <= ended}
        days = within_partitions({*days_missed(lake, ended, back), *late}, settings, ended)
        try:
            judging = Registry(settings).version_of(CHAMPION) is not None
        except RegistryUnavailable as error:
            # The days are prepared meanwhile, and judged when the registry is back.
            context.log.warning("%s", error)
            judging = False
        if not days:
            return dg.SkipReason(f"{ended} is before first_day {settings.first_day}; set it in logad.toml")
        assets, apart = None if judging else PREPARE, stopping_days(context.instance)
        return over_days(days, "daily_scoring", str(ended), assets=assets, apart=apart)

    return daily_scoring


def build_tidy_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Once a week, when nobody works: Sunday, an hour before days are judged."""
    hour, minute = map(int, settings.score_at.split(":"))
    return dg.ScheduleDefinition(
        name="weekly_tidying",
        cron_schedule=f"{minute} {(hour - 1) % 24} * * 0",
        job_name="tidy_lake",
        execution_timezone=settings.time_zone,
        default_status=_status(settings),
        description="Keeps the tables small.",
    )
