"""From scored rows to what a report tells: ranked windows with their lines, counts, embeddings, labels.

Belongs here: gathering from the tables. How a report looks is ``reporting``'s business.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from operator import itemgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logad_pipeline.detectors.calibration import HIGH_RISK, THRESHOLD
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.evaluation.metrics import evaluate
from logad_pipeline.explanation.evidence import Evidence
from logad_pipeline.explanation.explainer import Explainer
from logad_pipeline.reporting.data import LineAccount, ReportData, ReportMember, ReportWindow
from logad_pipeline.reporting.projection import tsne
from logad_pipeline.reporting.promise import PromiseDay

from .alerts import CONTESTED, SUPPRESSED, loudest_line
from .labels import label_windows
from .lanes import LaneSums
from .score_cache import CachedScore, ScoreCache, window_key
from .scoring import cache_file
from .shown_rows import lines_of, read_records_of, to_explain
from .tables import Lake

TOP: Final = 25
"""Groups of windows that are shown."""
_EXPLAINED: Final = 50
"""Distinct windows, the worst, that are explained and put into groups."""
_POINTS: Final = 400
"""Distinct windows whose embeddings are shown, beside the alerts."""
_RESAMPLES: Final = 300


@dataclass
class _Gathered:
    """What is counted while rows go by; windows of the same texts have one key.

    Attributes:
        by_day: windows, and alarms whatever was said of them since.
        alarms: those that stand, by key.
        by_line: the same, by the text of the line that surprised most, for which alarms are one alert.
        states: of windows that are settled.
        lanes: the windows that stand, by host and hour.
        settled: how many alarms are called normal, and how many are kept quiet.
    """

    states: Mapping[str, str]
    lanes: LaneSums
    scores: list[npt.NDArray[np.float64]] = field(default_factory=list)
    labels: list[npt.NDArray[np.object_]] = field(default_factory=list)
    stands: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    by_day: Counter[tuple[date, str]] = field(default_factory=Counter)
    worst: dict[bytes, tuple[float, dict[str, Any]]] = field(default_factory=dict)
    repeats: Counter[bytes] = field(default_factory=Counter)
    alarms: Counter[bytes] = field(default_factory=Counter)
    by_line: Counter[int] = field(default_factory=Counter)
    sample: dict[bytes, tuple[float, bool | None]] = field(default_factory=dict)
    settled: Counter[str] = field(default_factory=Counter)


def line_account(lake: Lake, days: Collection[date]) -> LineAccount:
    """Where every landed line of the days went, counted from the tables."""
    lines = sum(sum(batch.column("day_lines").to_pylist()) for batch in lake.scan("ledger", days, ["day_lines"]))
    records = continuation = 0
    for batch in lake.scan("normalized", days, ["first_line", "last_line"]):
        records += batch.num_rows
        spans = batch.column("last_line").to_numpy() - batch.column("first_line").to_numpy()
        continuation += int(spans.sum())
    reasons: Counter[str] = Counter()
    for batch in lake.scan("quarantine", days, ["reason"]):
        reasons.update(batch.column("reason").to_pylist())
    return LineAccount(lines, records, continuation, sum(reasons.values()), dict(reasons))


def gather_report(
    lake: Lake,
    days: Sequence[date],
    batches: Iterable[pa.RecordBatch],
    model: AnomalyDetector,
    *,
    title: str,
    version: str,
    labels: dict[str, set[int]],
    settings: dict[str, str],
    states: Mapping[str, str] | None = None,
    promise: Sequence[PromiseDay] = (),
    with_map: bool = True,
) -> ReportData:
    """Read scored rows of ``days`` once and gather the report on them.

    Args:
        batches: rows of the scores table, all made by ``model``.
        version: of the model in the registry.
        labels: of ``labels.read_labels``; only told in the report, never used for a score.
        settings: shown as they are.
        states: of windows that somebody or something has settled, see `triage.settled`: those that are called
            normal or kept quiet are neither ranked nor counted as alerts, as on the triage page.
        promise: what was promised and achieved up to these days.
        with_map: whether embeddings are mapped by t-SNE, which takes longer than all the rest.
    """
    found = _Gathered(states or {}, LaneSums(by_group=model.window_spec.group_by == "host"))
    for batch in batches:
        _take(batch, label_windows(batch, labels), found)
    scores = np.concatenate(found.scores) if found.scores else np.zeros(0)
    truth = np.concatenate(found.labels) if found.labels else np.zeros(0, dtype=object)
    known = np.array([value is not None for value in truth], dtype=bool)
    labelled = bool(known.any())
    marks = np.array([bool(value) for value in truth], dtype=bool)
    quality = evaluate(scores[known], marks[known], THRESHOLD, seed=0, resamples=_RESAMPLES) if labelled else None
    with ScoreCache(cache_file(lake, model)) as cache:
        remembered = cache.get({*found.worst, *found.sample})
    points = [key for key in found.sample if key in remembered] if with_map else []
    alerts = np.array([found.sample[key][0] >= THRESHOLD for key in points], dtype=bool)
    projection = tsne(np.stack([remembered[key].cls for key in points]), 0, keep=alerts) if points else None
    keep = projection.index if projection else np.zeros(0, dtype=np.int64)
    point_label = np.array([bool(found.sample[points[i]][1]) for i in keep]) if labelled and projection else None
    swimlane = found.lanes.swimlane(days)
    history = model.history
    return ReportData(
        title=title,
        span=str(days[0]) if len(days) == 1 else f"{min(days)} to {max(days)}",
        generated_at=datetime.now(UTC),
        windows=len(scores),
        alerts=found.alarms.total(),
        called_normal=found.settled[CONTESTED],
        kept_quiet=found.settled[SUPPRESSED],
        promised_rate=model.scale.false_alarm_rate,
        threshold=THRESHOLD,
        high_risk=HIGH_RISK,
        account=line_account(lake, days),
        scores=scores,
        stands=np.concatenate(found.stands) if found.stands else np.zeros(0, np.bool_),
        labels=marks if labelled and bool(known.all()) else None,
        evaluation=quality,
        top=_ranked(lake, found, remembered, model),
        embeddings_2d=projection.points if projection else None,
        point_is_alert=alerts[keep] if projection else None,
        point_label=point_label,
        swimlane=swimlane if swimlane.lanes else None,
        training=(
            np.array(history.steps, dtype=np.float64),
            np.array(history.train_loss),
            np.array(history.held_out_loss),
        ),
        promise=tuple(promise),
        by_day=[(day, found.by_day[day, "windows"], found.by_day[day, "alarms"]) for day in sorted(days)],
        model=model_card(model, version),
        settings=settings,
    )


def model_card(model: AnomalyDetector, version: str) -> dict[str, str]:
    """What a reader of a report wants to know of the model, in words."""
    card = model.card
    encoder, windows, training = card["encoder"], card["windows"], card["training"]
    return {
        "version": f"{version} (content {model.version})",
        "encoder": f"{encoder['layers']} layers, {encoder['hidden']} hidden, "
        f"{encoder['parameters'] / 1e6:.1f} M parameters",
        "weights": f"{encoder['source']}: {encoder['detail']}",
        "masks": f"version {model.mask_version}",
        "windows": ", ".join(f"{key} {value}" for key, value in model.window_spec.to_dict().items()),
        "trained on": f"{windows['train']} windows ({windows['unique_train']} distinct)"
        + (f", days {card['days'][0]} to {card['days'][-1]}" if card.get("days") else ""),
        "calibrated on": f"{windows['calibrate']} later normal windows",
        "training": f"{training['steps_taken']} steps, best {training['best_step']}, seed {training['seed']}, "
        f"on {training['device']}, stopped by {training['stopped_by']}",
        "detectors": ", ".join(model.names),
    }


def _take(batch: pa.RecordBatch, marks: pa.BooleanArray, found: _Gathered) -> None:
    scores = batch.column("score").to_numpy()
    found.scores.append(scores)
    truth = marks.to_pylist()
    found.labels.append(np.array(truth, dtype=object))
    states = [found.states.get(window, "") for window in batch.column("window_id").to_pylist()]
    stands = np.array([state not in (CONTESTED, SUPPRESSED) for state in states], np.bool_)
    found.stands.append(stands)
    found.lanes.take(batch.filter(pa.array(stands)))
    for row, score, label, state in zip(batch.to_pylist(), scores.tolist(), truth, states, strict=True):
        alarm = score >= THRESHOLD
        found.by_day[row["day"], "windows"] += 1
        found.by_day[row["day"], "alarms"] += alarm
        if state in (CONTESTED, SUPPRESSED):
            found.settled[state] += alarm
            continue
        key = window_key(row["text_ids"])
        found.repeats[key] += 1
        if alarm:
            found.alarms[key] += 1
            found.by_line[loudest_line(row["text_ids"], row["worst"])] += 1
        # Windows of the same texts differ by what their records name: the worst stands for all.
        if key in found.sample or len(found.sample) < _POINTS or alarm:
            found.sample[key] = max(found.sample.get(key, (score, label)), (score, label), key=itemgetter(0))
        if key not in found.worst or score > found.worst[key][0]:
            found.worst[key] = (score, row | {"label": label})
    if len(found.worst) > 4 * _EXPLAINED:
        kept = heapq.nlargest(_EXPLAINED, found.worst.items(), key=lambda item: item[1][0])
        found.worst = dict(kept)


def _ranked(
    lake: Lake, found: _Gathered, remembered: dict[bytes, CachedScore], model: AnomalyDetector
) -> tuple[ReportWindow, ...]:
    """The worst windows, explained, one for each reason; the others of the same reason are its members."""
    worst = heapq.nlargest(_EXPLAINED, found.worst.items(), key=lambda item: item[1][0])
    records = read_records_of(lake, [row for _, (_, row) in worst])
    shown = [
        to_explain(row, records[row["window_id"]], remembered[key].line_surprise if key in remembered else None)
        for key, (_, row) in worst
    ]
    known = [place for place, window in enumerate(shown) if window is not None]
    evidence = dict(
        zip(known, Explainer(model).explain([one for one in shown if one is not None]), strict=True)
    ) if known else {}  # fmt: skip
    groups: dict[Hashable, list[int]] = {}
    for place in range(len(worst)):
        groups.setdefault(_reason(evidence.get(place), place), []).append(place)
    windows = []
    stand_for = _stand_for(found, worst, list(groups.values()))
    for rank, places in enumerate(list(groups.values())[:TOP], start=1):
        key, (score, row) = worst[places[0]]
        why = evidence.get(places[0])
        surprises = remembered[key].line_surprise if key in remembered else None
        windows.append(
            ReportWindow(
                rank, row["window_id"], row["source"], row["group_key"] or row["source"],
                row["first_time"], row["last_time"], lines_of(row, records[row["window_id"]], surprises, why),
                score, row["risk"], row["is_anomaly"], dict(row["detectors"]), row["label"], found.repeats[key], why,
                tuple(_member(*worst[place][1]) for place in places[1:]), stand_for[rank - 1],
            )
        )  # fmt: skip
    return tuple(windows)


def _stand_for(
    found: _Gathered, worst: Sequence[tuple[bytes, tuple[float, dict[str, Any]]]], groups: Sequence[Sequence[int]]
) -> list[int]:
    """How many alarms each group stands for: those of its windows, and those that were not looked at and are about a
    line of one of them, which go to the first such group."""
    others = found.by_line.copy()
    lines = [loudest_line(row["text_ids"], row["worst"]) for _, (_, row) in worst]
    for line, (key, _) in zip(lines, worst, strict=True):
        others[line] -= found.alarms[key]
    return [
        sum(found.alarms[worst[place][0]] for place in places)
        + sum(max(0, others.pop(line, 0)) for line in {lines[place] for place in places})
        for places in groups
    ]


def _reason(evidence: Evidence | None, place: int) -> Hashable:
    """What windows of one group have in common: the kind, and the line that is pointed at first."""
    return (evidence.kind, evidence.pointed_at(1)[0].text) if evidence is not None else place


def _member(score: float, row: dict[str, Any]) -> ReportMember:
    return ReportMember(row["group_key"] or row["source"], row["first_time"], score, row["window_id"])
