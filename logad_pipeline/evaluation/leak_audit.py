"""Leak audit: whether a benchmark could flatter a model, asked before anything is fitted.

Belongs here: checks of a set as it was written, each a finding, and the check that no threshold depends
on labels. What is found is told; :func:`raise_on_leak` stops the benchmark.

When it does not work: it sees columns, names, line numbers and keys, not meaning. A label that the
logging program itself writes into its messages is a property of the data, and passes.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from .benchmark_set import BenchmarkPart, BenchmarkSet, Origin, source_lines

Fit = Callable[[BenchmarkPart], float]
"""Fits whatever sets a threshold on a part, and returns the threshold."""
_Labels = Mapping[str, Any]

_HPC: Final = ("bgl", "thunderbird")
_BARE: Final = frozenset({"-", "0", "1"})
"""Labels so short that a line may begin with one by chance; a column of them does not."""
_WORDS: Final = frozenset({"normal", "abnormal", "anomaly", "anomalous", "failure", "no_failure", "faulty"})
_COLUMN_END: Final = re.compile(rb"[\s,;|]")
_COLUMN_MARK: Final = re.compile(rb"[\t,;|]")
_NAME_WORD: Final = re.compile(r"[^a-z0-9]+")


class LeakFound(Exception):
    """A benchmark whose figures would mean nothing; the text names each leak."""


@dataclass(frozen=True)
class Finding:
    """One check: its name, whether it passed, and a sentence on what was looked at or found."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class _Scan:
    """What one pass over a written file shows."""

    lines: int
    label_line: str
    keys: frozenset[str]
    digest: bytes


def audit(benchmark: BenchmarkSet, fit: Fit | None = None, *, seed: int = 0) -> list[Finding]:
    """Check every part of a set; with ``fit``, that its threshold is free of labels as well.

    Reads each written file once and holds its keys, not its lines.

    Returns:
        The findings, six a part, or seven with ``fit``; names are ``check`` or ``check (part)``.
    """
    findings: list[Finding] = []
    for part in benchmark.parts:
        scans = {path.name: _scan(path, benchmark) for path in (*part.train, *part.test)}
        checks = [
            _label_columns(scans),
            _file_names(part, benchmark.label_words),
            _provenance_complete(part, scans),
            _no_shared_lines(part),
            _time_order(part),
            _units(part, benchmark, scans),
        ]
        if fit:
            checks.append(threshold_is_label_free(fit, part, seed=seed))
        suffix = f" ({part.name})" if part.name else ""
        findings += [replace(check, name=check.name + suffix) for check in checks]
    return findings


def raise_on_leak(findings: Iterable[Finding]) -> None:
    """Stop if a check failed.

    Raises:
        LeakFound: naming each failed check.
    """
    failed = [f"{finding.name}: {finding.detail}" for finding in findings if not finding.passed]
    if failed:
        raise LeakFound("; ".join(failed) + "; nothing was fitted: mend the loader of the set")


def threshold_is_label_free(fit: Fit, part: BenchmarkPart, *, seed: int = 0) -> Finding:
    """Whether a threshold is the same, to the bit, whatever the labels say, and whether labels are read at all.

    ``fit`` is run three times: with the labels as they are, shuffled among the units, and inverted. The
    labels are handed to it in a mapping that remembers being read; counting or naming the units is free.

    When it does not work: a ``fit`` that gets labels past the part it is handed (a closure, a file) is
    seen only if it also looks at the part's. ``fit`` must be deterministic: where it trains, hand in the
    stage that sets the threshold, over scores computed beforehand.
    """
    rng = np.random.default_rng(seed)
    found: list[float] = []
    reads = 0
    for change in ("as they are", "shuffled", "inverted"):
        truth = part.truth and _Watched(_changed(part.truth, change, rng))
        lines = part.line_truth and _Watched(_changed(part.line_truth, change, rng))
        found.append(float(fit(replace(part, truth=truth, line_truth=lines))))
        reads += sum(watched.reads for watched in (truth, lines) if isinstance(watched, _Watched))
    if len({np.float64(value).tobytes() for value in found}) > 1:
        told = ", ".join(f"{value:.6g}" for value in found)
        return Finding("threshold", False, f"the threshold moves with the labels: {told} (true, shuffled, inverted)")
    if reads:
        return Finding("threshold", False, f"labels were read {reads} times while the threshold was set")
    return Finding("threshold", True, f"{found[0]:.6g} with true, shuffled and inverted labels, none of them read")


class _Watched(Mapping[str, Any]):
    """Labels that count how often one is read."""

    def __init__(self, labels: _Labels) -> None:
        self._labels = labels
        self.reads = 0

    def __getitem__(self, key: str) -> Any:
        self.reads += 1
        return self._labels[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)


def _changed(labels: _Labels, change: str, rng: np.random.Generator) -> dict[str, Any]:
    values = list(labels.values())
    if change == "inverted":
        values = [np.logical_not(value) if isinstance(value, np.ndarray) else not value for value in values]
    elif change == "shuffled" and any(isinstance(value, np.ndarray) for value in values):
        values = [rng.permutation(value) for value in values]
    elif change == "shuffled":
        values = [values[i] for i in rng.permutation(len(values))]
    return dict(zip(labels, values, strict=True))


