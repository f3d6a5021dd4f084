"""Distance of a window's embedding to the mean of the normal ones."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from logad_pipeline.detectors.base import Detector, EncodedWindows, Float32Array, FloatArray


class EmbeddingDistance(Detector):
    """Mahalanobis distance to the mean embedding of normal windows.

    The embedding is the mean over the tokens of a window, so what kinds of lines it holds, and in which
    proportion, moves it. The covariance is shrunk (Ledoit and Wolf, 2004), because there may be fewer
    normal windows than dimensions. Distances are in standard deviations of normal windows.

    When it does not work: it assumes one cloud of normal windows. Where normal behaviour is several
    clouds (many programs in one stream), a window between two of them looks close to the mean. With one
    distinct normal window there is no covariance, and the distance is the Euclidean one.
    """

    name: ClassVar[str] = "distance"
    fits_at_once: ClassVar[bool] = True

    def __init__(self, mean: Float32Array | None = None, precision: Float32Array | None = None) -> None:
        self._mean = mean
        self._precision = precision

    def fit(self, encoded: EncodedWindows, corrupted: EncodedWindows | None = None) -> None:
        """Learn the mean vector and the precision matrix; a window counts as the root of how often it is seen.

        Raises:
            ValueError: if there is no window.
        """
        from sklearn.covariance import LedoitWolf

        if not len(encoded):
            raise ValueError("the distance needs normal windows; give logs")
        weights = np.sqrt(encoded.windows.counts.astype(np.float64))
        mean = np.average(encoded.mean, axis=0, weights=weights)
        scaled = (encoded.mean - mean) * np.sqrt(weights / weights.mean())[:, None]
        self._mean = mean.astype(np.float32)
        self._precision = np.eye(len(mean), dtype=np.float32)
        if len(encoded) > 1:
            self._precision = LedoitWolf(assume_centered=True).fit(scaled).precision_.astype(np.float32)

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Mahalanobis distance, float64 ``[n]``."""
        if self._mean is None or self._precision is None:
            raise RuntimeError("EmbeddingDistance.score was called before fit")
        away = (encoded.mean - self._mean).astype(np.float64)
        squared = np.einsum("ij,ij->i", away @ self._precision.astype(np.float64), away)
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)))

    def save(self, directory: Path) -> None:
        """Write ``distance.safetensors``: ``mean`` [hidden] and ``precision`` [hidden, hidden], float32."""
        from safetensors.numpy import save_file

        if self._mean is None or self._precision is None:
            raise RuntimeError("EmbeddingDistance.save was called before fit")
        save_file({"mean": self._mean, "precision": self._precision}, directory / "distance.safetensors")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote."""
        from safetensors.numpy import load_file

        tensors = load_file(directory / "distance.safetensors")
        return cls(tensors["mean"], tensors["precision"])
