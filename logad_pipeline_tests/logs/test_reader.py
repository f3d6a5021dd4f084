"""The reader loses no byte, and says what is wrong with a source in one line."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from logad_pipeline.logs.reader import MAX_LINE_BYTES, UnreadableInput, open_log, read_lines

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}
TEXT = b"".join(b"line %d of a made-up log %d\n" % (i, i * 7919 % 1013) for i in range(3000)) + b"no line end"


def lines_of(path: Path) -> list[bytes]:
    with open_log(path) as stream:
        return list(read_lines(stream))


@given(st.binary(max_size=400))
def test_joined_lines_are_the_bytes(data: bytes) -> None:
    lines = list(read_lines(io.BytesIO(data)))
    assert b"".join(lines) == data
    assert all(line.endswith(b"\n") for line in lines[:-1])
    assert all(b"\n" not in line[:-1] for line in lines)


def test_only_newline_ends_a_line() -> None:
    data = "a\x0bb\x0cc\x1cd\x85e\u2028f\rg\r\nh".encode()
    assert list(read_lines(io.BytesIO(data))) == ["a\x0bb\x0cc\x1cd\x85e\u2028f\rg\r\n".encode(), b"h"]


@pytest.mark.parametrize("kind", PACKERS)
def test_packed_files_are_known_by_content_not_by_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "misnamed.log"
    path.write_bytes(PACKERS[kind](TEXT))
    assert b"".join(lines_of(path)) == TEXT


@pytest.mark.parametrize("kind", PACKERS)
def test_concatenated_packed_files_read_as_one(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rotated.{kind}"
    path.write_bytes(PACKERS[kind](b"first\n") + PACKERS[kind](b"") + PACKERS[kind](TEXT))
    assert b"".join(lines_of(path)) == b"first\n" + TEXT


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_truncated_file_gives_what_is_there_and_then_raises(tmp_path: Path, kind: str, kept: float) -> None:
    packed = PACKERS[kind](os.urandom(300_000).hex().encode() + b"\n" + TEXT)
    path = tmp_path / f"cut.log.{kind}"
    path.write_bytes(packed[: int(len(packed) * kept)])
    read = bytearray()
    with open_log(path) as stream, pytest.raises(UnreadableInput, match=r"cut\.log.*ends before.*fetch"):
        for line in read_lines(stream):
            read += line
    assert len(read) > 100_000


@pytest.mark.parametrize("kind", PACKERS)
def test_every_way_of_reading_meets_the_truncation(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cut"
    path.write_bytes(PACKERS[kind](TEXT)[:-3])
    for size in (1, 7, len(TEXT)):
        with open_log(path) as stream, pytest.raises(UnreadableInput):
            while stream.read(size):
                pass
    with open_log(path) as stream, pytest.raises(UnreadableInput):
        stream.read()
    with open_log(path) as stream, pytest.raises(UnreadableInput):
        list(stream)
    with open_log(path) as stream, pytest.raises(UnreadableInput):
        while stream.readinto(bytearray(64)):  # type: ignore[attr-defined]
            pass


@pytest.mark.parametrize("kind", PACKERS)
def test_damaged_file_raises(tmp_path: Path, kind: str) -> None:
    packed = bytearray(PACKERS[kind](TEXT))
    packed[len(packed) // 2 : len(packed) // 2 + 40] = bytes(40)
    path = tmp_path / "bad"
    path.write_bytes(packed)
    if kind == "zst":  # a frame without a checksum may unpack to other bytes instead
        path.write_bytes(PACKERS[kind](TEXT) + b"garbage behind it")
    with pytest.raises(UnreadableInput, match=r"bad: the .* data"):
        lines_of(path)


def test_a_line_over_the_cap_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"x" * (3 * MAX_LINE_BYTES + 5) + b"\nnext\n" + b"y" * MAX_LINE_BYTES + b"\nlast")
    lines = lines_of(path)
    assert [len(line) for line in lines] == [MAX_LINE_BYTES + 1, 5, MAX_LINE_BYTES + 1, 4]
    assert lines[0].endswith(b"x\n")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc to measure memory")
def test_a_packed_bomb_stays_small(tmp_path: Path) -> None:
    """A gigabyte without a line end passes through less than 300 MB of memory."""
    path = tmp_path / "bomb.zst"
    compressor = zstandard.ZstdCompressor().compressobj()
    with path.open("wb") as file:
        for _ in range(1024):
            file.write(compressor.compress(bytes(1 << 20)))
        file.write(compressor.flush())
    code = (
        "import re, sys\n"
        "from logad_pipeline.logs.reader import open_log, read_lines\n"
        "with open_log(sys.argv[1]) as stream: print([len(line) for line in read_lines(stream)])\n"
        # Not ru_maxrss: a child takes that over from the process that started it.
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=120
    )
    lengths, peak_kib = done.stdout.splitlines()
    assert lengths == f"[{MAX_LINE_BYTES}]"
    assert int(peak_kib) < 300_000


@pytest.mark.parametrize("kind", ["plain", *PACKERS])
def test_standard_input(kind: str) -> None:
    code = (
        "import sys\n"
        "from logad_pipeline.logs.reader import open_log, read_lines\n"
        "with open_log('-') as stream: sys.stdout.buffer.writelines(read_lines(stream))\n"
        "assert not sys.stdin.closed\n"
    )
    data = PACKERS[kind](TEXT) if kind in PACKERS else TEXT
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True, timeout=60)
    assert done.stdout == TEXT


def test_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(gzip.compress(TEXT),))
    writer.start()
    assert b"".join(lines_of(path)) == TEXT
    writer.join()


def test_empty_and_tiny_files(tmp_path: Path) -> None:
    path = tmp_path / "tiny"
    for data in (b"", b"\n", b"a"):
        path.write_bytes(data)
        assert b"".join(lines_of(path)) == data


def test_what_cannot_be_opened_is_said_in_one_line(tmp_path: Path) -> None:
    secret = tmp_path / "secret.log"
    secret.write_bytes(b"x\n")
    secret.chmod(0)
    cases = [(tmp_path / "none.log", "no such file"), (tmp_path, "is a directory")]
    if not os.access(secret, os.R_OK):
        cases.append((secret, "no permission"))
    for path, what in cases:
        with pytest.raises(UnreadableInput, match=what) as raised:
            open_log(path)
        assert str(path) in str(raised.value) and "\n" not in str(raised.value) and ";" in str(raised.value)
    with pytest.raises(UnreadableInput, match="cannot be opened"):
        open_log("nul\0name")
