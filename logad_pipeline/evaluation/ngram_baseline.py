"""Surprise of the order of lines under a trigram model: the simplest sequence model there is.

Belongs here: that baseline. Work is on sorted arrays of coded n-grams, not on dictionaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from logad_pipeline.detectors.base import FloatArray

from .baselines import Baseline, Corpus, IntArray, UnitLines


@dataclass(frozen=True)
class _Grams:
    """Counts of coded n-grams, and of their contexts with how many different lines followed each."""

    codes: IntArray
    counts: IntArray
    contexts: IntArray
    context_counts: IntArray
    followers: IntArray

    @classmethod
    def count(cls, contexts: IntArray, lines: IntArray, base: int) -> _Grams:
        codes, counts = np.unique(contexts * base + lines, return_counts=True)
        known, first = np.unique(codes // base, return_index=True)
        followers = np.diff(np.append(first, len(codes)))
        return cls(codes, counts, known, np.add.reduceat(counts, first), followers)

    def smooth(self, contexts: IntArray, lines: IntArray, base: int, lower: FloatArray) -> FloatArray:
        """Probability of each line after its context; what is unseen falls back on ``lower``."""
        seen = _look_up(self.codes, self.counts, contexts * base + lines)
        total = _look_up(self.contexts, self.context_counts, contexts)
        types = _look_up(self.contexts, self.followers, contexts)
        return np.asarray(np.where(total > 0, (seen + types * lower) / np.maximum(total + types, 1), lower))


class TrigramSurprise(Baseline):
    """Mean plus maximum of the negative log-likelihood of a unit's lines, each given the two before it.

    Smoothed after Witten and Bell (1991): a context that was followed by many different lines leaves more
    to the shorter one. Units begin after two marks, so that a wrong beginning is seen; lines never seen
    share one symbol. The mean tells an odd unit, the maximum an odd line in a long one.

    When it does not work: where streams are interleaved, the order of two lines is chance. A unit cut
    short surprises nobody, since an end is no symbol.
    """

    name = "trigram surprise"

    def fit(self, units: Sequence[UnitLines]) -> None:
        """Count n-grams up to three."""
        corpus = Corpus.of(units)
        self._known = np.unique(corpus.line_ids)
        self._base = len(self._known) + 2
        first, second, lines = self._coded(corpus)
        # Add one half, over the lines known and the one symbol of all others.
        counts = np.bincount(lines, minlength=self._base - 1) + 0.5
        self._unigram = counts / counts.sum()
        self._bigrams = _Grams.count(second, lines, self._base)
        self._trigrams = _Grams.count(first * self._base + second, lines, self._base)

    def score(self, units: Sequence[UnitLines]) -> FloatArray:
        """Nats, ``> 0``."""
        corpus = Corpus.of(units)
        first, second, lines = self._coded(corpus)
        after_one = self._bigrams.smooth(second, lines, self._base, self._unigram[lines])
        after_two = self._trigrams.smooth(first * self._base + second, lines, self._base, after_one)
        surprise = -np.log(after_two)
        mean = np.add.reduceat(surprise, corpus.starts) / corpus.lengths
        return np.asarray(mean + np.maximum.reduceat(surprise, corpus.starts))

    def _coded(self, corpus: Corpus) -> tuple[IntArray, IntArray, IntArray]:
        """For each line the two before it and itself: known lines from 0, then the unseen, then the mark."""
        unseen, mark = self._base - 2, self._base - 1
        place = np.minimum(np.searchsorted(self._known, corpus.line_ids), unseen - 1)
        lines = np.where(self._known[place] == corpus.line_ids, place, unseen)
        depth = np.arange(len(lines)) - corpus.starts[corpus.unit]
        second = np.where(depth >= 1, np.roll(lines, 1), mark)
        first = np.where(depth >= 2, np.roll(lines, 2), mark)
        return first, second, lines


def _look_up(codes: IntArray, values: IntArray, wanted: IntArray) -> FloatArray:
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.where(codes[place] == wanted, values[place], 0).astype(np.float64)
