"""Commands of every day: alerts, feedback, suppressions, backfills, who is champion."""

from __future__ import annotations

import getpass
import json
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logad_pipeline.cli.console import harmless, progress_bar, say
from logad_pipeline.cli.lake import FirstDay, Json, LakeOption, LastDay, lake_errors, open_lake

if TYPE_CHECKING:
    from logad_pipeline.lake.alerts import Alert
    from logad_pipeline.lake.tables import Lake

Author = Annotated[str, typer.Option(help="Default: who is logged in.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])]


class Verdict(StrEnum):
    """What can be said of a window."""

    NORMAL = "normal"
    ANOMALOUS = "anomalous"
    WITHDRAW = "withdraw"


def feedback(
    window: Annotated[str, typer.Argument(help="Id of the window, from the report or `logad alerts`.")],
    verdict: Annotated[Verdict, typer.Argument(help="normal, anomalous, or withdraw what was said.")],
    note: Annotated[str, typer.Option(help="Why; for whoever reads it later.")] = "",
    author: Author = "",
    lake: LakeOption = None,
) -> None:
    """Say of a window that it is normal or anomalous. The latest counts: for the list of alerts at once, for the
    gate, the next day's threshold and the next training."""
    with lake_errors():
        from logad_pipeline.lake.alerts import fold_alerts
        from logad_pipeline.lake.feedback import record_feedback, withdraw_feedback

        _, opened = open_lake(lake)
        who = author or _somebody()
        if verdict is Verdict.WITHDRAW:
            said = withdraw_feedback(opened, window, note, who)
        else:
            said = record_feedback(opened, window, "normal" if verdict is Verdict.NORMAL else "anomalous", note, who)
        fold_alerts(opened, said.day)
        score = "not judged yet" if said.score is None else f"score {said.score:.3f}"
        print(f"{window} of {said.day}, {said.source} ({score}): {said.verdict}, says {who}")


def _somebody() -> str:
    try:
        return getpass.getuser()
    except OSError:
        return ""


def alerts(
    first: FirstDay = None,
    last: LastDay = None,
    every: Annotated[bool, typer.Option("--all", help="Contested and suppressed ones too.")] = False,
    as_json: Json = False,
    lake: LakeOption = None,
) -> None:
    """List the alerts of judged days: alarms about one line of one stream, with when it was first and last seen."""
    with lake_errors():
        from logad_pipeline.cli.lake import days_in
        from logad_pipeline.lake.alerts import read_alerts

        _, opened = open_lake(lake)
        found = read_alerts(opened, days_in(opened, "scores", first, last))
        shown = [alert for alert in found if every or alert.open]
        if as_json:
            for alert in shown:
                print(json.dumps(_as_json(alert)))
        else:
            _print_alerts(shown, len(found))


def _as_json(alert: Alert) -> dict[str, Any]:
    from dataclasses import asdict

    values = asdict(alert) | {"open": alert.open, "days": [str(day) for day in alert.days]}
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}


def _print_alerts(shown: list[Alert], total: int) -> None:
    from rich.table import Table
    from rich.text import Text

    from logad_pipeline.cli.console import table_console

    table = Table(title=f"{len(shown)} of {total} alerts", title_justify="left")
    for column in ("alert", "score", "alarms", "first seen", "last seen", "where", "line", "a window of it"):
        table.add_column(column, overflow="fold" if column == "line" else "ellipsis")
    for alert in shown:
        seen = (f"{time:%Y-%m-%d %H:%M}" if time else "" for time in (alert.first_seen, alert.last_time))
        where, line = harmless(alert.group_key or alert.source), harmless(alert.text)[:90]
        table.add_row(alert.alert_id, f"{alert.score:.3f}", f"{alert.open}/{alert.windows}", *seen,
                      Text(where), Text(line), alert.window_ids[0])  # fmt: skip
    table_console().print(table)


def suppress(
    name: Annotated[str, typer.Argument(help="By which it is listed and counted.")],
    reason: Annotated[str, typer.Option(help="For whoever reviews it.")],
    text: Annotated[str | None, typer.Option(help="Regular expression, in the normalised line.")] = None,
    template: Annotated[str | None, typer.Option(help="The whole normalised line.")] = None,
    source: Annotated[str | None, typer.Option(help="Name of the file.")] = None,
    group: Annotated[str | None, typer.Option(help="Host or session.")] = None,
    since: Day = None,
    until: Day = None,
    more: Annotated[int | None, typer.Option(help="Ends after so many alarms.", min=1)] = None,
    author: Author = "",
    lake: LakeOption = None,
) -> None:
    """Keep alarms of a pattern quiet until a day or for a number of alarms; they are still counted."""
    with lake_errors():
        from pydantic import ValidationError

        from logad_pipeline.lake.suppressions import Suppression, add_suppression

        _, opened = open_lake(lake)
        opened.version("ledger")
        try:
            new = Suppression(
                name=name, reason=reason, author=author or _somebody(), text=text, template=template, source=source,
                group=group, since=since.date() if since else None, until=until.date() if until else None, more=more,
            )  # fmt: skip
        except ValidationError as error:
            raise ValueError("; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())) from error
        file = add_suppression(opened, new)
        _fold_newest(opened, new.since)
        print(f"{name} stands in {file}")


def _fold_newest(lake: Lake, since: Any) -> None:
    """Fold the newest judged days anew: those of before are history."""
    from logad_pipeline.lake.alerts import fold_alerts

    for day in lake.days("scores")[-7:]:
        if since is None or day >= since:
            fold_alerts(lake, day)


def suppressions(as_json: Json = False, lake: LakeOption = None) -> None:
    """List what keeps alarms quiet, and how many each has."""
    with lake_errors():
        from logad_pipeline.lake.alerts import suppressed_hits
        from logad_pipeline.lake.suppressions import read_suppressions, suppressions_file

        settings, opened = open_lake(lake)
        hits, today = suppressed_hits(opened), datetime.now(settings.zone).date()
        for each in read_suppressions(opened):
            count = hits.get(each.name, 0)
            ended = not each.concerns(today) or (each.more is not None and count >= each.more)
            if as_json:
                print(json.dumps(each.model_dump(mode="json", exclude_none=True) | {"hits": count, "ended": ended}))
            else:
                end = f"until {each.until}" if each.until else f"for {each.more} alarms"
                print(f"{each.name}: {count} alarms kept quiet, {end}{', ended' if ended else ''}; {each.reason}")
        if not as_json:
            say(f"they stand in {suppressions_file(opened)}")


def backfill(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")],
    judge_only: Annotated[bool, typer.Option(help="Judge prepared days again, without preparing them.")] = False,
    url: Annotated[str, typer.Option(help="Of Dagster's pages.")] = "http://127.0.0.1:3000",
    as_json: Json = False,
) -> None:
    """Start a backfill in Dagster, as its pages do, and wait for its end."""
    with lake_errors():
        from logad_pipeline.orchestration.backfills import days_between, launch, watch
        from logad_pipeline.orchestration.errors import RunFailed
        from logad_pipeline.orchestration.jobs import JUDGE, PREPARE

        if first > last:
            raise ValueError(f"--from {first:%Y-%m-%d} is after --to {last:%Y-%m-%d}; swap them")
        days = days_between(first.date(), last.date())
        assets = JUDGE if judge_only else PREPARE + JUDGE
        number = launch(url, days, assets, f"{days[0]} to {days[-1]}")
        say(f"backfill {number}: {url.rstrip('/')}/runs/b/{number}")
        with progress_bar() as progress:
            for state in watch(url, number, assets[-1]):
                progress("days", state.done, len(days))
        if as_json:
            print(json.dumps({"backfill": number, "status": state.status, "days": state.done, "runs": state.runs}))
        if not state.succeeded:
            failed = [run for run, status in state.runs.items() if status != "SUCCESS"]
            raise RunFailed(
                f"backfill {number} ended as {state.status}, {state.done} of {len(days)} days done; "
                f"{state.error or 'see run ' + ', '.join(failed)}"
            )
        if not as_json:
            print(f"backfill {number}: {state.done} days in {len(state.runs)} runs")


def promote(
    version: Annotated[str, typer.Argument(help="Of the model in the registry.")],
    lake: LakeOption = None,
) -> None:
    """Make a version the champion. It is loaded and must judge first; what the gate said of it is told."""
    with lake_errors():
        from logad_pipeline.registry.champions import promote as make_champion
        from logad_pipeline.registry.registry import Registry

        settings, _ = open_lake(lake)
        registry = Registry(settings)
        before = make_champion(registry, version)
        gate = json.loads(registry.tag(version, "gate") or "null")
        if gate is not None:
            against = f"against version {gate['against']}" if gate["against"] else "without a champion"
            held = "held" if gate["passed"] else "did not hold"
            say(f"the gate {held} {against}: {gate['reason'] or 'nothing to compare'}")
        print(f"champion: version {version}, before: {before or 'none'}")


def rollback(lake: LakeOption = None) -> None:
    """Make the champion before this one the champion again."""
    with lake_errors():
        from logad_pipeline.registry.champions import rollback as go_back
        from logad_pipeline.registry.registry import Registry

        settings, _ = open_lake(lake)
        before, now = go_back(Registry(settings))
        print(f"champion: version {now}, before: {before or 'none'}")
