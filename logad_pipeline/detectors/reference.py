"""What a model keeps of the normal logs it was fitted on, so that more can be calibrated on them later.

Belongs here: the held-out stream with what the detectors said of it, and its file. A unit that is asked
for at detection (five minutes of a stream) is calibrated on the same units of this stream.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.base import Float32Array, FloatArray
from logad_pipeline.windows import IntArray, WindowSet

TRAIN: Final = 0
CHOOSE: Final = 1
CALIBRATE: Final = 2
NO_TIME: Final = np.iinfo(np.int64).min

IntColumn = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reference:
    """The stream of windows that a model was fitted on, in time order, and pseudo-anomalies made of it.

    Attributes:
        names: the detectors of windows, then those of records: the columns below.
        windows: the unique windows of the stream.
        unique: int64 ``[N]``, the unique window of each window of the stream.
        part: int64 ``[N]``: ``TRAIN``, ``CHOOSE`` or ``CALIBRATE``.
        trimmed: bool ``[N]``, whether it was too odd to be learned or calibrated on.
        source, group: int64 ``[N]``, numbers of its source and, within it, its group; -1 for no key.
        time_us: int64 ``[N]``, microseconds since 1970, ``NO_TIME`` for none.
        log10_p: float32 ``[N, k]``: each detector's p-value; of the training part only some stretches were
            read again, the rest is NaN.
        broken: unique pseudo-anomalies.
        broken_log10_p: float32 ``[m, k]``, theirs.
    """

    names: tuple[str, ...]
    windows: WindowSet
    unique: IntColumn
    part: IntColumn
    trimmed: npt.NDArray[np.bool_]
    source: IntColumn
    group: IntColumn
    time_us: IntColumn
    log10_p: Float32Array
    broken: WindowSet
    broken_log10_p: Float32Array

    def held_out(self) -> IntArray:
        """Numbers of the windows that calibrate."""
        return np.flatnonzero((self.part == CALIBRATE) & ~self.trimmed)

    def learned(self) -> IntArray:
        """Numbers of the training windows whose p-values are known."""
        return np.flatnonzero((self.part == TRAIN) & np.isfinite(self.log10_p).all(axis=1))

    @cached_property
    def known_texts(self) -> frozenset[str]:
        """The normalised lines of the stream."""
        return frozenset(self.windows.texts[i] for i in np.unique(self.windows.line_ids))

    def novel(self, windows: WindowSet) -> npt.NDArray[np.bool_]:
        """Which windows hold a line that is not among :attr:`known_texts`, bool ``[n]``."""
        if not len(windows):
            return np.zeros(0, dtype=np.bool_)
        used, place = np.unique(windows.line_ids, return_inverse=True)
        unknown = np.array([windows.texts[i] not in self.known_texts for i in used], dtype=np.bool_)
        return np.asarray(np.logical_or.reduceat(unknown[place], windows.offsets[:-1]))

    def column(self, name: str, rows: IntArray) -> FloatArray:
        """One detector's ``log10`` p-values of some windows, float64."""
        return np.asarray(self.log10_p[rows, self.names.index(name)], dtype=np.float64)

    def columns(self, rows: IntArray) -> Mapping[str, FloatArray]:
        """All detectors' ``log10`` p-values of some windows, by name."""
        return {name: self.column(name, rows) for name in self.names}

    def save(self, directory: Path) -> None:
        """Write ``reference.json`` (names and texts) and ``reference.safetensors`` (the rest)."""
        from safetensors.numpy import save_file

        texts = {"windows": list(self.windows.texts), "broken": list(self.broken.texts)}
        described = {"names": list(self.names), "texts": texts}
        (directory / "reference.json").write_text(json.dumps(described), encoding="utf-8")
        tensors = {name: getattr(self, name) for name in _arrays()}
        for name in texts:
            windows: WindowSet = getattr(self, name)
            tensors |= {f"{name}.{key}": getattr(windows, key) for key in ("offsets", "line_ids", "counts")}
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, directory / "reference.safetensors")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote."""
        from safetensors.numpy import load_file

        described = json.loads((directory / "reference.json").read_text(encoding="utf-8"))
        tensors = load_file(directory / "reference.safetensors")
        sets = {
            name: WindowSet(texts, *(tensors[f"{name}.{key}"] for key in ("offsets", "line_ids", "counts")))
            for name, texts in described["texts"].items()
        }
        arrays: dict[str, Any] = {name: tensors[name] for name in _arrays()}
        return cls(tuple(described["names"]), windows=sets["windows"], broken=sets["broken"], **arrays)


def _arrays() -> list[str]:
    return [field.name for field in fields(Reference) if field.name not in ("names", "windows", "broken")]
