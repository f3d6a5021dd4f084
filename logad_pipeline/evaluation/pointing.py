"""How good evidence is: whether the lines that an explanation points at are the labelled ones, and its kind right.

Belongs here: which units are explained, what counts as a hit, and the two guesses beside it. Sets are in
``datasets`` and ``simulated_set``; labels are only held against evidence that was found without them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from typing import Any, Final

import numpy as np

from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.explanation.evidence import Evidence
from logad_pipeline.explanation.explainer import Explainer, shown_windows
from logad_pipeline.streams import FileScorer, WindowVerdict

from .benchmark_set import BenchmarkSet, BoolArray
from .simulated_set import RIGHT_KINDS

POINTED: Final = 3
_WINDOWS_OF_A_FILE: Final = 5
"""Windows of a file, the worst, whose lines are looked at together."""
_AT_ONCE: Final = 64


@dataclass
class Pointing:
    """What was found on one set, over the units that hold labelled lines and others.

    Attributes:
        name: of the set.
        units: how many were explained.
        alarms: how many of them raised an alarm.
        one_sided: units left out since all of their lines are labelled: any line would do.
        hits: by who points (``logad``, ``a random line``, ``the rarest template``), in how many units the
            first, and one of the first three lines, is labelled; the random line's are expectations.
        kinds: how often an incident of a kind was called what; empty where no kind is known.
        milliseconds: of processor time for the evidence of a window, found for some dozens at once.
    """

    name: str
    units: int = 0
    alarms: int = 0
    one_sided: int = 0
    hits: dict[str, list[float]] = field(
        default_factory=lambda: {who: [0.0, 0.0] for who in ("logad", "a random line", "the rarest template")}
    )
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    milliseconds: float = 0.0

    def count(self, who: str, labelled: Sequence[bool]) -> None:
        """Lines in the order in which they are pointed at."""
        self.hits[who][0] += labelled[0]
        self.hits[who][1] += any(labelled[:POINTED])

    def count_random(self, labelled: int, lines: int) -> None:
        """What a line drawn at random, or one of three, would do."""
        drawn = min(POINTED, lines)
        self.hits["a random line"][0] += labelled / lines
        self.hits["a random line"][1] += 1 - comb(lines - labelled, drawn) / comb(lines, drawn)

    @property
    def kinds_right(self) -> float | None:
        """Share of the units whose kind is right; ``None`` where no kind is known."""
        total = self.kinds.total()
        right = sum(number for (incident, kind), number in self.kinds.items() if kind in RIGHT_KINDS[incident])
        return right / total if total else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; shares of units in [0, 1]."""
        shares = {
            who: {"first": first / max(self.units, 1), "one_of_three": three / max(self.units, 1)}
            for who, (first, three) in self.hits.items()
        }
        kinds: dict[str, dict[str, int]] = {}
        for (incident, kind), number in sorted(self.kinds.items()):
            kinds.setdefault(incident, {})[kind] = number
        return {
            "set": self.name, "units": self.units, "alarms": self.alarms, "one_sided": self.one_sided, "hits": shares,
            "kinds_right": self.kinds_right, "kinds": kinds, "milliseconds_a_window": round(self.milliseconds, 2),
        }  # fmt: skip


