"""The page an operator opens: what it says, that it stays text, that it stays small and alone."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import numpy as np
import pytest

from logad_pipeline.evaluation.metrics import evaluate
from logad_pipeline.explanation.evidence import (
    Difference,
    Evidence,
    Expected,
    LineEvidence,
    NearestNormal,
    WordEvidence,
)
from logad_pipeline.reporting.data import LineAccount, ReportData, ReportLine, ReportMember, ReportWindow
from logad_pipeline.reporting.promise import PromiseDay
from logad_pipeline.reporting.report import headline, render_report
from logad_pipeline_tests.payloads import OBEYED, PAYLOADS
from logad_pipeline_tests.reporting.example import (
    empty_report,
    example_report,
    example_window,
    swimlane_of,
    unlabelled_report,
)

HOSTILE = (
    "<script>alert(1)</script>"
    "\"'><img src=x onerror=alert(2)> </style></title><!-- "
    "\x1b[31mred\x00\x07\x9b \u202egnp.exe\u2066 \ud800 \udc9b "
    "{{ 7*7 }} {% raw %} $\\frac{1}{0}$ &lt;b&gt; javascript:alert(3)"
)
VOID = {"meta", "img", "source"}
ALLOWED = VOID | {
    "html",
    "a",
    "head",
    "title",
    "style",
    "body",
    "header",
    "main",
    "footer",
    "section",
    "h1",
    "h2",
    "p",
    "span",
    "small",
    "b",
    "bdi",
    "dl",
    "dt",
    "dd",
    "div",
    "ol",
    "ul",
    "li",
    "details",
    "summary",
    "svg",
    "rect",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "code",
    "picture",
    "i",
}


class Page(HTMLParser):
    """The tags, attributes and text of a page, and whether its tags nest."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.style = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def full() -> str:
    return render_report(example_report())


def hostile_evidence(text: str) -> Evidence:
    expected = (Expected(text, 0.5),)
    line = LineEvidence(0, text, 3.0, 2.5, 0.0, (text,), text, (WordEvidence(f"a {text}", 2.5, expected),), expected)
    near = NearestNormal((text,), 0.5, 3, (Difference("added", text, 0), Difference("missing", text, None)))
    return Evidence("new template", text, {"new template": 3.0}, (), (line, line), near)


def hostile_report() -> ReportData:
    account = LineAccount(3, 1, 1, 1, {HOSTILE: 1})
    evidence = hostile_evidence(HOSTILE)
    line = ReportLine(1, HOSTILE, 2.5, evidence.lines[0])
    window = ReportWindow(
        1, HOSTILE, HOSTILE, HOSTILE, None, None, (line, line), 0.9, HOSTILE, True, {HOSTILE: 0.9}, True,
        evidence=evidence, members=(ReportMember(HOSTILE, None, 0.8, HOSTILE),),
    )  # fmt: skip
    return replace(
        example_report(),
        title=HOSTILE,
        span=HOSTILE,
        headline=HOSTILE,
        account=account,
        top=(window,),
        swimlane=swimlane_of((HOSTILE, "b"), np.full((2, 24), 0.7), datetime(2026, 5, 4, tzinfo=UTC)),
        by_day=[(HOSTILE, 10, 1)],
        model={HOSTILE: HOSTILE},
        settings={HOSTILE: HOSTILE},
    )


@pytest.mark.filterwarnings("error")
def test_hostile_text_stays_text_in_every_field() -> None:
    html = render_report(hostile_report())
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= ALLOWED
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        assert re.fullmatch(r"#entry-\d+", str(attributes.get("href", "#entry-1"))), tag
        assert "alert(" not in " ".join(str(v) for name, v in attributes.items() if name not in ("title", "aria-label"))
    # Title and span twice each, headline, reason, source, group, id, risk, lines, detectors, day, cards; summary,
    # reasons, expected words and lines, the nearest window, members.
    assert page.text.count("<script>alert(1)</script>") >= 24
    assert "␛[31mred␀␇⟨U+009B⟩ ⟨U+202E⟩gnp.exe⟨U+2066⟩ \ufffd ⟨0x9b⟩" in page.text
    assert "{{ 7*7 }}" in page.text and "&lt;b&gt;" in page.text
    html.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)


def test_every_field_of_a_window_and_of_the_report_is_attacked() -> None:
    # A new text field must join the test above: this list says which fields it has thought of.
    assert [field.name for field in fields(ReportWindow)] == [
        "rank",
        "window_id",
        "source",
        "group",
        "first_time",
        "last_time",
        "lines",
        "score",
        "risk",
        "is_anomaly",
        "detectors",
        "label",
        "repeats",
        "evidence",
        "members",
        "alarms",
    ]
    assert [field.name for field in fields(ReportLine)] == ["line_no", "text", "surprise", "evidence"]
    assert [field.name for field in fields(ReportData) if "str" in str(field.type)] == [
        "title",
        "span",
        "headline",
        "by_day",
        "model",
        "settings",
    ]


