"""What every request needs: the settings, the model in service, the keys and the measures.

Belongs here: the one object that the application carries. What is done with it is in the files of the routes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock
from typing import Any, cast
from weakref import WeakSet

from flask import current_app

from logad_pipeline.lake.tables import Lake
from logad_pipeline.serving.champion import Champion, Served
from logad_pipeline.serving.keys import KeyFile
from logad_pipeline.serving.limits import ReadDeadlines
from logad_pipeline.serving.metrics import Metrics
from logad_pipeline.serving.problems import Problem
from logad_pipeline.serving.rate_limit import RateLimit
from logad_pipeline.settings import ServingSettings, Settings

_NAME = "logad"


@dataclass
class Service:
    """One application's parts."""

    settings: Settings
    champion: Champion
    keys: KeyFile
    metrics: Metrics = field(default_factory=Metrics)
    rate_limit: RateLimit = field(default_factory=RateLimit)
    deadlines: ReadDeadlines = field(default_factory=ReadDeadlines)
    answering: Lock = field(default_factory=Lock)
    """Held while the file of suppressions is written, which is read first."""
    stopping: bool = False
    """The server was told to go: streams end."""
    given_up: WeakSet[Any] = field(default_factory=WeakSet)
    """Connections whose request is read no further: what else comes on them is no next request."""

    def __post_init__(self) -> None:
        self.most_streams = min(self.limits.max_streams, self.limits.threads - 1)
        self.streams = BoundedSemaphore(self.most_streams)

    @property
    def limits(self) -> ServingSettings:
        """The settings of the API alone."""
        return self.settings.serving

    @property
    def lake(self) -> Lake:
        """The lake of the deployment, which need not exist."""
        return Lake(self.settings.lake)

    def served(self) -> Served:
        """The model in service.

        Raises:
            Problem: 503 if there is none yet.
        """
        served = self.champion.current
        if served is None:
            why = self.champion.degraded or "it is being loaded"
            raise Problem(503, "no-model", f"there is no model to judge with: {why}", headers={"Retry-After": "5"})
        return served


def put(service: Service) -> dict[str, Service]:
    """What goes into the application's ``extensions``."""
    return {_NAME: service}


def service() -> Service:
    """Of the application that answers this request."""
    return cast(Service, current_app.extensions[_NAME])
