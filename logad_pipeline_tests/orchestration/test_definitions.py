"""The code location as Dagster sees it: what is there, how it hangs together, and that it loads lightly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

from logad_pipeline.orchestration.build import build_definitions
from logad_pipeline.settings import load_settings

REPOSITORY = Path(__file__).resolve().parents[2]
UPSTREAM = {
    "raw_logs": set(),
    "normalized_logs": {"raw_logs"},
    "windows": {"normalized_logs"},
    "scores": {"windows"},
    "alerts": {"scores"},
    "daily_report": {"alerts"},
    "anomaly_model": {"windows"},
    "evaluation_report": {"anomaly_model"},
    "comparison_report": {"evaluation_report"},
    "champion_model": {"comparison_report"},
}
DAILY = ("raw_logs", "normalized_logs", "windows", "scores", "alerts", "daily_report")


@pytest.fixture
def definitions(tmp_path: Path) -> dg.Definitions:
    return build_definitions(load_settings(tmp_path / "lake"))


def asset(definitions: dg.Definitions, name: str) -> dg.AssetsDefinition:
    return definitions.resolve_assets_def(name)


def test_the_code_location_loads_without_the_heavy_libraries(tmp_path: Path) -> None:
    code = (
        "import sys, json, logad_pipeline.definitions as d; "
        "print(json.dumps([m for m in ('torch', 'transformers', 'mlflow', 'sklearn') if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == []
    assert not any(tmp_path.iterdir()), "loading made files"


def test_every_asset_is_there_with_its_arrows(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found = {
        node.key.to_user_string(): {parent.to_user_string() for parent in node.parent_keys}
        for node in graph.asset_nodes
    }
    assert found == UPSTREAM


def test_every_asset_says_what_it_is(definitions: dg.Definitions) -> None:
    for name in UPSTREAM:
        spec = asset(definitions, name).get_asset_spec(dg.AssetKey(name))
        assert spec.description, name
        assert spec.group_name in {"daily", "model"}


def test_daily_assets_share_days_and_go_through_many_in_one_run(definitions: dg.Definitions) -> None:
    shared = asset(definitions, "raw_logs").partitions_def
    assert isinstance(shared, dg.DailyPartitionsDefinition)
    for name in DAILY:
        assert asset(definitions, name).partitions_def == shared
        assert asset(definitions, name).backfill_policy == dg.BackfillPolicy.single_run()
    for name in set(UPSTREAM) - set(DAILY):
        assert asset(definitions, name).partitions_def is None


def test_the_jobs(definitions: dg.Definitions) -> None:
    selected = {
        job.name: {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
        for job in definitions.resolve_all_job_defs()
        if not job.name.startswith("__") and job.name not in ("try_champion", "tidy_lake")
    }
    assert selected == {
        "daily": set(DAILY),
        "prepare_days": set(DAILY[:3]),
        "judge_days": set(DAILY[3:]),
        "training": set(UPSTREAM) - set(DAILY),
    }


def test_what_runs_by_itself(definitions: dg.Definitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def switched(location: dg.Definitions) -> dict[str, str]:
        found = [*(location.sensors or ()), *(location.schedules or ())]
        return {each.name: each.default_status.value for each in found}

    names = {"inbox", "retraining", "changed_champion", "daily_scoring", "weekly_tidying"}
    assert switched(definitions) == dict.fromkeys(names, "RUNNING")
    monkeypatch.setenv("LOGAD_OPERATION__BY_ITSELF", "false")
    assert switched(build_definitions(load_settings(tmp_path / "lake"))) == dict.fromkeys(names, "STOPPED")


def test_checks_that_block(definitions: dg.Definitions) -> None:
    specs = {spec.key.name: spec.blocking for name in UPSTREAM for spec in asset(definitions, name).check_specs}
    assert specs == {
        "lines_match_ledger": True,
        "every_line_accounted_for": True,
        "every_record_in_a_window": True,
        "day_has_data": False,
        "share_of_unparsed_lines": False,
        "alerts_near_the_promise": False,
        "notices_were_taken": False,
        "promise_kept": False,
    }


def test_the_workspace_and_the_project_name_the_same_module() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dagster"]
    workspace = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text(encoding="utf-8"))
    [entry] = workspace["load_from"]
    assert entry["python_module"]["module_name"] == project["module_name"] == "logad_pipeline.definitions"
    assert entry["python_module"]["location_name"] == project["code_location_name"]
