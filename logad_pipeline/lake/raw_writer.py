"""Writing the raw parts of one file: many days, few open files, and nothing in place before all is there.

Belongs here: packing, staging and the move into place. Does not: which line goes where (`landing`).
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

import zstandard

__all__ = ["RawWriter"]

_MAX_OPEN: Final = 24
_BUFFER_BYTES: Final = 1 << 16
_LEVEL: Final = 6
_STAGING: Final = ".landing-"
_STALE_SECONDS: Final = 86_400


class RawWriter:
    """Writes zstd files below a folder; use it as a context manager, and `publish` at the end.

    A file that was closed to make room for another goes on in a further zstd frame. Left without
    `publish`, it leaves nothing behind; a killed process leaves a staging folder, which a later writer
    removes once it is a day old.

    Args:
        root: the lake's root, to which the paths are relative.
        staging: an existing folder on the same file system.
    """

    def __init__(self, root: Path, staging: Path) -> None:
        self._root = root
        self._staging_root = staging
        self._open: dict[str, io.BufferedWriter] = {}
        self._staged: dict[str, Path] = {}

    def __enter__(self) -> RawWriter:
        _remove_stale(self._staging_root)
        self._staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self._staging_root))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for name in list(self._open):
                # After a failure the files are thrown away; closing them may well fail again.
                with suppress(OSError):
                    self._open.pop(name).close()
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)

    def start(self, path: str) -> io.BufferedWriter:
        """The file of that relative path, to write to until the next call of `start`."""
        writer = self._open.pop(path, None)
        if writer is None:
            if len(self._open) >= _MAX_OPEN:
                self._open.pop(next(iter(self._open))).close()
            staged = self._staged.setdefault(path, self._staging / f"{len(self._staged)}.zst")
            packed = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(
                staged.open("ab"), closefd=True
            )
            writer = io.BufferedWriter(packed, _BUFFER_BYTES)  # type: ignore[arg-type,type-var,unused-ignore]
        # The last in the dictionary is the one used last.
        self._open[path] = writer
        return writer

    def publish(self) -> None:
        """Finish every file and move each into its place, over what may lie there."""
        while self._open:
            self._open.popitem()[1].close()
        for path, staged in self._staged.items():
            target = self._root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged, target)


def _remove_stale(folder: Path) -> None:
    for left in folder.glob(f"{_STAGING}*"):
        with suppress(FileNotFoundError):  # another writer may be removing it too
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
