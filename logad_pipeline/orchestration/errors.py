"""What can go wrong with a run, for those who start one; loads nothing of Dagster."""

from collections.abc import Collection
from datetime import date


class RunFailed(Exception):
    """A run of the pipeline ended in failure; the text says where to look, ``days`` at which it stopped, if at any."""

    def __init__(self, text: str, days: Collection[date] = ()) -> None:
        super().__init__(text)
        self.days = frozenset(days)
