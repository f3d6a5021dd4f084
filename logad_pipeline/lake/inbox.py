"""The inbox: files that are dropped into a folder are landed once they rest, and each line of them once.

Belongs here: which files rest, what of a file is new, and what is remembered between two looks. Does not:
landing itself (`landing`), nor when to look.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, tzinfo
from pathlib import Path
from typing import Final, Self

import pyarrow.dataset as ds

from logad_pipeline.logs.formats import UnknownFormat
from logad_pipeline.logs.reader import UnreadableInput, open_log

from .landing import Landing, Rest, land, land_rest, landed_before, require_regular, write_missing
from .ledger import LedgerRow, path_in
from .naming import source_name
from .tables import Lake, Progress

__all__ = ["Look", "Seen", "land_new_lines", "look_into", "resting_names"]

_PIECE_BYTES: Final = 1 << 20
_MAGIC_BYTES: Final = 16
_HIDDEN: Final = (".", "~")
_UNFINISHED: Final = (".part", ".partial", ".tmp", ".swp", ".crdownload", ".filepart")
"""Ends of names under which programs write what is not complete."""
_NUMBERED: Final = re.compile(r"[A-Za-z]\.\d{1,4}$")
"""Ends of names of rotated files."""
_LINE_WAITS: Final = 86_400.0
"""Seconds for which the last line of a file waits for its end: nobody will write it then."""


@dataclass(frozen=True)
class Seen:
    """What is known of a file of the inbox.

    Attributes:
        size, modified: bytes, and nanoseconds since 1970, when it was looked at last.
        done: it was landed, or refused, as it is now.
        refused: why it could not be landed; ``""`` if it could.
        waits_since: when it was landed but for its last line, which has not ended; ``None`` if it is all landed.
    """

    size: int
    modified: int
    done: bool = False
    refused: str = ""
    waits_since: float | None = None

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
        waiting: files that do not rest yet, or whose last line has not ended yet.
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
    alone. A last line without an end waits for it: until the file is rotated, or nothing came for a day. Landing
    is by content: whatever was forgotten between two looks, no line is landed twice.

    Args:
        seen: of the look before; empty at the first, which therefore lands nothing.
        now: seconds since 1970.
        tz: of the days, and of times that name none.
        most: files that are landed at once; the others wait for the next look.
    """
    look = Look()
    for name, path in resting_names(lake):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue  # it was moved away between the two calls
        before, one = seen.get(name), Seen(state.st_size, state.st_mtime_ns)
        same = before is not None and (before.size, before.modified) == (one.size, one.modified)
        given_up = before is not None and before.waits_since is not None and now - before.waits_since >= _LINE_WAITS
        if same and before is not None and before.done and not given_up:
            look.seen[name] = before
            if before.refused:
                look.refused[name] = before.refused
            elif before.waits_since is not None:
                look.waiting.append(name)
        elif same and one.size and now - one.modified / 1e9 >= rest_seconds and len(look.landed) < most:
            look.seen[name] = _take(lake, path, name, one, look, tz, now=None if given_up else now)
        else:
            look.seen[name] = before if before is not None and same else one
            if one.size:
                look.waiting.append(name)
    return look


def resting_names(lake: Lake) -> Iterator[tuple[str, Path]]:
    """Files of the inbox that are not named like unfinished ones, with their path below it, in its order."""
    root = lake.path("inbox")
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        below = path.relative_to(root)
        if not any(part.startswith(_HIDDEN) for part in below.parts) and not path.name.endswith(("~", *_UNFINISHED)):
            yield str(below), path


def _take(lake: Lake, path: Path, name: str, one: Seen, look: Look, tz: tzinfo, now: float | None) -> Seen:
    """Land a file that rests; its last line, if it has no end, only where ``now`` is ``None``."""
    try:
        landing = land_new_lines(lake, path, tz=tz, complete=now is None)
    except (UnreadableInput, UnknownFormat, ValueError) as error:
        look.refused[name] = str(error)
        return Seen(one.size, one.modified, done=True, refused=str(error))
    if landing.lines:
        look.landed[name] = landing
    if landing.waits:
        look.waiting.append(name)
    # What is written to it from now on makes it another at the next look.
    return Seen(one.size, one.modified, done=True, waits_since=now if landing.waits else None)