def _scan(path: Path, benchmark: BenchmarkSet) -> _Scan:
    words = {word.lower().encode() for word in (benchmark.label_words | _WORDS)} - {b.encode() for b in _BARE}
    bare = {word.encode() for word in _BARE}
    key = re.compile(benchmark.window_spec.group_by.encode()) if benchmark.unit == "group" else None
    epoch = benchmark.read_spec.format in _HPC
    lines = bare_first = labels_last = 0
    seen, digest, keys = "", hashlib.sha256(), set()
    for lines, line in source_lines(path):
        digest.update(line)
        text = line.strip()
        first = _COLUMN_END.split(text, maxsplit=1)[0]
        bare_first += first in bare
        # Many a message ends with a number after a blank; a column of numbers has another mark before it.
        labels_last += _COLUMN_MARK.split(text)[-1] in bare or _COLUMN_END.split(text)[-1].lower() in words
        if not seen and (first.lower() in words or (epoch and text and not first.isdigit())):
            seen = f"line {lines} begins with '{first.decode('utf-8', 'replace')}'"
        if key and (match := key.search(line)):
            keys.add(match.group(key.groups).decode("utf-8", "replace"))
    if not seen and lines and 2 * bare_first > lines:
        seen = f"{bare_first} of {lines} lines begin with -, 0 or 1"
    if not seen and lines > 1 and labels_last == lines:
        seen = "every line ends with a label's word"
    return _Scan(lines, seen, frozenset(keys), digest.digest())


def _label_columns(scans: Mapping[str, _Scan]) -> Finding:
    bad = [f"{name} {scan.label_line}" for name, scan in scans.items() if scan.label_line]
    told = f"{len(bad)} files show a label as a column, such as {bad[0]}" if bad else f"{len(scans)} files show none"
    return Finding("label columns", not bad, told)


def _file_names(part: BenchmarkPart, label_words: frozenset[str]) -> Finding:
    words = {word.lower() for word in label_words | _WORDS} - _BARE
    names = [path.name for path in (*part.train, *part.test)]
    bad = [
        name for name in names
        if words & set(_NAME_WORD.split(name.lower())) or any("_" in word and word in name.lower() for word in words)
    ]  # fmt: skip
    told = f"'{bad[0]}' carries a label" if bad else f"{len(names)} names carry no label"
    return Finding("file names", not bad, told)


def _provenance_complete(part: BenchmarkPart, scans: Mapping[str, _Scan]) -> Finding:
    names = [path.name for path in (*part.train, *part.test)]
    if len(set(names)) < len(names):
        return Finding("provenance", False, "two files have the same name, so their lines cannot be told apart")
    for name in names:
        known = sum(len(origin.lines) for origin in part.provenance.get(name, ()))
        if known != scans[name].lines:
            told = f"{name} holds {scans[name].lines} lines, the origin of {known} is known"
            return Finding("provenance", False, told)
    return Finding("provenance", True, f"the origin of all {sum(scan.lines for scan in scans.values())} lines is known")


def _origins(part: BenchmarkPart, files: Iterable[Path]) -> Iterator[Origin]:
    for path in files:
        yield from part.provenance.get(path.name, ())


def _no_shared_lines(part: BenchmarkPart) -> Finding:
    learned: dict[str, list[np.ndarray[tuple[int], np.dtype[np.int64]]]] = defaultdict(list)
    for origin in _origins(part, part.train):
        learned[origin.source].append(origin.lines)
    known = {source: np.concatenate(lines) for source, lines in learned.items()}
    for path in part.test:
        for origin in part.provenance.get(path.name, ()):
            shared = np.intersect1d(origin.lines, known.get(origin.source, np.empty(0, dtype=np.int64)))
            if len(shared):
                told = f"{len(shared)} lines of {path.name} are in training, the first {origin.source} line {shared[0]}"
                return Finding("shared lines", False, told)
    return Finding("shared lines", True, "no source line is in both training and test")


def _time_order(part: BenchmarkPart) -> Finding:
    last: dict[str, tuple[int, int]] = {}
    for origin in _origins(part, part.train):
        if len(origin.lines):
            latest = (origin.ordinal, int(origin.lines.max()))
            last[origin.stream] = max(latest, last.get(origin.stream, latest))
    for origin in _origins(part, part.test):
        if len(origin.lines) and last.get(origin.stream, (-1, 0)) >= (origin.ordinal, int(origin.lines.min())):
            told = f"training reaches into the test: {origin.source} line {int(origin.lines.min())} is tested"
            return Finding("time order", False, f"{told}, but the stream is learned from up to a later line")
    return Finding("time order", True, f"in {len(last)} streams all that is learned comes before all that is tested")


def _units(part: BenchmarkPart, benchmark: BenchmarkSet, scans: Mapping[str, _Scan]) -> Finding:
    """Units that are judged were never learned from, and are there."""
    train, test = ([scans[path.name] for path in files] for files in (part.train, part.test))
    if benchmark.unit == "window":
        wrong = [path.name for path in part.test if len((part.line_truth or {}).get(path.name, ())) !=
                 scans[path.name].lines]  # fmt: skip
        told = f"{wrong[0]} has not one label a line" if wrong else "one label for each line of the test"
        return Finding("units", not wrong, told)
    judged = set(part.truth or ())
    if benchmark.unit == "group":
        learned = set[str]().union(*(scan.keys for scan in train))
        there = set[str]().union(*(scan.keys for scan in test))
    else:
        contents = {scan.digest for scan in train}
        learned = {path.name for path in part.train}
        learned |= {path.name for path in part.test if scans[path.name].digest in contents}
        there = {path.name for path in part.test}
    if seen := sorted(judged & learned):
        return Finding("units", False, f"{len(seen)} units of the test were seen in training, such as {seen[0]}")
    if lost := sorted(judged - there):
        return Finding("units", False, f"{len(lost)} labelled units are not in the test files, such as {lost[0]}")
    return Finding("units", bool(judged), f"{len(judged)} units are judged, none of them seen in training")
