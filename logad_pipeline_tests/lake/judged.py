"""Days of the strict log, judged in the lake by a tiny model, with a line that raises an alarm where one is wanted.

Belongs here: what tests of alerts, thresholds and trainings share. No test stands here.
"""

from __future__ import annotations

import tempfile
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa

from logad_pipeline.lake.judging import Judgement, judge_day
from logad_pipeline.lake.landing import land
from logad_pipeline.lake.normalising import normalise_day
from logad_pipeline.lake.tables import Lake
from logad_pipeline.lake.thresholds import Promise
from logad_pipeline.lake.windowing import cut_day
from logad_pipeline_tests.tiny_model import FOREIGN, WINDOW

from .small_models import YEAR, raw_lines, stamped, text_model

DAY = date(YEAR, 3, 8)
PROMISE = Promise(0.01)


def put_day(lake: Lake, day: date, *, foreign: tuple[int, ...] = (), lines: int = 70, host: str = "web1") -> None:
    """Land and prepare a day of one host; foreign lines stand at these places."""
    messages = raw_lines(lines)
    for place in foreign:
        messages[place] = FOREIGN
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{host}.log"
        file.write_text("".join(f"{line}\n" for line in stamped(day, messages, host)), encoding="utf-8")
        land(lake, file, year=YEAR)
    prepare(lake, day)


def prepare(lake: Lake, day: date) -> None:
    normalise_day(lake, day, WINDOW.group_by)
    cut_day(lake, day, WINDOW)


def mask_as_before(lake: Lake, day: date, *tables: str) -> None:
    """Have tables of a day as an earlier release left them: with older masks."""
    for table in tables:
        batches = []
        for batch in lake.scan(table, [day]):
            place = batch.schema.get_field_index("mask_version")
            batches.append(batch.set_column(place, batch.schema.field(place), pa.repeat("0", batch.num_rows)))
        lake.replace_day(table, day, batches)


def judge(lake: Lake, day: date, version: str = "1", promise: Promise = PROMISE) -> Judgement:
    return judge_day(lake, day, text_model(), "logad", version, promise)


def after(days: int) -> date:
    return DAY + timedelta(days=days)


def alarms(lake: Lake, day: date) -> list[str]:
    """Ids of the windows that raise one, in order of time."""
    rows = [row for batch in lake.scan("scores", [day]) for row in batch.to_pylist()]
    return [row["window_id"] for row in sorted(rows, key=lambda row: row["first_time"]) if row["is_anomaly"]]
