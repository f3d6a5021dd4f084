"""How often a key may ask: a bucket of tokens that fills steadily (Turner, 1986)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class RateLimit:
    """Lets ``per_minute`` requests of each name through, a tenth of them at once at most, but never fewer than 5.

    A request that holds several sequences counts as several: it is let through where there is a token, and the rest
    is charged, so that the next one waits longer.

    One process counts for itself: of several behind a balancer each has its own buckets. Memory holds the names
    that asked, which are keys that exist.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._access = threading.Lock()

    def wait(self, name: str, per_minute: int) -> float:
        """Take a token: 0 if there was one, else the seconds until there will be."""
        with self._access:
            tokens, now, rate = self._filled(name, per_minute)
            there = tokens >= 1
            self._buckets[name] = (tokens - there, now)
            return 0.0 if there else (1 - tokens) / rate

    def charge(self, name: str, per_minute: int, count: int) -> float:
        """Take tokens for what is done already, be there as many or not; the seconds until the debt is paid."""
        with self._access:
            tokens, now, rate = self._filled(name, per_minute)
            self._buckets[name] = (tokens - count, now)
            return max(0.0, (count - tokens) / rate)

    def _filled(self, name: str, per_minute: int) -> tuple[float, float, float]:
        """The tokens of a bucket by now, the time, and how many come in a second."""
        most, rate = max(5.0, per_minute / 10), per_minute / 60
        now = self._clock()
        tokens, at = self._buckets.get(name, (most, now))
        return min(most, tokens + (now - at) * rate), now, rate
