"""What the tests of the lake share: an empty lake, small files, and what a table holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logad_pipeline.lake.tables import Lake

WriteLog = Callable[..., Path]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "a lake")
    made.create()
    return made


@pytest.fixture
def write_log(tmp_path: Path) -> WriteLog:
    """Write lines to a file outside the lake."""

    def write(name: str, lines: list[str] | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(lines if isinstance(lines, bytes) else "".join(f"{x}\n" for x in lines).encode())
        return path

    return write


def rows(lake: Lake, table: str, key: str) -> list[dict[str, Any]]:
    """All rows of a table, in the order of a column."""
    found = [row for batch in lake.scan(table) for row in batch.to_pylist()]
    return sorted(found, key=lambda row: (row["day"], row[key]))
