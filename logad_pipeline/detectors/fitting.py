"""Fitting a model on normal windows, split in time: train, then choose, then calibrate.

Belongs here: the split and the order of the steps. Where the windows come from (a file, the lake) and
where the model goes (a folder, the registry) is the callers' business.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.calibration import ScoreScale, TailCalibration, fuse
from logad_pipeline.detectors.encoder import BertEncoder, EncoderSpec
from logad_pipeline.detectors.ensemble import DETECTORS, FUSION, AnomalyDetector
from logad_pipeline.detectors.training import MlmTrainer, TrainingSpec
from logad_pipeline.logs.log_tokenizer import MASK_VERSION
from logad_pipeline.windows import IntArray, WindowSet, WindowSpec

log = logging.getLogger(__name__)

MIN_WINDOWS: Final = 20
"""Fewer normal windows than this cannot be split into what is learned and what it is measured on."""

FitProgress = Callable[[str, int, int], None]
"""Called with (what is being done, done, total)."""


class TooFewWindows(ValueError):
    """There are not enough normal windows to learn from."""


@dataclass(frozen=True)
class FitSpec:
    """All that a fit depends on besides the windows.

    Attributes:
        encoder: size, weights and vocabulary.
        training: the loop.
        scale: the promised false-alarm rate and the risk bands.
        detectors: names out of ``ensemble.DETECTORS``.
        train_share, choose_share: shares of the windows, in time, that are trained on and that choose
            when to stop; the rest, the latest, calibrates.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    encoder: EncoderSpec = field(default_factory=EncoderSpec)
    training: TrainingSpec = field(default_factory=TrainingSpec)
    scale: ScoreScale = field(default_factory=ScoreScale)
    detectors: tuple[str, ...] = tuple(DETECTORS)
    train_share: float = 0.65
    choose_share: float = 0.1
    device: str = "auto"


@dataclass(frozen=True)
class Split:
    """Numbers of the windows of each part, in time order, no line in two of them."""

    train: IntArray
    choose: IntArray
    calibrate: IntArray


def split_in_time(positions: Sequence[Sequence[int]], train_share: float, choose_share: float) -> Split:
    """Split windows, given in time order by the positions of their lines, into three consecutive parts.

    A window of a later part that shares a line with an earlier one (as sliding windows do at the cut)
    is left out, so that nothing is measured on what was learned.

    Raises:
        TooFewWindows: below ``MIN_WINDOWS``.
    """
    total = len(positions)
    if total < MIN_WINDOWS:
        raise TooFewWindows(
            f"only {total} windows of normal logs, at least {MIN_WINDOWS} are needed; give more lines, or "
            "smaller or sliding windows"
        )
    cuts = [0, int(total * train_share), int(total * (train_share + choose_share)), total]
    used: set[int] = set()
    parts = []
    for start, end in pairwise(cuts):
        kept = [i for i in range(start, end) if used.isdisjoint(positions[i])]
        for i in kept:
            used.update(positions[i])
        parts.append(np.array(kept, dtype=np.int64))
    if not all(len(part) for part in parts):
        raise TooFewWindows(f"{total} overlapping windows leave a part of the split empty; give more lines")
    return Split(*parts)


def fit_detector(
    windows: WindowSet,
    ids: IntArray,
    positions: Sequence[Sequence[int]],
    window_spec: WindowSpec,
    spec: FitSpec,
    *,
    checkpoint: Path | None = None,
    progress: FitProgress | None = None,
) -> AnomalyDetector:
    """Fit a model on a stream of normal windows.

    Args:
        windows: the unique windows (their counts are not looked at).
        ids: int64 ``[n]``, the unique window of each window of the stream, in time order.
        positions: for each of them, where its lines stand in the stream.
        window_spec: how they were cut; kept with the model.
        spec: what to fit.
        checkpoint: folder to resume the training from, if it was interrupted.
        progress: told what is going on.

    Raises:
        TooFewWindows: if they are too few to split.
    """
    started = time.monotonic()
    split = split_in_time(positions, spec.train_share, spec.choose_share)
    train, choose, calibrate = (_unique(windows, ids[part]) for part in (split.train, split.choose, split.calibrate))
    texts = sorted({windows.texts[i] for i in np.unique(train.line_ids)})
    encoder = BertEncoder.create(texts, spec.encoder, spec.training.seed, spec.device)
    trainer = MlmTrainer(encoder, spec.training, checkpoint)
    history = trainer.train(train, choose, lambda i, n, loss: _tell(progress, f"training, loss {loss:.2f}", i, n))
    detectors = {name: DETECTORS[name]() for name in spec.detectors}
    seen = encoder.encode(train, lambda i, n: _tell(progress, "reading training windows", i, n))
    for detector in detectors.values():
        detector.fit(seen)
    held_out = encoder.encode(calibrate, lambda i, n: _tell(progress, "calibrating on later windows", i, n))
    raw = {name: detector.score(held_out) for name, detector in detectors.items()}
    calibrations = {name: TailCalibration.fit(scores, calibrate.counts) for name, scores in raw.items()}
    fused = fuse([calibrations[name].log10_p_value(scores) for name, scores in raw.items()])
    calibrations[FUSION] = TailCalibration.fit(fused, calibrate.counts)
    if len(split.calibrate) * spec.scale.false_alarm_rate < 1:
        log.warning(
            "%d held-out windows cannot show a false-alarm rate of %g: the threshold is extrapolated",
            len(split.calibrate), spec.scale.false_alarm_rate,
        )  # fmt: skip
    card = {
        "encoder": encoder.describe(),
        "training": asdict(spec.training) | {"device": encoder.device, "steps_taken": max(history.steps, default=0),
                                             "best_step": history.best_step, "stopped_by": history.stopped},
        "windows": {"train": len(split.train), "choose": len(split.choose), "calibrate": len(split.calibrate),
                    "unique_train": len(train), "left_out_at_cuts": len(ids) - sum(map(len, asdict(split).values()))},
        "unique_lines": len(texts),
        "fit_seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip
    return AnomalyDetector(
        encoder, detectors, calibrations, spec.scale, window_spec, MASK_VERSION, card=card, history=history
    )


def _unique(windows: WindowSet, ids: npt.NDArray[np.int64]) -> WindowSet:
    unique, counts = np.unique(ids, return_counts=True)
    return windows.take(unique, counts.astype(np.int64))


def _tell(progress: FitProgress | None, what: str, done: int, total: int) -> None:
    if progress:
        progress(what, done, total)
