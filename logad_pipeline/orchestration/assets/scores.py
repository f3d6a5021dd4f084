"""`scores`: the windows of a day, judged by the champion."""

from functools import partial

import dagster as dg

from logad_pipeline.lake.judging import Judgement, judge_day
from logad_pipeline.lake.record_facts import days_without_facts
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.metadata import table
from logad_pipeline.orchestration.partitions import daily_asset, days_of, in_its_turn
from logad_pipeline.reporting.text import count

DRIFT_WARNING = 5.0
"""Times the promised rate, from which on a day's share of alarms deserves a look."""
LISTED = 400


def build_scores(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset over ``days``."""

    @daily_asset(
        days,
        deps=["windows"],
        kinds={"pytorch", "deltalake"},
        description="A calibrated score in [0, 1] for each window, by the champion, whose version it carries.",
        check_specs=[dg.AssetCheckSpec("alerts_near_the_promise", asset="scores")],
    )
    def scores(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult:
        lake, champion = deployment.open_lake(), deployment.champion(context.log.warning)
        promise = deployment.promise()
        days = days_of(context)
        lacking = days_without_facts(lake, days) if champion.detector.record_detectors else []
        for day in lacking:
            context.log.warning(
                "%s: normalised by an earlier release, so it is judged without %s; materialise normalized_logs and "
                "windows of the day again", day, ", ".join(champion.detector.record_detectors),
            )  # fmt: skip
        judged = []
        for day in days:
            work = partial(judge_day, lake, day, champion.detector, champion.name, champion.version, promise)
            judged.append(in_its_turn(context, day, work))
            _tell(context, judged[-1])
        return _result(judged, champion.version, len(lacking))

    return scores


def _tell(context: dg.AssetExecutionContext, one: Judgement) -> None:
    account = one.scores
    if not account.windows:
        context.log.info("%s: no data, recorded as empty", account.day)
        return
    context.log.info("%s: %s, %s", account.day, count(account.windows, "window"), count(account.alerts, "alarm"))
    for change in account.changes[:LISTED]:
        context.log.info("%s: window %s was %s, is %s", account.day, change.window_id, change.before, change.after)


def _result(judged: list[Judgement], version: str, lacking: int) -> dg.MaterializeResult:
    windows = sum(one.scores.windows for one in judged)
    alarms = sum(one.scores.alerts for one in judged)
    rate = alarms / windows if windows else 0.0
    promised = sum(one.row.promised_rate * one.row.windows for one in judged) / windows if windows else 0.0
    changes = [(one.scores.day, c.window_id, c.before, c.after) for one in judged for c in one.scores.changes]
    return dg.MaterializeResult(
        metadata={
            "windows": windows,
            "alerts": alarms,
            "model_version": version,
            "days_judged_without_records": lacking,
            "empty_days": sum(not one.scores.windows for one in judged),
            "by_day": table(
                ("day", "windows", "newly scored", "alerts", "highest score", "unseen texts", "PSI", "rate in force"),
                [_row(one) for one in judged[:LISTED]],
            ),
            "changed_verdicts": table(("day", "window", "was", "is"), changes[:LISTED]),
            "changed": len(changes),
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


def _row(one: Judgement) -> tuple[object, ...]:
    account, row = one.scores, one.row
    in_force = row.promised_rate if row.in_force is None else row.in_force
    psi = "" if row.psi is None else f"{row.psi:.2f}"
    return (account.day, account.windows, account.newly_scored, account.alerts, f"{account.highest:.3f}",
            f"{row.unseen_share:.1%}", psi, f"{in_force:.3%}")  # fmt: skip
