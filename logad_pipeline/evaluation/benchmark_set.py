"""What a labelled set is to a benchmark: files to learn from, files to judge, and the truth about units.

Belongs here: the types, the finding of a set's files, and the writing of lines with a record of where
each came from. Not here: the sets themselves, each in its own module, and anything that fits or scores.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from logad_pipeline.logs.reader import open_log, read_lines
from logad_pipeline.streams import ReadSpec
from logad_pipeline.windows import WindowSpec

BoolArray = NDArray[np.bool_]
Unit = Literal["group", "file", "window"]

TRAIN_SHARE: Final = 0.4
"""The first share of a set in time that training may see, whatever the set counts: lines, rounds, runs."""
_ENDINGS: Final = ("", ".xz", ".gz", ".zst")


class SetNotFound(Exception):
    """A set, or a file of it, is not where it was looked for; the text says which and what to do."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Where lines of a written file came from.

    Attributes:
        source: the source file, relative to the folder of the set.
        lines: int64 ``[n]``, 1-based line numbers in it, in the order written.
        stream: what runs in time: a host, or the set as a whole. Within a stream a later ``ordinal``, and
            within one ordinal a later line, is later in time.
        ordinal: place of the source in its stream, 0 where the stream is one file.
    """

    source: str
    lines: NDArray[np.int64]
    stream: str
    ordinal: int = 0


@dataclass(frozen=True, eq=False)
class BenchmarkPart:
    """One model is fitted on ``train`` and judges ``test``.

    Attributes:
        name: such as ``10.0.20.21``; ``""`` where the set has one part.
        train, test: files of raw lines below the work folder, original bytes, in time order; no two have
            the same name.
        truth: for units ``group``, group key to whether it is anomalous; a group that is not among them is
            not judged. For units ``file``, file name (``Path.name``) to the same. Else ``None``.
        line_truth: for units ``window``, test file name to bool ``[lines]``, index 0 being line 1: a window
            is anomalous if any of its lines is. Else ``None``.
        provenance: name of each written file to the origins of its lines.
    """

    name: str
    train: tuple[Path, ...]
    test: tuple[Path, ...]
    truth: Mapping[str, bool] | None
    line_truth: Mapping[str, BoolArray] | None
    provenance: Mapping[str, tuple[Origin, ...]]


@dataclass(frozen=True, eq=False)
class BenchmarkSet:
    """A labelled set, split in time.

    Attributes:
        name, description: what it is called and what it is.
        unit: what is judged: a ``group`` (all lines of a key), a ``file``, or a ``window``.
        window_spec, read_spec: how its lines are cut and read; the score of a group or a file is that of
            its worst window.
        parts: one a model.
        training: in words, how the training units were chosen and whether labels had a say in that.
        label_words: words by which the source names its labels; none may stand where a model could read
            it as a column or in a file's name.
    """

    name: str
    description: str
    unit: Unit
    window_spec: WindowSpec
    read_spec: ReadSpec
    parts: tuple[BenchmarkPart, ...]
    training: str
    label_words: frozenset[str] = frozenset()


class LineFile:
    """A file of raw lines being written, which remembers where each line came from."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._stream = path.open("wb")
        self._ended = True
        self._lines: dict[tuple[str, str, int], array[int]] = {}

    def write(self, line: bytes, number: int, source: str, stream: str = "", ordinal: int = 0) -> None:
        """Add a line with its line end; a source's last line may lack it, and gets one if another follows."""
        if not self._ended:
            self._stream.write(b"\n")
        self._stream.write(line)
        self._ended = line.endswith(b"\n")
        self._lines.setdefault((source, stream, ordinal), array("q")).append(number)

    def close(self) -> tuple[Origin, ...]:
        """Close the file; where its lines came from."""
        self._stream.close()
        return tuple(
            Origin(source, np.frombuffer(numbers, dtype=np.int64), stream, ordinal)
            for (source, stream, ordinal), numbers in self._lines.items()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()


@dataclass(frozen=True)
class Layout:
    """The files by which a set is known, each by what it is for: role to the names it may have."""

    name: str
    files: Mapping[str, tuple[str, ...]]

    def found(self, folder: Path) -> dict[str, Path]:
        """Those of the files that are in ``folder``, plain or compressed."""
        return {
            role: path for role, names in self.files.items() if (path := find_file(folder, names)) is not None
        }  # fmt: skip

    def __str__(self) -> str:
        return " with ".join(" or ".join(names) for names in self.files.values())


def find_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of ``names`` that is a file in ``folder``, as it is or with the ending of a compression."""
    tries = (folder / f"{name}{ending}" for name in names for ending in _ENDINGS)
    return next((path for path in tries if path.is_file()), None)


def locate(name: str, data: Path, folders: Sequence[str], layouts: Sequence[Layout]) -> tuple[str, dict[str, Path]]:
    """Find a set in ``data``, or in one of ``folders`` below it.

    Returns:
        The name of its layout, and the path of each role.

    Raises:
        SetNotFound: naming what is missing where most of it was found.
    """
    if not data.is_dir():
        raise SetNotFound(f"{data}: no such folder; pass --data the folder of the set '{name}' or the one above it")
    best: tuple[int, str] = (0, "")
    for folder in (data, *(data / below for below in folders)):
        for layout in layouts:
            found = layout.found(folder)
            missing = [names[0] for role, names in layout.files.items() if role not in found]
            if not missing:
                return layout.name, found
            if len(found) > best[0]:
                best = (len(found), f"{folder}: {', '.join(missing)} missing; put it beside {min(found.values()).name}")
    if best[0]:
        raise SetNotFound(f"set '{name}': {best[1]}")
    wanted = "; or ".join(map(str, layouts))
    raise SetNotFound(
        f"set '{name}': neither {data} nor {', '.join(folders)} below it holds it; wanted: {wanted} "
        "(each may be .xz, .gz or .zst); pass --data the folder of the set or the one above it"
    )


def source_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """1-based number and bytes of each line of a file, plain or compressed, in one pass."""
    with open_log(path) as stream:
        yield from enumerate(read_lines(stream), 1)


def count_lines(path: Path, limit: int | None = None) -> int:
    """Number of lines of a file, ``limit`` at most."""
    total = 0
    for total, _ in source_lines(path):
        if total == limit:
            break
    return total


def label_text(path: Path) -> str:
    """A small file of labels as text, plain or compressed."""
    with open_log(path) as stream:
        return stream.read().decode("utf-8", "replace")


def csv_rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Rows of a table of labels, plain or compressed.

    Raises:
        SetNotFound: if a column is missing.
    """
    with open_log(path) as stream, io.TextIOWrapper(stream, encoding="utf-8", newline="") as text:
        reader = csv.DictReader(text)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise SetNotFound(f"{path}: no column {', '.join(missing)} in its first line; fetch the file again")
        yield from reader


def only_variants(name: str, variant: str, known: Sequence[str]) -> None:
    """Refuse a variant that the set, as it lies there, does not have.

    Raises:
        ValueError: naming those it has.
    """
    if variant not in known:
        words = ", ".join(repr(word) for word in known)
        raise ValueError(f"set '{name}' has no variant '{variant}' in this layout; use one of {words}")
