"""What Prometheus is told: requests, latency, windows, the memory of scores, the model, and what was rejected.

Belongs here: the names of the measures. Each application has its own registry, so that two of them may live in
one process.
"""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The measures of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        of = {"registry": self.registry}
        self.requests = Counter("logad_requests", "Requests answered.", ["endpoint", "method", "status"], **of)
        self.seconds = Histogram(
            "logad_request_seconds", "Time to answer.", ["endpoint"], buckets=_SECONDS, **of
        )
        self.in_flight = Gauge("logad_requests_in_flight", "Requests being answered now.", **of)
        self.rejected = Counter("logad_rejected", "Requests refused, by reason.", ["reason"], **of)
        self.lines = Counter("logad_lines", "Log lines judged.", **of)
        self.windows = Counter("logad_windows", "Windows judged.", **of)
        self.anomalies = Counter("logad_anomalies", "Windows judged anomalous.", **of)
        self.remembered = Counter("logad_cache_hits", "Distinct windows of a request that were remembered.", **of)
        self.read = Counter("logad_cache_misses", "Distinct windows that the encoder read.", **of)
        self.batch = Histogram(
            "logad_batch_windows", "Windows that the encoder read at once.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512), **of,
        )  # fmt: skip
        self.model = Info("logad_model", "The model that answers.", **of)
        self.loads = Counter("logad_model_loads", "Models put into service.", **of)
        self.ready = Gauge("logad_ready", "1 with a model, else 0.", **of)
        self.degraded = Gauge("logad_degraded", "1 where the model may not be the registry's champion.", **of)

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
