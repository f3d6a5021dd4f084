from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from logad_pipeline.lake.ledger import LedgerRow
from logad_pipeline.lake.schemas import PARTITIONED, QUARANTINE, SCHEMAS
from logad_pipeline.lake.tables import (
    AlreadyAppended,
    DayConflict,
    Lake,
    LakeError,
    LakeNotFound,
    MissingTable,
    in_record_order,
)

from .conftest import rows

DAY = date(2024, 1, 1)


def quarantined(day: date, lines: range, source: str = "a") -> pa.RecordBatch:
    dicts = [
        {"day": day, "source": source, "file_sha256": "0", "line": line, "raw": b"\xff", "reason": "r"}
        for line in lines
    ]
    return pa.RecordBatch.from_pylist(dicts, schema=QUARANTINE)


def test_a_lake_is_made_once_and_stays_as_it_is(lake: Lake) -> None:
    lake.replace_day("quarantine", DAY, [quarantined(DAY, range(3))])
    lake.create()
    assert len(rows(lake, "quarantine", "line")) == 3
    assert lake.path("reports", DAY) == lake.root / "reports" / "day=2024-01-01"
    for name, schema in SCHEMAS.items():
        for batch in lake.scan(name):
            assert batch.schema.equals(schema)


def test_a_day_is_replaced_and_the_others_stay(lake: Lake) -> None:
    other = DAY + timedelta(days=1)
    batches = [quarantined(DAY, range(5)), quarantined(DAY, range(5, 9))]
    assert lake.replace_day("quarantine", DAY, batches) == 9
    lake.replace_day("quarantine", other, [quarantined(other, range(2))])
    version = lake.version("quarantine")
    assert lake.replace_day("quarantine", DAY, iter([quarantined(DAY, range(4))])) == 4
    found = [(row["day"], row["line"]) for row in rows(lake, "quarantine", "line")]
    assert found == [(DAY, i) for i in range(4)] + [(other, 0), (other, 1)]
    assert sum(batch.num_rows for batch in lake.scan("quarantine", [DAY], ["line"], version=version)) == 9
    assert lake.replace_day("quarantine", DAY, ()) == 0
    assert lake.days("quarantine") == [other]


