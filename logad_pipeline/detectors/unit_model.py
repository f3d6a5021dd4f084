"""Judging units: sessions, files and spans of time, calibrated on held-out normal units of the same kind.

Belongs here: how the p-values of a unit's windows rise to the unit, what is looked at in the unit as a
whole, and their fusion. Which windows a unit holds is ``units``; nothing here reads an encoder.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from logad_pipeline.detectors.adaptive import AdaptiveThreshold
from logad_pipeline.detectors.base import Detector, EncodedWindows, FloatArray
from logad_pipeline.detectors.calibration import Calibration, ScoreScale, TailCalibration, fuse
from logad_pipeline.detectors.counts import UnitCounts
from logad_pipeline.detectors.ensemble import Judged
from logad_pipeline.detectors.events import Events
from logad_pipeline.detectors.fusion import Fusion
from logad_pipeline.detectors.length import Length
from logad_pipeline.detectors.pseudo import corrupt
from logad_pipeline.detectors.reference import CHOOSE, NO_TIME, Reference
from logad_pipeline.detectors.trimming import odd_ones_out
from logad_pipeline.detectors.units import UnitKind, UnitTable, gather, whole
from logad_pipeline.windows import IntArray, WindowIndex, WindowSet

UNIT_PREFIX: Final = "unit_"
_WHOLE: Final[tuple[type[Detector], ...]] = (UnitCounts, Events, Length)
_BROKEN: Final = 400
_FOLDS: Final = 8
_FEW: Final = 50
"""Held-out units below which those that were learned from, each left out in turn, are counted among them."""
_MIN_HELD_OUT: Final = 3


class TooFewUnits(ValueError):
    """The normal logs of a model hold too few units of a kind to calibrate on."""


@dataclass(frozen=True)
class _Risen:
    """Two ways up from windows to a unit, each calibrated on held-out units, and both together."""

    mean: Calibration
    worst: Calibration
    both: Calibration


class UnitModel:
    """Scores units from the p-values of their windows and from their lines as a whole.

    A detector's p-values over the ``n`` windows of a unit rise in two ways: their mean rarity, which sees
    what is a little odd throughout, and the least one as the least of ``n`` would be
    (``1 - (1 - p)^n``, Šidák, 1967), which sees one odd window and does not favour units of many. Both are
    calibrated on held-out normal units, and the harmonic mean of their p-values once more. Beside them
    stand the detectors of bags and of length, fitted on whole units. The weights of all are learned as for
    windows, from units with broken windows in them.

    When it does not work: with a dozen held-out units a rate of one in a hundred is an extrapolation. A
    unit far longer or shorter than any held-out one is compared with what there was.
    """

    def __init__(
        self,
        whole_unit: dict[str, Detector],
        calibrations: dict[str, Calibration],
        risen: dict[str, _Risen],
        fusion: Fusion,
        fused: Calibration,
        scale: ScoreScale,
    ) -> None:
        self._whole = whole_unit
        self._calibrations = calibrations
        self._risen = risen
        self.fusion = fusion
        self._fused = fused
        self._scale = scale

    @classmethod
    def fit(
        cls, reference: Reference, names: Sequence[str], kind: UnitKind, scale: ScoreScale, seed: int = 0
    ) -> UnitModel:
        """Calibrate units of ``kind`` on the normal stream that a model was fitted on.

        Args:
            reference: that stream.
            names: the detectors to use: those of windows and records.
            kind: the unit.
            scale: from p-values to [0, 1].
            seed: of the broken units.

        Raises:
            TooFewUnits: with fewer than three whole units held out.
        """
        learned, held = _split_units(reference, kind)
        if len(held) < _MIN_HELD_OUT or not len(learned):
            raise TooFewUnits(
                f"the normal logs hold {len(learned)} whole units of '{kind}' to learn from and {len(held)} later "
                f"ones to calibrate on, at least {_MIN_HELD_OUT} are needed; fit on more logs, or ask for smaller units"
            )
        rarities: dict[str, FloatArray] = {}
        risen, calibrations = {}, {}
        for name in names:
            risen[name], rarities[name] = _raise(*_both_ways(reference.column(name, held.rows), held.offsets))
        whole_unit = _fit_whole(learned) if _several_windows(learned) else {}
        for name, detector in whole_unit.items():
            before = _left_out(type(detector), learned)
            calibrations[name], rarities[name] = _calibrate(
                detector.score(EncodedWindows.unread(held.bags)), before
            )
        columns = list(rarities)
        model = cls(whole_unit, calibrations, risen, _equal(columns), next(iter(risen.values())).both, scale)
        broken = model._log10_p(*_break(held, reference, names, seed))
        model.fusion = Fusion.fit(columns, np.stack(list(rarities.values()), axis=1),
                                  np.stack([broken[name] for name in columns], axis=1))  # fmt: skip
        # What is seen of a unit as a whole counts as much as what is seen of its windows.
        model.fusion = model.fusion.with_share(list(whole_unit), 0.5)
        model._fused, _ = _calibrate(model.fusion(rarities))
        return model

    def judge(
        self, table: UnitTable, log10_p: Mapping[str, FloatArray], threshold: AdaptiveThreshold | None = None
    ) -> Judged:
        """Score units.

        Args:
            table: the units over a stream of windows.
            log10_p: each detector's ``log10`` p-values of the windows of that stream, float64 ``[N]``.
            threshold: one that adapts over these units, which are in time order; ``None`` for a fixed one.
        """
        rows = {name: values[table.rows] for name, values in log10_p.items() if name in self._risen}
        values = self._log10_p(table, rows)
        fused = self._fused.log10_p_value(self.fusion(values))
        adapted = threshold.adapted(fused, table.bags.kinds()) if threshold else fused
        return Judged(self._scale.score(adapted), fused, {n: self._scale.score(v) for n, v in values.items()})

    def _log10_p(self, table: UnitTable, rows: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """Each channel's p-values of units; ``rows`` are those of their windows, unit after unit."""
        values = {}
        for name, risen in self._risen.items():
            mean, worst = _both_ways(rows[name], table.offsets)
            both = fuse([risen.mean.log10_p_value(mean), risen.worst.log10_p_value(worst)])
            values[name] = risen.both.log10_p_value(both)
        encoded = EncodedWindows.unread(table.bags)
        for name, detector in self._whole.items():
            values[name] = self._calibrations[name].log10_p_value(detector.score(encoded))
        return values