def test_a_group_says_why_beside_what_and_how_many_more(full: str) -> None:
    evidence = hostile_evidence("kernel panic")
    lines = (ReportLine(7, "kernel: panic", 2.5, evidence.lines[0]), ReportLine(8, "sshd: fine", 0.1))
    members = tuple(ReportMember(f"web-{n}", None, 0.8, f"w{n}") for n in range(14))
    window = replace(example_window(1, 0.9), lines=lines, evidence=evidence, members=members)
    html = render_report(replace(example_report(), top=(window,)))
    text = Page(html).text
    assert "new template" in text and text.count("kernel panic") >= 5
    assert "The model expected: kernel panic · a kernel panic instead of kernel panic (50%)" in text
    assert "14 more for the same reason" in text and "2 more are not listed." in text
    assert "Beside the nearest normal window (alike to 50%, seen 3 times)" in text
    rows = re.findall(r'<tr class="hot">(.*?)</tr>', html, flags=re.S)
    assert len(rows) == 1 and "kernel: panic" in rows[0]


def test_two_hundred_payloads_stay_text() -> None:
    windows = []
    for number, payload in enumerate(PAYLOADS):
        evidence = hostile_evidence(payload)
        line = ReportLine(number, payload, 2.5, evidence.lines[0])
        window = ReportWindow(
            1, payload, payload, payload, None, None, (line,), 0.9, payload, True, {payload: 0.9},
            evidence=evidence, members=(ReportMember(payload, None, 0.8, payload),),
        )  # fmt: skip
        windows.append(window)
    for half in (windows[:100], windows[100:]):
        html = render_report(replace(empty_report(), windows=100, alerts=100, top=tuple(half)))
        page = Page(html)
        assert {tag for tag, _ in page.tags} <= ALLOWED
        assert not any(name.startswith("on") or name in ("style", "href", "srcdoc") for _, a in page.tags for name in a)
        assert not re.search(OBEYED, html)
        html.encode("utf-8")
    print(f"report: {len(windows)} payloads, none obeyed")
    assert len(windows) == 200


