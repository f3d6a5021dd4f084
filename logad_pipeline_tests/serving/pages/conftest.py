"""A lake with alarms behind the pages, and what a page says once it is read.

Belongs here: what tests of the pages share. No test stands here.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from logad_pipeline.lake.alerts import fold_alerts
from logad_pipeline.lake.tables import Lake
from logad_pipeline_tests.lake.judged import DAY, after, judge, put_day
from logad_pipeline_tests.serving.conftest import MakeApp

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
DAYS = (DAY, after(1))
_VOID = {"meta", "link", "input", "option"}


class Looked(HTMLParser):
    """The tags, attributes, links and text of a page, whose tags must nest."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def links(self, beginning: str = "/") -> list[str]:
        return [a["href"] for tag, a in self.tags if tag == "a" and a["href"].startswith(beginning)]

    def fields(self, action: str) -> dict[str, str]:
        """What the hidden fields of forms with that action hold."""
        out: dict[str, str] = {}
        inside = False
        for tag, a in self.tags:
            if tag == "form":
                inside = a["action"] == action
            elif inside and tag == "input" and a.get("type") == "hidden":
                out[a["name"]] = a["value"]
        return out


Look = Callable[[str], Looked]


@pytest.fixture(scope="session")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of two days of one host, with two alarms about one line on each; it is only read."""
    lake = Lake(tmp_path_factory.mktemp("alarmed") / "lake")
    lake.create()
    for day in DAYS:
        put_day(lake, day, foreign=(12, 52), lines=140)
        judge(lake, day)
        fold_alerts(lake, day)
    return lake.root


@pytest.fixture
def lake(two_days: Path, tmp_path: Path) -> Lake:
    """A copy of it, where `make_app` looks for its lake."""
    return copied(two_days, tmp_path)


def copied(root: Path, folder: Path) -> Lake:
    """A copy of a lake, to be written to."""
    return Lake(Path(shutil.copytree(root, folder / "lake")))


@pytest.fixture
def app(lake: Lake, make_app: MakeApp) -> APIFlask:
    return make_app()


@pytest.fixture
def look(app: APIFlask) -> Look:
    """Open a page as a browser does."""
    return look_with(app.test_client())


def look_with(client: FlaskClient) -> Look:
    def look(path: str) -> Looked:
        response = client.get(path, headers=BROWSER)
        assert response.status_code == 200, response.text
        assert response.content_type == "text/html; charset=utf-8"
        return Looked(response.text)

    return look
