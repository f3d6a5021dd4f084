"""`alerts`: the alarms of a day in groups, and those told of them who asked for it."""

from datetime import datetime, timedelta
from functools import partial

import dagster as dg

from logad_pipeline.lake.alerts import fold_alerts
from logad_pipeline.lake.notices import give_notice, to_be_told
from logad_pipeline.lake.suppressions import suppressions_file
from logad_pipeline.lake.tables import Lake
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.metadata import table
from logad_pipeline.orchestration.partitions import daily_asset, days_of, in_its_turn
from logad_pipeline.orchestration.sinks import NoticeFailed, NoticeRefused, sinks
from logad_pipeline.settings import Settings

LISTED = 200


def build_alerts(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset over ``days``."""

    @daily_asset(
        days,
        deps=["scores"],
        kinds={"deltalake"},
        description="Alarms of one line of one stream, less what people contested or suppressed; new ones are told.",
        check_specs=[dg.AssetCheckSpec("notices_were_taken", asset="alerts")],
    )
    def alerts(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult:
        lake, settings = deployment.open_lake(), deployment.settings()
        rows: list[tuple[object, ...]] = []
        counts = {"alerts": 0, "open": 0, "alarms": 0, "contested": 0, "suppressed": 0, "told": 0}
        for day in days_of(context):
            folded = in_its_turn(context, day, partial(fold_alerts, lake, day))
            counts["alerts"] += len(folded)
            for one in folded:
                counts["open"] += one.open > 0
                counts["alarms"] += one.windows
                counts["contested"] += one.contested
                counts["suppressed"] += one.suppressed
                rows.append((day, one.alert_id, f"{one.score:.3f}", one.group_key or one.source, one.text[:100],
                             one.windows, one.open, one.first_seen))  # fmt: skip
        counts["told"], failures = _tell(lake, settings)
        for failure in failures:
            context.log.warning("%s", failure)
        header = ("day", "alert", "score", "where", "line", "alarms", "open", "first seen")
        return dg.MaterializeResult(
            metadata={
                **counts,
                "groups": table(header, rows[:LISTED]),
                "suppressions": dg.MetadataValue.path(str(suppressions_file(lake))),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="notices_were_taken",
                    passed=not failures,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"failures": failures[:20]},
                )
            ],
        )

    return alerts


def _tell(lake: Lake, settings: Settings) -> tuple[int, list[str]]:
    """Tell each sink what is new on the newest days; how many were told, and what failed.

    Days are looked at again as long as they are recent, so that what a sink did not take is told with the next run.
    A notice that is refused holds no other back; a sink that does not answer is left alone until then.
    """
    since = datetime.now(settings.zone).date() - timedelta(days=settings.alerts.notice_days)
    days = [day for day in lake.days("alerts") if day >= since]
    told, failures = 0, []
    for name, send in sinks(settings.alerts).items():
        try:
            for day in days:
                for alert in to_be_told(lake, day, name, timedelta(days=settings.alerts.again_after_days)):
                    try:
                        told += give_notice(lake, day, name, [alert], send)
                    except NoticeRefused as error:
                        failures.append(f"{day}: {error}")
        except NoticeFailed as error:
            failures.append(f"{day}: {error}")
    return told, failures
