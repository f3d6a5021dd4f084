"""The anomaly score head on the window's embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from logad_pipeline.detectors.base import EncodedWindows, FloatArray
from logad_pipeline.detectors.networks import EmbeddingNetwork, NetworkDetector

if TYPE_CHECKING:
    import torch

_STEPS: Final = 400


class ScoreHead(NetworkDetector):
    """Embedding of the window -> Linear(256, 64) -> ReLU -> Linear(64, 1) -> sigmoid.

    The embedding is the mean of the window's word vectors. [CLS], which classifiers read, is trained by
    BERT's second task, whether a sentence follows another; masked language modelling alone never asks
    anything of it, so a head on [CLS] is a matter of luck: on auth.log its ROC-AUC was 0.58 to 0.96 from
    seed to seed, and is 0.98 on the mean.

    It has no labels: it is trained to tell normal windows from pseudo-anomalies made of them (lines
    removed, repeated, swapped, taken from elsewhere, reworded; see ``pseudo``), as in outlier exposure
    (Hendrycks, Mazeika and Dietterich, 2019).

    When it does not work: it knows the ways of being broken that it was shown. An anomaly that resembles
    none of them may look more normal to it than a normal window does, as on HDFS by block; and on streams
    where lines come in any order and company, the classes it learns from can hardly be told apart.
    """

    name: ClassVar[str] = "head"
    needs_contrast: ClassVar[bool] = True

    def fit(self, encoded: EncodedWindows, corrupted: EncodedWindows | None = None) -> None:
        """Learn the contrast; both classes weigh the same.

        Raises:
            ValueError: without pseudo-anomalies.
        """
        if corrupted is None or not len(corrupted):
            raise ValueError("the score head learns from contrast; give it pseudo-anomalies, or leave it out")
        embeddings = np.concatenate([encoded.mean, corrupted.mean])
        targets = np.concatenate([np.zeros(len(encoded)), np.ones(len(corrupted))]).astype(np.float32)[:, None]
        often = np.sqrt(encoded.windows.counts.astype(np.float64))
        chances = np.concatenate([often / often.sum(), np.full(len(corrupted), 1 / len(corrupted))]) / 2
        self._network = EmbeddingNetwork.over((embeddings.shape[1], 64, 1), encoded.mean, self._seed)
        self._network.train(embeddings, targets, chances, _loss, _STEPS, self._seed)

    def probability(self, encoded: EncodedWindows) -> FloatArray:
        """The head's sigmoid, float64 ``[n]`` in [0, 1]."""
        return np.asarray(np.exp(-np.logaddexp(0.0, -self._logit(encoded))))

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """``-log(1 - probability)``, float64 ``[n]``: the probability's order, without its ties near 1."""
        return np.asarray(np.logaddexp(0.0, self._logit(encoded)))

    def _logit(self, encoded: EncodedWindows) -> FloatArray:
        if self._network is None:
            raise RuntimeError("ScoreHead.score was called before fit")
        return self._network(encoded.mean)[:, 0].astype(np.float64)


def _loss(given: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.binary_cross_entropy_with_logits(given, wanted)
