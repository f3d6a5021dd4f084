"""The lake on disk: its folders, and its Delta tables, of which a day is replaced as a whole or not at all.

Belongs here: paths, transactions, streaming reads. Does not: what a row means (`schemas`), or where it comes
from (`landing`, `normalising`, `windowing`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from .feed import Feed, spare_workers
from .schemas import ADDED_LATER, PARTITIONED, SCHEMAS

__all__ = [
    "AlreadyAppended",
    "DayConflict",
    "DayReopened",
    "HalfMade",
    "Lake",
    "LakeDamaged",
    "LakeError",
    "LakeNotFound",
    "MissingTable",
    "Progress",
    "in_record_order",
]

Progress = Callable[[int], None]
"""Is told now and then how many lines are done."""

_FOLDERS: Final = ("inbox", "raw", "labels", "reports")
# Delta panics at some of these, and takes the others for a different path.
_UNFIT: Final = re.compile(r"[\[\]\\^|\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")
_ROW_GROUP: Final = 1 << 16
_SCAN_ROWS: Final = 20_000
_COMPACT_EVERY: Final = 50


class LakeError(Exception):
    """Something is wrong with the lake; the text says what, where and what to do."""


class LakeNotFound(LakeError):
    """There is no lake at the given root."""


class MissingTable(LakeError):
    """The lake lacks one of its tables, or no table has that name."""


class DayConflict(LakeError):
    """Another writer replaced the same day of the table meanwhile; nothing was written by this one."""


class DayReopened(DayConflict):
    """What a day was made of was replaced while it was made; what was written is of the old."""


class AlreadyAppended(LakeError):
    """The rows were appended before, by this writer or another; nothing was written now."""


class LakeDamaged(LakeError):
    """What a table says of the lake and what lies in it do not agree."""


class HalfMade(LakeDamaged, DayReopened):
    """The windows of a day are of other records than it has: whoever makes it anew is not done, or was stopped."""


class Lake:
    """The lake below one folder of the local file system.

    Any number of processes may read and write it at once: readers see a table as it was at one commit, and
    of two writers of the same day of a table one fails with `DayConflict`.

    Args:
        root: the folder; `create` makes it.

    Raises:
        LakeError: the path holds a character that the tables cannot have in theirs.
    """

    def __init__(self, root: Path) -> None:
        spare_workers()
        self.root = Path(root).absolute()
        if bad := _UNFIT.search(str(self.root)):
            raise LakeError(
                f"{self.root}: the tables of a lake cannot lie below a folder with '{bad.group()}' in its "
                "name; choose another folder"
            )

    def create(self) -> None:
        """Make the folders and the empty tables; what is there already stays as it is."""
        for name in _FOLDERS:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for name in SCHEMAS:
            self._create(name)

    def path(self, folder: str, day: date | None = None) -> Path:
        """Path of a folder of the lake, or of a day in it (``raw/day=2024-10-10``); it need not exist."""
        return self.root / folder if day is None else self.root / folder / f"day={day}"

    def replace_day(self, table: str, day: date, batches: Iterable[pa.RecordBatch]) -> int:
        """Put ``batches`` in the place of everything that the table holds of ``day``, in one commit.

        The batches are taken one after the other on the calling thread, and written as they come. If they
        end in an exception, that exception is raised and the table stays as it was. No batch at all empties
        the day. Rows do not keep their order: two writing threads mix neighbouring batches.

        Args:
            table: one of `PARTITIONED`.
            day: the day of every row.
            batches: in the table's schema; may be a generator.

        Returns:
            The number of rows written.

        Raises:
            DayConflict: another writer replaced the same day meanwhile.
            LakeNotFound, MissingTable: there is nothing to write to.
        """
        delta = self._open(table)
        if table not in PARTITIONED:
            raise MissingTable(f"the table '{table}' has no days; those with days are {_names(PARTITIONED)}")
        rows = 0
        feed = Feed()
        # The writer pulls its batches on a thread on which Delta cannot be asked for anything else; so it
        # works beside this one, which may read tables to make the batches.
        with ThreadPoolExecutor(1, "delta-writer") as pool:
            writing = pool.submit(
                write_deltalake,
                delta,
                pa.RecordBatchReader.from_batches(SCHEMAS[table], feed.batches()),
                mode="overwrite",
                predicate=f"day = '{day}'",
                schema_mode=_schema_mode(delta, table),
                writer_properties=WriterProperties(compression="ZSTD", max_row_group_size=_ROW_GROUP),
            )
            try:
                for batch in batches:
                    rows += batch.num_rows
                    if not feed.put(batch, writing):
                        break
                feed.put(None, writing)
            except BaseException as error:
                feed.put(error, writing)
                raise
            try:
                writing.result()
            except CommitFailedError as error:
                raise DayConflict(
                    f"{self.path(table, day)}: another run wrote this day meanwhile, this run wrote nothing; "
                    f"wait for the other one and run the day again ({error})"
                ) from error
        return rows

    def append(self, table: str, rows: pa.RecordBatch, *, once: str) -> None:
        """Add rows in one commit, unless it was done before under the same name.

        Args:
            table: one that only grows, such as the ledger.
            rows: in its schema.
            once: a name of what the rows are of; a second append under it is refused, from whatever process.

        Raises:
            AlreadyAppended: rows were appended under this name before.
            LakeNotFound, MissingTable: there is nothing to write to.
        """
        delta = self._open(table)
        if delta.transaction_version(once) is not None:
            raise AlreadyAppended(f"{self.path(table)}: holds the rows of {once} already; nothing to do")
        try:
            write_deltalake(
                delta,
                rows,
                mode="append",
                schema_mode=_schema_mode(delta, table),
                commit_properties=CommitProperties(app_transactions=[Transaction(once, 1)]),
            )
        except CommitFailedError as error:
            if self._open(table).transaction_version(once) is None:
                raise
            raise AlreadyAppended(
                f"{self.path(table)}: another run added the rows of {once} meanwhile; nothing to do"
            ) from error
        if delta.version() % _COMPACT_EVERY == 0:
            # A file a commit makes a table slow to read. Should it fail, then because another run is at it.
            with suppress(CommitFailedError):
                self._open(table).optimize.compact()

    def appended(self, table: str, once: str) -> bool:
        """Whether rows were appended under this name; needs no look at the rows."""
        return self._open(table).transaction_version(once) is not None

    def scan(
        self,
        table: str,
        days: Collection[date] | None = None,
        columns: Sequence[str] | None = None,
        *,
        where: ds.Expression | None = None,
        version: int | None = None,
        batch_rows: int = _SCAN_ROWS,
    ) -> Iterator[pa.RecordBatch]:
        """Read a table in batches, day after day; see `in_record_order` for the order within a day.

        The table is read as it stands when the scan begins, whatever is committed during it. Columns that it
        got after a day was written are null there.

        Args:
            table: its name.
            days: these days only; ``None`` for all.
            columns: these columns only; ``None`` for all.
            where: a further condition on the rows.
            version: the table as it was at this version; ``None`` for now.
            batch_rows: most rows of a batch.

        Raises:
            LakeNotFound, MissingTable: there is nothing to read.
        """
        partitions = None
        if days is not None and table in PARTITIONED:
            # Only for speed: what is not asked for is not even looked at.
            partitions = [("day", "in", [str(day) for day in sorted(days)])]
        # delta-rs' own file system calls Python from Arrow's threads; one that reads ahead while the process ends
        # takes it down.
        files = pyarrow.fs.SubTreeFileSystem(str(self.root / table), pyarrow.fs.LocalFileSystem())
        dataset = self._open(table, version).to_pyarrow_dataset(partitions, filesystem=files)
        if days is not None:
            among = ds.field("day").isin(pa.array(sorted(days), pa.date32()))
            where = among if where is None else where & among
        return _batches(dataset, SCHEMAS[table], list(columns) if columns is not None else None, where, batch_rows)

    def day_files(self, table: str, day: date) -> frozenset[str]:
        """Names of the files that hold a day of a table now; they change whenever the day is written."""
        return frozenset(self._open(table).file_uris(partition_filters=[("day", "=", str(day))]))

    def values_by_day(self, table: str, column: str) -> dict[date, set[str]]:
        """The smallest and the largest value of a column of text on each day: one, where all rows agree.

        Told by what the table knows of its files; only a file without that is read.
        """
        actions = pa.table(self._open(table).get_add_actions(flatten=True))
        found: dict[date, set[str]] = {}
        unknown: set[date] = set()
        for row in actions.to_pylist():
            values = {row.get(f"min.{column}"), row.get(f"max.{column}")}
            found.setdefault(row["partition.day"], set()).update(value for value in values if value is not None)
            if None in values:
                unknown.add(row["partition.day"])
        for batch in self.scan(table, unknown, ["day", column]) if unknown else ():
            for row in batch.to_pylist():
                found[row["day"]].add(row[column])
        return found

    def tidy(self, keep: timedelta) -> int:
        """Put small files of each table together and delete those that no version younger than ``keep`` needs.

        A training that pinned an older version of a table can then not be repeated. Returns the number of
        deleted files.
        """
        deleted = 0
        for table in SCHEMAS:
            delta = self._open(table)
            # Should it fail, then because a day is being written; the next time will do.
            with suppress(CommitFailedError):
                if table not in PARTITIONED:
                    delta.optimize.compact()
            hours = int(keep.total_seconds() // 3600)
            deleted += len(delta.vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False))
            delta.create_checkpoint()
            delta.cleanup_metadata()
        return deleted

    def version(self, table: str) -> int:
        """Number of the table's newest commit; 0 when it is new."""
        number: int = self._open(table).version()
        return number

    def days(self, table: str) -> list[date]:
        """The days of which the table holds rows, ascending."""
        if table in PARTITIONED:
            return sorted({date.fromisoformat(part["day"]) for part in self._open(table).partitions()})
        found: set[date] = set()
        for batch in self.scan(table, columns=["day"]):
            found.update(batch.column("day").unique().to_pylist())
        return sorted(found)

    def _create(self, table: str) -> None:
        days = ["day"] if table in PARTITIONED else None
        DeltaTable.create(self.root / table, SCHEMAS[table], mode="ignore", partition_by=days)

    def _open(self, table: str, version: int | None = None) -> DeltaTable:
        if table not in SCHEMAS:
            raise MissingTable(f"no table is called '{table}'; the tables are {_names(SCHEMAS)}")
        if not DeltaTable.is_deltatable(str(self.root / "ledger")):
            raise LakeNotFound(f"no lake at {self.root}; run `logad init`, or name another folder")
        if table in ADDED_LATER and not (self.root / table).exists():
            self._create(table)
        if not DeltaTable.is_deltatable(str(self.root / table)):
            raise MissingTable(f"{self.path(table)}: the table is missing; `logad init` makes it anew, and empty")
        return DeltaTable(str(self.root / table), version=version)


