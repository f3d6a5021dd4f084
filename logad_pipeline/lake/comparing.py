"""Two model versions asked about the same windows of the lake.

Belongs here: which windows, and gathering the answers. What they come to is `logad_pipeline.evaluation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.detectors.pseudo import corrupt
from logad_pipeline.evaluation.comparison import Answers, Comparison, Measured, gate, measure
from logad_pipeline.windows import WindowSet

from .feedback import ANOMALOUS, read_feedback
from .labels import label_windows, read_labels
from .scoring import scored_batches
from .tables import Lake
from .windowing import texts_of

__all__ = ["compare_models", "later_days"]

BROKEN: Final = 200
"""Pseudo-anomalies, and unbroken windows beside them, at most."""


def later_days(prepared: Sequence[date], trained: Sequence[Sequence[str]], most: int) -> list[date]:
    """Prepared days after the last that any of the models learned from, the first ``most`` of them.

    Args:
        trained: ISO days that each model learned from.
    """
    last = max((date.fromisoformat(days[-1]) for days in trained if days), default=date.min)
    return [day for day in sorted(prepared) if day > last][:most]


def compare_models(
    lake: Lake,
    days: Sequence[date],
    challenger: tuple[str, AnomalyDetector],
    champion: tuple[str, AnomalyDetector] | None,
    rate: float,
    seed: int = 0,
) -> Comparison:
    """Ask both about the windows of ``days``, about pseudo-anomalies made of them, and about what people told.

    Windows that a label or a person calls anomalous are no normal windows: they are told ones. Nothing is
    written. A challenger without a champion to compare with is measured alone.

    Args:
        challenger, champion: version and model.
        rate: promised share of normal windows that raise an alarm.
        seed: of the pseudo-anomalies.
    """
    models = dict([challenger] if champion is None or champion[0] == challenger[0] else [challenger, champion])
    asked = {version: _ask(lake, days, model, version) for version, model in models.items()}
    truth = _truth(lake, asked[challenger[0]])
    ids = asked[challenger[0]].ids
    told = [row for row, key in enumerate(ids) if key in truth]
    normal = [row for row, key in enumerate(ids) if not truth.get(key, False)]
    anomalous = np.array([truth[ids[row]] for row in told], dtype=np.bool_)
    quiet = [row for row in normal if all(one.log10_p[row] > np.log10(rate) for one in asked.values())]
    unbroken, broken = _broken(lake, days, [asked[challenger[0]].texts[row] for row in quiet], seed)
    answers = {
        version: Answers(one.log10_p[normal], models[version].score(unbroken).log10_p,
                         models[version].score(broken).log10_p, one.log10_p[told])
        for version, one in asked.items()
    }  # fmt: skip
    measured: Mapping[str, Measured] = {key: measure(each, anomalous, rate) for key, each in answers.items()}
    against = champion[0] if champion is not None else ""
    checks = gate(measured[challenger[0]], measured[against], rate) if champion is not None else ()
    return Comparison(
        challenger[0], against, tuple(map(str, days)), len(ids), len(broken), len(told), rate, measured, answers, checks
    )


@dataclass
class _Asked:
    """What a model said of the windows of some days, in order of day and id."""

    ids: list[str] = field(default_factory=list)
    log10_p: FloatArray = field(default_factory=lambda: np.zeros(0))
    texts: list[tuple[int, ...]] = field(default_factory=list)
    labels: dict[str, bool] = field(default_factory=dict)
    days: list[date] = field(default_factory=list)


def _ask(lake: Lake, days: Sequence[date], model: AnomalyDetector, version: str) -> _Asked:
    labels = read_labels(lake)
    rows: list[tuple[date, str, float, tuple[int, ...]]] = []
    marked: dict[str, bool] = {}
    for day in days:
        for batch, _ in scored_batches(lake, day, model, "", version):
            ids = batch.column("window_id").to_pylist()
            for key, mark in zip(ids, label_windows(batch, labels).to_pylist(), strict=True):
                if mark is not None:
                    marked[key] = mark
            texts = map(tuple, batch.column("text_ids").to_pylist())
            rows += zip([day] * len(ids), ids, batch.column("log10_p").to_pylist(), texts, strict=True)
    rows.sort()
    return _Asked(
        [row[1] for row in rows],
        np.array([row[2] for row in rows], dtype=np.float64),
        [row[3] for row in rows],
        marked,
        list(days),
    )


def _truth(lake: Lake, asked: _Asked) -> dict[str, bool]:
    """Windows that are known to be anomalous or normal; what a person said of one outdoes a label."""
    said = read_feedback(lake, asked.days) if asked.days else {}
    return asked.labels | {key: each.verdict == ANOMALOUS for key, each in said.items()}


def _broken(
    lake: Lake, days: Sequence[date], windows: Sequence[tuple[int, ...]], seed: int
) -> tuple[WindowSet, WindowSet]:
    """Some different ones of these windows as they are, and as many that were broken on purpose."""
    texts = texts_of(lake, days) if windows else {}
    distinct = sorted(set(windows))
    chosen = np.random.default_rng([seed, 80]).permutation(len(distinct))[:BROKEN]
    unbroken = WindowSet.distinct([texts[number] for number in distinct[row]] for row in sorted(chosen.tolist()))
    return unbroken, corrupt(unbroken, BROKEN, seed).windows if len(unbroken) else unbroken
