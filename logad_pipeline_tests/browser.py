"""A page in headless Chromium: what it complains of, what it shows, what it asks for, and what axe-core says of it.

Belongs here: starting the browser, alone for a file or with its driver for pages that are clicked through. Tests
that need it skip where it is not installed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

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


@contextmanager
def driven(profile: Path, *, size: str = "1200,900") -> Iterator[Chrome]:
    """A browser to click with, which keeps what it was told to complain of and what it asked for."""
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("no chromedriver here; install it (apt install chromium-driver) to click through pages")
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = chromium()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
                     "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
                     f"--window-size={size}", f"--user-data-dir={profile}"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield made
    finally:
        made.quit()


def complaints(browser: Chrome) -> list[str]:
    """What the pages wrote to the console since this was asked last."""
    return [entry["message"] for entry in browser.get_log("browser")]


def asked_for(browser: Chrome) -> list[str]:
    """Addresses that the browser asked for since this was asked last."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]


def serious_faults(browser: Chrome) -> list[dict[str, Any]]:
    """What axe-core finds on the page that is open, as far as it is serious or critical."""
    pytest.importorskip("axe_core_python")
    browser.execute_script((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    found: dict[str, Any] = browser.execute_async_script(
        "axe.run(document, {resultTypes: ['violations']}).then(arguments[arguments.length - 1])"
    )
    assert len(found["passes"]) > 10
    return [
        {"id": one["id"], "nodes": [node["html"] for node in one["nodes"]][:3]}
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
