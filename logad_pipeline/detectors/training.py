"""Masked language modelling of normal windows: one readable loop.

Belongs here: sampling, the optimiser, early stopping and checkpoints. The masks are in ``masking``, the
model in ``encoder``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from logad_pipeline.detectors.encoder import BertEncoder
from logad_pipeline.detectors.masking import MaskCollator, MaskedBatch, Segment
from logad_pipeline.windows import WindowSet

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

_DRAWN_BATCHES: Final = 6


@dataclass(frozen=True)
class TrainingSpec:
    """How the encoder is trained.

    Attributes:
        max_steps: optimiser steps at most.
        batch_size: windows a step, at most.
        batch_tokens: tokens a step, at most, but always a window: a step on long windows costs what one on
            short ones does.
        learning_rate: peak of AdamW's, after a linear warm-up and before a cosine decay.
        max_minutes: wall-clock limit; ``None`` for none. Where it binds, the result depends on the
            machine's speed, and so is not reproducible from the seed alone.
        evaluate_every: steps between looks at the held-out windows.
        patience: looks without improvement before stopping.
        count_power: a window seen ``c`` times is drawn in proportion to ``c ** count_power``: 1 is the
            stream as it is, 0 forgets how often; in between, rare normal windows are learned too.
        seed: of sampling, masks and dropout.
    """

    max_steps: int = 1200
    batch_size: int = 16
    batch_tokens: int = 1024
    learning_rate: float = 8e-4
    max_minutes: float | None = None
    evaluate_every: int = 50
    patience: int = 5
    count_power: float = 0.5
    seed: int = 0


@dataclass
class TrainingHistory:
    """What happened: losses in nats a hidden token, by step."""

    steps: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    held_out_loss: list[float] = field(default_factory=list)
    best_step: int = 0
    stopped: str = ""
    seconds: float = 0.0


TrainingProgress = Callable[[int, int, float], None]
"""Called with (step, steps at most, latest loss)."""


class MlmTrainer:
    """Trains an encoder on windows, keeping the weights that predict later windows best.

    The batch of step ``t`` is a function of the seed and ``t`` alone, so a training that was interrupted
    and resumed from its checkpoint ends where the uninterrupted one does (on a CPU, to the last bit).
    """

    def __init__(self, encoder: BertEncoder, spec: TrainingSpec, checkpoint: Path | None = None) -> None:
        self.encoder = encoder
        self.spec = spec
        self.checkpoint = checkpoint
        self.history = TrainingHistory()
        self._data = ""
        self._collate = MaskCollator(encoder.special, encoder.network.vocabulary)

    def train(self, train: WindowSet, held_out: WindowSet, progress: TrainingProgress | None = None) -> TrainingHistory:
        """Train until the held-out loss stops falling, the steps or the minutes are used up.

        Args:
            train: unique normal windows with counts.
            held_out: normal windows later in time; may be empty, then all steps are taken.
            progress: told of every step.

        Raises:
            ValueError: if there is nothing to train on.
        """
        import torch

        segments = self.encoder.segments(train)
        if not segments:
            raise ValueError("no windows to train on; give logs with at least a few lines")
        weights = np.asarray(train.counts, dtype=np.float64) ** self.spec.count_power
        chances = weights[[segment.window for segment in segments]]
        chances /= chances.sum()
        self._data = _digest(segments, chances)
        held = self._held_out_batches(held_out)
        model = self.encoder.model
        optimiser = torch.optim.AdamW(model.parameters(), lr=self.spec.learning_rate, weight_decay=0.01)
        first, best = self._resume(optimiser)
        if best is None and held:
            best = {name: value.clone() for name, value in model.state_dict().items()}
        if self.history.stopped in ("steps", "held-out loss flat"):
            first = self.spec.max_steps  # it had come to its end; one that ran out of time goes on
        best_loss = min(self.history.held_out_loss, default=math.inf)
        started, running = time.monotonic(), []
        for step in range(first, self.spec.max_steps):
            running.append(self._step(step, segments, chances, optimiser))
            if progress:
                progress(step + 1, self.spec.max_steps, running[-1])
            seconds = time.monotonic() - started
            out_of_time = self.spec.max_minutes is not None and seconds > self.spec.max_minutes * 60
            last = step + 1 == self.spec.max_steps or out_of_time
            if (step + 1) % self.spec.evaluate_every == 0 or last:
                loss = self._held_out_loss(held)
                self._note(step + 1, float(np.mean(running)), loss)
                running = []
                if loss < best_loss:
                    best_loss, self.history.best_step = loss, step + 1
                    best = {name: value.clone() for name, value in model.state_dict().items()}
                done = last or self._is_flat()
                if done:
                    self.history.stopped = "time" if out_of_time else "steps" if last else "held-out loss flat"
                self._save_checkpoint(optimiser, step + 1, best)
                if done:
                    break
        if best is not None:
            model.load_state_dict(best)
        model.eval()
        self.history.seconds = time.monotonic() - started
        return self.history

    def _step(
        self, step: int, segments: list[Segment], chances: np.ndarray[Any, Any], optimiser: torch.optim.Optimizer
    ) -> float:
        import torch

        rng = np.random.default_rng([self.spec.seed, step])
        torch.manual_seed(self.spec.seed * 1_000_003 + step)
        # Of a larger draw, windows of like length make the batch: padding to the longest one is work for nothing.
        drawn = rng.choice(len(segments), size=self.spec.batch_size * _DRAWN_BATCHES, p=chances)
        drawn = drawn[np.argsort([len(segments[i].ids) for i in drawn], kind="stable")]
        start = self.spec.batch_size * int(rng.integers(_DRAWN_BATCHES))
        chosen = drawn[start : start + self.spec.batch_size]
        # Any of them may be left out for want of room, the longest as likely as the shortest.
        chosen = rng.permutation(chosen)[: max(1, self.spec.batch_tokens // len(segments[chosen[-1]].ids))]
        batch = self._collate([segments[i] for i in chosen], rng)
        for group in optimiser.param_groups:
            group["lr"] = self.spec.learning_rate * self._schedule(step)
        self.encoder.model.train()
        with self._precision():
            loss = self._loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.encoder.model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return float(loss.detach())

    def _loss(self, batch: MaskedBatch) -> torch.Tensor:
        """Mean NLL of the hidden tokens; logits are made at hidden positions only."""
        import torch

        device = self.encoder.device
        targets = torch.from_numpy(batch.targets).to(device)
        hidden = self.encoder.model.bert(
            input_ids=torch.from_numpy(batch.ids).to(device),
            attention_mask=torch.from_numpy(batch.attention).to(device),
        ).last_hidden_state
        chosen = targets != -100
        logits = self.encoder.model.cls(hidden[chosen])
        return torch.nn.functional.cross_entropy(logits.float(), targets[chosen])

    def _schedule(self, step: int) -> float:
        warm = max(1, min(50, self.spec.max_steps // 10))
        if step < warm:
            return (step + 1) / warm
        share = (step - warm) / max(1, self.spec.max_steps - warm)
        return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))

    def _precision(self) -> AbstractContextManager[Any]:
        """bf16 where the hardware multiplies it; elsewhere it would be slower than float32."""
        import torch

        if self.encoder.device.startswith("cuda"):
            fast = torch.cuda.is_bf16_supported()
        else:
            fast = torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.cpu._is_avx512_bf16_supported()
        device_type = self.encoder.device.split(":")[0]
        return torch.autocast(device_type, dtype=torch.bfloat16) if fast else nullcontext()

    def _held_out_batches(self, held_out: WindowSet, limit: int = 96) -> list[MaskedBatch]:
        """The same masks at every look, so that losses compare; at most ``limit`` windows."""
        if not len(held_out):
            return []
        rng = np.random.default_rng([self.spec.seed, 2**31])
        if len(held_out) > limit:
            held_out = held_out.take(np.sort(rng.choice(len(held_out), size=limit, replace=False)))
        segments = sorted(self.encoder.segments(held_out), key=lambda segment: len(segment.ids))
        return [self._collate(segments[i : i + 32], rng) for i in range(0, len(segments), 32)]

    def _held_out_loss(self, batches: list[MaskedBatch]) -> float:
        import torch

        if not batches:
            return math.nan
        self.encoder.model.eval()
        with torch.inference_mode():
            losses = [float(self._loss(batch)) for batch in batches]
        sizes = [int((batch.targets != -100).sum()) for batch in batches]
        return float(np.average(losses, weights=sizes))

    def _note(self, step: int, train_loss: float, held_out_loss: float) -> None:
        self.history.steps.append(step)
        self.history.train_loss.append(train_loss)
        self.history.held_out_loss.append(held_out_loss)
        log.info("step %d: loss %.3f, held out %.3f", step, train_loss, held_out_loss)

    def _is_flat(self) -> bool:
        looks_since_best = sum(step > self.history.best_step for step in self.history.steps)
        return bool(self.history.best_step) and looks_since_best >= self.spec.patience

    def _fingerprint(self) -> dict[str, Any]:
        spec = asdict(self.spec)
        spec.pop("max_minutes")
        return {
            "training": spec,
            "encoder": asdict(self.encoder.spec),
            "source": self.encoder.source.kind,
            "data": self._data,
        }

    def _save_checkpoint(
        self, optimiser: torch.optim.Optimizer, step: int, best: dict[str, torch.Tensor] | None
    ) -> None:
        from safetensors.torch import save_file

        if self.checkpoint is None:
            return
        self.checkpoint.mkdir(parents=True, exist_ok=True)
        tensors = {f"model.{k}": v for k, v in self.encoder.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in (best or {}).items()}
        for number, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{key}": value for key, value in state.items()}
        # Tied weights share storage, which safetensors refuses: write copies.
        file = self.checkpoint / f"step-{step}.safetensors"
        save_file({k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}, file)
        meta = {"step": step, "file": file.name, "fingerprint": self._fingerprint(), "history": asdict(self.history)}
        partial = self.checkpoint / "checkpoint.json.partial"
        partial.write_text(json.dumps(meta), encoding="utf-8")
        # The JSON names the tensors that belong to it: once it is replaced, the older ones are of no use.
        partial.replace(self.checkpoint / "checkpoint.json")
        for old in self.checkpoint.glob("step-*.safetensors"):
            if old != file:
                old.unlink()

    def _resume(self, optimiser: torch.optim.Optimizer) -> tuple[int, dict[str, torch.Tensor] | None]:
        from safetensors.torch import load_file

        if self.checkpoint is None or not (self.checkpoint / "checkpoint.json").is_file():
            return 0, None
        meta = json.loads((self.checkpoint / "checkpoint.json").read_text(encoding="utf-8"))
        if meta["fingerprint"] != self._fingerprint():
            log.warning("%s belongs to another training; starting anew", self.checkpoint)
            return 0, None
        tensors = load_file(self.checkpoint / meta["file"])
        self.encoder.model.load_state_dict(_part(tensors, "model."))
        state: dict[int, dict[str, Any]] = {}
        for key, value in _part(tensors, "optimiser.").items():
            number, name = key.split(".", 1)
            state.setdefault(int(number), {})[name] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        self.history = TrainingHistory(**meta["history"])
        log.info("resumed at step %d of %s", meta["step"], self.checkpoint)
        return int(meta["step"]), _part(tensors, "best.") or None


def _digest(segments: list[Segment], chances: np.ndarray[Any, Any]) -> str:
    """Names the training data, so that a checkpoint of other logs is not gone on with."""
    digest = hashlib.sha256(chances.tobytes())
    for segment in segments:
        digest.update(segment.ids.tobytes())
    return digest.hexdigest()


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
