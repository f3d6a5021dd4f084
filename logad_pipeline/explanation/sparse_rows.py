"""Windows and lines as sparse rows over the numbers of what they hold.

Belongs here: building them. Which numbers those are, and what rows are compared for, is ``normal_windows``' business.
Numbers of row ``i`` are ``ids[offsets[i] : offsets[i + 1]]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.windows import IntArray, WindowSet

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def presence(ids: IntArray, offsets: IntArray, width: int) -> csr_matrix:
    """1 where a window holds an id, float64 CSR ``[windows, width]``."""
    held = _csr(ids, offsets, width)
    held.data[:] = 1.0
    return held


def _csr(ids: IntArray, offsets: IntArray, width: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    made = csr_matrix((np.ones(len(ids)), ids, offsets), shape=(len(offsets) - 1, max(width, 1)))
    made.sum_duplicates()
    return made


def unit(ids: IntArray, offsets: IntArray, weights: FloatArray) -> csr_matrix:
    """Square roots of counts, weighted, of unit length."""
    from scipy.sparse import diags

    made = _csr(ids, offsets, len(weights))
    made.data = np.sqrt(made.data)
    made = made @ diags(np.concatenate([weights, np.zeros(made.shape[1] - len(weights))]))
    norm = np.sqrt(np.asarray(made.multiply(made).sum(axis=1)).ravel())
    return (diags(1 / np.maximum(norm, 1e-12)) @ made).tocsr()


def counted(windows: WindowSet) -> tuple[IntArray, IntArray, IntArray]:
    """For each line of each window once: its id, how often it is in the window, how often the window was seen."""
    rows = np.repeat(np.arange(len(windows)), np.diff(windows.offsets))
    pairs, often = np.unique(np.stack([rows, windows.line_ids.astype(np.int64)]), axis=1, return_counts=True)
    return pairs[1], often.astype(np.int64), windows.counts[pairs[0]]
