"""`logad benchmark`: a labelled set, split in time, judged as a user's logs are, beside simple baselines."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logad_pipeline.cli.console import ExitCode, fail, plain_errors, say
from logad_pipeline.cli.files import STEPS, Steps

if TYPE_CHECKING:
    from logad_pipeline.evaluation.benchmark import BenchmarkResult
    from logad_pipeline.evaluation.benchmark_set import BenchmarkSet


def benchmark(
    name: Annotated[str, typer.Argument(help="Which set; `logad benchmark list` names them.")],
    data: Annotated[Path | None, typer.Option(help="Folder of the set, or its parent.")] = None,
    variant: Annotated[str, typer.Option(help="Which training units; '' is the set's own protocol.")] = "",
    seeds: Annotated[str, typer.Option(help="Seeds, with commas.")] = "0,1,2",
    max_steps: Steps = STEPS,
    false_alarm_rate: Annotated[float, typer.Option(help="The promise.")] = 0.01,
    base_model: Annotated[str, typer.Option(help="Hub name, local folder, or random.")] = "prajjwal1/bert-mini",
    jobs: Annotated[int, typer.Option(help="Seeds at once, one thread each.", min=1)] = 1,
    output: Annotated[Path | None, typer.Option(help="Folder for the table, the JSON and the plot.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON instead of the table.")] = False,
) -> None:
    """Measure detection on a labelled set: every detector, the fusion, and simple baselines."""
    with plain_errors():
        from logad_pipeline.detectors.calibration import ScoreScale
        from logad_pipeline.detectors.encoder import EncoderSpec
        from logad_pipeline.detectors.fitting import FitSpec
        from logad_pipeline.detectors.training import TrainingSpec
        from logad_pipeline.evaluation.benchmark import run_benchmark
        from logad_pipeline.evaluation.datasets import LOADERS, SetNotFound, load_set
        from logad_pipeline.evaluation.leak_audit import LeakFound

        if name == "list":
            for known, loader in LOADERS.items():
                variants = ", ".join(variant for variant in loader.variants if variant)
                print(f"{known:<12} {loader.description}" + (f" (variants: {variants})" if variants else ""))
            return
        if data is None:
            raise ValueError("give the folder of the logs with --data")
        chosen = _seeds(seeds)
        spec = FitSpec(
            encoder=EncoderSpec(base_model=base_model),
            training=TrainingSpec(max_steps=max_steps),
            scale=ScoreScale(false_alarm_rate),
        )
        try:
            with tempfile.TemporaryDirectory(prefix="logad-benchmark-") as work:
                found = load_set(name, data, Path(work), variant)
                say(f"{found.name}: {found.training}")
                result = run_benchmark(found, spec, chosen, jobs=jobs, say=say)
        except SetNotFound as error:
            raise fail(str(error), ExitCode.UNREADABLE_INPUT) from error
        except LeakFound as error:
            raise fail(f"{name}: {error}", ExitCode.UNREADABLE_INPUT) from error
        _tell(found, result, variant, output, as_json)


def _seeds(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(f"seeds '{text}' are no whole numbers with commas, such as 0,1,2") from error


def _tell(found: BenchmarkSet, result: BenchmarkResult, variant: str, output: Path | None, as_json: bool) -> None:
    from logad_pipeline.evaluation.benchmark import promised_and_achieved
    from logad_pipeline.evaluation.results import table, to_dict
    from logad_pipeline.reporting.promise import promised_against_achieved

    title = found.name + (f", {variant}" if variant else "")
    promise = [promised_and_achieved(run) for run in result.runs]
    told: dict[str, Any] = to_dict(title, result.rows) | {
        "training": found.training, "promised_rate": result.rate,
        "audit": [vars(finding) for finding in result.findings], "promise": promise,
        "runs": [{"seed": run.seed, "fit_seconds": run.fit_seconds, "score_seconds": run.score_seconds,
                  "weights": run.weights, "models": run.cards} for run in result.runs],
    }  # fmt: skip
    text = table(title, result.rows) + _times(result)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        stem = title.replace(", ", "-")
        (output / f"{stem}.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
        (output / f"{stem}.txt").write_text(text, encoding="utf-8")
        (output / f"{stem}.png").write_bytes(
            promised_against_achieved(promise, f"{title}: promised and achieved false alarms")
        )
    print(json.dumps(told) if as_json else text)


def _times(result: BenchmarkResult) -> str:
    runs = result.runs
    fit = sum(run.fit_seconds for run in runs) / len(runs)
    score = sum(run.score_seconds for run in runs) / len(runs)
    encoder = runs[0].cards[0]["encoder"]
    return (
        f"Fitting took {fit:.0f} s and scoring {score:.0f} s a seed; encoder: {encoder['source']}, "
        f"{runs[0].cards[0]['training']['steps_taken']} steps; promised {result.rate:.2%}.\n"
    )
