"""What `logad doctor` looks at."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logad_pipeline.reporting.text import count

if TYPE_CHECKING:
    from logad_pipeline.lake.tables import Lake
    from logad_pipeline.settings import Settings

_MIN_FREE_BYTES = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``detail`` says what was found, or what to do."""

    what: str
    ok: bool
    detail: str


def check_up(settings: Settings, lake: Lake) -> list[Finding]:
    """Look at each part; a part that raises is a finding, not an end."""
    checks: list[tuple[str, Callable[[], tuple[bool, str]]]] = [
        ("lake", lambda: _lake(lake)),
        ("disk", lambda: _disk(settings)),
        ("dagster", _dagster),
        ("registry", lambda: _registry(settings)),
        ("champion", lambda: _champion(settings)),
        ("torch", _torch),
    ]
    findings = []
    for what, check in checks:
        try:
            ok, detail = check()
        except Exception as error:
            ok, detail = False, f"{type(error).__name__}: {error}"
        findings.append(Finding(what, ok, detail))
    return findings


def _lake(lake: Lake) -> tuple[bool, str]:
    counts = ", ".join(f"{name} {len(lake.days(name))} days" for name in ("ledger", "normalized", "windows", "scores"))
    return True, f"{lake.root}: {counts}"


def _disk(settings: Settings) -> tuple[bool, str]:
    root = settings.lake if settings.lake.exists() else settings.lake.anchor
    free = shutil.disk_usage(root).free
    return free > _MIN_FREE_BYTES, f"{free / 2**30:.1f} GiB free where the lake lies"


def _dagster() -> tuple[bool, str]:
    import dagster as dg

    from logad_pipeline.orchestration.build import build_definitions

    with warnings.catch_warnings():
        # Resolving copies sensors with an argument that is marked as beta and that nobody passes.
        warnings.simplefilter("ignore", dg.BetaWarning)
        jobs = build_definitions().resolve_all_job_defs()
    return bool(jobs), f"the code location loads, {len(list(jobs))} jobs"


def _registry(settings: Settings) -> tuple[bool, str]:
    from logad_pipeline.registry.registry import Registry
    from logad_pipeline.settings import without_secrets

    registry, address = Registry(settings), without_secrets(settings.tracking_uri)
    if not registry.exists():
        return False, f"no registry at {address}; run `logad init`"
    return True, f"{address}: {count(len(registry.versions()), 'version')} of {settings.model.name}"


def _champion(settings: Settings) -> tuple[bool, str]:
    from logad_pipeline.registry.registry import CHAMPION, Registry

    registry = Registry(settings)
    version = registry.version_of(CHAMPION)
    if version is None:
        return False, "there is none yet; `logad run` or `logad train` makes one"
    detector = registry.probed(version).detector
    return True, f"version {version} judges; encoder: {detector.encoder.source.kind}"


def _torch() -> tuple[bool, str]:
    import torch

    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads"
    return True, f"{torch.__version__} on {device}"
