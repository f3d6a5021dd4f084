"""The pages as somebody reads them: the swimlane, the alerts, their windows, the evidence, the search."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from apiflask import APIFlask

from logad_pipeline.lake.alerts import read_alerts
from logad_pipeline.lake.lanes import read_lanes
from logad_pipeline.lake.tables import Lake
from logad_pipeline.lake.triage import read_window
from logad_pipeline_tests.lake.judged import DAY, after, alarms, judge, put_day
from logad_pipeline_tests.lake.rotated import NEWER, OLDER, put_rotated_day
from logad_pipeline_tests.serving.conftest import MakeApp, own
from logad_pipeline_tests.tiny_model import FOREIGN

from .conftest import BROWSER, DAYS, Look, Looked, look_with


def test_the_first_page_lists_the_alerts_and_every_link_of_it_leads_somewhere(
    app: APIFlask, look: Look, lake: Lake
) -> None:
    board = look("/")
    [alert] = read_alerts(lake, DAYS)
    assert "1 alert with 4 open alarms, on 1 host" in board.text
    assert FOREIGN in board.text
    assert f"/triage/windows?from={DAY}&to={after(1)}&alert={alert.alert_id}" in board.links()
    for link in {*board.links(), *(a["href"] for tag, a in board.tags if tag == "link" and a["href"] != "data:,")}:
        assert app.test_client().get(link, headers=BROWSER).status_code == 200, link


def test_the_swimlane_is_that_of_the_table(look: Look, lake: Lake) -> None:
    swimlane = read_lanes(lake, DAYS, by_group=True)
    [lane] = swimlane.lanes
    assert (swimlane.hours, swimlane.spans, lane.name) == (1, 48, "web1.log")
    rows = [row for batch in lake.scan("scores") for row in batch.to_pylist()]
    by_hour: dict[int, list[dict[str, object]]] = {}
    for row in rows:
        by_hour.setdefault((row["first_time"] - swimlane.start) // timedelta(hours=1), []).append(row)
    assert set(lane.cells) == set(by_hour)
    for span, cell in lane.cells.items():
        assert cell.score == max(float(str(row["score"])) for row in by_hour[span])
        assert cell.alarms == sum(bool(row["is_anomaly"]) for row in by_hour[span])
    cells = [a for tag, a in look("/").tags if tag == "a" and "aria-label" in a]
    assert [cell["aria-label"].split(": ")[1].split(",")[0] for cell in cells] == ["2 alarms", "2 alarms"]


@pytest.mark.parametrize(("days", "hours"), [(1, 1), (3, 1), (4, 2), (7, 3), (30, 12), (70, 24), (400, 144)])
def test_however_many_days_the_swimlane_has_72_spans_at_most(days: int, hours: int, lake: Lake) -> None:
    swimlane = read_lanes(lake, [after(-number) for number in range(days)], by_group=True)
    assert swimlane.hours == hours
    assert swimlane.spans <= 72
    assert swimlane.begin(0).date() <= after(1 - days)
    assert swimlane.begin(swimlane.spans).date() > DAY
    assert swimlane.alarms == 2


def test_a_cell_leads_to_its_windows_and_a_window_to_its_evidence_and_raw_lines(
    look: Look, lake: Lake, app: APIFlask
) -> None:
    cell = next(a["href"] for tag, a in look("/").tags if tag == "a" and a.get("aria-label"))
    ranked = look(cell)
    assert "28 windows, the highest score first" in ranked.text
    first, *_ = ranked.links("/triage/window/")
    chosen = first.split("?")[0].rsplit("/", 1)[1]
    assert chosen in alarms(lake, DAY)
    page = look(first)
    row = read_window(lake, DAY, chosen)
    assert row is not None
    evidence = app.test_client().post(
        "/explain", json={"log_seq": raw_window(page), "window_type": "fixed", "size": 5}
    ).get_json()["explained"][0]["evidence"]  # fmt: skip
    assert evidence["summary"] in page.text
    assert evidence["kind"].capitalize() in page.text
    assert all(difference["text"] in page.text for difference in evidence["nearest"]["differences"])
    numbers = [int("".join(c for c in text if c.isdigit())) for text in page.words if text.strip().isdigit()]
    assert {*range(min(row["lines"]) - 5, max(row["lines"]) + 6)} <= set(numbers)
    wide = look(next(link for link in page.links("/triage/window/") if "context=20" in link).split("#")[0])
    assert len(raw_rows(wide)) > len(raw_rows(page)) == 15


def test_a_window_over_two_files_shows_both_and_is_explained(make_app: MakeApp, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.create()
    files = put_rotated_day(lake)
    [odd] = alarms(lake, DAY)
    page = look_with(make_app().test_client())(f"/triage/window/{DAY}/{odd}")
    assert raw_window(page) == files[OLDER][-2:] + files[NEWER][:3]
    raw = page.words[page.words.index("Raw lines") :]
    assert [word for word in raw if word in (OLDER, NEWER)] == [OLDER, NEWER]
    assert page.text.count(FOREIGN) >= 2, "among the raw lines, and among those that are explained"


def test_however_many_neighbours_there_are_no_line_of_the_window_is_left_out(
    look: Look, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"/triage/window/{DAY}/{alarms(lake, DAY)[1]}?context=20"
    whole = look(address)
    assert len(raw_rows(whole)) == 45
    assert "left out to keep this page short" not in whole.text
    for most, shown, context in ((20, 15, "5"), (6, 5, "none")):
        monkeypatch.setattr("logad_pipeline.serving.pages.windows._MOST_LINES", most)
        page = look(address)
        assert raw_window(page) == raw_window(whole)
        assert len(raw_rows(page)) == shown
        assert f"only {context} around each: {45 - shown} more of their neighbours are left out" in page.text


def raw_rows(page: Looked) -> list[dict[str, str]]:
    names = [(tag, a) for tag, a in page.tags if tag in ("table", "tr")]
    start = next(place for place, (tag, a) in enumerate(names) if tag == "table" and a.get("class") == "raw")
    return [a for _, a in names[start + 2 :]]


def raw_window(page: Looked) -> list[str]:
    """The raw lines that are marked as those of the window."""
    place = page.words.index("of the window, ")
    words = page.words[place:]
    return [words[at + 2] for at, word in enumerate(words) if word == "of the window, "]


def test_windows_of_an_alert_are_its_alarms_page_by_page(
    look: Look, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logad_pipeline.serving.pages.windows._A_PAGE", 3)
    monkeypatch.setattr("logad_pipeline.lake.triage._HELD", 0)
    [alert] = read_alerts(lake, DAYS)
    first = look(f"/triage/windows?alert={alert.alert_id}")
    second = look(next(link for link in first.links() if "page=2" in link))
    shown = [link.split("?")[0].rsplit("/", 1)[1] for page in (first, second) for link in page.links("/triage/window/")]
    assert sorted(shown) == sorted(alarms(lake, DAY) + alarms(lake, after(1)))
    assert len(first.links("/triage/window/")) == 3


def test_words_are_found_in_alerts_and_in_raw_lines(look: Look, lake: Lake) -> None:
    found = look("/triage/search?q=KERNEL+panic")
    assert len(found.links("/triage/windows?")) == 1
    assert len(found.links("/triage/window/")) == 4
    number = look("/triage/search?q=10.0.0.3+accepted")
    assert number.links("/triage/window/") and not number.links("/triage/windows?")
    assert "None." in look("/triage/search?q=nowhere+to+be+found").text
    assert "Type a word" in look("/triage/search").text


def test_a_search_that_is_cut_short_says_so(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logad_pipeline.lake.line_search.time.monotonic", iter(range(0, 1000, 10)).__next__)
    assert f"went back to {after(1)}" in look("/triage/search?q=session").text


def test_the_list_as_csv_says_what_the_page_says(app: APIFlask, lake: Lake) -> None:
    response = app.test_client().get("/triage/alerts.csv")
    assert response.content_type == "text/csv; charset=utf-8"
    [row] = csv.DictReader(io.StringIO(response.text))
    [alert] = read_alerts(lake, DAYS)
    assert (row["alert_id"], row["open"], row["line"]) == (alert.alert_id, "4", FOREIGN)


def test_days_and_host_are_chosen_by_the_address_alone(look: Look) -> None:
    assert "1 alert with 2 open alarms" in look(f"/?from={DAY}&to={DAY}").text
    assert "No window here, or none that is not settled" in look("/?host=db9").text
    assert "1 alert with 4 open alarms" in look("/?from=0001-01-01&to=9999-12-31").text
    assert "No day of this range was judged" in look("/?from=1999-01-01&to=1999-02-01").text
    assert "None." in look("/triage/windows?at=2031-01-01T00:00:00Z&hours=8784").text


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/?from=yesterday", 422, "is a day such as 2026-03-01"),
        ("/?from=2025-02-30", 422, "is a day such as"),
        ("/?from=2025-03-09&to=2025-03-08", 422, "swap them"),
        (f"/?host={'x' * 501}", 422, "shorten it"),
        (f"/triage/search?q={'x' * 201}", 422, "shorten it"),
        ("/triage/windows?at=noon", 422, "is a time such as"),
        ("/triage/windows?at=2025-03-08T10:00:00", 422, "is a time such as"),
        ("/triage/windows?at=9999-12-31T23:00:00Z", 422, "is a time such as"),
        ("/triage/windows?hours=-1", 422, "is a whole number"),
        ("/triage/windows?page=1e9", 422, "is a whole number"),
        ("/triage/windows?page=99999", 422, "is a whole number"),
        ("/triage/windows?alert=0123", 404, "choose other days"),
        (f"/triage/window/{DAY}/0123456789abcdef", 404, "no window of that day"),
        ("/triage/window/today/0123456789abcdef", 404, "no window of that day"),
        (f"/triage/window/{DAY}/{'%F0%9F%92%A3' * 30}", 404, "no window of that day"),
        ("/triage/nothing", 404, "nothing is at this path"),
    ],
)
def test_what_cannot_be_shown_is_a_page_for_browsers_and_a_problem_for_others(
    address: str, status: int, words: str, app: APIFlask
) -> None:
    page = app.test_client().get(address, headers=BROWSER)
    assert (page.status_code, page.content_type) == (status, "text/html; charset=utf-8")
    assert words in Looked(page.text).text
    told = app.test_client().get(address)
    assert (told.status_code, told.content_type) == (status, "application/problem+json")
    assert words in told.get_json(force=True)["detail"]


def test_an_address_that_is_no_text_is_none_of_ours(app: APIFlask) -> None:
    client = app.test_client()
    for query in ("host=\xff", "from=%ff", "q=\x00"):
        for path in ("/", "/triage/search", "/triage/windows", "/nothing"):
            answer = client.get(path, headers=BROWSER, environ_overrides={"QUERY_STRING": query})
            assert answer.status_code in (200, 400, 404, 422), (path, query)


def test_a_lake_without_verdicts_and_no_lake_at_all(make_app: MakeApp) -> None:
    app = make_app()
    look = look_with(app.test_client())
    for path in ("/", "/triage/windows", "/triage/search?q=failed"):
        assert "There is no lake here yet" in look(path).text, path
    assert app.test_client().get(f"/triage/window/{DAY}/0123456789abcdef").status_code == 404
    own(app).lake.create()
    assert "No day was judged yet" in look("/").text
    for path in ("/triage/windows", "/triage/search?q=x", "/triage/alerts.csv"):
        assert app.test_client().get(path).status_code == 200


def test_a_window_is_shown_without_a_model_and_says_that_it_is_not_explained(app: APIFlask, lake: Lake) -> None:
    own(app).champion.current = None
    page = look_with(app.test_client())(f"/triage/window/{DAY}/{alarms(lake, DAY)[0]}")
    assert "No model is in service" in page.text
    assert FOREIGN in page.text


def test_raw_lines_that_are_gone_are_said_to_be(look: Look, lake: Lake) -> None:
    for part in lake.path("raw").rglob("*.zst"):
        part.unlink()
    page = look(f"/triage/window/{DAY}/{alarms(lake, DAY)[0]}")
    assert "ingest" in page.text
    assert "Why" in page.text


def test_dagster_and_mlflow_are_linked_where_their_addresses_are_known(make_app: MakeApp, lake: Lake) -> None:
    app = make_app(dagster_url="http://dagster.example:3000/", mlflow_url="https://mlflow.example")
    window = alarms(lake, DAY)[0]
    page = look_with(app.test_client())(f"/triage/window/{DAY}/{window}")
    assert f"http://dagster.example:3000/assets/scores?view=partitions&partition={DAY}" in page.links("http")
    assert "https://mlflow.example/#/models/logad/versions/1" in page.links("http")
    assert not look_with(make_app().test_client())(f"/triage/window/{DAY}/{window}").links("http")
    app = make_app(dagster_url="http://ann:hunter2@dagster.example", mlflow_url="https://ann:hunter2@mlflow.example/x")
    page = look_with(app.test_client())(f"/triage/window/{DAY}/{window}")
    assert {urlsplit(link).netloc for link in page.links("http")} == {"dagster.example", "mlflow.example"}


def test_the_first_page_needs_neither_torch_nor_mlflow(lake: Lake) -> None:
    asked = """
