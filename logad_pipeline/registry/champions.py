"""Who is champion, and who was: promotion and the way back.

Belongs here: the alias and its history. Does not: whether a model deserves it, which the gate decides.
"""

from __future__ import annotations

import json
import logging
from typing import Final

from logad_pipeline.detectors.ensemble import ModelNotFound
from logad_pipeline.registry.registry import CHAMPION, Registry

log = logging.getLogger(__name__)

_FORMER: Final = "former_champions"


class NoEarlierChampion(Exception):
    """There is no champion to go back to."""


def promote(registry: Registry, version: str) -> str | None:
    """Make a version the champion, tried first; return the version that was.

    Raises:
        ModelNotFound: if it cannot judge; the champion stays.
    """
    before = registry.version_of(CHAMPION)
    registry.set_alias(CHAMPION, version)
    if before is not None and before != version:
        remember(registry, before)
    return before


def remember(registry: Registry, version: str) -> None:
    """Write down that a version was champion, so that :func:`rollback` finds it."""
    former = [one for one in former_champions(registry) if one != version]
    _write(registry, [*former, version])


def former_champions(registry: Registry) -> list[str]:
    """Versions that were champion before, the last one last."""
    return [str(version) for version in json.loads(registry.model_tag(_FORMER) or "[]")]


def rollback(registry: Registry) -> tuple[str | None, str]:
    """Make the last former champion that can judge the champion again; return the version before and that one.

    Versions after it are forgotten: going back twice goes back two champions.

    Raises:
        NoEarlierChampion: if there is none that can judge.
    """
    now, former = registry.version_of(CHAMPION), former_champions(registry)
    while former:
        version = former.pop()
        if version == now:
            continue
        try:
            registry.set_alias(CHAMPION, version)
        except ModelNotFound as error:
            log.warning("%s", error)
            continue
        _write(registry, former)
        return now, version
    raise NoEarlierChampion(f"no earlier champion of {registry.name} can judge; `logad promote VERSION` names one")


def _write(registry: Registry, versions: list[str]) -> None:
    registry.set_model_tag(_FORMER, json.dumps(versions))
