"""Judging units: sessions, files and spans of time, calibrated on held-out normal units of the same kind.

Belongs here: how the p-values of a unit's windows rise to the unit, what is looked at in the unit as a
whole, and their fusion. Which windows a unit holds is ``units``; nothing here reads an encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from logad_pipeline.detectors.adaptive import AdaptiveThreshold
from logad_pipeline.detectors.base import Detector, EncodedWindows, FloatArray
from logad_pipeline.detectors.calibration import BEYOND, Calibration, ScoreScale, fuse
from logad_pipeline.detectors.counts import UnitCounts
from logad_pipeline.detectors.ensemble import Judged
from logad_pipeline.detectors.events import Events
from logad_pipeline.detectors.fusion import Fusion
from logad_pipeline.detectors.length import Length
from logad_pipeline.detectors.pseudo import corrupt
from logad_pipeline.detectors.reference import Reference
from logad_pipeline.detectors.unit_reference import split_units
from logad_pipeline.detectors.units import UnitKind, UnitTable
from logad_pipeline.detectors.unseen import UnseenLines
from logad_pipeline.windows import IntArray, WindowSet

UNIT_PREFIX: Final = "unit_"
_WHOLE: Final[tuple[type[Detector], ...]] = (UnitCounts, Events, UnseenLines, Length)
_BROKEN: Final = 400
_FOLDS: Final = 8
_FEW: Final = 50
"""Units below which a calibration of their own says too little."""
_OF_FEW: Final = 40.0
"""More decades that a channel's tail is taken at its word, times units: few show little of how rare anything is, and
which of two is the odder must then be told by how far out they lie."""
_MIN_HELD_OUT: Final = 3


class TooFewUnits(ValueError):
    """The normal logs of a model hold too few units of a kind to calibrate on."""


@dataclass(frozen=True)
class _Risen:
    """Two ways up from windows to a unit, each calibrated on held-out units, and both together."""

    mean: Calibration
    worst: Calibration
    both: Calibration

    def log10_p(self, mean: FloatArray, worst: FloatArray) -> FloatArray:
        """The p-values of units."""
        both = fuse([self.mean.log10_p_value(mean), self.worst.log10_p_value(worst)])
        return self.both.log10_p_value(both)


@dataclass(frozen=True)
class _Known:
    """Each channel's p-values of units that were held out, of ones learned from, and of broken ones."""

    held: dict[str, FloatArray]
    learned: dict[str, FloatArray]
    broken: dict[str, FloatArray]

    def without(self, names: Sequence[str]) -> _Known:
        kept = [{n: p for n, p in part.items() if n not in names} for part in (self.held, self.learned, self.broken)]
        return _Known(*kept)


class UnitModel:
    """Scores units from the p-values of their windows and from their lines as a whole.

    A detector's p-values over the ``n`` windows of a unit rise in two ways: their mean rarity, which sees
    what is a little odd throughout, and the least one as the least of ``n`` would be
    (``1 - (1 - p)^n``, Šidák, 1967), which sees one odd window and does not favour units of many. Both are
    calibrated on held-out normal units, and the harmonic mean of their p-values once more. Beside them
    stand the detectors of bags, of unseen lines and of length, fitted on whole units. The weights of all are
    learned as for windows, from units with broken windows in them.

    When it does not work: with a dozen held-out units a rate of one in a hundred is an extrapolation, by the fused
    p-values alone and a cautious one, which misses more than a model of many units does. A unit far longer or
    shorter than any held-out one is compared with what there was.
    """

    def __init__(
        self,
        whole_unit: dict[str, Detector],
        calibrations: dict[str, Calibration],
        risen: dict[str, _Risen],
        known: _Known,
        scale: ScoreScale,
        reference: Reference,
    ) -> None:
        self._whole = whole_unit
        self._calibrations = calibrations
        self._risen = risen
        self._known = known
        self._scale = scale
        self._reference = reference
        names = list(known.held)
        self.fusion = Fusion.fit(names, _stacked(known.held), _stacked(known.broken))
        # What is seen of a unit as a whole counts as much as what is seen of its windows.
        self.fusion = self.fusion.with_share(list(whole_unit), 0.5)
        self._fused = _calibration(self.fusion(known.held), self.fusion(known.learned), decades=True)

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
        units = split_units(reference, kind)
        if len(units.held) < _MIN_HELD_OUT or not len(units.learned):
            raise TooFewUnits(
                f"the normal logs hold {len(units.learned)} whole units of '{kind}' to learn from and "
                f"{len(units.held)} later ones to calibrate on, at least {_MIN_HELD_OUT} are needed; fit on more logs, "
                "or ask for smaller units"
            )
        held: dict[str, FloatArray] = {}
        learned: dict[str, FloatArray] = {}
        risen, calibrations = {}, {}
        for name in names:
            risen[name], held[name], learned[name] = _raise(
                *(_both_ways(reference.column(name, table.rows), table.offsets) for table in (units.held, units.read))
            )
        whole = _WHOLE if _several_windows(units.learned) else ()
        # What is held out is judged by detectors that have not learned it; in service they have.
        earlier = _fit_whole(whole, units.learned.bags)
        whole_unit = _fit_whole(whole, units.learned.bags.joined(units.held.bags))
        for name, detector in earlier.items():
            scores = detector.score(EncodedWindows.unread(units.held.bags))
            before = _left_out(type(detector), units.learned)
            # Where few units are held out, those that were learned from, each left out in turn, stand among them.
            few = len(scores) < _FEW
            calibrations[name] = _calibration(np.concatenate([scores, before]) if few else scores,
                                              np.zeros(0) if few else before)  # fmt: skip
            held[name] = calibrations[name].log10_p_value(scores)
            learned[name] = calibrations[name].log10_p_value(before[units.which_are_read])
        broken = _log10_p(earlier, calibrations, risen, *_break(units.held, reference, names, seed))
        return cls(whole_unit, calibrations, risen, _Known(held, learned, broken), scale, reference)

    def without(self, *names: str) -> UnitModel:
        """The same with some detectors left out, its weights learned and its fusion calibrated anew.

        Raises:
            ValueError: if none would be left.
        """
        whole_unit = {name: part for name, part in self._whole.items() if name not in names}
        risen = {name: part for name, part in self._risen.items() if name not in names}
        if not (whole_unit or risen):
            raise ValueError(f"without {', '.join(names)} no detector is left to judge units")
        known = self._known.without(names)
        return UnitModel(whole_unit, self._calibrations, risen, known, self._scale, self._reference)

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
        values = _log10_p(self._whole, self._calibrations, self._risen, table, rows)
        fused = self._fused.log10_p_value(self.fusion(values))
        adapted = fused
        if threshold:
            adapted = threshold.adapted(fused, table.bags.kinds(), self._reference.novel(table.bags))
        return Judged(self._scale.score(adapted), fused, {n: self._scale.score(v) for n, v in values.items()})


