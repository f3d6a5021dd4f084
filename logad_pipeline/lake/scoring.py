"""A day's windows -> scores, with a model.

Belongs here: what stands between the tables and the detectors. Which model and which days is the
orchestration's choice; the windows that a model is fitted on are in `training_stream`.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Final

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.detectors.ensemble import AnomalyDetector, Judged
from logad_pipeline.windows import WindowSet

from .drift import DriftGauge, gauge_of
from .host_thresholds import HostThresholds
from .judged_days import hosts_in
from .record_scores import RecordScores
from .schemas import SCORES
from .score_cache import CachedScore, ScoreCache, window_key
from .tables import HalfMade, Lake, LakeDamaged
from .thresholds import DayThreshold, kind_of
from .windowing import texts_of

SCORED_AT_ONCE: Final = 1024
_COPIED: Final = (
    "day", "window_id", "source", "group_key", "lines", "text_ids", "first_line", "last_line", "first_time",
    "last_time", "mask_version",
)  # fmt: skip

Progress = Callable[[int, int], None]
"""Called with (unique windows done, total)."""


@dataclass(frozen=True)
class VerdictChange:
    """A window whose verdict is not what it was: ``alert``, ``normal``, or ``absent`` where it did not exist."""

    window_id: str
    before: str
    after: str


@dataclass(frozen=True)
class ScoreAccount:
    """What scoring a day came to.

    Attributes:
        windows, alerts: of the day.
        newly_scored: windows that this model had never seen.
        highest: the highest score, 0 without windows.
        records, unseen: in the windows; of them, with texts that the model has not learned from.
        psi: population stability of the scores, ``None`` with too few.
        changes: against the day's earlier verdicts; none if it had none.
        alerts_by_host: hosts without any are left out; see `judged_days.host_of`.
    """

    day: date
    windows: int
    alerts: int
    newly_scored: int
    highest: float
    records: int
    unseen: int
    psi: float | None
    changes: tuple[VerdictChange, ...]
    alerts_by_host: Mapping[str, int]


def cache_file(lake: Lake, model: AnomalyDetector) -> Path:
    """Where it is remembered what this very model says of windows."""
    return lake.path("cache") / f"windows-{model.version}.sqlite"


def check_masks(model: AnomalyDetector, mask_versions: Collection[str]) -> None:
    """Refuse to judge texts that were masked by other rules than the model has learned.

    Raises:
        LakeDamaged: if the versions differ.
    """
    others = sorted(set(mask_versions) - {model.mask_version})
    if others:
        raise LakeDamaged(
            f"windows masked by version {', '.join(others)} cannot be judged by a model of masks version "
            f"{model.mask_version}; materialise normalized_logs and windows again, or train anew"
        )


def score_windows(
    lake: Lake,
    model: AnomalyDetector,
    windows: Sequence[Sequence[int]],
    texts: Mapping[int, str],
    progress: Progress | None = None,
) -> tuple[dict[bytes, CachedScore], int]:
    """Ask the detectors of windows, by their text ids; of each unique one at most once per model version.

    Args:
        texts: the text of every id.

    Returns:
        What they say by :func:`window_key`, and how many were not known before.
    """
    by_key = {window_key(ids): ids for ids in windows}
    with ScoreCache(cache_file(lake, model)) as cache:
        known = cache.get(by_key)
        new = [key for key in by_key if key not in known]
        for start in range(0, len(new), SCORED_AT_ONCE):
            keys = new[start : start + SCORED_AT_ONCE]
            fresh = dict(zip(keys, _score(model, [by_key[key] for key in keys], texts), strict=True))
            cache.put(fresh)
            known |= fresh
            if progress:
                progress(start + len(keys), len(new))
    return known, len(new)


def _score(model: AnomalyDetector, windows: list[Sequence[int]], texts: Mapping[int, str]) -> Iterator[CachedScore]:
    if any(number not in texts for ids in windows for number in ids):
        raise HalfMade("windows hold texts that normalized does not; materialise windows of the day again")
    scored = model.score(WindowSet.distinct([texts[number] for number in ids] for ids in windows))
    encoded, offsets = scored.encoded, scored.encoded.windows.offsets
    if len(encoded) != len(windows):
        raise LakeDamaged("two texts of the lake share one id; normalise the days again")
    log10_p = np.stack([scored.detector_log10_p[name] for name in model.detectors], axis=1)
    for row in range(len(windows)):
        yield CachedScore(
            log10_p[row],
            encoded.cls[row],
            tuple(encoded.line_surprise[offsets[row] : offsets[row + 1]].tolist()),
        )


def score_day(
    lake: Lake,
    day: date,
    model: AnomalyDetector,
    name: str,
    version: str,
    progress: Progress | None = None,
    threshold: DayThreshold | HostThresholds | None = None,
) -> ScoreAccount:
    """Judge the windows of a day and put the verdicts in the place of the day's earlier ones.

    Args:
        name, version: of the model, as the registry knows it; they are written beside every verdict.
        threshold: where the day's threshold begins; ``None`` for the model's own, fixed.

    Raises:
        LakeDamaged: if the windows were masked by other rules than the model's.
        DayConflict: if another run scored the day meanwhile.
    """
    counted = _Counted(gauge_of(model))
    earlier = lake.version("scores")
    before, judged_before = _alerts_of(lake, day)
    with tempfile.TemporaryFile(dir=lake.root) as spool:
        batches = counted.each(scored_batches(lake, day, model, name, version, progress))
        if threshold is not None:
            batches = _under(threshold, model, batches, spool)
        windows = lake.replace_day("scores", day, counted.alerts_in(batches))
    changes = _changes(lake, day, before, counted.alerts, earlier) if judged_before else ()
    gauge = counted.gauge
    return ScoreAccount(
        day, windows, len(counted.alerts), counted.new, counted.highest, gauge.records, gauge.unseen, gauge.psi,
        changes, counted.by_host,
    )  # fmt: skip


class _Counted:
    """What is counted of a day while its batches go by."""

    def __init__(self, gauge: DriftGauge) -> None:
        self.gauge = gauge
        self.new = 0
        self.highest = 0.0
        self.alerts: set[str] = set()
        self.by_host: Counter[str] = Counter()

    def each(self, batches: Iterable[tuple[pa.RecordBatch, int]]) -> Iterator[pa.RecordBatch]:
        for batch, new in batches:
            self.new += new
            self.gauge.add(batch)
            yield batch

    def alerts_in(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            raised = batch.filter(batch.column("is_anomaly"))
            self.alerts.update(raised.column("window_id").to_pylist())
            self.by_host.update(hosts_in(raised))
            self.highest = max(self.highest, float(batch.column("score").to_numpy().max()))
            yield batch


def _under(
    threshold: DayThreshold | HostThresholds, model: AnomalyDetector, batches: Iterable[pa.RecordBatch],
    spool: IO[bytes],
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    """The same rows under the day's threshold, which goes over them in order of time; they wait in a file."""
    times: list[int] = []
    ids: list[str] = []
    kinds: list[int] = []
    novel: list[bool] = []
    hosts: list[str] = []
    parts: list[FloatArray] = [np.zeros(0)]
    with pa.ipc.new_stream(spool, SCORES) as writer:
        for batch in batches:
            writer.write_batch(batch)
            times += [time or 0 for time in batch.column("first_time").cast(pa.int64()).to_pylist()]
            ids += batch.column("window_id").to_pylist()
            kinds += map(kind_of, batch.column("text_ids").to_pylist())
            novel += map(bool, batch.column("unseen").to_pylist())
            hosts += map(sys.intern, hosts_in(batch))
            parts.append(batch.column("log10_p").to_numpy())
    log10_p = np.concatenate(parts)
    order = sorted(range(len(ids)), key=lambda row: (times[row], ids[row]))
    adapted = np.empty(len(ids))
    adapted[order] = threshold.adapted(
        log10_p[order], [kinds[row] for row in order], [novel[row] for row in order], model.scale.false_alarm_rate,
        [hosts[row] for row in order],
    )  # fmt: skip
    spool.seek(0)
    start = 0
    with pa.ipc.open_stream(spool) as reader:
        for batch in reader:
            scores = model.scale.score(adapted[start : start + batch.num_rows])
            start += batch.num_rows
            yield _with_scores(batch, scores, model)


