"""Words of a language model: what leaves, what is believed, and what stands in its place."""

from __future__ import annotations

import doctest
import json
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.explanation import answers, verdict_words
from logad_pipeline.explanation.endpoint import MAX_ANSWER_BYTES, THREAD
from logad_pipeline.explanation.evidence import Difference, Evidence, ShownWindow
from logad_pipeline.explanation.explainer import Explainer
from logad_pipeline.explanation.language_model import INSTRUCTIONS, LanguageModel, own_words
from logad_pipeline.logs.facts import RecordFacts
from logad_pipeline.logs.log_tokenizer import LogTokenizer
from logad_pipeline_tests.explanation.injections import INJECTIONS, OBEDIENT
from logad_pipeline_tests.explanation.planted import planted
from logad_pipeline_tests.explanation.stub_endpoint import GOOD, Stub, completion, stub_endpoint
from logad_pipeline_tests.explanation.wordings import (
    CHECKS,
    GOOD_ANSWERS,
    JUDGEMENTS,
    MORE_GOOD_SENTENCES,
    MORE_JUDGEMENTS,
    MORE_REFUSALS,
    NOTHING_TO_DO_WITH_IT,
    REFUSALS,
)
from logad_pipeline_tests.tiny_model import CYCLE, FOREIGN, cycle_lines

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
    print(f"{str(answer)[:60]!r}: {told.note}")


def test_doctests() -> None:
    for module in (answers, verdict_words):
        assert doctest.testmod(module).failed == 0


def told_of(stub: Stub, evidence: Evidence, **answer: object) -> str:
    """The note on an answer that is good but for these fields."""
    stub.answer = lambda request: (200, completion({**GOOD, **answer}))
    return asked(stub).explain(evidence, MESSAGES).note


@pytest.mark.parametrize("sentence", REFUSALS)
def test_a_refusal_in_whatever_words_is_no_answer(stub: Stub, evidence: Evidence, sentence: str) -> None:
    assert told_of(stub, evidence, summary=sentence).endswith("it refused")
    assert told_of(stub, evidence, check_next=["Read the console.", sentence]).endswith("it refused")


@pytest.mark.parametrize("sentence", JUDGEMENTS)
def test_an_answer_that_judges_the_alarm_is_dropped(stub: Stub, evidence: Evidence, sentence: str) -> None:
    assert told_of(stub, evidence, summary=sentence).endswith("it judges the alarm, which it was not asked to")
    assert "judges" in told_of(stub, evidence, likely_cause=sentence)


@pytest.mark.parametrize("sentence", NOTHING_TO_DO_WITH_IT)
def test_words_of_the_form_are_no_words_of_the_evidence(stub: Stub, evidence: Evidence, sentence: str) -> None:
    note = told_of(stub, evidence, summary=sentence, likely_cause="A true share of the window.")
    assert note.endswith("it has nothing to do with the evidence")


@pytest.mark.parametrize("sentence", GOOD_ANSWERS)
def test_an_answer_about_the_lines_is_shown(stub: Stub, evidence: Evidence, sentence: str) -> None:
    assert "may be wrong" in told_of(stub, evidence, summary=sentence, check_next=CHECKS)


def test_sentences_are_told_apart_by_their_wording() -> None:
    assert [sentence for sentence in MORE_JUDGEMENTS if not verdict_words.judges(sentence)] == []
    assert [s for s in MORE_REFUSALS if not verdict_words.refuses(s) and not verdict_words.judges(s)] == []
    good = (*GOOD_ANSWERS, *CHECKS, *MORE_GOOD_SENTENCES)
    assert [sentence for sentence in good if verdict_words.refuses(sentence) or verdict_words.judges(sentence)] == []


def test_nothing_to_check_is_no_answer(stub: Stub, evidence: Evidence) -> None:
    assert "judges" in told_of(stub, evidence, check_next=["None."])


def test_lines_without_words_are_not_asked_about(stub: Stub, model: AnomalyDetector) -> None:
    spoken = Explainer(model).explain([ShownWindow(("num num", "ip num"), {})])[0]
    bare = replace(spoken, nearest=None)
    told = asked(stub).explain(bare, ["17 4", "10.0.0.1 5"])
    assert (told.by, stub.requests) == ("evidence", [])
    assert "was not asked" in told.note


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


def test_a_limit_holds_for_headers_that_drip_and_leaves_no_thread(stub: Stub, evidence: Evidence) -> None:
    stub.header_drip = 0.05
    assert "took longer than 0.3 s" in asked(stub, 0.3).explain(evidence, MESSAGES).note
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(10)
            assert not thread.is_alive()
    assert stub.left.wait(10)


@pytest.mark.parametrize("key", ["schl\u00fcssel", "\udc80", "a\nb", "\U0001f511"], ids=ascii)
def test_a_key_that_no_header_can_carry_is_told(stub: Stub, evidence: Evidence, key: str) -> None:
    told = LanguageModel(stub.url, "stub", key, 5.0).explain(evidence, MESSAGES)
    assert (told.by, told.words, stub.requests) == ("evidence", own_words(evidence), [])
    assert told.note.startswith("no usable answer of the language model: ")
    assert key not in told.note


