"""`evaluation_report`: the challenger on days that it has not learned from."""

from datetime import date

import dagster as dg

from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.lake.comparing import later_days
from logad_pipeline.lake.labels import read_labels
from logad_pipeline.lake.report_data import gather_report
from logad_pipeline.lake.scoring import scored_batches
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.metadata import picture, table
from logad_pipeline.orchestration.report_files import settings_in_words, write_report
from logad_pipeline.registry.registry import RegisteredModel, log_pictures
from logad_pipeline.reporting.data import ReportData
from logad_pipeline.reporting.text import count

MAX_DAYS = 14
"""Days that a model is evaluated on, at most: the first ones after those it learned from."""


class EvaluationDays(dg.Config):
    """How many days after the training days are looked at."""

    days: int = MAX_DAYS


@dg.asset(
    deps=["anomaly_model"],
    group_name="model",
    kinds={"html", "mlflow"},
    description="Score distribution, top windows and t-SNE of [CLS] on later days; ROC-AUC where there are labels.",
)
def evaluation_report(
    context: dg.AssetExecutionContext, config: EvaluationDays, deployment: Deployment
) -> dg.MaterializeResult:
    lake, settings, registry = deployment.open_lake(), deployment.settings(), deployment.registry()
    challenger = deployment.model(deployment.challenger_version())
    model = challenger.detector
    days = later_days(lake.days("windows"), [model.card["days"]], config.days)
    if not days:
        last = model.card["days"][-1]
        context.log.warning("no prepared day after %s to evaluate on; leave some out of the training", last)
        return dg.MaterializeResult(metadata={"model_version": challenger.version, "days": 0})
    context.log.info("judging %s with version %s, for its report", count(len(days), "later day"), challenger.version)
    batches = (
        batch for day in days for batch, _ in scored_batches(lake, day, model, challenger.name, challenger.version)
    )
    data = gather_report(
        lake, days, batches, model, title=f"Evaluation of model version {challenger.version}",
        version=challenger.version, labels=read_labels(lake), settings=settings_in_words(settings),
    )  # fmt: skip
    file = write_report(lake.path("reports") / f"model-{challenger.version}" / "report.html", data)
    pictures, metrics = _pictures(data), _metrics(data)
    with registry.run("evaluation", challenger.run_id) as mlflow:
        mlflow.log_metrics({f"eval_{name}": value for name, value in metrics.items()})
        log_pictures(mlflow, pictures)
        mlflow.log_artifact(str(file), "reports")
    registry.annotate(challenger.version, {name: f"{value:.6g}" for name, value in metrics.items()})
    return dg.MaterializeResult(metadata=_metadata(challenger, days, data, str(file), pictures, metrics))


def _pictures(data: ReportData) -> dict[str, bytes | None]:
    from logad_pipeline.reporting import plots

    labels = data.labels
    return {
        "score_histogram": plots.score_histogram(data.scores, THRESHOLD, labels),
        "roc_curve": plots.roc_curve(data.scores, labels) if labels is not None else None,
        "pr_curve": plots.pr_curve(data.scores, labels, THRESHOLD) if labels is not None else None,
        "tsne_of_cls": plots.embedding_scatter(data.embeddings_2d, data.point_is_alert, data.point_label)
        if data.embeddings_2d is not None
        else None,
        "alerts_by_day": plots.alert_rate_by_day(list(data.by_day or ()), data.promised_rate),
    }


def _metrics(data: ReportData) -> dict[str, float]:
    values: dict[str, float | None] = {"alert_share": data.alerts / data.windows if data.windows else None}
    if data.evaluation:
        quality, at = data.evaluation, data.evaluation.at_threshold
        values |= {"roc_auc": quality.roc_auc, "pr_auc": quality.pr_auc, "f1": at.f1, "precision": at.precision,
                   "recall": at.recall, "false_alarm_rate": at.false_alarm_rate}  # fmt: skip
    return {name: float(value) for name, value in values.items() if value is not None}


def _metadata(
    challenger: RegisteredModel,
    days: list[date],
    data: ReportData,
    file: str,
    pictures: dict[str, bytes | None],
    metrics: dict[str, float],
) -> dict[str, dg.MetadataValue | str | int | float]:
    top = [
        (w.rank, f"{w.score:.3f}", w.risk, f"{w.source}:{w.lines[0].line_no}-{w.lines[-1].line_no}", w.first_time)
        for w in data.top
    ]
    metadata: dict[str, dg.MetadataValue | str | int | float] = {
        "model_version": challenger.version,
        "days": len(days),
        "windows": data.windows,
        "report": dg.MetadataValue.path(file),
        "top": table(("rank", "score", "risk", "lines", "time"), top),
    }
    metadata |= metrics
    metadata |= {name: picture(png, name.replace("_", " ")) for name, png in pictures.items() if png is not None}
    return metadata
