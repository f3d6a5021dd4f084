"""What the normal logs of a model look like: how common each line is, what comes with it, and which window is nearest.

Belongs here: everything that is read from the reference that a model keeps, without its encoder. What is
made of it is in ``suspicion`` and ``explainer``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Final

import numpy as np

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.calibration import TailCalibration
from logad_pipeline.detectors.reference import CALIBRATE, CHOOSE, TRAIN, Reference
from logad_pipeline.explanation.difference import differences
from logad_pipeline.explanation.evidence import NearestNormal
from logad_pipeline.explanation.sparse_rows import counted, presence, unit
from logad_pipeline.windows import IntArray, WindowSet

MAX_WINDOWS: Final = 20_000
"""Distinct normal windows that are compared with: of more, those seen most often."""
_LOOKED_AT: Final = 12
"""Normal windows of like words whose lines are compared in order."""
_LINES_AT_ONCE: Final = 64
"""Lines that are compared with all known ones at once; bounds the memory."""
_HEAD_WORDS: Final = 3
_VARIANT: Final = 0.7
"""Likeness of words from which a line is another form of a known one and no new kind."""
_COMMON: Final = 5
"""Windows that must hold a line before it is called common."""
_HABIT: Final = 0.9
"""Share of the windows with a line that must hold another before that is called its company."""
_MIN_SUPPORT: Final = 20
"""Windows that must hold a line before its company, or how often it comes, is called a habit."""


@dataclass(frozen=True)
class NormalLine:
    """A line against the normal ones: ``-log10`` of the share of normal windows that hold a line as rare, ``>= 0``,
    and whether it is of a kind that no training window holds."""

    rarity: float
    is_new: bool


@dataclass(frozen=True)
class Lack:
    """A line that is missing beside another.

    Attributes:
        rarity: ``-log10`` of the share of normal windows that lack as much, ``>= 0``.
        text: the missing line; ``""`` where none is.
        beside: the line that it is missed beside.
        share: of the training windows that hold ``beside``, how many hold ``text`` too, in [0.9, 1].
    """

    rarity: float = 0.0
    text: str = ""
    beside: str = ""
    share: float = 0.0


class NormalWindows:
    """The normal windows of a model, ready to be compared with.

    A line is judged by the share of training windows that hold it, how often it comes in one, and which
    others are nearly always beside it. What is then called rare is calibrated on the held-out windows, as the
    detectors are.

    When it does not work: a model that was fitted on few windows has few habits, and any line is then
    nearly as rare as any other. Windows cut at arbitrary places have little constant company.

    Args:
        reference: what the model keeps of its normal logs; windows that were too odd to be learned are
            left out.
    """

    def __init__(self, reference: Reference) -> None:
        kept = ~reference.trimmed
        counts = np.bincount(reference.unique[kept], minlength=len(reference.windows))
        chosen = np.sort(np.argsort(-counts, kind="stable")[:MAX_WINDOWS])
        chosen = chosen[counts[chosen] > 0]
        self.windows = reference.windows.take(chosen, counts[chosen].astype(np.int64))
        self.usual_length = float(np.median(np.repeat(np.diff(self.windows.offsets), self.windows.counts)))
        self._learn_words()
        learned = reference.unique[kept & (reference.part == TRAIN)]
        train = reference.windows.take(*np.unique(learned, return_counts=True))
        self._learn_habits(train)
        held_out = reference.unique[kept & (reference.part >= CHOOSE)]
        later = reference.unique[kept & (reference.part == CALIBRATE)]
        self._calibrate(reference.windows.take(np.unique(later if len(later) else held_out)), later, held_out)

    def _learn_words(self) -> None:
        """Vectors of windows over lines and over words, rare ones weighing more; unit length each."""
        windows = self.windows
        self._columns = {windows.texts[i]: int(i) for i in np.unique(windows.line_ids)}
        words = sorted({word for text in self._columns for word in text.split()})
        self._word_columns = {word: column for column, word in enumerate(words)}
        self._line_weights = self._rareness(windows, windows.line_ids.astype(np.int64), len(windows.texts))
        word_ids, offsets = self._words_of(windows)
        rows = WindowSet(words, offsets, word_ids.astype(np.int32), windows.counts)
        self._word_weights = self._rareness(rows, word_ids, len(words))
        self._lines = unit(windows.line_ids.astype(np.int64), windows.offsets, self._line_weights)
        self._words = unit(word_ids, offsets, self._word_weights)

    @staticmethod
    def _rareness(windows: WindowSet, ids: IntArray, width: int) -> FloatArray:
        held = presence(ids, windows.offsets, width)
        total = float(windows.counts.sum())
        seen = np.asarray(held.T @ windows.counts.astype(np.float64)).ravel()
        return np.asarray(1 + np.log((total + 1) / (seen + 1)))

    def _words_of(self, windows: WindowSet) -> tuple[IntArray, IntArray]:
        """The known words of each window, one after the other, and where each window's begin."""
        known = self._word_columns
        of_line = {
            int(i): np.array([known[word] for word in windows.texts[i].split() if word in known], dtype=np.int64)
            for i in np.unique(windows.line_ids)
        }
        parts = [of_line[int(i)] for i in windows.line_ids]
        ends = np.concatenate(([0], np.cumsum([len(part) for part in parts])))
        return np.concatenate([np.zeros(0, dtype=np.int64), *parts]), ends[windows.offsets].astype(np.int64)

    def _learn_habits(self, train: WindowSet) -> None:
        """In how many training windows each line is, how often in one, and what is nearly always beside it."""
        lines, often, weight = counted(train)
        self._total = int(train.counts.sum())
        self._seen: dict[str, int] = {}
        self._repeats: dict[str, IntArray] = {}
        order = np.lexsort((often, lines))
        lines, often, weight = lines[order], often[order], weight[order]
        starts = np.flatnonzero(np.concatenate(([True], np.diff(lines) > 0)))
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            text = train.texts[lines[start]]
            self._seen[text] = int(weight[start:end].sum())
            self._repeats[text] = np.bincount(often[start:end], weights=weight[start:end]).astype(np.int64)
        self._rarities = {text: float(-np.log((seen + 0.5) / (self._total + 1))) for text, seen in self._seen.items()}
        self._heads: dict[tuple[str, ...], float] = {}
        for text, rarity in self._rarities.items():
            self._heads[_head(text)] = min(rarity, self._heads.get(_head(text), rarity))
        self._known = sorted(self._seen)
        ids = [np.array([self._word_columns.get(word, -1) for word in text.split()]) for text in self._known]
        ids = [each[each >= 0] for each in ids]
        ends = np.concatenate(([0], np.cumsum([len(each) for each in ids]))).astype(np.int64)
        self._known_words = unit(np.concatenate(ids).astype(np.int64), ends, self._word_weights)
        self._learn_company(train)

    def _learn_company(self, train: WindowSet) -> None:
        frequent = [i for i in np.unique(train.line_ids) if self._seen[train.texts[i]] >= _MIN_SUPPORT]
        self._company: dict[str, dict[str, float]] = {}
        if not frequent:
            return
        held = presence(train.line_ids.astype(np.int64), train.offsets, len(train.texts))[:, frequent]
        weighted = held.multiply(train.counts.astype(np.float64)[:, None]).tocsr()
        together = (held.T @ weighted).tocoo()
        for one, other, both in zip(together.row, together.col, together.data, strict=True):
            text = train.texts[frequent[one]]
            share = float(both) / self._seen[text]
            if one != other and share >= _HABIT:
                self._company.setdefault(text, {})[train.texts[frequent[other]]] = share

    def _calibrate(self, held_out: WindowSet, later: IntArray, rest: IntArray) -> None:
        rows = later if len(later) else rest
        counts = np.unique(rows, return_counts=True)[1].astype(np.int64)
        texts = [[held_out.texts[i] for i in held_out.lines(row)] for row in range(len(held_out))]

        def fitted(values: list[float]) -> TailCalibration | None:
            return TailCalibration.fit(np.array(values), counts) if values else None

        different = list(dict.fromkeys(text for lines in texts for text in lines))
        near = self._nearest_lines([text for text in different if self._of_its_kind(text) is None])
        rarity = {text: self._rarity(text, near) for text in different}
        self._rare = fitted([max(map(rarity.__getitem__, lines)) for lines in texts])
        self._often = fitted([max(self._repetition(lines).values()) for lines in texts])
        self._lacks = fitted([self._lack(lines).rarity for lines in texts])

    def seen_in(self, text: str) -> float:
        """Share of the training windows that hold this line, in [0, 1]."""
        return self._seen.get(text, 0) / max(self._total, 1)

    def times_seen(self, text: str) -> int:
        """How many training windows hold this line."""
        return self._seen.get(text, 0)

    def lines(self, texts: Sequence[str]) -> dict[str, NormalLine]:
        """How each line compares with the normal ones; asked of many at once it costs less.

        New is a line of a kind that no training window holds: neither it, nor one with the same first three words,
        by which Drain (He et al., 2017) tells templates apart, nor one of nearly the same words.
        """
        different = list(dict.fromkeys(texts))
        near = self._nearest_lines([text for text in different if self._of_its_kind(text) is None])
        values = np.array([self._rarity(text, near) for text in different])
        return {
            text: NormalLine(rarity, text in near and near[text][1] < _VARIANT)
            for text, rarity in zip(different, _calibrated(self._rare, values).tolist(), strict=True)
        }

    def repetition(self, lines: Sequence[str]) -> dict[str, float]:
        """``-log10`` of the share of normal windows where a line comes as often as in this one, ``>= 0``, by line."""
        found = self._repetition(lines)
        rarities = _calibrated(self._often, np.array(list(found.values())))
        return dict(zip(found, rarities.tolist(), strict=True))

    def lack(self, lines: Sequence[str]) -> Lack:
        """The line that is missing most, given its company."""
        found = self._lack(lines)
        return replace(found, rarity=float(_calibrated(self._lacks, np.array([found.rarity]))[0]))

    def _of_its_kind(self, text: str) -> float | None:
        """Nats: how rare a line is, or where it was never seen, lines of its kind; ``None`` where those were not."""
        return self._rarities.get(text, self._heads.get(_head(text)))

    def _rarity(self, text: str, near: Mapping[str, tuple[str, float]]) -> float:
        """Nats. A line of a new kind is rarer than any, the more so the less it shares with the nearest one, which
        ``near`` holds of those that have none of their kind."""
        known = self._of_its_kind(text)
        if known is not None:
            return known
        nearest, alike = near[text]
        known = self._rarities[nearest] if nearest else 0.0
        if alike >= _VARIANT:
            return known
        return alike * known + (1 - alike) * 2 * float(np.log(2 * (self._total + 1)))

    def _nearest_lines(self, texts: Sequence[str]) -> dict[str, tuple[str, float]]:
        """For each text the known line with the most alike words, and how alike: 1 for the same words in the same
        order. Not remembered: a service is shown other strange lines every day."""
        column = self._word_columns
        ids = {text: np.array([column[word] for word in text.split() if word in column], dtype=np.int64)
               for text in texts}  # fmt: skip
        found = dict.fromkeys(texts, ("", 0.0))
        some = [text for text in texts if len(ids[text])]
        for start in range(0, len(some), _LINES_AT_ONCE):
            part = some[start : start + _LINES_AT_ONCE]
            ends = np.concatenate(([0], np.cumsum([len(ids[text]) for text in part]))).astype(np.int64)
            words = unit(np.concatenate([ids[text] for text in part]), ends, self._word_weights)
            for text, alike in zip(part, (words @ self._known_words.T).toarray(), strict=True):
                found[text] = self._likeness(text, ids[text], alike)
        return found

    def _likeness(self, text: str, ids: IntArray, alike: FloatArray) -> tuple[str, float]:
        words, column, best = text.split(), self._word_columns, int(alike.argmax())
        # Words that no normal window holds lengthen the vector, as rare as the rarest.
        weights = self._word_weights[np.unique(ids)]
        strange = len({word for word in words if word not in column}) * float(self._word_weights.max()) ** 2
        share = float(np.sqrt((weights**2).sum() / ((weights**2).sum() + strange)))
        near = self._known[best]
        # One strange word among many in their usual order does not make another kind of line.
        in_order = SequenceMatcher(None, words, near.split(), autojunk=False).ratio()
        return near, min(max(float(alike[best]) * share, in_order), 1.0)

    def _repetition(self, lines: Sequence[str]) -> dict[str, float]:
        found = {}
        for text in dict.fromkeys(lines):
            times, known = lines.count(text), self._repeats.get(text)
            found[text] = 0.0
            if times > 1 and known is not None and self._seen[text] >= _MIN_SUPPORT:
                as_often = known[times:].sum() if times < len(known) else 0
                beyond = max(np.log(times / (len(known) - 1)), 0.0)
                found[text] = float(-np.log((as_often + 0.5) / (self._seen[text] + 1)) + beyond)
        return found

    def _lack(self, lines: Sequence[str]) -> Lack:
        """The same with a rarity in nats, not calibrated."""
        here = set(lines)
        worst = Lack()
        for text in dict.fromkeys(lines):
            # A share of one from n windows says no more than that the next one lacks it once in n + 2.
            most = 1 - 1 / (self._seen.get(text, 0) + 2)
            for other, share in self._company.get(text, {}).items():
                if other not in here:
                    found = Lack(float(-np.log(1 - min(share, most))), other, text, share)
                    worst = max(worst, found, key=lambda lack: (lack.rarity, lack.text, lack.beside))
        return worst

    def nearest(self, windows: WindowSet) -> list[NearestNormal | None]:
        """The normal window nearest to each of ``windows``: of those with the most alike words and lines,
        the one that agrees best line by line; of equals, the one seen more often."""
        if not len(self.windows):
            return [None] * len(windows)
        columns = np.array([self._columns.get(text, -1) for text in windows.texts], dtype=np.int64)
        ids = columns[windows.line_ids]
        known = np.concatenate(([0], np.cumsum(ids >= 0)))[windows.offsets]
        by_line = unit(ids[ids >= 0], known, self._line_weights) @ self._lines.T
        word_ids, offsets = self._words_of(windows)
        by_word = unit(word_ids, offsets, self._word_weights) @ self._words.T
        alike = ((by_line + by_word) / 2).toarray().round(6)
        return [self._best(windows, row, alike[row]) for row in range(len(windows))]

    def _best(self, windows: WindowSet, row: int, alike: FloatArray) -> NearestNormal:
        lines = [windows.texts[i] for i in windows.lines(row)]
        own = Counter(lines)
        best, best_key = 0, (-1.0, -1.0)
        for candidate in self._alike_most(alike).tolist():
            texts = [self.windows.texts[i] for i in self.windows.lines(candidate)]
            in_both = sum((own & Counter(texts)).values())
            if 2.0 * in_both / (len(lines) + len(texts)) + float(alike[candidate]) < best_key[0]:
                continue  # Lines in common bound what agrees in order.
            in_order = SequenceMatcher(None, lines, texts, autojunk=False).ratio()
            key = (in_order + float(alike[candidate]), float(self.windows.counts[candidate]))
            if key > best_key:
                best, best_key = candidate, key
        texts = [self.windows.texts[i] for i in self.windows.lines(best)]
        similarity = round(min(best_key[0] / 2, 1.0), 3)
        rows = [replace(row, common=self._seen.get(row.text, 0) >= _COMMON) for row in differences(lines, texts)]
        return NearestNormal(tuple(texts), similarity, int(self.windows.counts[best]), tuple(rows))

    def _alike_most(self, alike: FloatArray) -> IntArray:
        """The normal windows with the greatest values; of equals, those seen more often, then the earlier ones."""
        few = np.arange(len(alike))
        if len(few) > _LOOKED_AT:
            # Sorting all of them would take longer than all the rest.
            few = np.flatnonzero(alike >= np.partition(alike, -_LOOKED_AT)[-_LOOKED_AT])
        return np.asarray(few[np.lexsort((-self.windows.counts[few], -alike[few]))[:_LOOKED_AT]], dtype=np.int64)


def _head(text: str) -> tuple[str, ...]:
    return tuple(text.split(None, _HEAD_WORDS)[:_HEAD_WORDS])


def _calibrated(calibration: TailCalibration | None, values: FloatArray) -> FloatArray:
    """``-log10 p`` of each, ``>= 0``; what is no rarity at all is none here either."""
    if calibration is None:
        return np.zeros(len(values))
    return np.where(values > 0, np.maximum(-calibration.log10_p_value(values), 0.0), 0.0)
