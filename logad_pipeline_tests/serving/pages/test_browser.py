"""The pages in Chromium: clicked through with the mouse and with the keyboard, in both themes and on a phone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from werkzeug.serving import make_server

from logad_pipeline.lake.alerts import read_alerts
from logad_pipeline.lake.comparing import compare_models
from logad_pipeline.lake.feedback import read_feedback
from logad_pipeline.lake.suppressions import read_suppressions
from logad_pipeline.lake.tables import Lake
from logad_pipeline_tests.browser import asked_for, complaints, driven, serious_faults
from logad_pipeline_tests.lake.judged import DAY, after, alarms, judge, put_day
from logad_pipeline_tests.lake.small_models import text_model
from logad_pipeline_tests.serving.conftest import MakeApp, own
from logad_pipeline_tests.tiny_model import FOREIGN

from .conftest import DAYS

if TYPE_CHECKING:
    from apiflask import APIFlask
    from selenium.webdriver import Chrome

_MOST_TABS = 60
_PATIENCE_SECONDS = 60


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    """A browser; when it is given back it must have had nothing to complain of and asked nobody else."""
    with driven(tmp_path / "profile") as made:
        yield made
        assert complaints(made) == []
        # Pages of the browser's own have other schemes.
        asked = [urlsplit(url) for url in asked_for(made)]
        assert {url.hostname for url in asked if url.scheme in ("http", "https", "ws", "wss")} == {"127.0.0.1"}


@pytest.fixture
def address(app: APIFlask) -> Iterator[str]:
    yield from serve(app)


def serve(app: APIFlask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@contextmanager
def leaving(browser: Chrome) -> Iterator[None]:
    """What is done within leads to another page, which is there when it ends; a slow machine is no failure."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.ui import WebDriverWait

    browser.execute_script("window.left = false")
    yield
    arrived = "return document.readyState === 'complete' && window.left === undefined"
    WebDriverWait(browser, _PATIENCE_SECONDS, ignored_exceptions=[WebDriverException]).until(
        lambda there: there.execute_script(arrived), "no other page came"
    )


def click(browser: Chrome, selector: str) -> None:
    with leaving(browser):
        browser.find_element("css selector", selector).click()


def text(browser: Chrome) -> str:
    return str(browser.find_element("tag name", "main").text)


def told_in_the_gate(lake: Lake) -> int:
    return compare_models(lake, [DAY], ("2", text_model()), ("1", text_model()), 0.01).told


def test_from_the_swimlane_to_feedback_that_counts_in_the_next_gate(browser: Chrome, address: str, lake: Lake) -> None:
    assert told_in_the_gate(lake) == 0
    browser.get(address)
    click(browser, ".lanes td.alert a, .lanes td.high a")
    assert "windows, the highest score first" in text(browser)
    click(browser, ".rows li:first-child a")
    shown = text(browser)
    assert "New template" in shown
    assert "Beside the nearest normal window" in shown
    assert browser.find_elements("css selector", ".raw .held")
    assert browser.find_elements("css selector", ".raw tr:not(.held)")
    window = urlsplit(browser.current_url).path.rsplit("/", 1)[1]
    browser.find_element("id", "note").send_keys("<b>the disk</b>")
    click(browser, "button[value=anomalous]")
    assert "Noted: anomalous." in text(browser)
    assert "<b>the disk</b>" in text(browser)
    assert {key: said.verdict for key, said in read_feedback(lake).items()} == {window: "anomalous"}
    assert told_in_the_gate(lake) == 1
    click(browser, "button[value=normal]")
    assert "Noted: normal." in text(browser)
    browser.get(address)
    assert "1 alert with 3 open alarms" in text(browser)


def test_a_suppressed_alert_leaves_the_list(browser: Chrome, address: str, lake: Lake) -> None:
    browser.get(address)
    click(browser, ".rows a")
    browser.find_element("id", "reason").send_keys("the drill")
    click(browser, ".act button")
    assert "keeps these alarms quiet" in text(browser)
    assert "No open alarm" in text(browser)
    [entry] = read_suppressions(lake)
    assert (entry.template, entry.reason) == (FOREIGN, "the drill")
    assert [alert.open for alert in read_alerts(lake, DAYS)] == [0]


