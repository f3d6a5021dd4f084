"""`logad triage` and `logad compare`: what to look at first, and what is different from another day."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logad_pipeline.cli.console import harmless, say
from logad_pipeline.cli.lake import FirstDay, Json, LakeOption, LastDay, days_in, lake_errors, open_lake

if TYPE_CHECKING:
    from logad_pipeline.lake.triage import Alert

_LONGEST = 110
Day = Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], metavar="DAY", help="A day such as 2026-03-01.")]


def triage(
    alert: Annotated[str, typer.Argument(metavar="[ALERT]", help="Number in the list or id, to open it.")] = "",
    first: FirstDay = None,
    last: LastDay = None,
    top: Annotated[int, typer.Option(help="Alerts to list.", min=1, max=1000)] = 20,
    context: Annotated[int, typer.Option(help="Lines to show around those of an alert.", min=0, max=1000)] = 3,
    settled: Annotated[bool, typer.Option(help="Also what somebody said is normal.")] = False,
    as_json: Json = False,
    lake: LakeOption = None,
) -> None:
    """Rank the alerts of judged days, repeats folded; or open one: its raw lines with what stands around them."""
    with lake_errors():
        from logad_pipeline.lake.triage import alert_of, ranked_alerts

        _, opened = open_lake(lake)
        days = days_in(opened, "scores", first, last)
        alerts, windows = ranked_alerts(opened, days, top, settled=settled)
        if alert:
            if alert.isdigit() and len(alert) < 8:
                if not 1 <= int(alert) <= len(alerts):
                    raise ValueError(f"there is no alert {alert} in a list of {len(alerts)}; `logad triage` shows it")
                chosen = alerts[int(alert) - 1]
                _open(opened, chosen.day, chosen.window_id, context, as_json)
            else:
                _open(opened, *alert_of(opened, days, alert), context, as_json)
        elif as_json:
            for each in alerts:
                print(json.dumps(asdict(each), default=str))
        else:
            _list(alerts, windows, f"{days[0]} to {days[-1]}" if len(days) > 1 else str(days[0]))


def _list(alerts: list[Alert], windows: int, span: str) -> None:
    say(f"{span}: {windows} windows raise an alarm, {len(alerts)} kinds listed; `logad triage 1` opens the first")
    table = _table("#", "score", "risk", "when (UTC)", "where", "×", "rarest line", "id")
    for rank, alert in enumerate(alerts, start=1):
        when = f"{alert.time:%m-%d %H:%M}" if alert.time else str(alert.day)
        where = harmless(f"{alert.source}:{alert.first_line}-{alert.last_line}")
        words = harmless(alert.rarest)[:_LONGEST] + (" (confirmed)" if alert.confirmed else "")
        _row(table, str(rank), f"{alert.score:.3f}", alert.risk, when, where, str(alert.repeats), words,
             alert.window_id[:8])  # fmt: skip
    _show(table)


def _open(lake: Any, day: Any, window_id: str, context: int, as_json: bool) -> None:
    from logad_pipeline.lake.triage import raw_lines

    for line in raw_lines(lake, day, window_id, context):
        if as_json:
            print(json.dumps(asdict(line) | {"day": str(day), "window_id": window_id}))
            continue
        if line.gap:
            print("       …")
        print(f"{'>' if line.in_window else ' '} {line.number:>7}  {harmless(line.text)}")


def compare(
    first: Day,
    second: Day,
    q: Annotated[float, typer.Option(help="Share of the shifts listed that may be chance.")] = 0.05,
    top: Annotated[int, typer.Option(help="Templates to list of each kind.", min=1)] = 15,
    as_json: Json = False,
    lake: LakeOption = None,
) -> None:
    """List templates that appeared, vanished or shifted from one day to another.

    Counted in blocks of five minutes, so that a burst counts once; q is the p-value corrected for the number of
    templates.
    """
    with lake_errors():
        from logad_pipeline.lake.day_comparison import compare_days

        _, opened = open_lake(lake)
        shifts = compare_days(opened, first.date(), second.date(), q)
        if as_json:
            for each in shifts:
                print(json.dumps(asdict(each)))
            return
        for change in ("appeared", "vanished", "shifted"):
            chosen = [each for each in shifts if each.change == change]
            sure = sum(each.q_value <= q for each in chosen)
            say(f"{len(chosen)} {change}, {sure} of them with q up to {q:g}")
            if chosen:
                table = _table(change, f"{first:%m-%d}", f"{second:%m-%d}", "p", "q")
                for each in chosen[:top]:
                    _row(table, harmless(each.text)[:_LONGEST], str(each.before), str(each.after),
                         f"{each.p_value:.2g}", f"{each.q_value:.2g}")  # fmt: skip
                _show(table)


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold" if "line" in column or column == columns[0] else "ellipsis")
    return table


def _row(table: Any, *cells: str) -> None:
    from rich.text import Text

    table.add_row(*(Text(cell) for cell in cells))


def _show(table: Any) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 180).print(table)
