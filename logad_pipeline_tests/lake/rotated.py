"""A day of one host in two landed files, as a rotation leaves it: the lines of both count from 1.

Belongs here: what tests of such a day share. No test stands here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from logad_pipeline.lake.alerts import fold_alerts
from logad_pipeline.lake.landing import land
from logad_pipeline.lake.tables import Lake
from logad_pipeline_tests.tiny_model import FOREIGN

from .judged import DAY, judge, prepare
from .small_models import YEAR, raw_lines, stamped

OLDER, NEWER = "web1.log.1", "web1.log"
CUT = 12
"""Lines of the older file: the third window of five has two of them, and three of the newer one."""
ODD = 2
"""Line of the newer file that raises an alarm."""


def put_rotated_day(lake: Lake, lines: int = 72) -> dict[str, list[str]]:
    """Land, prepare and judge the day; gives back the lines of both files."""
    messages = raw_lines(lines)
    messages[CUT + ODD - 1] = FOREIGN
    written = stamped(DAY, messages)
    files = {OLDER: written[:CUT], NEWER: written[CUT:]}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            file = Path(folder) / name
            file.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
            land(lake, file, year=YEAR)
    prepare(lake, DAY)
    judge(lake, DAY)
    fold_alerts(lake, DAY)
    return files
