"""A day's windows -> scores, with a model; and the windows of days, as a model is fitted on them.

Belongs here: what stands between the tables and the detectors. Which model and which days is the
orchestration's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.windows import IntArray, WindowIndex, WindowSet

from .schemas import SCORES
from .score_cache import CachedScore, ScoreCache, window_key
from .tables import Lake, LakeDamaged
from .windowing import texts_of

SCORED_AT_ONCE: Final = 1024
_COPIED: Final = (
    "day", "window_id", "source", "group_key", "lines", "text_ids", "first_line", "last_line", "first_time",
    "last_time", "mask_version",
)  # fmt: skip

Progress = Callable[[int, int], None]
"""Called with (unique windows done, total)."""


@dataclass(frozen=True)
class ScoreAccount:
    """What scoring a day came to."""

    day: date
    windows: int
    alerts: int
    newly_scored: int
    highest: float


def cache_file(lake: Lake, model: AnomalyDetector) -> Path:
    """Where the scores of this very model are remembered."""
    return lake.path("cache") / f"scores-{model.version}.sqlite"


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
    texts: dict[int, str],
    progress: Progress | None = None,
) -> tuple[dict[bytes, CachedScore], int]:
    """Score windows given by their text ids; each unique one at most once per model version.

    Args:
        texts: the text of every id.

    Returns:
        The scores by :func:`window_key`, and how many were not known before.
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


def _score(model: AnomalyDetector, windows: list[Sequence[int]], texts: dict[int, str]) -> Iterator[CachedScore]:
    index = WindowIndex()
    for ids in windows:
        index.add([index.text_id(texts[number]) for number in ids])
    scored = model.score(index.build())
    encoded, offsets = scored.encoded, scored.encoded.windows.offsets
    if len(encoded) != len(windows):
        raise LakeDamaged("two texts of the lake share one id; normalise the days again")
    for row in range(len(windows)):
        yield CachedScore(
            float(scored.score[row]),
            {name: float(values[row]) for name, values in scored.detectors.items()},
            encoded.cls[row],
            tuple(encoded.line_surprise[offsets[row] : offsets[row + 1]].tolist()),
        )


def score_day(
    lake: Lake, day: date, model: AnomalyDetector, name: str, version: str, progress: Progress | None = None
) -> ScoreAccount:
    """Judge the windows of a day and put the verdicts in the place of the day's earlier ones.

    Args:
        name, version: of the model, as the registry knows it; they are written beside every verdict.

    Raises:
        LakeDamaged: if the windows were masked by other rules than the model's.
        DayConflict: if another run scored the day meanwhile.
    """
    account = {"alerts": 0, "new": 0, "highest": 0.0}

    def batches() -> Iterator[pa.RecordBatch]:
        for batch, new in scored_batches(lake, day, model, name, version, progress):
            values = batch.column("score").to_numpy()
            account["alerts"] += int((values >= THRESHOLD).sum())
            account["new"] += new
            account["highest"] = max(account["highest"], float(values.max()))
            yield batch

    windows = lake.replace_day("scores", day, batches())
    return ScoreAccount(day, windows, int(account["alerts"]), int(account["new"]), account["highest"])


def scored_batches(
    lake: Lake, day: date, model: AnomalyDetector, name: str, version: str, progress: Progress | None = None
) -> Iterator[tuple[pa.RecordBatch, int]]:
    """The windows of a day with their verdicts, as rows of the scores table, without writing them there.

    Yields:
        A batch, and how many of its windows this model version had never seen.
    """
    texts = texts_of(lake, [day])
    for batch in lake.scan("windows", [day], list(_COPIED)):
        check_masks(model, batch.column("mask_version").unique().to_pylist())
        ids = batch.column("text_ids").to_pylist()
        known, new = score_windows(lake, model, ids, texts, progress)
        yield _rows(batch, [known[window_key(window)] for window in ids], model, name, version), new


def _rows(
    batch: pa.RecordBatch, scores: list[CachedScore], model: AnomalyDetector, name: str, version: str
) -> pa.RecordBatch:
    values = [score.score for score in scores]
    made = {
        "score": values,
        "risk": [model.scale.risk(value) for value in values],
        "is_anomaly": [value >= THRESHOLD for value in values],
        "detectors": [list(score.detectors.items()) for score in scores],
        "model_name": [name] * len(scores),
        "model_version": [version] * len(scores),
    }
    columns = [
        batch.column(field.name) if field.name in _COPIED else pa.array(made[field.name], field.type)
        for field in SCORES
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCORES)


@dataclass(frozen=True)
class WindowStream:
    """The windows of some days in time order, as ``detectors.fitting.fit_detector`` takes them."""

    windows: WindowSet
    ids: IntArray
    positions: list[tuple[int, ...]]


def window_stream(lake: Lake, days: Collection[date], version: int | None = None) -> WindowStream:
    """Gather the windows of ``days``, ordered by time (those without one by their place).

    Args:
        version: of the windows table, to gather just what an earlier run saw; ``None`` for now.
    """
    texts = texts_of(lake, sorted(days))
    index = WindowIndex()
    rows: list[tuple[tuple[int, int, int], int, tuple[int, ...]]] = []
    columns = ["day", "text_ids", "record_ids", "first_time"]
    for batch in lake.scan("windows", days, columns, version=version):
        times = batch.column("first_time").cast(pa.int64()).to_pylist()
        for day, ids, records, time in zip(
            batch.column("day").to_pylist(),
            batch.column("text_ids").to_pylist(),
            batch.column("record_ids").to_pylist(),
            times,
            strict=True,
        ):
            # Record ids start anew each day; the ordinal of the day keeps them apart.
            base = day.toordinal() << 40
            unique = index.add([index.text_id(texts[number]) for number in ids])
            order = (day.toordinal(), time if time is not None else 0, records[0])
            rows.append((order, unique, tuple(base + record for record in records)))
    rows.sort(key=lambda row: row[0])
    ids_array = np.array([unique for _, unique, _ in rows], dtype=np.int64)
    return WindowStream(index.build(), ids_array, [positions for _, _, positions in rows])
