"""OpenStack: fault-injection rounds on three hosts (Cotroneo et al.), or LogHub's runs by instance.

Belongs here: which round or instance is learned from and which is judged. The names of written files are
a running number and the host, since the model's user sees them and a label must not stand there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from logad_pipeline.streams import ReadSpec
from logad_pipeline.windows import WindowSpec

from .benchmark_set import (
    TRAIN_SHARE,
    BenchmarkPart,
    BenchmarkSet,
    Layout,
    LineFile,
    Origin,
    SetNotFound,
    csv_rows,
    find_file,
    label_text,
    locate,
    only_variants,
    source_lines,
)

VARIANTS: Final = ("", "per-host", "unlabelled")
DESCRIPTION: Final = "OpenStack: fault-injection rounds of three hosts; or LogHub's OpenStack by instance"
REQUEST: Final = r"(req-[0-9a-f-]{36})"
INSTANCE: Final = r"\[instance: ([0-9a-f-]{36})\]"
_RUNS: Final = ("openstack_normal1.log", "openstack_normal2.log", "openstack_abnormal.log")
_LAYOUTS: Final = (
    Layout("rounds", {"rounds": ("rounds.csv",)}),
    Layout("loghub", {**{name: (name,) for name in _RUNS}, "labels": ("anomaly_labels.txt",)}),
)
_FAULT_FREE: Final = (
    "fault-free rounds (round 2, no failure) among the first 40 % of each host's rounds; labels choose them"
)
_TRAINING: Final = {
    "": f"{_FAULT_FREE}; one model for the three hosts",
    "per-host": f"{_FAULT_FREE}; one model a host",
    "unlabelled": "all rounds among the first 40 % of each host's rounds, failed ones among them; labels have no "
    "say; one model for the three hosts",
}


@dataclass(frozen=True)
class _Round:
    """A round of one host; ``late`` after the first 40 % of the host's rounds."""

    start: str
    host: str
    key: tuple[str, str]
    status: str
    late: bool

    @property
    def fault_free(self) -> bool:
        return self.key[1] == "2" and self.status == "NO_FAILURE"


def load_openstack(data: Path, work: Path, variant: str = "") -> BenchmarkSet:
    """Rounds where ``rounds.csv`` is, instances where LogHub's files are.

    Tests on the rounds after the first 40 % of each host's: failed ones are anomalous, fault-free ones
    without failure normal, and the others (faulty without failure) are left out.

    Raises:
        SetNotFound: a file is missing or a line's round is unknown.
    """
    layout, files = locate("openstack", data, ("openstack", "OpenStack"), _LAYOUTS)
    if layout == "loghub":
        only_variants("openstack", variant, ("",))
        return _load_instances(files, work / "openstack-instances")
    only_variants("openstack", variant, VARIANTS)
    source = files["rounds"].parent
    rounds = _read_rounds(files["rounds"])
    train = [r for r in rounds if not r.late and (variant == "unlabelled" or r.fault_free)]
    test = [r for r in rounds if r.late and (r.status == "FAILURE" or r.fault_free)]
    hosts = sorted({r.host for r in rounds})
    folder = work / f"openstack{'-' if variant else ''}{variant}"
    wanted = [(host, [host]) for host in hosts] if variant == "per-host" else [("", hosts)]
    parts = tuple(
        _write_part(
            name, [r for r in train if r.host in among], [r for r in test if r.host in among], source, folder / name
        )
        for name, among in wanted
    )
    words = frozenset({r.status for r in rounds} | {"NO_FAILURE", "FAILURE"})
    return BenchmarkSet(
        "openstack",
        "OpenStack Nova fault injection, three hosts, by round of about ten minutes",
        "file",
        WindowSpec("session", group_by=REQUEST),
        ReadSpec("openstack"),
        parts,
        _TRAINING[variant],
        words,
    )


def _read_rounds(file: Path) -> list[_Round]:
    """All rounds of all hosts in time order."""
    rows = list(csv_rows(file, ("host", "test", "round", "first_ts", "status")))
    rounds: list[_Round] = []
    for host in {row["host"] for row in rows}:
        ordered = sorted((row for row in rows if row["host"] == host), key=lambda row: row["first_ts"])
        cut = int(TRAIN_SHARE * len(ordered))
        for place, row in enumerate(ordered):
            key = (row["test"], row["round"])
            rounds.append(_Round(row["first_ts"], host, key, row["status"], place >= cut))
    return sorted(rounds, key=lambda r: (r.start, r.host))


