"""`champion_model`: the alias that says which model judges, moved if the gate holds."""

import json

import dagster as dg

from logad_pipeline.detectors.ensemble import ModelNotFound
from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.registry.champions import promote
from logad_pipeline.registry.registry import CHAMPION, Registry


@dg.asset(
    deps=["comparison_report"],
    group_name="model",
    kinds={"mlflow"},
    description="Promotes the challenger if there is no champion yet, or if the gate holds and the settings say so.",
)
def champion_model(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult:
    registry, settings = deployment.registry(), deployment.settings()
    challenger, champion = deployment.challenger_version(), registry.version_of(CHAMPION)
    passed, reason = verdict_on(registry, challenger, _judging(deployment, champion))
    promoted = passed and settings.model.automatic_promotion and challenger != champion
    if promoted:
        promote(registry, challenger)
    became = "is the champion now" if promoted else "is not promoted"
    context.log.info("version %s %s: %s", challenger, became, reason)
    if passed and not promoted and challenger != champion:
        context.log.info("promote it by hand: logad promote %s", challenger)
    return dg.MaterializeResult(
        metadata={
            "challenger": challenger,
            "champion_before": champion or "none",
            "champion": registry.version_of(CHAMPION) or "none",
            "gate_passed": passed,
            "reason": reason,
        }
    )


def _judging(deployment: Deployment, champion: str | None) -> str | None:
    """The version that judges: the champion, or the one before it where it cannot; ``None`` for nobody."""
    try:
        return deployment.champion().version if champion is not None else None
    except ModelNotFound:
        return None


def verdict_on(registry: Registry, challenger: str, judging: str | None) -> tuple[bool, str]:
    """Whether the challenger may judge, and why, as the comparison found."""
    if challenger == judging:
        return True, "it is the one that judges already"
    tag = registry.tag(challenger, "gate")
    if tag is None:
        return False, "it was never compared with the champion; materialise comparison_report, or promote by hand"
    verdict = json.loads(tag)
    if judging is None and not verdict["against"]:
        return True, "there is no champion that can judge"
    if not verdict["against"]:
        return False, f"it was never compared with champion {judging}; materialise comparison_report again"
    if verdict["against"] != judging:
        return False, f"it was compared with version {verdict['against']}, champion is {judging}; compare again"
    return bool(verdict["passed"]), str(verdict["reason"])
