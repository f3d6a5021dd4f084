"""One file an asset; `build_assets` gathers them."""

import dagster as dg

from logad_pipeline.orchestration.assets.alerts import build_alerts
from logad_pipeline.orchestration.assets.anomaly_model import anomaly_model
from logad_pipeline.orchestration.assets.champion_model import champion_model
from logad_pipeline.orchestration.assets.comparison_report import comparison_report
from logad_pipeline.orchestration.assets.daily_report import build_daily_report
from logad_pipeline.orchestration.assets.evaluation_report import evaluation_report
from logad_pipeline.orchestration.assets.normalized_logs import build_normalized_logs
from logad_pipeline.orchestration.assets.raw_logs import build_raw_logs
from logad_pipeline.orchestration.assets.scores import build_scores
from logad_pipeline.orchestration.assets.windows import build_windows


def build_assets(days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """All assets; the daily ones over ``days``."""
    return [
        build_raw_logs(days),
        build_normalized_logs(days),
        build_windows(days),
        build_scores(days),
        build_alerts(days),
        build_daily_report(days),
        anomaly_model,
        evaluation_report,
        comparison_report,
        champion_model,
    ]
