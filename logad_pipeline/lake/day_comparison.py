"""Two days held against each other: templates that appeared, vanished or shifted.

Belongs here: counting the records of days by template and block of time. The test is ``evaluation.shift``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logad_pipeline.evaluation.shift import adjusted, shift_p_values

from .tables import Lake, LakeError

__all__ = ["BLOCKS", "TemplateShift", "compare_days"]

BLOCKS: Final = 288
"""Blocks of a day, of five minutes each."""
_BLOCK_US: Final = 86_400_000_000 // BLOCKS


@dataclass(frozen=True)
class TemplateShift:
    """A template whose frequency differs.

    Attributes:
        change: ``appeared`` and ``vanished`` where one of the days has none.
        text: the normalised line.
        before, after: records of it on either day.
        blocks_before, blocks_after: blocks of five minutes that hold one, of `BLOCKS`.
        p_value: of the difference between the days; ``q_value`` is corrected for the number of templates.
    """

    change: Literal["appeared", "vanished", "shifted"]
    text: str
    before: int
    after: int
    blocks_before: int
    blocks_after: int
    p_value: float
    q_value: float


def compare_days(lake: Lake, first: date, second: date, q: float = 0.05) -> list[TemplateShift]:
    """Templates that appeared or vanished, and those that shifted with a corrected p-value up to ``q``.

    Sorted by p-value, the more frequent first where it is the same. Memory holds 288 numbers a template.
    Records without a time are spread over the day in their order.

    Raises:
        LakeError: one of the days holds no record.
        ValueError: ``q`` is no share, or the days are the same.
    """
    if not 0 < q < 1:
        raise ValueError(f"q {q:g} is outside 0..1; 0.05 lets one of twenty be wrong")
    if first == second:
        raise ValueError(f"{first} is compared with itself; name two days")
    texts: dict[int, str] = {}
    counted = [_count(lake, day, texts) for day in (first, second)]
    ids = sorted(texts)
    before, after = (_table(counts, ids) for counts in counted)
    p_values = shift_p_values(before, after)
    q_values = adjusted(p_values)
    shifts = []
    for row, number in enumerate(ids):
        was, now = int(before[row].sum()), int(after[row].sum())
        if was and now and q_values[row] > q:
            continue
        shifts.append(
            TemplateShift(
                "shifted" if was and now else "appeared" if now else "vanished", texts[number], was, now,
                int((before[row] > 0).sum()), int((after[row] > 0).sum()), float(p_values[row]), float(q_values[row]),
            )
        )  # fmt: skip
    return sorted(shifts, key=lambda each: (each.p_value, -each.before - each.after, each.text))


def _count(lake: Lake, day: date, texts: dict[int, str]) -> dict[tuple[int, int], int]:
    counts: dict[tuple[int, int], int] = {}
    records = sum(batch.num_rows for batch in lake.scan("normalized", [day], ["record_id"]))
    if not records:
        raise LakeError(f"{day}: no record in the lake at {lake.root}; `logad run` prepares landed days")
    for ids, blocks in _placed(lake, day, records, texts):
        pairs, often = np.unique(np.stack([ids, blocks]), axis=1, return_counts=True)
        for number, block, count in zip(*pairs.tolist(), often.tolist(), strict=True):
            counts[number, block] = counts.get((number, block), 0) + count
    return counts


def _placed(
    lake: Lake, day: date, records: int, texts: dict[int, str]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    for batch in lake.scan("normalized", [day], ["text_id", "text", "timestamp", "record_id"]):
        ids = batch.column("text_id").to_numpy()
        new, at = np.unique(ids, return_index=True)
        texts |= {int(number): batch.column("text")[int(row)].as_py() for number, row in zip(new, at, strict=True)
                  if int(number) not in texts}  # fmt: skip
        times = batch.column("timestamp").cast(pa.int64())
        by_time = times.fill_null(0).to_numpy() // _BLOCK_US % BLOCKS
        by_order = batch.column("record_id").to_numpy() * BLOCKS // records
        yield ids, np.where(times.is_null().to_numpy(zero_copy_only=False), by_order, by_time)


def _table(counts: dict[tuple[int, int], int], ids: list[int]) -> npt.NDArray[np.int64]:
    rows = {number: row for row, number in enumerate(ids)}
    out = np.zeros((len(ids), BLOCKS), dtype=np.int64)
    for (number, block), count in counts.items():
        out[rows[number], block] = count
    return out
