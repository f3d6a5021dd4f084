"""The facts of records in the lake: the same as read from the file, absent on days of earlier releases."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from logad_pipeline.lake.landing import land
from logad_pipeline.lake.normalising import normalise_day
from logad_pipeline.lake.record_facts import COLUMNS, FactReader, days_without_facts, facts_columns
from logad_pipeline.lake.schemas import NORMALIZED
from logad_pipeline.lake.tables import Lake, in_record_order
from logad_pipeline.logs.facts import RecordFacts, facts_of
from logad_pipeline.logs.log_tokenizer import LogTokenizer
from logad_pipeline.logs.parser import read_records
from logad_pipeline.logs.records import Record
from logad_pipeline.logs.simulator import simulate
from logad_pipeline_tests.conftest import shared_data

from .conftest import rows

DAYS = [date(2024, 3, 1), date(2024, 3, 2)]


def written_before(lake: Lake) -> None:
    """Make `normalized` what a release without facts would have written."""
    kept = pa.schema([field for field in NORMALIZED if field.name not in ("edges", "numbers")])
    held = pa.Table.from_batches(list(lake.scan("normalized", columns=kept.names)), kept)
    folder = lake.path("normalized")
    shutil.rmtree(folder)
    DeltaTable.create(folder, kept, partition_by=["day"])
    write_deltalake(folder, held, mode="append")


def facts_in(lake: Lake, day: date, reader: FactReader | None = None) -> list[RecordFacts | None]:
    """Of each record of a day, in order."""
    found: list[RecordFacts | None] = []
    for batch in in_record_order(lake.scan("normalized", [day], COLUMNS)):
        found += (reader or FactReader()).read(batch) or [None] * batch.num_rows
    return found


def facts_of_file(path: Path, **how: int) -> dict[int, RecordFacts]:
    """Of each record of a file, by its first line."""
    normalise = LogTokenizer().normalise
    records = [item for item in read_records(path, **how) if isinstance(item, Record)]  # type: ignore[arg-type]
    return {record.first_line: facts_of(record, normalise(record.message)) for record in records}


def in_lake(lake: Lake) -> dict[tuple[str, int], RecordFacts | None]:
    """Of each record of the lake, by file and first line."""
    found = [fact for day in lake.days("normalized") for fact in facts_in(lake, day)]
    keys = [(row["file_sha256"], row["first_line"]) for row in rows(lake, "normalized", "record_id")]
    return dict(zip(keys, found, strict=True))


def test_the_lake_holds_the_facts_that_files_hold(lake: Lake, tmp_path: Path) -> None:
    simulation = simulate(tmp_path / "sim", start=DAYS[0], days=2, lines_per_day=400, seed=2)
    expected = {}
    for path in simulation.logs:
        sha = land(lake, path).sha
        expected |= {(sha, line): fact for line, fact in facts_of_file(path).items()}
    for day in lake.days("ledger"):
        normalise_day(lake, day, "host", batch_rows=90)
    assert in_lake(lake) == expected
    assert any(fact.edges and fact.numbers and fact.severity for fact in expected.values())


def test_the_lake_holds_the_facts_of_real_logs(lake: Lake) -> None:
    path = shared_data("authlog/auth.log.xz")
    landed = land(lake, path, year=2017)
    for day in landed.days:
        normalise_day(lake, day, "none")
    found = {line: fact for (_, line), fact in in_lake(lake).items()}
    assert found == facts_of_file(path, year=2017)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
FACTS = st.builds(
    RecordFacts,
    NAMES,
    st.lists(st.tuples(NAMES, NAMES, NAMES), max_size=3).map(tuple),
    st.lists(st.floats(allow_nan=False), max_size=3).map(tuple),
    NAMES,
)


@given(st.lists(FACTS, max_size=12), st.integers(0, 12), st.integers(0, 12))
def test_any_facts_come_back_from_any_part_of_a_batch(facts: list[RecordFacts], start: int, length: int) -> None:
    columns = {
        "text": pa.array([fact.template for fact in facts], pa.string()),
        "severity_text": pa.array([fact.severity for fact in facts], pa.string()),
    } | facts_columns(facts)
    batch = pa.record_batch(columns).slice(start, length)
    for reader in (FactReader(), FactReader(shared=True)):
        assert reader.read(batch) == facts[start : start + length]


def test_equal_facts_are_one_object_for_whoever_keeps_them() -> None:
    edge, number = ("user:a", "app: in", "ip:10.0.0.1"), 1234567.5
    facts = [RecordFacts("t", (edge,), (number,)), RecordFacts("t", (edge,), (number,)), RecordFacts("t", (edge,), ())]
    columns = {"text": pa.array(["t"] * 3), "severity_text": pa.array([""] * 3)} | facts_columns(facts)
    reader = FactReader(shared=True)
    one, same, other, *again = [fact for _ in range(2) for fact in reader.read(pa.record_batch(columns)) or ()]
    assert one is same is again[0] is again[1]
    assert other is again[2]
    assert other.edges is one.edges


# ---------------------------------------------------------------- lakes of an earlier release


@pytest.fixture
def old(lake: Lake, tmp_path: Path) -> Lake:
    """Two days, normalised before there were facts."""
    for path in simulate(tmp_path / "sim", start=DAYS[0], days=2, lines_per_day=300, seed=2).logs:
        land(lake, path)
    for day in DAYS:
        normalise_day(lake, day, "host")
    written_before(lake)
    return lake


def test_days_written_before_read_as_days_without_facts(old: Lake) -> None:
    assert days_without_facts(old, DAYS) == DAYS
    for batch in old.scan("normalized"):
        assert batch.schema.equals(NORMALIZED)
        assert batch.column("edges").null_count == batch.num_rows
    assert set(facts_in(old, DAYS[0])) == {None}
    assert days_without_facts(old, [date(2030, 1, 1)]) == []


def test_a_day_normalised_again_gets_its_facts_and_the_others_stay(old: Lake) -> None:
    before = [row for row in rows(old, "normalized", "record_id") if row["day"] == DAYS[1]]
    normalise_day(old, DAYS[0], "host", batch_rows=50)
    assert days_without_facts(old, DAYS) == [DAYS[1]]
    assert None not in facts_in(old, DAYS[0])
    assert [row for row in rows(old, "normalized", "record_id") if row["day"] == DAYS[1]] == before
    normalise_day(old, DAYS[1], "host")
    assert days_without_facts(old, DAYS) == []
    for batch in old.scan("normalized"):
        assert batch.schema.equals(NORMALIZED)
