"""What can be run by name: days prepared, days judged, a model trained."""

from typing import Any

import dagster as dg

Job = Any  # what define_asset_job returns has no public name

PREPARE = ("raw_logs", "normalized_logs", "windows")
JUDGE = ("scores", "daily_report")
TRAIN = ("anomaly_model", "evaluation_report", "champion_model")


def build_jobs() -> list[Job]:
    """The jobs of the code location."""
    return [
        dg.define_asset_job(
            "daily", list(PREPARE + JUDGE), description="Everything for a day, judged by the champion."
        ),
        dg.define_asset_job("prepare_days", list(PREPARE), description="From landed logs to windows."),
        dg.define_asset_job("judge_days", list(JUDGE), description="Scores and report of prepared days."),
        dg.define_asset_job(
            "training", list(TRAIN), description="Train a challenger, evaluate it, and promote it if the gate holds."
        ),
    ]
