"""`daily_report`: one HTML file a day that opens without a network."""

import dagster as dg

from logad_pipeline.lake.labels import read_labels
from logad_pipeline.lake.report_data import gather_report
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.metadata import picture, table
from logad_pipeline.orchestration.partitions import ONE_RUN, days_of
from logad_pipeline.orchestration.report_files import settings_in_words, write_report
from logad_pipeline.registry.registry import CHAMPION


def build_daily_report(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset over ``days``."""

    @dg.asset(
        deps=["scores"],
        partitions_def=days,
        backfill_policy=ONE_RUN,
        group_name="daily",
        kinds={"html"},
        description="The day's ranked windows with their lines, and what stands behind the scores.",
    )
    def daily_report(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult:
        from logad_pipeline.reporting.plots import score_histogram

        lake, settings, registry = deployment.open_lake(), deployment.settings(), deployment.registry()
        champion = registry.load(f"models:/{registry.name}@{CHAMPION}")
        labels = read_labels(lake)
        rows, histogram = [], None
        for day in days_of(context):
            data = gather_report(
                lake, [day], lake.scan("scores", [day]), champion.detector,
                title=f"Log anomalies of {day}", version=champion.version, labels=labels,
                settings=settings_in_words(settings),
            )  # fmt: skip
            file = write_report(lake.path("reports", day) / "report.html", data)
            rows.append((day, data.windows, data.alerts, f"`{file}`"))
            histogram = score_histogram(data.scores, data.threshold, data.labels) if data.windows else histogram
        metadata: dict[str, dg.MetadataValue | int] = {
            "reports": table(("day", "windows", "alerts", "file"), rows[-400:]),
        }
        if histogram:
            metadata["scores_of_the_last_day"] = picture(histogram, "histogram of scores")
        return dg.MaterializeResult(metadata=metadata)

    return daily_report
