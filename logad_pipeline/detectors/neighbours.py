"""Distance of a window's embedding to the nearest normal ones."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np

from logad_pipeline.detectors.base import Detector, EncodedWindows, Float32Array, FloatArray
from logad_pipeline.detectors.measure import distance_to_measure

MASS: Final = 0.02
MAX_REFERENCE: Final = 4000
_ROWS_AT_ONCE: Final = 256


class Neighbours(Detector):
    """Mean Euclidean distance to the nearest 2 % of the normal mean embeddings.

    k nearest neighbours (Ramaswamy, Rastogi and Shim, 2000) with k in proportion to the data. Dimensions
    are scaled to unit spread first. It follows clouds of any shape and number, where one mean does not.

    When it does not work: an incident that makes up 2 % of the training windows has itself for a
    neighbour; and in 256 dimensions distances differ less the fewer windows there are.
    """

    name: ClassVar[str] = "neighbours"
    fits_at_once: ClassVar[bool] = True

    def __init__(
        self,
        centre: Float32Array | None = None,
        spread: Float32Array | None = None,
        reference: Float32Array | None = None,
        counts: FloatArray | None = None,
    ) -> None:
        self._centre = centre
        self._spread = spread
        self._reference = reference
        self._counts = counts

    def fit(self, encoded: EncodedWindows, corrupted: EncodedWindows | None = None) -> None:
        """Keep the embeddings of normal windows, at most ``MAX_REFERENCE``, the most frequent ones first."""
        kept = np.sort(np.argsort(-encoded.windows.counts, kind="stable")[:MAX_REFERENCE])
        embeddings, counts = encoded.mean[kept], encoded.windows.counts[kept].astype(np.float64)
        self._centre = embeddings.mean(axis=0, dtype=np.float32)
        self._spread = (embeddings.std(axis=0) + 1e-3).astype(np.float32)
        self._reference = ((embeddings - self._centre) / self._spread).astype(np.float32)
        # As in training: a window that is seen often counts, but not in proportion.
        self._counts = np.sqrt(counts)

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Mean distance in standard deviations a dimension, float64 ``[n]``."""
        if self._centre is None or self._spread is None or self._reference is None or self._counts is None:
            raise RuntimeError("Neighbours.score was called before fit")
        asked = ((encoded.mean - self._centre) / self._spread).astype(np.float64)
        reference = self._reference.astype(np.float64)
        squares = (reference**2).sum(axis=1)
        out = np.empty(len(encoded))
        for start in range(0, len(encoded), _ROWS_AT_ONCE):
            rows = asked[start : start + _ROWS_AT_ONCE]
            squared = (rows**2).sum(axis=1)[:, None] + squares - 2 * rows @ reference.T
            # Written as a^2 + b^2 - 2ab, the distance of equal points is noise of the last digits: none is meant.
            distance = np.round(np.sqrt(np.maximum(squared, 0.0) / reference.shape[1]), 4)
            out[start : start + _ROWS_AT_ONCE] = distance_to_measure(distance, self._counts, MASS)
        return out

    def save(self, directory: Path) -> None:
        """Write ``neighbours.safetensors``."""
        from safetensors.numpy import save_file

        if self._centre is None or self._spread is None or self._reference is None or self._counts is None:
            raise RuntimeError("Neighbours.save was called before fit")
        tensors = {
            "centre": self._centre, "spread": self._spread, "reference": self._reference, "counts": self._counts,
        }  # fmt: skip
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, directory / "neighbours.safetensors")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote."""
        from safetensors.numpy import load_file

        tensors = load_file(directory / "neighbours.safetensors")
        return cls(tensors["centre"], tensors["spread"], tensors["reference"], tensors["counts"])
