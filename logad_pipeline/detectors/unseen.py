"""Lines that were never seen in the normal logs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from logad_pipeline.detectors.base import Detector, EncodedWindows, FloatArray
from logad_pipeline.windows import WindowSet


class UnseenLines(Detector):
    """How many different lines of a window the normal logs never held, after normalisation.

    A line is worth ``1 - q``, where ``q`` is the probability (Good, 1953, who credits Turing) that a line
    that begins with the same word is a new one: the share of those that came in a single window. A new
    ``sudo`` command is little news where every other one is new; a new message of the kernel is. A line whose
    first word is new as well is worth 1.

    When it does not work: incidents made of known lines (missing, repeated, in another order) are not
    seen, and neither is how often a new line comes; after a release with new messages every window is new until
    the model has learned them. On sliding windows a line stands in many of them, so ``q`` is too low.
    """

    name: ClassVar[str] = "unseen"
    reads_texts_only: ClassVar[bool] = True
    fits_at_once: ClassVar[bool] = True
    judges_learned: ClassVar[bool] = False

    def __init__(self, known: frozenset[str] = frozenset(), worth: dict[str, float] | None = None) -> None:
        self._known = known
        self._worth = worth

    def fit(self, encoded: EncodedWindows, corrupted: EncodedWindows | None = None) -> None:
        """Remember the lines, and how often one of its first word is new."""
        windows = encoded.windows
        line, window = _different(windows)
        lines, place = np.unique(line, return_inverse=True)
        seen_in = np.bincount(place, weights=windows.counts[window]).astype(np.int64).tolist()
        total, once = Counter[str](), Counter[str]()
        for text, times in zip((windows.texts[i] for i in lines), seen_in, strict=True):
            total[_first(text)] += times
            once[_first(text)] += times == 1
        self._known = frozenset(windows.texts[i] for i in lines)
        self._worth = {word: 1 - once[word] / (total[word] + 1) for word in sorted(total)}

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Worth of the different unseen lines, float64 ``[n]``, ``>= 0``."""
        if self._worth is None:
            raise RuntimeError("UnseenLines.score was called before fit")
        windows = encoded.windows
        line, window = _different(windows)
        lines, place = np.unique(line, return_inverse=True)
        texts = [windows.texts[i] for i in lines]
        worth = np.array([0.0 if text in self._known else self._worth.get(_first(text), 1.0) for text in texts])
        # Rounded, so that the order in which lines are added up leaves no trace in a last digit.
        return np.round(np.bincount(window, weights=worth[place], minlength=len(windows)), 9)

    def save(self, directory: Path) -> None:
        """Write ``unseen.json``."""
        if self._worth is None:
            raise RuntimeError("UnseenLines.save was called before fit")
        known = {"known": sorted(self._known), "worth": self._worth}
        (directory / "unseen.json").write_text(json.dumps(known), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote."""
        known = json.loads((directory / "unseen.json").read_text(encoding="utf-8"))
        return cls(frozenset(known["known"]), known["worth"])


def _different(windows: WindowSet) -> tuple[np.ndarray, np.ndarray]:
    """The different lines of each window: numbers of the lines, and the window of each."""
    window = np.repeat(np.arange(len(windows)), np.diff(windows.offsets))
    pairs = np.unique(np.stack([window, windows.line_ids.astype(np.int64)]), axis=1)
    return pairs[1], pairs[0]


def _first(text: str) -> str:
    return text.split(" ", 1)[0]