def _split_units(reference: Reference, kind: UnitKind) -> tuple[UnitTable, UnitTable]:
    """The units that lie wholly in the training part, and those wholly in what was held out, odd ones left out."""
    held_out = reference.part >= CHOOSE
    keys = _keys(reference, kind)
    uncut = np.array(whole(keys, held_out.tolist()))
    every = gather([keys[row] for row in np.flatnonzero(uncut)], reference.unique[uncut], reference.windows)
    odd = odd_ones_out(every.bags)
    strange = np.zeros(len(keys), dtype=np.bool_)
    strange[np.flatnonzero(uncut)[every.rows[np.repeat(odd, np.diff(every.offsets))]]] = True
    uncut &= ~strange
    tables = []
    for chosen in (uncut & ~held_out, uncut & held_out):
        rows = np.flatnonzero(chosen)
        table = gather([keys[row] for row in rows], reference.unique[rows], reference.windows)
        tables.append(UnitTable(table.bags, rows[table.rows], table.offsets))
    return tables[0], tables[1]


def _keys(reference: Reference, kind: UnitKind) -> list[Hashable]:
    """The unit of each window of the reference."""
    groups = ["" if group < 0 else int(group) for group in reference.group]
    times = [None if time == NO_TIME else int(time) for time in reference.time_us]
    return [
        kind.key(int(source), group, time, row)
        for row, (source, group, time) in enumerate(zip(reference.source, groups, times, strict=True))
    ]


def rate_for_budget(reference: Reference, kind: UnitKind, alerts_a_day: float) -> float:
    """The false-alarm rate that spends an alert budget, given how many units a normal day has.

    Raises:
        ValueError: if the budget is not above 0, or the normal logs carry no times to tell days by.
    """
    times = reference.time_us[reference.time_us != NO_TIME]
    days = (times.max() - times.min()) / 86_400_000_000 if len(times) else 0.0
    if alerts_a_day <= 0 or not days:
        raise ValueError(
            f"an alert budget of {alerts_a_day} a day needs a number above 0 and normal logs with times; "
            "give a false-alarm rate instead"
        )
    units_a_day = len(set(_keys(reference, kind))) / days
    return float(min(alerts_a_day / units_a_day, 0.5))


def _several_windows(table: UnitTable) -> bool:
    """Whether units hold more than a window each; where they do not, the windows' detectors have seen it all."""
    return bool(len(table.rows) > 1.05 * len(table))


def _fit_whole(learned: UnitTable) -> dict[str, Detector]:
    detectors = {}
    for kind in _WHOLE:
        detector = kind()
        detector.fit(EncodedWindows.unread(learned.bags))
        detectors[UNIT_PREFIX + kind.name] = detector
    return detectors


