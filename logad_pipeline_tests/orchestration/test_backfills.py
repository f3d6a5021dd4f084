"""Backfills over GraphQL: the questions are ones that the installed Dagster knows, and what its answers come to."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse, validate

from logad_pipeline.orchestration import backfills
from logad_pipeline.orchestration.backfills import state_of

DAYS = ["2025-03-03", "2025-03-04"]


def answer(assets: list[str], at_work: str | None) -> dict[str, Any]:
    """What Dagster says of a backfill of two days in one run."""
    made = [{"partition": day, "assetKey": {"path": [asset]}} for asset in assets for day in DAYS]
    steps = [{"stepKey": asset, "status": "SUCCESS"} for asset in assets]
    steps += [{"stepKey": at_work, "status": "IN_PROGRESS"}] if at_work else []
    run = {"runId": "r", "status": "STARTED" if at_work else "SUCCESS", "assetMaterializations": made,
           "stepStats": steps}  # fmt: skip
    return {"status": "REQUESTED" if at_work else "COMPLETED_SUCCESS", "error": None, "runs": [run]}


@pytest.mark.parametrize("question", [backfills._LAUNCH, backfills._WATCH])
def test_the_questions_are_known(question: str) -> None:
    from dagster_graphql.schema import create_schema

    assert validate(create_schema().graphql_schema, parse(question)) == []


def test_progress_moves_with_every_asset_and_names_the_one_at_work() -> None:
    states = [
        state_of(answer([], "raw_logs"), "daily_report"),
        state_of(answer(["raw_logs"], "scores"), "daily_report"),
        state_of(answer(["raw_logs", "scores"], "daily_report"), "daily_report"),
        state_of(answer(["raw_logs", "scores", "daily_report"], None), "daily_report"),
    ]
    assert [state.written for state in states] == [0, 2, 4, 6]
    assert [state.steps for state in states] == [("raw_logs",), ("scores",), ("daily_report",), ()]
    assert [state.done for state in states] == [0, 0, 0, 2]
    assert [state.succeeded for state in states] == [False, False, False, True]
