"""The retraining sensor: counts what was accepted as normal, watches drift, and starts a training."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.lake.feedback import NORMAL, read_feedback
from logad_pipeline.lake.judged_days import JudgedDay, judged_days
from logad_pipeline.lake.tables import Lake
from logad_pipeline.orchestration.requests import status, unfinished
from logad_pipeline.registry.registry import CHAMPION, Registry, RegistryUnavailable
from logad_pipeline.settings import RetrainingSettings, Settings, load_settings


@dataclass(frozen=True)
class Trained:
    """The newest version: its number, its last day, when it was made."""

    version: str
    last_day: date
    made_at: datetime


def build_retraining_sensor(chosen: Settings) -> dg.SensorDefinition:
    """The sensor over the judged days. Its cursor holds when it asked last."""

    @dg.sensor(
        name="retraining",
        job_name="training",
        minimum_interval_seconds=chosen.operation.look_every_seconds,
        default_status=status(chosen),
        description="Starts a training on new normal data or on drift, at most once in a cooling period.",
    )
    def retraining(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings = load_settings(chosen.lake)
        lake, registry, wanted = Lake(settings.lake), Registry(settings), settings.retraining
        asked_at = json.loads(context.cursor)["asked_at"] if context.cursor else None

        def skip(reason: str) -> dg.SensorResult:
            return dg.SensorResult(skip_reason=reason, cursor=context.cursor)

        try:
            newest = newest_training(registry)
            champion = registry.version_of(CHAMPION)
        except RegistryUnavailable as error:
            return skip(str(error))
        if running := unfinished(context.instance, ["training"]):
            return skip(f"run {running[0]} is training")
        now = datetime.now(UTC)
        reason, due = reason_to_train(lake, newest, champion, wanted)
        if not due:
            return skip(reason)
        last = max([moment for moment in (newest and newest.made_at, _moment(asked_at)) if moment], default=None)
        if last is not None and now - last < timedelta(hours=wanted.cooling_hours):
            return skip(f"{reason}; the last training was {now - last} ago, cooling_hours is {wanted.cooling_hours:g}")
        config = {"policy": wanted.policy, "span": wanted.days, "held_out_days": wanted.held_out_days,
                  "reason": reason}  # fmt: skip
        request = dg.RunRequest(
            # A tick that comes twice has the cursor of the first.
            run_key=f"training after version {newest.version if newest else 'none'}, asked {asked_at}",
            run_config={"ops": {"anomaly_model": {"config": config}}},
            tags={"logad/asked_by": "retraining"},
        )
        return dg.SensorResult(run_requests=[request], cursor=json.dumps({"asked_at": now.isoformat()}))

    return retraining


def newest_training(registry: Registry) -> Trained | None:
    """The newest version that says what it was trained on.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    for version in registry.versions():
        last_day = registry.tag(version, "last_day")
        if last_day is not None:
            return Trained(version, date.fromisoformat(last_day), registry.made_at(version))
    return None


def reason_to_train(
    lake: Lake, newest: Trained | None, champion: str | None, wanted: RetrainingSettings
) -> tuple[str, bool]:
    """What speaks for a training, or what is lacking; and whether it is due."""
    if newest is None and champion is None:
        prepared = sum(batch.num_rows for batch in lake.scan("windows", columns=["day"]))
        words = f"no model yet, {prepared} windows prepared of {wanted.first_windows}"
        return words, prepared >= wanted.first_windows
    rows = [row for row in judged_days(lake) if row.windows and (newest is None or row.day > newest.last_day)]
    accepted = accepted_windows(lake, rows)
    if drift := drifted([row for row in rows if row.model_version == champion], wanted):
        return drift, True
    return f"{accepted} windows accepted as normal since then, of {wanted.new_windows}", accepted >= wanted.new_windows


def accepted_windows(lake: Lake, rows: Sequence[JudgedDay]) -> int:
    """Windows of these days that raised no alarm and were not called anomalous, or did and were called normal."""
    accepted = sum(row.windows - row.alerts for row in rows)
    for said in read_feedback(lake, [row.day for row in rows]).values() if rows else ():
        alarm = said.score is not None and said.score >= THRESHOLD
        if alarm == (said.verdict == NORMAL):
            accepted += 1 if alarm else -1
    return accepted


def drifted(rows: Sequence[JudgedDay], wanted: RetrainingSettings) -> str:
    """How the newest days have drifted, ``""`` if they have not."""
    newest = list(rows)[-wanted.drift_days :]
    if len(newest) < wanted.drift_days:
        return ""
    unseen = min(row.unseen_share for row in newest)
    if unseen >= wanted.unseen_share:
        return f"drift: {unseen:.1%} of records or more read as none did in training, on {len(newest)} days"
    stability = min(row.psi or 0.0 for row in newest)
    if stability >= wanted.score_stability:
        return f"drift: the scores' population stability is {stability:.2f} or more on {len(newest)} days"
    return ""


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
