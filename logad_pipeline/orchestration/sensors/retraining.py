"""The retraining sensor: counts what was accepted as normal, watches drift, and starts a training."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pyarrow.dataset as ds

from logad_pipeline.detectors.calibration import THRESHOLD
from logad_pipeline.lake.feedback import NORMAL, read_feedback
from logad_pipeline.lake.judged_days import JudgedDay, judged_days
from logad_pipeline.lake.tables import Lake
from logad_pipeline.logs.log_tokenizer import MASK_VERSION
from logad_pipeline.orchestration.requests import ASKED_BY, due, status, unfinished
from logad_pipeline.registry.champions import former_champions
from logad_pipeline.registry.registry import CHAMPION, Registry, RegistryUnavailable
from logad_pipeline.settings import RetrainingSettings, Settings, load_settings


@dataclass(frozen=True)
class Trained:
    """The newest version whose training went on to the end.

    Attributes:
        version: its number.
        last_day: the last that it learned from.
        newest_day: the newest there was to choose; those between the two were held out.
        made_at: when it was registered.
    """

    version: str
    last_day: date
    newest_day: date
    made_at: datetime


def build_retraining_sensor(chosen: Settings) -> dg.SensorDefinition:
    """The sensor over the judged days. Its cursor holds when it asked last."""

    @dg.sensor(
        name="retraining",
        job_name="training",
        minimum_interval_seconds=chosen.operation.look_every_seconds,
        default_status=status(chosen),
        description="Starts a training on new normal data, on drift, or if an upgrade has left the champion behind, at "
        "most once in a cooling period.",
    )
    def retraining(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings = load_settings(chosen.lake)
        lake, registry, wanted = Lake(settings.lake), Registry(settings), settings.retraining
        asked_at = json.loads(context.cursor)["asked_at"] if context.cursor else None

        def skip(reason: str) -> dg.SensorResult:
            return dg.SensorResult(skip_reason=reason, cursor=context.cursor)

        try:
            champion = registry.version_of(CHAMPION)
            newest = newest_training(registry, champion)
            behind = registry.left_behind(champion) if champion is not None else ""
            fresh = behind and newest and newest.version != champion and not registry.left_behind(newest.version)
            waits = not settings.model.automatic_promotion or (champion is None and bool(former_champions(registry)))
        except RegistryUnavailable as error:
            return skip(str(error))
        if running := unfinished(context.instance, ["training"]):
            return skip(f"run {running[0]} is training")
        if newest is not None and (champion is None or fresh):
            return _no_champion(context, settings, newest, waits=waits)
        now = datetime.now(UTC)
        if behind:
            reason, wants = reason_after_upgrade(lake, str(champion), behind, wanted)
        else:
            reason, wants = reason_to_train(lake, newest, champion, wanted)
        if not wants:
            return skip(reason)
        # How young a model is that cannot judge says nothing.
        made_at = newest.made_at if newest and not behind else None
        last = max([moment for moment in (made_at, _moment(asked_at)) if moment], default=None)
        if last is not None and now - last < timedelta(hours=wanted.cooling_hours):
            failed = _failed_training(context.instance)
            return skip(
                f"{reason}; the last training was {now - last} ago{failed}, cooling_hours is {wanted.cooling_hours:g}"
            )
        config = {"policy": wanted.policy, "span": wanted.days, "held_out_days": wanted.held_out_days,
                  "reason": reason}  # fmt: skip
        request = dg.RunRequest(
            # A tick that comes twice has the cursor of the first.
            run_key=f"training after version {newest.version if newest else 'none'}, asked {asked_at}",
            run_config={"ops": {"anomaly_model": {"config": config}}},
            tags={ASKED_BY: "retraining"},
        )
        return dg.SensorResult(run_requests=[request], cursor=json.dumps({"asked_at": now.isoformat()}))

    return retraining


def newest_training(registry: Registry, champion: str | None) -> Trained | None:
    """The newest version that says what it was trained on, and was compared, or judges without.

    One whose training failed after it was registered is none: nobody would ever use it.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    for version in registry.versions():
        tags = registry.tags(version)
        last_day = tags.get("last_day")
        if last_day is not None and ("gate" in tags or version == champion):
            # Earlier releases did not write down what was held out.
            newest_day = date.fromisoformat(tags.get("newest_day", last_day))
            return Trained(version, date.fromisoformat(last_day), newest_day, registry.made_at(version))
    return None


def _failed_training(instance: dg.DagsterInstance) -> str:
    """Words on the newest run of a training, if it has failed."""
    newest = instance.get_runs(dg.RunsFilter(job_name="training"), limit=1)
    failed = [run.run_id for run in newest if run.status == dg.DagsterRunStatus.FAILURE]
    return f" and failed (run {failed[0]}; `logad train` tries again at once)" if failed else ""


def _no_champion(
    context: dg.SensorEvaluationContext, settings: Settings, newest: Trained, *, waits: bool
) -> dg.SensorResult:
    """A model was trained and compared, and none judges, or one of an earlier release that cannot any more: promoting
    it has failed, or waits for a person.

    It does so where promotion is not automatic, and where somebody has taken the alias away.
    """
    if waits:
        words = f"version {newest.version} waits to be made champion: logad promote {newest.version}"
        return dg.SensorResult(skip_reason=words, cursor=context.cursor)
    request = dg.RunRequest(
        run_key=f"promotion of version {newest.version}",
        asset_selection=[dg.AssetKey("champion_model")],
        tags={ASKED_BY: "retraining"},
    )
    requests, waiting = due(context.instance, [request], settings.zone)
    reason = None if requests else dg.SkipReason("; ".join(waiting))
    return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=context.cursor)


def reason_to_train(
    lake: Lake, newest: Trained | None, champion: str | None, wanted: RetrainingSettings
) -> tuple[str, bool]:
    """What speaks for a training, or what is lacking; and whether it is due."""
    if champion is None:
        prepared = sum(batch.num_rows for batch in lake.scan("windows", columns=["day"]))
        words = f"no model yet, {prepared} windows prepared of {wanted.first_windows}"
        return words, prepared >= wanted.first_windows
    rows = [row for row in judged_days(lake) if row.windows and (newest is None or row.day > newest.last_day)]
    accepted = accepted_windows(lake, [row for row in rows if newest is None or row.day > newest.newest_day])
    if drift := drifted([row for row in rows if row.model_version == champion], wanted):
        return drift, True
    return f"{accepted} windows accepted as normal since then, of {wanted.new_windows}", accepted >= wanted.new_windows


def reason_after_upgrade(lake: Lake, champion: str, behind: str, wanted: RetrainingSettings) -> tuple[str, bool]:
    """A champion that this release cannot judge with is reason enough, once days are prepared as this one does it."""
    masks = ds.field("mask_version") == MASK_VERSION
    prepared = sum(batch.num_rows for batch in lake.scan("windows", columns=["day"], where=masks))
    words = f"champion {champion} cannot judge in this release ({behind}); `logad train` trains another"
    if prepared >= wanted.first_windows:
        return words, True
    return f"{words}; that starts by itself with {wanted.first_windows} windows of its masks, not {prepared}", False


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
