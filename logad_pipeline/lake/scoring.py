"""A day's windows -> scores, with a model; and the windows of days, as a model is fitted on them.

Belongs here: what stands between the tables and the detectors. Which model and which days is the
orchestration's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.detectors.ensemble import AnomalyDetector, Judged
from logad_pipeline.detectors.normal_stream import NormalStream
from logad_pipeline.logs.facts import RecordFacts
from logad_pipeline.windows import WindowIndex

from .record_facts import COLUMNS, FactReader, other_records, strings_of
from .record_scores import RecordScores
from .schemas import SCORES
from .score_cache import CachedScore, ScoreCache, window_key
from .tables import Lake, LakeDamaged
from .windowing import texts_of

SCORED_AT_ONCE: Final = 1024
_COPIED: Final = (
    "day", "window_id", "source", "group_key", "lines", "text_ids", "first_line", "last_line", "first_time",
    "last_time", "mask_version",
)  # fmt: skip
_STREAM_COLUMNS: Final = ("day", "text_ids", "record_ids", "first_time", "source", "group_key")

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
        raise LakeDamaged("windows hold texts that normalized does not; materialise windows of the day again")
    index = WindowIndex()
    for ids in windows:
        index.add([index.text_id(texts[number]) for number in ids])
    scored = model.score(index.build())
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

    A day whose records were normalised without their facts is judged without the detectors of records.

    Yields:
        A batch, and how many of its windows this model version had never seen.

    Raises:
        LakeDamaged: if the windows were masked by other rules, or cut from other records than there are now.
    """
    texts = texts_of(lake, [day])
    records = RecordScores.of_day(lake, day, model)
    for batch in lake.scan("windows", [day], [*_COPIED, "record_ids"]):
        check_masks(model, batch.column("mask_version").unique().to_pylist())
        of_records = records.log10_p(batch) if records else {}
        ids = batch.column("text_ids").to_pylist()
        known, new = score_windows(lake, model, ids, texts, progress)
        table = np.stack([known[window_key(window)].log10_p for window in ids])
        of_windows = {detector: table[:, column] for column, detector in enumerate(model.detectors)}
        yield _rows(batch, model.judge(of_windows | of_records), model, name, version), new


def _rows(batch: pa.RecordBatch, judged: Judged, model: AnomalyDetector, name: str, version: str) -> pa.RecordBatch:
    rows, channels = batch.num_rows, list(judged.detectors)
    values = np.stack(list(judged.detectors.values()), axis=1).ravel()
    made = {
        "score": pa.array(judged.score),
        "risk": pa.array([model.scale.risk(value) for value in judged.score.tolist()]),
        "is_anomaly": pa.array(judged.is_anomaly),
        "detectors": pa.MapArray.from_arrays(
            pa.array(np.arange(rows + 1, dtype=np.int32) * len(channels)), pa.array(channels * rows), pa.array(values)
        ),
        "model_name": pa.repeat(name, rows),
        "model_version": pa.repeat(version, rows),
    }
    columns = [batch.column(field.name) if field.name in _COPIED else made[field.name] for field in SCORES]
    return pa.RecordBatch.from_arrays(columns, schema=SCORES)


def window_stream(
    lake: Lake, days: Collection[date], version: int | None = None, *, facts: bool = False
) -> NormalStream:
    """Gather the windows of ``days``, ordered by time (those without one by their place).

    Args:
        version: of the windows table, to gather just what an earlier run saw; ``None`` for now.
        facts: whether the facts of their records are wanted too; there are none if one of the days was
            normalised without them.

    Raises:
        LakeDamaged: if the windows were cut from records that are gone; with ``facts`` also from others than
            there are now.
    """
    texts = texts_of(lake, sorted(days))
    index = WindowIndex()
    known = _facts_of(lake, days) if facts else {}
    rows: list[_Row] = []
    for batch in lake.scan("windows", days, _STREAM_COLUMNS, version=version):
        times = batch.column("first_time").cast(pa.int64()).to_pylist()
        columns = (batch.column(name).to_pylist() for name in ("day", "text_ids", "record_ids"))
        streams = (strings_of(batch.column(name)) for name in ("source", "group_key"))
        for day, ids, records, time, source, group in zip(*columns, times, *streams, strict=True):
            base = _base(day)
            positions = tuple(base + record for record in records)
            held = [texts[number] for number in ids if number in texts]
            there = [known[at].template for at in positions if at in known] if known else held
            if len(held) < len(ids) or there != held:
                raise other_records(day)
            unique = index.add([index.text_id(text) for text in held])
            order = (day.toordinal(), time if time is not None else 0, min(records))
            rows.append(_Row(order, unique, positions, source, group, time))
    rows.sort(key=lambda row: row.order)
    return NormalStream(
        index.build(),
        np.array([row.unique for row in rows], dtype=np.int64),
        [row.positions for row in rows],
        [row.source for row in rows],
        [row.group for row in rows],
        [row.time_us for row in rows],
        known,
    )


class _Row(NamedTuple):
    """A window on its way into a stream."""

    order: tuple[int, int, int]
    unique: int
    positions: tuple[int, ...]
    source: str
    group: str
    time_us: int | None


def _base(day: date) -> int:
    """Position of a day's first record: ids start anew each day, and its ordinal keeps them apart."""
    return day.toordinal() << 40


def _facts_of(lake: Lake, days: Collection[date]) -> dict[int, RecordFacts]:
    """The facts of the records of some days by position; none if one of the days has none."""
    reader = FactReader(shared=True)
    found: dict[int, RecordFacts] = {}
    for day in sorted(days):
        base = _base(day)
        for batch in lake.scan("normalized", [day], COLUMNS):
            facts = reader.read(batch)
            if facts is None:
                return {}
            found.update(zip((base + batch.column("record_id").to_numpy()).tolist(), facts, strict=True))
    return found