def _with_scores(batch: pa.RecordBatch, scores: FloatArray, model: AnomalyDetector) -> pa.RecordBatch:
    made = _verdicts(scores, model)
    columns = [made.get(field.name, batch.column(field.name)) for field in SCORES]
    return pa.RecordBatch.from_arrays(columns, schema=SCORES)


def _verdicts(scores: FloatArray, model: AnomalyDetector) -> dict[str, pa.Array]:
    return {
        "score": pa.array(scores),
        "risk": pa.array([model.scale.risk(value) for value in scores.tolist()], pa.string()),
        "is_anomaly": pa.array(scores >= THRESHOLD),
    }


def _alerts_of(lake: Lake, day: date) -> tuple[set[str], bool]:
    """The windows of a day that raised an alarm, and whether it has any verdicts at all."""
    alerts: set[str] = set()
    judged = False
    for batch in lake.scan("scores", [day], ["window_id", "is_anomaly"]):
        judged = True
        alerts.update(batch.filter(batch.column("is_anomaly")).column("window_id").to_pylist())
    return alerts, judged


def _changes(lake: Lake, day: date, before: set[str], after: set[str], earlier: int) -> tuple[VerdictChange, ...]:
    """What is an alert and was none at the earlier version of the table, or was one and is none."""
    raised, gone = after - before, before - after
    there = _among(lake, day, gone, None)
    was_there = _among(lake, day, raised, earlier)
    changes = [VerdictChange(key, "alert", "normal" if key in there else "absent") for key in gone]
    changes += [VerdictChange(key, "normal" if key in was_there else "absent", "alert") for key in raised]
    return tuple(sorted(changes, key=lambda change: change.window_id))