def test_a_name_of_a_model_that_cannot_be_sent_is_told(stub: Stub, evidence: Evidence) -> None:
    told = LanguageModel(stub.url, "\udc80", "", 5.0).explain(evidence, MESSAGES)
    assert told.by == "evidence" and "characters that cannot be sent" in told.note


@pytest.mark.parametrize(
    "url",
    ["", "no url", "ftp://127.0.0.1/v1", "http://127.0.0.1:99999/v1", "http://a..b/v1", "http://[::1",
     "http://\udc80/v1", "http://" + 70 * "\u00fc"],
    ids=ascii,
)  # fmt: skip
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
    print(f"requests: {len(stub.requests)} injections asked about, 0 outside their fence")


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
    secrets, leaked = list(planted(10_000, seed=1)), []
    for start in range(0, len(secrets), 20):
        some = secrets[start : start + 20]
        sent = language_model.data(spoilt, [message for _, _, message in some]).lower()
        leaked += [secret for _, secret, _ in some if secret.lower() in sent]
    print(f"requests: {len(secrets):,} secrets planted in raw lines, {len(leaked)} sent")
    assert not leaked


def test_of_secrets_in_normal_lines_none_leaves(evidence: Evidence) -> None:
    language_model = LanguageModel("http://127.0.0.1:9/v1", "stub")
    normalise = LogTokenizer().normalise
    secrets, leaked = list(planted(10_000, seed=5)), []
    assert evidence.nearest is not None
    for start in range(0, len(secrets), 40):
        some = secrets[start : start + 40]
        rows = tuple(Difference("missing", normalise(line), None, common=True) for _, _, line in some)
        spoilt = replace(evidence, nearest=replace(evidence.nearest, differences=rows))
        sent = language_model.data(spoilt, MESSAGES).lower()
        assert len(json.loads(sent)["nearest_normal_window_differs_by"]) == len(some)
        leaked += [(kind, secret, line) for kind, secret, line in some if secret.lower() in sent]
    print(f"requests: {len(secrets):,} secrets planted in normal lines, {len(leaked)} sent")
    assert not leaked


def test_a_normal_line_keeps_its_words(evidence: Evidence) -> None:
    assert evidence.nearest is not None
    lines = (
        *CYCLE, "password changed for user", "failed password for user from ip port num ssh2", "token expired",
        "get path http status200 size", "pam_unix cron session session closed for user root", "ext4-fs sda1 mounted",
        "started daily apt upgrade and clean activities", "disabled-by-default",
    )  # fmt: skip
    rows = tuple(Difference("missing", line, None, common=True) for line in lines)
    full = replace(evidence, nearest=replace(evidence.nearest, differences=rows))
    sent = json.loads(LanguageModel("http://127.0.0.1:9/v1", "stub").data(full, MESSAGES))
    assert [row["text"] for row in sent["nearest_normal_window_differs_by"]] == list(lines)


def test_of_secrets_in_reasons_none_leaves(cycle_model: AnomalyDetector) -> None:
    language_model = LanguageModel("http://127.0.0.1:9/v1", "stub")
    secrets = [("name", "anns macbook pro", ""), ("name", "o'neill's pc", ""), *planted(1_000, seed=6)]
    kinds = ("user", "ip", "host", "file", "process", "cluster")
    windows = []
    for start in range(0, len(secrets), len(CYCLE)):
        facts = []
        for at, (text, (_, secret, _)) in enumerate(zip(CYCLE, secrets[start : start + len(CYCLE)], strict=False)):
            node, action = f"{kinds[(start + at) % len(kinds)]}:{secret}", f"app: {text}"
            edge = (node, action, "process:app") if at % 2 else ("process:app", action, node)
            facts.append(RecordFacts(text, (edge,), (4111.0, 1111.0)))
        windows.append(ShownWindow(CYCLE[: len(facts)], {}, tuple(facts)))
    named = 0
    for number, evidence in enumerate(Explainer(cycle_model).explain(windows)):
        sent = language_model.data(evidence, [line.text for line in evidence.lines]).lower()
        some = secrets[number * len(CYCLE) : (number + 1) * len(CYCLE)]
        leaked = [secret for _, secret, _ in some if secret.lower() in sent]
        assert not leaked and "macbook" not in sent and "unusual number (" not in sent
        said = [reason for line in evidence.lines for reason in line.reasons]
        named += sum(any(secret in reason for reason in said) for _, secret, _ in some)
    assert named > len(secrets) // 2


def test_another_number_of_messages_than_lines_is_refused(evidence: Evidence) -> None:
    with pytest.raises(ValueError, match="5 lines of evidence, but 1 messages"):
        LanguageModel("http://127.0.0.1:9/v1", "stub").data(evidence, ["one"])
