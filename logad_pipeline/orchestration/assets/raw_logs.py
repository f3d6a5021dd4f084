"""`raw_logs`: the landed bytes of a day, held against the ledger."""

from contextlib import closing
from datetime import date

import dagster as dg

from logad_pipeline.lake.landing import open_raw, raw_parts
from logad_pipeline.lake.ledger import LedgerRow, way_out
from logad_pipeline.lake.tables import Lake, LakeDamaged
from logad_pipeline.logs.reader import UnreadableInput
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.metadata import table
from logad_pipeline.orchestration.partitions import blame, daily_asset, days_of


def build_raw_logs(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset over ``days``."""

    @daily_asset(
        days,
        kinds={"file"},
        description="Landed log files, split by event day, never changed. `logad ingest` lands them.",
        check_specs=[
            dg.AssetCheckSpec("lines_match_ledger", asset="raw_logs", blocking=True),
            dg.AssetCheckSpec("day_has_data", asset="raw_logs"),
        ],
    )
    def raw_logs(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult:
        lake = deployment.open_lake()
        rows, wrong, empty = [], [], []
        damaged: list[str] = []
        stopping: set[date] = set()
        for day in days_of(context):
            parts = raw_parts(lake, day)
            if not parts:
                empty.append(str(day))
            for part in parts:
                try:
                    found = _count_lines(lake, part)
                except LakeDamaged as error:
                    # All of them are looked for, so that the next run leaves out each.
                    damaged.append(str(error))
                    stopping.add(day)
                    continue
                rows.append((day, part.source, part.format, found))
                if found != part.day_lines:
                    wrong.append(f"{part.raw_path}: {found} lines, the ledger says {part.day_lines}; {way_out(part)}")
                    stopping.add(day)
        if stopping:
            blame(context, stopping)
        if damaged:
            raise LakeDamaged("; ".join(damaged[:20]))
        return dg.MaterializeResult(
            metadata={
                "lines": sum(row[3] for row in rows),
                "files": table(("day", "source", "format", "lines"), rows[:200]),
                "days_without_data": len(empty),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="lines_match_ledger", passed=not wrong, metadata={"differences": wrong[:20]}
                ),
                dg.AssetCheckResult(
                    check_name="day_has_data",
                    passed=not empty,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"days_without_data": empty[:50]},
                ),
            ],
        )

    return raw_logs


def _count_lines(lake: Lake, part: LedgerRow) -> int:
    try:
        with closing(open_raw(lake, part)) as stream:
            return sum(1 for _ in stream)
    except UnreadableInput as error:
        raise LakeDamaged(f"{error}; {way_out(part)}") from error
