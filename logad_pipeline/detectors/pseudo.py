"""Pseudo-anomalies: normal windows that were broken on purpose.

Belongs here: the ways of breaking a window. They stand in for labels where something must be learned
from contrast (the score head) or weighed (the fusion); no real anomaly and no label comes near them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from logad_pipeline.windows import WindowIndex, WindowSet


@dataclass(frozen=True)
class PseudoAnomalies:
    """Broken windows, how each was broken (a key of ``KINDS``), and the number of the window it was."""

    windows: WindowSet
    kinds: tuple[str, ...]
    origins: tuple[int, ...]


class _Breaker:
    """Breaks windows of one set; lines are numbers into ``texts``, which grows with invented ones."""

    def __init__(self, windows: WindowSet, rng: np.random.Generator) -> None:
        self.windows = windows
        self.rng = rng
        self.texts = list(windows.texts)
        self._numbers = {text: number for number, text in enumerate(self.texts)}
        lengths = np.diff(windows.offsets)
        weight = np.repeat(windows.counts, lengths)
        seen = np.bincount(windows.line_ids, weights=weight, minlength=len(self.texts))
        self._lines = np.flatnonzero(seen)
        rare = self._lines[seen[self._lines] <= np.quantile(seen[self._lines], 0.25)]
        self._rare = rare if len(rare) else self._lines
        self._words = sorted({word for i in self._lines for word in self.texts[i].split()})
        self.varying = len(np.unique(lengths)) > 1

    def removed(self, lines: list[int]) -> list[int]:
        """Lines of one kind go, or a run of up to a fifth of the lines."""
        if self.rng.random() < 0.5:
            gone = lines[self.rng.integers(len(lines))]
            return [line for line in lines if line != gone]
        run = int(self.rng.integers(1, max(2, len(lines) // 5 + 1)))
        start = int(self.rng.integers(0, len(lines) - run + 1))
        return lines[:start] + lines[start + run :]

    def repeated(self, lines: list[int]) -> list[int]:
        """One line comes again, up to eight times."""
        place = int(self.rng.integers(len(lines)))
        return lines[:place] + [lines[place]] * int(2 ** self.rng.integers(1, 4)) + lines[place:]

    def swapped(self, lines: list[int]) -> list[int]:
        """Two different lines change places."""
        one = int(self.rng.integers(len(lines)))
        others = [place for place, line in enumerate(lines) if line != lines[one]]
        if not others:
            return lines
        other = others[self.rng.integers(len(others))]
        out = list(lines)
        out[one], out[other] = out[other], out[one]
        return out

    def foreign(self, lines: list[int]) -> list[int]:
        """One to three lines come from a window of another group or another day."""
        donor = self.windows.lines(int(self.rng.integers(len(self.windows)))).tolist()
        own = set(lines)
        strange = [line for line in donor if line not in own] or donor
        return self._insert(lines, [int(line) for line in strange[: self.rng.integers(1, 4)]])

    def rare(self, lines: list[int]) -> list[int]:
        """One or two of the rarest lines."""
        return self._insert(lines, self.rng.choice(self._rare, size=int(self.rng.integers(1, 3))).tolist())

    def reworded(self, lines: list[int]) -> list[int]:
        """A line with a third of its words or more replaced: an event that was never seen."""
        place = int(self.rng.integers(len(lines)))
        words = self.texts[lines[place]].split()
        for i in range(len(words)):
            if self.rng.random() < 0.5 or i == 0:
                words[i] = self._words[int(self.rng.integers(len(self._words)))]
        text = " ".join(words)
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return [*lines[:place], self._numbers[text], *lines[place + 1 :]]

    def cut(self, lines: list[int]) -> list[int]:
        """The window breaks off in its first half."""
        return lines[: int(self.rng.integers(1, max(2, len(lines) // 2 + 1)))]

    def _insert(self, lines: list[int], new: list[int]) -> list[int]:
        """Put ``new`` in; where all windows are of one length, in the place of other lines."""
        place = int(self.rng.integers(len(lines)))
        return lines[:place] + new + lines[place + (0 if self.varying else len(new)) :]


KINDS: Final[dict[str, Callable[[_Breaker, list[int]], list[int]]]] = {
    "removed": _Breaker.removed,
    "repeated": _Breaker.repeated,
    "swapped": _Breaker.swapped,
    "foreign": _Breaker.foreign,
    "rare": _Breaker.rare,
    "reworded": _Breaker.reworded,
    "cut": _Breaker.cut,
}


def corrupt(windows: WindowSet, number: int, seed: int) -> PseudoAnomalies:
    """Break ``number`` windows, drawn by how often they were seen, by the kinds in turn.

    Kinds that change the length are left out where all windows have one length. A broken window that
    equals a normal one is no anomaly and is left out, so there may be fewer than asked.

    When it does not work: on streams whose normal lines come in any order and company, what was broken
    looks like what was not; whatever learns from it must bear that much noise.
    """
    rng = np.random.default_rng([seed, 77])
    breaker = _Breaker(windows, rng)
    kinds = [kind for kind in KINDS if breaker.varying or kind not in ("removed", "cut")]
    normal = {windows.lines(i).tobytes() for i in range(len(windows))}
    chances = windows.counts / windows.counts.sum()
    index, told, origins = WindowIndex(), [], []
    for turn, chosen in enumerate(rng.choice(len(windows), size=number, p=chances)):
        kind = kinds[turn % len(kinds)]
        lines = KINDS[kind](breaker, windows.lines(int(chosen)).tolist())
        if not breaker.varying:
            lines = lines[: len(windows.lines(int(chosen)))]
        key = np.asarray(lines, dtype=np.int32).tobytes()
        if lines and key not in normal:
            before = len(index)
            index.add([index.text_id(breaker.texts[line]) for line in lines])
            told += [kind] * (len(index) - before)
            origins += [int(chosen)] * (len(index) - before)
    return PseudoAnomalies(index.build(), tuple(told), tuple(origins))
