"""What an address asks for: a range of judged days, a host, words; and addresses that ask the same of another page.

Belongs here: reading and writing queries. The address is all the state that a page has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urlencode

from flask import request

from logad_pipeline.lake.tables import Lake, LakeNotFound
from logad_pipeline.serving.problems import Problem

NEWEST: Final = 7
"""Days that are shown where none is asked for."""
_LONGEST: Final = 500
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Asked:
    """Judged days within a range, and what else the address says.

    Attributes:
        judged: all judged days of the lake, ascending.
        first, last: the range, both included; ``None`` where the lake has no judged day and none was asked for.
        host: the lane that is asked for; ``""`` for all.
        lake_there: whether there is a lake at all.
    """

    judged: Sequence[date]
    first: date | None
    last: date | None
    host: str = ""
    lake_there: bool = True
    days: tuple[date, ...] = field(init=False)

    def __post_init__(self) -> None:
        first, last = self.first or date.max, self.last or date.min
        object.__setattr__(self, "days", tuple(day for day in self.judged if first <= day <= last))

    @property
    def span(self) -> str:
        """The range in words."""
        if self.first is None or self.last is None:
            return "no days"
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"

    def link(self, path: str, **more: object) -> str:
        """Address of another page for the same range; what is empty or ``None`` is left out."""
        values = {"from": self.first, "to": self.last, "host": self.host} | more
        query = urlencode([(name, str(value)) for name, value in values.items() if value not in (None, "", 0)])
        return f"{path}?{query}" if query else path


def asked(lake: Lake) -> Asked:
    """Read the range of the address: by default the newest seven judged days.

    Raises:
        Problem: 422 for what is no day, or a range that ends before it begins.
        LakeError: a table is missing.
    """
    first, last = _day("from"), _day("to")
    if first and last and first > last:
        raise Problem(422, "invalid-days", f"the range begins on {first}, after its end on {last}; swap them")
    try:
        judged = lake.days("scores")
    except LakeNotFound:
        return Asked((), first, last, word("host"), lake_there=False)
    until = [day for day in judged if last is None or day <= last]
    if first is None and until:
        first = until[-NEWEST:][0] if last is None else max(last, date.min + timedelta(NEWEST)) - timedelta(NEWEST - 1)
    return Asked(judged, first, last or max([*judged[-1:], *([first] if first else [])], default=None), word("host"))


def word(name: str, longest: int = _LONGEST) -> str:
    """A value of the address; ``""`` where it is not given.

    Raises:
        Problem: 422 if it is longer than that.
    """
    return _bounded(name, _argument(name), longest)


def number(name: str, default: int, most: int) -> int:
    """A whole number of the address, from 0 to ``most``.

    Raises:
        Problem: 422 if it is none.
    """
    text = _argument(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most):
        raise Problem(422, "invalid-number", f"'{name}' is a whole number from 0 to {most}; mend the address")
    return int(text)


def moment(name: str) -> datetime | None:
    """A time of the address, with a zone; ``None`` where it is not given.

    Raises:
        Problem: 422 if it is none.
    """
    text = word(name, 40)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not 2 <= at.year <= 9998:
        raise Problem(422, "invalid-time", f"'{name}' is a time such as 2026-03-01T05:00:00Z; mend the address")
    return at


def _argument(name: str) -> str:
    try:
        return request.args.get(name, "")
    except UnicodeDecodeError as error:
        raise Problem(400, "no-text", "the address holds bytes that are no UTF-8; write them as %-escapes") from error


def day_of(text: str) -> date | None:
    """A day such as 2026-03-01; ``None`` for anything else."""
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def _day(name: str) -> date | None:
    text = word(name, 40)
    found = day_of(text)
    if text and found is None:
        raise Problem(422, "invalid-days", f"'{name}' is a day such as 2026-03-01; choose it again")
    return found


def form_values(names: Sequence[str]) -> dict[str, str]:
    """The fields of a form that was sent; those that are missing are ``""``.

    Raises:
        Problem: 413, 408, 400 as for any body; 415 or 422 if it is none of our forms.
    """
    if request.mimetype != _FORM:
        raise Problem(415, "no-form", f"this path takes a form ({_FORM}); programs use POST /feedback")
    body: bytes = request.body()  # type: ignore[attr-defined]  # see app.BoundedRequest
    try:
        pairs = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20, errors="strict"))
    except ValueError as error:
        raise Problem(422, "no-form", "the form is not as our pages send it; load the page again") from error
    longest = {"note": 2000, "reason": 500, "back": 2000}
    return {name: _bounded(name, pairs.get(name, "").strip(), longest.get(name, _LONGEST)) for name in names}


def _bounded(name: str, text: str, longest: int) -> str:
    if len(text) > longest:
        raise Problem(422, "too-long", f"'{name}' is longer than {longest} characters; shorten it")
    return text
