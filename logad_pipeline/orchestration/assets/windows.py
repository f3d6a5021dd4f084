"""`windows`: the records of a day, cut into windows."""

from functools import partial

import dagster as dg

from logad_pipeline.lake.windowing import cut_day
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.metadata import table
from logad_pipeline.orchestration.partitions import blame, daily_asset, days_of, in_its_turn


def build_windows(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset over ``days``."""

    @daily_asset(
        days,
        deps=["normalized_logs"],
        kinds={"deltalake"},
        description="Fixed, sliding or session windows of records, within a source and a group.",
        check_specs=[dg.AssetCheckSpec("every_record_in_a_window", asset="windows", blocking=True)],
    )
    def windows(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult:
        lake, spec = deployment.open_lake(), deployment.settings().window_spec()
        accounts = [in_its_turn(context, day, partial(cut_day, lake, day, spec)) for day in days_of(context)]
        uncovered = [account.day for account in accounts if not account.all_lines_covered]
        if uncovered:
            blame(context, uncovered)
        return dg.MaterializeResult(
            metadata={
                "windows": sum(account.windows for account in accounts),
                "window_spec": dg.MetadataValue.json(spec.to_dict()),
                "by_day": table(("day", "records", "windows"), [(a.day, a.records, a.windows) for a in accounts[:400]]),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="every_record_in_a_window",
                    passed=not uncovered,
                    metadata={"days_with_uncovered_records": [*map(str, uncovered)]},
                )
            ],
        )

    return windows
