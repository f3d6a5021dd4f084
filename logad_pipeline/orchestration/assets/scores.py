"""`scores`: the windows of a day, judged by the champion."""

import dagster as dg

from logad_pipeline.lake.record_facts import days_without_facts
from logad_pipeline.lake.scoring import score_day
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.metadata import table
from logad_pipeline.orchestration.partitions import ONE_RUN, days_of
from logad_pipeline.registry.registry import CHAMPION

DRIFT_WARNING = 5.0
"""Times the promised false-alarm rate, from which on a day's share of alerts deserves a look."""


def build_scores(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset over ``days``."""

    @dg.asset(
        deps=["windows"],
        partitions_def=days,
        backfill_policy=ONE_RUN,
        group_name="daily",
        kinds={"pytorch", "deltalake"},
        description="A calibrated score in [0, 1] for each window, by the champion, whose version it carries.",
        check_specs=[dg.AssetCheckSpec("alerts_near_the_promise", asset="scores")],
    )
    def scores(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult:
        registry, lake = deployment.registry(), deployment.open_lake()
        if registry.version_of(CHAMPION) is None:
            raise dg.Failure(
                "there is no champion yet: run the job `training`, or `logad train`; then these days again"
            )
        champion = registry.load(f"models:/{registry.name}@{CHAMPION}")
        days = days_of(context)
        lacking = days_without_facts(lake, days) if champion.detector.record_detectors else []
        for day in lacking:
            context.log.warning(
                "%s: normalised by an earlier release, so it is judged without %s; materialise normalized_logs and "
                "windows of the day again", day, ", ".join(champion.detector.record_detectors),
            )  # fmt: skip
        accounts = []
        for day in days:
            accounts.append(score_day(lake, day, champion.detector, champion.name, champion.version))
            context.log.info("%s: %d windows, %d alerts", day, accounts[-1].windows, accounts[-1].alerts)
        windows = sum(account.windows for account in accounts)
        alerts = sum(account.alerts for account in accounts)
        rate, promised = alerts / windows if windows else 0.0, champion.detector.scale.false_alarm_rate
        header = ("day", "windows", "newly scored", "alerts", "highest score")
        return dg.MaterializeResult(
            metadata={
                "windows": windows,
                "alerts": alerts,
                "model_version": champion.version,
                "days_judged_without_records": len(lacking),
                "by_day": table(
                    header,
                    [(a.day, a.windows, a.newly_scored, a.alerts, f"{a.highest:.3f}") for a in accounts[:400]],
                ),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="alerts_near_the_promise",
                    passed=rate <= DRIFT_WARNING * promised,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"share_of_windows": rate, "promised_on_normal_windows": promised},
                )
            ],
        )

    return scores
