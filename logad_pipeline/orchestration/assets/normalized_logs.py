"""`normalized_logs`: records of a day, variables replaced by typed words."""

from functools import partial

import dagster as dg

from logad_pipeline.lake.normalising import normalise_day
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.metadata import table
from logad_pipeline.orchestration.partitions import blame, daily_asset, days_of, in_its_turn

UNPARSED_WARNING = 0.05
"""Share of quarantined lines from which on the format deserves a look."""


def build_normalized_logs(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset over ``days``."""

    @daily_asset(
        days,
        deps=["raw_logs"],
        kinds={"deltalake"},
        description="Log records with their normalised text; lines that are no record are in the quarantine.",
        check_specs=[
            dg.AssetCheckSpec("every_line_accounted_for", asset="normalized_logs", blocking=True),
            dg.AssetCheckSpec("share_of_unparsed_lines", asset="normalized_logs"),
        ],
    )
    def normalized_logs(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult:
        lake, group_by = deployment.open_lake(), deployment.settings().windows.group_by
        accounts = []
        for day in days_of(context):
            accounts.append(in_its_turn(context, day, partial(normalise_day, lake, day, group_by)))
            context.log.info("%s: %d lines, %d records", day, accounts[-1].lines, accounts[-1].records)
        lines = sum(account.lines for account in accounts)
        quarantined = sum(account.quarantined for account in accounts)
        unbalanced = [account.day for account in accounts if not account.balanced]
        if unbalanced:
            blame(context, unbalanced)
        share = quarantined / lines if lines else 0.0
        header = ("day", "lines", "records", "continuation lines", "quarantined")
        return dg.MaterializeResult(
            metadata={
                "lines": lines,
                "records": sum(account.records for account in accounts),
                "quarantined": quarantined,
                "account": table(
                    header,
                    [(a.day, a.lines, a.records, a.continuation_lines, a.quarantined) for a in accounts[:400]],
                ),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="every_line_accounted_for",
                    passed=not unbalanced,
                    metadata={"lines": lines, "days_that_do_not_balance": [*map(str, unbalanced)]},
                ),
                dg.AssetCheckResult(
                    check_name="share_of_unparsed_lines",
                    passed=share <= UNPARSED_WARNING,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"share": share},
                ),
            ],
        )

    return normalized_logs