def test_the_page_is_alone_and_its_policy_allows_its_own_style_only(full: str) -> None:
    page = Page(full)
    policies = [a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policies == [
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    ]
    assert "url(" not in page.style and "@import" not in page.style
    for _, attributes in page.tags:
        for name in ("src", "srcset"):
            assert str(attributes.get(name, "data:")).startswith("data:")
    assert "http://" not in full and "https://" not in full


def test_the_page_can_be_read_without_seeing_it(full: str) -> None:
    page = Page(full)
    assert ("html", {"lang": "en"}) in page.tags
    assert all(a.get("alt") for t, a in page.tags if t == "img")
    assert all(a.get("scope") in ("row", "col", "colgroup") for t, a in page.tags if t == "th")
    ids = [a["id"] for t, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    headings = {a["aria-labelledby"] for t, a in page.tags if t == "section"}
    assert headings == {name for name in ids if not name.startswith("entry-")}
    assert {a["href"][1:] for t, a in page.tags if t == "a"} <= set(ids)


def test_the_sections_stand_in_the_order_in_which_an_operator_asks(full: str) -> None:
    found = re.findall(r'<h2 id="(\w+)"', full)
    assert found == [
        "heat",
        "windows",
        "scores",
        "quality",
        "embeddings",
        "training",
        "rate",
        "account",
        "model",
    ]
    assert full.index('class="headline"') < full.index('class="figures"') < full.index('id="heat"')


def test_a_full_report_tells_what_happened(full: str) -> None:
    text = Page(full).text
    data = example_report()
    assert f"{data.alerts} of 4,321 windows raised an alert; the worst scores 0.993, on db-1" in text
    assert "2026-05-04 03:12:07 to 03:12:47 UTC" in text
    assert "labelled anomalous" in text and "seen 14 times" in text
    assert "Every line is accounted for." in text and "no time found" in text
    assert "Best F1 (oracle)" in text and "not reached in use" in text
    assert "pretrained hub" in text and "alert budget" in text
    assert full.count("<img") == 6


def test_under_a_budget_the_report_tells_of_the_budget(full: str) -> None:
    day = PromiseDay(date(2026, 5, 4), 4321, 3, 16, 0, 0.005, 5.0)
    text = Page(render_report(replace(example_report(), promise=[day]))).text
    assert "promised at most 5 a host and day" in text
    assert "Calibration promises that no host raises more than 5 alerts a day." in text
    assert "of normal windows raise" not in text
    assert "of normal windows raise an alert." in Page(full).text


def test_an_alarm_of_the_swimlane_leads_to_the_entry_that_tells_of_it(full: str) -> None:
    page, data = Page(full), example_report()
    told = {str(a["aria-label"]): a["href"] for t, a in page.tags if t == "a" and "aria-label" in a}
    for window in data.top:
        begin, score = f"{window.group}, {window.first_time:%Y-%m-%d %H}:00:00 to ", f"score {window.score:.3f}"
        links = [link for label, link in told.items() if label.startswith(begin) and label.endswith(score)]
        assert links == ([f"#entry-{window.rank}"] if window.is_anomaly else []), window.group
    assert data.swimlane is not None
    alone = [a for t, a in page.tags if t == "span" and a.get("role") == "img" and "alarm" in str(a["aria-label"])]
    assert len(alone) == data.swimlane.alarms - len(told), "alarms that no entry tells of are read out all the same"


def test_a_long_list_of_hosts_says_what_it_left_out() -> None:
    names = [f"host-{number:03}" for number in range(42)]
    lanes = swimlane_of(names, np.full((42, 72), 0.9), datetime(2026, 5, 4, tzinfo=UTC))
    html = render_report(replace(example_report(), swimlane=replace(lanes, timeless=1)))
    assert "2 quieter hosts are not drawn. 1 window has no time, and no cell." in Page(html).text
    assert "host-039" in html and "host-040" not in html
    assert len(html.encode()) < 2_000_000


def test_the_surprising_lines_are_marked_by_more_than_colour(full: str) -> None:
    rows = re.findall(r'<tr class="hot">(.*?)</tr>', full, flags=re.S)
    assert rows and all('aria-label="most surprising"' in row for row in rows)
    first = [row for row in rows if "1261" in row]
    assert len(first) == 2 and "Failed password" in first[0] and "COMMAND=/bin/bash" in first[1]


@pytest.mark.filterwarnings("error")
def test_an_empty_day_is_said_to_be_empty() -> None:
    text = Page(render_report(empty_report())).text
    for words in (
        "No windows were scored, so there is nothing to judge.",
        "No windows were ranked.",
        "No scores.",
        "No labels: nothing to measure quality against.",
        "No account of lines was kept.",
        "No model card.",
    ):
        assert words in text
    assert "nan" not in text.lower().replace("anomal", "")


def test_a_day_without_alerts_does_not_pass_its_highest_scores_off_as_such(full: str) -> None:
    data = example_report()
    quiet = replace(data, alerts=0, top=tuple(window for window in data.top if not window.is_anomaly))
    said = "None of these raised an alert: they are only the highest scores."
    assert said in Page(render_report(quiet)).text and said not in Page(full).text


def test_without_labels_no_quality_is_claimed() -> None:
    text = Page(render_report(unlabelled_report())).text
    assert "No labels: nothing to measure quality against." in text
    assert "ROC" not in text


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("anomalous", "word"), [(False, "normal"), (True, "anomalous")])
def test_labels_of_one_class_leave_quality_undefined(anomalous: bool, word: str) -> None:
    data = example_report()
    labels = np.full(len(data.scores), anomalous)
    found = evaluate(data.scores, labels, 0.5, seed=1)
    html = render_report(replace(data, labels=labels, evaluation=found))
    text = Page(html).text
    assert f"All 4,321 labelled units are {word}: how well scores rank is undefined." in text
    assert '<th scope="row">ROC-AUC</th><td class="number">undefined</td>' in html


def test_a_line_that_is_lost_is_told() -> None:
    data = replace(empty_report(), account=LineAccount(10, 7, 1, 1))
    assert "Warning: 1 line is missing from this account." in Page(render_report(data)).text


def test_long_windows_keep_the_page_below_five_megabytes() -> None:
    worst = "\"'<&>\x1b" * 400
    lines = tuple(ReportLine(n, worst, float(n % 97)) for n in range(2000))
    windows = tuple(
        replace(example_window(rank, 0.9), lines=lines, group=worst, source=worst, detectors={worst: 0.9})
        for rank in range(1, 301)
    )
    html = render_report(replace(example_report(), top=windows, model={worst: worst}))
    assert len(html.encode()) < 5_000_000
    text = Page(html).text
    assert "lines not shown" in text
    assert "2,000 lines left out to keep this file small." in text
    assert "200 more ranked windows are not shown." in text


def test_of_a_long_window_the_surprising_lines_are_kept() -> None:
    lines = tuple(ReportLine(n, f"line {n}", 9.0 if n == 1500 else 0.1) for n in range(2000))
    window = replace(example_window(1, 0.9), lines=lines)
    page = render_report(replace(empty_report(), windows=1, alerts=1, top=(window,)))
    assert all(f"<bdi>line {n}</bdi>" in page for n in (0, 1499, 1500, 1501, 1999))
    assert re.search(r'<tr class="hot"><td>1500</td>', page)


def test_of_a_long_window_the_line_that_the_evidence_points_at_is_shown_and_marked() -> None:
    evidence = hostile_evidence("kernel panic")
    pointed = replace(evidence.lines[0], suspicion=5.0)
    # Every line before it surprises more, and half of them carry a weaker reason.
    lines = tuple(
        ReportLine(n, f"line {n}", 9.0 - n / 1000, replace(pointed, suspicion=1.0) if n % 2 else None)
        for n in range(1, 2000)
    )
    lines = tuple(replace(line, surprise=0.01, evidence=pointed) if line.line_no == 1500 else line for line in lines)
    window = replace(example_window(1, 0.9), lines=lines, evidence=evidence)
    data = replace(empty_report(), windows=1, alerts=1, top=(window,))
    for page in (render_report(data), render_report(data, len(render_report(data)) - 2000)):
        assert re.search(r'<tr class="hot"><td>1500</td>', page)
        assert all(f"<bdi>line {n}</bdi>" in page for n in (1499, 1500, 1501))
    assert "Most of its lines left out to keep this file small." in page


def test_five_megabytes_hold_whatever_the_windows_are_called() -> None:
    word = '"\'<&>' * 200
    evidence = hostile_evidence(word)
    lines = tuple(ReportLine(n, word, 1.0, evidence.lines[0]) for n in range(30))
    members = tuple(ReportMember(word, None, 0.8, word) for _ in range(12))
    windows = tuple(
        replace(
            example_window(rank, 0.9), lines=lines, group=word, source=word, window_id=word, evidence=evidence,
            members=members, detectors={f"{n} {word}": 0.9 for n in range(16)},
        )
        for rank in range(1, 101)
    )  # fmt: skip
    data = replace(example_report(), top=windows, alerts=2000)
    html = render_report(data)
    assert len(html.encode()) <= 5_000_000
    text = Page(html).text
    assert "lines left out to keep this file small" in text
    small = render_report(data, 400_000)
    assert len(small.encode()) <= 400_000
    text = Page(small).text
    assert "90 more ranked windows are not shown." in text
    assert f"{2000 - 10 * 13:,} more alerts are in none of these entries" in text
    assert "Left out to keep this file small." in text
    assert "Every line is accounted for." in text
    with pytest.raises(ValueError, match="allow for more"):
        render_report(data, 10_000)


def test_the_headline_is_one_sentence_with_its_reason() -> None:
    evidence = replace(hostile_evidence("x"), summary="A kind of line that is hardly ever there: 'x.y' (new).")
    window = replace(example_window(1, 0.9), evidence=evidence)
    assert headline(replace(empty_report(), windows=7, alerts=2, top=(window,))) == (
        "2 of 7 windows raised an alert; the worst scores 0.900, on db-1, 2026-05-04 03:12:07 to 03:12:47 UTC: "
        "a kind of line that is hardly ever there: 'x.y' (new)."
    )


def test_the_headline_of_a_quiet_day_names_the_highest_score() -> None:
    quiet = replace(empty_report(), windows=1200, top=(example_window(1, 0.43),))
    assert headline(quiet) == (
        "None of 1,200 windows raised an alert; the highest score is 0.430, on db-1, "
        "2026-05-04 03:12:07 to 03:12:47 UTC."
    )
    assert headline(replace(quiet, top=())) == "None of 1,200 windows raised an alert."


def test_a_window_without_times_or_names_says_so() -> None:
    bare = replace(example_window(1, 0.9), first_time=None, last_time=None, group="", source="", lines=(), detectors={})
    data = replace(empty_report(), windows=1, alerts=1, top=(bare,))
    text = Page(render_report(data)).text
    assert "on an unnamed source, no time." in text
    assert "no group" in text and "This window came without its lines." in text


def test_times_without_a_zone_are_not_called_utc() -> None:
    naive = replace(example_window(1, 0.9), first_time=datetime(2026, 5, 4, 3), last_time=None)
    assert headline(replace(empty_report(), windows=1, alerts=1, top=(naive,))).endswith("2026-05-04 03:00:00.")


def test_the_same_data_gives_the_same_page(full: str) -> None:
    assert render_report(example_report()) == full
