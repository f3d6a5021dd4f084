"""Promised against achieved: false-alarm rates of a benchmark, and a deployment's alarms day by day.

Belongs here: these plots and the words for them; the others are in ``plots``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist

import numpy as np

from logad_pipeline.reporting.figure import THEMES, ThemeName, add_legend, day_bars, new_axes, png
from logad_pipeline.reporting.text import count, label, percent


@dataclass(frozen=True)
class PromiseHost:
    """Alarms of one host: of them ``confirmed`` by a person; ``allowed`` by the budget."""

    host: str
    alarms: int
    confirmed: int
    allowed: float = 0.0

    @property
    def unconfirmed(self) -> int:
        """Alarms that count against the promise."""
        return self.alarms - self.confirmed


@dataclass(frozen=True)
class PromiseDay:
    """What was promised for a day, and what came.

    Attributes:
        windows, hosts: judged windows, and the hosts that they are of.
        alarms: windows that raised one.
        confirmed: of them, called anomalous by a person.
        rate: promised share of normal windows.
        budget: promised alarms a day and host, ``None`` where the rate itself was promised.
        by_host: alarms of each host; none where a rate was promised, or an earlier release judged.
    """

    day: date
    windows: int
    hosts: int
    alarms: int
    confirmed: int
    rate: float
    budget: float | None = None
    by_host: tuple[PromiseHost, ...] = ()

    @property
    def of(self) -> int:
        """What alarms are counted by: hosts under a budget, windows under a rate."""
        return self.windows if self.budget is None else self.hosts

    @property
    def allowed(self) -> float:
        """How many alarms the promise allows for."""
        return self.windows * self.rate if self.budget is None else self.hosts * self.budget


def hosts_of(days: Sequence[PromiseDay]) -> list[PromiseHost]:
    """Each host over all the days, the one that went furthest beyond its budget first; none but under a budget."""
    found: dict[str, PromiseHost] = {}
    for day in days:
        for one in day.by_host:
            known = found.get(one.host, PromiseHost(one.host, 0, 0))
            found[one.host] = PromiseHost(
                one.host, known.alarms + one.alarms, known.confirmed + one.confirmed,
                known.allowed + (day.budget or 0.0),
            )  # fmt: skip
    return sorted(found.values(), key=lambda one: (one.allowed - one.unconfirmed, one.host))


def hosts_over(days: Sequence[PromiseDay]) -> list[PromiseHost]:
    """The hosts of :func:`hosts_of` that went beyond their budget by more than chance. With many hosts chance has
    as many tries, and each is allowed for more."""
    hosts = hosts_of(days)
    return [one for one in hosts if not _within(one.unconfirmed, one.allowed, len(hosts))]


def promise_kept(days: Sequence[PromiseDay]) -> bool:
    """Whether no more came than was promised, over all the days together, and under a budget on each host too,
    chance allowed for.

    Alarms that people confirmed are not counted. The allowance is the 99 % point of a Poisson count, by its
    normal approximation, and alarms come in clusters: a day alone says little.
    """
    allowed = sum(day.allowed for day in days)
    return _within(sum(day.alarms - day.confirmed for day in days), allowed) and not hosts_over(days)


def _within(alarms: int, allowed: float, tries: int = 1) -> bool:
    deviations = NormalDist().inv_cdf(1 - 0.01 / tries)
    return alarms <= allowed + deviations * math.sqrt(allowed) + 1


def promised_in_words(days: Sequence[PromiseDay], rate: float) -> str:
    """What was promised for the newest of the days, as a clause; without days a ``rate``, in [0, 1]."""
    budget = days[-1].budget if days else None
    if budget is None:
        return f"{percent(rate)} of normal windows raise an alert"
    return f"no host raises more than {budget:g} {'alert' if budget == 1 else 'alerts'} a day"


def promised_briefly(days: Sequence[PromiseDay], rate: float) -> str:
    """The same as a figure."""
    budget = days[-1].budget if days else None
    return percent(rate) if budget is None else f"at most {budget:g} a host and day"


def kept_in_words(days: Sequence[PromiseDay], longest_name: int = 60) -> str:
    """What was promised and what came, in one line; under a budget with the host that went furthest beyond its own."""
    alarms, confirmed = sum(day.alarms for day in days), sum(day.confirmed for day in days)
    by_whom = f", {confirmed:,} of them confirmed" if confirmed else ""
    words = f"{count(alarms, 'alarm')} in {count(len(days), 'day')}{by_whom}; promised at most "
    words += at_most(sum(day.allowed for day in days))
    for worst in hosts_of(days)[:1]:
        name = label(worst.host, longest_name)
        words += f"; most on {name}: {worst.unconfirmed:,} of at most {at_most(worst.allowed)}"
    return words


def at_most(alarms: float) -> str:
    """An allowance in words: ``0.154``, ``12.5``, ``1,050``."""
    return f"{alarms:.3g}" if alarms < 100 else f"{alarms:,.0f}"


def kept_by_day(days: Sequence[PromiseDay], *, theme: ThemeName = "light") -> bytes | None:
    """Alarms of each day as bars, what was promised as a line; ``None`` without a judged window.

    Under a budget, alarms are counted a host, and those of the day's worst host are marked; under a rate, in per
    cent of the windows. Bars of days that exceed the promise are hatched; what people confirmed is drawn apart.
    """
    if not any(day.windows for day in days):
        return None
    look = THEMES[theme]
    budget = days[-1].budget is not None
    title = kept_in_words(days, 30).replace("at most ", "at\u00a0most\u00a0")
    unit = "alarms a host" if budget else "alarms among windows (%)"
    figure, axes = new_axes(title, "day", unit, theme=look, height=3.2)
    scale = np.array([(1.0 if budget else 100.0) / max(day.of, 1) for day in days])
    alarms = np.array([day.alarms - day.confirmed for day in days]) * scale
    confirmed = np.array([day.confirmed for day in days]) * scale
    allowed = np.array([day.allowed for day in days]) * scale
    place = np.arange(len(days))
    of_hosts = any(day.by_host for day in days)
    beyond = [not promise_kept([day]) for day in days]
    day_bars(axes, alarms.tolist(), beyond, look, "within it", "a host above it" if of_hosts else "above it")
    if confirmed.any():
        axes.bar(place, confirmed, bottom=alarms, width=0.7, color=look.labelled, alpha=0.6, label="confirmed")
    edges = np.concatenate((place - 0.5, [len(days) - 0.5]))
    axes.stairs(allowed, edges, baseline=None, color=look.ink, linewidth=1.4, label="promised")
    worst = [max((one.unconfirmed for one in day.by_host), default=0) for day in days]
    if of_hosts:
        axes.plot(place, worst, "^", color=look.ink, markersize=4, label="worst host")
    axes.set_ylim(0.0, 1.5 * max(float(allowed.max()), float((alarms + confirmed).max()), *worst, 1e-3))
    axes.set_xlim(-0.6, len(days) - 0.4)
    every = max(1, -(-len(days) // 10))
    axes.set_xticks(place[::every], [f"{day.day:%m-%d}" for day in days[::every]])
    axes.grid(False, axis="x")
    # All in a row would be wider than the picture, and leave no room for the bars.
    add_legend(axes, look, loc="upper left", ncols=3)
    return png(figure)


def promised_against_achieved(
    runs: Sequence[Mapping[str, Sequence[float]]], title: str, *, theme: ThemeName = "light"
) -> bytes:
    """False-alarm rates on later normal units against those promised, on logarithmic axes.

    Args:
        runs: one a seed, with ``promised``, ``fixed`` and ``adaptive`` rates of equal length.
        title: of the plot.

    Raises:
        ValueError: without runs, or if the lengths differ.
    """
    if not runs or len({len(run[name]) for run in runs for name in ("promised", "fixed", "adaptive")}) != 1:
        raise ValueError("promised, fixed and adaptive rates must be given for each run, as many of each")
    look = THEMES[theme]
    figure, axes = new_axes(title, "promised false-alarm rate", "achieved on later units", theme=look, height=3.6)
    promised = np.asarray(runs[0]["promised"])
    floor = promised[0] / 4
    axes.plot(promised, promised, color=look.muted, linewidth=1.0, linestyle="--", label="as promised")
    for name, colour, mark in (("fixed", look.alert, "o"), ("adaptive", look.normal, "s")):
        values = np.array([run[name] for run in runs])
        shown = np.maximum(values, floor)
        axes.fill_between(promised, shown.min(axis=0), shown.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        axes.plot(promised, np.maximum(values.mean(axis=0), floor), mark + "-", color=colour, markersize=4,
                  linewidth=1.6, label=f"{name} threshold")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(bottom=floor * 0.9)
    axes.annotate("none", (promised[0], floor), xytext=(0, 4), textcoords="offset points", color=look.muted, fontsize=8)
    add_legend(axes, look, loc="upper left")
    return png(figure)
