"""Which model answers: the registry's champion, exchanged while requests are under way, or the last one kept.

Belongs here: loading, trying and exchanging it, and the copy on disk for when the registry cannot be had.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logad_pipeline.detectors.ensemble import AnomalyDetector, ModelNotFound
from logad_pipeline.explanation.evidence import Evidence, ShownWindow
from logad_pipeline.explanation.explainer import Explainer
from logad_pipeline.registry.champions import champion_that_judges
from logad_pipeline.registry.fetch import load_model
from logad_pipeline.registry.registry import CHALLENGER, CHAMPION, Registry, RegistryUnavailable
from logad_pipeline.settings import Settings, without_secrets
from logad_pipeline.streams import probe
from logad_pipeline.window_scores import RememberedScores, Tell

if TYPE_CHECKING:
    from logad_pipeline.registry.registry import ModelVersion, RegisteredModel

log = logging.getLogger(__name__)

_SAME: Final = 1e-6
_LONGEST_PAUSE: Final = 600.0
"""Seconds, between two tries of a version that does not load."""


@dataclass
class Served:
    """A model in service; a request holds on to the one that it began with.

    Attributes:
        detector: the model.
        name, version: as the registry has it; the folder's name and the content's hash where there is no registry.
        scores: what it said last.
        mark: tells it from all others that the registry had or will have; empty where there is no registry.
    """

    detector: AnomalyDetector
    name: str
    version: str
    scores: RememberedScores
    mark: str = ""
    _making: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def explain(self, shown: Sequence[ShownWindow]) -> list[Evidence]:
        """Evidence for windows; one thread at a time, while no other asks the model."""
        # Reading the normal windows may take seconds and asks the model nothing, so scoring does not wait for it.
        with self._making:
            explainer = self.explainer
        with self.scores.undisturbed():
            return explainer.explain(shown)

    @cached_property
    def explainer(self) -> Explainer:
        """Made when it is first needed."""
        return Explainer(self.detector)


@dataclass
class Champion:
    """The model in service, kept up with the registry's alias.

    Until :meth:`refresh` has succeeded once there is none. Afterwards there always is one: where the registry
    cannot be reached, names no champion, or names one that does not load, the one in service stays, and
    ``degraded`` says why. What was served last lies below the lake and is served where the registry is down
    from the start.
    """

    settings: Settings
    fixed: str = ""
    """A model folder or registry name to serve in the champion's place; the alias in a name is followed as well."""
    tell: Tell | None = None
    exchanged: Callable[[Served], None] = field(default=lambda served: None)
    """Is told of a model when it goes into service."""
    current: Served | None = None
    degraded: str = ""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._refreshing = threading.Lock()
        self._broken, self._pause, self._again_at = "", 0.0, 0.0

    @cached_property
    def _kept(self) -> Path:
        return self.settings.lake / "serving"

    def registered(self) -> list[tuple[str, list[str]]]:
        """Versions in the registry with their aliases, newest first; none where it cannot be had."""
        registry = Registry(self.settings)
        if self.fixed or not registry.exists():
            return []
        try:
            named = {alias: registry.version_of(alias) for alias in (CHAMPION, CHALLENGER)}
            return [
                (version, [alias for alias, points_at in named.items() if points_at == version])
                for version in registry.versions()
            ]
        except RegistryUnavailable as error:
            log.warning("%s", error)
            return []

    def load_named(self) -> None:
        """Put the model that was named in the champion's place into service, if one was: a name that leads nowhere
        is a slip that waiting does not mend. A registry that does not answer may do so later.

        Raises:
            ModelNotFound: if there is none of that name, or it cannot judge.
        """
        if self.fixed:
            try:
                self._follow_alias()
            except RegistryUnavailable as error:
                log.debug("to be tried again: %s", error)

    def watch(self) -> None:
        """Look at the alias now and then, in a thread of its own, until :meth:`close`."""
        threading.Thread(target=self._watch, name="champion", daemon=True).start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.refresh()
            self._stop.wait(self.settings.serving.reload_seconds)

    def refresh(self) -> None:
        """Bring the model in service up to the alias, if that can be done; else say why in ``degraded``."""
        with self._refreshing:
            try:
                self._follow_alias()
                self.degraded = ""
            except (ModelNotFound, RegistryUnavailable) as error:
                self._degrade(str(error))
            except Exception as error:
                # A thread that dies of what no one foresaw would serve an old model for ever without a word.
                log.exception("looking for the champion failed")
                self._degrade(f"{type(error).__name__}: {error}")

    def _follow_alias(self) -> None:
        if self.fixed and not self.fixed.startswith("models:/"):
            if self.current is None:
                detector = load_model(self.fixed, self.settings.model.device)
                probe(detector)
                self._exchange(detector, re.split(r"[/@]", self.fixed.rstrip("/"))[-1], detector.version)
            return
        registry = Registry(self.settings)
        if not self.fixed and not registry.exists():
            shown = without_secrets(registry.uri)
            raise RegistryUnavailable(f"there is no registry at {shown}; `logad init` makes one")
        found = registry.resolve(self.fixed or f"models:/{registry.name}@{CHAMPION}")
        mark = "/".join(map(str, found))
        if self.current is None or self.current.mark != mark:
            self._load(registry, found, mark)
        self._broken = ""

    def _load(self, registry: Registry, found: ModelVersion, mark: str) -> None:
        """Put a version into service; one that does not load is tried again after longer and longer pauses."""
        if mark == self._broken and time.monotonic() < self._again_at:
            raise ModelNotFound(self.degraded)
        try:
            model = registry.load(found, self.settings.model.device)
            score = probe(model.detector)
        except Exception:
            pause = self._pause if mark == self._broken else self.settings.serving.reload_seconds
            self._broken, self._pause = mark, min(2 * pause, _LONGEST_PAUSE)
            self._again_at = time.monotonic() + self._pause
            raise
        self._exchange(model.detector, model.name, model.version, mark)
        if not self.fixed:
            self._keep(model, mark, score)

    def _exchange(self, detector: AnomalyDetector, name: str, version: str, mark: str = "") -> None:
        scores = RememberedScores(detector, self.settings.serving.remembered_windows, self.tell)
        self.current = Served(detector, name, version, scores, mark)
        self.exchanged(self.current)
        log.info("serving %s version %s (%s)", name, version, detector.version)

    def _degrade(self, reason: str) -> None:
        news, self.degraded = reason != self.degraded, reason
        if news:
            wanted = "the model asked for" if self.fixed else "the registry's champion"
            log.warning("not %s for now: %s", wanted, reason)
        if self.current is None and not self.fixed:
            try:
                self._serve_kept()
            except Exception as error:
                # Whatever is wrong with the copy must not end the thread that looks for a better one.
                log.warning("nor is there a model of an earlier time to serve: %s: %s", type(error).__name__, error)
                # To load it takes seconds: not again and again for the same reason.
                if news:
                    self._serve_champion_before()

    def _keep(self, found: RegisteredModel, mark: str, score: float) -> None:
        """Put a copy where :meth:`_serve_kept` finds it; the one before it stays until it is whole."""
        folder = f"{found.version}-{found.detector.version}"
        try:
            if found.detector.save(self._kept / folder) != folder.partition("-")[2]:
                raise OSError(f"{self._kept / folder}: what was written is another model")
            described = {"folder": folder, "name": found.name, "version": found.version, "mark": mark,
                         "probe_score": score}  # fmt: skip
            partial = self._kept / f".current.{os.getpid()}.partial"
            partial.write_text(json.dumps(described), encoding="utf-8")
            partial.replace(self._kept / "current.json")
            for old in self._kept.iterdir():
                if old.is_dir() and old.name != folder:
                    shutil.rmtree(old, ignore_errors=True)
        except Exception as error:
            log.warning("no copy of the champion could be kept for when the registry is down: %s", error)

    def _serve_kept(self) -> None:
        described = json.loads((self._kept / "current.json").read_text(encoding="utf-8"))
        detector = AnomalyDetector.load(self._kept / described["folder"], self.settings.model.device)
        if abs(probe(detector) - described["probe_score"]) > _SAME:
            raise ModelNotFound(f"{self._kept / described['folder']} no longer gives the scores it was kept with")
        self._exchange(detector, described["name"], described["version"], described.get("mark", ""))

    def _serve_champion_before(self) -> None:
        """Where nothing was ever served here, the registry's champion before the broken one is."""
        registry = Registry(self.settings)
        try:
            model = champion_that_judges(registry, partial(registry.probed, device=self.settings.model.device))
        except Exception as error:
            log.warning("nor is there a champion before it: %s: %s", type(error).__name__, error)
        else:
            self._exchange(model.detector, model.name, model.version)
