"""What a model version has already said of a window: each unique window is scored once.

Belongs here: the store alone. Who asks is ``scoring``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Self

import numpy as np

from logad_pipeline.detectors.base import Float32Array, FloatArray

_AT_ONCE = 500


@dataclass(frozen=True)
class CachedScore:
    """What a model says of the texts of one window, whatever records they are of.

    Attributes:
        log10_p: float64 ``[k]``, the ``log10`` p-value of each detector of windows, in the model's order.
        cls: float32 ``[hidden]``, the [CLS] embedding.
        line_surprise: nats a token of each line.
    """

    log10_p: FloatArray
    cls: Float32Array
    line_surprise: tuple[float, ...]


def window_key(text_ids: Sequence[int]) -> bytes:
    """16 bytes that name a window by the normalised texts of its lines, in order."""
    return blake2b(np.asarray(text_ids, dtype="<i8").tobytes(), digest_size=16).digest()


class ScoreCache:
    """A file of scores by window, for one model version; safe for several processes at once."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(file, timeout=60)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS scores "
            "(window BLOB PRIMARY KEY, log10_p BLOB, cls BLOB, lines BLOB) WITHOUT ROWID"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, keys: Iterable[bytes]) -> dict[bytes, CachedScore]:
        """What is known of these windows; those that are not known are left out."""
        wanted = list(keys)
        found: dict[bytes, CachedScore] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            marks = ",".join("?" * len(part))
            query = f"SELECT window, log10_p, cls, lines FROM scores WHERE window IN ({marks})"
            with closing(self._connection.execute(query, part)) as rows:
                for window, log10_p, cls, lines in rows:
                    found[window] = CachedScore(
                        np.frombuffer(log10_p, dtype="<f8"),
                        np.frombuffer(cls, dtype="<f4"),
                        tuple(np.frombuffer(lines, dtype="<f4").tolist()),
                    )
        return found

    def put(self, scores: Mapping[bytes, CachedScore]) -> None:
        """Remember scores, all or none; a window that is known stays as it is."""
        rows = [
            (
                key,
                np.asarray(value.log10_p, dtype="<f8").tobytes(),
                np.asarray(value.cls, dtype="<f4").tobytes(),
                np.asarray(value.line_surprise, dtype="<f4").tobytes(),
            )
            for key, value in scores.items()
        ]
        with self._connection:
            self._connection.executemany("INSERT OR IGNORE INTO scores VALUES (?, ?, ?, ?)", rows)
