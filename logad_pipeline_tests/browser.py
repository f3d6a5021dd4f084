"""A page in headless Chromium, without a driver: what it complains of, what it shows, and what axe-core says of it.

Belongs here: starting the browser. Tests that need it skip where no Chromium is installed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

_DARK = ("--force-dark-mode", "--enable-features=WebContentsForceDark")
_LOOK = """
axe.run(document, {resultTypes: ['violations']}).then(found => {
  document.documentElement.dataset.found = JSON.stringify({
    violations: found.violations.map(v => ({id: v.id, impact: v.impact, nodes: v.nodes.map(n => n.html).slice(0, 3)})),
    checked: found.passes.length,
    width: innerWidth, scrolls: document.documentElement.scrollWidth,
    dark: matchMedia('(prefers-color-scheme: dark)').matches,
  });
});
"""


@dataclass(frozen=True)
class Opened:
    """A page after it has loaded: its DOM as text, and what the browser wrote to its console."""

    dom: str
    console: list[str]


def chromium() -> str:
    """The browser; skips the test without one."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no Chromium here; install it (apt install chromium) to run the tests in a browser")


def open_page(page: Path, profile: Path, *, size: str = "1200,900", dark: bool = False) -> Opened:
    """Load a file as a person would, without a network."""
    done = subprocess.run(
        [
            chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--virtual-time-budget=20000",
            f"--window-size={size}", *(_DARK if dark else ()), "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Opened(done.stdout, console)


def look_with_axe(html: str, folder: Path, *, size: str = "1200,900", dark: bool = False) -> dict[str, Any]:
    """What axe-core (MPL-2.0, of the package axe-core-python) finds on a copy of a page that lets it run."""
    pytest.importorskip("axe_core_python")
    axe = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "looked-at.html"
    open_to_scripts = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", html)
    page.write_text(open_to_scripts.replace("</body>", f"<script>{axe}\n{_LOOK}</script></body>"), encoding="utf-8")
    opened = open_page(page, folder / "profile", size=size, dark=dark)
    found = re.search(r'data-found="([^"]*)"', opened.dom)
    assert found, "axe-core gave no result"
    result: dict[str, Any] = json.loads(unescape(found.group(1)))
    return result
