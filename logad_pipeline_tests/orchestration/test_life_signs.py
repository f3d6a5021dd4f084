"""A run that nobody works on any more is marked as failed; one that somebody works on never is."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import yaml
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from logad_pipeline.lake.tables import Lake
from logad_pipeline.orchestration.build import build_definitions
from logad_pipeline.orchestration.life_signs import WatchedRunLauncher
from logad_pipeline.orchestration.runs import prepare_instance, run_job

from .conftest import Deployed

REPOSITORY = Path(__file__).resolve().parents[2]
WORKING = """
import sys, time
from pathlib import Path
from logad_pipeline.lake.tables import Lake
from logad_pipeline.orchestration.runs import run_job
from logad_pipeline.settings import load_settings

def never_ends(*_):
    print("at work", flush=True)
    time.sleep(3600)

Lake.tidy = never_ends
run_job(load_settings(Path(sys.argv[1])), "tidy_lake")
"""


def monitored(deployed: Deployed) -> list[dg.DagsterRunStatus]:
    """What one round of Dagster's run monitoring leaves of the runs, newest first."""
    with deployed.instance() as instance:
        assert isinstance(instance.run_launcher, WatchedRunLauncher)
        with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as workspace:
            errors = list(execute_run_monitoring_iteration(workspace, logging.getLogger("monitoring")))
        assert not any(errors)
        return [run.status for run in instance.get_runs()]


def test_a_run_whose_process_was_killed_is_failed_and_one_that_lives_is_not(tmp_path: Path) -> None:
    deployed = Deployed(tmp_path / "lake")
    deployed.lake.create()
    command = [sys.executable, "-c", WORKING, str(deployed.root)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "at work\n"
            assert monitored(deployed) == [dg.DagsterRunStatus.STARTED]
        finally:
            process.kill()
    assert monitored(deployed) == [dg.DagsterRunStatus.FAILURE]
    with deployed.instance() as instance:
        [run] = instance.get_runs()
        said = [event.message for event in instance.all_logs(run.run_id)]
        assert any("the process that worked on it is gone" in words for words in said)
    run_job(deployed.settings, "tidy_lake")
    assert monitored(deployed) == [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def test_a_run_of_which_nothing_is_known_is_left_alone(tmp_path: Path) -> None:
    deployed = Deployed(tmp_path / "lake")
    Lake(deployed.root).create()
    prepare_instance(deployed.settings)
    with deployed.instance() as instance:
        job = build_definitions(deployed.settings).resolve_job_def("tidy_lake")
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert monitored(deployed) == [dg.DagsterRunStatus.STARTED]


def test_an_instance_as_it_was_made_before_is_brought_up_to_date(tmp_path: Path) -> None:
    deployed = Deployed(tmp_path / "lake")
    file = prepare_instance(deployed.settings) / "dagster.yaml"
    made = yaml.safe_load(file.read_text())
    before = {name: value for name, value in made.items() if name not in ("run_launcher", "run_monitoring")}
    file.write_text(yaml.safe_dump(before))
    prepare_instance(deployed.settings)
    assert yaml.safe_load(file.read_text()) == made
    by_hand = before | {"retention": {"sensor": {"purge_after_days": 7}}}
    file.write_text(yaml.safe_dump(by_hand))
    prepare_instance(deployed.settings)
    assert yaml.safe_load(file.read_text()) == by_hand
