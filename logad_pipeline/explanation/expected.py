"""What BERT would have written in place of the lines that are shown.

Belongs here: hiding those lines, one forward pass, and its predictions as words. Surprise for scoring is
``detectors.encoder``'s business: here only the few windows that a person looks at are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from logad_pipeline.detectors.encoder import BertEncoder
from logad_pipeline.detectors.masking import BoolArray, IdArray, Segment, attended, pad, scoring_masks
from logad_pipeline.explanation.evidence import Expected, WordEvidence
from logad_pipeline.windows import WindowSet

if TYPE_CHECKING:
    import torch

TOP: Final = 3
MOST_TOKENS: Final = 128
"""Tokens that are read to guess the hidden lines of a segment, those of these lines among them: this bounds what an
alert costs, and lines far from the hidden ones tell little of them."""
_TOKENS_A_BATCH: Final = 1024
"""Of one matrix product: more no longer fit into a processor's cache."""
_CONTINUED: Final = "##"


@dataclass(frozen=True)
class ExpectedLine:
    """A hidden line word by word, and the line that the model would have put there."""

    words: tuple[WordEvidence, ...]
    text: str


@dataclass(frozen=True)
class _Guesses:
    """Of the hidden tokens of one segment: their surprise, and the likeliest first pieces of words, likeliest first."""

    surprise: np.ndarray[tuple[int], np.dtype[np.float32]]
    pieces: list[list[int]]
    chances: list[list[float]]


class Expectations:
    """Asks an encoder what it would have put in place of hidden lines.

    Args:
        encoder: the model's.
    """

    def __init__(self, encoder: BertEncoder) -> None:
        import torch

        self._encoder = encoder
        numbers = encoder.tokenizer.get_vocab()
        self._names = [""] * (1 + max(numbers.values()))
        for name, number in numbers.items():
            self._names[number] = name
        within = [at for at, name in enumerate(self._names) if name.startswith(_CONTINUED) or not name]
        beyond = range(len(self._names), encoder.network.vocabulary)
        no_word = sorted({*within, *encoder.special.all, *beyond})
        self._top = min(TOP, encoder.network.vocabulary - len(no_word))
        self._no_word = torch.tensor(no_word, device=encoder.device)

    def lines(self, windows: WindowSet, hidden: Sequence[Sequence[int]]) -> list[dict[int, ExpectedLine]]:
        """Hide the ``hidden`` lines of each window together and ask what stood there.

        The lines around them are visible, the nearest ones up to ``MOST_TOKENS`` tokens in all, so what is odd does
        not explain itself. Where no line would be left to guess from, lines are hidden one at a time, and of a
        single line the words by turns.

        Args:
            windows: one row each.
            hidden: places of lines within each window.

        Returns:
            For each window, what was expected by place. A line beyond the model's length is cut, not left out.
        """
        jobs = [
            _nearby(segment, mask)
            for segment in self._encoder.segments(windows)
            for mask in _masks(segment, hidden[segment.window], int(windows.offsets[segment.window]))
        ]
        jobs.sort(key=lambda job: len(job[0].ids))
        found: list[dict[int, list[tuple[int, WordEvidence, str]]]] = [{} for _ in range(len(windows))]
        for batch in _batches(jobs):
            for (segment, mask), guesses in zip(batch, self._guess(batch), strict=True):
                start = segment.first_line - int(windows.offsets[segment.window])
                for line, column, word, best in self._words(segment, mask, guesses):
                    found[segment.window].setdefault(start + line, []).append((column, word, best))
        return [{place: _line(parts) for place, parts in lines.items()} for lines in found]

    def _guess(self, batch: Sequence[tuple[Segment, BoolArray]]) -> Iterator[_Guesses]:
        """What is thought of the hidden tokens of each segment of a batch."""
        import torch

        where = [np.flatnonzero(mask) for _, mask in batch]
        truth = torch.from_numpy(np.concatenate([job[0].ids[at] for job, at in zip(batch, where, strict=True)]))
        with torch.inference_mode():
            log_p = torch.log_softmax(self._logits(batch, where).float(), dim=1)
            surprise = -log_p.gather(1, truth.to(self._encoder.device)[:, None])[:, 0].cpu().numpy()
            likely, pieces = log_p.index_fill_(1, self._no_word, -np.inf).topk(self._top, dim=1)
            chances, best = likely.exp().tolist(), pieces.tolist()
        start = 0
        for at in where:
            part = slice(start, start + len(at))
            yield _Guesses(surprise[part], best[part], chances[part])
            start += len(at)

    def _logits(self, batch: Sequence[tuple[Segment, BoolArray]], where: Sequence[IdArray]) -> torch.Tensor:
        """Of the hidden tokens, ``[hidden, vocabulary]``. The last layer's network is run for those alone: what
        becomes of the other tokens there, nobody asks."""
        import torch

        encoder, device = self._encoder, self._encoder.device
        rows = [np.where(mask, encoder.special.mask, segment.ids) for segment, mask in batch]
        there = attended(rows)
        padded = None if there.all() else torch.from_numpy(there).to(device)
        ids = torch.from_numpy(pad(rows, encoder.special.pad)).to(device)
        row = torch.from_numpy(np.repeat(np.arange(len(batch)), [len(at) for at in where]))
        states = encoder.network.states_at(ids, padded, row, torch.from_numpy(np.concatenate(where)))
        return encoder.network.logits(states)

    def _words(
        self, segment: Segment, mask: BoolArray, guesses: _Guesses
    ) -> Iterator[tuple[int, int, WordEvidence, str]]:
        """Line, column, the word, and the likeliest one; the pieces of a word are one, and their surprise adds up."""
        tokens, line_of = [self._names[i] for i in segment.ids.tolist()], segment.line_of.tolist()
        place_of = {column: place for place, column in enumerate(np.flatnonzero(mask).tolist())}
        column = 0
        while column < len(tokens):
            end = column + 1
            while end < len(tokens) and tokens[end].startswith(_CONTINUED) and line_of[end] >= 0:
                end += 1
            hidden = [place_of[at] for at in range(column, end) if at in place_of]
            if hidden:
                text = tokens[column] + "".join(token.removeprefix(_CONTINUED) for token in tokens[column + 1 : end])
                expected = tuple(
                    Expected(self._names[piece], round(chance, 4))
                    for piece, chance in zip(guesses.pieces[hidden[0]], guesses.chances[hidden[0]], strict=True)
                )
                surprise = round(float(guesses.surprise[hidden].sum()), 3)
                yield line_of[column], column, WordEvidence(text, surprise, expected), expected[0].text
            column = end


