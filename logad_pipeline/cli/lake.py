"""Commands over the lake: init, simulate, ingest, run, train, report, doctor."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logad_pipeline.cli.console import ExitCode, fail, plain_errors, progress_bar, say, say_wrong, table_console
from logad_pipeline.reporting.text import count, score_text, visible

if TYPE_CHECKING:
    from logad_pipeline.lake.tables import Lake
    from logad_pipeline.settings import Settings

LakeOption = Annotated[Path | None, typer.Option("--lake", help="Instead of the configured lake.")]
FirstDay = Annotated[
    datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day; default: all days.")
]
LastDay = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")]
Files = Annotated[list[Path] | None, typer.Argument(metavar="[FILE…]", help="Default: what lies in the inbox.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def lake_errors() -> Iterator[None]:
    """The errors of lake, registry and runs, on top of those of all commands."""
    from logad_pipeline.lake.tables import LakeError
    from logad_pipeline.orchestration.errors import RunFailed
    from logad_pipeline.registry.champions import NoEarlierChampion
    from logad_pipeline.registry.registry import RegistryUnavailable

    with plain_errors():
        try:
            yield
        except NoEarlierChampion as error:
            raise fail(str(error), ExitCode.NO_MODEL) from error
        except (LakeError, RegistryUnavailable, RunFailed) as error:
            raise fail(str(error), ExitCode.UNREADABLE_INPUT) from error


def open_lake(lake: Path | None) -> tuple[Settings, Lake]:
    """The settings with that lake, or the configured one, and the lake itself."""
    from logad_pipeline.lake.tables import Lake
    from logad_pipeline.settings import load_settings

    settings = load_settings(lake)
    return settings, Lake(settings.lake)


def init(lake: LakeOption = None) -> None:
    """Make the lake, the registry and Dagster's home; what exists stays as it is."""
    with lake_errors():
        from logad_pipeline.orchestration.runs import prepare_instance
        from logad_pipeline.registry.registry import Registry
        from logad_pipeline.settings import without_secrets

        settings, opened = open_lake(lake)
        opened.create()
        Registry(settings).prepare()
        prepare_instance(settings)
        say(f"lake at {settings.lake}, registry at {without_secrets(settings.tracking_uri)}")


def simulate(
    days: Annotated[int, typer.Option(help="Days, ending yesterday.", min=1)] = 14,
    lines_per_day: Annotated[int, typer.Option(help="Over all hosts.")] = 1500,
    seed: Annotated[int, typer.Option(help="The same seed gives the same logs.")] = 0,
    start: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = None,
    lake: LakeOption = None,
) -> None:
    """Write realistic logs of several hosts with labelled incidents, to try everything on."""
    with lake_errors():
        from logad_pipeline.logs.simulator import simulate as simulate_logs

        settings, opened = open_lake(lake)
        opened.create()
        first = start.date() if start else datetime.now(settings.zone).date() - timedelta(days=days)
        made = simulate_logs(
            settings.lake / "simulated", start=first, days=days, seed=seed, lines_per_day=lines_per_day,
            first_incident_day=max(2, min(8, days)), overwrite=True,
        )  # fmt: skip
        _write_labels(settings.lake / "labels" / "simulated.csv", made)
        planted = count(len(made.incidents), "incident")
        say(f"{made.total_lines} lines of {count(days, 'day')} in {len(made.logs)} files below {made.directory}, with "
            + (f"{planted} in {made.labelled_lines} of them" if made.incidents else planted))  # fmt: skip


def _write_labels(file: Path, made: Any) -> None:
    """The simulator's labels for evaluation, with a row for each source that has no incident."""
    text = made.labels.read_text(encoding="utf-8").splitlines()
    rows = ["source,line_no,label", *(",".join([*line.split(",")[:2], "1"]) for line in text[1:])]
    rows += [f"{path.name},1,0" for path in made.logs]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")


