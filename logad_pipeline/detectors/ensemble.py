"""`AnomalyDetector`: the encoder, its detectors and the calibration, saved and loaded as one.

Belongs here: putting the parts together, scoring, and the model's folder. How it is fitted is in
``fitting``; what stands in the registry is ``registry``'s business.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from logad_pipeline.detectors.adaptive import AdaptiveThreshold
from logad_pipeline.detectors.base import Detector, EncodedWindows, FloatArray
from logad_pipeline.detectors.calibration import THRESHOLD, Calibration, ScoreScale
from logad_pipeline.detectors.encoder import BertEncoder, Progress
from logad_pipeline.detectors.fusion import Fusion
from logad_pipeline.detectors.records import RecordDetector
from logad_pipeline.detectors.reference import Reference
from logad_pipeline.detectors.registry import ALL, DETECTORS, RECORD_DETECTORS
from logad_pipeline.detectors.training import TrainingHistory
from logad_pipeline.logs.log_tokenizer import MASK_VERSION
from logad_pipeline.windows import WindowSet, WindowSpec

FUSION: Final = "fusion"
TEXT_FUSION: Final = "fusion of texts"
"""Calibration of the fused score where only normalised texts are at hand, not the records behind them."""
_FORMAT: Final = 6


class ModelNotFound(Exception):
    """There is no model where one was looked for, or what is there is no model of ours."""


@dataclass(frozen=True)
class Judged:
    """What the ensemble says of ``n`` windows or units.

    Attributes:
        score: float64 ``[n]`` in [0, 1); 0.5 and above is an anomaly.
        log10_p: float64 ``[n]``, the calibrated ``log10`` p-value behind it.
        detectors: each detector's own calibrated score, float64 ``[n]`` in [0, 1).
    """

    score: FloatArray
    log10_p: FloatArray
    detectors: Mapping[str, FloatArray]

    @property
    def is_anomaly(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """bool ``[n]``."""
        return np.asarray(self.score >= THRESHOLD)


@dataclass(frozen=True)
class ScoredWindows(Judged):
    """What the ensemble says of unique windows, from their texts alone; ``encoded`` is what it saw, and
    ``detector_log10_p`` each detector's ``log10`` p-values, to be judged again with those of records."""

    encoded: EncodedWindows
    detector_log10_p: Mapping[str, FloatArray]


