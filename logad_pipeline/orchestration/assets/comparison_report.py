"""`comparison_report`: challenger and champion on the same windows, and whether the gate holds."""

import json

import dagster as dg

from logad_pipeline.detectors.ensemble import ModelNotFound
from logad_pipeline.lake.comparing import compare_models, later_days
from logad_pipeline.orchestration.assets.evaluation_report import EvaluationDays
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.metadata import picture, table
from logad_pipeline.orchestration.report_files import write_page
from logad_pipeline.registry.registry import CHAMPION, RegisteredModel, log_pictures
from logad_pipeline.reporting.text import count


@dg.asset(
    deps=["evaluation_report"],
    group_name="model",
    kinds={"html", "mlflow"},
    description="Challenger and champion on the same later days, on pseudo-anomalies, and on labels and feedback.",
)
def comparison_report(
    context: dg.AssetExecutionContext, config: EvaluationDays, deployment: Deployment
) -> dg.MaterializeResult:
    from logad_pipeline.reporting.comparison import comparison_plot, comparison_rows, render_comparison

    lake, settings, registry = deployment.open_lake(), deployment.settings(), deployment.registry()
    version = deployment.challenger_version()
    challenger = deployment.model(version)
    champion = _champion(context, deployment)
    learned = [one.detector.card.get("days", []) for one in (challenger, champion) if one is not None]
    days = later_days(lake.days("windows"), learned, config.days)
    rate = settings.model.false_alarm_rate
    beside = f"beside champion {champion.version}" if champion else "without a champion beside it"
    context.log.info("judging %s with version %s, %s", count(len(days), "later day"), version, beside)
    comparison = compare_models(
        lake, days, (version, challenger.detector), (champion.version, champion.detector) if champion else None, rate,
        settings.model.seed,
    )  # fmt: skip
    told = comparison.to_dict()
    file = write_page(lake.path("reports") / f"model-{version}" / "comparison.html", render_comparison(comparison))
    plot = comparison_plot(comparison)
    with registry.run("comparison", challenger.run_id) as mlflow:
        new = {f"gate_{key}": value for key, value in told["measured"][version].items() if value is not None}
        mlflow.log_metrics(new)
        mlflow.log_dict(told, "reports/comparison.json")
        mlflow.log_artifact(str(file), "reports")
        log_pictures(mlflow, {"comparison": plot})
    verdict = {"passed": comparison.passed, "against": comparison.champion, "reason": comparison.reason}
    registry.annotate(version, {"gate": json.dumps(verdict)})
    # With nothing to compare with there is no check, and so no reason.
    said = "; ".join(filter(None, ("holds" if comparison.passed else "does not hold", comparison.reason)))
    context.log.info("gate of version %s: %s", version, said)
    metadata: dict[str, dg.MetadataValue | str | int | bool] = {
        "challenger": version,
        "champion": comparison.champion or "none",
        "gate_passed": comparison.passed,
        "reason": comparison.reason,
        "days": len(days),
        "windows": comparison.windows,
        "gate": table(("condition", "holds", "figures"), [(c.name, c.passed, c.words) for c in comparison.checks]),
        "measures": table(("measure", f"challenger {version}", f"champion {comparison.champion or 'none'}"),
                          comparison_rows(comparison)),
        "report": dg.MetadataValue.path(str(file)),
    }  # fmt: skip
    if plot:
        metadata["plot"] = picture(plot, "alarms by promised rate, of both models")
    return dg.MaterializeResult(metadata=metadata)


def _champion(context: dg.AssetExecutionContext, deployment: Deployment) -> RegisteredModel | None:
    """Who judges now, or ``None`` if nobody can: an upgrade may have left all champions behind."""
    if deployment.registry().version_of(CHAMPION) is None:
        return None
    try:
        return deployment.champion(context.log.warning)
    except ModelNotFound as error:
        context.log.warning("there is no champion to be compared with: %s", error)
        return None
