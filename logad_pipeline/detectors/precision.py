"""How uneven the prediction's precision is over the lines of a window."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from logad_pipeline.detectors.base import EncodedWindows, FloatArray
from logad_pipeline.detectors.surprise import Surprise


class PrecisionVariance(Surprise):
    """Standard deviation, over the lines of a window, of the probability that each was given while hidden.

    The "score variance" of the specification. A line's probability is the geometric mean of its tokens'. In a normal
    window the lines are guessed about equally well; where one of them does not belong, it alone is missed.

    When it does not work: a window that is odd throughout is guessed badly on every line, evenly.
    """

    name: ClassVar[str] = "precision_variance"

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Standard deviation of a probability, float64 ``[n]`` in [0, 0.5]."""
        lengths, starts = np.diff(encoded.windows.offsets), encoded.windows.offsets[:-1]
        precision = np.exp(-encoded.line_surprise.astype(np.float64))
        mean = np.add.reduceat(precision, starts) / lengths
        away = precision - np.repeat(mean, lengths)
        return np.asarray(np.sqrt(np.add.reduceat(away**2, starts) / lengths))
