"""What every detector is, and what the encoder hands to them.

Belongs here: the two-method contract and the encoded form of windows that detectors share, so that the
model reads each window once however many detectors look at it. No detector and no model lives here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from logad_pipeline.windows import WindowSet

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

LEAST_ROWS: Final = 32
"""Rows of a float32 matrix product at least: kernels for fewer add up in another order, and the last digits of
what is said of a window would depend on how many others are read with it."""


@dataclass(frozen=True)
class EncodedWindows:
    """Windows as the encoder sees them.

    Attributes:
        windows: the ``n`` windows.
        cls: float32 ``[n, hidden]``, the [CLS] embedding, a mean over the complementary masks.
        mean: float32 ``[n, hidden]``, the mean embedding of the tokens of the lines, each as read while visible.
        line_surprise: float32 ``[total lines]``, aligned with ``windows.line_ids``: mean negative
            log-likelihood a token, in nats, of the line when it is hidden and its neighbours are not.
        line_peak: float32 ``[total lines]``, the largest negative log-likelihood of a token of the line.
    """

    windows: WindowSet
    cls: Float32Array
    mean: Float32Array
    line_surprise: Float32Array
    line_peak: Float32Array

    def __len__(self) -> int:
        return len(self.windows)

    @classmethod
    def unread(cls, windows: WindowSet) -> Self:
        """Windows that no encoder has read, for detectors that look at the lines alone."""
        none, lines = np.zeros((len(windows), 1), dtype=np.float32), np.zeros(len(windows.line_ids), dtype=np.float32)
        return cls(windows, none, none, lines, lines)

    def joined(self, other: EncodedWindows) -> EncodedWindows:
        """Both, one after the other; see :meth:`WindowSet.joined`."""
        columns = (
            np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("cls", "mean", "line_surprise", "line_peak")
        )
        return EncodedWindows(self.windows.joined(other.windows), *columns)

    def take(self, indices: npt.ArrayLike, counts: npt.NDArray[np.int64] | None = None) -> EncodedWindows:
        """The encoded windows at ``indices``; ``counts`` replaces how often each was seen."""
        chosen = np.asarray(indices, dtype=np.int64)
        lines = self.windows.places(chosen)
        return EncodedWindows(
            self.windows.take(chosen, counts), self.cls[chosen], self.mean[chosen], self.line_surprise[lines],
            self.line_peak[lines],
        )  # fmt: skip


class Detector(ABC):
    """One way of telling how unlike the normal windows a window is.

    A detector learns from normal windows alone and gives each window one number, higher for stranger.
    Its scale is its own: :mod:`~logad_pipeline.detectors.calibration` makes scales comparable.
    Adding a detector is adding one file with a subclass and one line in ``registry.DETECTORS``.
    """

    name: ClassVar[str]
    reads_texts_only: ClassVar[bool] = False
    """Whether it looks at the lines alone, and so learns from all windows rather than from a sample."""
    fits_at_once: ClassVar[bool] = False
    """Whether fitting takes no training by steps, so that it can be fitted anew as time goes on."""
    judges_learned: ClassVar[bool] = True
    """Whether what it says of windows that it has learned tells anything; if not, it is calibrated on others alone."""
    needs_contrast: ClassVar[bool] = False
    """Whether it cannot learn without pseudo-anomalies, and so is left out where none can be made."""

    @classmethod
    def create(cls, seed: int) -> Self:
        """A new detector; ``seed`` fixes whatever is random in fitting it."""
        return cls()

    @abstractmethod
    def fit(self, encoded: EncodedWindows, corrupted: EncodedWindows | None = None) -> None:
        """Learn what is normal; ``encoded.windows.counts`` weighs the windows.

        Only embeddings and lines are given, the surprise is zero: nothing is learned of it, so it is not asked for.
        ``corrupted`` holds pseudo-anomalies (see ``pseudo``) for a detector that learns from contrast.
        """

    @abstractmethod
    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Return float64 ``[n]``, finite, higher for stranger."""

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write safetensors and JSON files into ``directory``, which exists."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote."""