def _log10_p(
    whole_unit: Mapping[str, Detector],
    calibrations: Mapping[str, Calibration],
    risen: Mapping[str, _Risen],
    table: UnitTable,
    rows: Mapping[str, FloatArray],
) -> dict[str, FloatArray]:
    """Each channel's p-values of units; ``rows`` are those of their windows, unit after unit."""
    values = {name: way.log10_p(*_both_ways(rows[name], table.offsets)) for name, way in risen.items()}
    encoded = EncodedWindows.unread(table.bags)
    for name, detector in whole_unit.items():
        values[name] = calibrations[name].log10_p_value(detector.score(encoded))
    return values


def _several_windows(table: UnitTable) -> bool:
    """Whether units hold more than a window each; where they do not, the windows' detectors have seen it all."""
    return bool(len(table.rows) > 1.05 * len(table))


def _fit_whole(kinds: Sequence[type[Detector]], bags: WindowSet) -> dict[str, Detector]:
    detectors = {UNIT_PREFIX + kind.name: kind() for kind in kinds}
    for detector in detectors.values():
        detector.fit(EncodedWindows.unread(bags))
    return detectors


def _left_out(kind: type[Detector], learned: UnitTable) -> FloatArray:
    """Scores of the units learned from, each by a detector that has not seen it nor its neighbours in time."""
    scores = np.zeros(len(learned))
    for fold in np.array_split(np.arange(len(learned)), min(_FOLDS, len(learned))):
        rest = np.setdiff1d(np.arange(len(learned)), fold)
        if len(rest):
            detector = kind()
            detector.fit(EncodedWindows.unread(learned.bags.take(rest)))
            scores[fold] = detector.score(EncodedWindows.unread(learned.bags.take(fold)))
    return scores


def _calibration(held: FloatArray, learned: FloatArray, *, decades: bool = False) -> Calibration:
    """Calibrate on held-out units, and on those learned from where they are more than a handful."""
    trusted = BEYOND if decades else BEYOND + _OF_FEW / len(held)
    return Calibration.fit(held, learned if len(learned) >= _FEW else None, decades=decades, trusted=trusted)


def _raise(
    held: tuple[FloatArray, FloatArray], learned: tuple[FloatArray, FloatArray]
) -> tuple[_Risen, FloatArray, FloatArray]:
    """Calibrate both ways up from the windows of units, and both together; the p-values of the units."""
    mean, worst = (_calibration(*pair) for pair in zip(held, learned, strict=True))
    both = [fuse([mean.log10_p_value(part[0]), worst.log10_p_value(part[1])]) for part in (held, learned)]
    risen = _Risen(mean, worst, _calibration(*both))
    return risen, risen.both.log10_p_value(both[0]), risen.both.log10_p_value(both[1])


def _stacked(columns: Mapping[str, FloatArray]) -> FloatArray:
    return np.stack(list(columns.values()), axis=1)


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
    rows = []
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
    bags = WindowSet.of_lines(lines)
    offsets = np.concatenate(([0], np.cumsum([len(each) for each in rows]))).astype(np.int64)
    values = np.concatenate(rows).astype(np.float64)
    table = UnitTable(bags, np.arange(len(values)), offsets)
    return table, {name: values[:, column] for column, name in enumerate(names)}


def _texts(windows: WindowSet, rows: IntArray) -> list[str]:
    return [windows.texts[i] for i in windows.line_ids[windows.places(rows)]]
