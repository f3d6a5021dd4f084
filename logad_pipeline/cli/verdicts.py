"""How verdicts are written: for people the strangest first, or alerts as they come; for machines one a line.

Belongs here: the output of `logad detect`. What is judged is chosen in `files`.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from logad_pipeline.reporting.text import score_text, visible

if TYPE_CHECKING:
    from logad_pipeline.live import LiveScorer, LiveVerdict
    from logad_pipeline.streams import WindowVerdict
    from logad_pipeline.unit_streams import UnitVerdict

_NAMED: Final = 4
"""Detectors named beside a verdict for people, the strongest first."""
_LONGEST: Final = 300
"""Bytes of a line shown below a verdict."""
Place = tuple[str, int]
"""A source, and the number of a line in it."""


class Told:
    """Writes verdicts to ``out`` as they are taken, or for people those of the highest score at the end.

    With ``follow`` people see alerts at once; with ``None`` they do once the stream makes them wait.
    """

    def __init__(self, out: IO[str], top: int, as_json: bool, follow: bool | None) -> None:
        self.counts = {"verdicts": 0, "anomalies": 0}
        self._out = out
        self._top = top
        self._as_json = as_json
        self._follow = follow
        self._live = bool(follow)
        self._worst: list[tuple[float, int, str, Place]] = []
        self._told_of: dict[str, int] = {}

    def take(self, verdict: WindowVerdict | UnitVerdict, version: str, number: int = 0, line: str = "") -> None:
        """Count a verdict, and write it if it is its time; ``number`` and ``line`` are its least expected line."""
        self.counts["verdicts"] += 1
        self.counts["anomalies"] += verdict.is_anomaly
        if self._as_json:
            self._out.write(json.dumps(verdict.to_dict(version)) + "\n")
        elif not self._live:
            self._keep(verdict, line)
        elif verdict.is_anomaly and self._told_of.pop(verdict.group, -1) != number:
            self._write(_for_people(verdict, line))

    def take_growing(self, verdict: WindowVerdict, version: str, number: int, line: str) -> None:
        """Write an anomaly among the newest records; it is counted when its window is whole."""
        if self._as_json:
            self._write(json.dumps(verdict.to_dict(version) | {"growing": True}))
        elif self._live and self._told_of.get(verdict.group) != number:
            if len(self._told_of) > 10_000:
                self._told_of.clear()
            self._told_of[verdict.group] = number
            self._write(_for_people(verdict, line))

    def pause(self) -> None:
        """The stream makes us wait: somebody may be watching, so what was kept back is written."""
        if not self._live and self._follow is None and not self._as_json:
            self._live = True
            for _, _, text, _ in sorted(self._worst, key=lambda kept: -kept[1]):
                if text.startswith("!"):
                    self._out.write(text + "\n")
        self.flush()

    def flush(self) -> None:
        """Keep nothing that was written in a buffer."""
        self._out.flush()

    def finish(self) -> None:
        """Write what was kept for the end."""
        if not self._live and not self._as_json:
            lines = _lines_at(place for _, _, text, place in self._worst if "\n" not in text)
            for _, _, text, place in sorted(self._worst, reverse=True):
                self._out.write(text + _below(lines.get(place, "")) + "\n")

    def _keep(self, verdict: WindowVerdict | UnitVerdict, line: str) -> None:
        if len(self._worst) == self._top and verdict.score < self._worst[0][0]:
            return
        place = (verdict.source, verdict.least_expected)
        heapq.heappush(self._worst, (verdict.score, -self.counts["verdicts"], _for_people(verdict, line), place))
        if len(self._worst) > self._top:
            heapq.heappop(self._worst)

    def _write(self, text: str) -> None:
        self._out.write(text + "\n")
        self.flush()


def watch(scorer: LiveScorer, told: Told) -> None:
    """Write the verdicts on standard input as they come."""
    from logad_pipeline.logs.reader import open_log

    for live in scorer.score("-", open_log("-"), told.pause):
        _take(live, told, scorer.version)


def _take(live: LiveVerdict, told: Told, version: str) -> None:
    if live.awaited:
        told.pause()
    if live.growing:
        told.take_growing(live.verdict, version, live.number, live.line)
    else:
        told.take(live.verdict, version, live.number, live.line)
    if live.awaited:
        told.flush()


def _for_people(verdict: WindowVerdict | UnitVerdict, line: str) -> str:
    place = f"{visible(verdict.source)}:{verdict.first_line}-{verdict.last_line}"
    group = f" {visible(verdict.group)}" if verdict.group else ""
    strongest = sorted(verdict.detectors.items(), key=lambda item: -item[1])[:_NAMED]
    channels = ", ".join(f"{name} {value:.2f}" for name, value in strongest)
    mark = "!" if verdict.is_anomaly else " "
    return f"{mark} {score_text(verdict.score)} {verdict.risk:<6} {place}{group}  ({channels}){_below(line)}"


def _below(line: str) -> str:
    return f"\n    {visible(line)}" if line else ""


def _lines_at(places: Iterable[Place]) -> dict[Place, str]:
    """The beginnings of these lines; of what is no file, and so cannot be read a second time, there are none."""
    from logad_pipeline.logs.reader import open_log, read_lines

    wanted: dict[str, set[int]] = {}
    for source, number in places:
        wanted.setdefault(source, set()).add(number)
    found: dict[Place, str] = {}
    for source, numbers in wanted.items():
        if not Path(source).is_file():
            continue
        with open_log(source) as stream:
            for number, line in enumerate(read_lines(stream), start=1):
                if number in numbers:
                    found[source, number] = line[:_LONGEST].decode("utf-8", "replace").rstrip("\r\n")
                if number >= max(numbers):
                    break
    return found
