"""How often each event is in a window, against the normal windows."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from logad_pipeline.detectors.bags import MeasureDistance, root
from logad_pipeline.detectors.base import Detector, EncodedWindows, FloatArray


class Counts(Detector):
    """Distance of a window's event counts to those of the nearest normal windows.

    Counts go in as square roots, which evens out the spread of large and small ones; see
    :class:`~logad_pipeline.detectors.bags.MeasureDistance` for the distance and its limits. It sees
    events that are new, missing, too many or too few, whatever their order.

    When it does not work: it is blind to order and to words; ten interleaved lines of many programs
    hold almost any counts, so on short windows of a busy stream it is mostly noise.
    """

    name: ClassVar[str] = "counts"
    reads_texts_only: ClassVar[bool] = True
    fits_at_once: ClassVar[bool] = True
    squash = staticmethod(root)
    rareness: ClassVar[float] = 1.0

    def __init__(self, distance: MeasureDistance | None = None) -> None:
        self._distance = distance

    def fit(self, encoded: EncodedWindows, corrupted: EncodedWindows | None = None) -> None:
        """Learn the weights and the reference bags."""
        self._distance = MeasureDistance.fit(encoded.windows, self.squash, self.rareness)

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Distance in [0, 1], float64 ``[n]``."""
        if self._distance is None:
            raise RuntimeError(f"{type(self).__name__}.score was called before fit")
        return self._distance.score(encoded.windows)

    def save(self, directory: Path) -> None:
        """Write the bags."""
        if self._distance is None:
            raise RuntimeError(f"{type(self).__name__}.save was called before fit")
        self._distance.save(directory)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote."""
        return cls(MeasureDistance.load(directory, cls.squash))


class UnitCounts(Counts):
    """The same for units of many windows, where rare events weigh no more than others.

    In a unit of a thousand lines some rare event is always present; how often the usual ones come says
    more. It is used on units alone (``unit_model``).
    """

    rareness: ClassVar[float] = 0.0
