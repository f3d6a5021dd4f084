"""Results as people and programs read them: a table of rows, each a mean over seeds, and the same as JSON.

Belongs here: averaging evaluations and laying them out. The numbers themselves are ``metrics``' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .metrics import MIN_UNITS_PER_CLASS, Evaluation, Interval, ThresholdMetrics

NOTE: Final = (
    "Mean over seeds. In brackets: 95 % bootstrap interval over test units, the seeds' bounds averaged; too narrow\n"
    "where units are not independent, as neighbouring windows are not. Alerts are scores of 0.5 and above, a\n"
    "threshold set without labels; 'oracle' is the best F1 of any threshold, chosen on the test labels. – is undefined."
)
_NAME_WIDTH: Final = 22
_UNDEFINED: Final = "–"


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: what was evaluated.
        runs: an evaluation a seed, one or more, all of the same units.
        seconds: of fitting and scoring, a seed each; empty where they were not taken.
    """

    name: str
    runs: tuple[Evaluation, ...]
    seconds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError(f"row '{self.name}' has no evaluation; give one a seed")
        if len({(run.units, run.positives) for run in self.runs}) > 1:
            raise ValueError(f"row '{self.name}' mixes evaluations of different units; give each set a row")


@dataclass(frozen=True)
class Figure:
    """A metric over seeds; all ``None`` where any seed leaves it undefined.

    Attributes:
        mean, least, most: over seeds.
        low, high: mean over seeds of the bounds of the 95 % interval; ``None`` where there is none.
    """

    mean: float | None
    least: float | None = None
    most: float | None = None
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """JSON-ready values."""
        return {"mean": self.mean, "least": self.least, "most": self.most, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        if self.mean is None:
            return _UNDEFINED
        bounds = "" if self.low is None or self.high is None else f" [{_bare(self.low)}, {_bare(self.high)}]"
        return f"{self.mean:.3f}{bounds}"


def f1_interval(
    metrics: ThresholdMetrics, *, seed: int, resamples: int = 1000, level: float = 0.95
) -> Interval | None:
    """Percentile bootstrap interval of F1 at a threshold, over units.

    F1 depends on four counts only, so drawing units with replacement is one multinomial draw of the four.
    Units must be independent, as for ``metrics.bootstrap_interval``.

    Returns:
        The interval, or ``None`` with fewer than ``MIN_UNITS_PER_CLASS`` units of either class.
    """
    missed, false_alarms = metrics.positives - metrics.hits, metrics.alerts - metrics.hits
    rest = metrics.units - metrics.hits - missed - false_alarms
    if min(metrics.positives, metrics.units - metrics.positives) < MIN_UNITS_PER_CLASS:
        return None
    cells = np.array([metrics.hits, missed, false_alarms, rest]) / metrics.units
    drawn = np.random.default_rng(seed).multinomial(metrics.units, cells, size=resamples)
    drawn = drawn[drawn[:, 0] + drawn[:, 1] > 0]
    if not len(drawn):
        return None
    sample = 2 * drawn[:, 0] / (2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2])
    low, high = np.quantile(sample, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, len(sample))


def figures(row: Row) -> dict[str, Figure]:
    """The metrics of a row by name; ``best_f1_oracle`` looks at the test labels, the others do not."""
    at = [run.at_threshold for run in row.runs]
    f1_bounds = [f1_interval(run.at_threshold, seed=run.seed) for run in row.runs]
    best = [run.best_f1_oracle.f1 if run.best_f1_oracle else None for run in row.runs]
    return {
        "roc_auc": _figure([run.roc_auc for run in row.runs], [run.roc_auc_interval for run in row.runs]),
        "pr_auc": _figure([run.pr_auc for run in row.runs], [run.pr_auc_interval for run in row.runs]),
        "f1": _figure([found.f1 for found in at], f1_bounds),
        "precision": _figure([found.precision for found in at]),
        "recall": _figure([found.recall for found in at]),
        "false_alarm_rate": _figure([found.false_alarm_rate for found in at]),
        "best_f1_oracle": _figure(best),
        "seconds": _figure(row.seconds),
    }


def to_dict(title: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The table as JSON-ready values, with each seed's evaluation whole."""
    return {
        "title": title,
        "note": NOTE.replace("\n", " "),
        "rows": [
            {
                "name": row.name,
                "units": row.runs[0].units,
                "positives": row.runs[0].positives,
                "seeds": len(row.runs),
                "metrics": {name: figure.to_dict() for name, figure in figures(row).items()},
                "runs": [run.to_dict() for run in row.runs],
            }
            for row in rows
        ],
    }


def table(title: str, rows: Sequence[Row]) -> str:
    """The rows as one aligned text of at most 140 columns, for a monospaced font.

    >>> from logad_pipeline.evaluation.metrics import evaluate
    >>> row = Row("a rule", (evaluate([0.9, 0.1, 0.2], [True, False, False], 0.5, seed=0),))
    >>> print(table("three units", [row]).splitlines()[3].split())
    ['a', 'rule', '1', '1.000', '1.000', '1.000', '1.000', '1.000', '0.0000', '1.000', '–']
    """
    heads = ["", "seeds", "ROC-AUC", "PR-AUC", "F1", "prec.", "recall", "false al.", "oracle F1", "s"]
    cells = [heads, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    lines = ["  ".join(_aligned(line, widths)).rstrip() for line in cells]
    units = f"{rows[0].runs[0].units} units, {rows[0].runs[0].positives} anomalous" if rows else "no rows"
    return "\n".join([f"{title}: {units}", lines[0], "-" * max(map(len, lines)), *lines[1:], NOTE]) + "\n"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Names and figures with an interval to the left, bare figures to the right."""
    left = (0, 2, 3, 4)
    return [
        cell.ljust(width) if column in left else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]


def _cells(row: Row) -> list[str]:
    found = figures(row)
    name = row.name if len(row.name) <= _NAME_WIDTH else row.name[: _NAME_WIDTH - 1] + "…"
    alarms, seconds = found["false_alarm_rate"].mean, found["seconds"].mean
    return [
        name,
        str(len(row.runs)),
        *(str(found[metric]) for metric in ("roc_auc", "pr_auc", "f1", "precision", "recall")),
        _UNDEFINED if alarms is None else f"{alarms:.4f}",
        str(found["best_f1_oracle"]),
        _UNDEFINED if seconds is None else f"{seconds:.{1 if seconds < 100 else 0}f}",
    ]


def _bare(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _figure(values: Sequence[float | None], intervals: Sequence[Interval | None] = ()) -> Figure:
    defined = [value for value in values if value is not None]
    if not defined or len(defined) < len(values):
        return Figure(None)
    bounds = [interval for interval in intervals if interval is not None]
    sure = bool(bounds) and len(bounds) == len(values)
    return Figure(
        float(np.mean(defined)),
        min(defined),
        max(defined),
        float(np.mean([interval.low for interval in bounds])) if sure else None,
        float(np.mean([interval.high for interval in bounds])) if sure else None,
    )
