"""Fitting a model on normal windows, split in time: train, then choose, then calibrate.

Belongs here: the order of the steps. Where the windows come from (a file, the lake) and
where the model goes (a folder, the registry) is the callers' business.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.base import EncodedWindows, FloatArray
from logad_pipeline.detectors.calibration import Calibration, ScoreScale, TailCalibration
from logad_pipeline.detectors.cut_short import cut_short
from logad_pipeline.detectors.encoder import BertEncoder, EncoderSpec
from logad_pipeline.detectors.ensemble import AnomalyDetector, fused_calibrations
from logad_pipeline.detectors.fusion import Fusion
from logad_pipeline.detectors.normal_stream import NormalStream, Part, Split, split_in_time, stretches
from logad_pipeline.detectors.pseudo import corrupt
from logad_pipeline.detectors.pseudo_records import corrupt_records
from logad_pipeline.detectors.records import RecordDetector
from logad_pipeline.detectors.reference import NO_TIME, Reference
from logad_pipeline.detectors.registry import ALL, DETECTORS, RECORD_DETECTORS, check_names
from logad_pipeline.detectors.rolling import Followed, fit_in_time
from logad_pipeline.detectors.training import MlmTrainer, TrainingHistory, TrainingSpec
from logad_pipeline.detectors.trimming import odd_ones_out
from logad_pipeline.logs.facts import RecordFacts
from logad_pipeline.logs.log_tokenizer import MASK_VERSION
from logad_pipeline.windows import IntArray, WindowSet, WindowSpec

log = logging.getLogger(__name__)

MAX_LEARNED: Final = 1000
"""Unique training windows that the detectors over embeddings learn from, and half as many held-out ones."""
MAX_REFERENCE: Final = 200_000
"""Windows of the stream, the latest, that are kept for calibrating units."""
MAX_COMPARED: Final = 300
"""Unique training windows that scores are compared with, besides the held-out ones; of more, some stretches."""
MAX_BROKEN: Final = 300
"""Pseudo-anomalies that the score head learns from."""
MAX_WEIGHED: Final = 120
"""Pseudo-anomalies that the fusion's weights are learned from."""

MAX_SHARE_SHORT: Final = 0.1
"""Share of the windows below which one that ends early is an exception, and is compared with windows cut short."""
MAX_SHORT: Final = 200
"""Windows cut short that those at the end of a file are compared with."""

FitProgress = Callable[[str, int, int], None]
"""Called with (what is being done, done, total)."""


