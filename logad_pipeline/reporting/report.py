"""The one-file HTML report: finished results in, a page out that opens without a network.

Belongs here: the sentences and figures of the page. Not here: markup (``templates/``), plots, scoring.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from logad_pipeline.evaluation.metrics import Evaluation, Interval
from logad_pipeline.reporting import charts
from logad_pipeline.reporting.data import LineAccount, ReportData, ReportLine, ReportWindow
from logad_pipeline.reporting.page import render_page
from logad_pipeline.reporting.promise import at_most, promised_briefly, promised_in_words
from logad_pipeline.reporting.ranking import (
    MAX_WINDOWS,
    TEXT_BUDGET_BYTES,
    WindowView,
    alarms_of,
    text_bytes,
    window_views,
)
from logad_pipeline.reporting.swimlane import LanesView, lanes_view
from logad_pipeline.reporting.text import count, label, percent, score_text, span_text, time_text

__all__ = ["LineAccount", "ReportData", "ReportLine", "ReportWindow", "headline", "render_report"]

MAX_BYTES = 5_000_000
_MAX_ROWS = 100
_FEW_WINDOWS = 10
_LEAST_FIRST = ("training", "embeddings", "quality", "histogram", "alert_rate")
"""Pictures in the order in which they are given up for a small file."""
_MAX_VALUE_CHARACTERS = 600


def render_report(data: ReportData, most_bytes: int = MAX_BYTES) -> str:
    """The report as one HTML document, at most 5 MB, without scripts and without anything to fetch.

    All text is escaped; characters that a browser or terminal would obey are shown as signs. A
    content security policy forbids everything but the page's own style and its embedded pictures.
    What would make it larger is left out, and said to be: lines of the last windows first, then the last windows,
    then pictures.

    Args:
        data: what to tell; parts that are ``None`` or empty are said to be missing.
        most_bytes: size of the page in UTF-8.

    Returns:
        The page, encodable as UTF-8.

    Raises:
        ValueError: arrays that belong together differ in length, scores lie outside [0, 1], or ``most_bytes`` does
            not even hold the tables.
    """
    pictures = {
        "histogram": charts.histogram(data), "quality": charts.quality(data), "embeddings": charts.embeddings(data),
        "training": charts.training(data), "alert_rate": charts.alert_rate(data),
    }  # fmt: skip
    budget, most = TEXT_BUDGET_BYTES, MAX_WINDOWS
    given_up: list[str] = []
    while True:
        windows = window_views(data, budget, most)
        page = _page(data, windows, pictures, given_up)
        excess = len(page.encode()) - most_bytes
        if excess <= 0:
            return page
        left = [name for name in _LEAST_FIRST if pictures[name] and name not in given_up]
        if budget:
            budget = max(0, text_bytes(windows) - excess)
        elif most > _FEW_WINDOWS:
            most = max(_FEW_WINDOWS, most // 2)
        elif left:
            given_up.append(left[0])
        else:
            raise ValueError(f"the tables of the report alone are larger than {most_bytes:,} bytes; allow for more")


def _page(
    data: ReportData, windows: Sequence[WindowView], pictures: Mapping[str, Any], given_up: Collection[str]
) -> str:
    shown = {name: None if name in given_up else picture for name, picture in pictures.items()}
    return render_page(
        "report.html.j2",
        title=label(data.title) or "Log report",
        span=label(data.span),
        generated=time_text(data.generated_at),
        headline=label(data.headline, 600) if data.headline else headline(data),
        threshold=data.threshold,
        high_risk=data.high_risk,
        figures=_key_figures(data),
        windows=windows,
        alerts=data.alerts,
        windows_left_out=len(data.top) - len(windows),
        alerts_left_out=max(0, data.alerts - sum(alarms_of(one, data.threshold) for one in data.top[: len(windows)])),
        given_up=given_up,
        lanes=_lanes(data, len(windows)),
        histogram=shown["histogram"],
        settled_note=_settled_note(data),
        quality_note=_quality_note(data),
        quality_rows=_quality_rows(data.evaluation),
        quality_charts=shown["quality"] or (),
        embeddings=shown["embeddings"],
        training=shown["training"],
        alert_rate=shown["alert_rate"],
        day_rows=_day_rows(data),
        promised=promised_in_words(data.promise, data.promised_rate),
        account_rows=_account_rows(data.account),
        account_note=_account_note(data.account),
        model_rows=_name_value_rows(data.model),
        setting_rows=_name_value_rows(data.settings),
    )


def _lanes(data: ReportData, entries: int) -> LanesView | None:
    """The swimlane; its cells lead to the first of so many entries that tells of a window in them."""
    if data.swimlane is None:
        return None
    streams = {lane.name for lane in data.swimlane.lanes}
    told: dict[tuple[str, int], str] = {}
    for entry in data.top[:entries]:
        own = entry.group if entry.group in streams else entry.source
        for stream, at in ((own, entry.first_time), *((one.where, one.first_time) for one in entry.members)):
            if at is not None:
                told.setdefault((stream, data.swimlane.span_of(at)), f"#entry-{entry.rank}")
    return lanes_view(data.swimlane, lambda stream: "", lambda stream, span: told.get((stream, span), ""))


def headline(data: ReportData) -> str:
    """What happened, in one sentence: how many alerts among how many windows, the worst, where and when."""
    if not data.windows:
        return "No windows were scored, so there is nothing to judge."
    worst = data.top[0] if data.top else None
    among = f"{data.windows:,} {'window' if data.windows == 1 else 'windows'}"
    what = f"{data.alerts:,}" if data.alerts else "None"
    what += f" of {among} raised an alert"
    if data.raised > data.alerts:
        what += f" that stands ({_settled(data)} not counted)"
    if worst is None:
        return f"{what}."
    place = label(worst.group, 60) or label(worst.source, 60) or "an unnamed source"
    when = span_text(worst.first_time, worst.last_time)
    # A score without alerts is the highest of a quiet span; with alerts it is the worst of them.
    which = "the worst" if data.alerts else "the highest score"
    verb = f"scores {score_text(worst.score)}" if data.alerts else f"is {score_text(worst.score)}"
    why = f": {_clause(worst.evidence.summary)}" if worst.evidence is not None and data.alerts else ""
    return f"{what}; {which} {verb}, on {place}, {when}{why}."


def _clause(sentence: str) -> str:
    """A sentence as the end of another."""
    words = label(sentence, 300).removesuffix(".")
    return words[:1].lower() + words[1:] if words[1:2].islower() or words[1:2] == " " else words


def _settled(data: ReportData) -> str:
    """The alerts that do not stand: ``3 called normal and 1 kept quiet``."""
    parts = [(data.called_normal, "called normal"), (data.kept_quiet, "kept quiet")]
    return " and ".join(f"{number:,} {how}" for number, how in parts if number)


def _settled_note(data: ReportData) -> str:
    """What figures count all alerts that were raised, where others do not."""
    if data.raised == data.alerts:
        return ""
    return (
        f"At or above the threshold lies every alert that was raised, {data.raised:,} in all: {data.alerts:,} that "
        f"{'stands' if data.alerts == 1 else 'stand'}, {_settled(data)}."
    )


def _key_figures(data: ReportData) -> list[tuple[str, str, str]]:
    """(name, figure, what it is measured against)."""
    rate = data.raised / data.windows if data.windows else None
    settled = data.raised > data.alerts
    less, all_of = (f", without {_settled(data)}", f", of all {data.raised:,} raised") if settled else ("", "")
    found = [
        ("windows scored", f"{data.windows:,}", ""),
        ("alerts", f"{data.alerts:,}", f"score {data.threshold:g} or more{less}"),
        ("alert rate", percent(rate), f"promised {promised_briefly(data.promise, data.promised_rate)}{all_of}"),
    ]
    standing = data.scores if data.stands is None else data.scores[data.stands]
    if len(standing):
        high = int((standing >= data.high_risk).sum())
        found.append(("high risk", f"{high:,}", f"score {data.high_risk:g} or more{', of those that stand' * settled}"))
        found.append(("highest score", score_text(float(standing.max())), f"of 1{', of those that stand' * settled}"))
    if data.account is not None:
        bad = data.account.quarantined
        share = percent(bad / data.account.lines) if data.account.lines else "no lines"
        found.append(("lines read", f"{data.account.lines:,}", f"{bad:,} in quarantine, {share}"))
    if data.evaluation is not None and data.evaluation.roc_auc is not None:
        interval = _interval(data.evaluation.roc_auc_interval)
        found.append(("ROC-AUC", score_text(data.evaluation.roc_auc), interval or "chance is 0.5"))
    return found


def _quality_note(data: ReportData) -> str:
    if data.labels is None and data.evaluation is None:
        return "No labels: nothing to measure quality against."
    if data.evaluation is None:
        return "There are labels, but they were not evaluated."
    units, positives = data.evaluation.units, data.evaluation.positives
    if not units:
        return "No labelled units: nothing to measure quality against."
    if positives in (0, units):
        which = "normal" if not positives else "anomalous"
        return f"All {units:,} labelled units are {which}: how well scores rank is undefined."
    return (
        f"{units:,} labelled units, {positives:,} of them anomalous ({percent(positives / units)}). "
        "The interval holds for independent units; windows that share lines make it too narrow."
    )


def _quality_rows(evaluation: Evaluation | None) -> list[tuple[str, str, str]]:
    """(measure, value, interval or what it means)."""
    if evaluation is None or not evaluation.units:
        return []
    at = evaluation.at_threshold
    alerts = count(at.alerts, "alert")
    rows = [
        ("ROC-AUC", _value(evaluation.roc_auc), _interval(evaluation.roc_auc_interval)),
        ("Average precision (PR-AUC)", _value(evaluation.pr_auc), _interval(evaluation.pr_auc_interval)),
        (f"Precision at {at.threshold:g}", _value(at.precision), f"{at.hits:,} of {alerts}"),
        (f"Recall at {at.threshold:g}", _value(at.recall), f"{at.hits:,} of {at.positives:,} anomalies"),
        (f"F1 at {at.threshold:g}", _value(at.f1), ""),
        (
            f"False-alarm rate at {at.threshold:g}",
            percent(at.false_alarm_rate),
            f"{at.alerts - at.hits:,} of {at.units - at.positives:,} normal",
        ),
    ]
    best = evaluation.best_f1_oracle
    if best is not None:
        why = f"at {score_text(best.threshold)}, chosen on these labels: not reached in use"
        rows.append(("Best F1 (oracle)", _value(best.f1), why))
    return rows


def _value(value: float | None) -> str:
    return "undefined" if value is None else score_text(value)


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{100 * interval.level:g} %: {score_text(interval.low)} to {score_text(interval.high)}"


def _day_rows(data: ReportData) -> list[tuple[str, ...]]:
    """Of what the chart beside shows: day, windows, alerts raised, of them confirmed, rate, promised at most."""
    if data.promise:
        rows = [(str(day.day), day.windows, day.alarms, f"{day.confirmed:,}", day.allowed) for day in data.promise]
    else:
        promised = data.promised_rate
        rows = [(str(day), windows, alerts, "", windows * promised) for day, windows, alerts in data.by_day or ()]
    return [
        (label(day, 40), f"{windows:,}", f"{alerts:,}", confirmed,
         percent(alerts / windows) if windows else "none", at_most(allowed))
        for day, windows, alerts, confirmed, allowed in rows[-_MAX_ROWS:]
    ]  # fmt: skip


def _account_rows(account: LineAccount | None) -> list[tuple[str, str, bool]]:
    """(name, lines, whether it is a part of the row above)."""
    if account is None:
        return []
    rows = [
        ("Lines read", f"{account.lines:,}", False),
        ("Records", f"{account.records:,}", False),
        ("Continuation lines", f"{account.continuation_lines:,}", False),
        ("In quarantine", f"{account.quarantined:,}", False),
    ]
    reasons = sorted(account.quarantine_reasons.items(), key=lambda item: (-item[1], item[0]))
    rows += [(label(reason, 200), f"{lines:,}", True) for reason, lines in reasons[:_MAX_ROWS]]
    return rows


def _account_note(account: LineAccount | None) -> str:
    if account is None:
        return "No account of lines was kept."
    if account.missing == 0:
        return "Every line is accounted for."
    lines = abs(account.missing)
    verb = "is" if lines == 1 else "are"
    wrong = f"{verb} missing from" if account.missing > 0 else f"{verb} too many in"
    return f"Warning: {count(lines, 'line')} {wrong} this account."


def _name_value_rows(values: Mapping[str, str]) -> list[tuple[str, str]]:
    pairs: Iterable[tuple[str, str]] = list(values.items())[:_MAX_ROWS]
    return [(label(str(name)), label(str(value), _MAX_VALUE_CHARACTERS)) for name, value in pairs]
