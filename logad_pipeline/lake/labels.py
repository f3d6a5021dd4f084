"""Labels of lines that a person or an experiment marked as anomalous, to be held against scores.

Belongs here: reading ``labels/*.csv`` and carrying them over to windows. Does not: anything that trains,
calibrates or chooses a threshold; those must never see a label.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

import pyarrow as pa

from .tables import Lake, LakeError

__all__ = ["BadLabels", "label_windows", "read_labels"]

_NORMAL: Final = frozenset({"", "0", "-", "normal", "false", "no"})


class BadLabels(LakeError):
    """A file of labels cannot be read; the text says which, where and what it should hold."""


def read_labels(lake: Lake) -> dict[str, set[int]]:
    """The labelled sources, and the numbers of their anomalous lines. For evaluation only.

    Every ``*.csv`` in the lake's ``labels`` folder is read. It has a row a line, with the columns ``source``
    (as the ledger names it) and ``line_no`` (1-based, in the landed file), and names anomalous lines. Where
    it has a column ``label`` too, rows whose label is 0, normal, false, no, ``-`` or nothing name normal
    ones; a source with only such rows is labelled, and all normal. Sources with more than one landed file
    cannot be told apart by line numbers: do not label them.

    Raises:
        BadLabels: a column is missing, or a number is none.
    """
    labels: dict[str, set[int]] = {}
    for path in sorted(lake.path("labels").glob("*.csv")):
        try:
            _read_file(path, labels)
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadLabels(f"{path}: is no CSV in UTF-8 ({error}); save it as one") from error
    return labels


def _read_file(path: Path, labels: dict[str, set[int]]) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for name in ("source", "line_no"):
            if name not in (reader.fieldnames or ()):
                raise BadLabels(f"{path}: has no column '{name}'; the first row must name source and line_no")
        for row in reader:
            lines = labels.setdefault(row["source"], set())
            label = row.get("label", "1")
            try:
                number = int(row["line_no"])
            except (TypeError, ValueError) as error:
                raise BadLabels(
                    f"{path} line {reader.line_num}: line_no '{row['line_no']}' is no number; "
                    "give the line's 1-based number"
                ) from error
            if (label or "").strip().lower() not in _NORMAL:
                lines.add(number)


def label_windows(batch: pa.RecordBatch, labels: dict[str, set[int]]) -> pa.BooleanArray:
    """Whether each window holds an anomalous line; null where its source has no labels at all.

    For evaluation only: labels never reach training, calibration or thresholds. A label counts where it
    stands on the first line of a record.

    Args:
        batch: rows of `windows` or `scores`, with the columns ``source`` and ``lines``.
        labels: what `read_labels` gave.

    Returns:
        bool ``[rows]``, with nulls.
    """
    marks: list[bool | None] = []
    for source, lines in zip(batch.column("source").to_pylist(), batch.column("lines").to_pylist(), strict=True):
        marked = labels.get(source)
        marks.append(None if marked is None else not marked.isdisjoint(lines))
    return pa.array(marks, pa.bool_())
