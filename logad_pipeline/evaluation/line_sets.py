"""Sets whose labels stand on lines: auth.log, Linux, Thunderbird, Blue Gene/L.

Belongs here: splitting one file in time, and cutting off a label that stands in the line. Units are
windows; where a label is a rule on words (auth.log, Linux), a rule on words is what a detector meets.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from logad_pipeline.streams import ReadSpec
from logad_pipeline.windows import WindowSpec

from .benchmark_set import (
    TRAIN_SHARE,
    BenchmarkPart,
    BenchmarkSet,
    BoolArray,
    Layout,
    LineFile,
    SetNotFound,
    count_lines,
    csv_rows,
    find_file,
    locate,
    only_variants,
    source_lines,
)

VARIANTS: Final = ("", "unlabelled")
NO_ALERT: Final = b"-"
_TRAINING: Final = {
    "": "the lines of the first 40 % without those that are labelled; labels choose what is left out",
    "unlabelled": "all lines of the first 40 %, labelled ones among them; labels have no say",
}


@dataclass(frozen=True)
class LineSet:
    """A log with a label a line.

    Attributes:
        name, description: what it is called and what it is.
        logs: names that the log may have.
        labels: names of the table of labels by line number; empty where the label is the first column.
        folders: where it may lie below the folder given.
        read_spec: how its lines are read.
        limit: lines looked at, at most.
    """

    name: str
    description: str
    logs: tuple[str, ...]
    labels: tuple[str, ...]
    folders: tuple[str, ...]
    read_spec: ReadSpec
    limit: int | None = None

    def load(self, data: Path, work: Path, variant: str = "") -> BenchmarkSet:
        """The set, split at 40 % of its lines.

        Raises:
            SetNotFound: a file is missing, or log and labels differ in length.
        """
        only_variants(self.name, variant, VARIANTS)
        files = self._locate(data)
        total = count_lines(files["log"], self.limit)
        cut = int(TRAIN_SHARE * total)
        truth, words = array("b"), set()
        folder = work / f"{self.name}{'-' if variant else ''}{variant}"
        with LineFile(folder / "train.log") as learn, LineFile(folder / "test.log") as judge:
            for number, line, alert, word in islice(self._labelled(files, total), total):
                words.add(word)
                if number > cut:
                    judge.write(line, number, files["log"].name)
                    truth.append(alert)
                elif variant or not alert:
                    learn.write(line, number, files["log"].name)
            part = BenchmarkPart(
                "",
                (learn.path,),
                (judge.path,),
                truth=None,
                line_truth={judge.path.name: np.array(truth, dtype=np.bool_)},
                provenance={learn.path.name: learn.close(), judge.path.name: judge.close()},
            )
        spec = WindowSpec("fixed", size=10)
        label_words = frozenset(word for word in words if word)
        return BenchmarkSet(
            self.name, self.description, "window", spec, self.read_spec, (part,), _TRAINING[variant], label_words
        )

    def _locate(self, data: Path) -> dict[str, Path]:
        roles = {"log": self.logs} | ({"labels": self.labels} if self.labels else {})
        try:
            return locate(self.name, data, self.folders, (Layout(self.name, roles),))[1]
        except SetNotFound as error:
            sample = [find_file(place, ("BGL_2k.log",)) for place in (data, data / "bgl_sample")]
            if self.name == "bgl" and any(sample):
                raise SetNotFound(
                    f"{error}. BGL_2k.log is there, but its 2,000 lines are sampled, not contiguous: windows of "
                    "them mean nothing, so it is no benchmark; fetch LogHub's whole BGL.log"
                ) from error
            raise

    def _labelled(self, files: dict[str, Path], total: int) -> Iterator[tuple[int, bytes, bool, str]]:
        """Number, line without its label, whether it is labelled anomalous, and the label's word if it stood there."""
        if self.labels:
            alerts = _alerts(files["labels"], total)
            for number, line in source_lines(files["log"]):
                yield number, line, bool(alerts[number - 1]), ""
            return
        for number, line in source_lines(files["log"]):
            word, found, rest = line.partition(b" ")
            if not found or word.isdigit():
                raise SetNotFound(
                    f"{files['log']} line {number}: no label in its first column ('-' or an alert's name), so nothing "
                    "can be judged; fetch LogHub's original file"
                )
            yield number, rest, word != NO_ALERT, word.decode("utf-8", "replace")


def _alerts(file: Path, total: int) -> BoolArray:
    labels = np.zeros(total, dtype=np.bool_)
    rows = 0
    for row in csv_rows(file, ("line_no", "label")):
        rows += 1
        number = int(row["line_no"])
        if not 1 <= number <= total:
            raise SetNotFound(f"{file}: label of line {number}, but the log has {total} lines; fetch both again")
        labels[number - 1] = row["label"] == "1"
    if rows != total:
        raise SetNotFound(f"{file}: {rows} labels for {total} lines; fetch log and labels of the same release")
    return labels


AUTHLOG: Final = LineSet(
    "authlog",
    "auth.log of an Internet-facing Linux host; weak labels: rules on the message",
    ("auth.log",), ("labels_rule_based.csv",), ("authlog",), ReadSpec(year=2017),
)  # fmt: skip
LINUX: Final = LineSet(
    "linux",
    "/var/log/messages of a Linux host over nine months; weak labels: rules on keywords",
    ("Linux.log",), ("labels_weak.csv",), ("linux",), ReadSpec(year=2005),
)  # fmt: skip
THUNDERBIRD: Final = LineSet(
    "thunderbird",
    "syslog of the Thunderbird supercomputer, alerts labelled by the authors; ten million lines at most, as is usual",
    ("thunderbird.log", "Thunderbird.log"), (), ("thunderbird", "Thunderbird"), ReadSpec("thunderbird"), 10_000_000,
)  # fmt: skip
BGL: Final = LineSet(
    "bgl",
    "RAS log of the Blue Gene/L supercomputer, alerts labelled by the authors; LogHub's whole file only",
    ("BGL.log",), (), ("bgl", "BGL"), ReadSpec("bgl"),
)  # fmt: skip
