"""Commands of every day: feedback, suppressions, backfills, who is champion."""

from __future__ import annotations

import getpass
import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

import typer

from logad_pipeline.cli.console import progress_bar, say
from logad_pipeline.cli.lake import Json, LakeOption, lake_errors, open_lake
from logad_pipeline.reporting.text import count, score_text, visible

Author = Annotated[str, typer.Option(help="Default: who is logged in.")]


class Verdict(StrEnum):
    """What can be said of a window."""

    NORMAL = "normal"
    ANOMALOUS = "anomalous"
    WITHDRAW = "withdraw"


_SAYS: Final[dict[Verdict, Literal["normal", "anomalous", "withdrawn"]]] = {
    Verdict.NORMAL: "normal", Verdict.ANOMALOUS: "anomalous", Verdict.WITHDRAW: "withdrawn",
}  # fmt: skip


def feedback(
    window: Annotated[str, typer.Argument(help="Id of the window, from the report or `logad triage`.")],
    verdict: Annotated[Verdict, typer.Argument(help="normal, anomalous, or withdraw what was said.")],
    note: Annotated[str, typer.Option(help="Why; for whoever reads it later.")] = "",
    author: Author = "",
    lake: LakeOption = None,
) -> None:
    """Say of a window that it is normal or anomalous. The latest counts: for the list of alerts at once, for the
    gate, the next day's threshold and the next training."""
    with lake_errors():
        from logad_pipeline.lake.answering import answer_window

        _, opened = open_lake(lake)
        who = author or _somebody()
        said = answer_window(opened, window, _SAYS[verdict], note, who)
        score = "not judged yet" if said.score is None else f"score {score_text(said.score)}"
        print(f"{window} of {said.day}, {said.source} ({score}): {said.verdict}, says {who}")


def _somebody() -> str:
    try:
        return getpass.getuser()
    except OSError:
        return ""


def suppress(
    name: Annotated[str, typer.Argument(help="By which it is listed and counted.")],
    reason: Annotated[str, typer.Option(help="For whoever reviews it.")],
    text: Annotated[str | None, typer.Option(help="Regular expression, in the normalised line.")] = None,
    template: Annotated[str | None, typer.Option(help="The whole normalised line.")] = None,
    source: Annotated[str | None, typer.Option(help="Name of the file.")] = None,
    group: Annotated[str | None, typer.Option(help="Host or session.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day; default: any.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day, included.")] = None,
    more: Annotated[int | None, typer.Option(help="Ends after so many alarms.", min=1)] = None,
    author: Author = "",
    lake: LakeOption = None,
) -> None:
    """Keep alarms of a pattern quiet until a day or for a number of alarms; they are still counted."""
    with lake_errors():
        from pydantic import ValidationError

        from logad_pipeline.lake.answering import keep_quiet
        from logad_pipeline.lake.suppressions import Suppression

        _, opened = open_lake(lake)
        try:
            new = Suppression(
                name=name, reason=reason, author=author or _somebody(), text=text, template=template, source=source,
                group=group, since=since.date() if since else None, until=until.date() if until else None, more=more,
            )  # fmt: skip
        except ValidationError as error:
            raise ValueError("; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())) from error
        file = keep_quiet(opened, new)
        print(f"{name} stands in {file}")


def suppressions(as_json: Json = False, lake: LakeOption = None) -> None:
    """List what keeps alarms quiet, and how many each has."""
    with lake_errors():
        from logad_pipeline.lake.alerts import suppressed_hits
        from logad_pipeline.lake.suppressions import read_suppressions, suppressions_file

        settings, opened = open_lake(lake)
        hits, today = suppressed_hits(opened), datetime.now(settings.zone).date()
        read = read_suppressions(opened)
        for each in read:
            kept = hits.get(each.name, 0)
            ended = not each.concerns(today) or (each.more is not None and kept >= each.more)
            if as_json:
                print(json.dumps(each.model_dump(mode="json", exclude_none=True) | {"hits": kept, "ended": ended}))
            else:
                end = f"until {each.until}" if each.until else f"for {count(each.more or 0, 'alarm')}"
                state = f"{count(kept, 'alarm')} kept quiet, {end}{', ended' if ended else ''}"
                print(f"{visible(each.name)}: {state}; {visible(each.reason)}")
        if not as_json:
            how = "they stand" if read else "nothing is kept quiet; what `logad suppress` adds will stand"
            say(f"{how} in {suppressions_file(opened)}")


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
                progress(", ".join(["days of assets", *state.steps]), state.written, len(days) * len(assets))
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
        print(f"champion: version {version}, " + ("as before" if before == version else f"before: {before or 'none'}"))


def rollback(lake: LakeOption = None) -> None:
    """Make the champion before this one the champion again."""
    with lake_errors():
        from logad_pipeline.registry.champions import rollback as go_back
        from logad_pipeline.registry.registry import Registry

        settings, _ = open_lake(lake)
        before, now = go_back(Registry(settings))
        print(f"champion: version {now}, before: {before or 'none'}")