import sys
from pathlib import Path
from logad_pipeline.serving.app import create_app
from logad_pipeline.settings import load_settings
client = create_app(load_settings(Path(sys.argv[1]))).test_client()
for path in ("/", "/triage/windows", "/triage/search?q=panic"):
    assert client.get(path).status_code == 200
print(sorted({"torch", "transformers", "mlflow", "dagster"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", asked, lake.root], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_lane_leads_to_its_cells_each_of_which_the_keyboard_reaches(look: Look, lake: Lake) -> None:
    put_day(lake, after(2))
    judge(lake, after(2))
    board = look("/")
    assert [a["title"].split(": ")[1][:9] for tag, a in board.tags if a.get("tabindex") == "-1" and tag == "a"] == [
        "no alarms"
    ]
    [lane] = {link for link in board.links("/triage/windows") if "host=" in link and "at=" not in link}
    cells = [a for tag, a in look(lane).tags if tag == "a" and "title" in a]
    assert {a["href"] for a in cells} == {a["href"] for tag, a in board.tags if tag == "a" and "title" in a}
    assert not any("tabindex" in a for a in cells)
    assert all(a["aria-label"] == a["title"] for a in cells)


def test_times_of_cells_are_utc(look: Look) -> None:
    cell = next(a["href"] for tag, a in look("/").tags if tag == "a" and a.get("aria-label"))
    assert f"at={datetime(DAY.year, DAY.month, DAY.day, 10):%Y-%m-%dT%H}%3A00%3A00Z&hours=1" in cell
