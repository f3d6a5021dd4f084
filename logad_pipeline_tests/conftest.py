"""What tests of several rooms share: finding the real logs that lie outside the repository.

Belongs here: shared paths and fixtures. Does not: sample lines, which stand in the tests that use them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
