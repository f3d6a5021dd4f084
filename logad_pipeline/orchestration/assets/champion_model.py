"""`champion_model`: the gate, and the alias that says which model judges."""

import dagster as dg

from logad_pipeline.orchestration.deployment import Deployment
from logad_pipeline.registry.registry import CHALLENGER, CHAMPION, Registry

TOLERANCE = 1.5
"""Times the champion's share of alerts that a challenger may raise on its later days and still pass."""


@dg.asset(
    deps=["evaluation_report"],
    group_name="model",
    kinds={"mlflow"},
    description="Promotes the challenger if there is no champion yet, or if it does not cry wolf more often.",
)
def champion_model(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult:
    registry, settings = deployment.registry(), deployment.settings()
    challenger, champion = registry.version_of(CHALLENGER), registry.version_of(CHAMPION)
    if challenger is None:
        raise dg.Failure("there is no challenger: materialise anomaly_model first")
    # A champion that an upgrade left behind can be neither used nor measured against.
    usable = champion if champion in (None, challenger) or registry.loads(champion) else None
    passed, reason = gate(registry, challenger, usable, settings.model.false_alarm_rate)
    promoted = passed and settings.model.automatic_promotion and challenger != champion
    if promoted:
        registry.set_alias(CHAMPION, challenger)
    context.log.info("version %s: %s; promoted: %s", challenger, reason, promoted)
    return dg.MaterializeResult(
        metadata={
            "challenger": challenger,
            "champion_before": champion or "none",
            "champion": registry.version_of(CHAMPION) or "none",
            "gate_passed": passed,
            "reason": reason,
        }
    )


def gate(registry: Registry, challenger: str, champion: str | None, promised: float) -> tuple[bool, str]:
    """Whether the challenger may judge, and why. Labels, where there are any, do not count here.

    Args:
        promised: share of normal windows that may raise an alarm; twice that always passes.
    """
    if champion is None:
        return True, "there is no champion that can judge"
    if challenger == champion:
        return True, "it is the champion already"
    new, old = (registry.tag(version, "alert_share") for version in (challenger, champion))
    if new is None or old is None:
        return False, "one of the two was never evaluated on later days; promote by hand if you know better"
    limit = max(TOLERANCE * float(old), 2 * promised)
    verdict = float(new) <= limit
    return verdict, f"alerts on {float(new):.2%} of later windows, at most {limit:.2%} allowed"
