"""How long a window is, against the normal ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np

from logad_pipeline.detectors.base import Detector, EncodedWindows, FloatArray

_ALIKE: Final = 1.1


class Length(Detector):
    """How rare a window's number of lines is: a session that broke off, or one that never ends.

    The score is the negative logarithm of the share of normal windows that are at least as short, or at
    least as long, whichever is rarer (with the window itself among them), so it needs no shape of the
    distribution. Lengths within a tenth of one another are alike: where all normal files have a thousand
    lines, one of a thousand and one is nothing odd. Beyond the longest and the shortest it grows with the
    logarithm of the ratio.

    When it does not work: on fixed and sliding windows, which are all of one length, it is constant.
    """

    name: ClassVar[str] = "length"
    reads_texts_only: ClassVar[bool] = True
    fits_at_once: ClassVar[bool] = True

    def __init__(self, lengths: FloatArray | None = None, counts: FloatArray | None = None) -> None:
        self._lengths = lengths
        self._counts = counts

    def fit(self, encoded: EncodedWindows, corrupted: EncodedWindows | None = None) -> None:
        """Learn how often each length comes."""
        lengths, place = np.unique(np.diff(encoded.windows.offsets), return_inverse=True)
        self._lengths = lengths.astype(np.float64)
        self._counts = np.bincount(place, weights=encoded.windows.counts.astype(np.float64)).astype(np.float64)

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Rarity of the length in nats, float64 ``[n]``, ``>= 0``."""
        if self._lengths is None or self._counts is None:
            raise RuntimeError("Length.score was called before fit")
        asked = np.diff(encoded.windows.offsets).astype(np.float64)
        total = self._counts.sum()
        up_to = np.concatenate(([0.0], np.cumsum(self._counts)))
        shorter = up_to[np.searchsorted(self._lengths, asked * _ALIKE, side="right")]
        longer = total - up_to[np.searchsorted(self._lengths, asked / _ALIKE, side="left")]
        rarity = -np.log((np.minimum(shorter, longer) + 1) / (total + 1))
        beyond = np.maximum(self._lengths[0] / np.maximum(asked, 1), asked / self._lengths[-1])
        return np.asarray(rarity + np.log(np.maximum(beyond, 1.0)))

    def save(self, directory: Path) -> None:
        """Write ``length.json``."""
        if self._lengths is None or self._counts is None:
            raise RuntimeError("Length.save was called before fit")
        known = {"lengths": self._lengths.tolist(), "counts": self._counts.tolist()}
        (directory / "length.json").write_text(json.dumps(known), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote."""
        known = json.loads((directory / "length.json").read_text(encoding="utf-8"))
        return cls(np.array(known["lengths"]), np.array(known["counts"]))
