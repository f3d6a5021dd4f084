"""A model of records as well as windows, fitted on a log of its own in seconds, and lines for it to judge.

Belongs here: what tests of scoring share. No test stands here.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.streams import ReadSpec, fit_files
from logad_pipeline_tests.tiny_model import CYCLE, WINDOW, tiny_fit_spec

DETECTORS = ("surprise", "worst_line", "distance", "counts", "entity_graph", "severity")
YEAR = 2025
_USERS = 5

RAW_CYCLE = (
    "connection from 10.0.0.{user} accepted",
    "session opened for user u{user}",
    "request /orders/list started",
    "cache miss for key {number}",
    "query took {number}ms",
    "request /orders/list done status=200",
    "session closed for user u{user}",
)
"""Messages whose normalised texts are those of ``CYCLE``."""


def raw_lines(lines: int) -> list[str]:
    """Messages in the strict order, of a few users in turn."""
    return [
        RAW_CYCLE[at % len(CYCLE)].format(user=at // len(CYCLE) % _USERS, number=10 + at % 7) for at in range(lines)
    ]


def stamped(day: date, messages: Sequence[str], host: str = "web1") -> list[str]:
    """The messages as lines of one program, a second apart."""
    first = datetime(day.year, day.month, day.day, 10)
    times = [first + timedelta(seconds=at) for at in range(len(messages))]
    return [
        f"{time:%b} {time.day:2} {time:%H:%M:%S} {host} app[7]: {message}"
        for time, message in zip(times, messages, strict=True)
    ]


@functools.cache
def record_model() -> AnomalyDetector:
    """A model of 2000 lines in strict order, with one odd line now and then so that scores spread."""
    lines = raw_lines(2000)
    for at in np.random.default_rng(3).choice(2000, size=40, replace=False):
        lines[at] = RAW_CYCLE[3].format(number=12)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "app.log"
        file.write_text("".join(f"{line}\n" for line in stamped(date(YEAR, 3, 1), lines)), encoding="utf-8")
        spec = dataclasses.replace(tiny_fit_spec(), detectors=DETECTORS)
        model, _ = fit_files([str(file)], WINDOW, spec, ReadSpec(year=YEAR))
        model.save(Path(folder) / "model")
    return model


@functools.cache
def text_model() -> AnomalyDetector:
    """The same model without its detectors of records."""
    with tempfile.TemporaryDirectory() as folder:
        model = record_model().without(*record_model().record_detectors)
        model.save(Path(folder) / "model")
    return model
