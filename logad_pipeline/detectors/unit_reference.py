"""The whole units that a model's normal stream holds, to learn from and to calibrate on.

Belongs here: gathering them from the reference. What is made of them is ``unit_model``.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.reference import CHOOSE, NO_TIME, Reference
from logad_pipeline.detectors.trimming import Trim, odd_ones_out
from logad_pipeline.detectors.units import UnitKind, UnitTable, gather, whole
from logad_pipeline.windows import IntArray


@dataclass(frozen=True)
class NormalUnits:
    """Whole units of a reference, odd ones left out.

    Attributes:
        learned: those in the training part.
        held: those in what was held out.
        read: those of ``learned`` whose windows' p-values are all known.
        which_are_read: where these stand in ``learned``, int64.
    """

    learned: UnitTable
    held: UnitTable
    read: UnitTable
    which_are_read: IntArray


def split_units(reference: Reference, kind: UnitKind) -> NormalUnits:
    """Gather the units of ``kind`` that no part of the split cuts in two."""
    held_out = reference.part >= CHOOSE
    keys = _keys(reference, kind)
    uncut = np.array(whole(keys, held_out.tolist()))
    every = gather([keys[row] for row in np.flatnonzero(uncut)], reference.unique[uncut], reference.windows)
    odd = odd_ones_out(every.bags, Trim.of_units(len(every)))
    strange = np.zeros(len(keys), dtype=np.bool_)
    strange[np.flatnonzero(uncut)[every.rows[np.repeat(odd, np.diff(every.offsets))]]] = True
    uncut &= ~strange

    def table(chosen: npt.NDArray[np.bool_]) -> UnitTable:
        rows = np.flatnonzero(chosen)
        made = gather([keys[row] for row in rows], reference.unique[rows], reference.windows)
        return UnitTable(made.bags, rows[made.rows], made.offsets)

    known = np.zeros(len(keys), dtype=np.bool_)
    known[reference.learned()] = True
    known &= np.array(whole(keys, known.tolist())) & uncut
    learned = table(uncut & ~held_out)
    return NormalUnits(learned, table(uncut & held_out), table(known),
                  np.flatnonzero(known[learned.rows[learned.offsets[:-1]]]))  # fmt: skip


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
