"""`daily_report`: one HTML file a day that opens without a network."""

from datetime import date

import dagster as dg

from logad_pipeline.lake.judged_days import JudgedDay, judged_days
from logad_pipeline.lake.labels import read_labels
from logad_pipeline.lake.promises import promise_days
from logad_pipeline.lake.report_data import gather_report
from logad_pipeline.lake.tables import Lake
from logad_pipeline.lake.triage import settled
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.metadata import picture, table
from logad_pipeline.orchestration.partitions import blaming, daily_asset, days_of
from logad_pipeline.orchestration.report_files import settings_in_words, write_report
from logad_pipeline.reporting.data import ReportData

PROMISE_DAYS = 30
"""Days over which what was promised is held against what came."""
MAPPED_DAYS = 3
"""Days of one run up to which each report has a map of its embeddings, which takes longer than all the rest of it:
the run of a day draws it, a backfill of months leaves it out."""


def build_daily_report(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset over ``days``."""

    @daily_asset(
        days,
        deps=["alerts"],
        kinds={"html"},
        description="The day's ranked windows with their lines, and what stands behind the scores.",
        check_specs=[dg.AssetCheckSpec("promise_kept", asset="daily_report")],
    )
    def daily_report(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult:
        from logad_pipeline.reporting.promise import (
            at_most,
            hosts_of,
            hosts_over,
            kept_by_day,
            kept_in_words,
            promise_kept,
        )

        lake = deployment.open_lake()
        known = judged_days(lake)
        rows = []
        for day in days_of(context):
            with blaming(context, day):
                data = _report_of(lake, deployment, day, known, with_map=len(days_of(context)) <= MAPPED_DAYS)
                file = write_report(lake.path("reports", day) / "report.html", data)
            rows.append((day, data.windows, data.alerts, f"`{file}`"))
        promise = promise_days(lake, days_of(context)[-1], PROMISE_DAYS, known)
        metadata: dict[str, dg.MetadataValue | str] = {
            "reports": table(("day", "windows", "alerts", "file"), rows[-400:]),
            "promise": kept_in_words(promise) if promise else "no judged windows yet",
        }
        if hosts := hosts_of(promise):
            over = {one.host for one in hosts_over(promise)}
            metadata["hosts"] = table(
                ("host", "alarms", "confirmed", "promised at most", "kept"),
                [(h.host, h.alarms, h.confirmed, at_most(h.allowed), h.host not in over) for h in hosts[:400]],
            )
        if plot := kept_by_day(promise) if promise else None:
            metadata["promised_and_achieved"] = picture(plot, "alarms of each day against what was promised")
        return dg.MaterializeResult(
            metadata=metadata,
            check_results=[
                dg.AssetCheckResult(
                    check_name="promise_kept",
                    passed=promise_kept(promise),
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={
                        "over": f"{len(promise)} days",
                        "promise": metadata["promise"],
                        "hosts_beyond_their_budget": [one.host for one in hosts_over(promise)][:100],
                    },
                )
            ],
        )

    return daily_report


def _report_of(lake: Lake, deployment: Deployment, day: date, known: list[JudgedDay], with_map: bool) -> ReportData:
    """The report of a day, by the version that judged it."""
    row = next((row for row in known if row.day == day), None)
    judged_by = deployment.model(row.model_version) if row else deployment.champion()
    return gather_report(
        lake, [day], lake.scan("scores", [day]), judged_by.detector, title="Log anomalies",
        version=judged_by.version, labels=read_labels(lake), settings=settings_in_words(deployment.settings()),
        states=settled(lake, [day]), promise=promise_days(lake, day, PROMISE_DAYS, known), with_map=with_map,
    )  # fmt: skip
