"""Backfills over GraphQL: started in a running webserver, and watched until they end.

Belongs here: the few questions that are asked of it. Progress on a terminal is the command's matter.
"""

import json
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from logad_pipeline.orchestration.errors import RunFailed
from logad_pipeline.orchestration.requests import ASKED_BY

TIMEOUT_SECONDS = 30.0
_ENDED = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")

_AT_WORK = "IN_PROGRESS"

_LAUNCH = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
    ... on UnauthorizedError { message }
    ... on PartitionKeysNotFoundError { message }
    ... on InvalidSubsetError { message }
  }
}"""
_WATCH = """
query Watch($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill {
      status
      numPartitions
      error { message }
      runs(limit: 100) {
        runId
        status
        assetMaterializations { partition assetKey { path } }
        stepStats { stepKey status }
      }
    }
    ... on BackfillNotFoundError { message }
    ... on PythonError { message }
  }
}"""


@dataclass(frozen=True)
class BackfillState:
    """How far a backfill has come.

    Attributes:
        status: Dagster's word for it.
        done: days of which the last asset was written.
        written: days written, counted once for each asset: a run goes with one asset over all its days, then with
            the next.
        steps: assets that are being written now.
        runs: its runs with their status.
        error: what Dagster says went wrong, ``""`` for nothing.
    """

    status: str
    done: int
    written: int
    steps: tuple[str, ...]
    runs: dict[str, str]
    error: str

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in _ENDED

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return self.status in ("COMPLETED", "COMPLETED_SUCCESS") and all(s == "SUCCESS" for s in self.runs.values())


def days_between(first: date, last: date) -> list[date]:
    """All days from first to last, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def launch(url: str, days: Sequence[date], assets: Sequence[str], title: str) -> str:
    """Start a backfill of the assets over the days; return its id.

    Raises:
        RunFailed: the webserver cannot be reached, or refuses.
    """
    params = {
        "assetSelection": [{"path": [name]} for name in assets],
        "partitionNames": [str(day) for day in days],
        "title": title,
        "tags": [{"key": ASKED_BY, "value": "backfill"}],
    }
    answer = _ask(url, _LAUNCH, {"params": params})["launchPartitionBackfill"]
    if "backfillId" not in answer:
        raise RunFailed(f"Dagster at {url} started no backfill: {answer.get('message') or answer['__typename']}")
    return str(answer["backfillId"])


def watch(url: str, backfill: str, last_asset: str, every_seconds: float = 1.0) -> Iterator[BackfillState]:
    """How far a backfill has come, again and again until it has ended.

    Raises:
        RunFailed: the webserver is gone, or knows no such backfill.
    """
    while True:
        answer = _ask(url, _WATCH, {"id": backfill})["partitionBackfillOrError"]
        if "status" not in answer:
            raise RunFailed(f"backfill {backfill}: {answer.get('message') or answer['__typename']}")
        state = state_of(answer, last_asset)
        yield state
        if state.ended:
            return
        time.sleep(every_seconds)


def state_of(answer: dict[str, Any], last_asset: str) -> BackfillState:
    """What Dagster's answer says of a backfill."""
    written = {
        (made["assetKey"]["path"][-1], made["partition"])
        for run in answer["runs"]
        for made in run["assetMaterializations"]
    }
    steps = {step["stepKey"] for run in answer["runs"] for step in run["stepStats"] if step["status"] == _AT_WORK}
    return BackfillState(
        status=answer["status"],
        done=sum(name == last_asset for name, _ in written),
        written=len(written),
        steps=tuple(sorted(steps)),
        runs={run["runId"]: run["status"] for run in answer["runs"]},
        error=(answer["error"] or {}).get("message") or "",
    )


def _ask(url: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{url.rstrip('/')}/graphql", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            answer = json.load(response)
    except (OSError, ValueError) as error:
        raise RunFailed(
            f"Dagster does not answer at {url} ({error}); start it with `logad dev`, or pass --url"
        ) from error
    if answer.get("errors"):
        raise RunFailed(f"Dagster at {url} refuses: {answer['errors'][0]['message']}")
    data: dict[str, Any] = answer["data"]
    return data