def measure_pointing(
    benchmark: BenchmarkSet,
    model: AnomalyDetector,
    labelled: Mapping[str, BoolArray],
    incidents: Mapping[str, Sequence[tuple[str, str] | None]] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Pointing:
    """Explain what a model was shown, and hold the lines pointed at against their labels.

    Units are the windows with a labelled line that raised an alarm; where incidents are known, the worst window
    of each, alarm or not; where a set is judged by file, its files that hold a labelled line, by the lines of
    their five worst windows. Units of which all lines are labelled are left out.

    Args:
        benchmark: the set; its first part is looked at.
        model: fitted on the training files of that part.
        labelled: by test file, whether each line is labelled, index 0 being line 1.
        incidents: by test file, the incident of each line and its kind, ``None`` for none.
        say: told of every step, in a line.
    """
    found = Pointing(benchmark.name)
    scorer = FileScorer(model, benchmark.window_spec, benchmark.read_spec)
    units: list[_Unit] = []
    for path in benchmark.parts[0].test:
        truth, known = labelled[path.name], (incidents or {}).get(path.name)
        if truth.any():
            units += _units(benchmark, list(scorer.score(str(path))), truth, known)
    units = _worst_of_incidents(units)
    say(f"{benchmark.name}: {len(units)} units to explain …")
    explainer, windows = Explainer(model), 0
    for unit, evidence, seconds in _explained(units, explainer, scorer):
        _hold(found, unit, evidence, explainer, scorer)
        found.milliseconds += 1000 * seconds
        windows += len(evidence)
    found.milliseconds /= max(windows, 1)
    return found


@dataclass(frozen=True)
class _Unit:
    """Windows, the worst first, which of their records are labelled, and the incident, if it is known."""

    verdicts: list[WindowVerdict]
    marks: list[BoolArray]
    incident: tuple[str, str] | None = None


def _units(
    benchmark: BenchmarkSet, verdicts: list[WindowVerdict], truth: BoolArray,
    incidents: Sequence[tuple[str, str] | None] | None,
) -> list[_Unit]:  # fmt: skip
    if benchmark.unit == "file":
        worst = sorted(verdicts, key=lambda one: -one.score)
        return [_Unit(worst, [_marks(one, truth) for one in worst])]
    units = []
    for one in verdicts:
        marks = _marks(one, truth)
        if marks.any() and incidents is not None:
            told = Counter(incident for line in one.window.lines if (incident := incidents[line - 1]))
            units += [_Unit([one], [marks], incident) for incident in told]
        elif marks.any() and one.is_anomaly:
            units.append(_Unit([one], [marks]))
    return units


def _worst_of_incidents(units: Sequence[_Unit]) -> list[_Unit]:
    kept: dict[object, _Unit] = {}
    for number, unit in enumerate(units):
        key = unit.incident or number
        if key not in kept or unit.verdicts[0].score > kept[key].verdicts[0].score:
            kept[key] = unit
    return list(kept.values())


def _marks(verdict: WindowVerdict, truth: BoolArray) -> BoolArray:
    """Whether each record of a window has a labelled line."""
    return np.array([truth[first - 1 : last].any() for first, last in verdict.window.spans], dtype=np.bool_)


def _explained(
    units: Sequence[_Unit], explainer: Explainer, scorer: FileScorer
) -> Iterator[tuple[_Unit, list[Evidence], float]]:
    """Each unit with the evidence of its worst windows, some units at a time, and the processor seconds it took."""
    for start in range(0, len(units), _AT_ONCE):
        some = units[start : start + _AT_ONCE]
        worst = [unit.verdicts[:_WINDOWS_OF_A_FILE] for unit in some]
        shown = shown_windows([verdict for part in worst for verdict in part], scorer.reader.index)
        began = time.process_time()
        evidence = iter(explainer.explain(shown))
        seconds = (time.process_time() - began) / len(some)
        for unit, part in zip(some, worst, strict=True):
            yield unit, [next(evidence) for _ in part], seconds


def _hold(found: Pointing, unit: _Unit, evidence: list[Evidence], explainer: Explainer, scorer: FileScorer) -> None:
    if unit.incident is not None:
        found.kinds[unit.incident[1], evidence[0].kind] += 1
    every = np.concatenate(unit.marks)
    if every.all():
        found.one_sided += 1
        return
    found.units += 1
    found.alarms += unit.verdicts[0].is_anomaly
    lines = [(-line.suspicion, place, line.place) for place, one in enumerate(evidence) for line in one.lines]
    found.count("logad", [bool(unit.marks[window][place]) for _, window, place in sorted(lines)])
    found.count_random(int(every.sum()), len(every))
    shown = shown_windows(unit.verdicts, scorer.reader.index)
    seen = [explainer.normal.seen_in(text) for one in shown for text in one.texts]
    rare = sorted((share, place) for place, share in enumerate(seen))
    found.count("the rarest template", [bool(every[place]) for _, place in rare])


def table(results: Sequence[Pointing]) -> str:
    """The results as text of at most 120 columns."""
    rows = [f"{'set':<14}{'who points':<24}{'units':>7}{'first line':>14}{'one of three':>14}"]
    for result in results:
        for who, shares in result.to_dict()["hits"].items():
            rows.append(
                f"{result.name:<14}{who:<24}{result.units:>7}{shares['first']:>14.1%}{shares['one_of_three']:>14.1%}"
            )
    for result in results:
        rows.append(
            f"{result.name}: {result.alarms} raised an alarm; {result.one_sided} more hold labelled lines only; "
            f"{result.milliseconds:.1f} ms of processor time a window"
        )
        if result.kinds_right is not None:
            rows.append(f"{result.name}: the kind is right for {result.kinds_right:.1%} of {result.kinds.total()}")
            for incident in sorted({incident for incident, _ in result.kinds}):
                called = {kind: n for (one, kind), n in sorted(result.kinds.items()) if one == incident}
                words = ", ".join(f"{kind} {n}{'' if kind in RIGHT_KINDS[incident] else ' (wrong)'}"
                                  for kind, n in called.items())  # fmt: skip
                rows.append(f"  {incident:<24}{words}")
    return "\n".join(rows) + "\n"
