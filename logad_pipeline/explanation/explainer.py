"""`Explainer`: evidence for the windows that are shown, a batch at a time.

Belongs here: the order of the steps. It scores nothing anew and changes no score: it says what stands
behind scores that a model has given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from logad_pipeline.detectors.base import EncodedWindows, FloatArray
from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.detectors.next_event import NextEvent
from logad_pipeline.explanation.evidence import Evidence, Expected, LineEvidence, NearestNormal, ShownWindow, Voice
from logad_pipeline.explanation.expected import Expectations, ExpectedLine
from logad_pipeline.explanation.kinds import strengths, strongest
from logad_pipeline.explanation.normal_windows import NormalWindows
from logad_pipeline.explanation.suspicion import LENGTH, NEXT, Witnesses, reasons, witnesses
from logad_pipeline.explanation.wording import summary
from logad_pipeline.streams import WindowVerdict
from logad_pipeline.windows import WindowIndex, WindowSet

POINTED_AT: Final = 3
"""Lines that are pointed at, and of which the model is asked what it expected."""
_LOUD: Final = 1.0
"""Rarity below which a witness is not quoted: what is seen in one of ten normal windows is no reason."""


class Explainer:
    """Explains windows that a model has judged: deterministic, without labels and without a language model.

    Making one reads the model's normal windows, which takes some seconds for many thousands of them; explaining
    costs one forward pass a window besides, of ``expected.MOST_TOKENS`` tokens at most, or of a few where it is long.

    When it does not work: a window whose odd lines differ from normal ones only by what the masks hide, and of
    which no facts are given, has nothing to show. What is missing altogether can only be pointed at by what
    stands around it.
    """

    def __init__(self, model: AnomalyDetector) -> None:
        self.model = model
        self.normal = NormalWindows(model.reference)
        self._expectations = Expectations(model.encoder)

    def explain(self, shown: Sequence[ShownWindow]) -> list[Evidence]:
        """Evidence for each window.

        Raises:
            ValueError: if a window has no line, or another number of facts or surprises than lines.
        """
        if not shown:
            return []
        for number, window in enumerate(shown):
            _check(number, window)
        windows = WindowSet.of_lines([window.texts for window in shown])
        surprise = self._surprise(shown, windows)
        excess, likely = self._next(windows)
        heard = witnesses(self.model, self.normal, shown, windows, surprise, excess, likely)
        hidden = [np.argsort(-one.suspicion, kind="stable")[:POINTED_AT].tolist() for one in heard]
        expected = self._expectations.lines(windows, hidden)
        nearest = self.normal.nearest(windows)
        found = []
        for row, window in enumerate(shown):
            part = slice(int(windows.offsets[row]), int(windows.offsets[row + 1]))
            found.append(self._evidence(window, heard[row], surprise[part], expected[row], nearest[row]))
        return found

    def _surprise(self, shown: Sequence[ShownWindow], windows: WindowSet) -> FloatArray:
        """Of each line of all windows; measured where it is not given."""
        unread = [row for row, window in enumerate(shown) if window.line_surprise is None]
        out = np.concatenate([np.array(window.line_surprise or (0.0,) * len(window.texts)) for window in shown])
        if unread:
            rows = np.array(unread, dtype=np.int64)
            out[windows.places(rows)] = self.model.encoder.encode(windows.take(rows)).line_surprise
        return np.asarray(out, dtype=np.float64)

    def _next(self, windows: WindowSet) -> tuple[FloatArray, list[list[tuple[str, float]]]]:
        detector = self.model.detectors.get(NEXT)
        if not isinstance(detector, NextEvent):
            return np.zeros(0), []
        return detector.expected(EncodedWindows.unread(windows))

    def _evidence(
        self, shown: ShownWindow, heard: Witnesses, surprise: FloatArray, expected: dict[int, ExpectedLine],
        nearest: NearestNormal | None,
    ) -> Evidence:  # fmt: skip
        suspicion = heard.suspicion
        said = [reasons(place, shown, heard, self.normal, self.model, _LOUD) for place in range(len(shown.texts))]
        lines = tuple(
            LineEvidence(
                place, text, round(float(suspicion[place]), 3), round(float(surprise[place]), 3),
                round(self.normal.seen_in(text), 6), tuple(reason.text for reason in said[place]),
                expected[place].text if place in expected else "",
                expected[place].words if place in expected else (),
                tuple(Expected(line, round(chance, 4)) for line, chance in heard.likely[place])
                if heard.likely and place in expected else (),
                tuple(reason.masked for reason in said[place]),
            )
            for place, text in enumerate(shown.texts)
        )  # fmt: skip
        length = self.model.scale.rarity(shown.detectors.get(LENGTH, 0.0))
        strong = strengths(shown, heard, nearest, length, self.normal.usual_length)
        kind = strongest(strong)
        by_kind = {one: round(strength.rarity, 3) for one, strength in strong.items()}
        told = summary(kind, lines[strong[kind].place], heard.lack, strong[kind].rarity)
        return Evidence(kind, told, by_kind, self._voices(shown), lines, nearest)

    def _voices(self, shown: ShownWindow) -> tuple[Voice, ...]:
        return tuple(
            Voice(name, round(score, 4), float(f"{10 ** self.model.scale.rarity(score):.3g}"), score >= THRESHOLD)
            for name, score in sorted(shown.detectors.items(), key=lambda item: (-item[1], item[0]))
        )


def shown_windows(verdicts: Sequence[WindowVerdict], index: WindowIndex) -> list[ShownWindow]:
    """Verdicts of a file scorer as windows to be explained; ``index`` is that of the scorer's reader."""
    every = index.build()
    return [
        ShownWindow(
            tuple(every.texts[i] for i in every.lines(verdict.window.unique)), verdict.detectors, verdict.window.facts,
            verdict.line_surprise or None,
        )
        for verdict in verdicts
    ]


def _check(number: int, shown: ShownWindow) -> None:
    lines = len(shown.texts)
    if not lines:
        raise ValueError(f"window {number} to be explained has no line")
    for what, given in (("facts", shown.facts), ("line_surprise", shown.line_surprise)):
        if given and len(given) != lines:
            raise ValueError(f"window {number} to be explained has {lines} lines but {len(given)} {what}")
