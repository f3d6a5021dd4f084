"""What every detector of single records is.

Belongs here: the contract of the family that looks at what the masks hide. Windows, and the detectors that
look at them, are in ``base``; reading the facts out of a record is in ``logs.facts``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.logs.facts import RecordFacts


class RecordDetector(ABC):
    """One way of telling how unlike the normal records a single raw record is.

    Detectors of windows see the kinds of events and their order; who, from where and how much is masked, so
    that equal windows are scored once. A detector of this family looks at just that, a record at a time. It
    learns from the records of days that are supposed normal and gives each record one number in nats, the
    negative logarithm of a probability, higher for stranger. The numbers of different detectors are not
    comparable before calibration (:mod:`~logad_pipeline.detectors.calibration`).

    When it does not work: a record that is normal in itself and strange only by what stands around it is
    not found here, and whoever was at work in the training days counts as normal.
    """

    name: ClassVar[str]

    @abstractmethod
    def fit(self, facts: Sequence[RecordFacts], seed: int) -> None:
        """Learn what is normal from all training records, in time order; ``seed`` fixes whatever is random."""

    @abstractmethod
    def score(self, facts: Sequence[RecordFacts]) -> FloatArray:
        """Return float64 ``[n]``, finite, at least 0, higher for stranger, for records in time order.

        A record that holds nothing the detector looks at scores 0.

        Raises:
            RuntimeError: if the detector was not fitted.
        """

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write safetensors and JSON files into ``directory``, which exists.

        Raises:
            RuntimeError: if the detector was not fitted.
        """

    @classmethod
    @abstractmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote."""
