"""What Prometheus is told: requests, latency, windows, the memory of scores, the model, and what was rejected.

Belongs here: the names of the measures. Each application has its own registry, so that two of them may live in
one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WINDOWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """The measures of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests answered.", ["endpoint", "method", "status"])
        self.seconds = Histogram(
            "logad_request_seconds", "Time to answer.", ["endpoint"], buckets=_SECONDS, registry=self.registry
        )
        self.in_flight = self._gauge("requests_in_flight", "Requests being answered now.")
        self.rejected = self._counter("rejected", "Requests refused, by reason.", ["reason"])
        self.lines = self._counter("lines", "Log lines judged.")
        self.windows = self._counter("windows", "Windows judged.")
        self.anomalies = self._counter("anomalies", "Windows judged anomalous.")
        self.remembered = self._counter("cache_hits", "Distinct windows of a request that were remembered.")
        self.read = self._counter("cache_misses", "Distinct windows that the encoder read.")
        self.batch = Histogram(
            "logad_batch_windows", "Windows that the encoder read at once.", buckets=_WINDOWS, registry=self.registry
        )
        self.model = Info("logad_model", "The model that answers.", registry=self.registry)
        self.loads = self._counter("model_loads", "Models put into service.")
        self.ready = self._gauge("ready", "1 with a model, else 0.")
        self.degraded = self._gauge("degraded", "1 where the model may not be the registry's champion.")

    def _counter(self, name: str, says: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"logad_{name}", says, labels, registry=self.registry)

    def _gauge(self, name: str, says: str) -> Gauge:
        return Gauge(f"logad_{name}", says, registry=self.registry)

    def tell(self, what: Literal["remembered", "read"], windows: int) -> None:
        """Take what the memory of scores tells."""
        if what == "remembered":
            self.remembered.inc(windows)
        else:
            self.read.inc(windows)
            self.batch.observe(windows)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return bytes(generate_latest(self.registry))
