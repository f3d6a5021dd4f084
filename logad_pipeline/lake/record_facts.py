"""The facts of records as columns of `normalized`, and as objects again.

Belongs here: writing and reading those columns. Does not: what a fact is (`logad_pipeline.logs.facts`), and
what is unusual about one (`record_scores`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from itertools import accumulate, pairwise
from typing import Final

import pyarrow as pa

from logad_pipeline.logs.facts import Edge, RecordFacts

from .schemas import NORMALIZED
from .tables import HalfMade, Lake

__all__ = ["COLUMNS", "FactReader", "days_without_facts", "facts_columns", "other_records", "strings_of"]

COLUMNS: Final = ("record_id", "text", "severity_text", "edges", "numbers")
"""Of `normalized`: what `FactReader.read` has to see."""


def facts_columns(facts: Sequence[RecordFacts]) -> dict[str, pa.Array]:
    """The columns ``edges`` and ``numbers`` of rows with these facts."""
    edges, numbers = NORMALIZED.field("edges").type, NORMALIZED.field("numbers").type
    flat = [edge for each in facts for edge in each.edges]
    parts = [pa.array([edge[part] for edge in flat], pa.string()) for part in range(3)]
    structs = pa.StructArray.from_arrays(parts, fields=list(edges.value_type))
    values = pa.array([number for each in facts for number in each.numbers], pa.float64())
    return {
        "edges": pa.ListArray.from_arrays(_offsets([len(each.edges) for each in facts]), structs, type=edges),
        "numbers": pa.ListArray.from_arrays(_offsets([len(each.numbers) for each in facts]), values, type=numbers),
    }


def _offsets(lengths: Sequence[int]) -> pa.Array:
    return pa.array(accumulate(lengths, initial=0), pa.int32())


class FactReader:
    """Reads the facts of records from rows of `normalized`.

    With ``shared``, equal facts of all batches are one object, and equal edges too: for whoever keeps them.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self._known: dict[RecordFacts, RecordFacts] = {}
        self._edges: dict[tuple[Edge, ...], tuple[Edge, ...]] = {}

    def read(self, batch: pa.RecordBatch) -> list[RecordFacts] | None:
        """The facts of each row, or ``None`` if they were written before there were such columns.

        Args:
            batch: with the columns ``COLUMNS``.
        """
        edges, numbers = batch.column("edges"), batch.column("numbers")
        if edges.null_count or numbers.null_count:
            return None
        triples = list(zip(*map(strings_of, edges.flatten().flatten()), strict=True))
        values = numbers.flatten().to_pylist()
        rows = zip(
            strings_of(batch.column("text")), _slices(edges), _slices(numbers),
            strings_of(batch.column("severity_text")), strict=True,
        )  # fmt: skip
        facts = [RecordFacts(text, tuple(triples[e]), tuple(values[n]), level) for text, e, n, level in rows]
        return [self._one_of(each) for each in facts] if self._shared else facts

    def _one_of(self, facts: RecordFacts) -> RecordFacts:
        known = self._known.get(facts)
        if known is None:
            edges = self._edges.setdefault(facts.edges, facts.edges)
            known = RecordFacts(facts.template, edges, facts.numbers, facts.severity)
            self._known[known] = known
        return known


def strings_of(column: pa.Array) -> list[str]:
    """The strings of a column, equal ones as one object."""
    encoded = column.dictionary_encode()
    words: list[str] = encoded.dictionary.to_pylist()
    return [words[number] for number in encoded.indices.to_pylist()]


def _slices(lists: pa.ListArray) -> list[slice]:
    """Where the values of each list stand in ``lists.flatten()``."""
    return [slice(*ends) for ends in pairwise(accumulate(lists.value_lengths().to_pylist(), initial=0))]


def days_without_facts(lake: Lake, days: Collection[date]) -> list[date]:
    """Those of ``days`` whose records were normalised by a release that kept no facts of them.

    Raises:
        LakeNotFound, MissingTable: there is nothing to read.
    """
    lacking = []
    for day in sorted(days):
        batch = next(lake.scan("normalized", [day], ["edges", "numbers"]), None)
        if batch is not None and any(column.null_count for column in batch.columns):
            lacking.append(day)
    return lacking


def other_records(day: date) -> HalfMade:
    """The error of windows whose records are not those that `normalized` holds."""
    return HalfMade(f"windows, {day}: were cut from other records than normalized holds now; materialise windows again")
