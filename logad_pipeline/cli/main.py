"""The `logad` command: which commands there are. What they do is in the file of their group."""

from __future__ import annotations

from typing import Annotated

import typer

from logad_pipeline.cli import alerts, benchmark, explain, files, lake, operation, serve
from logad_pipeline.cli.console import QuickGroup, leave_memory, set_up_logging

app = typer.Typer(
    name="logad",
    cls=QuickGroup,
    help="Unsupervised log anomaly detection: learn normal logs with BERT-mini, judge new ones.",
    epilog="Exit codes: 0 done, 1 anomalies found (--fail-on-anomaly) or days failed (run), 2 usage, 3 unreadable "
    "input, 4 no model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: drawing it would take longer than all else
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"logad {version('logad-pipeline')}")
        raise typer.Exit


@app.callback()
def main_options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options of every command."""
    set_up_logging(verbose)


app.command()(files.fit)
app.command()(files.detect)
app.command()(explain.explain)
app.command()(files.formats)
app.command()(benchmark.benchmark)
app.command("benchmark-evidence")(explain.pointing)
for command in (lake.init, lake.simulate, lake.ingest, lake.run, lake.train, lake.report, lake.doctor, lake.dev):
    app.command()(command)
for daily in (operation.feedback, operation.suppress, operation.suppressions, operation.backfill,
              operation.promote, operation.rollback):  # fmt: skip
    app.command()(daily)
app.command("mlflow")(lake.mlflow_ui)
app.command()(alerts.triage)
app.command("alerts", hidden=True)(alerts.triage)
app.command()(alerts.compare)
app.command()(serve.serve)
app.add_typer(serve.keys, name="key")


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    finally:
        leave_memory()
