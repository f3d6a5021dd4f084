"""Two hundred hostile lines in a lake stay text on every page, in the CSV and in the terminal."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from logad_pipeline.lake.alerts import fold_alerts, read_alerts
from logad_pipeline.lake.landing import land
from logad_pipeline.lake.tables import Lake
from logad_pipeline_tests.lake.judged import DAY, judge, prepare
from logad_pipeline_tests.lake.small_models import YEAR, raw_lines, stamped
from logad_pipeline_tests.orchestration.conftest import logad
from logad_pipeline_tests.payloads import OBEYED, PAYLOADS
from logad_pipeline_tests.serving.conftest import MakeApp, own
from logad_pipeline_tests.tiny_model import FOREIGN

from .conftest import BROWSER, Looked, copied

TAGS = {
    "html", "head", "meta", "title", "link", "body", "a", "header", "nav", "form", "input", "label", "button", "main",
    "h1", "h2", "h3", "p", "span", "b", "bdi", "i", "code", "section", "div", "table", "caption", "thead", "tbody",
    "tr", "th", "td", "ol", "ul", "li", "details", "summary", "svg", "rect", "datalist", "option",
}  # fmt: skip
SOURCE = "<img src=x onerror=1>=1+1\u202e.log"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judged day whose every line, and the name of whose file, is a payload."""
    folder = tmp_path_factory.mktemp("hostile")
    lake = Lake(folder / "lake")
    lake.create()
    at = datetime(DAY.year, DAY.month, DAY.day, 10)
    lines = b""
    for payload in PAYLOADS:
        at += timedelta(seconds=1)
        text = payload.replace("\n", " ").encode("utf-8", "surrogatepass")
        lines += f"{at:%b} {at.day:2} {at:%H:%M:%S} web1 app[7]: ".encode() + text + b"\n"
    file = folder / SOURCE
    file.write_bytes(lines)
    land(lake, file, year=YEAR)
    prepare(lake, DAY)
    judge(lake, DAY)
    fold_alerts(lake, DAY)
    return lake.root


@pytest.fixture
def lake(hostile: Path, tmp_path: Path) -> Lake:
    return copied(hostile, tmp_path)


@pytest.fixture
def client(lake: Lake, make_app: MakeApp) -> FlaskClient:
    return make_app().test_client()


def checked(client: FlaskClient, path: str, **query: str) -> Looked:
    """A page, once it was looked at that nothing in it is obeyed."""
    response = client.get(path, query_string=query or None, headers=BROWSER)
    assert response.status_code in (200, 404, 422), response.text
    assert not re.search(OBEYED, response.text)
    page = Looked(response.text)
    assert {tag for tag, _ in page.tags} <= TAGS
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") or name in ("style", "srcdoc") for name in attributes)
        for name in ("href", "src", "action"):
            target = urlsplit(attributes.get(name, ""))
            assert not target.netloc and target.scheme in ("", "data") and (target.scheme == "" or tag == "link")
    return page


def test_every_page_shows_them_and_obeys_none(client: FlaskClient, lake: Lake) -> None:
    board = checked(client, "/")
    alerts = read_alerts(lake, [DAY])
    assert len(alerts) > 20
    assert "<img src=x onerror=1>=1+1⟨U+202E⟩.log" in board.text
    seen = ""
    windows = {row["window_id"] for batch in lake.scan("scores", columns=["window_id"]) for row in batch.to_pylist()}
    for window in sorted(windows):
        seen += checked(client, f"/triage/window/{DAY}/{window}").text
    for payload in ("<script>document.documentElement", "{{ 7*7 }}", "␛[31mred", "=1+1", "${jndi:ldap", "⟨U+202E⟩gnp"):
        assert payload in seen
    for alert in alerts:
        checked(client, "/triage/windows", alert=alert.alert_id)
    print(f"pages: {len(PAYLOADS)} payloads in {len(alerts)} alerts and {len(windows)} windows, none obeyed")


def test_as_words_to_search_for_and_as_whatever_an_address_names(client: FlaskClient) -> None:
    for payload in PAYLOADS:
        words = payload[:200].encode("utf-8", "replace").decode()
        found = checked(client, "/triage/search", q=words)
        assert "Search" in found.text
        for path, name in (("/", "host"), ("/", "from"), ("/triage/windows", "alert"), ("/sign-in", "next")):
            if path != "/sign-in":
                checked(client, path, **{name: words})


def test_as_notes_and_reasons(client: FlaskClient, lake: Lake) -> None:
    window = read_alerts(lake, [DAY])[0].window_ids[0]
    path = f"/triage/window/{DAY}/{window}"
    form = checked(client, path).fields("/triage/feedback")
    for payload in PAYLOADS[::20]:
        note = payload[:2000].encode("utf-8", "replace").decode()
        sent = client.post("/triage/feedback", data=form | {"verdict": "normal", "note": note}, headers=BROWSER)
        assert sent.status_code == 303
        checked(client, path)
    form = checked(client, path).fields("/triage/suppress")
    for payload in PAYLOADS[::40]:
        reason = "because " + payload[:400].encode("utf-8", "replace").decode()
        values = {"until": "2099-01-01", "more": "", "reason": reason}
        assert client.post("/triage/suppress", data=form | values, headers=BROWSER).status_code == 303
        checked(client, "/")


def test_no_cell_of_the_csv_is_a_formula(client: FlaskClient, lake: Lake) -> None:
    response = client.get("/triage/alerts.csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert len(rows) == len(read_alerts(lake, [DAY]))
    print(f"CSV: {len(rows)} rows, none with a formula")
    for row in rows:
        for cell in row.values():
            assert cell.strip()[:1] not in tuple("=+-@\uff1d\t\r")
            assert not re.search(OBEYED, cell)


def test_a_name_that_a_spreadsheet_would_calculate_stays_text_in_the_csv(make_app: MakeApp, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.create()
    names = [f"{sign}SUM(1+1)*cmd|' C'!A0.log" for sign in ("=", "+", "-", "@", "\uff1d", " =")]
    for number, name in enumerate(names):
        messages = raw_lines(20)
        messages[2] = FOREIGN
        file = tmp_path / name
        file.write_text("".join(f"{line}\n" for line in stamped(DAY, messages, f"web{number}")), encoding="utf-8")
        land(lake, file, year=YEAR)
    prepare(lake, DAY)
    judge(lake, DAY)
    fold_alerts(lake, DAY)
    assert {alert.source for alert in read_alerts(lake, [DAY])} == set(names), "or nothing is tried"
    text = make_app().test_client().get("/triage/alerts.csv").text
    assert {row["source"] for row in csv.DictReader(io.StringIO(text))} == {f"'{name}" for name in names}


@pytest.mark.usefixtures("clean")
def test_no_terminal_is_sent_one(lake: Lake) -> None:
    window = read_alerts(lake, [DAY])[0].window_ids[0]
    for command in (["triage", "--top", 1000], ["triage", 1], ["triage", window, "--context", 1000]):
        done = logad(*command, "--lake", lake.root)
        assert done.exit_code == 0, done.output
        assert not re.search(OBEYED, done.output)
    print("terminal: three commands, nothing obeyed")
    assert "␛[31mred" in done.stdout
    assert "<script>" in done.stdout


def test_the_model_explained_them(client: FlaskClient, lake: Lake, make_app: MakeApp) -> None:
    assert own(make_app()).champion.current is not None
    window = read_alerts(lake, [DAY])[0].window_ids[0]
    assert "Detectors" in checked(client, f"/triage/window/{DAY}/{window}").text
