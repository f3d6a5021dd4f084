"""Baselines on how often each event occurs in a unit, whatever the order.

Belongs here: the count vectors, and nearest neighbour, isolation forest and PCA over them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from logad_pipeline.detectors.base import FloatArray

from .baselines import Baseline, Corpus, UnitLines

MAX_FITTED: Final = 5000
"""Training units that are compared with or decomposed, at most: a drawn sample of more."""
_CELLS_AT_ONCE: Final = 4_000_000


class CountVectors:
    """Units as sparse rows of counts: a column an event of training, and one for all events never seen."""

    def __init__(self, units: Sequence[UnitLines]) -> None:
        self._known = np.unique(Corpus.of(units).line_ids)
        counts = self.counts(units)
        seen_in = np.asarray((counts > 0).sum(axis=0)).ravel()
        self._idf = np.log((len(units) + 1) / (seen_in + 1)) + 1

    def counts(self, units: Sequence[UnitLines]) -> Any:
        """csr float64 ``[n, events + 1]``."""
        from scipy.sparse import csr_array

        corpus = Corpus.of(units)
        place = np.minimum(np.searchsorted(self._known, corpus.line_ids), len(self._known) - 1)
        column = np.where(self._known[place] == corpus.line_ids, place, len(self._known))
        ones = np.ones(len(column))
        return csr_array((ones, (corpus.unit, column)), shape=(len(units), len(self._known) + 1))

    def weighted(self, units: Sequence[UnitLines]) -> Any:
        """csr float64 of ``log(1 + count)``, times the smoothed inverse document frequency of the event."""
        counts = self.counts(units)
        new = counts.indices == len(self._known)
        # Lines never seen share a column but are different lines, so each of them counts as one.
        damped = np.where(new, counts.data * np.log(2), np.log1p(counts.data))
        counts.data = damped * self._idf[counts.indices]
        return counts


class NearestCounts(Baseline):
    """Distance to the nearest training unit: relative l1 between weighted counts.

    ``sum |a - b| / sum (a + b)``, the distance of Bray and Curtis (1957), of ``log(1 + count)`` times idf. It
    is 0 for equal counts and 1 with no event in common whatever the lengths, and a unit twice as long is
    not as near as it would be by the cosine.

    When it does not work: where only the order is wrong, or an anomaly has been in training once.
    """

    name = "nearest counts"

    def fit(self, units: Sequence[UnitLines]) -> None:
        """Keep the training units that differ."""
        self._vectors = CountVectors(units)
        kept = np.unique(self._vectors.weighted(_sample(units, self.seed)).toarray(), axis=0)
        self._reference = kept
        self._reference_sum = kept.sum(axis=1)

    def score(self, units: Sequence[UnitLines]) -> FloatArray:
        """Distances in [0, 1]; equal units are compared once."""
        rows, inverse = _unique_rows(self._vectors.weighted(units))
        nearest = np.array([self._nearest(row.indices, row.data) for row in rows])
        # Rounding makes equal units equally far: what is left of a sum would count as strangeness.
        return np.asarray(nearest[inverse].round(12), dtype=np.float64)

    def _nearest(self, columns: np.ndarray[Any, Any], values: FloatArray) -> float:
        # |a - b| sums to a + b - 2 min(a, b), and the minimum is 0 wherever the unit has no event.
        common = np.minimum(self._reference[:, columns], values).sum(axis=1)
        return float((1 - 2 * common / (values.sum() + self._reference_sum)).min())


class IsolationTrees(Baseline):
    """Isolation forest (Liu, Ting and Zhou, 2008) over counts, as scikit-learn has it.

    When it does not work: events never seen in training, since no tree can split on a column that was all
    zero; and with many rare events a tree seldom splits on the one that matters.
    """

    name = "isolation forest"

    def fit(self, units: Sequence[UnitLines]) -> None:
        """Grow 200 trees."""
        from sklearn.ensemble import IsolationForest

        self._vectors = CountVectors(units)
        self._forest = IsolationForest(n_estimators=200, random_state=self.seed)
        self._forest.fit(_plain(self._vectors.counts(units)))

    def score(self, units: Sequence[UnitLines]) -> FloatArray:
        """The paper's score, in (0, 1)."""
        chunks = _chunks(units, 1000)
        found = [-self._forest.score_samples(_plain(self._vectors.counts(chunk))) for chunk in chunks]
        return np.asarray(np.concatenate(found), dtype=np.float64)


class PrincipalComponents(Baseline):
    """Squared residual outside the components that hold 95 % of the variance of tf-idf counts.

    The squared prediction error of Xu et al. (SOSP 2009), whose data HDFS is; the threshold is the common
    one here, not their Q statistic.

    When it does not work: a frequent kind of anomaly in training becomes a component of its own.
    """

    name = "PCA residual"

    def fit(self, units: Sequence[UnitLines]) -> None:
        """Decompose training counts."""
        from sklearn.decomposition import PCA

        self._vectors = CountVectors(units)
        rows = self._vectors.weighted(_sample(units, self.seed)).toarray()
        spread = float(np.ptp(rows, axis=0).max())
        self._mean = rows.mean(axis=0)
        pca = PCA(n_components=0.95, svd_solver="full").fit(rows) if spread > 0 else None
        self._components = pca.components_ if pca else np.zeros((0, rows.shape[1]))

    def score(self, units: Sequence[UnitLines]) -> FloatArray:
        """Squared residuals, ``>= 0``."""
        found = []
        for chunk in _chunks(units, max(1, _CELLS_AT_ONCE // len(self._mean))):
            centred = self._vectors.weighted(chunk).toarray() - self._mean
            residual = centred - (centred @ self._components.T) @ self._components
            found.append((residual**2).sum(axis=1).round(9))
        return np.asarray(np.concatenate(found), dtype=np.float64)


def _sample(units: Sequence[UnitLines], seed: int) -> Sequence[UnitLines]:
    if len(units) <= MAX_FITTED:
        return units
    chosen = np.sort(np.random.default_rng(seed).choice(len(units), MAX_FITTED, replace=False))
    return [units[i] for i in chosen]


def _chunks(units: Sequence[UnitLines], size: int) -> Iterator[Sequence[UnitLines]]:
    for start in range(0, len(units), size):
        yield units[start : start + size]


def _plain(counts: Any) -> Any:
    """Counts as scikit-learn's trees take them: dense where that is small, since it is faster."""
    from scipy.sparse import csr_matrix

    if counts.shape[0] * counts.shape[1] <= _CELLS_AT_ONCE:
        return counts.toarray().astype(np.float32)
    plain = csr_matrix(counts)
    plain.indices, plain.indptr = plain.indices.astype(np.int32), plain.indptr.astype(np.int32)
    return plain


def _unique_rows(rows: Any) -> tuple[list[Any], np.ndarray[Any, np.dtype[np.int64]]]:
    """The distinct rows of a csr array, and which of them each row is."""
    numbers: dict[bytes, int] = {}
    first: list[int] = []
    inverse = np.empty(rows.shape[0], dtype=np.int64)
    for i in range(rows.shape[0]):
        part = slice(rows.indptr[i], rows.indptr[i + 1])
        key = rows.indices[part].tobytes() + rows.data[part].tobytes()
        inverse[i] = numbers.setdefault(key, len(first))
        if inverse[i] == len(first):
            first.append(i)
    return [rows[[i]] for i in first], inverse
