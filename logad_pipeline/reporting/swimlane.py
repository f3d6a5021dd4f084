"""The swimlane: the highest score and the alarms of each stream by span of time, and how its cells look.

Belongs here: its values, words and addresses, for the report and the triage pages alike. Adding up is ``lake.lanes``'
business, markup is in ``templates/lanes.html.j2``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from logad_pipeline.detectors.calibration import HIGH_RISK
from logad_pipeline.reporting.text import count, label, score_text, span_text

MOST_LANES: Final = 40
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Cell:
    """Windows of a stream that begin in one span of time: the highest score, in [0, 1], and how many alarms."""

    score: float
    alarms: int


@dataclass(slots=True)
class Lane:
    """A host, or a source, with its cells by the number of their span from 0 on; spans without windows have none."""

    name: str
    cells: dict[int, Cell] = field(default_factory=dict)

    @property
    def alarms(self) -> int:
        """In all of them."""
        return sum(cell.alarms for cell in self.cells.values())

    @property
    def score(self) -> float:
        """The highest."""
        return max(cell.score for cell in self.cells.values())


@dataclass(frozen=True, slots=True)
class Swimlane:
    """The lanes of some days, those with the highest scores first.

    Attributes:
        start: of the first span, UTC.
        hours: of each span.
        spans: how many; 72 at most.
        windows, alarms: counted.
        timeless: windows that have no time and are in no lane.
    """

    start: datetime
    hours: int
    spans: int
    lanes: tuple[Lane, ...]
    windows: int
    alarms: int
    timeless: int

    def begin(self, span: int) -> datetime:
        """When a span begins."""
        return self.start + timedelta(hours=span * self.hours)

    def span_of(self, at: datetime) -> int:
        """The number of the span that holds a time; one outside the swimlane has a number that no cell has."""
        return (at - self.start) // (self.hours * _HOUR)


@dataclass(frozen=True)
class CellView:
    """A cell: a class for its colour, what it says, and where it leads; empty without windows."""

    level: str = ""
    mark: str = ""
    says: str = ""
    link: str = ""


@dataclass(frozen=True)
class LaneView:
    """A row of the swimlane; ``link`` is empty where its name leads nowhere."""

    name: str
    link: str
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class LanesView:
    """The swimlane: names of days over spans, names of spans, and the lanes; ``size`` is a class for its width."""

    groups: tuple[tuple[str, int], ...]
    spans: tuple[str, ...]
    lanes: tuple[LaneView, ...]
    left_out: int
    unit: str
    size: str
    timeless: int


def lanes_view(
    swimlane: Swimlane, lane_link: Callable[[str], str], cell_link: Callable[[str, int], str]
) -> LanesView | None:
    """The swimlane as a table of links; ``None`` without lanes.

    Args:
        swimlane: what to show; of more than 40 lanes those with the highest scores.
        lane_link: address that the name of a lane leads to; may be empty.
        cell_link: the same for a lane's cell of a span that has windows.
    """
    if not swimlane.lanes:
        return None
    names = [_names(swimlane.begin(span), swimlane.hours) for span in range(swimlane.spans)]
    groups: list[tuple[str, int]] = []
    for group, _ in names:
        if groups and groups[-1][0] == group:
            groups[-1] = (group, groups[-1][1] + 1)
        else:
            groups.append((group, 1))
    shown = swimlane.lanes[:MOST_LANES]
    lanes = (
        LaneView(
            label(lane.name, 60), lane_link(lane.name),
            tuple(_cell_view(lane, span, swimlane, cell_link) for span in range(swimlane.spans)),
        )
        for lane in shown
    )  # fmt: skip
    return LanesView(
        tuple(groups), tuple(name for _, name in names), tuple(lanes), len(swimlane.lanes) - len(shown),
        _unit(swimlane.hours), "few" if swimlane.spans <= 24 else "some" if swimlane.spans <= 48 else "many",
        swimlane.timeless,
    )  # fmt: skip


def alarm_level(score: float) -> str:
    """The class of an alarm's colour by its score in [0, 1]: ``high`` or ``alert``."""
    return "high" if score >= HIGH_RISK else "alert"


def _names(begin: datetime, hours: int) -> tuple[str, str]:
    return (f"{begin:%m-%d}", f"{begin:%H}") if hours < 24 else (f"{begin:%Y-%m}", f"{begin:%d}")


def _unit(hours: int) -> str:
    return count(hours, "hour") if hours < 24 else count(hours // 24, "day")


def _cell_view(lane: Lane, span: int, swimlane: Swimlane, link: Callable[[str, int], str]) -> CellView:
    cell = lane.cells.get(span)
    if cell is None:
        return CellView()
    begin = swimlane.begin(span)
    end = begin + swimlane.hours * _HOUR
    level = alarm_level(cell.score) if cell.alarms else f"quiet{min(4, int(10 * cell.score))}"
    mark = "" if not cell.alarms else str(cell.alarms) if cell.alarms < 10 else "9+"
    says = f"{label(lane.name, 60)}, {span_text(begin, end)}: {count(cell.alarms, 'alarm')}, highest score "
    return CellView(level, mark, says + score_text(cell.score), link(lane.name, span))


def stamp(at: datetime) -> str:
    """A time as addresses hold it: UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
