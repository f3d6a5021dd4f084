"""From log files to verdicts on units: sessions, files and spans of time judged whole.

Belongs here: collecting the windows of a source with their p-values and judging the units they make up.
Reading and windows are in ``streams``, the judging itself in ``detectors.unit_model``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from logad_pipeline.detectors.adaptive import AdaptiveThreshold
from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.detectors.unit_model import UnitModel
from logad_pipeline.detectors.units import UnitKind, gather
from logad_pipeline.streams import FileScorer, LineAccount, LineWindow, ReadSpec, WindowVerdict
from logad_pipeline.windows import WindowSpec


@dataclass(frozen=True, slots=True)
class UnitVerdict:
    """A unit with what the model says of it.

    Attributes:
        unit: its kind, as ``UnitKind.parse`` reads it.
        source, group: where it was cut from; ``""`` where the unit is no group.
        first_line, last_line: 1-based, of its windows.
        windows: how many.
        time_us: of its first dated record, microseconds since 1970, or ``None``.
        score, risk, is_anomaly, detectors: as for a window; ``log10_p`` is the p-value behind the score.
        worst: its window with the highest score.
    """

    unit: str
    source: str
    group: str
    first_line: int
    last_line: int
    windows: int
    time_us: int | None
    score: float
    log10_p: float
    risk: str
    is_anomaly: bool
    detectors: dict[str, float]
    worst: WindowVerdict

    @property
    def least_expected(self) -> int:
        """First physical line of the record that was expected least in its worst window."""
        return self.worst.least_expected

    def to_dict(self, model_version: str) -> dict[str, Any]:
        """The verdict as JSON-ready values: what ``logad detect --unit … --json`` writes."""
        names = (
            "unit", "source", "group", "first_line", "last_line", "windows", "score", "risk", "is_anomaly", "detectors",
        )  # fmt: skip
        told = {name: getattr(self, name) for name in names}
        return told | {"worst": self.worst.to_dict(model_version), "model_version": model_version}


class UnitScorer:
    """Scores the units of sources; a source is read to its end before its units are judged.

    Memory holds a row a window of the source.
    """

    def __init__(
        self,
        model: AnomalyDetector,
        kind: UnitKind,
        window_spec: WindowSpec | None = None,
        read: ReadSpec | None = None,
        *,
        adaptive: bool = False,
    ) -> None:
        """Calibrate units of ``kind`` for ``model``; ``adaptive`` as for :class:`FileScorer`.

        Raises:
            ValueError: if windows are not cut within the groups that are to be judged.
            TooFewUnits: if the model's normal logs hold too few such units.
        """
        spec = window_spec or model.window_spec
        if kind.kind == "group" and spec.group_by == "none":
            raise ValueError("unit 'group' needs windows cut within a group; fit the model with --group-by")
        self.kind = kind
        self.model = model
        self.files = FileScorer(model, spec, read)
        self._threshold = AdaptiveThreshold(model.scale.false_alarm_rate) if adaptive else None
        self.unit_model = UnitModel.fit(model.reference, list(model.names), kind, model.scale)

    @property
    def account(self) -> LineAccount:
        """What became of the lines read so far."""
        return self.files.account

    def score(self, source: str, stream: BinaryIO | None = None) -> Iterator[UnitVerdict]:
        """Yield a verdict for each unit of ``source``, in the order in which units begin."""
        model = self.model
        windows: list[LineWindow] = []
        parts: list[dict[str, np.ndarray[Any, Any]]] = []
        for some, log10_p in self.files.log10_p(source, stream):
            windows += some
            parts.append(log10_p)
        log10_p = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        keys = [self.kind.key(w.source, w.group, w.time_us, row) for row, w in enumerate(windows)]
        unique = np.array([window.unique for window in windows], dtype=np.int64)
        table = gather(keys, unique, self.files.reader.index.build())
        units, single = self.unit_model.judge(table, log10_p, self._threshold), model.judge(log10_p)
        for number in range(len(table)):
            rows = table.rows[table.offsets[number] : table.offsets[number + 1]]
            held = [windows[row] for row in rows]
            worst = int(rows[np.argmax(single.score[rows])])
            score = float(units.score[number])
            times = [window.time_us for window in held if window.time_us is not None]
            yield UnitVerdict(
                str(self.kind), source, held[0].group if self.kind.kind == "group" else "",
                min(w.spans[0][0] for w in held), max(w.lines[-1] for w in held), len(held), min(times, default=None),
                score, float(units.log10_p[number]), model.scale.risk(score), score >= THRESHOLD,
                {name: float(values[number]) for name, values in units.detectors.items()},
                self.files.verdict(windows[worst], single, worst),
            )  # fmt: skip