def _write_part(
    name: str, train: Sequence[_Round], test: Sequence[_Round], source: Path, folder: Path
) -> BenchmarkPart:
    """Write each round as a file of its own, numbered in time."""
    chosen = sorted([*train, *test], key=lambda r: (r.start, r.host))
    file_of = {(r.host, r.key): folder / f"{i:04d}-{r.host}.log" for i, r in enumerate(chosen, 1)}
    provenance: dict[str, tuple[Origin, ...]] = {}
    for host in sorted({r.host for r in chosen}):
        provenance |= _write_rounds(host, {key: path for (at, key), path in file_of.items() if at == host}, source)
    return BenchmarkPart(
        name,
        tuple(file_of[r.host, r.key] for r in train),
        tuple(file_of[r.host, r.key] for r in test),
        truth={file_of[r.host, r.key].name: r.status == "FAILURE" for r in test},
        line_truth=None,
        provenance=provenance,
    )


def _write_rounds(
    host: str, file_of: Mapping[tuple[str, str], Path], source: Path
) -> dict[str, tuple[Origin, ...]]:
    """Deal the lines of a host's stream to the files of their rounds."""
    log, table = (find_file(source, (f"{host}.{end}",)) for end in ("log", "labels.csv"))
    if log is None or table is None:
        raise SetNotFound(f"{source}: {host}.log or {host}.labels.csv missing (plain, .xz or .gz); fetch the set again")
    with ExitStack() as stack:
        files = {key: stack.enter_context(LineFile(path)) for key, path in file_of.items()}
        rows = csv_rows(table, ("line_no", "test", "round"))
        for number, line in source_lines(log):
            row = next(rows, None)
            if row is None or int(row["line_no"]) != number:
                raise SetNotFound(f"{table}: no label for line {number} of {log.name}; fetch both files again")
            into = files.get((row["test"], row["round"]))
            if into:
                into.write(line, number, log.name, host)
        return {file.path.name: file.close() for file in files.values()}


def _load_instances(files: Mapping[str, Path], folder: Path) -> BenchmarkSet:
    """LogHub's OpenStack (Du et al., CCS 2017): learn from the first normal run, judge instances of the others."""
    uuid = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
    anomalous = set(uuid.findall(label_text(files["labels"])))
    train = folder / "train.log"
    judged = sorted((files[name] for name in _RUNS[1:]), key=_first_stamp)
    provenance: dict[str, tuple[Origin, ...]] = {}
    learned = _copy_run(files[_RUNS[0]], train, provenance)
    found: set[str] = set()
    test = tuple(folder / f"test-{number}.log" for number in range(1, len(judged) + 1))
    for run, path in zip(judged, test, strict=True):
        found |= _copy_run(run, path, provenance)
    part = BenchmarkPart(
        "",
        (train,),
        test,
        truth={key: key in anomalous for key in sorted(found - learned)},
        line_truth=None,
        provenance=provenance,
    )
    return BenchmarkSet(
        "openstack",
        "OpenStack of LogHub by instance, four of them with an injected anomaly",
        "group",
        WindowSpec("session", group_by=INSTANCE),
        ReadSpec("openstack"),
        (part,),
        "the first fault-free run, as published; that it is fault-free was known beforehand, and the run with "
        "anomalies was recorded before it, so this split is by run and not by time",
        frozenset(Path(name).stem for name in _RUNS),
    )


def _copy_run(run: Path, path: Path, provenance: dict[str, tuple[Origin, ...]]) -> set[str]:
    """Copy a run under a name that says nothing; the instances in it."""
    pattern = re.compile(INSTANCE.encode())
    found: set[str] = set()
    with LineFile(path) as file:
        for number, line in source_lines(run):
            file.write(line, number, run.name, run.name)
            if match := pattern.search(line):
                found.add(match.group(1).decode())
        provenance[path.name] = file.close()
    return found


def _first_stamp(file: Path) -> str:
    _, line = next(source_lines(file), (0, b""))
    match = re.search(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", line)
    return match.group().decode() if match else ""
