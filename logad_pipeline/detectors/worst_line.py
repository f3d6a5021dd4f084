"""Token surprise of the least expected line."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from logad_pipeline.detectors.base import EncodedWindows, FloatArray
from logad_pipeline.detectors.surprise import Surprise


class WorstLine(Surprise):
    """The largest line surprise of a window, in nats a token.

    It sees the one line that does not belong: a message never seen, or a usual one in strange company.

    When it does not work: a window of more lines has more chances of a large maximum, so it favours
    long sessions; and lines that are normal but rare (a weekly job) look like anomalies to it.
    """

    name: ClassVar[str] = "worst_line"

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Largest line surprise, float64 ``[n]``."""
        worst = np.maximum.reduceat(encoded.line_surprise, encoded.windows.offsets[:-1])
        return np.asarray(worst, dtype=np.float64)
