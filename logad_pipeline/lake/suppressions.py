"""Suppressions: patterns of alarms that somebody wants to be kept quiet for a while, as YAML to be reviewed.

Belongs here: the file, and which alarm a suppression matches. Does not: how alarms become alerts (`alerts`),
which counts every one that is kept quiet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .tables import Lake, LakeError

__all__ = ["BadSuppressions", "Suppression", "add_suppression", "read_suppressions", "suppressions_file"]

_HEAD: Final = """\
# Alarms that are kept quiet. Each entry has a name and a reason, at least one of text, template, source and group
# (all that are given must match), and an end: until (a day, included) or more (so many further alarms).
# What is kept quiet is still counted: `logad suppressions`.
"""


class BadSuppressions(LakeError):
    """The file of suppressions cannot be read; the text says where and what it should hold."""


class Suppression(BaseModel):
    """One entry of the file.

    Attributes:
        name: by which its hits are counted; another name starts anew.
        reason, author: for whoever reviews the file.
        text: regular expression, searched in the normalised text of the line that surprised most.
        template: that text itself, all of it.
        source, group: name of the file and of the host or session, all of it.
        since: first day whose alarms it concerns; all if left out.
        until: last day.
        more: number of alarms after which it ends: those of a day in order of time, days as they are folded.
    """

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]
    author: str = ""
    text: str | None = None
    template: str | None = None
    source: str | None = None
    group: str | None = None
    since: date | None = None
    until: date | None = None
    more: Annotated[int | None, Field(ge=1)] = None

    @field_validator("text")
    @classmethod
    def _is_pattern(cls, text: str | None) -> str | None:
        try:
            re.compile(text or "")
        except re.error as error:
            raise ValueError(f"'{text}' is no regular expression: {error}") from error
        return text

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if all(value is None for value in (self.text, self.template, self.source, self.group)):
            raise ValueError("give at least one of text, template, source and group; all alarms would be kept quiet")
        if self.until is None and self.more is None:
            raise ValueError("give an end: until (a day) or more (a number of alarms)")
        return self

    def concerns(self, day: date) -> bool:
        """Whether alarms of that day are within its dates."""
        return (self.since is None or day >= self.since) and (self.until is None or day <= self.until)

    def matches(self, source: str, group: str, text: str) -> bool:
        """Whether it is about an alarm of that stream whose most surprising line reads like that."""
        return (
            (self.source is None or source == self.source)
            and (self.group is None or group == self.group)
            and (self.template is None or text == self.template)
            and (self.text is None or re.search(self.text, text) is not None)
        )


def suppressions_file(lake: Lake) -> Path:
    """Where they stand."""
    return lake.root / "suppressions.yaml"


def read_suppressions(lake: Lake) -> list[Suppression]:
    """All entries of the file, ended ones included; none without a file.

    Raises:
        BadSuppressions: it is no such file.
    """
    file = suppressions_file(lake)
    if not file.exists():
        return []
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8")) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise BadSuppressions(f"{file}: is no list of entries; each begins with '- name: …'")
        found = [_read(file, number, entry) for number, entry in enumerate(entries, start=1)]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadSuppressions(f"{file}: is no YAML in UTF-8 ({error}); mend it") from error
    names = [each.name for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadSuppressions(f"{file}: the name {twice[0]} stands there twice; hits are counted by name")
    return found


def _read(file: Path, number: int, entry: dict[str, Any]) -> Suppression:
    try:
        return Suppression(**entry)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'entry'}: {e['msg']}" for e in error.errors())
        raise BadSuppressions(f"{file}: entry {number} ({entry.get('name', 'without a name')}): {wrong}") from error


def add_suppression(lake: Lake, new: Suppression) -> Path:
    """Write one more entry at the end of the file; what stands there stays as it is, comments too.

    Raises:
        BadSuppressions: the file is damaged, or the name stands there already.
    """
    file = suppressions_file(lake)
    if new.name in {each.name for each in read_suppressions(lake)}:
        raise BadSuppressions(f"{file}: the name {new.name} stands there already; choose another")
    before = file.read_text(encoding="utf-8") if file.exists() else _HEAD
    entries: Sequence[dict[str, Any]] = [new.model_dump(exclude_none=True)]
    text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(f"{before.rstrip()}\n{text}", encoding="utf-8")
    partial.replace(file)
    return file
