"""What tests of several rooms share: the real logs that lie outside the repository, and a judged lake.

Belongs here: shared paths and fixtures. Does not: sample lines, which stand in the tests that use them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from logad_pipeline_tests.orchestration.conftest import Deployed

_REPOSITORY = Path(__file__).resolve().parents[1]


def shared_data(relative: str) -> Path:
    """Path of a file of the shared log data, ``linux/Linux.log.xz`` for one; skips the test without it.

    The data is looked for where LOGAD_SHARED_DATA says, else in ``../shared/data`` beside the repository.
    """
    folder = Path(os.environ.get("LOGAD_SHARED_DATA") or _REPOSITORY.parent / "shared" / "data")
    path = folder / relative
    if not path.exists():
        pytest.skip(f"no {relative} in {folder}; set LOGAD_SHARED_DATA to the folder of the shared logs")
    return path


@pytest.fixture
def shipped_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings as shipped, in an empty folder."""
    for name in [name for name in os.environ if name.startswith("LOGAD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clean(tmp_path: Path) -> Iterator[None]:
    """The settings of a small deployment alone, in an empty folder."""
    from logad_pipeline_tests.orchestration.conftest import clean_environment

    with clean_environment(tmp_path):
        yield


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A lake that went through the whole pipeline; it is only read."""
    from logad_pipeline_tests.orchestration.conftest import judged_lake

    return judged_lake(tmp_path_factory.getbasetemp() / "judged")


@pytest.fixture
def spare(judged: Deployed, tmp_path: Path) -> Deployed:
    """A copy of that lake, which a test may spoil."""
    return judged.copy(tmp_path / "spare")
