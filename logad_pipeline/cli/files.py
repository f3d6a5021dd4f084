"""`logad fit` and `logad detect`: a file or a pipe in, a model or verdicts out, no lake and no services."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from logad_pipeline.cli.console import ExitCode, plain_errors, progress_bar, say
from logad_pipeline.cli.verdicts import Told, watch
from logad_pipeline.reporting.text import visible

if TYPE_CHECKING:
    from logad_pipeline.detectors.ensemble import AnomalyDetector
    from logad_pipeline.detectors.units import UnitKind
    from logad_pipeline.streams import FileScorer, LineAccount
    from logad_pipeline.unit_streams import UnitScorer

FORMAT_HELP = "Log format; auto looks at the lines. `logad formats` lists the names."
YEAR_HELP = "Year of the first line, for formats without one; else taken from the file's time."
STEPS = 400
Steps = Annotated[int, typer.Option(help="Training steps at most.", min=1)]
ModelName = Annotated[
    str, typer.Option(help="Model folder, or models:/NAME@ALIAS in the registry; default: its newest.")
]
_REMEMBERED = 20_000
"""Windows of a stream without end whose scores are remembered."""
_ENDED = {
    "steps": "all that were asked for", "time": "the minutes were up", "held-out loss flat": "the loss fell no more",
}  # fmt: skip
GROUP_HELP = "Cut windows within: none, host, program, process, or a regular expression with one group."


def fit(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Normal logs, packed or not; - is stdin.")],
    model: Annotated[Path, typer.Option(help="Folder to write the model to.")],
    window_type: Annotated[str, typer.Option(help="fixed, sliding or session.")] = "fixed",
    window_size: Annotated[int, typer.Option(help="Lines a window.")] = 10,
    stride: Annotated[int, typer.Option(help="Lines between starts of sliding windows.")] = 1,
    group_by: Annotated[str, typer.Option(help=GROUP_HELP)] = "none",
    seed: Annotated[int, typer.Option(help="Of weights, sampling and masks.", min=0)] = 0,
    max_minutes: Annotated[float | None, typer.Option(help="Stop training after so many minutes.", min=0)] = None,
    max_steps: Steps = STEPS,
    base_model: Annotated[str, typer.Option(help="Hub name, local folder, or random.")] = "prajjwal1/bert-mini",
    false_alarm_rate: Annotated[float, typer.Option(help="Share of normal windows that may raise an alarm.")] = 0.01,
    without: Annotated[list[str] | None, typer.Option(help="A detector to leave out; may be given again.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    log_format: Annotated[str, typer.Option("--format", help=FORMAT_HELP)] = "auto",
    year: Annotated[int | None, typer.Option(help=YEAR_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the model's card as JSON.")] = False,
) -> None:
    """Learn from normal logs, without labels, and write a model folder."""
    with plain_errors():
        from logad_pipeline.detectors.calibration import ScoreScale
        from logad_pipeline.detectors.encoder import EncoderSpec
        from logad_pipeline.detectors.fitting import FitSpec
        from logad_pipeline.detectors.registry import all_but
        from logad_pipeline.detectors.training import TrainingSpec
        from logad_pipeline.streams import ReadSpec, fit_files
        from logad_pipeline.windows import WindowSpec

        if model.exists() and (not model.is_dir() or (any(model.iterdir()) and not (model / "model.json").is_file())):
            raise FileExistsError(f"{model} exists and is no model folder; give another --model")
        check_device(device)
        window_spec = WindowSpec(window_type, window_size, stride, group_by)  # type: ignore[arg-type]
        spec = FitSpec(
            encoder=EncoderSpec(base_model=base_model),
            training=TrainingSpec(max_steps=max_steps, max_minutes=max_minutes, seed=seed),
            scale=ScoreScale(false_alarm_rate),
            detectors=all_but(without or ()),
            device=device,
        )
        with progress_bar() as progress:
            fitted, account = fit_files(files, window_spec, spec, ReadSpec(log_format, year), progress)
        fitted.card["logs"]["sources"] = files
        fitted.save(model)
        _print_card(fitted, account, model, as_json)


def _print_card(model: AnomalyDetector, account: LineAccount, folder: Path, as_json: bool) -> None:
    if as_json:
        card = {"model": str(folder), "version": model.version, "window_spec": model.window_spec.to_dict(),
                "mask_version": model.mask_version, **model.card}  # fmt: skip
        print(json.dumps(card, indent=1))
        return
    card, spec = model.card, model.window_spec
    windows, training, encoder = card["windows"], card["training"], card["encoder"]
    grouped = "" if spec.group_by == "none" else f" within {spec.group_by}"
    print(f"model      {folder} (version {model.version})")
    print(f"encoder    {encoder['source']}: {encoder['detail']}")
    print(f"           {encoder['layers']} layers, {encoder['hidden']} hidden, {encoder['parameters'] / 1e6:.1f} M "
          f"parameters, vocabulary of {encoder['vocabulary']}")  # fmt: skip
    print(f"logs       {account.lines} lines, {account.records} records, {card['unique_lines']} distinct after masks "
          f"(version {model.mask_version}), {sum(account.rejected.values())} lines rejected")  # fmt: skip
    size = "" if spec.window_type == "session" else f" of {spec.size}"
    print(f"windows    {spec.window_type}{size}{grouped}: {windows['train']} to learn from "
          f"({windows['unique_train']} distinct), {windows['choose']} to choose when to stop, "
          f"{windows['calibrate']} later ones to calibrate")  # fmt: skip
    ended = _ENDED.get(training["stopped_by"], training["stopped_by"])
    print(
        f"training   {training['steps_taken']} steps on {training['device']} ({ended}), "
        f"weights of step {training['best_step']}, seed {training['seed']}; {card['fit_seconds']:.0f} s in all"
    )
    weights = sorted(card["weights"].items(), key=lambda item: -item[1])
    print("detectors  " + ", ".join(f"{name} {weight:.2f}" for name, weight in weights) + " (weights)")
    if windows["trimmed"]:
        print(f"left out   {windows['trimmed']} windows that were too odd to be learned as normal")
    print(f"promise    a score of 0.5 and above for {model.scale.false_alarm_rate:.2%} of normal windows")


def detect(
    files: Annotated[list[str], typer.Argument(metavar="FILE…|-", help="Logs to judge; - is stdin.")],
    model: ModelName = "",
    window_type: Annotated[str | None, typer.Option(help="Instead of the model's.")] = None,
    window_size: Annotated[int | None, typer.Option(help="Instead of the model's.")] = None,
    stride: Annotated[int | None, typer.Option(help="Instead of the model's.")] = None,
    group_by: Annotated[str | None, typer.Option(help="Instead of the model's. " + GROUP_HELP)] = None,
    unit: Annotated[str, typer.Option(help="What is judged: window, group, file, or minutes such as 5min.")] = "window",
    false_alarm_rate: Annotated[float | None, typer.Option(help="Instead of the model's.")] = None,
    alerts_per_day: Annotated[float | None, typer.Option(help="An alert budget, in place of the rate.")] = None,
    top: Annotated[int, typer.Option(help="Verdicts to list for people.", min=1)] = 10,
    log_format: Annotated[str, typer.Option("--format", help=FORMAT_HELP)] = "auto",
    year: Annotated[int | None, typer.Option(help=YEAR_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a verdict, in stream order.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write here instead of stdout; appears only when whole.")] = None,
    fail_on_anomaly: Annotated[bool, typer.Option(help="Exit with 1 if any window is anomalous.")] = False,
    adapt: Annotated[bool, typer.Option(help="Let the threshold follow drift, from verdict to verdict.")] = True,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    follow: Annotated[
        bool | None, typer.Option(help="Print alerts of - as they come; default: once it is slower than we are.")
    ] = None,
    max_delay: Annotated[
        float,
        typer.Option(
            help="Seconds after which lines of - are judged, be their window full or not. Sessions are judged when "
            "they are full or had no line for ten minutes."
        ),
    ] = 5.0,
) -> None:
    """Judge the windows of a log, or its sessions, its spans of time or itself, with a fitted model.

    What comes in by - is judged as it comes: `journalctl -f | logad detect -`.
    """
    with plain_errors():
        from logad_pipeline.detectors.units import UnitKind
        from logad_pipeline.live import LiveScorer
        from logad_pipeline.streams import FileScorer, ReadSpec
        from logad_pipeline.unit_streams import UnitScorer
        from logad_pipeline.window_scores import RememberedScores

        kind = UnitKind.parse(unit)
        check_device(device)
        _check_readable(files)
        loaded = with_threshold(model_of(model, device), kind, false_alarm_rate, alerts_per_day)
        overrides = {"window_type": window_type, "size": window_size, "stride": stride, "group_by": group_by}
        spec = loaded.window_spec.override(overrides)
        read = ReadSpec(log_format, year)
        scorer: FileScorer | UnitScorer
        live = kind.kind == "window" and files == ["-"]
        if follow and not live:
            raise ValueError("--follow watches standard input alone, window by window; give - and no --unit")
        if kind.kind == "window":
            ask = RememberedScores(loaded, _REMEMBERED) if live else None
            scorer = FileScorer(loaded, spec, read, adaptive=adapt, ask=ask)
        else:
            scorer = UnitScorer(loaded, kind, spec, read, adaptive=adapt)
        with _output(output) as out:
            told = Told(out, top, as_json, follow)
            if isinstance(scorer, FileScorer) and live:
                watch(LiveScorer(scorer, max_delay), told)
            else:
                for verdict in (verdict for file in files for verdict in scorer.score(file)):
                    told.take(verdict, loaded.version)
            told.finish()
        counts = told.counts
        account = scorer.account
        rejected = sum(account.rejected.values())
        judged = "windows" if kind.kind == "window" else f"units ({kind})"
        say(f"{counts['verdicts']} {judged} of {account.lines} lines, {counts['anomalies']} anomalous"
            + (f"; {rejected} lines were no log lines" if rejected else ""))  # fmt: skip
        if fail_on_anomaly and counts["anomalies"]:
            raise typer.Exit(int(ExitCode.ANOMALIES_FOUND))


def model_of(name: str, device: str = "auto") -> AnomalyDetector:
    """The model of that name, or where none is given the newest of the registry, which is told.

    Raises:
        ModelNotFound: if there is none.
        UnreadableInput: if the registry does not answer.
    """
    from logad_pipeline.logs.reader import UnreadableInput
    from logad_pipeline.registry.fetch import load_model, newest_model
    from logad_pipeline.registry.registry import RegistryUnavailable

    try:
        if name:
            return load_model(name, device)
        newest = newest_model(device)
    except RegistryUnavailable as error:
        raise UnreadableInput(f"{error}; or pass --model DIR") from error
    say(f"judging with models:/{visible(newest.name)}/{newest.version}")
    return newest.detector


def with_threshold(
    model: AnomalyDetector, kind: UnitKind, rate: float | None, alerts_per_day: float | None
) -> AnomalyDetector:
    """The model with another promise: a rate, or a budget of alerts a day.

    Raises:
        ValueError: if both are given, or one is out of range.
    """
    from logad_pipeline.detectors.calibration import ScoreScale
    from logad_pipeline.detectors.unit_reference import rate_for_budget

    if rate is not None and alerts_per_day is not None:
        raise ValueError("give --false-alarm-rate or --alerts-per-day, not both")
    if alerts_per_day is not None:
        rate = rate_for_budget(model.reference, kind, alerts_per_day)
        say(f"{alerts_per_day:g} alerts a day are a false-alarm rate of {rate:.3%} here")
    return model if rate is None else replace(model, scale=ScoreScale(rate, model.scale.bands))


def check_device(device: str) -> None:
    """Fail on a device that is not here before anything is read.

    Raises:
        ValueError: if there is none of that name.
    """
    if device in ("auto", "cpu"):
        return
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
        raise ValueError(f"there is no device '{device}' here; use auto or cpu") from error


def _check_readable(files: list[str]) -> None:
    """Fail on a missing file before the model is loaded, not after minutes of scoring."""
    from logad_pipeline.logs.reader import open_log

    for file in files:
        if file != "-":
            open_log(file).close()


@contextmanager
def _output(file: Path | None) -> Iterator[IO[str]]:
    if file is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise FileNotFoundError(f"{file}: not a file in a folder that exists; give another --output")
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as stream:
            yield stream
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def formats() -> None:
    """List the log formats that are read."""
    from logad_pipeline.logs.formats import FORMATS

    for entry in FORMATS:
        print(f"{entry.name:<16} {entry.description}")


def score_lines(lines: list[str], model: str, window_type: str | None, size: int | None) -> dict[str, Any]:
    """Judge a few lines given on the command line, as one source; used by ``ai_detect_cli.py``."""
    from logad_pipeline.registry.fetch import load_model
    from logad_pipeline.streams import score_sequence

    loaded = load_model(model)
    spec = loaded.window_spec.override({"window_type": window_type, "size": size})
    return score_sequence(loaded, lines, spec)
