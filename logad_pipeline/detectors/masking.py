"""Which tokens are hidden from the model: at random in training, by turns in scoring.

Belongs here: the mask collator and the complementary masks. The model itself is in ``encoder``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

IdArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SCORING_TURNS: Final = 2
"""Complementary masks a window is scored with: each line is hidden in exactly one of them. With two, every other
line is hidden; with three a third would be, at half as much work again."""


@dataclass(frozen=True)
class SpecialIds:
    """Vocabulary numbers of the special tokens."""

    pad: int
    unk: int
    cls: int
    sep: int
    mask: int

    @property
    def all(self) -> frozenset[int]:
        """The five of them."""
        return frozenset((self.pad, self.unk, self.cls, self.sep, self.mask))


@dataclass(frozen=True)
class Segment:
    """A run of whole lines of one window that fits the model.

    Attributes:
        window: number of the window in its set.
        first_line: where its first line stands in the set's ``line_ids``.
        ids: int64 ``[length]``: ``[CLS] line0 [SEP] line1 [SEP] …``.
        line_of: int64 ``[length]``: the line a token belongs to, from 0; -1 for [CLS] and [SEP].
    """

    window: int
    first_line: int
    ids: IdArray
    line_of: IdArray

    @property
    def line_count(self) -> int:
        """Lines in the segment."""
        return int(self.line_of.max()) + 1 if len(self.line_of) else 0


@dataclass(frozen=True)
class MaskedBatch:
    """Padded model input, each ``[batch, length]``: ids, attention (1 real, 0 padding), and the targets,
    which are the true ids at hidden positions and -100 elsewhere."""

    ids: IdArray
    attention: IdArray
    targets: IdArray


def pad(rows: Sequence[IdArray], value: int, width: int | None = None) -> IdArray:
    """Rows of unequal length as one int64 array, filled at the right up to ``width``, or to the longest."""
    width = width or max(len(row) for row in rows)
    out = np.full((len(rows), width), value, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def attended(rows: Sequence[IdArray], width: int | None = None) -> BoolArray:
    """Where :func:`pad` puts tokens of the rows, and not what it fills up with; bool of the same shape."""
    lengths = np.array([len(row) for row in rows])
    return np.asarray(np.arange(width or lengths.max()) < lengths[:, None])


class MaskCollator:
    """Makes training batches for masked language modelling (Devlin et al., 2019).

    Half of the windows have single tokens hidden, with BERT's 80/10/10 of [MASK], random token and
    unchanged; the other half have whole lines hidden, as scoring hides them: a line must then be
    guessed from its neighbours, which is what makes order and company matter. Padding goes only to the
    longest window of the batch. A window of one line always has tokens hidden, never the line.
    """

    def __init__(self, special: SpecialIds, vocab_size: int, token_rate: float = 0.2, line_rate: float = 0.25) -> None:
        self._special = special
        self._vocab_size = vocab_size
        self._token_rate = token_rate
        self._line_rate = line_rate
        self._first_word = max(special.all) + 1

    def __call__(self, segments: Sequence[Segment], rng: np.random.Generator) -> MaskedBatch:
        """Hide tokens of each segment; the same generator state hides the same ones."""
        ids, targets = [], []
        for segment in segments:
            whole_lines = segment.line_count > 1 and rng.random() < 0.5
            hidden = self._lines(segment, rng) if whole_lines else self._tokens(segment, rng)
            row = segment.ids.copy()
            targets.append(np.where(hidden, row, -100))
            if whole_lines:
                row[hidden] = self._special.mask
            else:
                self._corrupt(row, hidden, rng)
            ids.append(row)
        return MaskedBatch(pad(ids, self._special.pad), attended(ids).astype(np.int64), pad(targets, -100))

    def _lines(self, segment: Segment, rng: np.random.Generator) -> BoolArray:
        chosen = rng.random(segment.line_count) < self._line_rate
        if not chosen.any():
            chosen[rng.integers(segment.line_count)] = True
        return np.asarray(np.append(chosen, False)[segment.line_of])

    def _tokens(self, segment: Segment, rng: np.random.Generator) -> BoolArray:
        words = segment.line_of >= 0
        hidden = words & (rng.random(len(words)) < self._token_rate)
        if not hidden.any():
            hidden[rng.choice(np.flatnonzero(words))] = True
        return hidden

    def _corrupt(self, row: IdArray, hidden: BoolArray, rng: np.random.Generator) -> None:
        dice = rng.random(len(row))
        row[hidden & (dice < 0.8)] = self._special.mask
        swapped = hidden & (dice >= 0.9)
        row[swapped] = rng.integers(self._first_word, self._vocab_size, size=int(swapped.sum()))


def scoring_masks(segment: Segment, turns: int = SCORING_TURNS) -> list[BoolArray]:
    """Complementary masks of a segment: every word of it is hidden in exactly one of them.

    With two lines or more whole lines take turns (line ``i`` is hidden in turn ``i mod turns``); a
    single line has no neighbours to be guessed from, so its tokens take turns.
    """
    words = segment.line_of >= 0
    if segment.line_count > 1:
        turn_of = segment.line_of % turns
        used = min(turns, segment.line_count)
    else:
        turn_of = np.cumsum(words) % turns
        used = turns
    masks = [words & (turn_of == turn) for turn in range(used)]
    return [mask for mask in masks if mask.any()]
