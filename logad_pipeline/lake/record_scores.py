"""What the detectors of records say of a day: of each record, then of each window by its worst one.

Belongs here: scoring records in order and handing on the worst to windows. Windows themselves are scored in
`scoring`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np
import pyarrow as pa

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.windows import IntArray

from .record_facts import COLUMNS, FactReader, other_records
from .tables import Lake, in_record_order

__all__ = ["RecordScores"]


@dataclass(frozen=True)
class RecordScores:
    """What a model's detectors of records say of the ``n`` records of a day.

    Attributes:
        day: the day.
        model: whose detectors.
        scores: by detector, float64 ``[n]``, on its own scale.
        text_ids: int64 ``[n]``, the normalised text of each record, to tell whether windows hold the same.
    """

    day: date
    model: AnomalyDetector
    scores: Mapping[str, FloatArray]
    text_ids: IntArray

    @classmethod
    def of_day(cls, lake: Lake, day: date, model: AnomalyDetector) -> Self | None:
        """Score the records of a day in order, some thousands at a time.

        Memory holds 8 bytes a record for each detector, and 8 for its text.

        Returns:
            ``None`` if the model looks at no records, or the day was normalised without their facts.

        Raises:
            LakeDamaged: records of the day are missing in `normalized`.
        """
        if not model.record_detectors:
            return None
        reader = FactReader()
        parts: dict[str, list[FloatArray]] = {name: [] for name in model.record_detectors}
        text_ids: list[IntArray] = []
        for batch in in_record_order(lake.scan("normalized", [day], [*COLUMNS, "text_id"])):
            facts = reader.read(batch)
            if facts is None:
                return None
            for name, detector in model.record_detectors.items():
                parts[name].append(detector.score(facts))
            text_ids.append(batch.column("text_id").to_numpy())
        scores = {name: np.concatenate([np.zeros(0), *parts.pop(name)]) for name in list(parts)}
        return cls(day, model, scores, np.concatenate([np.zeros(0, np.int64), *text_ids]))

    def log10_p(self, batch: pa.RecordBatch) -> dict[str, FloatArray]:
        """Each detector's ``log10`` p-values of the worst record of each window, float64 ``[rows]``.

        Args:
            batch: rows of `windows` of the day, with the columns ``record_ids`` and ``text_ids``.

        Raises:
            LakeDamaged: the windows were cut from other records.
        """
        records = batch.column("record_ids")
        rows = records.flatten().to_numpy()
        if rows.max(initial=-1) >= len(self.text_ids) or not np.array_equal(
            self.text_ids[rows], batch.column("text_ids").flatten().to_numpy()
        ):
            raise other_records(self.day)
        starts = np.cumsum(np.concatenate(([0], records.value_lengths().to_numpy()[:-1])))
        return {
            name: self.model.record_log10_p(name, np.maximum.reduceat(scores[rows], starts))
            for name, scores in self.scores.items()
        }
