"""Text from logs made safe to look at: what a terminal or a browser would obey becomes visible.

Belongs here: characters, lengths and figures as words. HTML escaping is left to the template, which
escapes everything.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

# C0 and C1 controls, DEL, zero-width and directional characters, line separators, tags, surrogates,
# non-characters: whatever is invisible, reorders its neighbours or cannot be written as UTF-8.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f]"
)


def visible(text: str, *, keep_breaks: bool = False) -> str:
    """``text`` with every invisible or obeyed character replaced by a sign that can be read.

    C0 controls become their Unicode pictures (ESC is ``␛``, NUL ``␀``), bytes that were no UTF-8 and came
    in by ``surrogateescape`` become ``⟨0x9b⟩``, other lone surrogates ``\\ufffd``, the rest ``⟨U+202E⟩``.

    Args:
        text: any ``str``, lone surrogates included.
        keep_breaks: leave tabs, and follow ``␊`` by a real line break (for records of several lines).

    Returns:
        Text that encodes as UTF-8. It is not HTML-escaped.
    """

    def sign(match: re.Match[str]) -> str:
        char = match.group()
        code = ord(char)
        if code < 0x20:
            if keep_breaks and char == "\t":
                return char
            picture = chr(0x2400 + code)
            return picture + "\n" if keep_breaks and char == "\n" else picture
        if code == 0x7F:
            return "\u2421"
        if 0xDC80 <= code <= 0xDCFF:
            return f"⟨0x{code - 0xDC00:02x}⟩"
        if 0xD800 <= code <= 0xDFFF:
            return "\ufffd"
        return f"⟨U+{code:04X}⟩"

    return _UNSEEN.sub(sign, text)


def shorten(text: str, limit: int) -> str:
    """``text``, or its first ``limit`` characters and how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… (+{len(text) - limit:,} characters)"


def label(text: str, limit: int = 120) -> str:
    """A name for one line of a page: visible, and at most about ``limit`` characters."""
    return shorten(visible(text), limit)


def score_text(score: float) -> str:
    """A score with three decimals, rounded down, so that 0.4999 never reads as the threshold 0.500."""
    if not math.isfinite(score):
        return "undefined"
    return f"{math.floor(score * 1000 + 1e-9) / 1000:.3f}"


def percent(rate: float | None) -> str:
    """A rate in [0, 1] as per cent (``0.74 %``, the space unbreakable); ``undefined`` for ``None``."""
    if rate is None or not math.isfinite(rate):
        return "undefined"
    share = 100 * rate
    if share == 0 or share >= 10:
        figure = f"{share:.0f}" if share in (0, 100) else f"{share:.1f}"
    else:
        figure = f"{share:.2f}" if share >= 0.1 else f"{share:.2g}"
    return f"{figure}\u00a0%"


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 window``, ``12,340 windows``, ``no windows``."""
    word = one if number == 1 else (many or one + "s")
    return f"no {word}" if number == 0 else f"{number:,} {word}"


def time_text(time: datetime | None) -> str:
    """``2026-05-04 03:12:07 UTC``; a time without a zone is shown as it is; ``no time`` for ``None``."""
    if time is None:
        return "no time"
    if time.tzinfo is None:
        return f"{time:%Y-%m-%d %H:%M:%S}"
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def span_text(first: datetime | None, last: datetime | None) -> str:
    """``2026-05-04 03:12:07 to 03:12:41 UTC``, the day named once where both ends share it."""
    if first is None or last is None or first == last:
        return time_text(first or last)
    begin, end = time_text(first), time_text(last)
    if begin == end:
        return begin
    same_zone = (first.tzinfo is None) == (last.tzinfo is None)
    zone = begin[19:]
    head = begin[:19] if same_zone else begin
    if same_zone and begin[:10] == end[:10]:
        return f"{head} to {end[11:19]}{zone}"
    return f"{head} to {end}"