def _among(lake: Lake, day: date, wanted: set[str], version: int | None) -> set[str]:
    """Those of the wanted windows that have a verdict, now or at a version of the table."""
    if not wanted:
        return set()
    where = ds.field("window_id").isin(pa.array(sorted(wanted)))
    batches = lake.scan("scores", [day], ["window_id"], where=where, version=version)
    return {key for batch in batches for key in batch.column("window_id").to_pylist()}


def scored_batches(
    lake: Lake, day: date, model: AnomalyDetector, name: str, version: str, progress: Progress | None = None
) -> Iterator[tuple[pa.RecordBatch, int]]:
    """The windows of a day with their verdicts, as rows of the scores table, without writing them there.

    A day whose records were normalised without their facts is judged without the detectors of records.

    Yields:
        A batch, and how many of its windows this model version had never seen.

    Raises:
        LakeDamaged: if the windows were masked by other rules, or cut from other records than there are now.
    """
    texts = texts_of(lake, [day])
    records, gauge = RecordScores.of_day(lake, day, model), gauge_of(model)
    for batch in lake.scan("windows", [day], [*_COPIED, "record_ids"]):
        check_masks(model, batch.column("mask_version").unique().to_pylist())
        of_records = records.log10_p(batch) if records else {}
        ids = batch.column("text_ids").to_pylist()
        known, new = score_windows(lake, model, ids, texts, progress)
        table = np.stack([known[window_key(window)].log10_p for window in ids])
        of_windows = {detector: table[:, column] for column, detector in enumerate(model.detectors)}
        worst = [int(np.argmax(known[window_key(window)].line_surprise)) for window in ids]
        more = {"worst": pa.array(worst, pa.int64()), "unseen": pa.array(gauge.unseen_in(batch), pa.int64())}
        yield _rows(batch, model.judge(of_windows | of_records), more, model, (name, version)), new


def _rows(
    batch: pa.RecordBatch, judged: Judged, more: dict[str, pa.Array], model: AnomalyDetector,
    made_by: tuple[str, str],
) -> pa.RecordBatch:  # fmt: skip
    rows, channels = batch.num_rows, list(judged.detectors)
    name, version = made_by
    values = np.stack(list(judged.detectors.values()), axis=1).ravel()
    made = _verdicts(judged.score, model) | {
        "detectors": pa.MapArray.from_arrays(
            pa.array(np.arange(rows + 1, dtype=np.int32) * len(channels)), pa.array(channels * rows), pa.array(values)
        ),
        "model_name": pa.repeat(name, rows),
        "model_version": pa.repeat(version, rows),
        "log10_p": pa.array(judged.log10_p),
    } | more
    columns = [batch.column(field.name) if field.name in _COPIED else made[field.name] for field in SCORES]
    return pa.RecordBatch.from_arrays(columns, schema=SCORES)
