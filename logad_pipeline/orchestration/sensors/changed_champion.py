"""The champion sensor: sees whose alias it is, has it tried, and lets it judge the newest days."""

import json
from collections.abc import Mapping, Sequence

import dagster as dg

from logad_pipeline.lake.judged_days import judged_days
from logad_pipeline.lake.tables import Lake
from logad_pipeline.orchestration.jobs import OF_DAYS, Job
from logad_pipeline.orchestration.requests import due, over_days, status, stopping_days, unfinished
from logad_pipeline.registry.champions import follow_alias
from logad_pipeline.registry.registry import Registry, RegistryUnavailable
from logad_pipeline.settings import Settings, load_settings


def build_champion_sensor(chosen: Settings, jobs: Mapping[str, Job]) -> dg.SensorDefinition:
    """The sensor over the alias ``champion``, whoever moves it: the gate, a command, MLflow's pages.

    A version that was put there by hand is tried first; the job that does so puts the former champion back if
    it cannot judge.
    """

    @dg.sensor(
        name="changed_champion",
        jobs=[jobs["judge_days"], jobs["try_champion"]],
        minimum_interval_seconds=chosen.operation.look_every_seconds,
        default_status=status(chosen),
        description="Tries a champion that was set by hand, and lets a new champion judge the newest days again.",
    )
    def changed_champion(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings = load_settings(chosen.lake)
        registry = Registry(settings)
        known = json.loads(context.cursor or '{"version": null, "changes": 0}')
        try:
            version = follow_alias(registry)
            if version is None:
                return dg.SensorResult(skip_reason="there is no champion yet", cursor=context.cursor)
            if version != known["version"]:
                known = {"version": version, "changes": known["changes"] + 1}
            tried = registry.was_tried(version)
        except RegistryUnavailable as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        if not tried:
            if running := unfinished(context.instance, ["try_champion"]):
                reason = f"run {running[0]} tries version {version}"
                return dg.SensorResult(skip_reason=reason, cursor=json.dumps(known))
            request = dg.RunRequest(run_key=f"try {version} {known['changes']}", job_name="try_champion")
            return _due(context, settings, [request], known)
        return _judge_again(context, settings, known)

    return changed_champion


def _judge_again(
    context: dg.SensorEvaluationContext, settings: Settings, known: dict[str, str | int]
) -> dg.SensorResult:
    lake, newest, cursor = Lake(settings.lake), settings.operation.rescore_days, json.dumps(known)
    judged = {row.day: row.model_version for row in judged_days(lake)}
    there = sorted({*judged, *lake.days("windows")})
    days = [day for day in there[len(there) - min(newest, len(there)) :] if judged.get(day) != known["version"]]
    if not days:
        return dg.SensorResult(skip_reason=f"the newest days are judged by version {known['version']}", cursor=cursor)
    if running := unfinished(context.instance, OF_DAYS):
        return dg.SensorResult(skip_reason=f"{len(days)} days wait for run {running[0]}", cursor=cursor)
    key = f"version {known['version']} change {known['changes']}"
    apart = stopping_days(context.instance)
    requests = over_days(days, "changed_champion", key, job="judge_days", apart=apart)
    return _due(context, settings, requests, known)


def _due(
    context: dg.SensorEvaluationContext, settings: Settings, requests: Sequence[dg.RunRequest],
    known: dict[str, str | int],
) -> dg.SensorResult:  # fmt: skip
    now, waiting = due(context.instance, requests, settings.zone)
    for words in waiting:
        context.log.warning("%s", words)
    reason = None if now else dg.SkipReason("; ".join(waiting))
    return dg.SensorResult(run_requests=now, skip_reason=reason, cursor=json.dumps(known))
