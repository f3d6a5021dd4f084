"""Words of a language model: what leaves, what is believed, and what stands in its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.explanation.evidence import Evidence, ShownWindow
from logad_pipeline.explanation.explainer import Explainer
from logad_pipeline.explanation.language_model import INSTRUCTIONS, MAX_ANSWER_BYTES, LanguageModel, own_words
from logad_pipeline_tests.explanation.injections import INJECTIONS, OBEDIENT
from logad_pipeline_tests.explanation.planted import planted
from logad_pipeline_tests.explanation.stub_endpoint import GOOD, Stub, completion, stub_endpoint
from logad_pipeline_tests.tiny_model import FOREIGN, cycle_lines

pytest.importorskip("openai")


@pytest.fixture
def stub() -> Iterator[Stub]:
    with stub_endpoint() as made:
        yield made


@pytest.fixture(scope="module")
def evidence(model: AnomalyDetector) -> Evidence:
    shown = ShownWindow((*cycle_lines(4), FOREIGN), {"surprise": 0.9, "counts": 0.2})
    return Explainer(model).explain([shown])[0]


def asked(stub: Stub, timeout_s: float = 5.0) -> LanguageModel:
    return LanguageModel(stub.url, "stub", "a key", timeout_s)


MESSAGES = [*cycle_lines(4), FOREIGN]


def test_a_good_answer_is_shown_as_what_it_is(stub: Stub, evidence: Evidence) -> None:
    told = asked(stub).explain(evidence, MESSAGES)
    assert (told.by, told.words.summary) == ("language model", GOOD["summary"])
    assert "may be wrong" in told.note
    assert stub.headers[0]["authorization"] == "Bearer a key"
    assert stub.requests[0]["response_format"]["json_schema"]["strict"] is True


@pytest.mark.parametrize("answer", OBEDIENT, ids=lambda answer: str(answer)[:30])
def test_an_answer_that_obeys_a_line_or_breaks_the_schema_is_replaced_and_it_is_said(
    stub: Stub, evidence: Evidence, answer: object
) -> None:
    stub.answer = lambda request: (200, completion(answer))
    told = asked(stub).explain(evidence, MESSAGES)
    assert told.by == "evidence"
    assert told.words == own_words(evidence)
    assert told.note.startswith("no usable answer of the language model: it ")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, b"{}", "status 500"),
        (401, b'{"error": {"message": "no key"}}', "status 401"),
        (429, b"slow down", "status 429"),
        (200, b"<html>not an endpoint</html>", "no chat completion"),
        (200, b'{"choices": []}', "no chat completion"),
        (200, b"[" * 100_000, "no chat completion"),
        (200, completion(None, refusal="I cannot help with that"), "refused"),
        (200, completion(GOOD, finish_reason="length"), "broke off"),
        (200, completion(GOOD, finish_reason="content_filter"), "broke off"),
        (200, completion({**GOOD, "summary": INSTRUCTIONS[:300]}), ""),
        (200, b" " * (MAX_ANSWER_BYTES + 1), "longer than"),
    ],
)
def test_whatever_goes_wrong_the_deterministic_words_stand(
    stub: Stub, evidence: Evidence, status: int, body: bytes, said: str
) -> None:
    stub.answer = lambda request: (status, body)
    told = asked(stub).explain(evidence, MESSAGES)
    assert (told.by, told.words) == ("evidence", own_words(evidence))
    assert said in told.note
    assert len(stub.requests) == 1


def test_a_late_answer_and_one_that_drips_are_not_waited_for(stub: Stub, evidence: Evidence) -> None:
    stub.delay = 1.0
    assert "took longer than 0.3 s" in asked(stub, 0.3).explain(evidence, MESSAGES).note
    stub.delay, stub.drip = 0.0, 0.05
    assert "took longer than 0.3 s" in asked(stub, 0.3).explain(evidence, MESSAGES).note


def test_an_answer_that_stops_half_way_is_not_waited_for(stub: Stub, evidence: Evidence) -> None:
    stub.stall = 1.0
    assert "took longer than 0.3 s" in asked(stub, 0.3).explain(evidence, MESSAGES).note
    stub.stall, stub.cut = 0.0, True
    told = asked(stub).explain(evidence, MESSAGES)
    assert (told.by, told.words) == ("evidence", own_words(evidence))
    assert "could not be asked" in told.note


@pytest.mark.parametrize("url", ["", "no url", "ftp://127.0.0.1/v1", "http://127.0.0.1:99999/v1"])
def test_a_url_that_is_none_is_told(evidence: Evidence, url: str) -> None:
    told = LanguageModel(url or "http://", "stub", timeout_s=2.0).explain(evidence, MESSAGES)
    assert told.by == "evidence" and told.note.startswith("no usable answer")


def test_nobody_there(evidence: Evidence) -> None:
    told = LanguageModel("http://127.0.0.1:9/v1", "stub", timeout_s=2.0).explain(evidence, MESSAGES)
    assert (told.by, told.words) == ("evidence", own_words(evidence))
    assert "could not be asked" in told.note


def test_injected_text_stays_data_within_its_fence(stub: Stub, evidence: Evidence) -> None:
    assert len(INJECTIONS) == 100
    language_model = asked(stub)
    for injection in INJECTIONS:
        language_model.explain(evidence, [*MESSAGES[:4], injection])
        request = stub.requests[-1]
        system, user = request["messages"]
        assert (system["role"], system["content"]) == ("system", INSTRUCTIONS)
        first, data, last = user["content"].split("\n")
        assert first.startswith("<data ") and last == f"</{first[1:]}"
        assert "<" not in data and ">" not in data and data.isascii()
        assert first[6:-1] not in data
        sent = json.loads(data)
        assert len(sent["lines"]) == 5
        assert set(sent) == {
            "kind_of_anomaly", "strength_by_kind", "detectors", "lines", "nearest_normal_window_differs_by",
        }  # fmt: skip
        assert "203.0.113.9" not in data


def test_evidence_is_the_same_whatever_is_said(stub: Stub, evidence: Evidence) -> None:
    before = evidence.to_dict()
    for answer in OBEDIENT:
        stub.answer = lambda request, answer=answer: (200, completion(answer))
        asked(stub).explain(evidence, MESSAGES)
    assert evidence.to_dict() == before


def test_of_ten_thousand_planted_secrets_none_leaves(evidence: Evidence) -> None:
    language_model = LanguageModel("http://127.0.0.1:9/v1", "stub")
    line = evidence.lines[0]
    spoilt = replace(evidence, lines=tuple(replace(line, place=place) for place in range(20)))
    secrets = list(planted(10_000, seed=1))
    for start in range(0, len(secrets), 20):
        some = secrets[start : start + 20]
        sent = language_model.data(spoilt, [message for _, _, message in some]).lower()
        leaked = [secret for _, secret, _ in some if secret.lower() in sent]
        assert not leaked


def test_another_number_of_messages_than_lines_is_refused(evidence: Evidence) -> None:
    with pytest.raises(ValueError, match="5 lines of evidence, but 1 messages"):
        LanguageModel("http://127.0.0.1:9/v1", "stub").data(evidence, ["one"])
