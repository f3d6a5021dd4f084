"""Batches on their way to Delta's writer, which pulls them on a thread of its own.

Belongs here: the hand-over between the two threads. Does not: transactions (`tables`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from queue import Full, Queue
from typing import Final

import pyarrow as pa

__all__ = ["Feed", "spare_workers"]

_WORKERS: Final = 4


def spare_workers() -> None:
    """Give Delta's runtime more than one thread where there is one processor.

    A write holds a thread while it waits for batches; with no other, reading what they are made of would wait
    for ever. The runtime looks at the variable once, when the first table is opened.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if processors < _WORKERS:
        os.environ.setdefault("TOKIO_WORKER_THREADS", str(_WORKERS))


class Feed:
    """Hands batches from one thread to another, a few at a time; ``None`` ends them, an exception too."""

    def __init__(self) -> None:
        self._queue: Queue[pa.RecordBatch | BaseException | None] = Queue(maxsize=2)

    def put(self, item: pa.RecordBatch | BaseException | None, writing: Future[None]) -> bool:
        """Wait for room; ``False`` if the writer has ended before, whose own error tells why."""
        while not writing.done():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except Full:
                continue
        return False

    def batches(self) -> Iterator[pa.RecordBatch]:
        """What was put, on the writer's thread."""
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
