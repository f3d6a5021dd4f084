"""Which events are in a window at all, against the normal windows."""

from __future__ import annotations

from typing import ClassVar

from logad_pipeline.detectors.bags import presence
from logad_pipeline.detectors.counts import Counts


class Events(Counts):
    """Distance of the set of a window's events to those of the nearest normal windows.

    Like :class:`~logad_pipeline.detectors.counts.Counts`, but once is as good as often. It is the sharper
    of the two where windows are long and how often an event comes depends on load: a file of a thousand
    lines with one new and two missing events.

    When it does not work: it does not see that an event came twice, or that a loop ran away.
    """

    name: ClassVar[str] = "events"
    squash = staticmethod(presence)
    rareness: ClassVar[float] = 0.5
