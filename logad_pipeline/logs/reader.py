"""Raw logs as a stream of physical lines: files, pipes and standard input, compressed or not.

Belongs here: opening, decompressing and cutting at line ends without losing a byte.
Does not: decoding text, and anything that knows what a log line means.
"""

from __future__ import annotations

import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, cast

import zstandard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["MAX_LINE_BYTES", "UnreadableInput", "open_log", "read_lines"]

MAX_LINE_BYTES: Final = 1 << 20
"""Bytes of one line that are handed on; what a longer line holds beyond them is passed over."""

_MAGIC: Final = {b"\x1f\x8b\x08": "gzip", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_MAGIC_BYTES: Final = max(map(len, _MAGIC))
_BUFFER_BYTES: Final = 1 << 17
# A zstd block of four bytes may stand for 128 KiB, so that one step unpacks 32 MiB at most.
_ZSTD_STEP_BYTES: Final = 1024


class UnreadableInput(Exception):
    """A source that cannot be opened, or not be read to its end; the text says what, where and what to do."""


def open_log(source: str | Path) -> BinaryIO:
    """Open a log for reading bytes, unpacked if it is gzip, xz or zstd by its first bytes.

    Reads in small steps, whatever the size of the source. A compressed source that ends early or is
    damaged gives all that can be unpacked, and then raises instead of reporting its end.

    Args:
        source: path of a file or a named pipe, or ``"-"`` for standard input, which is left open when
            the returned stream is closed.

    Raises:
        UnreadableInput: no such file, a directory, no permission; from the returned stream: damaged data.
    """
    name = str(source)
    if name == "-":
        if sys.stdin is None:
            raise UnreadableInput("standard input: is closed; name a file, or pipe the log in")
        return _unpacked(cast(io.BufferedIOBase, sys.stdin.buffer), "standard input", owned=False)
    try:
        file: io.BufferedReader = open(name, "rb")  # noqa: SIM115 - handed to the caller
    except FileNotFoundError as error:
        raise UnreadableInput(f"{name}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise UnreadableInput(f"{name}: is a directory; name its files, such as {name}/*.log") from error
    except PermissionError as error:
        raise UnreadableInput(f"{name}: no permission to read it; change its mode or owner") from error
    except (OSError, ValueError) as error:
        raise UnreadableInput(f"{name}: cannot be opened ({error}); check the path") from error
    return _unpacked(file, name, owned=True)


def read_lines(stream: BinaryIO) -> Iterator[bytes]:
    r"""Cut a stream into its physical lines, at ``b"\n"`` and nowhere else.

    Each line keeps its line end, so that the lines joined are the bytes of the stream; only the last may
    lack it. A line longer than `MAX_LINE_BYTES` is one line still: its beginning, and its line end.

    Raises:
        UnreadableInput: the stream failed before its end; all lines before that have been given.
    """
    readline = stream.readline
    try:
        while line := readline(MAX_LINE_BYTES):
            if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                line += _line_end(stream)
            yield line
    except OSError as error:
        name = getattr(stream, "name", "input")
        raise UnreadableInput(f"{name}: reading failed ({error}); check the disk and run it again") from error


def _line_end(stream: BinaryIO) -> bytes:
    """Pass over the rest of a line; its line end if there is one."""
    while rest := stream.readline(_BUFFER_BYTES):
        if rest.endswith(b"\n"):
            return b"\n"
    return b""


def _unpacked(source: io.BufferedIOBase, name: str, *, owned: bool) -> BinaryIO:
    try:
        head = source.read(_MAGIC_BYTES)
        if owned and source.seekable():
            source.seek(0)
        else:
            source = io.BufferedReader(_Rejoined(head, source, owned=owned), _BUFFER_BYTES)
    except OSError as error:
        raise UnreadableInput(f"{name}: cannot be read ({error}); check the path") from error
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return _UnpackedStream(_Unpacker(source, kind, name))
    assert isinstance(source, io.BufferedReader)
    return source


class _Rejoined(io.RawIOBase):
    """The first bytes of a source that cannot seek, and then the source."""

    def __init__(self, head: bytes, rest: io.BufferedIOBase, *, owned: bool) -> None:
        self._head = head
        self._rest = rest
        self._owned = owned

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        data = self._head[: len(view)] if self._head else self._rest.read1(len(view))
        self._head = self._head[len(data) :]
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if self._owned:
            self._rest.close()
        super().close()


class _Unpacking(Protocol):
    def read1(self, size: int, /) -> bytes: ...


class _ZstdReader:
    """Unpacks frame after frame; unlike the library's own reader it tells a cut-off frame."""

    def __init__(self, source: io.BufferedIOBase) -> None:
        self._source = source
        self._packed = b""
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._inside = False

    def read1(self, size: int, /) -> bytes:
        """The next unpacked bytes, of any number (``size`` is not kept to); empty at the end."""
        while True:
            if not self._packed:
                self._packed = self._source.read1(_ZSTD_STEP_BYTES)
            if not self._packed:
                if self._inside:
                    raise EOFError("the last frame is cut off")
                return b""
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            data = self._frame.decompress(self._packed)
            self._inside = not self._frame.eof
            self._packed = self._frame.unused_data if self._frame.eof else b""
            if data:
                return data


class _Unpacker(io.RawIOBase):
    """Unpacked bytes of a compressed source; where that fails it ends, and keeps the failure for later.

    Raising at once would lose the last line's beginning, which the buffer above still holds.
    """

    def __init__(self, source: io.BufferedIOBase, kind: str, name: str) -> None:
        self._source = source
        self._kind = kind
        self._name = name
        self._rest = memoryview(b"")  # a view, since cutting pieces off megabytes would copy them each time
        self._failure: UnreadableInput | None = None
        self._unpacking: _Unpacking
        if kind == "gzip":
            self._unpacking = gzip.GzipFile(fileobj=source, mode="rb")
        elif kind == "xz":
            self._unpacking = lzma.LZMAFile(source, "rb")  # type: ignore[arg-type]  # noqa: SIM115
        else:
            self._unpacking = _ZstdReader(source)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        if not self._rest and self._failure is None:
            self._rest = memoryview(self._next(len(view)))
        data = self._rest[: len(view)]
        self._rest = self._rest[len(data) :]
        view[: len(data)] = data
        return len(data)

    def _next(self, size: int) -> bytes:
        try:
            return self._unpacking.read1(size)
        except EOFError as error:
            problem: Exception = error
            what = "ends before its end mark, as after a broken copy or a full disk"
        except (OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
            problem = error
            what = f"is damaged ({error})"
        self._failure = UnreadableInput(
            f"{self._name}: the {self._kind} data {what}; all before that was read; fetch the file again"
        )
        self._failure.__cause__ = problem
        return b""

    def raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self._source.close()
        super().close()


class _UnpackedStream(io.BufferedReader):
    """A buffer over `_Unpacker` that raises its failure in place of the end of the stream."""

    def __init__(self, unpacker: _Unpacker) -> None:
        super().__init__(unpacker, _BUFFER_BYTES)
        self._unpacker = unpacker

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._checked(super().readline(-1 if size is None else size), size)

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is None or size < 0:
            self._unpacker.raise_failure()
        return self._checked(data, size)

    def read1(self, size: int = -1, /) -> bytes:
        return self._checked(super().read1(size), size)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        count = super().readinto(buffer)
        if count == 0 and memoryview(buffer).nbytes:
            self._unpacker.raise_failure()
        return count

    def _checked(self, data: bytes, size: int | None) -> bytes:
        if not data and size != 0:
            self._unpacker.raise_failure()
        return data