def ingest(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE…]", help="Default: what lies in the inbox.")
    ] = None,
    log_format: Annotated[str, typer.Option("--format", help="Log format; auto looks at the lines.")] = "auto",
    year: Annotated[int | None, typer.Option(help="Year of the first line, for formats without one.")] = None,
    as_json: Json = False,
    lake: LakeOption = None,
) -> None:
    """Land log files in the lake, split by event day, each line once: of a log that has grown, what is new.

    Of files in the inbox a last line without an end waits for it, and names of unfinished files are left alone. A
    file that is named is taken as it is.
    """
    with lake_errors():
        from logad_pipeline.lake.inbox import land_new_lines, resting_names

        settings, opened = open_lake(lake)
        chosen = files or [path for _, path in resting_names(opened)]
        if not chosen:
            say(f"nothing in {opened.path('inbox')}; put log files there, or name them")
        with progress_bar() as progress:
            for file in chosen:
                told = partial(_tell_lines, progress, file.name)
                landed = land_new_lines(
                    opened, file, format=log_format, year=year, tz=settings.zone, progress=told,
                    complete=bool(files),
                )  # fmt: skip
                if landed.waits:
                    say(f"{file}: its last line has not ended, and waits; name the file to take it as it is")
                if landed.lines:
                    _say_landed(landed, file, settings, as_json)


def _tell_lines(progress: Callable[[str, int, int], None], name: str, lines: int) -> None:
    progress(f"reading {visible(name)}", lines, lines)


def _say_landed(landed: Any, file: Path, settings: Settings, as_json: bool) -> None:
    first, last = min(landed.days), max(landed.days)
    if as_json:
        days = {str(day): lines for day, lines in landed.days.items()}
        print(json.dumps({"file": str(file), "source": landed.source, "sha256": landed.sha, "format": landed.format,
                          "lines": landed.lines, "days": days, "already_landed": landed.already_landed}))  # fmt: skip
    else:
        already = ", was landed before" if landed.already_landed else ""
        days_text = f"{count(len(landed.days), 'day')} ({first} to {last})"
        print(f"{visible(str(file))}: {landed.lines} lines of {days_text}, {landed.format}{already}")
    if first < settings.first_day:
        say(f"{visible(str(file))}: days before {settings.first_day} are no partitions; set first_day in logad.toml")


def run(
    first: FirstDay = None,
    last: LastDay = None,
    lake: LakeOption = None,
) -> None:
    """Run the daily pipeline over landed days; without a champion, train one on the first half of them.

    A day that fails keeps no other from being judged; then the exit code is 1, with a line for each such day.
    """
    with lake_errors():
        from logad_pipeline.orchestration.backfills import days_between
        from logad_pipeline.orchestration.runs import run_days
        from logad_pipeline.registry.registry import CHAMPION, Registry

        settings, opened = open_lake(lake)
        days = days_in(opened, "ledger", first, last)
        whole = days_between(days[0], days[-1])
        registry = Registry(settings)
        registry.prepare()
        if registry.version_of(CHAMPION):
            failed = run_days(settings, "daily", whole)
        else:
            failed = _first_run(settings, days, whole)
        for day, reason in failed.items():
            say_wrong(f"{day}: {reason}")
        if failed:
            raise fail(f"{len(failed)} of {len(whole)} days failed; mend them and run them again", ExitCode.DAYS_FAILED)
        say(f"done: {days[0]} to {days[-1]}; `logad report` shows the most suspicious windows")


