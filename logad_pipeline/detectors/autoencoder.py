"""How badly a window's embedding is rebuilt from sixteen numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from logad_pipeline.detectors.base import EncodedWindows, FloatArray
from logad_pipeline.detectors.networks import EmbeddingNetwork, NetworkDetector

if TYPE_CHECKING:
    import torch

_STEPS: Final = 600


class Autoencoder(NetworkDetector):
    """Reconstruction error of the mean embedding through a bottleneck of sixteen (Hinton and
    Salakhutdinov, 2006), trained on normal windows.

    What normal windows have in common fits through the bottleneck; what is peculiar to others does not.

    When it does not work: it rebuilds some anomalies well that lie between normal windows, and with few
    distinct normal windows it learns them by heart, so every new one looks odd.
    """

    name: ClassVar[str] = "autoencoder"

    def fit(self, encoded: EncodedWindows, corrupted: EncodedWindows | None = None) -> None:
        """Learn to rebuild normal embeddings."""
        width = encoded.mean.shape[1]
        often = np.sqrt(encoded.windows.counts.astype(np.float64))
        self._network = EmbeddingNetwork.over((width, 64, 16, 64, width), encoded.mean, self._seed)
        wanted = self._network.scaled(encoded.mean)
        self._network.train(encoded.mean, wanted, often / often.sum(), _loss, _STEPS, self._seed)

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Root mean squared error in standard deviations, float64 ``[n]``."""
        if self._network is None:
            raise RuntimeError("Autoencoder.score was called before fit")
        error = (self._network(encoded.mean) - self._network.scaled(encoded.mean)).astype(np.float64)
        return np.asarray(np.sqrt((error**2).mean(axis=1)))


def _loss(given: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return ((given - wanted) ** 2).mean()
