"""Training: it learns, it can be repeated, interrupted and resumed, and it stops."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from logad_pipeline.detectors.training import MlmTrainer, TrainingHistory, TrainingSpec
from logad_pipeline.windows import WindowSet
from logad_pipeline_tests.tiny_model import FOREIGN, cycle_windows, tiny_encoder, windows_of

SPEC = TrainingSpec(max_steps=40, batch_size=8, learning_rate=5e-3, evaluate_every=10)
Weights = dict[str, torch.Tensor]


class Interrupted(Exception):
    """What the tests break a training off with."""


def normal() -> WindowSet:
    return windows_of(cycle_windows())


def unlike() -> WindowSet:
    """Held-out windows that training on normal ones makes ever less likely."""
    return windows_of([[FOREIGN, FOREIGN], [FOREIGN, FOREIGN, FOREIGN]])


def nothing() -> WindowSet:
    return windows_of([])


def trained(
    spec: TrainingSpec = SPEC,
    held_out: WindowSet | None = None,
    checkpoint: Path | None = None,
    break_at: int | None = None,
) -> tuple[Weights, TrainingHistory]:
    """Weights and history of a training from the tiny checkpoint; broken off in step ``break_at``."""
    encoder = tiny_encoder()
    trainer = MlmTrainer(encoder, spec, checkpoint)

    def progress(step: int, total: int, loss: float) -> None:
        if step == break_at:
            raise Interrupted

    if break_at is not None:
        with pytest.raises(Interrupted):
            trainer.train(normal(), normal() if held_out is None else held_out, progress)
    else:
        trainer.train(normal(), normal() if held_out is None else held_out, progress)
    return {name: value.clone() for name, value in encoder.model.state_dict().items()}, trainer.history


def same(one: Weights, other: Weights) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def losses(history: TrainingHistory) -> tuple[list[int], list[float], list[float], int]:
    return history.steps, history.train_loss, history.held_out_loss, history.best_step


@pytest.fixture(scope="module")
def whole() -> tuple[Weights, TrainingHistory]:
    return trained()


def test_the_loss_falls_on_logs_that_repeat(whole: tuple[Weights, TrainingHistory]) -> None:
    history = whole[1]
    assert history.steps == [10, 20, 30, 40]
    assert history.held_out_loss[-1] < 0.75 * history.held_out_loss[0]
    assert history.train_loss[-1] < history.train_loss[0]
    assert history.stopped == "steps"


def test_the_same_seed_gives_the_same_weights(whole: tuple[Weights, TrainingHistory]) -> None:
    again, history = trained()
    assert same(again, whole[0])
    assert losses(history) == losses(whole[1])


def test_another_seed_gives_other_weights(whole: tuple[Weights, TrainingHistory]) -> None:
    other, _ = trained(TrainingSpec(**(vars(SPEC) | {"seed": 1})))
    assert not same(other, whole[0])


@pytest.mark.parametrize("break_at", [5, 10, 25, 39])
def test_an_interrupted_training_ends_where_the_whole_one_does(
    break_at: int, tmp_path: Path, whole: tuple[Weights, TrainingHistory]
) -> None:
    trained(checkpoint=tmp_path, break_at=break_at)
    resumed, history = trained(checkpoint=tmp_path)
    assert same(resumed, whole[0])
    assert losses(history) == losses(whole[1])


def test_resuming_goes_on_from_the_checkpoint_and_not_from_the_beginning(tmp_path: Path) -> None:
    trained(checkpoint=tmp_path, break_at=25)
    seen: list[int] = []
    trainer = MlmTrainer(tiny_encoder(), SPEC, tmp_path)
    trainer.train(normal(), normal(), lambda step, total, loss: seen.append(step))
    assert seen == list(range(21, 41))


def test_resuming_remembers_the_best_weights_from_before_the_interruption(tmp_path: Path) -> None:
    whole, history = trained(held_out=unlike())
    assert history.best_step == 10, "this test needs a held-out loss that only rises"
    trained(held_out=unlike(), checkpoint=tmp_path, break_at=35)
    resumed, again = trained(held_out=unlike(), checkpoint=tmp_path)
    assert again.best_step == 10
    assert same(resumed, whole)


def test_resuming_a_training_that_had_stopped_early_changes_nothing(tmp_path: Path) -> None:
    spec = TrainingSpec(**(vars(SPEC) | {"max_steps": 100, "patience": 2}))
    _, history = trained(spec, unlike(), tmp_path)
    assert history.stopped == "held-out loss flat"
    _, again = trained(spec, unlike(), tmp_path)
    assert losses(again) == losses(history)
    assert again.stopped == history.stopped


def test_a_checkpoint_of_another_training_is_not_resumed(
    tmp_path: Path, whole: tuple[Weights, TrainingHistory]
) -> None:
    trained(TrainingSpec(**(vars(SPEC) | {"seed": 1})), checkpoint=tmp_path, break_at=25)
    anew, _ = trained(checkpoint=tmp_path)
    assert same(anew, whole[0])


def test_a_checkpoint_folder_holds_one_checkpoint_without_code(tmp_path: Path) -> None:
    trained(checkpoint=tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["checkpoint.json", "step-40.safetensors"]


def test_training_stops_once_the_held_out_loss_no_longer_falls() -> None:
    encoder = tiny_encoder()
    spec = TrainingSpec(max_steps=200, batch_size=4, learning_rate=5e-3, evaluate_every=5, patience=2)
    history = MlmTrainer(encoder, spec).train(normal(), unlike())
    assert history.stopped == "held-out loss flat"
    assert history.steps[-1] == history.best_step + 2 * 5 < 200


def test_the_weights_kept_are_those_that_predicted_later_windows_best() -> None:
    weights, history = trained(held_out=unlike())
    assert history.held_out_loss[0] == min(history.held_out_loss)
    assert history.best_step == 10
    shorter, _ = trained(TrainingSpec(**(vars(SPEC) | {"max_steps": 40})), unlike())
    assert same(weights, shorter)
    last, _ = trained(held_out=nothing())
    assert not same(weights, last)


def test_without_held_out_windows_all_steps_are_taken() -> None:
    _, history = trained(held_out=nothing())
    assert history.steps[-1] == 40
    assert history.stopped == "steps"
    assert all(math.isnan(loss) for loss in history.held_out_loss)
    assert all(math.isfinite(loss) for loss in history.train_loss)


def test_nothing_to_train_on_is_an_error() -> None:
    with pytest.raises(ValueError, match="no windows to train on"):
        MlmTrainer(tiny_encoder(), SPEC).train(nothing(), nothing())


def test_the_clock_stops_a_training_after_at_least_one_step() -> None:
    _, history = trained(TrainingSpec(**(vars(SPEC) | {"max_minutes": 0.0})))
    assert (history.steps, history.stopped) == ([1], "time")


def test_windows_seen_often_are_learned_first() -> None:
    rows = [["query took duration", "query took duration"], [FOREIGN, FOREIGN]]
    weighed = TrainingSpec(**(vars(SPEC) | {"count_power": 1.0, "max_steps": 30}))
    encoder = tiny_encoder()
    MlmTrainer(encoder, weighed).train(windows_of(rows, counts=[10_000, 1]), nothing())
    surprise = encoder.encode(windows_of(rows)).line_surprise
    assert surprise[:2].max() < surprise[2:].min()


def test_a_step_reads_no_more_tokens_than_asked_but_always_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, windows in ((60, range(1, 9)), (1, range(1, 2))):
        encoder = tiny_encoder()
        trainer = MlmTrainer(encoder, TrainingSpec(max_steps=12, batch_size=8, batch_tokens=limit))
        sizes: list[tuple[int, int]] = []
        loss = trainer._loss

        def noted(batch, loss=loss, sizes=sizes):  # type: ignore[no-untyped-def]
            sizes.append(batch.ids.shape)
            return loss(batch)

        monkeypatch.setattr(trainer, "_loss", noted)
        trainer.train(normal(), nothing())
        assert len(sizes) == 12
        assert all(rows in windows and (rows == 1 or rows * width <= limit) for rows, width in sizes)
