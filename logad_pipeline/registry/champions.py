"""Who is champion, and who was: promotion, the way back, and who judges while the alias leads to nothing sound.

Belongs here: the alias and its history. Does not: whether a model deserves it, which the gate decides.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Final

from logad_pipeline.detectors.ensemble import ModelNotFound
from logad_pipeline.registry.registry import CHAMPION, ModelVersion, RegisteredModel, Registry
from logad_pipeline.settings import without_secrets

log = logging.getLogger(__name__)

Load = Callable[[ModelVersion], RegisteredModel]
"""From a version to the model."""

_CHAMPIONS: Final = "former_champions"
"""Tag of the model: its champions as a JSON list of versions, each once, the one in force last."""


class NoChampion(ModelNotFound):
    """No version is the champion yet."""


class NoEarlierChampion(Exception):
    """There is no champion to go back to."""


def promote(registry: Registry, version: str) -> str | None:
    """Make a version the champion, tried first; return the version that was.

    Raises:
        ModelNotFound: if it cannot judge; the champion stays.
        RegistryUnavailable: if the registry does not answer.
    """
    before = registry.version_of(CHAMPION)
    champions = _champions(registry, before)
    registry.set_alias(CHAMPION, version)
    _write(registry, [*(one for one in champions if one != version), version])
    return before


def follow_alias(registry: Registry) -> str | None:
    """Bring the list of champions up to the alias, which MLflow's pages move without a word; return its version.

    A version that was moved there by hand is one that nobody has tried, whatever was found when it last was:
    see `Registry.was_tried`.

    Raises:
        RegistryUnavailable: if the registry does not answer.
    """
    now = registry.version_of(CHAMPION)
    if now is None or _written(registry)[-1:] == [now]:
        return now
    registry.forget_trial(now)
    _write(registry, _champions(registry, now))
    return now


def former_champions(registry: Registry) -> list[str]:
    """Versions that were champion before, the last one last."""
    return _former(registry, registry.version_of(CHAMPION))


def champion_that_judges(
    registry: Registry, load: Load | None = None, warn: Callable[[str], None] = log.warning
) -> RegisteredModel:
    """The champion, tried, or where it cannot judge the last one before it that can, with a warning.

    MLflow's pages move the alias without asking whether a version works, and an upgrade may leave one behind.
    The alias is not moved here: that is for the job `try_champion`, or for a person.

    Args:
        load: gives a version that judges, or raises `ModelNotFound`; by default `Registry.probed`.
        warn: is told where it is not the champion that judges, and why.

    Raises:
        NoChampion: if there is none yet.
        ModelNotFound: if neither it nor any before it can judge.
        RegistryUnavailable: if the registry does not answer.
    """
    probed, called = load or registry.probed, f"models:/{registry.name}"
    try:
        now = registry.resolve(f"{called}@{CHAMPION}")
    except ModelNotFound as error:
        raise NoChampion(f"{called} has no champion in the registry at {without_secrets(registry.uri)} yet; "
                         "`logad train` makes one") from error  # fmt: skip
    try:
        return probed(now)
    except ModelNotFound as error:
        for version in reversed(_former(registry, now.version)):
            try:
                before = probed(registry.resolve(f"{called}/{version}"))
            except ModelNotFound:
                continue
            warn(f"champion {now.version} cannot judge: {error}; version {version}, champion before it, "
                 "judges meanwhile")  # fmt: skip
            return before
        raise


def rollback(registry: Registry) -> tuple[str | None, str]:
    """Make the last former champion that can judge the champion again; return the version before and that one.

    Versions after it are forgotten: going back twice goes back two champions.

    Raises:
        NoEarlierChampion: if there is none that can judge.
        RegistryUnavailable: if the registry does not answer; the champion stays.
    """
    now = registry.version_of(CHAMPION)
    former = _former(registry, now)
    if not former:
        lacks = f"had no champion before version {now}" if now else "has no champion to go back from"
        where = f"{registry.name} in the registry at {without_secrets(registry.uri)}"
        raise NoEarlierChampion(f"{where} {lacks}; `logad promote VERSION` names one")
    while former:
        version = former[-1]
        try:
            registry.set_alias(CHAMPION, version)
        except ModelNotFound as error:
            log.warning("%s", error)
            former.pop()
            continue
        _write(registry, former)
        return now, version
    raise NoEarlierChampion(f"no earlier champion of {registry.name} can judge; `logad promote VERSION` names one")


def _former(registry: Registry, now: str | None) -> list[str]:
    """The champions before version ``now``, the last one last."""
    return [version for version in _champions(registry, now) if version != now]


def _champions(registry: Registry, now: str | None) -> list[str]:
    """The champions up to the one in force. An alias put back to one of them has gone back to it."""
    written = _written(registry)
    if now is None:
        return written
    return written[: written.index(now) + 1] if now in written else [*written, now]


def _written(registry: Registry) -> list[str]:
    return [str(version) for version in json.loads(registry.model_tag(_CHAMPIONS) or "[]")]


def _write(registry: Registry, versions: list[str]) -> None:
    registry.set_model_tag(_CHAMPIONS, json.dumps(versions))
