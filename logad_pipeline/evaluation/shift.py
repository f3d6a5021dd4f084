"""Whether something became more or less frequent from one day to another, with p-values that hold for many
things at once.

Belongs here: the test. What is counted comes from the caller.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.base import FloatArray

_AT_ONCE = 2000


def shift_p_values(before: npt.NDArray[np.int64], after: npt.NDArray[np.int64]) -> FloatArray:
    """Two-sided p-values that counts per block of time come from the same distribution (Mann and Whitney, 1947).

    Ranks of blocks are compared, not sums of records, so that a burst in one block counts as one block however
    large it is.

    When it does not work: blocks in a row depend on one another where an event lasts longer than a block; then
    p-values are too small. What occurs in one block alone is never significant.

    Args:
        before, after: int64 ``[n, blocks]``, a row for each thing that is counted.

    Returns:
        float64 ``[n]``; 1 where there is nothing to tell.
    """
    from scipy.stats import mannwhitneyu

    out = np.ones(len(before))
    differ = np.flatnonzero((before != before[:, :1]).any(axis=1) | (after != before[:, :1]).any(axis=1))
    for start in range(0, len(differ), _AT_ONCE):
        rows = differ[start : start + _AT_ONCE]
        out[rows] = mannwhitneyu(before[rows], after[rows], axis=1, method="asymptotic").pvalue
    return out


def adjusted(p_values: FloatArray) -> FloatArray:
    """The p-values corrected for their number: calling those up to ``q`` shifts makes a share of ``q`` of the
    calls wrong at most on average, however the tests depend on one another (Benjamini and Yekutieli, 2001)."""
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(p_values, method="by")) if len(p_values) else p_values
