"""Learning from all there is, and measuring on what came later, with the same logs.

Belongs here: scores of held-out windows by detectors that knew what came before and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.base import Detector, EncodedWindows, FloatArray
from logad_pipeline.windows import IntArray


@dataclass(frozen=True)
class Followed:
    """What became of a detector that was fitted in time.

    Attributes:
        final: it knows all.
        before: it knows all but the last piece, so it can still be asked about that.
        scores: float64 ``[N]`` of the held-out stream, each piece by what was known before it.
    """

    final: Detector
    before: Detector
    scores: FloatArray


def fit_in_time(
    create: Callable[[], Detector],
    first: EncodedWindows,
    later: EncodedWindows,
    place: IntArray,
    kept: npt.NDArray[np.bool_],
    pieces: Sequence[IntArray],
    most: int | None = None,
) -> Followed:
    """Fit a detector on what is learned and on what is held out, and score the latter by ones that know less.

    A detector that is fitted at once need not stop learning where calibration begins ("prequential", Dawid, 1984):
    what it says of each piece is what it would have said on the day, and in the end it knows the latest logs too.

    Args:
        create: a new detector, which is fitted at once (``Detector.fits_at_once``).
        first: the windows to learn from, with counts.
        later: the unique held-out windows.
        place: int64 ``[N]``, which of ``later`` each window of the held-out stream is.
        kept: bool ``[N]``, which of these are learned from; the others are scored only.
        pieces: numbers in ``0..N``, in time order and together all of them, one piece or more.
        most: unique held-out windows to learn from, a sample of them; ``None`` for all.
    """
    known = np.zeros(0, dtype=np.int64)

    def learned() -> Detector:
        unique, counts = np.unique(place[known], return_counts=True)
        more = later.take(unique, counts.astype(np.int64))
        if most is not None:
            more = more.take(*more.windows.sample(most))
        detector = create()
        detector.fit(first.joined(more) if len(unique) else first)
        return detector

    scores = np.empty(len(place))
    for piece in pieces:
        unique, among = np.unique(place[piece], return_inverse=True)
        before = learned()
        scores[piece] = before.score(later.take(unique))[among]
        known = np.concatenate([known, piece[kept[piece]]])
    return Followed(learned(), before, scores)
