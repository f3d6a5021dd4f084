"""Names: of a source by its file name, of a raw file by its source, of a time zone.

Belongs here: text to text, and nothing that touches a disk.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["clean_text", "raw_name", "source_name", "tz_from", "tz_name"]

_PACKED: Final = re.compile(r"\.(?:gz|xz|zst|zstd)$", re.IGNORECASE)
_YEAR: Final = r"(?:19|20)\d\d"
_DATE: Final = "|".join(rf"{_YEAR}{mark}[01]\d{mark}[0-3]\d" for mark in ("", "-", "_", r"\."))
_DATED: Final = re.compile(rf"[-._](?:{_DATE})(?:[-._T]?\d{{1,10}})?(?=$|(?:\.\d{{1,3}})?\.[A-Za-z]+$)")
_NUMBERED: Final = re.compile(r"(?<=[A-Za-z])\.\d{1,4}$")
_UNSAFE: Final = re.compile(r"[^\w.@+-]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MAX_NAME_BYTES: Final = 120


def clean_text(text: str) -> str:
    """The text with U+FFFD in place of every lone surrogate, which no UTF-8 and so no table can hold."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def source_name(file_name: str) -> str:
    """What a file is a part of: its name without compression suffix and rotation number or date.

    A number goes only where a letter stands before its dot, so that ``10.0.0.1`` and ``web1.2`` keep
    theirs: files of two machines would otherwise become one stream.

    >>> [source_name(n) for n in ("auth.log.1.gz", "syslog-20240131.xz", "app.2024-01-31.log", "10.0.0.1")]
    ['auth.log', 'syslog', 'app.log', '10.0.0.1']
    """
    name = clean_text(file_name)
    for pattern in (_PACKED, _NUMBERED, _DATED, _NUMBERED):
        name = pattern.sub("", name, count=1) or name
    return name


def raw_name(source: str, digits: str) -> str:
    """File name of a raw part: the source, as far as a file system takes it, and digits of the sha256."""
    safe = _UNSAFE.sub("_", source).encode()[:_MAX_NAME_BYTES].decode("utf-8", "ignore")
    return f"{safe}-{digits}.log.zst"


def tz_name(tz: tzinfo) -> str:
    """Text from which `tz_from` makes the same zone.

    Raises:
        ValueError: the zone is neither UTC, a fixed offset nor a named one.
    """
    if isinstance(tz, ZoneInfo) and tz.key:
        return tz.key
    if isinstance(tz, timezone):
        return str(timezone(tz.utcoffset(None))).removeprefix("UTC") or "UTC"
    raise ValueError(f"the time zone {tz!r} has no name to store; use one of the IANA names, or UTC")


def tz_from(name: str) -> tzinfo:
    """The zone of a name that `tz_name` gave.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: this machine knows no such zone.
    """
    if name == "UTC":
        return UTC
    if name[0] in "+-":
        zone = datetime.fromisoformat(f"2000-01-01T00:00:00{name}").tzinfo
        assert zone is not None
        return zone
    return ZoneInfo(name)
