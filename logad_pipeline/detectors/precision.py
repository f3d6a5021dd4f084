"""How uneven the prediction's precision is over a window."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from logad_pipeline.detectors.base import EncodedWindows, FloatArray
from logad_pipeline.detectors.surprise import Surprise


class PrecisionVariance(Surprise):
    """Standard deviation, over the complementary masks, of the probability given to the hidden tokens.

    The "score variance" of the specification: in a normal window each mask is guessed about equally
    well; where one part of it does not belong, the mask that hides it fails and the others do not.

    When it does not work: a window that is odd throughout is guessed badly under every mask, evenly.
    """

    name: ClassVar[str] = "precision_variance"

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Standard deviation of a probability, float64 ``[n]`` in [0, 0.5]."""
        return np.asarray(np.sqrt(encoded.precision_variance.astype(np.float64)))