@dataclass(frozen=True)
class FitSpec:
    """All that a fit depends on besides the windows.

    Attributes:
        encoder: size, weights and vocabulary.
        training: the loop.
        scale: the promised false-alarm rate and the risk bands.
        detectors: names out of ``registry.ALL``.
        train_share, choose_share: shares of the windows, in time, that are trained on and that choose
            when to stop; the rest, the latest, calibrates.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    encoder: EncoderSpec = field(default_factory=EncoderSpec)
    training: TrainingSpec = field(default_factory=TrainingSpec)
    scale: ScoreScale = field(default_factory=ScoreScale)
    detectors: tuple[str, ...] = ALL
    train_share: float = 0.65
    choose_share: float = 0.1
    device: str = "auto"

    def __post_init__(self) -> None:
        check_names(self.detectors)


def fit_detector(
    stream: NormalStream,
    window_spec: WindowSpec,
    spec: FitSpec,
    *,
    checkpoint: Path | None = None,
    progress: FitProgress | None = None,
) -> AnomalyDetector:
    """Fit a model on a stream of normal windows.

    Args:
        stream: the windows.
        window_spec: how they were cut; kept with the model.
        spec: what to fit.
        checkpoint: folder to resume the training from, if it was interrupted.
        progress: told what is going on.

    Raises:
        TooFewWindows: if they are too few to split.
    """
    started = time.monotonic()
    split = split_in_time(stream.positions, spec.train_share, spec.choose_share)
    fit = _Fit(stream, split, window_spec, spec, progress)
    history = fit.train_encoder(checkpoint)
    fit.fit_detectors()
    fit.calibrate()
    reference = fit.reference()
    fusion = fit.weigh(reference)
    calibrations = fit.calibrations | fused_calibrations(fusion, reference, list(fit.record_detectors))
    if len(split.calibrate) * spec.scale.false_alarm_rate < 1:
        log.warning(
            "%d held-out windows cannot show a false-alarm rate of %g: the threshold is extrapolated",
            len(split.calibrate), spec.scale.false_alarm_rate,
        )  # fmt: skip
    card = {
        "encoder": fit.encoder.describe(),
        "training": asdict(spec.training) | {
            "device": fit.encoder.device, "steps_taken": max(history.steps, default=0),
            "best_step": history.best_step, "stopped_by": history.stopped,
        },
        "windows": {"train": len(split.train), "choose": len(split.choose), "calibrate": len(split.calibrate),
                    "unique_train": len(fit.train), "trimmed": int(fit.trimmed.sum()),
                    "left_out_at_cuts": len(stream.ids) - sum(map(len, asdict(split).values()))},
        "weights": dict(zip(fusion.names, fusion.weights, strict=True)),
        "unique_lines": fit.unique_lines,
        "fit_seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip
    return AnomalyDetector(
        fit.encoder, fit.detectors, fit.record_detectors, calibrations, fusion, spec.scale, window_spec, MASK_VERSION,
        reference, card=card, history=history,
    )  # fmt: skip


class _Fit:
    """The steps of one fit, and what they hand on to one another."""

    def __init__(
        self, stream: NormalStream, split: Split, window_spec: WindowSpec, spec: FitSpec, progress: FitProgress | None
    ) -> None:
        self.stream = stream
        self.split = split
        self.window_spec = window_spec
        self.spec = spec
        self.seed = spec.training.seed
        self.progress = progress
        self.trimmed = self._trim()
        self.train = _unique(stream.windows, stream.ids[split.train[~self.trimmed[split.train]]])
        texts = sorted({stream.windows.texts[i] for i in np.unique(self.train.line_ids)})
        self.unique_lines = len(texts)
        self.encoder = BertEncoder.create(texts, spec.encoder, self.seed, spec.device)
        self.detectors = {name: DETECTORS[name].create(self.seed) for name in spec.detectors if name in DETECTORS}
        self.record_detectors: dict[str, RecordDetector] = {}
        self.calibrations: dict[str, Calibration] = {}
        self._texts = EncodedWindows.unread(self.train)
        self._ends_early = window_spec.ends_early(stream.windows)[stream.ids]
        self._held = Part.of(stream, np.concatenate([split.choose, split.calibrate]))
        self._learned = Part.of(stream, stretches(stream.ids, split.train[~self.trimmed[split.train]], MAX_COMPARED))

    def _trim(self) -> npt.NDArray[np.bool_]:
        """Which windows of the stream are too odd to be learned as normal."""
        unique, place, counts = np.unique(self.stream.ids, return_inverse=True, return_counts=True)
        odd = odd_ones_out(self.stream.windows.take(unique, counts.astype(np.int64)))[place]
        odd[sorted(self.stream.vouched)] = False
        return odd

    def train_encoder(self, checkpoint: Path | None) -> TrainingHistory:
        kept = self.split.choose[~self.trimmed[self.split.choose]]
        choose = _unique(self.stream.windows, self.stream.ids[kept])
        trainer = MlmTrainer(self.encoder, self.spec.training, checkpoint)
        return trainer.train(
            self.train, choose, lambda i, n, loss: _tell(self.progress, f"training, loss {loss:.2f}", i, n)
        )

    def fit_detectors(self) -> None:
        learned = self.train.take(*self.train.sample(MAX_LEARNED))
        seen = self._seen = self._encode(learned, "reading training windows", surprise=False)
        broken = corrupt(learned, min(MAX_BROKEN, 4 * len(learned)), self.seed).windows
        corrupted = self._encode(broken, "reading broken windows", surprise=False)
        if not len(broken):
            for name in [name for name, detector in self.detectors.items() if detector.needs_contrast]:
                log.warning("all normal windows are alike, so no pseudo-anomaly can be made: %s is left out", name)
                del self.detectors[name]
        for done, (name, detector) in enumerate(self.detectors.items()):
            _tell(self.progress, f"fitting, {name}", done, len(self.detectors))
            if not detector.fits_at_once:  # those that are, learn while they are calibrated
                # What is learned from texts alone needs no sample.
                detector.fit(self._texts if detector.reads_texts_only else seen, corrupted)
        _tell(self.progress, "fitting", 1, 1)

    def calibrate(self) -> None:
        """Each detector on the latest windows, as it was before it learned from them."""
        held_out = self.stream.windows.take(self._held.ids)
        encoded = self._encode(held_out, "calibrating on later windows")
        learned = self._encode(self.stream.windows.take(self._learned.ids), "reading training windows again")
        latest = np.isin(self._held.rows, self.split.calibrate) & ~self.trimmed[self._held.rows]
        number = min(MAX_WEIGHED, 4 * len(held_out))
        unbroken = np.isin(self._held.ids, self.stream.ids[self._held.rows[latest]])
        self.broken = corrupt(held_out.take(np.flatnonzero(unbroken)), number, self.seed + 1).windows
        broken = self._encode(self.broken, "reading broken windows")
        seldom = self._ends_early.mean() < MAX_SHARE_SHORT
        cut = cut_short(held_out.take(np.flatnonzero(unbroken)), self.window_spec, MAX_SHORT, self.seed)
        short = self._encode(cut, "reading windows cut short") if len(cut) and seldom else None
        broken_early = self.window_spec.ends_early(self.broken)
        self.held_log10_p: dict[str, FloatArray] = {}
        self.learned_log10_p: dict[str, FloatArray] = {}
        self.broken_log10_p: dict[str, FloatArray] = {}
        for name, detector in list(self.detectors.items()):
            before = detector
            if detector.fits_at_once:
                followed = self._follow(name, encoded)
                self.detectors[name] = detector = followed.final
                held, before = followed.scores, followed.before
            else:
                held = detector.score(encoded)[self._held.place]
            again = detector.score(learned)[self._learned.place]
            # Those that read texts alone can look at all training windows for nothing.
            every = (
                np.repeat(detector.score(self._texts), self.train.counts)
                if detector.reads_texts_only else again
            )  # fmt: skip
            ends = TailCalibration.fit(before.score(short), cut.counts) if short else None
            self._calibrate(name, held, latest, again, every if detector.judges_learned else None, ends)
            self.broken_log10_p[name] = self.calibrations[name].log10_p_value(before.score(broken), broken_early)
        if self.stream.facts and any(name in RECORD_DETECTORS for name in self.spec.detectors):
            self._calibrate_records(latest)

    def _pieces(self) -> list[IntArray]:
        """The two parts that are held out, before each of which what is fitted at once learns anew.

        Not more often: a detector in service stands still for as long as it is measured here.
        """
        rows, choose = np.arange(len(self._held.rows)), len(self.split.choose)
        return [rows[:choose], rows[choose:]]

    def _follow(self, name: str, held: EncodedWindows) -> Followed:
        """Let a detector learn the held-out windows too; what it said of each before it knew them."""
        texts_only = DETECTORS[name].reads_texts_only
        return fit_in_time(
            lambda: DETECTORS[name].create(self.seed), self._texts if texts_only else self._seen,
            EncodedWindows.unread(held.windows) if texts_only else held,
            self._held.place, ~self.trimmed[self._held.rows], self._pieces(),
            most=None if texts_only else MAX_LEARNED // 2,
        )  # fmt: skip

    def _calibrate(
        self, name: str, held: FloatArray, latest: npt.NDArray[np.bool_], learned: FloatArray,
        every: FloatArray | None, short: TailCalibration | None = None,
    ) -> None:  # fmt: skip
        """Calibrate on ``held`` and on ``every`` training window that was scored; of these ``learned`` are noted."""
        calibration = replace(Calibration.fit(held[latest], every), short=short)
        self.calibrations[name] = calibration
        self.held_log10_p[name] = calibration.log10_p_value(held, self._ends_early[self._held.rows])
        self.learned_log10_p[name] = calibration.log10_p_value(learned, self._ends_early[self._learned.rows])

    def _calibrate_records(self, latest: npt.NDArray[np.bool_]) -> None:
        facts, ends = self._facts_of(self._held.rows)
        earlier, earlier_ends = self._facts_of(self._learned.rows)
        window_of = np.repeat(np.arange(len(self._held.rows)), np.diff(ends))
        changed = corrupt_records(facts, MAX_WEIGHED // 2, self.seed)
        rng = np.random.default_rng([self.seed, 6])
        # A broken window has the records of some normal one, and a broken record stands in its own window.
        lent = rng.integers(len(self._held.rows), size=len(self.broken))
        homes = window_of[[place for place, _ in changed]] if changed else np.zeros(0, dtype=np.int64)
        stages, rows = [], self.split.train
        for piece in self._pieces():
            first, last = int(piece[0]), int(piece[-1]) + 1
            mine = facts[ends[first] : ends[last]]
            stages.append((self._known_facts(rows), mine, ends[first : last + 1] - ends[first]))
            rows = np.concatenate([rows, self._held.rows[piece]])
        every = self._known_facts(rows)
        for name in (name for name in self.spec.detectors if name in RECORD_DETECTORS):
            _tell(self.progress, f"fitting, {name}", 0, 1)
            worst, before = self._follow_records(name, stages, every)
            learned = np.maximum.reduceat(self.record_detectors[name].score(earlier), earlier_ends[:-1])
            self._calibrate(name, worst, latest, learned, learned)
            spoilt = before.score([fact for _, fact in changed])
            broken = self.calibrations[name].log10_p_value(np.maximum(spoilt, worst[homes]))
            self.broken_log10_p[name] = np.concatenate([self.held_log10_p[name][lent], broken])
        for name in self.detectors:
            self.broken_log10_p[name] = np.concatenate([self.broken_log10_p[name], self.held_log10_p[name][homes]])
        self._homes = self.stream.ids[self._held.rows[homes]]

    def _follow_records(
        self, name: str, stages: list[tuple[list[RecordFacts], list[RecordFacts], IntArray]], every: list[RecordFacts]
    ) -> tuple[FloatArray, RecordDetector]:
        """As :meth:`_follow`, for a detector of records.

        Args:
            name: the detector.
            stages: for each piece of what is held out, what is known before it, its records and its windows' ends.
            every: all that is known in the end.

        Returns:
            The largest score of those of each held-out window, and the detector before it knew the last of them.
        """
        worst = []
        for known, facts, ends in stages:
            before = RECORD_DETECTORS[name]()
            before.fit(known, self.seed)
            worst.append(np.maximum.reduceat(before.score(facts), ends[:-1]))
        self.record_detectors[name] = RECORD_DETECTORS[name]()
        self.record_detectors[name].fit(every, self.seed)
        return np.concatenate(worst), before

    def _known_facts(self, rows: IntArray) -> list[RecordFacts]:
        """The records of some windows that are not trimmed, each once, in time order."""
        kept = rows[~self.trimmed[rows]]
        return [self.stream.facts[p] for p in sorted({p for row in kept for p in self.stream.positions[row]})]

    def _facts_of(self, rows: IntArray) -> tuple[list[RecordFacts], IntArray]:
        """The records of some windows, and where each window's begin and end."""
        positions = [self.stream.positions[row] for row in rows]
        ends = np.cumsum([0, *map(len, positions)])
        return [self.stream.facts[p] for row in positions for p in row], ends.astype(np.int64)

    def reference(self) -> Reference:
        """What is kept of the stream."""
        stream, total = self.stream, len(self.stream.ids)
        part = np.full(total, -1, dtype=np.int64)
        for number, rows in enumerate((self.split.train, self.split.choose, self.split.calibrate)):
            part[rows] = number
        names = tuple(self.held_log10_p)
        log10_p = np.full((total, len(names)), np.nan, dtype=np.float32)
        log10_p[self._held.rows] = np.stack([self.held_log10_p[name] for name in names], axis=1)
        log10_p[self._learned.rows] = np.stack([self.learned_log10_p[name] for name in names], axis=1)
        broken = self.broken
        if self.record_detectors:
            broken = broken.joined(stream.windows.take(self._homes))
        sources = stream.source or [""] * total
        groups = list(zip(sources, stream.group or [""] * total, strict=True))
        times = stream.time_us or [None] * total
        kept = np.flatnonzero(part >= 0)[-MAX_REFERENCE:]
        used, unique = np.unique(stream.ids[kept], return_inverse=True)
        return Reference(
            names=names, windows=stream.windows.take(used), unique=unique.astype(np.int64), part=part[kept],
            trimmed=self.trimmed[kept],
            source=_numbered(sources)[kept], group=np.where([bool(g) for _, g in groups], _numbered(groups), -1)[kept],
            time_us=np.array([NO_TIME if time is None else time for time in times], dtype=np.int64)[kept],
            log10_p=log10_p[kept], broken=broken,
            broken_log10_p=np.stack([self.broken_log10_p[name] for name in names], axis=1).astype(np.float32),
        )  # fmt: skip

    def weigh(self, reference: Reference) -> Fusion:
        """The fusion's weights, from held-out normal windows and broken ones."""
        rows = reference.held_out()
        return Fusion.fit(reference.names, reference.log10_p[rows].astype(np.float64),
                          reference.broken_log10_p.astype(np.float64))  # fmt: skip

    def _encode(self, windows: WindowSet, what: str, *, surprise: bool = True) -> EncodedWindows:
        return self.encoder.encode(windows, lambda i, n: _tell(self.progress, what, i, n), surprise=surprise)


def _unique(windows: WindowSet, ids: npt.NDArray[np.int64]) -> WindowSet:
    unique, counts = np.unique(ids, return_counts=True)
    return windows.take(unique, counts.astype(np.int64))


def _numbered(names: Sequence[Hashable]) -> IntArray:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def _tell(progress: FitProgress | None, what: str, done: int, total: int) -> None:
    if progress:
        progress(what, done, total)
