"""The API as its callers meet it: verdicts, what is refused and how, keys, and what is logged and measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from pydantic import BaseModel, ValidationError
from werkzeug.test import TestResponse

from logad_pipeline.serving.app import create_app
from logad_pipeline.serving.explain import ExplainRequest
from logad_pipeline.serving.feedback import FeedbackRequest
from logad_pipeline.serving.keys import key_file
from logad_pipeline.serving.open_inference import InferRequest
from logad_pipeline.serving.rate_limit import RateLimit
from logad_pipeline.serving.schemas import BatchRequest, NamedSequence, ScoreRequest
from logad_pipeline.settings import ServingSettings
from logad_pipeline_tests.lake.small_models import raw_lines
from logad_pipeline_tests.serving.conftest import MakeApp, own, settings_of
from logad_pipeline_tests.tiny_model import FOREIGN

OPEN = {
    "/docs", "/openapi.json", "/health/live", "/health/ready", "/v2", "/v2/health/live", "/v2/health/ready",
    "/sign-in", "/sign-out", "/triage/<name>.css",
}  # fmt: skip
"""What anybody may ask for without a key."""


def problem(response: TestResponse, status: int, reason: str) -> dict[str, Any]:
    """The problem in a response, which must be of this status and kind."""
    body: dict[str, Any] = response.get_json(force=True)
    assert response.status_code == status, body
    assert response.content_type == "application/problem+json"
    assert body["type"] == f"urn:logad:problem:{reason}"
    assert body["status"] == status
    assert body["instance"] == f"urn:logad:request:{response.headers['X-Request-Id']}"
    return body


# ---------------------------------------------------------------- verdicts


def test_the_request_of_the_specification_gets_its_answer(client: FlaskClient) -> None:
    answer = client.post("/score_log", json={"log_seq": ["login failed from 1.1.1.1", "sudo reboot"]}).get_json()
    assert 0 <= answer["score"] < 1
    assert answer["is_anomaly"] is (answer["score"] >= answer["threshold"] == 0.5)
    assert [window["lines"] for window in answer["windows"]] == [[1, 2]]


def test_an_odd_line_is_an_anomaly_and_the_answer_points_at_it(client: FlaskClient) -> None:
    lines = raw_lines(10)
    lines[7] = FOREIGN
    answer = client.post("/score_log", json={"log_seq": lines}).get_json()
    worst = max(answer["windows"], key=lambda window: window["score"])
    assert (answer["is_anomaly"], answer["score"], worst["lines"]) == (True, worst["score"], [6, 7, 8, 9, 10])
    assert answer["reasons"] == worst["reasons"]
    assert 8 in {reason["line"] for reason in answer["reasons"]}
    usual = client.post("/score_log", json={"log_seq": raw_lines(10)}).get_json()
    assert (usual["is_anomaly"], usual["reasons"]) == (False, [])


def test_windows_are_cut_as_the_caller_wishes(client: FlaskClient) -> None:
    body = {"log_seq": raw_lines(8), "window_type": "sliding", "size": 4, "stride": 2, "group_by": "none"}
    windows = client.post("/score_log", json=body).get_json()["windows"]
    assert [window["lines"] for window in windows] == [[1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 8]]


def test_a_batch_is_answered_in_its_order_and_as_if_each_came_alone(client: FlaskClient) -> None:
    sequences = [raw_lines(7), [FOREIGN, "usual"], raw_lines(3)]
    asked = [{"id": f"s{i}", "log_seq": lines} for i, lines in enumerate(sequences)]
    results = client.post("/score_batch", json={"sequences": asked}).get_json()["results"]
    alone = [client.post("/score_log", json={"log_seq": lines}).get_json() for lines in sequences]
    assert [result["id"] for result in results] == ["s0", "s1", "s2"]
    for result, one in zip(results, alone, strict=True):
        assert [window["lines"] for window in result["windows"]] == [window["lines"] for window in one["windows"]]
        assert result["score"] == pytest.approx(one["score"], abs=1e-9)
        assert [reason["detector"] for reason in result["reasons"]] == [
            reason["detector"] for reason in one["reasons"]
        ]


def test_a_stream_is_answered_line_by_line_and_goes_on_after_a_bad_one(client: FlaskClient) -> None:
    good = json.dumps({"id": "a", "log_seq": raw_lines(5)})
    body = "\n".join([good, "{]", json.dumps({"id": "b", "log_seq": [7]}), "", good]) + "\n"
    response = client.post("/score_batch", data=body, content_type="application/x-ndjson")
    rows = [json.loads(line) for line in response.text.splitlines()]
    assert response.content_type == "application/x-ndjson"
    assert [row.get("problem", {}).get("status") for row in rows] == [None, 400, 422, None]
    assert rows[0] == rows[3]
    assert rows[0]["id"] == "a"


def test_an_explanation_says_what_was_expected(client: FlaskClient) -> None:
    lines = raw_lines(5)
    lines[2] = FOREIGN
    answer = client.post("/explain", json={"log_seq": lines}).get_json()
    [explained] = answer["explained"]
    assert explained["score"] == answer["score"]
    assert FOREIGN in explained["evidence"]["summary"]


def test_repeated_windows_are_read_once(app: APIFlask) -> None:
    client = app.test_client()
    for _ in range(3):
        client.post("/score_log", json={"log_seq": raw_lines(5)})
    measured = client.get("/metrics").text
    assert "logad_cache_hits_total 2.0" in measured
    assert "logad_cache_misses_total 1.0" in measured
    assert "logad_windows_total 3.0" in measured


def test_the_open_inference_protocol_gives_the_same_scores(client: FlaskClient) -> None:
    lines = [*raw_lines(5), FOREIGN, *raw_lines(4)]
    alone = [client.post("/score_log", json={"log_seq": part}).get_json()["score"] for part in (lines[:5], lines[5:])]
    tensor = {"name": "log_seq", "shape": [2, 5], "datatype": "BYTES", "data": lines}
    answer = client.post("/v2/models/small/infer", json={"id": "7", "inputs": [tensor]}).get_json()
    assert (answer["id"], answer["model_name"]) == ("7", "small")
    scores = {output["name"]: output["data"] for output in answer["outputs"]}["score"]
    assert scores == pytest.approx(alone, abs=1e-9)
    assert client.get("/v2/models/small").get_json()["inputs"][0]["name"] == "log_seq"
    assert client.get("/v2/models/small/ready").get_json()["ready"] is True
    problem(client.post("/v2/models/other/infer", json={"inputs": [tensor]}), 404, "no-such-model")


def test_without_a_model_it_is_alive_and_not_ready(tmp_path: Path) -> None:
    app = create_app(settings_of(tmp_path))
    own(app).champion.refresh()
    client = app.test_client()
    assert client.get("/health/live").status_code == 200
    assert "logad init" in problem(client.get("/health/ready"), 503, "no-model")["detail"]
    problem(client.get("/v2/health/ready"), 503, "no-model")
    problem(client.post("/score_log", json={"log_seq": ["a"]}), 503, "no-model")


def test_the_page_to_try_it_needs_no_other_host(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert "<textarea" in page.text
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page.text)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "not-json"),
        (b"login failed", 400, "not-json"),
        (b'{"log_seq": ["a"', 400, "not-json"),
        (b'{"log_seq": ["\xff"]}', 400, "not-json"),
        (b'{"log_seq": ["a\x00b"]}', 400, "not-json"),
        (b'{"log_seq": [NaN]}', 400, "not-json"),
        (b"[" * 200_000, 400, "not-json"),
        (b'{"a":' * 100_000, 400, "not-json"),
        (b"[]", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"log_seq": "a line"}', 422, "invalid"),
        (b'{"log_seq": []}', 422, "invalid"),
        (b'{"log_seq": [1, 2]}', 422, "invalid"),
        (b'{"log_seq": ["a"], "size": "10"}', 422, "invalid"),
        (b'{"log_seq": ["a"], "size": 0}', 422, "invalid"),
        (b'{"log_seq": ["a"], "windows": 3}', 422, "invalid"),
        (b'{"log_seq": ["a"], "group_by": "(x+x+)+y"}', 422, "invalid"),
        (b'{"log_seq": ["a"], "size": 3, "stride": 4}', 422, "invalid-windows"),
        (b'{"log_seq": ["a"], "window_type": "session"}', 422, "invalid-windows"),
        (b'{"log_seq": ["a", "b\\u0000"]}', 422, "nul-character"),
        (b'{"log_seq": ["", "  "]}', 422, "no-log-line"),
        (b'{"log_seq": ["' + b"x" * 70_000 + b'"]}', 422, "line-too-long"),
        (b'{"log_seq": ["' + b"x" * 10_000_000 + b'"]}', 413, "body-too-large"),
        (b'{"log_seq": [' + b'"a",' * 1_000_000 + b'"a"]}', 413, "too-many-lines"),
        (b'{"log_seq": [' + b"1," * 1_000_000 + b"1]}", 422, "invalid"),
        (b'{"log_seq": [' + b'"a",' * 9_999 + b'"a"], "window_type": "sliding", "size": 400}', 422, "too-much-work"),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_a_hostile_body_is_refused_and_the_service_goes_on(
    body: bytes, status: int, reason: str, client: FlaskClient
) -> None:
    problem(client.post("/score_log", data=body, content_type="application/json"), status, reason)
    assert client.post("/score_log", json={"log_seq": raw_lines(2)}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (path, body, status)
        for path in ("/score_batch", "/explain", "/feedback", "/v2/models/small/infer")
        for body, status in (
            (b"", 400),
            (b"login failed", 400),
            (b'{"a": "\xff"}', 400),
            (b"[" * 200_000, 400),
            (b"null", 422),
            (b"[1]", 422),
            (b"{}", 422),
            (b'{"' + b"x" * 10_000_000 + b'": 1}', 413),
            (b'{"' + b"x" * 1_000_000 + b'": 1}', 422),
            (b"{" + b",".join(b'"%d":1' % at for at in range(100_000)) + b"}", 422),
        )
    ]
    + [
        ("/score_batch", b'{"sequences": [{"log_seq": ["a", "b\\u0000"]}]}', 422),
        ("/score_batch", b'{"sequences": [' + b'{"log_seq": ["a"]},' * 2000 + b'{"log_seq": ["a"]}]}', 413),
        ("/score_batch", b'{"sequences": [' + b"1," * 1_000_000 + b"1]}", 422),
        ("/explain", b'{"log_seq": ["a\\u0000"]}', 422),
        ("/explain", b'{"log_seq": ["a"], "top": 11}', 422),
        ("/explain", b'{"log_seq": [' + b'"a",' * 1_000_000 + b'"a"]}', 413),
        ("/feedback", b'{"window_id": "../../etc/passwd", "verdict": "normal"}', 422),
        ("/feedback", b'{"window_id": "feedfacefeedface", "verdict": "perhaps"}', 422),
        ("/feedback", b'{"window_id": "feedfacefeedface", "verdict": "normal", "note": "' + b"x" * 3000 + b'"}', 422),
        ("/v2/models/small/infer", b'{"inputs": []}', 422),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_a_hostile_body_is_refused_at_every_door(path: str, body: bytes, status: int, client: FlaskClient) -> None:
    response = client.post(path, data=body, content_type="application/json")
    assert (response.status_code, response.content_type) == (status, "application/problem+json"), response.text
    assert len(response.data) < 10_000
    assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    ("field", "bomb"),
    [
        ("data", [1] * 100_000),
        ("data", [[1]] * 100_000),
        ("data", ["a", *[["b"]] * 100_000]),
        ("shape", ["a"] * 100_000),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value[:2]),
)
def test_a_tensor_of_wrong_values_is_refused_at_the_first(field: str, bomb: list[Any], client: FlaskClient) -> None:
    tensor = {"name": "log_seq", "shape": [1], "datatype": "BYTES", "data": ["a"]} | {field: bomb}
    body = {"inputs": [tensor]}
    with pytest.raises(ValidationError) as refused:
        InferRequest.model_validate(body)
    assert refused.value.error_count() < 10
    problem(client.post("/v2/models/small/infer", json=body), 422, "invalid")


@pytest.mark.parametrize("kind", [ScoreRequest, NamedSequence, BatchRequest, ExplainRequest, FeedbackRequest,
                                  InferRequest])  # fmt: skip
def test_a_million_fields_are_not_a_million_errors(kind: type[BaseModel]) -> None:
    with pytest.raises(ValidationError) as refused:
        kind.model_validate({str(number): 1 for number in range(100_000)})
    assert refused.value.error_count() == 1


def test_what_is_wrong_is_pointed_at(client: FlaskClient) -> None:
    body = problem(client.post("/score_log", json={"log_seq": ["a", 7]}), 422, "invalid")
    assert body["errors"][0]["pointer"] == "#/log_seq/1"
    body = problem(client.post("/score_log", json={"log_seq": ["a", "b\0"]}), 422, "nul-character")
    assert body["errors"][0]["pointer"] == "#/log_seq/1"


def test_paths_and_methods_that_are_none_are_problems_too(client: FlaskClient) -> None:
    problem(client.get("/nothing"), 404, "not-found")
    refused = client.get("/score_log")
    problem(refused, 405, "method-not-allowed")
    assert "POST" in refused.headers["Allow"]


def test_a_body_that_is_cut_off_is_told_from_a_whole_one(client: FlaskClient) -> None:
    cut = client.post("/score_log", data=b'{"log', environ_overrides={"CONTENT_LENGTH": "500"})
    problem(cut, 400, "cut-off")


def test_a_failure_of_our_own_is_a_problem_that_tells_nothing_of_the_lines(
    app: APIFlask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret line")

    monkeypatch.setattr("logad_pipeline.serving.score.judge_alone", broken)
    body = problem(app.test_client().post("/score_log", json={"log_seq": ["a"]}), 500, "failed")
    assert "secret" not in json.dumps(body)


# ---------------------------------------------------------------- keys


def test_keys_are_needed_beyond_loopback_only() -> None:
    needed = {host: ServingSettings(host=host).needs_keys() for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0")}
    assert needed == {"127.0.0.1": False, "::1": False, "localhost": False, "0.0.0.0": True}
    assert ServingSettings(host="127.0.0.1", require_keys=True).needs_keys()


def test_a_key_opens_what_its_scopes_say(make_app: MakeApp) -> None:
    app = make_app(host="0.0.0.0")
    client, keys = app.test_client(), own(app).keys
    key = keys.create("robot", ["score"])
    asked: dict[str, Any] = {"json": {"log_seq": raw_lines(2)}}
    problem(client.post("/score_log", **asked), 401, "key-missing")
    for wrong in ("logad", "nonsense", key[:-1], key.replace("logad_", "other_"), "logad_00000000_" + key[15:]):
        refused = client.post("/score_log", **asked, headers={"Authorization": f"Bearer {wrong}"})
        problem(refused, 401, "key-wrong")
        assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert client.post("/score_log", **asked, headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert client.post("/score_log", **asked, headers={"X-API-Key": key}).status_code == 200
    problem(client.get("/models", headers={"X-API-Key": key}), 403, "scope-missing")
    keys.revoke("robot")
    problem(client.post("/score_log", **asked, headers={"X-API-Key": key}), 401, "key-wrong")


def test_whatever_has_no_key_is_open_on_purpose(make_app: MakeApp) -> None:
    app = make_app(host="0.0.0.0")
    client = app.test_client()
    open_to_all = set()
    for rule in app.url_map.iter_rules():
        path = re.sub("<[^>]+>", "x", rule.rule)
        method = "POST" if "POST" in (rule.methods or ()) else "GET"
        if client.open(path, method=method).status_code != 401:
            open_to_all.add(rule.rule)
    assert open_to_all == OPEN


def test_a_key_is_kept_as_a_hash_and_may_expire(tmp_path: Path) -> None:
    keys = key_file(tmp_path)
    presented = keys.create("a", ["score", "read"], requests_per_minute=7, days=1e-9)
    secret = presented.split("_", 2)[2]
    assert secret not in keys.file.read_text()
    assert keys.file.stat().st_mode & 0o077 == 0
    [kept] = keys.all()
    assert (kept.name, kept.scopes, kept.requests_per_minute) == ("a", ("score", "read"), 7)
    found = keys.find(presented)
    assert found is not None
    from datetime import UTC, datetime

    assert found.expired(datetime.now(UTC))
    with pytest.raises(ValueError, match="'a' is there already"):
        keys.create("a", ["score"])
    with pytest.raises(ValueError, match="scope sudo"):
        keys.create("b", ["sudo"])


def test_a_rate_limit_lets_a_burst_through_and_then_its_rate() -> None:
    now = [0.0]
    limit = RateLimit(lambda: now[0])
    assert [limit.wait("a", 60) for _ in range(6)] == [0.0] * 6
    assert limit.wait("a", 60) == pytest.approx(1.0)
    assert limit.wait("b", 60) == 0.0
    now[0] = 1.0
    assert limit.wait("a", 60) == 0.0
    assert limit.wait("a", 60) > 0


def test_who_asks_too_often_is_told_when_to_come_back(make_app: MakeApp) -> None:
    app = make_app(require_keys=True)
    client = app.test_client()
    key = own(app).keys.create("busy", ["read"], requests_per_minute=1)
    answers = [client.get("/models", headers={"X-API-Key": key}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    problem(answers[-1], 429, "too-many-requests")
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_each_sequence_of_a_request_counts(make_app: MakeApp) -> None:
    app = make_app(require_keys=True)
    client = app.test_client()
    batch = {"sequences": [{"log_seq": ["a"]}] * 8}
    tensor = {"name": "log_seq", "shape": [8, 1], "datatype": "BYTES", "data": ["a"] * 8}
    stream = "".join(json.dumps(one) + "\n" for one in batch["sequences"])
    for number, (path, asked) in enumerate(
        (
            ("/score_batch", {"json": batch}),
            ("/score_batch", {"data": stream, "content_type": "application/x-ndjson"}),
            ("/v2/models/small/infer", {"json": {"inputs": [tensor]}}),
        )
    ):
        key = own(app).keys.create(f"busy{number}", ["score"], requests_per_minute=1)
        answer = client.post(path, headers={"X-API-Key": key}, **asked)  # type: ignore[arg-type]
        assert (answer.status_code, answer.data.count(b"problem")) == (200, 0)
        refused = client.post("/score_log", json={"log_seq": ["a"]}, headers={"X-API-Key": key})
        problem(refused, 429, "too-many-requests")
        # Eight of five tokens: three are owed, and one is wanted.
        assert int(refused.headers["Retry-After"]) == pytest.approx(4 * 60, abs=2)


# ---------------------------------------------------------------- what is logged and measured


def test_a_request_is_logged_by_its_name_without_a_word_of_its_lines(make_app: MakeApp, json_logs: Path) -> None:
    client = make_app().test_client()
    client.post("/score_log", json={"log_seq": ["password hunter2 for root", FOREIGN]}, headers={"X-Request-Id": "r-1"})
    client.post("/score_log", json={"log_seq": ["hunter2\0"]}, headers={"X-Request-Id": "no\tplain name"})
    client.get("/hunter2")
    rows = [json.loads(line) for line in json_logs.read_text().splitlines()]
    asked = [row for row in rows if row["event"] == "request"]
    assert "hunter2" not in json_logs.read_text()
    assert [(row["route"], row["status"]) for row in asked] == [("/score_log", 200), ("/score_log", 422), ("none", 404)]
    assert asked[0]["request_id"] == "r-1"
    assert re.fullmatch("[0-9a-f]{32}", asked[1]["request_id"])
    assert asked[1]["rejected"] == "nul-character"


def test_what_a_caller_makes_up_is_no_name_of_a_measure(client: FlaskClient, json_logs: Path) -> None:
    for number in range(3):
        client.open("/score_log", method=f"SECRET{number}")
    measured = client.get("/metrics").text
    assert 'logad_requests_total{endpoint="none",method="other",status="405"} 3.0' in measured
    assert "SECRET" not in measured + json_logs.read_text()


def test_measures_tell_requests_refusals_and_the_model(client: FlaskClient) -> None:
    client.post("/score_log", json={"log_seq": raw_lines(5)})
    client.post("/score_log", data="x")
    measured = client.get("/metrics").text
    assert 'logad_requests_total{endpoint="/score_log",method="POST",status="200"} 1.0' in measured
    assert 'logad_rejected_total{reason="not-json"} 1.0' in measured
    assert 'logad_request_seconds_count{endpoint="/score_log"} 2.0' in measured
    assert re.search(r'logad_model_info\{content="[0-9a-f]{12}",name="small"', measured)
    assert "logad_ready 1.0" in measured
