"""`logad triage` and `logad compare`: what to look at first, and what is different from another day."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logad_pipeline.cli.console import say
from logad_pipeline.cli.lake import FirstDay, Json, LakeOption, LastDay, days_in, lake_errors, open_lake
from logad_pipeline.reporting.text import count, score_text, visible

if TYPE_CHECKING:
    from logad_pipeline.lake.alerts import Alert
    from logad_pipeline.lake.tables import Lake
    from logad_pipeline.lake.triage import JudgedWindow

_LONGEST = 110
Day = Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], metavar="DAY", help="A day such as 2026-03-01.")]


def triage(
    what: Annotated[
        str, typer.Argument(metavar="[ALERT|WINDOW]", help="Number in the list or id of an alert, or id of a window.")
    ] = "",
    first: FirstDay = None,
    last: LastDay = None,
    top: Annotated[int, typer.Option(help="Alerts, or windows of one, to list.", min=1, max=1000)] = 20,
    context: Annotated[int, typer.Option(help="Lines to show around those of a window.", min=0, max=1000)] = 3,
    every: Annotated[bool, typer.Option("--all", help="Contested and suppressed ones too.")] = False,
    as_json: Json = False,
    lake: LakeOption = None,
) -> None:
    """List the alerts of judged days: alarms about one line of one stream, the strangest first; or open one.

    An alert opens to its windows and the raw lines of the first, a window to its raw lines and what stands around
    them.
    """
    with lake_errors():
        from logad_pipeline.lake.alerts import read_alerts
        from logad_pipeline.lake.triage import Wanted, find_window, ranked_windows

        _, opened = open_lake(lake)
        days = days_in(opened, "scores", first, last)
        found = read_alerts(opened, days)
        listed = [alert for alert in found if every or alert.open][:top]
        chosen = _chosen(what, listed, found) if what else None
        if chosen is not None:
            windows, total = ranked_windows(opened, chosen.days, Wanted(alert=chosen), top=top)
            _open_alert(opened, chosen, windows, total, context, as_json)
        elif what:
            _open_window(opened, *find_window(opened, days, what), context, as_json)
        elif as_json:
            for alert in listed:
                print(json.dumps(asdict(alert) | {"open": alert.open}, default=_plain))
        else:
            span = f"{days[0]} to {days[-1]}" if len(days) > 1 else str(days[0])
            _list(listed, len(found), sum(alert.open for alert in found), span)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _chosen(what: str, listed: list[Alert], found: list[Alert]) -> Alert | None:
    """The alert of that number in the list, or whose id begins so; ``None`` where none does."""
    if what.isdigit() and len(what) < 8:
        if not 1 <= int(what) <= len(listed):
            raise ValueError(f"there is no alert {what} in a list of {len(listed)}; `logad triage` shows it")
        return listed[int(what) - 1]
    named = [alert for alert in found if alert.alert_id.startswith(what)]
    if len(named) > 1:
        raise ValueError(f"{len(named)} alerts begin with '{what}'; give more of the id")
    return named[0] if named else None


def _list(listed: list[Alert], total: int, alarms: int, span: str) -> None:
    how_many = f"{len(listed)} of {count(total, 'alert')}, {count(alarms, 'alarm')} open"
    say(f"{span}: {how_many}; `logad triage 1` opens the first")
    table = _table("#", "score", "alarms", "first seen", "last seen", "where", "line", "alert", "a window of it")
    for rank, alert in enumerate(listed, start=1):
        seen = (f"{time:%Y-%m-%d %H:%M}" if time else "" for time in (alert.first_seen, alert.last_time))
        _row(table, str(rank), score_text(alert.score), f"{alert.open}/{alert.windows}", *seen,
             visible(alert.group_key or alert.source), visible(alert.text)[:_LONGEST], alert.alert_id,
             alert.window_ids[0] if alert.window_ids else "")  # fmt: skip
    _show(table)


def _open_alert(
    lake: Lake, alert: Alert, windows: list[JudgedWindow], total: int, context: int, as_json: bool
) -> None:
    if as_json:
        for window in windows:
            print(json.dumps(asdict(window), default=_plain))
        return
    say(f"{visible(alert.group_key or alert.source)}: {visible(alert.text)}")
    what = f"{count(total, 'alarm')}, {alert.contested} called normal, {alert.suppressed} kept quiet"
    say(f"{what}; {len(windows)} listed")
    table = _table("score", "risk", "when (UTC)", "lines", "window", "")
    for window in windows:
        when = f"{window.first_time:%Y-%m-%d %H:%M}" if window.first_time else str(window.day)
        lines = f"{visible(window.source)}:{window.first_line}-{window.last_line}"
        _row(table, score_text(window.score), window.risk, when, lines, window.window_id, window.state)
    _show(table)
    if windows:
        _open_window(lake, windows[0].day, windows[0].window_id, context, as_json)


def _open_window(lake: Lake, day: date, window_id: str, context: int, as_json: bool) -> None:
    from logad_pipeline.lake.triage import raw_lines

    found, file = raw_lines(lake, day, window_id, context), ""
    for line in found.lines:
        if as_json:
            print(json.dumps(asdict(line) | {"day": str(day), "window_id": window_id}))
            continue
        if found.files > 1 and line.file != file:
            file = line.file
            print(f"{visible(file)}:")
        if line.gap:
            print("       …")
        print(f"{'>' if line.in_window else ' '} {line.number:>7}  {visible(line.text)}")


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
                    _row(table, visible(each.text)[:_LONGEST], str(each.before), str(each.after),
                         f"{each.p_value:.2g}", f"{each.q_value:.2g}")  # fmt: skip
                _show(table)


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold" if column == "line" or column == columns[0] else "ellipsis")
    return table


def _row(table: Any, *cells: str) -> None:
    from rich.text import Text

    table.add_row(*(Text(cell) for cell in cells))


def _show(table: Any) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 180).print(table)