@dataclass
class AnomalyDetector:
    """A fitted model: give it windows, it gives calibrated scores.

    Attributes:
        encoder: BERT-mini, trained on normal windows.
        detectors: the fitted detectors of windows by name.
        record_detectors: the fitted detectors of records by name; may be empty.
        calibrations: the p-values of each, and those of the fused score, with and without records.
        fusion: the weights of the detectors.
        scale: from p-values to [0, 1].
        window_spec: how its windows were cut; score windows cut alike.
        mask_version: version of the masks its lines were normalised with.
        reference: the normal stream it was fitted on, for calibrating units.
        card: JSON-ready facts of the fit, for people: counts, losses, times, what was used.
        history: the training's losses.
        version: hash of the content (``""`` before the first save).
    """

    encoder: BertEncoder
    detectors: dict[str, Detector]
    record_detectors: dict[str, RecordDetector]
    calibrations: dict[str, Calibration]
    fusion: Fusion
    scale: ScoreScale
    window_spec: WindowSpec
    mask_version: str
    reference: Reference
    card: dict[str, Any] = field(default_factory=dict)
    history: TrainingHistory = field(default_factory=TrainingHistory)
    version: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All detectors, those of windows first."""
        return (*self.detectors, *self.record_detectors)

    def score(self, windows: WindowSet, progress: Progress | None = None) -> ScoredWindows:
        """Score windows; pass unique ones, some thousands at a time, and spread the result yourself."""
        return self.score_encoded(self.encoder.encode(windows, progress))

    def score_encoded(self, encoded: EncodedWindows) -> ScoredWindows:
        """Score windows that the encoder has already read."""
        short = self.window_spec.ends_early(encoded.windows)
        log10_p = {
            name: self.calibrations[name].log10_p_value(detector.score(encoded), short) if len(encoded) else np.zeros(0)
            for name, detector in self.detectors.items()
        }
        judged = self.judge(log10_p)
        return ScoredWindows(judged.score, judged.log10_p, judged.detectors, encoded, log10_p)

    def record_log10_p(self, name: str, worst: FloatArray) -> FloatArray:
        """A record detector's ``log10`` p-values of windows, from the largest score of the records of each."""
        return self.calibrations[name].log10_p_value(worst)

    def judge(
        self,
        log10_p: Mapping[str, FloatArray],
        threshold: AdaptiveThreshold | None = None,
        kinds: Sequence[Hashable] | None = None,
        novel: Sequence[bool] | None = None,
    ) -> Judged:
        """Fuse the detectors' p-values: those of windows, with or without those of records.

        Args:
            log10_p: by detector, float64 ``[n]`` each.
            threshold: one that adapts over these windows, which are in time order; ``None`` for a fixed one.
            kinds: what windows have in common (``WindowSet.kinds``), for a threshold that adapts.
            novel: which hold a line that was never seen in training (``Reference.novel``), for the same.
        """
        whole = all(name in log10_p for name in self.record_detectors)
        fusion = self.fusion if whole else self.fusion.without(*self.record_detectors)
        fused = self.calibrations[FUSION if whole else TEXT_FUSION].log10_p_value(fusion(log10_p))
        channels = {name: self.scale.score(log10_p[name]) for name in fusion.names}
        return Judged(self.scale.score(threshold.adapted(fused, kinds, novel) if threshold else fused), fused, channels)

    def without(self, *names: str) -> AnomalyDetector:
        """The same model with some detectors left out of the fusion, calibrated anew on what was held out.

        Raises:
            ValueError: if no detector of windows would be left.
        """
        fusion = self.fusion.without(*names)
        records = {name: one for name, one in self.record_detectors.items() if name not in names}
        calibrations = self.calibrations | fused_calibrations(fusion, self.reference, list(records))
        return replace(
            self,
            detectors={name: one for name, one in self.detectors.items() if name not in names},
            record_detectors=records, calibrations=calibrations, fusion=fusion, version="",
        )  # fmt: skip

    def save(self, directory: Path) -> str:
        """Write the model into ``directory`` (new, or one of ours to be replaced); return its version.

        Everything is written beside it first and moved in one step, so there is never half a model.

        Raises:
            FileExistsError: if ``directory`` holds something that is no model.
        """
        directory = directory.absolute()
        if directory.exists() and any(directory.iterdir()) and not (directory / "model.json").is_file():
            raise FileExistsError(f"{directory} is not empty and holds no model; give another folder")
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        try:
            self._write(partial)
            partial.chmod(0o755)
            if directory.exists():
                # The old model goes only when the new one stands in its place.
                old = partial.with_name(f"{partial.name}.old")
                directory.rename(old)
                partial.rename(directory)
                shutil.rmtree(old)
            else:
                partial.rename(directory)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return self.version

    def _write(self, directory: Path) -> None:
        self.encoder.save(directory / "encoder")
        for name, detector in self.detectors.items():
            (directory / "detectors" / name).mkdir(parents=True)
            detector.save(directory / "detectors" / name)
        for name, records in self.record_detectors.items():
            (directory / "records" / name).mkdir(parents=True)
            records.save(directory / "records" / name)
        (directory / "reference").mkdir()
        self.reference.save(directory / "reference")
        calibrations = {name: calibration.to_dict() for name, calibration in self.calibrations.items()}
        _write_json(directory / "calibration.json", calibrations)
        model = {
            "format": _FORMAT,
            "detectors": list(self.detectors),
            "record_detectors": list(self.record_detectors),
            "fusion": self.fusion.to_dict(),
            "scale": self.scale.to_dict(),
            "window_spec": self.window_spec.to_dict(),
            "mask_version": self.mask_version,
        }
        _write_json(directory / "model.json", model)
        # What the scores depend on is hashed; how long the fit took, and other facts for people, is not.
        self.version = _content_hash(directory)
        _write_json(directory / "history.json", asdict(self.history))
        _write_json(directory / "model.json", model | {"version": self.version, "card": self.card})

    @classmethod
    def load(cls, directory: Path, device: str = "auto") -> Self:
        """Read a model folder.

        Raises:
            ModelNotFound: if there is none, or it was written by a newer release.
        """
        model = read_model_json(directory)
        named = (*model["detectors"], *model["record_detectors"])
        unknown = [name for name in named if name not in ALL]
        if unknown:
            raise ModelNotFound(f"{directory}: detectors {unknown} are not known here; upgrade, or fit it again")
        calibrations = json.loads((directory / "calibration.json").read_text(encoding="utf-8"))
        history = json.loads((directory / "history.json").read_text(encoding="utf-8"))
        return cls(
            encoder=BertEncoder.load(directory / "encoder", device),
            detectors={n: DETECTORS[n].load(directory / "detectors" / n) for n in model["detectors"]},
            record_detectors={
                n: RECORD_DETECTORS[n].load(directory / "records" / n) for n in model["record_detectors"]
            },
            calibrations={name: Calibration.from_dict(values) for name, values in calibrations.items()},
            fusion=Fusion.from_dict(model["fusion"]),
            reference=Reference.load(directory / "reference"),
            scale=ScoreScale.from_dict(model["scale"]),
            window_spec=WindowSpec(**model["window_spec"]),
            mask_version=model["mask_version"],
            card=model["card"],
            history=TrainingHistory(**history),
            version=model["version"],
        )


def fused_calibrations(fusion: Fusion, reference: Reference, record_names: Sequence[str]) -> dict[str, Calibration]:
    """Calibrate the fused score on the held-out windows and some training windows, with records and without."""
    held, learned = reference.columns(reference.held_out()), reference.columns(reference.learned())
    texts = fusion.without(*record_names)
    return {
        FUSION: Calibration.fit(fusion(held), fusion(learned), decades=True),
        TEXT_FUSION: Calibration.fit(texts(held), texts(learned), decades=True),
    }


def read_model_json(directory: Path) -> dict[str, Any]:
    """The description of a model folder, without loading the model.

    Raises:
        ModelNotFound: if there is none, or another release wrote it that had another format or other masks.
    """
    file = directory / "model.json"
    if not file.is_file():
        raise ModelNotFound(f"no model at {directory}; make one with: logad fit FILE --model {directory}")
    try:
        model: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ModelNotFound(f"{file} is damaged ({error}); fit the model again") from error
    if not isinstance(model, dict):
        raise ModelNotFound(f"{file} describes no model; fit the model again")
    if model.get("format") != _FORMAT:
        raise ModelNotFound(
            f"{directory}: model format {model.get('format')}, this release reads {_FORMAT}; fit it again"
        )
    if model["mask_version"] != MASK_VERSION:
        raise ModelNotFound(
            f"{directory}: masks version {model['mask_version']}, this release masks by version {MASK_VERSION}; "
            "fit it again"
        )
    return model


def _write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=1), encoding="utf-8")


def _content_hash(directory: Path) -> str:
    """First 12 hex digits of the SHA-256 over the names and bytes of all files, in order of name."""
    digest = hashlib.sha256()
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(directory)).encode())
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()[:12]
