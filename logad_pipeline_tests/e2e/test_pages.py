"""Dagster's own pages in headless Chromium: a backfill started there, and seen to succeed; and where our links into
Dagster and MLflow lead.

Needs Chromium and its driver as the system has them, and skips without. With LOGAD_PICTURES set to a folder,
pictures of the pages are put there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from logad_pipeline.serving.app import create_app
from logad_pipeline.settings import load_settings
from logad_pipeline_tests.browser import driven
from logad_pipeline_tests.serving.pages.conftest import look_with
from logad_pipeline_tests.serving.test_server import free_port, wait_for

from .deployment import Serving

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = pytest.mark.story

TODAY = datetime.now(UTC).date()
DAYS = [TODAY - timedelta(days=back) for back in (3, 2, 1)]
PAGE_SECONDS = 120
LOCATION = "logad_pipeline.definitions"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Three landed days, a champion, and nothing that runs by itself."""
    made = Serving(tmp_path_factory.mktemp("pages"))
    model = {"base_model": made.tiny_base(), "max_steps": 3, "device": "cpu", "detectors": ["counts"]}
    made.settle(first_day=DAYS[0], operation={"by_itself": False, "look_every_seconds": 3600}, model=model)
    try:
        made.logad("init")
        made.drop(DAYS[0], days=3, seed=1)
        made.logad("ingest")
        made.logad("run")
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    with driven(tmp_path / "profile", size="1500,1000") as made:
        yield made


def shown(browser: Chrome, xpath: str) -> Any:
    """The first element of that path, once it can be seen."""
    from selenium.common.exceptions import StaleElementReferenceException as DrawnAnew
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support import expected_conditions as condition
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, PAGE_SECONDS, ignored_exceptions=[DrawnAnew]).until(
        condition.element_to_be_clickable((By.XPATH, xpath)), f"not on the page: {xpath}"
    )


def picture(browser: Chrome, name: str) -> None:
    """Keep a picture, if somebody wants pictures."""
    if folder := os.environ.get("LOGAD_PICTURES"):
        time.sleep(3)  # what is drawn in steps is drawn by then
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def test_a_backfill_from_the_pages(serving: Serving, browser: Chrome) -> None:
    before = serving.judged()
    assert list(before) == DAYS
    browser.get(f"{serving.url}/asset-groups?expanded=global%40global%3Adaily%2Cglobal%40global%3Amodel")
    shown(browser, "//*[contains(text(), 'daily_report')]")
    picture(browser, "asset_graph")

    browser.get(f"{serving.url}/locations/{LOCATION}/jobs/daily/partitions")
    shown(browser, "//button[contains(., 'Materialize')]").click()
    shown(browser, "//button[normalize-space()='All']").click()
    shown(browser, "//button[normalize-space()='Launch backfill' and not(@disabled)]")
    picture(browser, "launch_backfill")
    shown(browser, "//button[normalize-space()='Launch backfill' and not(@disabled)]").click()
    serving.wait_for("a backfill from the pages has judged its days",
                     lambda: all(serving.judged()[day].judged_at > before[day].judged_at for day in DAYS))  # fmt: skip
    serving.wait_for("its run has ended", lambda: serving.runs()[0]["status"] == "SUCCESS")

    browser.get(f"{serving.url}/runs?view=backfills")
    shown(browser, "//*[contains(text(), 'Completed') or contains(text(), 'Success')]")
    picture(browser, "backfills")
    browser.get(f"{serving.url}/assets/scores?view=partitions")
    shown(browser, f"//*[contains(text(), '{DAYS[-1]}')]")
    picture(browser, "partitions")


@contextmanager
def mlflow_pages(serving: Serving) -> Iterator[str]:
    """MLflow's pages, as `logad mlflow` opens them."""
    port, said = free_port(), serving.root / "mlflow.log"
    command = [sys.executable, "-m", "logad_pipeline", "mlflow", "--port", str(port)]
    with said.open("wb") as log:
        process = subprocess.Popen(command, env=serving.environment, cwd=serving.root, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, said, 10 * PAGE_SECONDS)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def test_our_links_lead_to_the_day_the_model_and_the_backfill(
    serving: Serving, browser: Chrome, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = DAYS[-1]
    batch = next(iter(serving.lake.scan("scores", [day], ["window_id", "model_version"])))
    window, version = batch.column(0)[0].as_py(), batch.column(1)[0].as_py()
    with mlflow_pages(serving) as mlflow:
        monkeypatch.setenv("LOGAD_SERVING__DAGSTER_URL", serving.url)
        monkeypatch.setenv("LOGAD_SERVING__MLFLOW_URL", mlflow)
        look = look_with(create_app(load_settings(serving.root / "lake")).test_client())
        links = look(f"/triage/window/{day}/{window}").links("http")
        [of_day] = [link for link in links if "partition=" in link]
        [of_model] = [link for link in links if "/versions/" in link]

        browser.get(of_day)
        # Of all days that the page names, the one right above is that which is shown.
        a_day = "string-length(normalize-space(text())) = 10 and starts-with(normalize-space(text()), '20')"
        shown(browser, f"//*[text()='Latest materialization'][preceding::*[{a_day}][1][normalize-space()='{day}']]")
        shown(browser, f"//tr[contains(., 'model_version') and contains(., '{version}')]")
        picture(browser, "link_to_day")

        browser.get(of_model)
        shown(browser, f"//*[normalize-space()='Version {version}']")
        shown(browser, "//*[contains(text(), 'champion')]")
        shown(browser, f"//a[contains(., 'train {DAYS[0]}')]")
        picture(browser, "link_to_model")

    told = serving.logad("backfill", "--from", day, "--to", day, "--judge-only", "--url", serving.url).stderr
    browser.get(next(word for word in told.split() if word.startswith(f"{serving.url}/runs/b/")))
    shown(browser, "//*[text()='Succeeded']")
    shown(browser, f"//*[contains(text(), '{day}')]")
