"""What a person answers to an alarm: a verdict on a window, or that a pattern be kept quiet for a while.

Belongs here: what every door does on such an answer, so that the list of alerts says the same whoever answered.
Does not: how feedback and suppressions are kept (`feedback`, `suppressions`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Final, Literal

from .alerts import fold_alerts
from .feedback import Feedback, Verdict, record_feedback, withdraw_feedback
from .suppressions import Suppression, add_suppression, read_suppressions
from .tables import DayConflict, Lake

__all__ = ["answer_window", "keep_quiet"]

_NEWEST: Final = 7
_TRIES: Final = 4


def answer_window(
    lake: Lake, window_id: str, verdict: Verdict | Literal["withdrawn"], note: str = "", author: str = ""
) -> Feedback:
    """Write down what somebody says of a window, or take it back, and fold the alerts of its day anew.

    Raises:
        UnknownWindow: there is no such window, or nothing was said that could be taken back.
        BadSuppressions: the file of suppressions cannot be read; nothing was written.
        DayConflict: others wrote the day's alerts time and again; the verdict is kept.
    """
    read_suppressions(lake)  # so that a damaged file is told of before anything is written
    if verdict == "withdrawn":
        said = withdraw_feedback(lake, window_id, note, author)
    else:
        said = record_feedback(lake, window_id, verdict, note, author)
    _fold(lake, said.day)
    return said


def keep_quiet(lake: Lake, new: Suppression, days: Collection[date] = ()) -> Path:
    """Add a suppression to the file and fold the newest judged days anew; those of before are history.

    Args:
        days: further judged days to fold, those that somebody is looking at.

    Returns:
        The file.

    Raises:
        LakeNotFound: there is no lake.
        BadSuppressions: the file cannot be read, or the name stands there already; nothing was written.
        DayConflict: others wrote a day's alerts time and again; the suppression is kept.
    """
    judged = lake.days("scores")
    file = add_suppression(lake, new)
    for day in sorted({*judged[-_NEWEST:], *(day for day in days if day in judged)}):
        if new.since is None or day >= new.since:
            _fold(lake, day)
    return file


def _fold(lake: Lake, day: date) -> None:
    for left in reversed(range(_TRIES)):
        try:
            fold_alerts(lake, day)
            return
        except DayConflict:
            if not left:
                raise