def test_search_finds_raw_lines(browser: Chrome, address: str) -> None:
    browser.get(address)
    browser.find_element("id", "q").send_keys("not syncing")
    click(browser, ".find button")
    assert FOREIGN in text(browser)
    click(browser, ".hits ~ a, .rows li a[href*='/triage/window/']")
    assert "Raw lines" in text(browser)


def test_with_the_keyboard_alone(browser: Chrome, address: str, lake: Lake) -> None:
    from selenium.webdriver.common.keys import Keys

    def press(*keys: str) -> None:
        browser.switch_to.active_element.send_keys(*keys)

    def tab_to(selector: str) -> None:
        for _ in range(_MOST_TABS):
            press(Keys.TAB)
            focused = browser.switch_to.active_element
            if focused in browser.find_elements("css selector", selector):
                assert focused.is_displayed()
                assert browser.execute_script("return getComputedStyle(arguments[0]).outlineStyle", focused) != "none"
                return
        raise AssertionError(f"{_MOST_TABS} tabs do not lead to {selector}")

    put_day(lake, after(2))
    judge(lake, after(2))
    browser.get(address)
    press(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"
    press(Keys.ENTER)
    tab_to(".lanes th a")
    with leaving(browser):
        press(Keys.ENTER)
    tab_to(".path a[href='#cells']")
    press(Keys.ENTER)
    tab_to(".lanes td[class^=quiet] a")
    with leaving(browser):
        press(Keys.ENTER)
    assert "windows, the highest score first" in text(browser)
    browser.get(address)
    for selector in (".lanes td a", ".rows a", "button[value=normal]"):
        tab_to(selector)
        with leaving(browser):
            press(Keys.ENTER)
    assert "Noted: normal." in text(browser)
    assert len(read_feedback(lake)) == 1


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (360, "light"), (360, "dark")], ids=str)
def test_axe_finds_no_serious_fault_and_nothing_runs_out_of_the_page(
    width: int, scheme: str, browser: Chrome, address: str, lake: Lake
) -> None:
    [alert] = read_alerts(lake, DAYS)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": scheme}]})  # fmt: skip
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500})  # fmt: skip
    for path in (
        "/", f"/triage/windows?alert={alert.alert_id}", "/triage/windows",
        "/triage/windows?host=web1.log", f"/triage/window/{DAY}/{alarms(lake, DAY)[0]}",
        "/triage/search?q=panic", "/?from=1999-01-01&to=1999-01-01",
    ):  # fmt: skip
        browser.get(address + path)
        browser.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert serious_faults(browser) == [], path
        assert browser.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches") is (scheme == "dark")
        scrolls, inner = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert scrolls <= inner == width, path


def test_signing_in_with_a_key(browser: Chrome, make_app: MakeApp, lake: Lake) -> None:
    app = make_app(require_keys=True)
    key, only_read = (own(app).keys.create(*of) for of in (("ann", ["read", "feedback"]), ("bob", ["read"])))
    for address in serve(app):
        browser.get(f"{address}/triage/windows")
        assert "Sign in" in text(browser)
        assert serious_faults(browser) == []
        browser.find_element("id", "key").send_keys(key)
        click(browser, ".act button")
        assert urlsplit(browser.current_url).path == "/triage/windows"
        click(browser, ".rows a")
        click(browser, "button[value=anomalous]")
        assert "by ann" in text(browser)
        window = browser.current_url
        click(browser, ".leave button")
        assert "Sign in" in text(browser)
        browser.find_element("id", "key").send_keys(only_read)
        click(browser, ".act button")
        browser.get(window)
        assert "Your key shows these pages and changes nothing" in text(browser)
        assert "by ann" in text(browser)
        assert browser.find_elements("css selector", "main button, main input") == []
        assert serious_faults(browser) == []
    assert [said.author for said in read_feedback(lake).values()] == ["ann"]
