"""What a day shows of drift: records that read as none did in training, and scores that lie elsewhere than before.

Records are counted rather than templates: a new template weighs as much as is logged of it, and the long tail of
those that come once or twice, of which every day brings new ones, is no drift.

Belongs here: measuring a day's windows against a model. Does not: the decision to train anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.ensemble import FUSION, AnomalyDetector
from logad_pipeline.evaluation.drift import MIN_VALUES, bin_edges, population_stability, shares
from logad_pipeline.windows import IntArray, text_id

__all__ = ["DriftGauge", "gauge_of"]

_GAUGES: Final = 4


@dataclass(frozen=True, eq=False)
class _Normal:
    """What a model takes for normal: its texts, and where the scores of its held-out windows lay."""

    text_ids: IntArray
    edges: FloatArray
    expected: FloatArray


class DriftGauge:
    """Gathers the windows of a day, and says how far they are from what the model learned.

    Attributes:
        records: in those windows.
        unseen: of them, with a text that the model has not learned from.
    """

    def __init__(self, normal: _Normal) -> None:
        self._normal = normal
        self._rows: list[FloatArray] = []
        self.records = 0
        self.unseen = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows of `scores`."""
        self.records += len(batch.column("text_ids").flatten())
        self.unseen += int(batch.column("unseen").to_numpy().sum())
        self._rows.append(batch.column("log10_p").to_numpy())

    def unseen_in(self, batch: pa.RecordBatch) -> list[int]:
        """How many records of each window have a text that the model has not learned from."""
        ids = batch.column("text_ids")
        unseen = ~np.isin(ids.flatten().to_numpy(), self._normal.text_ids)
        ends = np.cumsum(np.concatenate(([0], ids.value_lengths().to_numpy())))
        before = np.concatenate(([0], np.cumsum(unseen)))
        return list((before[ends[1:]] - before[ends[:-1]]).tolist())

    @property
    def psi(self) -> float | None:
        """Population stability of the scores; ``None`` with too few windows to tell."""
        values = np.concatenate([np.zeros(0), *self._rows])
        if len(values) < MIN_VALUES or len(self._normal.expected) < 2:
            return None
        return population_stability(self._normal.expected, shares(values, self._normal.edges))


def gauge_of(model: AnomalyDetector) -> DriftGauge:
    """A new gauge for a day that this model judges."""
    known = _KNOWN.get(model.version)
    if known is None or not model.version:
        known = _normal_of(model)
        if len(_KNOWN) >= _GAUGES:
            _KNOWN.clear()
        _KNOWN[model.version] = known
    return DriftGauge(known)


_KNOWN: dict[str, _Normal] = {}


def _normal_of(model: AnomalyDetector) -> _Normal:
    reference = model.reference
    rows = reference.held_out()
    held_out = model.calibrations[FUSION].log10_p_value(model.fusion(reference.columns(rows)))
    edges = bin_edges(held_out)
    texts = np.array(sorted(text_id(text) for text in reference.known_texts), dtype=np.int64)
    return _Normal(texts, edges, shares(held_out, edges))