def _first_run(settings: Settings, days: list[date], whole: list[date]) -> dict[date, str]:
    """Prepare the days, train a first model on the first half of those that could be, and judge them all."""
    from logad_pipeline.orchestration.runs import run_days

    say(f"preparing {count(len(days), 'day')}")
    failed = run_days(settings, "prepare_days", whole)
    prepared = [day for day in days if day not in failed]
    if not prepared:
        return failed
    half = prepared[max(0, (len(prepared) + 1) // 2 - 1)]
    say(f"no champion yet: training one on {prepared[0]} to {half}")
    _train(settings, prepared[0], half)
    say(f"judging {count(len(prepared), 'day')}")
    return failed | run_days(settings, "judge_days", [day for day in whole if day not in failed])


def train(
    first: FirstDay = None,
    last: LastDay = None,
    lake: LakeOption = None,
) -> None:
    """Train a challenger on prepared days, evaluate it on later ones, and promote it if the gate holds."""
    with lake_errors():
        from logad_pipeline.lake.arrivals import days_of_other_masks
        from logad_pipeline.registry.registry import CHALLENGER, CHAMPION, Registry

        settings, opened = open_lake(lake)
        days = days_in(opened, "windows", first, last)
        if left_out := sorted(days_of_other_masks(opened, "windows").intersection(days)):
            say(f"{len(left_out)} days from {left_out[0]} to {left_out[-1]} were prepared by an earlier release with "
                "other masks, and are left out; run the job `prepare_days` over them to learn from them")  # fmt: skip
        registry = Registry(settings)
        registry.prepare()
        _train(settings, days[0], days[-1])
        print(f"challenger: version {registry.version_of(CHALLENGER)}, champion: {registry.version_of(CHAMPION)}")


def _train(settings: Settings, first: date, last: date) -> None:
    from logad_pipeline.orchestration.runs import run_job

    config: dict[str, object] = {"anomaly_model": {"first_day": str(first), "last_day": str(last)}}
    run_job(settings, "training", config=config)


_NO_DAY = {
    "ledger": "no landed day in that range in {}; `logad ingest FILE…` first",
    "windows": "no prepared day in that range in {}; `logad run` prepares landed days",
    "scores": "no judged day in that range in {}; `logad run` judges landed days",
}


def days_in(lake: Lake, table: str, first: datetime | None, last: datetime | None) -> list[date]:
    """The days of a table within a range; an error with the way out if there is none."""
    from logad_pipeline.lake.tables import LakeError

    if first and last and first > last:
        raise ValueError(f"--from {first:%Y-%m-%d} is after --to {last:%Y-%m-%d}; swap them")
    within = (first.date() if first else date.min, last.date() if last else date.max)
    days = [day for day in lake.days(table) if within[0] <= day <= within[1]]
    if not days:
        raise LakeError(_NO_DAY[table].format(lake.root))
    return days


def report(
    first: FirstDay = None,
    last: LastDay = None,
    top: Annotated[int, typer.Option(help="Windows to list.", min=1, max=25)] = 10,
    as_json: Json = False,
    lake: LakeOption = None,
) -> None:
    """Rank the suspicious windows of judged days, measure against labels if there are any, write one HTML file."""
    with lake_errors():
        from logad_pipeline.lake.labels import read_labels
        from logad_pipeline.lake.promises import promise_days
        from logad_pipeline.lake.report_data import gather_report
        from logad_pipeline.lake.triage import settled
        from logad_pipeline.orchestration.report_files import settings_in_words, write_report
        from logad_pipeline.registry.registry import Registry

        settings, opened = open_lake(lake)
        days = days_in(opened, "scores", first, last)
        version = _newest_version(opened, days)
        model = Registry(settings).load(f"models:/{settings.model.name}/{version}")
        data = gather_report(
            opened, days, opened.scan("scores", days), model.detector,
            title="Log anomalies", version=version, labels=read_labels(opened), settings=settings_in_words(settings),
            states=settled(opened, days), promise=promise_days(opened, days[-1], len(days)),
        )  # fmt: skip
        file = write_report(opened.path("reports") / f"{days[0]}_{days[-1]}" / "report.html", data)
        _print_report(data, file, top, as_json)


def _newest_version(lake: Lake, days: list[date]) -> str:
    found = {v for batch in lake.scan("scores", days, ["model_version"]) for v in batch.column(0).to_pylist()}
    if len(found) > 1:
        say(f"these days were judged by versions {', '.join(sorted(found, key=int))}; `logad run` judges them anew")
    return str(max(found, key=int))


def _print_report(data: Any, file: Path, top: int, as_json: bool) -> None:
    quality = data.evaluation.to_dict() if data.evaluation else None
    if as_json:
        windows = [{"rank": w.rank, "score": w.score, "risk": w.risk, "source": w.source, "group": w.group,
                    "lines": [line.line_no for line in w.lines],
                    "time": w.first_time.isoformat() if w.first_time else None,
                    "repeats": w.repeats} for w in data.top[:top]]  # fmt: skip
        print(json.dumps({"windows": data.windows, "alerts": data.alerts, "report": str(file), "quality": quality,
                          "top": windows}))  # fmt: skip
        return
    from rich.table import Table
    from rich.text import Text

    console = table_console()
    title = f"{count(data.alerts, 'alert')} in {count(data.windows, 'window')}, {data.span}"
    table = Table(title=title, title_justify="left")
    for column in ("#", "score", "risk", "when (UTC)", "where", "least expected line"):
        table.add_column(column, overflow="fold" if column == "least expected line" else "ellipsis")
    for w in data.top[:top]:
        worst = max(w.lines, key=lambda line: line.surprise or 0.0)
        when = f"{w.first_time:%m-%d %H:%M}" if w.first_time else ""
        words = visible(worst.text)[:110]
        where = f"{visible(w.source)}:{w.lines[0].line_no}-{w.lines[-1].line_no}"
        table.add_row(str(w.rank), score_text(w.score), w.risk, when, Text(where), Text(words))
    console.print(table)
    if quality:
        _print_quality(data.evaluation, console)
    console.print(f"report: {file}", soft_wrap=True)


def _print_quality(quality: Any, console: Any) -> None:
    at = quality.at_threshold
    auc = score_text(quality.roc_auc) if quality.roc_auc is not None else "undefined"
    ap = score_text(quality.pr_auc) if quality.pr_auc is not None else "undefined"
    words = [f"{name} {score_text(value)}" for name, value in (("precision", at.precision), ("recall", at.recall),
             ("F1", at.f1)) if value is not None]  # fmt: skip
    alarms = f"false alarms on {at.false_alarm_rate:.2%} of normal windows" if at.false_alarm_rate is not None else ""
    console.print(f"against labels ({quality.positives} of {quality.units} windows): ROC-AUC {auc}, PR-AUC {ap}, "
                  f"at the label-free threshold {', '.join(words)}, {alarms}", soft_wrap=True)  # fmt: skip


def dev(
    port: Annotated[int, typer.Option(help="Of Dagster's pages.")] = 3000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    lake: LakeOption = None,
) -> None:
    """Open Dagster's pages (webserver and daemon) on the lake."""
    with lake_errors():
        from logad_pipeline.orchestration.runs import prepare_instance
        from logad_pipeline.serving.listening import listen

        settings, opened = open_lake(lake)
        opened.version("ledger")
        listen(host, port).close()
        environment = os.environ | {"DAGSTER_HOME": str(prepare_instance(settings)), "LOGAD_LAKE": str(settings.lake)}
        # The inbox is landed within a tick, and a file may be large.
        environment.setdefault("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "1800")
        command = [
            sys.executable,
            "-m",
            "dagster",
            "dev",
            "-m",
            "logad_pipeline.definitions",
            "-h",
            host,
            "-p",
            str(port),
        ]
        say(f"Dagster on http://{host}:{port}; stop with Ctrl-C")
        os.execve(sys.executable, command, environment)


def mlflow_ui(
    port: Annotated[int, typer.Option(help="Of MLflow's pages.")] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    lake: LakeOption = None,
) -> None:
    """Open MLflow's pages on the registry."""
    with lake_errors():
        from logad_pipeline.serving.listening import listen

        settings, _ = open_lake(lake)
        listen(host, port).close()
        command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", settings.tracking_uri,
                   "--host", host, "--port", str(port)]  # fmt: skip
        say(f"MLflow on http://{host}:{port}; stop with Ctrl-C")
        os.execve(sys.executable, command, os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"})


def doctor(as_json: Json = False, lake: LakeOption = None) -> None:
    """Look whether everything that the pipeline needs is there and works."""
    with lake_errors():
        from logad_pipeline.cli.checkup import check_up

        findings = check_up(*open_lake(lake))
        if as_json:
            print(json.dumps([{"what": f.what, "ok": f.ok, "detail": f.detail} for f in findings]))
        else:
            for finding in findings:
                print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.what:<14} {finding.detail}")
        if not all(finding.ok for finding in findings):
            raise typer.Exit(int(ExitCode.UNREADABLE_INPUT))
