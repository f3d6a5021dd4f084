"""What a model says of windows by their texts: several askers read together, and what was said is remembered.

Belongs here: asking the detectors of windows, at once or through a memory of bounded size. Reading logs is in
``streams``; a memory on disk is the lake's.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

import numpy as np

from logad_pipeline.detectors.base import Float32Array, FloatArray
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.windows import WindowSet

READ_AT_ONCE: Final = 512
"""Unique windows of several askers that the encoder reads together: how long the next one waits at most."""


class TextScore(NamedTuple):
    """What the detectors of windows say of the texts of one window.

    Attributes:
        log10_p: float64 ``[k]``, the ``log10`` p-value of each, in the model's order.
        line_surprise: float32 ``[lines]``, nats a token of each line.
    """

    log10_p: FloatArray
    line_surprise: Float32Array


Ask = Callable[[WindowSet], list[TextScore]]
"""Gives the scores of unique windows, in their order."""
Tell = Callable[[Literal["remembered", "read"], int], None]
"""Is told how many windows were remembered of those an asker named, and how many the encoder read at once."""


def ask(model: AnomalyDetector, windows: WindowSet) -> list[TextScore]:
    """Ask the detectors of windows; pass unique ones, some thousands at a time."""
    scored = model.score(windows)
    log10_p = np.stack([scored.detector_log10_p[name] for name in model.detectors], axis=1)
    lines = np.split(scored.encoded.line_surprise, windows.offsets[1:-1])
    return [TextScore(row, surprise) for row, surprise in zip(log10_p, lines, strict=True)]


@dataclass
class _Asked:
    """What one asker wants to know, until it is known or has failed."""

    windows: list[tuple[str, ...]]
    scores: list[TextScore] = field(default_factory=list)
    failure: BaseException | None = None

    @property
    def done(self) -> bool:
        return len(self.scores) == len(self.windows) or self.failure is not None


class RememberedScores:
    """Asks a model, remembers what it said of the windows asked for last, and reads for several askers at once.

    Any number of threads may ask. One of those that wait reads for all of them, each different window once, up
    to ``READ_AT_ONCE`` of them; a window's score does not depend on its company. Memory holds ``capacity``
    windows at most. ``tell`` may be called by several threads at once.
    """

    def __init__(self, model: AnomalyDetector, capacity: int, tell: Tell | None = None) -> None:
        self._model = model
        self._capacity = capacity
        self._known: OrderedDict[bytes, TextScore] = OrderedDict()
        self._waiting: list[_Asked] = []
        self._access = threading.Lock()
        self._reading = threading.Lock()
        self._tell: Tell = tell or (lambda what, windows: None)

    def __call__(self, windows: WindowSet) -> list[TextScore]:
        """The scores of unique windows, in their order."""
        texts = [tuple(windows.texts[line] for line in windows.lines(row)) for row in range(len(windows))]
        keys = [_key(window) for window in texts]
        with self._access:
            found = [self._recall(key) for key in keys]
        new = [row for row, score in enumerate(found) if score is None]
        self._tell("remembered", len(found) - len(new))
        for start in range(0, len(new), READ_AT_ONCE):
            # Piece by piece, so that who asks for little does not wait for who asks for much.
            rows = new[start : start + READ_AT_ONCE]
            for row, score in zip(rows, self._read([texts[row] for row in rows]), strict=True):
                found[row] = score
        return [score for score in found if score is not None]

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """While nobody else asks the model: for what else its encoder is asked for."""
        with self._reading:
            yield

    def _recall(self, key: bytes) -> TextScore | None:
        score = self._known.get(key)
        if score is not None:
            self._known.move_to_end(key)
        return score

    def _read(self, windows: list[tuple[str, ...]]) -> list[TextScore]:
        asked = _Asked(windows)
        with self._access:
            self._waiting.append(asked)
        while not asked.done:
            with self._reading:
                if not asked.done:
                    self._read_for(self._take_turn())
        if asked.failure is not None:
            raise asked.failure
        return asked.scores

    def _take_turn(self) -> list[_Asked]:
        """Those who waited longest, as many as are read at once; always at least one."""
        with self._access:
            sizes = np.cumsum([len(asked.windows) for asked in self._waiting])
            count = max(1, int(np.searchsorted(sizes, READ_AT_ONCE, side="right")))
            turn, self._waiting = self._waiting[:count], self._waiting[count:]
        return turn

    def _read_for(self, turn: list[_Asked]) -> None:
        try:
            wanted = {_key(window): window for asked in turn for window in asked.windows}
            # Another turn may have read some of them since they were asked for.
            with self._access:
                known = {key: self._known[key] for key in wanted if key in self._known}
            new = [key for key in wanted if key not in known]
            if new:
                self._tell("read", len(new))
                known |= dict(zip(new, ask(self._model, WindowSet.distinct(wanted[key] for key in new)), strict=True))
            with self._access:
                self._remember({key: known[key] for key in new})
            for asked in turn:
                asked.scores = [known[_key(window)] for window in asked.windows]
        except BaseException as error:
            for asked in turn:
                asked.failure = error

    def _remember(self, scores: dict[bytes, TextScore]) -> None:
        self._known.update(scores)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)


def _key(window: Sequence[str]) -> bytes:
    digest = blake2b(digest_size=16)
    for text in window:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.digest()
