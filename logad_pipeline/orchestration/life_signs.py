"""Whether somebody still works on a run: a lock that the kernel takes back when the process is gone.

Belongs here: giving the sign, and looking for it. What happens to a run without one is Dagster's run monitoring.
"""

import fcntl
import os
from pathlib import Path

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus

_FOLDER = "working"
_HELD: list[tuple[Path, int]] = []
"""What this process holds: the file of a run, and its descriptor."""


def begin(instance: dg.DagsterInstance, run_id: str) -> None:
    """Give a sign of life for a run, for as long as this process lives, or until :func:`end`.

    Processes that work on one run together each give one.
    """
    # What ended in this process has told Dagster so by now.
    for file, descriptor in [held for held in _HELD if not held[0].exists()]:
        os.close(descriptor)
        _HELD.remove((file, descriptor))
    file = _file(instance, run_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    _HELD.append((file, descriptor))


def end(instance: dg.DagsterInstance, run_id: str) -> None:
    """Take the file of a run away. The lock stays: Dagster is told only afterwards how the run has ended."""
    _file(instance, run_id).unlink(missing_ok=True)


def gone(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether those who worked on a run are gone without a word.

    Known only of runs that gave a sign on this machine; of others the answer is no.
    """
    try:
        descriptor = os.open(_file(instance, run_id), os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _file(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.root_directory) / _FOLDER / run_id


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher, which can also say whether a run's process is gone: killed, or of a machine that went
    down. Run monitoring asks it, of runs that a command started as well."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """It does."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """How the process of a run is; a run of which nothing is known is taken to run."""
        if gone(self._instance, run.run_id):
            return CheckRunHealthResult(
                WorkerStatus.FAILED,
                "the process that worked on it is gone: it was killed, or the machine went down; what it wrote is "
                "whole, and it can be run again",
            )
        return CheckRunHealthResult(WorkerStatus.RUNNING)