def _line(parts: list[tuple[int, WordEvidence, str]]) -> ExpectedLine:
    ordered = sorted(parts, key=lambda part: part[0])
    return ExpectedLine(tuple(word for _, word, _ in ordered), " ".join(best for _, _, best in ordered))


def _masks(segment: Segment, hidden: Sequence[int], window_start: int) -> list[BoolArray]:
    first = segment.first_line - window_start
    asked = [place - first for place in hidden if 0 <= place - first < segment.line_count]
    if not asked:
        return []
    if segment.line_count == 1:
        return scoring_masks(segment)
    if len(asked) < segment.line_count:
        return [np.isin(segment.line_of, asked)]
    return [segment.line_of == line for line in asked]


def _nearby(segment: Segment, mask: BoolArray) -> tuple[Segment, BoolArray]:
    """The hidden lines and those nearest to them, one at least and as many as there is room for, under their old
    numbers."""
    if len(segment.ids) <= MOST_TOKENS:
        return segment, mask
    owner = np.maximum.accumulate(segment.line_of)
    size = np.bincount(owner[owner >= 0], minlength=segment.line_count)
    lines = np.arange(segment.line_count)
    away = np.abs(lines[:, None] - np.unique(segment.line_of[mask])).min(axis=1)
    order = np.argsort(away, kind="stable")
    fits = 1 + np.cumsum(size[order]) <= MOST_TOKENS
    fits[: np.count_nonzero(away == 0) + 1] = True
    read = (owner < 0) | np.isin(owner, order[fits])
    return Segment(segment.window, segment.first_line, segment.ids[read], segment.line_of[read]), mask[read]


def _batches(jobs: Sequence[tuple[Segment, BoolArray]]) -> Iterator[list[tuple[Segment, BoolArray]]]:
    batch: list[tuple[Segment, BoolArray]] = []
    for job in jobs:
        if batch and (len(batch) + 1) * len(job[0].ids) > _TOKENS_A_BATCH:
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch
