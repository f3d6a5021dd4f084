"""Simulated logs: several hosts over several days, with labelled incidents, from a seed alone.

Belongs here: what is said, by whom, in which order and when. Does not belong here: reading, normalising or
scoring logs; nothing of the package is imported.
"""

from __future__ import annotations

from logad_pipeline.logs.simulator.incidents import INCIDENT_KINDS
from logad_pipeline.logs.simulator.simulation import MIN_LINES_PER_DAY, Simulation, simulate
from logad_pipeline.logs.simulator.timeline import UPDATE_DAY, VARIATION_DAY
from logad_pipeline.logs.simulator.writing import Incident

__all__ = [
    "INCIDENT_KINDS",
    "MIN_LINES_PER_DAY",
    "UPDATE_DAY",
    "VARIATION_DAY",
    "Incident",
    "Simulation",
    "simulate",
]
