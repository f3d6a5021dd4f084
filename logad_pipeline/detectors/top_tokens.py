"""Token surprise of the few least expected lines."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from logad_pipeline.detectors.base import EncodedWindows, FloatArray
from logad_pipeline.detectors.surprise import Surprise

_K: Final = 3


class TopTokens(Surprise):
    """Mean of the ``k = 3`` largest token surprises of a window, at most one a line, in nats.

    It stands between the mean over all and the single worst line, and looks at tokens: one word that
    does not belong in an otherwise usual line.

    When it does not work: a rare word of a normal line is as surprising as a wrong one, and numbers of
    lines differ, as for ``WorstLine``.
    """

    name: ClassVar[str] = "top_tokens"

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Mean of the largest token surprises, float64 ``[n]``."""
        offsets = encoded.windows.offsets
        rows = np.repeat(np.arange(len(encoded)), np.diff(offsets))
        order = np.lexsort((-encoded.line_peak, rows))
        rank = np.arange(len(order)) - offsets[:-1][rows]
        top = rank < _K
        sums = np.bincount(rows[top], weights=encoded.line_peak[order][top].astype(np.float64), minlength=len(encoded))
        return np.asarray(sums / np.minimum(np.diff(offsets), _K))
