"""What the buttons change, and who may press them: the person who sees the page, and no other site."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from logad_pipeline.lake.alerts import read_alerts
from logad_pipeline.lake.feedback import feedback_history, read_feedback
from logad_pipeline.lake.suppressions import read_suppressions, suppressions_file
from logad_pipeline.lake.tables import Lake
from logad_pipeline_tests.lake.judged import DAY, after, alarms, judge, put_day
from logad_pipeline_tests.serving.conftest import MakeApp, own
from logad_pipeline_tests.tiny_model import FOREIGN

from .conftest import BROWSER, DAYS, Looked

SAY, QUIET = "/triage/feedback", "/triage/suppress"


def window_page(client: FlaskClient, lake: Lake) -> tuple[str, Looked]:
    window = alarms(lake, DAY)[0]
    path = f"/triage/window/{DAY}/{window}"
    return path, Looked(client.get(path, headers=BROWSER).text)


def send(client: FlaskClient, page: Looked, action: str, **values: str) -> TestResponse:
    return client.post(action, data=page.fields(action) | values, headers=BROWSER | {"Origin": "http://localhost"})


def opened(lake: Lake) -> list[int]:
    return [alert.open for alert in read_alerts(lake, DAYS)]


def test_normal_takes_an_alarm_off_the_list_and_can_be_taken_back(app: APIFlask, lake: Lake) -> None:
    client = app.test_client()
    path, page = window_page(client, lake)
    sent = send(client, page, SAY, verdict="normal", note="the nightly <backup>")
    assert (sent.status_code, sent.headers["Location"]) == (303, path)
    [said] = read_feedback(lake).values()
    assert (said.verdict, said.note, said.window_id) == ("normal", "the nightly <backup>", alarms(lake, DAY)[0])
    assert opened(lake) == [3]
    _, after_it = window_page(client, lake)
    assert "Noted: normal." in after_it.text
    assert "Called normal" in after_it.text
    assert "the nightly <backup>" in after_it.text
    board = client.get("/").text
    assert "1 alert with 3 open alarms" in board
    send(client, after_it, SAY, verdict="withdrawn")
    assert read_feedback(lake) == {}
    assert opened(lake) == [4]
    assert len(feedback_history(lake)) == 2


def test_the_api_takes_an_alarm_off_the_list_as_well(app: APIFlask, lake: Lake) -> None:
    body = {"window_id": alarms(lake, DAY)[0], "verdict": "normal"}
    assert app.test_client().post("/feedback", json=body).status_code == 201
    assert opened(lake) == [3]


@pytest.mark.parametrize(("ends", "left"), [({"until": str(DAY)}, 2), ({"until": "2099-01-01"}, 0), ({"more": "3"}, 1)])
def test_kept_quiet_until_a_day_or_for_so_many_alarms(
    ends: dict[str, str], left: int, app: APIFlask, lake: Lake
) -> None:
    client = app.test_client()
    _, page = window_page(client, lake)
    sent = send(client, page, QUIET, **{"until": "", "more": "", "reason": "the drill"} | ends)
    assert (sent.status_code, sent.headers["Location"]) == (303, f"/?from={DAY}&to={after(1)}")
    [entry] = read_suppressions(lake)
    assert (entry.template, entry.source, entry.reason) == (FOREIGN, "web1.log", "the drill")
    assert (entry.until, entry.more) == (
        date.fromisoformat(ends["until"]) if "until" in ends else None, 3 if "more" in ends else None,
    )  # fmt: skip
    assert opened(lake) == [left]
    board = client.get(sent.headers["Location"]).text
    assert entry.name in board
    assert ("Open alerts" in board) and (f"{left} open alarm" in board or "No open alarm" in board)


def test_an_alert_of_long_ago_is_kept_quiet_from_its_own_page(
    app: APIFlask, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logad_pipeline.serving.pages.changing._MOST_DAYS", 1)
    for number in range(2, 9):
        put_day(lake, after(number))
        judge(lake, after(number))
    client = app.test_client()
    [alert] = read_alerts(lake, DAYS)
    path = f"/triage/windows?from={DAY}&to={after(8)}&alert={alert.alert_id}"
    sent = send(client, Looked(client.get(path, headers=BROWSER).text), QUIET, until="2099-01-01", more="", reason="r")
    assert sent.status_code == 303
    assert [entry.template for entry in read_suppressions(lake)] == [FOREIGN]
    assert [one.open for day in DAYS for one in read_alerts(lake, [day])] == [2, 0]
    assert "Those of its first 1 day stay in the list" in client.get("/", headers=BROWSER).text


def test_a_second_one_gets_another_name_and_may_be_for_every_host(app: APIFlask, lake: Lake) -> None:
    client = app.test_client()
    _, page = window_page(client, lake)
    for everywhere in ("", "1"):
        send(client, page, QUIET, until="2099-01-01", more="", reason="r", everywhere=everywhere)
    first, second = read_suppressions(lake)
    assert first.name != second.name
    assert (first.source, second.source, second.group) == ("web1.log", None, None)


@pytest.mark.parametrize(
    ("action", "values", "status", "words"),
    [
        (SAY, {"verdict": "perhaps"}, 422, "say normal, anomalous"),
        (SAY, {"verdict": "normal", "window_id": "0" * 16}, 404, "no such window"),
        (SAY, {"verdict": "normal", "window_id": "\udcff\x00'"}, 404, "no such window"),
        (SAY, {"verdict": "withdrawn"}, 404, "nothing was said of it"),
        (SAY, {"verdict": "normal", "note": "x" * 2001}, 422, "shorten it"),
        (QUIET, {"reason": "", "more": "1"}, 422, "say why"),
        (QUIET, {"reason": "r", "until": "", "more": ""}, 422, "give an end"),
        (QUIET, {"reason": "r", "more": "0"}, 422, "greater than or equal to 1"),
        (QUIET, {"reason": "r", "more": "many"}, 422, "a whole number"),
        (QUIET, {"reason": "r", "until": "soon"}, 422, "is a day such as"),
        (QUIET, {"reason": "r", "more": "1", "alert_id": "x"}, 404, "load the list again"),
        (QUIET, {"reason": "r", "more": "1", "first": "x", "day": ""}, 404, "load the list again"),
    ],
)
def test_what_a_form_may_not_hold(
    action: str, values: dict[str, str], status: int, words: str, app: APIFlask, lake: Lake
) -> None:
    client = app.test_client()
    _, page = window_page(client, lake)
    values = {name: value.encode("utf-8", "replace").decode() for name, value in values.items()}
    refused = send(client, page, action, **{"until": "", "more": ""} | values if action == QUIET else values)
    assert refused.status_code == status, refused.text
    assert words in Looked(refused.text).text
    assert nothing_changed(lake)


def nothing_changed(lake: Lake) -> bool:
    return not feedback_history(lake) and not suppressions_file(lake).exists() and opened(lake) == [4]


def test_a_damaged_file_of_suppressions_is_told_of_and_nothing_is_half_done(app: APIFlask, lake: Lake) -> None:
    client = app.test_client()
    _, page = window_page(client, lake)
    suppressions_file(lake).write_text("- [", encoding="utf-8")
    for action, values in ((SAY, {"verdict": "normal"}), (QUIET, {"reason": "r", "more": "9"})):
        refused = send(client, page, action, **values)
        assert refused.status_code == 503
        assert "suppressions.yaml: is no YAML" in Looked(refused.text).text
    assert not feedback_history(lake)


FOREIGN_HEADERS = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:9999"},
    {"Origin": "http://localhost.evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Host": "evil.example"},
    {"Host": "evil.example:8000", "Origin": "http://evil.example:8000"},
    {"Host": "[::1"},
]


@pytest.mark.parametrize("headers", FOREIGN_HEADERS, ids=str)
def test_another_site_cannot_press_a_button_nor_use_the_api(headers: dict[str, str], app: APIFlask, lake: Lake) -> None:
    client = app.test_client()
    _, page = window_page(client, lake)
    for action, values in ((SAY, {"verdict": "normal"}), (QUIET, {"reason": "r", "more": "9"})):
        sent = client.post(action, data=page.fields(action) | values, headers=BROWSER | headers)
        assert sent.status_code in (400, 403), sent.text
    body = {"window_id": alarms(lake, DAY)[0], "verdict": "normal"}
    assert client.post("/feedback", json=body, headers=headers).status_code in (400, 403)
    assert nothing_changed(lake)


def test_another_name_that_leads_here_shows_nothing(make_app: MakeApp, lake: Lake) -> None:
    refused = make_app().test_client().get("/", headers={"Host": "evil.example"})
    assert refused.status_code == 403
    assert refused.get_json(force=True)["type"] == "urn:logad:problem:host-unknown"
    behind_a_proxy = make_app(allowed_hosts=["logs.example"]).test_client()
    assert behind_a_proxy.get("/", headers={"Host": "logs.example"}).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "\udcffé"])
def test_a_form_without_the_token_of_its_browser_is_refused(token: str, app: APIFlask, lake: Lake) -> None:
    client, other = app.test_client(), app.test_client()
    _, page = window_page(client, lake)
    token = token.encode("utf-8", "replace").decode()
    values = {"verdict": "normal", "token": token or page.fields(SAY)["token"]}
    assert send(other if not token else client, page, SAY, **values).status_code == 403
    assert client.post(SAY, json=page.fields(SAY) | {"verdict": "normal"}).status_code == 415
    assert client.post(SAY, data=b"\xff=%ff&" * 30, content_type="application/x-www-form-urlencoded").status_code == 422
    assert nothing_changed(lake)


# ---------------------------------------------------------------- keys


def guarded(make_app: MakeApp, *scopes: str) -> tuple[APIFlask, FlaskClient, str]:
    app = make_app(host="0.0.0.0")
    return app, app.test_client(), own(app).keys.create("ann", scopes)


def sign_in(client: FlaskClient, key: str, path: str = "/") -> TestResponse:
    page = Looked(client.get("/sign-in", query_string={"next": path}, headers=BROWSER).text)
    return client.post("/sign-in", data=page.fields("/sign-in") | {"key": key}, headers=BROWSER)


def test_a_browser_is_asked_for_a_key_and_led_on(make_app: MakeApp, lake: Lake) -> None:
    _, client, key = guarded(make_app, "read", "feedback")
    sent = client.get("/?host=web1.log", headers=BROWSER)
    assert (sent.status_code, sent.headers["Location"]) == (303, "/sign-in?next=%2F%3Fhost%3Dweb1.log")
    assert client.get("/").status_code == 401
    entered = sign_in(client, key, "/?host=web1.log")
    assert (entered.status_code, entered.headers["Location"]) == (303, "/?host=web1.log")
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert key.split("_")[2] not in cookie
    assert "open alarms" in client.get("/", headers=BROWSER).text
    _, page = window_page(client, lake)
    assert send(client, page, SAY, verdict="anomalous").status_code == 303
    [said] = read_feedback(lake).values()
    assert (said.author, said.verdict) == ("ann", "anomalous")


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "/\r\nX: 1", "javascript:1"]
)
def test_nobody_is_led_away(path: str, make_app: MakeApp, lake: Lake) -> None:
    _, client, key = guarded(make_app, "read")
    assert sign_in(client, key, path).headers["Location"] == "/"


def test_keys_that_do_not_open_the_pages(make_app: MakeApp, lake: Lake) -> None:
    app, client, key = guarded(make_app, "score")
    assert "scope 'read'" in sign_in(client, key).get_data(as_text=True).replace("&#39;", "'")
    assert "not known" in sign_in(client, key[:-1]).text
    old = own(app).keys.create("old", ["read"], days=1e-9)
    assert "expired" in sign_in(client, old).text
    assert client.get("/", headers=BROWSER).status_code == 303


def test_a_key_that_may_only_read_changes_nothing(make_app: MakeApp, lake: Lake) -> None:
    _, client, key = guarded(make_app, "read")
    sign_in(client, key)
    [alert] = read_alerts(lake, DAYS)
    path, page = window_page(client, lake)
    of_alert = Looked(client.get(f"/triage/windows?alert={alert.alert_id}", headers=BROWSER).text)
    for shown in (page, of_alert):
        assert [a["action"] for tag, a in shown.tags if tag == "form"] == ["/triage/search", "/sign-out"]
        assert "Your key shows these pages and changes nothing." in shown.text
    # Who sends a form all the same, say of a page that was loaded with another key, is told why that is refused.
    sent = page.fields("/sign-out") | {"window_id": path.rsplit("/", 1)[1], "alert_id": alert.alert_id, "day": str(DAY)}
    for action, values in ((SAY, {"verdict": "normal"}), (QUIET, {"reason": "r", "more": "9"})):
        refused = client.post(action, data=sent | values, headers=BROWSER | {"Origin": "http://localhost"})
        assert refused.status_code == 403
        assert "'feedback'" in Looked(refused.text).text
        assert client.post(action, data=sent | values).status_code == 403
    assert nothing_changed(lake)


def test_without_a_key_no_button_works(make_app: MakeApp, lake: Lake) -> None:
    client = make_app(host="0.0.0.0").test_client()
    for action in (SAY, QUIET):
        assert (
            client.post(action, data={"verdict": "normal"}, headers=BROWSER).headers["Location"].startswith("/sign-in")
        )
        assert client.post(action, data={"verdict": "normal"}).status_code == 401
    assert nothing_changed(lake)


def test_signed_out_or_revoked_the_cookie_is_worth_nothing_and_the_api_never_takes_it(
    make_app: MakeApp, lake: Lake
) -> None:
    app, client, key = guarded(make_app, "read", "feedback", "score")
    sign_in(client, key)
    body: dict[str, Any] = {"window_id": alarms(lake, DAY)[0], "verdict": "normal"}
    assert client.get("/models").status_code == client.post("/feedback", json=body).status_code == 401
    page = Looked(client.get("/", headers=BROWSER).text)
    assert "ann" in page.text
    assert client.post("/sign-out", data={"token": "x"}, headers=BROWSER).status_code == 403
    assert client.post("/sign-out", data=page.fields("/sign-out"), headers=BROWSER).status_code == 303
    assert client.get("/", headers=BROWSER).status_code == 303
    sign_in(client, key)
    assert client.get("/", headers=BROWSER).status_code == 200
    own(app).keys.revoke("ann")
    assert client.get("/", headers=BROWSER).status_code == 303


def test_a_page_lets_nothing_in_and_is_not_kept(app: APIFlask) -> None:
    headers = app.test_client().get("/", headers=BROWSER).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; img-src data:;")
    assert "script" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert "HttpOnly" in headers["Set-Cookie"]
