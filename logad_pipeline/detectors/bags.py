"""Windows as bags of events, and how far a bag lies from the mass of the normal ones.

Belongs here: the sparse vectors over templates (a template is a unique normalised line), their weights,
and the distance to a measure. The detectors that use them are in ``counts`` and ``events``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.measure import distance_to_measure
from logad_pipeline.windows import WindowSet, stand_ins

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Squash = Callable[[FloatArray], FloatArray]

MASS: Final = 0.2
"""Share of the normal windows a bag is compared with: more than an incident that hides among them."""
MAX_REFERENCE: Final = 4000
"""Distinct normal bags that are kept; of more, the most frequent ones and a regular sample of the rest."""
_ROWS_AT_ONCE: Final = 512


def root(counts: FloatArray) -> FloatArray:
    """Square roots, which even out the spread of large and small counts."""
    return np.asarray(np.sqrt(counts))


def presence(counts: FloatArray) -> FloatArray:
    """1 where there is one or more."""
    return np.asarray(np.sign(counts))


@dataclass(frozen=True)
class Bags:
    """Sparse counts of ``n`` windows: known templates as columns, unseen ones apart.

    Attributes:
        known: float64 CSR ``[n, templates]``, how often each known template is in the window.
        unseen: float64 CSR ``[n, unseen texts]``, the same for texts that were not in the vocabulary.
    """

    known: csr_matrix
    unseen: csr_matrix


class BagVocabulary:
    """Templates by number."""

    def __init__(self, templates: Sequence[str]) -> None:
        self.templates = list(templates)
        self._columns = {text: column for column, text in enumerate(self.templates)}

    @classmethod
    def of(cls, windows: WindowSet) -> Self:
        """The templates that occur in ``windows``, in the order of their text."""
        return cls(sorted({windows.texts[i] for i in np.unique(windows.line_ids)}))

    def __len__(self) -> int:
        return len(self.templates)

    def bags(self, windows: WindowSet) -> Bags:
        """Count the lines of each window."""
        from scipy.sparse import csr_matrix

        used, place = np.unique(windows.line_ids, return_inverse=True)
        columns = np.array([self._columns.get(windows.texts[i], -1) for i in used], dtype=np.int64)
        unseen = np.flatnonzero(columns < 0)
        other = np.full(len(used), -1, dtype=np.int64)
        other[unseen] = np.arange(len(unseen))
        rows = np.repeat(np.arange(len(windows)), np.diff(windows.offsets))

        def matrix(numbers: npt.NDArray[np.int64], width: int) -> csr_matrix:
            column = numbers[place] if len(used) else np.zeros(0, dtype=np.int64)
            kept = column >= 0
            return csr_matrix(
                (np.ones(int(kept.sum())), (rows[kept], column[kept])), shape=(len(windows), max(width, 1))
            )

        return Bags(matrix(columns, len(self)), matrix(other, len(unseen)))


class MeasureDistance:
    """Cosine distance of weighted bags to the nearest ``MASS`` of the normal ones.

    A nearest neighbour alone finds every repeated incident normal that was in the training data; a fifth
    of the data cannot all be incidents (see :mod:`~logad_pipeline.detectors.measure`). Templates weigh
    ``1 + log((n + 1) / (df + 1))``, to a power, so that what is in every window says little; a text that
    was never seen weighs most and is like nothing. Cosine forgets the length of a window, so long normal sessions
    are not far from short ones.

    When it does not work: a normal kind of window that is rarer than ``MASS`` (a weekly job) is always
    far from the rest; calibration must then absorb it.
    """

    def __init__(self, vocabulary: BagVocabulary, weights: FloatArray, unseen_weight: float, squash: Squash) -> None:
        self._vocabulary = vocabulary
        self._weights = weights
        self._unseen_weight = unseen_weight
        self._squash = squash
        self._reference: csr_matrix | None = None
        self._counts = np.zeros(0)

    @classmethod
    def fit(cls, windows: WindowSet, squash: Squash, rareness: float) -> Self:
        """Learn weights and reference bags from normal windows, ``counts`` times each.

        Args:
            windows: the normal windows.
            squash: what becomes of a count before it is weighed.
            rareness: how much more a rare template weighs than one in every window, ``>= 0``: 0 not at all.
        """
        vocabulary = BagVocabulary.of(windows)
        bags = vocabulary.bags(windows).known
        counts = windows.counts.astype(np.float64)
        total = float(counts.sum())
        seen_in = np.asarray(bags.sign().multiply(counts[:, None]).sum(axis=0)).ravel()
        weights = (1 + np.log((total + 1) / (seen_in + 1))) ** rareness
        made = cls(vocabulary, weights, float((1 + np.log(total + 1)) ** rareness), squash)
        made._keep(bags, counts)
        return made

    def _keep(self, bags: csr_matrix, counts: FloatArray) -> None:
        """Keep distinct bags, at most ``MAX_REFERENCE``."""
        keys = [bags.indices[a:b].tobytes() + bags.data[a:b].tobytes() for a, b in _rows(bags)]
        first: dict[bytes, int] = {}
        for row, key in enumerate(keys):
            first.setdefault(key, row)
        number = {key: i for i, key in enumerate(first)}
        places = [number[key] for key in keys]
        summed = np.bincount(places, weights=counts, minlength=len(first)).astype(np.float64)
        rows = np.fromiter(first.values(), dtype=np.int64)
        if len(rows) > MAX_REFERENCE:
            chosen, summed = stand_ins(summed, MAX_REFERENCE)
            order = np.argsort(chosen)
            rows, summed = rows[chosen[order]], summed[order]
        self._reference, self._counts = bags[rows], summed

    def score(self, windows: WindowSet) -> FloatArray:
        """Distance in [0, 1], float64 ``[n]``."""
        if self._reference is None:
            raise RuntimeError("MeasureDistance.score was called before fit")
        bags = self._vocabulary.bags(windows)
        unseen = bags.unseen.copy()
        unseen.data = self._squash(unseen.data) * self._unseen_weight
        beside = np.asarray(unseen.multiply(unseen).sum(axis=1)).ravel()
        asked, reference = self._weighted(bags.known, beside), self._weighted(self._reference, None)
        out = np.empty(len(windows))
        for start in range(0, len(windows), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            distance = np.clip(1.0 - (asked[part] @ reference.T).toarray(), 0.0, 1.0)
            out[part] = distance_to_measure(distance, self._counts, MASS)
        return out

    def _weighted(self, bags: csr_matrix, beside: FloatArray | None) -> csr_matrix:
        """Unit vectors; ``beside`` is the squared length of what has no column."""
        from scipy.sparse import diags

        weighted = bags.copy()
        weighted.data = self._squash(weighted.data)
        weighted = weighted @ diags(self._weights)
        squared = np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel()
        norm = np.sqrt(squared if beside is None else squared + beside)
        return (diags(1.0 / np.maximum(norm, 1e-12)) @ weighted).tocsr()

    def save(self, directory: Path) -> None:
        """Write ``bags.json`` (templates) and ``bags.safetensors`` (weights and reference bags)."""
        from safetensors.numpy import save_file

        if self._reference is None:
            raise RuntimeError("MeasureDistance.save was called before fit")
        described = {"templates": self._vocabulary.templates, "unseen_weight": self._unseen_weight}
        (directory / "bags.json").write_text(json.dumps(described), encoding="utf-8")
        tensors = {
            "weights": self._weights,
            "counts": self._counts,
            "data": self._reference.data,
            "indices": self._reference.indices.astype(np.int64),
            "indptr": self._reference.indptr.astype(np.int64),
        }
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()},
                  directory / "bags.safetensors")  # fmt: skip

    @classmethod
    def load(cls, directory: Path, squash: Squash) -> Self:
        """Read what :meth:`save` wrote."""
        from safetensors.numpy import load_file
        from scipy.sparse import csr_matrix

        described = json.loads((directory / "bags.json").read_text(encoding="utf-8"))
        tensors = load_file(directory / "bags.safetensors")
        vocabulary = BagVocabulary(described["templates"])
        made = cls(vocabulary, tensors["weights"], described["unseen_weight"], squash)
        shape = (len(tensors["counts"]), max(len(vocabulary), 1))
        made._reference = csr_matrix((tensors["data"], tensors["indices"], tensors["indptr"]), shape=shape)
        made._counts = tensors["counts"]
        return made


def _rows(matrix: csr_matrix) -> list[tuple[int, int]]:
    matrix.sum_duplicates()
    matrix.sort_indices()
    return list(zip(matrix.indptr[:-1].tolist(), matrix.indptr[1:].tolist(), strict=True))
