"""The inbox: files that are dropped into a folder are landed once they rest, and each line of them once.

Belongs here: which files rest, what of a file is new, and what is remembered between two looks. Does not:
landing itself (`landing`), nor when to look.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, tzinfo
from pathlib import Path
from typing import Final, Self

import pyarrow.dataset as ds

from logad_pipeline.logs.formats import UnknownFormat
from logad_pipeline.logs.reader import UnreadableInput, open_log

from .landing import Landing, land
from .naming import source_name
from .tables import Lake

__all__ = ["Look", "Seen", "land_new_lines", "look_into"]

_PIECE_BYTES: Final = 1 << 20
_MAGIC_BYTES: Final = 16
_HIDDEN: Final = (".", "~")
_UNFINISHED: Final = (".part", ".partial", ".tmp", ".swp", ".crdownload", ".filepart")
"""Ends of names under which programs write what is not complete."""


@dataclass(frozen=True)
class Seen:
    """What is known of a file of the inbox.

    Attributes:
        size, modified: bytes, and nanoseconds since 1970, when it was looked at last.
        done: it was landed, or refused, as it is now.
        refused: why it could not be landed; ``""`` if it could.
    """

    size: int
    modified: int
    done: bool = False
    refused: str = ""

    @classmethod
    def read(cls, text: str | None) -> dict[str, Self]:
        """What `write` gave, by path; nothing for ``None``."""
        return {name: cls(**values) for name, values in json.loads(text or "{}").items()}

    @staticmethod
    def write(seen: Mapping[str, Seen]) -> str:
        """JSON to be kept until the next look."""
        return json.dumps({name: asdict(one) for name, one in seen.items()})


@dataclass
class Look:
    """What one look found.

    Attributes:
        seen: by path below the inbox, for the next look.
        landed: files that were landed now, and what became of them.
        waiting: files that do not rest yet.
        refused: files that cannot be landed as they are, and why; they are tried again once they change.
    """

    seen: dict[str, Seen] = field(default_factory=dict)
    landed: dict[str, Landing] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def days(self) -> list[date]:
        """Days that got lines, ascending."""
        return sorted({day for one in self.landed.values() if not one.already_landed for day in one.days})


def look_into(
    lake: Lake, seen: Mapping[str, Seen], *, now: float, rest_seconds: float, tz: tzinfo, most: int = 50
) -> Look:
    """Look into the inbox, and land what rests.

    A file rests when its size and time are what they were at the last look, and it was written at least
    ``rest_seconds`` ago. Hidden files and those named like unfinished ones (``.part``, ``.tmp``) are left
    alone. Landing is by content: whatever was forgotten between two looks, no line is landed twice.

    Args:
        seen: of the look before; empty at the first, which therefore lands nothing.
        now: seconds since 1970.
        tz: of the days, and of times that name none.
        most: files that are landed at once; the others wait for the next look.
    """
    look = Look()
    root = lake.path("inbox")
    for path in sorted(path for path in root.rglob("*") if path.is_file() and not _unfinished(path, root)):
        name = str(path.relative_to(root))
        try:
            state = path.stat()
        except FileNotFoundError:
            continue  # it was moved away between the two calls
        before, one = seen.get(name), Seen(state.st_size, state.st_mtime_ns)
        same = before is not None and (before.size, before.modified) == (one.size, one.modified)
        if same and before is not None and before.done:
            look.seen[name] = before
            if before.refused:
                look.refused[name] = before.refused
        elif same and one.size and now - one.modified / 1e9 >= rest_seconds and len(look.landed) < most:
            look.seen[name] = _take(lake, path, name, one, look, tz)
        else:
            look.seen[name] = one
            if one.size:
                look.waiting.append(name)
    return look


def _unfinished(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    return any(part.startswith(_HIDDEN) for part in parts) or path.name.endswith(("~", *_UNFINISHED))


def _take(lake: Lake, path: Path, name: str, one: Seen, look: Look, tz: tzinfo) -> Seen:
    try:
        landing = land_new_lines(lake, path, tz=tz)
    except (UnreadableInput, UnknownFormat, ValueError) as error:
        look.refused[name] = str(error)
        return Seen(one.size, one.modified, done=True, refused=str(error))
    look.landed[name] = landing
    # Had it been written on meanwhile, `land` would have refused it.
    return Seen(one.size, one.modified, done=True)


def land_new_lines(lake: Lake, path: Path, *, tz: tzinfo) -> Landing:
    """Land of a file what is new: all of it, or where it begins with what was landed of its source, the rest.

    A log that goes on after it was landed, and its rotated copy, packed or not, are thus landed line by line
    once.

    Raises:
        UnreadableInput, UnknownFormat, ValueError: as `land`.
    """
    parts = _parts_of(lake, source_name(path.name))
    if not parts:
        return land(lake, path, tz=tz)
    with tempfile.TemporaryDirectory(prefix=".landing-", dir=lake.path("raw")) as folder:
        plain = _unpacked(path, Path(folder))
        known, size = _landed_bytes(plain, parts)
        if not 0 < known < size:
            return land(lake, path, tz=tz)
        rest = Path(folder) / "rest"
        with plain.open("rb") as file, rest.open("wb") as out:
            file.seek(known)
            shutil.copyfileobj(file, out, _PIECE_BYTES)
        # Stamps without a year take it from the file's time.
        state = path.stat()
        os.utime(rest, ns=(state.st_atime_ns, state.st_mtime_ns))
        return land(lake, rest, tz=tz, came_from=path)


def _unpacked(path: Path, folder: Path) -> Path:
    """The file itself, or where it is packed an unpacked copy of it in the folder."""
    with open_log(path) as stream, path.open("rb") as file:
        beginning = stream.read(_MAGIC_BYTES)
        if beginning == file.read(_MAGIC_BYTES):
            return path
        copy = folder / "unpacked"
        with copy.open("wb") as out:
            out.write(beginning)
            shutil.copyfileobj(stream, out, _PIECE_BYTES)
    return copy


def _landed_bytes(plain: Path, parts: Mapping[int, set[str]]) -> tuple[int, int]:
    """How many bytes at the beginning of a file were landed before, in one go or in several; and its size."""
    size = plain.stat().st_size
    done = 0
    with plain.open("rb") as file:
        while done < size and (length := _next_part(file.fileno(), done, size, parts)):
            done += length
    return done, size


def _next_part(descriptor: int, start: int, size: int, parts: Mapping[int, set[str]]) -> int:
    """Length of the longest landed part that stands in the file at ``start``; 0 for none."""
    found, at = 0, start
    digest = hashlib.sha256()
    for length in sorted(length for length in parts if start + length <= size):
        while at < start + length:
            piece = os.pread(descriptor, min(_PIECE_BYTES, start + length - at), at)
            if not piece:
                return found
            digest.update(piece)
            at += len(piece)
        if digest.hexdigest() in parts[length]:
            found = length
    return found


def _parts_of(lake: Lake, source: str) -> dict[int, set[str]]:
    """What was landed of a source: sha256 of contents, by their length in bytes."""
    parts: dict[int, set[str]] = {}
    columns = ["file_sha256", "file_bytes", "content_sha256", "content_bytes"]
    for batch in lake.scan("ledger", columns=columns, where=ds.field("source") == source):
        for row in batch.to_pylist():
            length = row["content_bytes"] if row["content_bytes"] is not None else row["file_bytes"]
            parts.setdefault(length, set()).add(row["content_sha256"] or row["file_sha256"])
    return parts
