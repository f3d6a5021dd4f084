"""The labelled sets by name: what there is to measure on, and the one way to load it.

Belongs here: the registry. Adding a set is a module beside this one and a line in ``LOADERS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import hadoop_set, hdfs_set, line_sets, openstack_sets
from .benchmark_set import BenchmarkPart, BenchmarkSet, Origin, SetNotFound

__all__ = ["LOADERS", "BenchmarkPart", "BenchmarkSet", "Loader", "Origin", "SetNotFound", "load_set"]


@dataclass(frozen=True)
class Loader:
    """How a set is loaded: ``load(data, work, variant)``; ``variants`` are those of its richest layout."""

    load: Callable[[Path, Path, str], BenchmarkSet]
    description: str
    variants: tuple[str, ...]


LOADERS: Final[dict[str, Loader]] = {
    "hdfs": Loader(hdfs_set.load_hdfs, hdfs_set.DESCRIPTION, hdfs_set.VARIANTS),
    "openstack": Loader(openstack_sets.load_openstack, openstack_sets.DESCRIPTION, openstack_sets.VARIANTS),
    "hadoop": Loader(hadoop_set.load_hadoop, hadoop_set.DESCRIPTION, hadoop_set.VARIANTS),
    **{
        lines.name: Loader(lines.load, lines.description, line_sets.VARIANTS)
        for lines in (line_sets.AUTHLOG, line_sets.LINUX, line_sets.THUNDERBIRD, line_sets.BGL)
    },
}


def load_set(name: str, data: Path, work: Path, variant: str = "") -> BenchmarkSet:
    """Load a labelled set, split in time.

    Args:
        name: a key of ``LOADERS``.
        data: the folder of the set, or the one above it; it is only read.
        work: a folder for the files of lines; what lies there under the same names is written anew.
        variant: how training units are chosen, and how many models there are.

    Raises:
        ValueError: the set, or its variant, is not known.
        SetNotFound: a file is missing or does not fit the others.
    """
    if name not in LOADERS:
        raise ValueError(f"set '{name}' is not known; use one of {', '.join(sorted(LOADERS))}")
    return LOADERS[name].load(data, work, variant)
