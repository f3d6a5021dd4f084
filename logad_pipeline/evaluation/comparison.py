"""Champion against challenger: what is measured of both, and whether the challenger may take over.

Belongs here: measures from arrays of p-values, and the gate over them. Where the windows come from, and what
follows from the verdict, is decided elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from logad_pipeline.evaluation.metrics import roc_auc

FloatArray = npt.NDArray[np.float64]

ALARMS: Final = 1.5
"""Times the champion's share of alarms that a challenger may raise on the same normal windows."""
PROMISE: Final = 2.0
"""Times the promised rate that always passes: so much is chance on a few hundred windows."""
SLACK: Final = 0.03
"""How much worse a challenger may rank or find what it should, for chance."""


@dataclass(frozen=True)
class Answers:
    """What one model says of the windows that both are asked about: ``log10`` p-values, the lower the stranger.

    Attributes:
        normal: of the later days' windows, float64 ``[n]``.
        unbroken, broken: of some of them by their texts alone, and of pseudo-anomalies made of these.
        told: of windows with a label or feedback, float64 ``[k]``.
    """

    normal: FloatArray
    unbroken: FloatArray
    broken: FloatArray
    told: FloatArray


@dataclass(frozen=True)
class Measured:
    """What one model's answers come to; ``None`` where there was nothing to measure on.

    Attributes:
        alarms: share of the later days' windows that raise one at the promised rate.
        broken_auc: how well pseudo-anomalies rank above what they were made of.
        broken_found: share of them that raise an alarm.
        told_auc: how well windows called anomalous rank above those called normal.
        told_found: share of those called anomalous that raise an alarm.
        told_false: share of those called normal that do.
    """

    alarms: float | None
    broken_auc: float | None
    broken_found: float | None
    told_auc: float | None
    told_found: float | None
    told_false: float | None


def measure(answers: Answers, anomalous: npt.NDArray[np.bool_], rate: float) -> Measured:
    """Measure one model.

    Args:
        anomalous: bool ``[k]``, of the windows that somebody told something of.
        rate: at which an alarm is raised.
    """
    limit = math.log10(rate)
    broken = np.concatenate([answers.broken, answers.unbroken])
    is_broken = np.arange(len(broken)) < len(answers.broken)
    return Measured(
        alarms=_share(answers.normal <= limit),
        broken_auc=roc_auc(-broken, is_broken) if is_broken.any() and not is_broken.all() else None,
        broken_found=_share(answers.broken <= limit),
        told_auc=roc_auc(-answers.told, anomalous) if anomalous.any() and not anomalous.all() else None,
        told_found=_share(answers.told[anomalous] <= limit),
        told_false=_share(answers.told[~anomalous] <= limit),
    )


@dataclass(frozen=True)
class GateCheck:
    """One condition of the gate, whether it holds, and both figures in words."""

    name: str
    passed: bool
    words: str


def gate(challenger: Measured, champion: Measured, rate: float) -> tuple[GateCheck, ...]:
    """The conditions under which a challenger may take over: it holds where all of them do.

    What could not be measured of both makes no condition, but for the alarms on later days.
    """
    checks = []
    if challenger.alarms is None or champion.alarms is None:
        checks.append(GateCheck("alarms on later days", False, "there is no later day that both were asked about"))
    else:
        limit = max(ALARMS * champion.alarms, PROMISE * rate)
        words = f"{challenger.alarms:.2%} of windows, champion {champion.alarms:.2%}, at most {limit:.2%}"
        checks.append(GateCheck("alarms on later days", challenger.alarms <= limit, words))
    for name, what in _AT_LEAST.items():
        new, old = getattr(challenger, name), getattr(champion, name)
        if new is not None and old is not None:
            words = f"{new:.3f}, champion {old:.3f}, at least {old - SLACK:.3f}"
            checks.append(GateCheck(what, new >= old - SLACK, words))
    if challenger.told_false is not None and champion.told_false is not None:
        new, old = challenger.told_false, champion.told_false
        words = f"{new:.2%} raise an alarm, champion {old:.2%}, at most {old + SLACK:.2%}"
        checks.append(GateCheck("windows called normal", new <= old + SLACK, words))
    return tuple(checks)


_AT_LEAST: Final[Mapping[str, str]] = {
    "broken_auc": "ranking of pseudo-anomalies (ROC-AUC)",
    "told_auc": "ranking against labels and feedback (ROC-AUC)",
    "told_found": "share found of windows called anomalous",
}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Both models on the same windows.

    Attributes:
        challenger, champion: their versions.
        days: ISO days that were looked at.
        windows, broken, told: how many of each there were.
        rate: the promised one.
        measured: by version.
        answers: by version.
        checks: of the gate; none where there is no champion to compare with.
    """

    challenger: str
    champion: str
    days: tuple[str, ...]
    windows: int
    broken: int
    told: int
    rate: float
    measured: Mapping[str, Measured]
    answers: Mapping[str, Answers]
    checks: tuple[GateCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether the gate holds."""
        return all(check.passed for check in self.checks)

    @property
    def reason(self) -> str:
        """What decided, in one line."""
        failed = [check for check in self.checks if not check.passed]
        return "; ".join(f"{check.name}: {check.words}" for check in failed or self.checks)

    def to_dict(self) -> dict[str, Any]:
        """All but the answers, JSON-ready."""
        return {
            "challenger": self.challenger, "champion": self.champion, "days": list(self.days),
            "windows": self.windows, "broken": self.broken, "told": self.told, "promised_rate": self.rate,
            "passed": self.passed, "measured": {key: asdict(value) for key, value in self.measured.items()},
            "checks": [asdict(check) for check in self.checks],
        }  # fmt: skip


def _share(marks: npt.NDArray[np.bool_]) -> float | None:
    return float(marks.mean()) if len(marks) else None
