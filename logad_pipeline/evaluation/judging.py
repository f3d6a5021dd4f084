"""A fitted model on the test units of a benchmark: its scores, each detector's, and those without some.

Belongs here: going from files to scores a unit, through the same code as `logad detect`. Which sets and
seeds is ``benchmark``'s business; no label is read here but to say which units are judged.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.detectors.ensemble import AnomalyDetector, Judged
from logad_pipeline.detectors.registry import DETECTORS
from logad_pipeline.detectors.unit_model import UnitModel
from logad_pipeline.detectors.units import UnitKind, UnitTable, gather
from logad_pipeline.streams import FileScorer, LineWindow, WindowReader

from .baselines import UnitLines
from .benchmark_set import BenchmarkPart, BenchmarkSet, BoolArray

_ERROR = frozenset({"ERR", "ERROR", "SEVERE", "CRIT", "CRITICAL", "FATAL", "ALERT", "EMERG", "PANIC"})
_SEVERE = _ERROR | {"WARN", "WARNING"}
Judge = Callable[[UnitTable, Mapping[str, FloatArray]], Judged]

ALONE = "alone: "
WITHOUT = "without "
ONLY_BERT = "only BERT"
FUSION = "fusion"


@dataclass(frozen=True)
class JudgedUnits:
    """Scores of the judged units of one part, in time order.

    Attributes:
        scores: by row of the table (``fusion``, ``alone: …``, ``without …``, ``only BERT``), float64 ``[n]`` in [0, 1).
        log10_p: float64 ``[n]``, the fusion's p-values.
        kinds: what units have in common, for a threshold that adapts.
        novel: bool ``[n]``, which hold a line that was never seen in training, for the same.
        truth: bool ``[n]``, true for anomalous.
        weights: of the fusion, by detector.
    """

    scores: Mapping[str, FloatArray]
    log10_p: FloatArray
    kinds: list[bytes]
    novel: BoolArray
    truth: BoolArray
    weights: Mapping[str, float]


def truth_of(part: BenchmarkPart, source: str, window: LineWindow) -> bool | None:
    """Whether the unit that ``window`` is in is anomalous; ``None`` if it is not judged."""
    name = Path(source).name
    if part.line_truth is not None:
        return bool(part.line_truth[name][[line - 1 for line in window.lines]].any())
    assert part.truth is not None
    return part.truth.get(name, part.truth.get(window.group))


def unit_key(kind: UnitKind, window: LineWindow, row: int) -> Hashable:
    """The unit of a window; a group is one unit over all files, as its key is."""
    source = "" if kind.kind == "group" and window.group else window.source
    return kind.key(source, window.group, window.time_us, row)


def judge_part(benchmark: BenchmarkSet, part: BenchmarkPart, model: AnomalyDetector) -> JudgedUnits:
    """Score the test units of a part, with the whole fusion, each detector alone, and some left out."""
    scorer = FileScorer(model, benchmark.window_spec, benchmark.read_spec)
    windows: list[LineWindow] = []
    parts: list[dict[str, FloatArray]] = []
    for path in part.test:
        for some, log10_p in scorer.log10_p(str(path)):
            windows += some
            parts.append(log10_p)
    values = {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}
    kind = UnitKind.parse(benchmark.unit)
    keys = [unit_key(kind, window, row) for row, window in enumerate(windows)]
    unique = np.array([window.unique for window in windows], dtype=np.int64)
    table = gather(keys, unique, scorer.reader.index.build())
    firsts = [windows[row] for row in table.rows[table.offsets[:-1]]]
    told = [truth_of(part, window.source, window) for window in firsts]
    times = [window.time_us or 0 for window in firsts]
    judged = np.array([unit for unit in np.argsort(times, kind="stable") if told[unit] is not None], dtype=np.int64)
    truth = np.array([bool(told[unit]) for unit in judged])
    scores: dict[str, FloatArray] = {}
    fused = log10_p_fused = None
    for row, one, weights in _variants(model, kind):
        result = one(table, values)
        scores[row] = result.score[judged]
        if row == FUSION:
            fused, log10_p_fused = weights, result.log10_p[judged]
            scores |= {ALONE + name: channel[judged] for name, channel in result.detectors.items()}
    assert fused is not None and log10_p_fused is not None
    bags = table.bags.take(judged)
    return JudgedUnits(scores, log10_p_fused, bags.kinds(), model.reference.novel(bags), truth, fused)


def _variants(model: AnomalyDetector, kind: UnitKind) -> Iterator[tuple[str, Judge, dict[str, float]]]:
    """The fusion, and the fusion without some detectors: row of the table, how it judges, its weights."""
    whole = model if kind.kind == "window" else UnitModel.fit(model.reference, list(model.names), kind, model.scale)
    yield FUSION, _judge(whole), _weights(whole)
    names = whole.fusion.names
    bert = [name for name in names if name in DETECTORS and not DETECTORS[name].reads_texts_only]
    others = [name for name in names if name not in bert]
    for row, left_out in ((ONLY_BERT, others), (WITHOUT + "BERT", bert), *((WITHOUT + name, [name]) for name in names)):
        if 0 < len(left_out) < len(names):
            rest = whole.without(*left_out)
            yield row, _judge(rest), _weights(rest)


def _judge(model: AnomalyDetector | UnitModel) -> Judge:
    if isinstance(model, UnitModel):
        return model.judge
    return lambda table, log10_p: model.judge({name: log10_p[name][table.rows] for name in model.names})


def _weights(model: AnomalyDetector | UnitModel) -> dict[str, float]:
    return dict(zip(model.fusion.names, model.fusion.weights, strict=True))


def unit_lines(
    benchmark: BenchmarkSet, part: BenchmarkPart
) -> tuple[list[UnitLines], list[UnitLines], BoolArray]:
    """The training units in time order, the judged test units as in :func:`judge_part`, and their truth."""
    reader = WindowReader(benchmark.window_spec, benchmark.read_spec, facts=True)
    kind = UnitKind.parse(benchmark.unit)
    train = [unit for _, unit, _ in _read_units(reader, kind, part.train)]
    test, truth = [], []
    for window, unit, _ in _read_units(reader, kind, part.test):
        told = truth_of(part, window.source, window)
        if told is not None:
            test.append(unit)
            truth.append(told)
    return train, test, np.array(truth, dtype=np.bool_)


def _read_units(
    reader: WindowReader, kind: UnitKind, files: Sequence[Path]
) -> list[tuple[LineWindow, UnitLines, int]]:
    """The units of some files by the time of their first window, with that window."""
    units: dict[Hashable, list[LineWindow]] = {}
    for row, window in enumerate(window for path in files for window in reader.read(str(path))):
        units.setdefault(unit_key(kind, window, row), []).append(window)
    whole = reader.index.build()
    out = []
    for members in units.values():
        lines = whole.line_ids[whole.places(np.array([window.unique for window in members]))]
        levels = {fact.severity for window in members for fact in window.facts}
        unit = UnitLines(lines.astype(np.int64), bool(levels & _SEVERE), bool(levels & _ERROR))
        out.append((members[0], unit, members[0].time_us or 0))
    return sorted(out, key=lambda each: each[2])
