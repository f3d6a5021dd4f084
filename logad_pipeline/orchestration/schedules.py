"""When days are judged: every day, the day before."""

from datetime import timedelta

import dagster as dg

from logad_pipeline.settings import Settings


def build_daily_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The daily scoring schedule: at ``score_at`` in the deployment's zone, the day that has ended."""
    hour, minute = map(int, settings.score_at.split(":"))

    @dg.schedule(
        name="daily_scoring",
        cron_schedule=f"{minute} {hour} * * *",
        job_name="daily",
        execution_timezone=settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Prepares and judges the day that has just ended.",
    )
    def daily_scoring(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        ended = (context.scheduled_execution_time.astimezone(settings.zone) - timedelta(days=1)).date()
        return dg.RunRequest(run_key=f"daily-{ended}", partition_key=ended.isoformat())

    return daily_scoring