def _left_out(kind: type[Detector], learned: UnitTable) -> FloatArray:
    """Scores of the units learned from, each by a detector that has not seen it nor its neighbours in time."""
    scores = np.empty(len(learned))
    for fold in np.array_split(np.arange(len(learned)), min(_FOLDS, len(learned))):
        rest = np.setdiff1d(np.arange(len(learned)), fold)
        if len(rest):
            detector = kind()
            detector.fit(EncodedWindows.unread(learned.bags.take(rest)))
            scores[fold] = detector.score(EncodedWindows.unread(learned.bags.take(fold)))
    return scores


def _calibrate(held: FloatArray, learned: FloatArray | None = None) -> tuple[Calibration, FloatArray]:
    """Calibrate on held-out units, with what is known of those learned from; the former's p-values too."""
    if learned is not None and len(held) < _FEW:
        held_out, earlier = np.concatenate([held, learned]), None
    else:
        held_out, earlier = held, learned
    calibration = Calibration(
        TailCalibration.fit(held_out, np.ones(len(held_out), dtype=np.int64)),
        None if earlier is None else TailCalibration.fit(earlier, np.ones(len(earlier), dtype=np.int64)),
    )
    return calibration, calibration.log10_p_value(held)


def _raise(mean: FloatArray, worst: FloatArray) -> tuple[_Risen, FloatArray]:
    """Calibrate both ways up from the windows of held-out units, and both together; their p-values."""
    by_mean, mean_p = _calibrate(mean)
    by_worst, worst_p = _calibrate(worst)
    both, values = _calibrate(fuse([mean_p, worst_p]))
    return _Risen(by_mean, by_worst, both), values


def _equal(names: list[str]) -> Fusion:
    return Fusion(tuple(names), (1 / len(names),) * len(names))


def _both_ways(log10_p: FloatArray, offsets: IntArray) -> tuple[FloatArray, FloatArray]:
    """Mean rarity of each unit's windows, and the rarity of the rarest, given how many there are."""
    starts, sizes = offsets[:-1], np.diff(offsets)
    rarity = np.maximum(-log10_p, 0.0)
    mean = np.add.reduceat(rarity, starts) / sizes
    least = np.maximum.reduceat(rarity, starts)
    p = 10.0 ** -np.minimum(least, 12.0)
    # 1 - (1 - p)^n without loss at small p, where it is n p.
    several = -np.expm1(sizes * np.log1p(-np.minimum(p, 1 - 1e-12)))
    return mean, np.asarray(-np.log10(np.maximum(several, 1e-300)) + np.maximum(least - 12.0, 0.0))


def _break(
    held: UnitTable, reference: Reference, names: Sequence[str], seed: int
) -> tuple[UnitTable, dict[str, FloatArray]]:
    """Units with broken windows in them, and units broken as a whole, with the p-values of their windows."""
    rng = np.random.default_rng([seed, 79])
    columns = [reference.names.index(name) for name in names]
    normal, broken = reference.log10_p[:, columns], reference.broken_log10_p[:, columns]
    index, rows = WindowIndex(), []
    spoilt = corrupt(held.bags, _BROKEN // 2, seed)
    lines = [_texts(spoilt.windows, np.array([row])) for row in range(len(spoilt.windows))]
    rows += [normal[held.rows[held.offsets[unit] : held.offsets[unit + 1]]] for unit in spoilt.origins]
    for _ in range(_BROKEN // 2 if len(reference.broken) else 0):
        unit = int(rng.integers(len(held)))
        members = held.rows[held.offsets[unit] : held.offsets[unit + 1]]
        put_in = rng.integers(len(reference.broken), size=int(rng.integers(1, 4)))
        kept = np.delete(members, rng.integers(len(members)))
        rows.append(np.concatenate([normal[kept], broken[put_in]]))
        lines.append(_texts(reference.windows, reference.unique[kept]) + _texts(reference.broken, put_in))
    bags = _bags_of(index, lines)
    offsets = np.concatenate(([0], np.cumsum([len(each) for each in rows]))).astype(np.int64)
    values = np.concatenate(rows).astype(np.float64)
    table = UnitTable(bags, np.arange(len(values)), offsets)
    return table, {name: values[:, column] for column, name in enumerate(names)}


def _texts(windows: WindowSet, rows: IntArray) -> list[str]:
    return [windows.texts[i] for i in windows.line_ids[windows.places(rows)]]


def _bags_of(index: WindowIndex, lines: Sequence[Sequence[str]]) -> WindowSet:
    """One row for each of ``lines``, equal ones included."""
    ids = [np.array([index.text_id(text) for text in each], dtype=np.int32) for each in lines]
    offsets = np.concatenate(([0], np.cumsum([len(each) for each in ids]))).astype(np.int64)
    return WindowSet(index.texts, offsets, np.concatenate(ids), np.ones(len(ids), dtype=np.int64))
