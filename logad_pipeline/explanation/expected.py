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
from logad_pipeline.detectors.masking import BoolArray, IdArray, Segment, pad, scoring_masks
from logad_pipeline.explanation.evidence import Expected, WordEvidence
from logad_pipeline.windows import WindowSet

if TYPE_CHECKING:
    import torch

TOP: Final = 3
_TOKENS_A_BATCH: Final = 1536
_CONTINUED: Final = "##"


@dataclass(frozen=True)
class ExpectedLine:
    """A hidden line word by word, and the line that the model would have put there."""

    words: tuple[WordEvidence, ...]
    text: str


def expected_lines(
    encoder: BertEncoder, windows: WindowSet, hidden: Sequence[Sequence[int]]
) -> list[dict[int, ExpectedLine]]:
    """Hide the ``hidden`` lines of each window together and ask what stood there.

    The other lines are visible, so what is odd does not explain itself. Where no line would be left to guess
    from, lines are hidden one at a time, and of a single line the words by turns.

    Args:
        encoder: the model's.
        windows: one row each.
        hidden: places of lines within each window.

    Returns:
        For each window, what was expected by place. A line beyond the model's length is cut, not left out.
    """
    jobs = [
        (segment, mask)
        for segment in encoder.segments(windows)
        for mask in _masks(segment, hidden[segment.window], int(windows.offsets[segment.window]))
    ]
    jobs.sort(key=lambda job: len(job[0].ids))
    found: list[dict[int, list[tuple[int, WordEvidence, str]]]] = [{} for _ in range(len(windows))]
    candidates = _first_pieces(encoder)
    for batch in _batches(jobs):
        for (segment, mask), guesses in zip(batch, _guess(encoder, batch, candidates), strict=True):
            start = segment.first_line - int(windows.offsets[segment.window])
            for line, column, word, best in _words(encoder, segment, mask, guesses):
                found[segment.window].setdefault(start + line, []).append((column, word, best))
    return [{place: _line(parts) for place, parts in lines.items()} for lines in found]


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


def _batches(jobs: Sequence[tuple[Segment, BoolArray]]) -> Iterator[list[tuple[Segment, BoolArray]]]:
    batch: list[tuple[Segment, BoolArray]] = []
    for job in jobs:
        if batch and (len(batch) + 1) * len(job[0].ids) > _TOKENS_A_BATCH:
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch


@dataclass(frozen=True)
class _Guesses:
    """Of the hidden tokens of one segment: their surprise, and the likeliest first pieces of words."""

    surprise: np.ndarray[tuple[int], np.dtype[np.float32]]
    pieces: IdArray
    chances: np.ndarray[tuple[int, int], np.dtype[np.float32]]


def _guess(
    encoder: BertEncoder, batch: Sequence[tuple[Segment, BoolArray]], candidates: torch.Tensor
) -> Iterator[_Guesses]:
    import torch

    rows = [np.where(mask, encoder.special.mask, segment.ids) for segment, mask in batch]
    inputs = torch.from_numpy(pad(rows, encoder.special.pad)).to(encoder.device)
    attention = torch.from_numpy(pad([np.ones(len(row), dtype=np.int64) for row in rows], 0)).to(encoder.device)
    where = [np.flatnonzero(mask) for _, mask in batch]
    truth = torch.from_numpy(np.concatenate([job[0].ids[at] for job, at in zip(batch, where, strict=True)]))
    with torch.inference_mode():
        hidden = encoder.model.bert(input_ids=inputs, attention_mask=attention).last_hidden_state
        row = torch.from_numpy(np.repeat(np.arange(len(batch)), [len(at) for at in where]))
        logits = encoder.model.cls(hidden[row, torch.from_numpy(np.concatenate(where))]).float()
        log_p = torch.log_softmax(logits, dim=1)
        surprise = -log_p.gather(1, truth.to(encoder.device)[:, None])[:, 0].cpu().numpy()
        likely, best = log_p[:, candidates].topk(min(TOP, len(candidates)), dim=1)
        pieces, chances = candidates[best].cpu().numpy(), likely.exp().cpu().numpy()
    start = 0
    for at in where:
        part = slice(start, start + len(at))
        yield _Guesses(surprise[part], pieces[part], chances[part])
        start += len(at)


def _first_pieces(encoder: BertEncoder) -> torch.Tensor:
    """Entries of the vocabulary that a word may begin with."""
    import torch

    words = encoder.tokenizer.get_vocab()
    kept = sorted(i for word, i in words.items() if not word.startswith(_CONTINUED) and i not in encoder.special.all)
    return torch.tensor(kept, device=encoder.device)


def _words(
    encoder: BertEncoder, segment: Segment, mask: BoolArray, guesses: _Guesses
) -> Iterator[tuple[int, int, WordEvidence, str]]:
    """Line, column, the word, and the likeliest one; the pieces of a word are one, and their surprise adds up."""
    tokens = [encoder.tokenizer.id_to_token(int(i)) or "" for i in segment.ids]
    place_of = {int(column): place for place, column in enumerate(np.flatnonzero(mask))}
    column = 0
    while column < len(tokens):
        end = column + 1
        while end < len(tokens) and tokens[end].startswith(_CONTINUED) and segment.line_of[end] >= 0:
            end += 1
        hidden = [place_of[at] for at in range(column, end) if at in place_of]
        if hidden:
            text = tokens[column] + "".join(token.removeprefix(_CONTINUED) for token in tokens[column + 1 : end])
            first = hidden[0]
            expected = tuple(
                Expected(encoder.tokenizer.id_to_token(int(piece)) or "", round(float(chance), 4))
                for piece, chance in zip(guesses.pieces[first], guesses.chances[first], strict=True)
            )
            surprise = round(float(guesses.surprise[hidden].sum()), 3)
            yield int(segment.line_of[column]), column, WordEvidence(text, surprise, expected), expected[0].text
        column = end