def in_record_order(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Put the rows of one day of `normalized` into the order of their ``record_id``.

    Rows are nearly in order as they are written; only those that came too early are held back.

    Args:
        batches: all rows of one day, with a column ``record_id``.

    Raises:
        LakeDamaged: the ids are not 0, 1, 2 … without a gap.
    """
    early: dict[int, pa.RecordBatch] = {}
    expected = 0
    for batch in batches:
        ids = batch.column("record_id").to_numpy()
        cuts = np.flatnonzero(np.diff(ids) != 1) + 1
        starts = np.concatenate(([0], cuts)).tolist()
        for start, stop in zip(starts, [*starts[1:], len(ids)], strict=True):
            if stop > start:
                early[int(ids[start])] = batch.slice(start, stop - start)
        while (piece := early.pop(expected, None)) is not None:
            expected += piece.num_rows
            yield piece
    if early:
        raise LakeDamaged(
            f"normalized: record {expected} is missing before record {min(early)}; normalise the day again"
        )


def _schema_mode(delta: DeltaTable, table: str) -> Literal["merge"] | None:
    """How to write to a table: one of an earlier release gets its new columns with the first day written."""
    there = {field.name for field in delta.schema().fields}
    return None if there.issuperset(SCHEMAS[table].names) else "merge"


def _batches(
    dataset: ds.Dataset, schema: pa.Schema, columns: list[str] | None, where: ds.Expression | None, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    if not set(schema.names) <= set(dataset.schema.names):
        # A condition may name a column that the table, of an earlier release, does not have yet.
        dataset = dataset.replace_schema(schema)
    # The path of a file begins with its day and goes on with its number in the commit.
    for fragment in sorted(dataset.get_fragments(filter=where), key=lambda each: str(each.path)):
        for batch in fragment.to_batches(
            schema=schema, columns=columns, filter=where, batch_size=batch_rows, batch_readahead=2
        ):
            if batch.num_rows:
                yield batch


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
