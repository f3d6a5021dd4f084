"""`anomaly_model`: a BERT-mini trained on the windows of chosen days, registered as the challenger."""

import shutil
from datetime import date
from typing import Any, cast

import dagster as dg

from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.detectors.fitting import FitSpec, fit_detector
from logad_pipeline.detectors.registry import RECORD_DETECTORS
from logad_pipeline.lake.record_facts import days_without_facts
from logad_pipeline.lake.training_stream import Policy, choose, window_stream
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.orchestration.lineage import PINNED, checkpoint_name, lineage_of, lineage_tags
from logad_pipeline.orchestration.metadata import picture
from logad_pipeline.registry.registry import CHALLENGER, CHAMPION, log_pictures
from logad_pipeline.reporting.text import count
from logad_pipeline.settings import Settings


class TrainingDays(dg.Config):
    """What is learned from. ISO dates, both included; empty for the first and last day there is.

    ``policy``, ``span`` and ``held_out_days``: see `lake.training_stream.choose`; by default all the days.
    """

    first_day: str = ""
    last_day: str = ""
    policy: str = "all"
    span: int = 28
    held_out_days: int = 0
    reason: str = "asked for"


def chosen_days(prepared: list[date], config: TrainingDays) -> list[date]:
    """The prepared days within the configured ones.

    Raises:
        dagster.Failure: if there is none.
    """
    first = date.fromisoformat(config.first_day) if config.first_day else date.min
    last = date.fromisoformat(config.last_day) if config.last_day else date.max
    days = [day for day in prepared if first <= day <= last]
    if not days:
        raise dg.Failure(
            f"no prepared day between {config.first_day or 'the beginning'} and {config.last_day or 'the end'}: "
            "materialise windows for the days first (job `prepare_days`)"
        )
    return days


@dg.asset(
    deps=["windows"],
    group_name="model",
    kinds={"pytorch", "mlflow"},
    description="BERT-mini and its detectors, fitted on normal windows without labels; alias challenger.",
)
def anomaly_model(
    context: dg.AssetExecutionContext, config: TrainingDays, deployment: Deployment
) -> dg.MaterializeResult:
    from logad_pipeline.reporting.plots import training_curves

    lake, settings, registry = deployment.open_lake(), deployment.settings(), deployment.registry()
    versions = {table: lake.version(table) for table in PINNED}
    prepared = chosen_days(lake.days("windows"), config)
    choice = choose(
        lake, prepared, cast("Policy", config.policy), config.span,
        held_out=config.held_out_days, habit_days=settings.retraining.habit_days,
    )  # fmt: skip
    days = choice.days
    if choice.outdated:
        context.log.warning(
            "%d days from %s on are left out: masked by an earlier release; materialise normalized_logs and windows "
            "of them again", len(choice.outdated), choice.outdated[0],
        )  # fmt: skip
    spec = settings.fit_spec()
    wanted = not RECORD_DETECTORS.keys().isdisjoint(spec.detectors)
    if wanted and (lacking := days_without_facts(lake, days)):
        context.log.warning(
            "%s: normalised by an earlier release, so the model is fitted without detectors of records; "
            "materialise normalized_logs and windows of %d days again", lacking[0], len(lacking),
        )  # fmt: skip
    stream = window_stream(lake, days, versions["windows"], facts=wanted, choice=choice)
    context.log.info("%s of %s, %d distinct", count(len(stream.ids), "window"), count(len(days), "day"),
                     len(stream.windows))  # fmt: skip
    lineage = lineage_of(settings, config, choice, versions, registry.version_of(CHAMPION), prepared[-1])
    checkpoint = lake.path("checkpoints") / checkpoint_name(lineage)
    with registry.run(f"train {days[0]} to {days[-1]}") as mlflow:
        mlflow.log_params(_parameters(settings, spec, lineage))
        model = fit_detector(stream, settings.window_spec(), spec, checkpoint=checkpoint, progress=_Teller(context))
        context.log.info("fitted in %.0f s; registering it", model.card["fit_seconds"])
        model.card |= lineage
        history = model.history
        for step, loss, held_out in zip(history.steps, history.train_loss, history.held_out_loss, strict=True):
            mlflow.log_metrics({"train_loss": loss, "held_out_loss": held_out}, step=step)
        mlflow.log_dict(model.card, "card.json")
        mlflow.set_tag("encoder_source", model.card["encoder"]["source"])
        curves = training_curves(history.steps, history.train_loss, history.held_out_loss)
        log_pictures(mlflow, {"training_curves": curves})
        registered = registry.register(mlflow, model)
    registry.annotate(registered.version, lineage_tags(lineage) | {"content": model.version})
    registry.set_alias(CHALLENGER, registered.version)
    context.log.info("version %s is the challenger", registered.version)
    shutil.rmtree(checkpoint, ignore_errors=True)
    return dg.MaterializeResult(metadata=_metadata(model, registered.version, registered.run_id, curves, lineage))


def _parameters(settings: Settings, spec: FitSpec, lineage: dict[str, Any]) -> dict[str, object]:
    flat = {f"windows.{k}": v for k, v in settings.windows.model_dump().items()}
    flat |= {f"model.{k}": v for k, v in settings.model.model_dump().items()}
    days = lineage["days"]
    return flat | {
        "model.detectors": ", ".join(spec.detectors),
        "days": len(days), "first_day": days[0], "last_day": days[-1],
    } | {name: value for name, value in lineage.items() if name not in ("days", "parameters")}  # fmt: skip


def _metadata(
    model: AnomalyDetector, version: str, run_id: str, curves: bytes | None, lineage: dict[str, Any]
) -> dict[str, dg.MetadataValue | str | int | float]:
    card = model.card
    metadata: dict[str, dg.MetadataValue | str | int | float] = {
        "model_version": version,
        "mlflow_run": run_id,
        "encoder": f"{card['encoder']['source']}: {card['encoder']['detail']}",
        "detectors": ", ".join(model.names),
        "windows": dg.MetadataValue.json(card["windows"]),
        "held_out_loss": min(model.history.held_out_loss, default=float("nan")),
        "fit_seconds": card["fit_seconds"],
        "lineage": dg.MetadataValue.json(lineage),
    }
    if curves:
        metadata["training_curves"] = picture(curves, "training and held-out loss")
    return metadata


class _Teller:
    """Tells the run's log how far a fit has come, at every tenth of a task."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._log = context.log
        self._told: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        task, tenth = what.split(",", maxsplit=1)[0], done * 10 // max(total, 1)
        if self._told.get(task, -1) < tenth:
            self._told[task] = tenth
            self._log.info("%s: %d of %d", what, done, total)
