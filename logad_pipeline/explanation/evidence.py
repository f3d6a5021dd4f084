"""What an explanation consists of, as plain values.

Belongs here: the shapes and their JSON. How evidence is found is in ``explainer`` and the files beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from logad_pipeline.logs.facts import RecordFacts

Kind = Literal["new template", "order", "frequency", "missing", "parameter", "new relation"]
KINDS: Final[tuple[Kind, ...]] = ("new template", "new relation", "parameter", "frequency", "missing", "order")
"""All kinds; where two are equally strong, the earlier one is named."""

Change = Literal["same", "added", "missing", "moved"]


@dataclass(frozen=True)
class ShownWindow:
    """A window to be explained.

    Attributes:
        texts: its normalised lines as they are read, one or more.
        detectors: the calibrated score of each detector, in [0, 1), as a verdict carries them.
        facts: what each record says beyond its text; empty where that is not known.
        line_surprise: nats a token of each line, as scoring measured them; ``None`` to have them measured,
            which takes four times as long as the rest.
    """

    texts: tuple[str, ...]
    detectors: Mapping[str, float]
    facts: tuple[RecordFacts, ...] = ()
    line_surprise: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Expected:
    """Something that the model would rather have read, and the probability it gave it, in (0, 1]."""

    text: str
    probability: float


@dataclass(frozen=True)
class WordEvidence:
    """A word of a hidden line, its surprise in nats, and what was expected in its place, likeliest first."""

    text: str
    surprise: float
    expected: tuple[Expected, ...]


@dataclass(frozen=True)
class LineEvidence:
    """A line of the window.

    Attributes:
        place: its place in the window as it is read, from 0.
        text: the normalised line.
        suspicion: how rare what speaks against it is among normal windows: of all that is said of it, the fused
            ``-log10 p``, ``>= 0``.
        surprise: mean surprise of its tokens, nats.
        seen_in: share of the normal windows that hold this text, in [0, 1].
        reasons: what speaks against it, in words, the strongest first; empty where nothing does.
        expected_line: the line that the model would have put here; ``""`` where it was not asked.
        words: word by word; empty where the model was not asked.
        expected_next: the lines that were likely to come here after those before it; may be empty.
        masked_reasons: the reasons again, without names, numbers and quoted lines: what may leave of them.
    """

    place: int
    text: str
    suspicion: float
    surprise: float
    seen_in: float
    reasons: tuple[str, ...]
    expected_line: str = ""
    words: tuple[WordEvidence, ...] = ()
    expected_next: tuple[Expected, ...] = ()
    masked_reasons: tuple[str, ...] = ()

    def least_expected(self, most: int = 3) -> tuple[WordEvidence, ...]:
        """The words with the most surprise, of those that the model would not have put there; as they are read."""
        other = [place for place, word in enumerate(self.words) if word.expected and word.expected[0].text != word.text]
        worst = sorted(other, key=lambda place: (-self.words[place].surprise, place))[:most]
        return tuple(self.words[place] for place in sorted(worst))


@dataclass(frozen=True)
class Voice:
    """What a detector says: its score in [0, 1), and that one in so many normal windows scores as high."""

    detector: str
    score: float
    one_in: float
    spoke: bool


@dataclass(frozen=True)
class Difference:
    """A row of the comparison with the nearest normal window.

    Attributes:
        change: ``same`` in both, ``added`` in this window only, ``missing`` from it, ``moved`` to this place.
        text: the normalised line.
        place: its place in this window, ``None`` for a missing one.
        common: whether five normal windows or more hold the line, so that it names nobody in particular.
    """

    change: Change
    text: str
    place: int | None
    common: bool = False


@dataclass(frozen=True)
class NearestNormal:
    """The normal window that reads most alike.

    Attributes:
        texts: its normalised lines.
        similarity: 1 for the same lines in the same order, 0 for nothing in common.
        seen: how often it was seen in the normal logs.
        differences: line by line.
    """

    texts: tuple[str, ...]
    similarity: float
    seen: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Evidence:
    """Why a window is suspicious; the same model and window give the same evidence.

    Attributes:
        kind: the kind of anomaly that has most to show.
        summary: one sentence.
        strengths: by kind, how rare what speaks for it is among normal windows, ``-log10 p``, ``>= 0``.
        voices: what each detector says, the loudest first.
        lines: all lines, in the order in which they are read.
        nearest: the nearest normal window; ``None`` where the model kept none.
    """

    kind: Kind
    summary: str
    strengths: Mapping[Kind, float]
    voices: tuple[Voice, ...]
    lines: tuple[LineEvidence, ...]
    nearest: NearestNormal | None

    def pointed_at(self, most: int = 3) -> tuple[LineEvidence, ...]:
        """The most suspicious lines, the worst first."""
        return tuple(sorted(self.lines, key=lambda line: (-line.suspicion, line.place))[:most])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; ``pointed_at`` holds the places of the three most suspicious lines."""
        return asdict(self) | {"pointed_at": [line.place for line in self.pointed_at()]}