def land_new_lines(
    lake: Lake,
    path: Path,
    *,
    format: str = "auto",
    year: int | None = None,
    tz: tzinfo,
    progress: Progress | None = None,
    complete: bool = True,
) -> Landing:
    """Land of a file what is new: all of it, or where it begins with what was landed of its source, the rest.

    A log that goes on after it was landed, and its rotated copy, packed or not, are thus landed line by line
    once.

    Args:
        format, year, tz, progress: as for `land`; see `land_rest` for what they are to a rest.
        complete: whether a last line without an end is one. Otherwise it is left for the next time, unless the
            file is packed or has the number of a rotated one.

    Raises:
        UnreadableInput, UnknownFormat, ValueError: as `land`.
    """
    require_regular(path)
    known = _landed_of(lake, source_name(path.name))
    complete = complete or _NUMBERED.search(path.name) is not None or _is_packed(path)
    if complete and not known:
        return land(lake, path, format=format, year=year, tz=tz, progress=progress)
    with tempfile.TemporaryDirectory(prefix=".landing-", dir=lake.path("raw")) as folder:
        plain = _unpacked(path, Path(folder))
        size = plain.stat().st_size
        end = size if complete else _end_of_lines(plain, size)
        before, done, digest = _landed_beginning(plain, end, known)
        _restore_parts(lake, plain, before, Path(folder) / "part")
        if end == size and not done:
            return land(lake, path, format=format, year=year, tz=tz, progress=progress)
        if done == end:
            landing = landed_before([row for rows in before for row in rows]) if before else _nothing(path)
        else:
            part = _cut(plain, done, end, Path(folder) / "rest", digest)
            # Stamps without a year take it from the file's time.
            state = path.stat()
            os.utime(part, ns=(state.st_atime_ns, state.st_mtime_ns))
            rest = Rest(path.absolute(), digest.hexdigest(), end, tuple(before[-1]) if before else ())
            landing = land_rest(lake, part, rest, format=format, year=year, tz=tz, progress=progress)
        return replace(landing, waits=end < size)


def _nothing(path: Path) -> Landing:
    """What became of a file that holds no line yet."""
    return Landing(source_name(path.name), "", "", 0, {}, already_landed=False)


def _is_packed(path: Path) -> bool:
    with open_log(path) as stream, path.open("rb") as file:
        return stream.read(_MAGIC_BYTES) != file.read(_MAGIC_BYTES)


def _unpacked(path: Path, folder: Path) -> Path:
    """The file itself, or where it is packed an unpacked copy of it in the folder."""
    if not _is_packed(path):
        return path
    copy = folder / "unpacked"
    with open_log(path) as stream, copy.open("wb") as out:
        shutil.copyfileobj(stream, out, _PIECE_BYTES)
    return copy


def _end_of_lines(plain: Path, size: int) -> int:
    """Length of a file up to the end of its last line that has one; 0 for none."""
    with plain.open("rb") as file:
        for start in range((size - 1) // _PIECE_BYTES * _PIECE_BYTES, -1, -_PIECE_BYTES):
            found = os.pread(file.fileno(), min(_PIECE_BYTES, size - start), start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
    return 0


def _landed_beginning(
    plain: Path, end: int, known: Mapping[str, list[LedgerRow]]
) -> tuple[list[list[LedgerRow]], int, hashlib._Hash]:
    """What of a file's beginning was landed before: the landings one after the other, their length in bytes, and
    the digest of those."""
    by_length: dict[int, dict[str, str]] = {}
    for name, rows in known.items():
        content, length = _content_of(rows)
        by_length.setdefault(length, {})[content] = name
    digest, found, last, done = hashlib.sha256(), hashlib.sha256(), "", 0
    at = 0
    with plain.open("rb") as file:
        for length in sorted(length for length in by_length if length <= end):
            while at < length and (piece := os.pread(file.fileno(), min(_PIECE_BYTES, length - at), at)):
                digest.update(piece)
                at += len(piece)
            if (name := by_length[length].get(digest.hexdigest(), "")) and at == length:
                last, done, found = name, length, digest.copy()
    landings: list[list[LedgerRow]] = []
    while last:
        landings.insert(0, known[last])
        last = known[last][0].continues_sha256 or ""
    return landings, done, found


def _content_of(rows: list[LedgerRow]) -> tuple[str, int]:
    """sha256 and length of a log, unpacked, up to the end of a landing."""
    first = rows[0]
    if first.content_sha256 is None or first.content_bytes is None:
        return first.file_sha256, first.file_bytes
    return first.content_sha256, first.content_bytes


def _restore_parts(lake: Lake, plain: Path, landings: list[list[LedgerRow]], part: Path) -> None:
    """Write raw parts of these landings anew that are gone."""
    start = 0
    for rows in landings:
        end = _content_of(rows)[1]
        if not all(path_in(lake, row).exists() for row in rows):
            write_missing(lake, _cut(plain, start, end, part, hashlib.sha256()), rows)
        start = end


def _cut(plain: Path, start: int, end: int, part: Path, digest: hashlib._Hash) -> Path:
    """A piece of a file as a file of its own; ``digest`` takes its bytes too.

    Raises:
        UnreadableInput: the file was cut short meanwhile.
    """
    with plain.open("rb") as file, part.open("wb") as out:
        file.seek(start)
        while left := end - file.tell():
            piece = file.read(min(_PIECE_BYTES, left))
            if not piece:
                raise UnreadableInput(f"{plain}: changed while it was read; ingest it again when it is complete")
            out.write(piece)
            digest.update(piece)
    return part


def _landed_of(lake: Lake, source: str) -> dict[str, list[LedgerRow]]:
    """The landings of a source, by ``file_sha256``."""
    landings: dict[str, list[LedgerRow]] = {}
    for batch in lake.scan("ledger", where=ds.field("source") == source):
        for row in LedgerRow.from_batch(batch):
            landings.setdefault(row.file_sha256, []).append(row)
    return landings