def test_an_exception_among_the_batches_leaves_the_day_as_it_was(lake: Lake) -> None:
    lake.replace_day("quarantine", DAY, [quarantined(DAY, range(5))])

    def failing(error: BaseException) -> Iterator[pa.RecordBatch]:
        for _ in range(5):
            yield quarantined(DAY, range(2))
        raise error

    for error in (RuntimeError("the parser broke"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            lake.replace_day("quarantine", DAY, failing(error))
    with pytest.raises(Exception, match="2024-01-02"):
        lake.replace_day("quarantine", DAY, (quarantined(date(2024, 1, 2), range(2)) for _ in range(50)))
    assert len(rows(lake, "quarantine", "line")) == 5
    assert lake.version("quarantine") == 1


def test_the_batches_of_one_table_may_be_made_from_another(lake: Lake) -> None:
    lake.replace_day("quarantine", DAY, [quarantined(DAY, range(5))])
    other = DAY + timedelta(days=1)

    def copied() -> Iterator[pa.RecordBatch]:
        for batch in lake.scan("quarantine", [DAY]):
            yield quarantined(other, range(batch.num_rows))

    assert lake.replace_day("quarantine", other, copied()) == 5


def test_of_two_writers_of_a_day_one_fails_and_rows_never_mix(lake: Lake) -> None:
    def overtaken() -> Iterator[pa.RecordBatch]:
        yield quarantined(DAY, range(5), "slow")
        lake.replace_day("quarantine", DAY, [quarantined(DAY, range(3), "fast")])
        other = DAY + timedelta(days=1)
        lake.replace_day("quarantine", other, [quarantined(other, range(1), "fast")])
        yield quarantined(DAY, range(5, 9), "slow")

    lake.replace_day("quarantine", DAY, [quarantined(DAY, range(1), "old")])
    with pytest.raises(DayConflict, match=r"day=2024-01-01: another run wrote this day.*run the day again"):
        lake.replace_day("quarantine", DAY, overtaken())
    assert {row["source"] for row in rows(lake, "quarantine", "line")} == {"fast"}


def test_writers_of_different_days_do_not_disturb_each_other(lake: Lake) -> None:
    other = DAY + timedelta(days=1)

    def overtaken() -> Iterator[pa.RecordBatch]:
        lake.replace_day("quarantine", other, [quarantined(other, range(3))])
        yield quarantined(DAY, range(5))

    assert lake.replace_day("quarantine", DAY, overtaken()) == 5
    assert lake.days("quarantine") == [DAY, other]


def test_a_killed_writer_leaves_the_day_as_it_was(lake: Lake) -> None:
    lake.replace_day("quarantine", DAY, [quarantined(DAY, range(5))])
    script = (
        "import os, sys; from pathlib import Path; from logad_pipeline.lake.tables import Lake\n"
        "from logad_pipeline_tests.lake.test_tables import DAY, quarantined\n"
        "def some():\n"
        "    for i in range(20): yield quarantined(DAY, range(i * 5000, i * 5000 + 5000), 'killed')\n"
        "    os._exit(9)\n"
        "Lake(Path(sys.argv[1])).replace_day('quarantine', DAY, some())\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(lake.root)], check=False, cwd=Path(__file__).parents[2])
    assert killed.returncode == 9
    assert {row["source"] for row in rows(lake, "quarantine", "line")} == {"a"}
    assert lake.replace_day("quarantine", DAY, [quarantined(DAY, range(2))]) == 2


def test_rows_are_appended_once_under_a_name(lake: Lake) -> None:
    batch = LedgerRow.to_batch([])
    lake.append("ledger", batch, once="a")
    lake.append("ledger", batch, once="b")
    with pytest.raises(AlreadyAppended, match="holds the rows of a already"):
        lake.append("ledger", batch, once="a")


def test_reading_runs_no_python_in_threads_that_may_outlive_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.replace_day("quarantine", DAY, [quarantined(DAY, range(3))])

    def refuse(*_: object) -> None:
        raise AssertionError("a thread of Arrow's asked Python for a file")

    for name in ("open_input_file", "open_input_stream", "get_file_info"):
        monkeypatch.setattr(f"deltalake.fs.fs_handler.DeltaStorageHandler.{name}", refuse)
    assert [row["line"] for row in rows(lake, "quarantine", "line")] == [0, 1, 2]


def test_a_table_of_many_appends_is_kept_in_few_files(lake: Lake) -> None:
    row = LedgerRow(
        "0", "a", "/a", "plain", "UTC", datetime(2024, 1, 1, tzinfo=UTC), 1, 1, DAY, 1, ((1, 1),),
        None, None, "raw/a", False,
    )  # fmt: skip
    for number in range(60):
        lake.append("ledger", LedgerRow.to_batch([replace(row, file_sha256=str(number))]), once=str(number))
    assert len(list(lake.scan("ledger"))) <= 11
    found = [each for batch in lake.scan("ledger") for each in LedgerRow.from_batch(batch)]
    assert {each.file_sha256 for each in found} == {str(number) for number in range(60)}
    assert {replace(each, file_sha256="0") for each in found} == {row}
    assert lake.appended("ledger", "7")
    assert not lake.appended("ledger", "60")


def test_errors_name_the_place_and_the_way_out(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(LakeNotFound, match=r"no lake at .*nowhere; run `logad init`"):
        Lake(tmp_path / "nowhere").scan("windows")
    with pytest.raises(MissingTable, match="no table is called 'window'; the tables are alerts, days"):
        lake.version("window")
    with pytest.raises(MissingTable, match="'ledger' has no days"):
        lake.replace_day("ledger", DAY, ())
    lake.path("windows").rename(tmp_path / "moved")
    with pytest.raises(MissingTable, match="the table is missing"):
        lake.days("windows")
    for name in ("a%20b", "a[b]"):
        with pytest.raises(LakeError, match="choose another folder"):
            Lake(tmp_path / name)


@pytest.mark.parametrize("name", ["Lager für Protokolle", "100%", "a'b\"c", "q?x=1&y#z"])
def test_a_lake_works_in_folders_of_unusual_names(tmp_path: Path, name: str) -> None:
    lake = Lake(tmp_path / name)
    lake.create()
    lake.replace_day("quarantine", DAY, [quarantined(DAY, range(2))])
    assert lake.days("quarantine") == [DAY]
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_records_come_in_order_however_they_lie() -> None:
    ids = np.arange(1000)
    pieces = np.array_split(ids, 40)
    shuffled = [pieces[i] for i in np.random.default_rng(0).permutation(40)]
    batches = [pa.record_batch({"record_id": np.concatenate(shuffled[i : i + 4])}) for i in range(0, 40, 4)]
    ordered = [batch.column("record_id").to_numpy() for batch in in_record_order(batches)]
    assert np.array_equal(np.concatenate(ordered), ids)


def test_the_partitioned_tables_have_a_day() -> None:
    assert all("day" in SCHEMAS[name].names for name in PARTITIONED)


def test_one_processor_is_enough_to_read_while_writing(lake: Lake) -> None:
    lake.replace_day("quarantine", DAY, [quarantined(DAY, range(3))])
    code = f"""
import datetime, os, pathlib
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from logad_pipeline.lake.tables import Lake
lake, day = Lake(pathlib.Path({str(lake.root)!r})), datetime.date({DAY.year}, 1, 1)
def batches():
    yield from lake.scan("quarantine", [day])
print(lake.replace_day("quarantine", day, batches()))
"""
    environment = {name: value for name, value in os.environ.items() if name != "TOKIO_WORKER_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240, env=environment
    )
    assert done.stdout == "3\n"
