"""Token surprise of a whole window."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from logad_pipeline.detectors.base import Detector, EncodedWindows, FloatArray


class Surprise(Detector):
    """How badly the model guesses the lines of a window from one another, on average.

    The score is the mean over lines of the negative log-likelihood a token (nats), each line hidden
    while its neighbours are not, as in LAnoBERT (Lee et al., 2023) but over complementary masks instead
    of one pass a token. It sees lines in the wrong company: a step missing, out of order or repeated.

    When it does not work: one odd line among many usual ones moves a mean little (see ``WorstLine``);
    before training, and on logs whose normal lines come in no order at all, it is noise.
    """

    name: ClassVar[str] = "surprise"

    def fit(self, encoded: EncodedWindows, corrupted: EncodedWindows | None = None) -> None:
        """Nothing to learn: the encoder has learned it."""

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Mean line surprise in nats a token, float64 ``[n]``."""
        lengths = np.diff(encoded.windows.offsets)
        sums = np.add.reduceat(encoded.line_surprise.astype(np.float64), encoded.windows.offsets[:-1])
        return np.asarray(sums / lengths)

    def save(self, directory: Path) -> None:
        """Nothing to keep."""

    @classmethod
    def load(cls, directory: Path) -> Self:
        """A detector like any other of its kind."""
        return cls()
