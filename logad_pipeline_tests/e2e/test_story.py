"""The story of a deployment, with a real webserver and daemon: nobody touches it but to drop files and decide.

One test, since each chapter needs the ones before; `make story` runs it and prints when what happened.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from logad_pipeline.registry.registry import CHAMPION, Registry
from logad_pipeline.settings import ModelSettings, Settings

from .deployment import FIRST, Serving

pytestmark = pytest.mark.story

OPERATION = {"look_every_seconds": 5, "rest_seconds": 1, "rescore_days": 2, "catch_up_days": 3}
RETRAINING = {"first_windows": 100, "new_windows": 10**6, "cooling_hours": 0, "held_out_days": 1, "drift_days": 30}
MODEL = {
    "device": "cpu", "false_alarm_rate": 0.05,
    "detectors": ["surprise", "worst_line", "counts"],
}  # fmt: skip
WEAK: dict[str, Any] = {"max_steps": 3, "detectors": ["precision_variance"]}
DAYS = [FIRST + timedelta(days=number) for number in range(8)]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    made = Serving(tmp_path)
    settle(made, **WEAK)
    try:
        made.logad("init")
        made.start()
        yield made
    finally:
        made.stop()


def settle(serving: Serving, *, new_windows: int = 10**6, **model: object) -> None:
    """Write the settings, with what a chapter changes."""
    serving.settle(
        operation=OPERATION,
        retraining=RETRAINING | {"new_windows": new_windows},
        alerts={"notice_days": 100_000, "file": str(serving.root / "notices.jsonl")},
        model=MODEL | {"base_model": serving.tiny_base()} | model,
    )


def registry_of(serving: Serving) -> Registry:
    root = serving.root / "lake"
    return Registry(
        Settings.model_construct(
            lake=root, tracking_uri=f"sqlite:///{root / 'mlflow' / 'mlflow.db'}", model=ModelSettings()
        )
    )


def champion(serving: Serving) -> str | None:
    return registry_of(serving).version_of(CHAMPION)


def judged_by(serving: Serving, days: list[date], version: str) -> bool:
    rows = serving.judged()
    return all(day in rows and rows[day].model_version == version for day in days)


def quiet(serving: Serving) -> bool:
    """Whether nothing runs or waits."""
    return all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in serving.runs())


def test_the_story(serving: Serving) -> None:
    registry = registry_of(serving)

    serving.drop(FIRST, days=4, seed=1)
    serving.tell("files of four days dropped into the inbox")
    serving.wait_for("four days prepared, without a hand", lambda: serving.lake.days("windows") == DAYS[:4])
    serving.wait_for("the first model trained and made champion", lambda: champion(serving) == "1")
    serving.wait_for("the newest days judged by it", lambda: judged_by(serving, DAYS[2:4], "1"))
    serving.wait_for("the inbox has caught up", lambda: judged_by(serving, DAYS[:4], "1"))
    assert registry.tag("1", "policy") == "rolling 28"
    assert registry.tag("1", "last_day") == str(DAYS[2]), "the last day is held out"

    settle(serving, new_windows=75, max_steps=60)
    serving.drop(DAYS[4], days=3, seed=2)
    serving.tell("three days of new normal data dropped")
    serving.wait_for("they are judged", lambda: set(serving.judged()) >= set(DAYS[:7]))
    notices = [json.loads(line) for line in (serving.root / "notices.jsonl").read_text().splitlines()]
    assert len({notice["alert"] for notice in notices}) == len(notices), "each alert is told of once"

    serving.wait_for("they have started a training, and the gate has promoted the better model",
                     lambda: champion(serving) == "2")  # fmt: skip
    gate = json.loads(registry.tag("2", "gate") or "{}")
    assert (gate["passed"], gate["against"]) == (True, "1"), gate
    serving.wait_for("it has judged the newest days again", lambda: judged_by(serving, DAYS[5:7], "2"))
    assert serving.judged()[DAYS[0]].model_version == "1"
    serving.wait_for("nothing is left to do", lambda: quiet(serving))

    settle(serving, **WEAK)
    trained = serving.logad("train", "--to", DAYS[4])
    assert "challenger: version 3, champion: 2" in trained.stdout
    gate = json.loads(registry.tag("3", "gate") or "{}")
    assert not gate["passed"], gate
    serving.tell(f"a worse model trained, and refused: {gate['reason']}")

    assert "champion: version 1, before: 2" in serving.logad("rollback").stdout
    serving.tell("rolled back by hand")
    serving.wait_for("the version of before has judged the newest days again",
                     lambda: judged_by(serving, DAYS[5:7], "1"))  # fmt: skip
    serving.wait_for("nothing is left to do", lambda: quiet(serving))

    before = serving.judged()
    late = serving.lake.path("inbox") / "late.log"
    late.write_text(f"{DAYS[1]} 10:00:00,000 INFO [r] service.worker: one late line\n", encoding="utf-8")
    serving.wait_for("a late line has re-opened its day",
                     lambda: serving.judged()[DAYS[1]].files == before[DAYS[1]].files + 1)  # fmt: skip
    after = serving.judged()
    assert [day for day in after if after[day].judged_at != before[day].judged_at] == [DAYS[1]], "and it alone"

    window = next(iter(serving.lake.scan("scores", [DAYS[1]], ["window_id"]))).column(0)[0].as_py()
    assert ": normal, says ann" in serving.logad("feedback", window, "normal", "--author", "ann").stdout

    first, last = DAYS[0], DAYS[7]
    done = serving.logad("backfill", "--from", first, "--to", last, "--url", serving.url, "--json")
    told = json.loads(done.stdout)
    assert (told["days"], len(told["runs"])) == (8, 1)
    serving.tell("eight days backfilled in one run, the last of them without data")
    assert serving.judged()[DAYS[7]].windows == 0
    serving.wait_for("nothing is left to do", lambda: quiet(serving))
    failed = [run for run in serving.runs() if run["status"] != "SUCCESS"]
    assert not failed
