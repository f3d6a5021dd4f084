"""What a report tells, as plain values: filled by the caller, turned into a page by ``report``.

Belongs here: the shapes of a report's content. Not here: words, plots, HTML, or how a value was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from logad_pipeline.evaluation.metrics import Evaluation
from logad_pipeline.explanation.evidence import Evidence, LineEvidence
from logad_pipeline.reporting.promise import PromiseDay
from logad_pipeline.reporting.swimlane import Swimlane

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class ReportLine:
    """One raw line of a window.

    Attributes:
        line_no: 1-based number in the source.
        text: the line as it came, without its line end.
        surprise: mean negative log-likelihood of its tokens in nats, ``None`` where not measured.
        evidence: what speaks against it, ``None`` where the window was not explained.
    """

    line_no: int
    text: str
    surprise: float | None = None
    evidence: LineEvidence | None = None


@dataclass(frozen=True)
class ReportMember:
    """Another window of a group: where and when it was, and its score in [0, 1]."""

    where: str
    first_time: datetime | None
    score: float
    window_id: str


@dataclass(frozen=True)
class ReportWindow:
    """One ranked window, which stands for those that are suspicious for the same reason.

    Attributes:
        rank: 1 for the most suspicious.
        window_id, source, group: where to find it again: its id, the file, the host or session.
        first_time, last_time: of its records, ``None`` where the log has no times.
        lines: its raw lines in order.
        score: calibrated, in [0, 1].
        risk: the risk level in a word, shown as it is.
        is_anomaly: whether it raised an alert.
        detectors: calibrated score in [0, 1] of each detector by name.
        label: true where people labelled it anomalous, ``None`` without a label.
        repeats: how many windows of the span read the same, itself included.
        evidence: why it is suspicious, ``None`` where that was not asked.
        members: the other windows of its group, the worst first; they may be some of many.
        alarms: how many alerts of the span it stands for, itself included; ``None`` where that is it and its members.
    """

    rank: int
    window_id: str
    source: str
    group: str
    first_time: datetime | None
    last_time: datetime | None
    lines: tuple[ReportLine, ...]
    score: float
    risk: str
    is_anomaly: bool
    detectors: Mapping[str, float]
    label: bool | None = None
    repeats: int = 1
    evidence: Evidence | None = None
    members: tuple[ReportMember, ...] = ()
    alarms: int | None = None


@dataclass(frozen=True)
class LineAccount:
    """Where every physical line went: ``lines = records + continuation_lines + quarantined``."""

    lines: int
    records: int
    continuation_lines: int
    quarantined: int
    quarantine_reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Lines that are neither a record, nor continue one, nor lie in quarantine; 0 when all is well."""
        return self.lines - self.records - self.continuation_lines - self.quarantined


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportData:
    """A whole report. Only the first block is required; what is ``None`` or empty is said to be so.

    Attributes:
        title: what was looked at, such as ``"Linux hosts"``.
        span: the time it covers in words, such as ``"2026-05-04"``.
        generated_at: when the report was made.
        windows: number of windows scored.
        alerts: number of windows that raised an alert which stands: nobody called it normal, nothing keeps it quiet.
        called_normal, kept_quiet: number of the other windows that raised one.
        promised_rate: share of normal windows that may raise an alert, in [0, 1].
        threshold, high_risk: scores at or above them are alerts, and of high risk.
        headline: one sentence on what happened; made from the rest where ``None``.
        account: where the lines went.
        scores: shape (windows,), float64 in [0, 1], of all windows.
        stands: shape (windows,), bool, false for one that is called normal or kept quiet; ``None`` for none such.
        labels: shape (windows,), bool, true for an anomaly.
        evaluation: quality against labels.
        top: the most suspicious windows, most suspicious first.
        embeddings_2d: shape (points, 2), with ``point_is_alert`` and ``point_label``, shape (points,), bool.
        swimlane: hosts or sources by span of time, without what is called normal or kept quiet.
        training: optimiser steps, training loss and held-out loss (nats a masked token, NaN for none).
        by_day: (day, windows, alerts) in order, every alert that was raised.
        promise: what was promised and achieved on each day up to these, in order; drawn instead of ``by_day``.
        model: the model card: version, weights used, mask version, days trained on, parameters, ….
        settings: name and value of every setting that led here.
    """

    title: str
    span: str
    generated_at: datetime
    windows: int
    alerts: int
    promised_rate: float
    called_normal: int = 0
    kept_quiet: int = 0
    threshold: float = 0.5
    high_risk: float = 0.85
    headline: str | None = None
    account: LineAccount | None = None
    scores: FloatArray = field(default_factory=lambda: np.empty(0, dtype=np.float64))
    stands: BoolArray | None = None
    labels: BoolArray | None = None
    evaluation: Evaluation | None = None
    top: tuple[ReportWindow, ...] = ()
    embeddings_2d: FloatArray | None = None
    point_is_alert: BoolArray | None = None
    point_label: BoolArray | None = None
    swimlane: Swimlane | None = None
    training: tuple[FloatArray, FloatArray, FloatArray] | None = None
    by_day: Sequence[tuple[date | str, int, int]] | None = None
    promise: Sequence[PromiseDay] = ()
    model: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def raised(self) -> int:
        """Number of windows that raised an alert, whatever was said of it since."""
        return self.alerts + self.called_normal + self.kept_quiet
