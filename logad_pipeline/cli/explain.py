"""`logad explain`: why windows of a log are suspicious, for people and as JSON; and how well that points.

Belongs here: the words on the terminal. Evidence is found in ``explanation``, measured in ``evaluation``.
"""

from __future__ import annotations

import heapq
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logad_pipeline.cli.console import ExitCode, fail, plain_errors, say
from logad_pipeline.cli.files import FORMAT_HELP, STEPS, YEAR_HELP, ModelName, Steps, check_device, model_of

if TYPE_CHECKING:
    from logad_pipeline.explanation.evidence import Evidence
    from logad_pipeline.explanation.language_model import Explained, LanguageModel
    from logad_pipeline.streams import WindowVerdict

_GUESSES = 2


def explain(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Logs to judge and explain.")],
    model: ModelName = "",
    top: Annotated[int, typer.Option(help="Windows to explain, the most suspicious ones.", min=1)] = 5,
    in_words: Annotated[
        bool, typer.Option(help="Also ask the language model of the settings ([explanation] url and model).")
    ] = False,
    log_format: Annotated[str, typer.Option("--format", help=FORMAT_HELP)] = "auto",
    year: Annotated[int | None, typer.Option(help=YEAR_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a window.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Judge logs and say of the most suspicious windows why: lines, words, and the nearest normal window."""
    with plain_errors():
        from logad_pipeline.explanation.explainer import Explainer, shown_windows
        from logad_pipeline.logs.reader import open_log
        from logad_pipeline.streams import FileScorer, ReadSpec

        check_device(device)
        for file in files:
            open_log(file).close()
        asked = _language_model() if in_words else None
        loaded = model_of(model, device)
        scorer = FileScorer(loaded, read=ReadSpec(log_format, year))
        verdicts = enumerate(verdict for file in files for verdict in scorer.score(file))
        worst = [one for _, one in heapq.nsmallest(top, verdicts, key=lambda item: (-item[1].score, item[0]))]
        evidence = Explainer(loaded).explain(shown_windows(worst, scorer.reader.index))
        raw = _raw_lines(worst, ReadSpec(log_format, year))
        for verdict, why, messages in zip(worst, evidence, raw, strict=True):
            words = asked.explain(why, messages) if asked else None
            if as_json:
                print(json.dumps(_json(verdict, why, words, loaded.version)))
            else:
                _print(verdict, why, messages, words)


def _language_model() -> LanguageModel:
    from logad_pipeline.explanation.language_model import LanguageModel
    from logad_pipeline.settings import load_settings

    chosen = load_settings().explanation
    if not chosen.url or not chosen.model:
        raise ValueError(
            "no language model is set; name one in logad.toml ([explanation] url and model), or leave --in-words out"
        )
    return LanguageModel(chosen.url, chosen.model, chosen.api_key.get_secret_value(), chosen.timeout_s)


def _raw_lines(verdicts: list[WindowVerdict], read: Any) -> list[list[str]]:
    """The messages of each window's records, in the order in which the window holds them."""
    from logad_pipeline.logs.parser import read_records
    from logad_pipeline.logs.records import Record

    wanted: dict[str, set[int]] = {}
    for verdict in verdicts:
        wanted.setdefault(verdict.source, set()).update(first for first, _ in verdict.window.spans)
    found: dict[tuple[str, int], str] = {}
    for source, lines in wanted.items():
        for record in read_records(source, format=read.format, year=read.year, tz=read.tz):
            if isinstance(record, Record) and record.first_line in lines:
                found[source, record.first_line] = record.message
    return [[found.get((one.source, first), "") for first, _ in one.window.spans] for one in verdicts]


def _json(verdict: WindowVerdict, why: Evidence, words: Explained | None, version: str) -> dict[str, Any]:
    told = verdict.to_dict(version) | {"evidence": why.to_dict()}
    return told | ({"in_words": words.to_dict()} if words else {})


def _print(verdict: WindowVerdict, why: Evidence, messages: list[str], words: Explained | None) -> None:
    from logad_pipeline.reporting.text import count, score_text, shorten, visible

    def plain(text: str, limit: int = 200) -> str:
        return shorten(visible(text), limit)

    group = f" {plain(verdict.group, 60)}" if verdict.group else ""
    mark = "!" if verdict.is_anomaly else " "
    print(f"{mark} {score_text(verdict.score)} {verdict.risk:<6} {plain(verdict.source)}:{verdict.first_line}-"
          f"{verdict.last_line}{group}  {why.kind}")  # fmt: skip
    print(f"  {plain(why.summary, 400)}")
    voices = ", ".join(f"{voice.detector} (1 in {voice.one_in:,.0f})" for voice in why.voices[:4] if voice.spoke)
    print(f"  spoke: {voices or 'no detector on its own'}")
    for line in why.pointed_at():
        first, _ = verdict.window.spans[line.place]
        print(f"  line {first}: {plain(messages[line.place])}")
        if line.reasons:
            print(f"    {plain('; '.join(line.reasons), 300)}")
        if line.expected_line:
            print(f"    expected instead: {plain(line.expected_line)}")
        for word in line.least_expected():
            likely = [f"'{plain(one.text, 40)}' ({one.probability:.0%})" for one in word.expected[:_GUESSES]]
            print(f"      '{plain(word.text, 40)}' where {' or '.join(likely)} was expected")
    if why.nearest is not None:
        print(f"  nearest normal window: alike to {why.nearest.similarity:.0%}, seen {count(why.nearest.seen, 'time')}")
        signs = {"added": "+", "missing": "-", "moved": "~"}
        for row in why.nearest.differences:
            if row.change != "same":
                print(f"    {signs[row.change]} {plain(row.text, 160)}")
    if words is not None:
        print(f"  in words ({plain(words.note, 300)}): {plain(words.words.summary, 600)}")
        print(f"    likely cause: {plain(words.words.likely_cause, 600)} (confidence {words.words.confidence})")
        for check in words.words.check_next:
            print(f"    check: {plain(check, 300)}")
    print()


def pointing(
    name: Annotated[str, typer.Argument(help="simulator, thunderbird, openstack, authlog or linux.")],
    data: Annotated[Path | None, typer.Option(help="Folder of the set, or its parent; not for the simulator.")] = None,
    variant: Annotated[str, typer.Option(help="Of the set, see `logad benchmark list`; its first model counts.")] = "",
    max_steps: Steps = STEPS,
    seed: Annotated[int, typer.Option(help="Of the model and of the simulated logs.")] = 0,
    base_model: Annotated[str, typer.Option(help="Hub name, local folder, or random.")] = "prajjwal1/bert-mini",
    days: Annotated[int, typer.Option(help="Days to simulate.", min=8)] = 21,
    lines_per_day: Annotated[int, typer.Option(help="Lines a simulated day.", min=300)] = 1500,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Measure evidence: whether the lines it points at are the labelled ones, beside two simple guesses."""
    with plain_errors():
        from logad_pipeline.detectors.encoder import EncoderSpec
        from logad_pipeline.detectors.fitting import FitSpec
        from logad_pipeline.detectors.training import TrainingSpec
        from logad_pipeline.evaluation import simulated_set
        from logad_pipeline.evaluation.benchmark_set import SetNotFound
        from logad_pipeline.evaluation.datasets import load_set
        from logad_pipeline.evaluation.fault_lines import openstack_lines
        from logad_pipeline.evaluation.pointing import measure_pointing, table
        from logad_pipeline.streams import fit_files

        if name != simulated_set.NAME and data is None:
            raise ValueError("give the folder of the logs with --data")
        spec = FitSpec(
            encoder=EncoderSpec(base_model=base_model), training=TrainingSpec(max_steps=max_steps, seed=seed)
        )
        try:
            with tempfile.TemporaryDirectory(prefix="logad-pointing-") as work:
                incidents = None
                if data is None or name == simulated_set.NAME:
                    made = simulated_set.simulated_set(Path(work), days=days, lines_per_day=lines_per_day, seed=seed)
                    found, incidents = made.benchmark, made.incidents
                else:
                    found = load_set(name, data, Path(work), variant)
                part = found.parts[0]
                labelled = part.line_truth
                if labelled is None and name == "openstack" and data is not None:
                    labelled = openstack_lines(part, data)
                if labelled is None:
                    raise ValueError(f"the labels of '{name}' stand on units, not on lines; nothing to point at")
                say(f"{found.name}: fitting …")
                model, _ = fit_files([str(path) for path in part.train], found.window_spec, spec, found.read_spec)
                result = measure_pointing(found, model, labelled, incidents, say)
        except SetNotFound as error:
            raise fail(str(error), ExitCode.UNREADABLE_INPUT) from error
        print(json.dumps(result.to_dict()) if as_json else table([result]), end="" if not as_json else "\n")
