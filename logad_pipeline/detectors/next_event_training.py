"""The network behind the next event model, and how it is trained.

Belongs here: its size, windows of events and the batches made of them, the network, and the loop. Which
line is which event, what is held out, and the score are ``next_event``'s business.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from logad_pipeline.detectors.base import FloatArray
from logad_pipeline.windows import IntArray

if TYPE_CHECKING:
    import torch

BOUNDARY: Final = 0
"""The event before the first line and after the last one; it also fills up the shorter windows of a batch."""
UNSEEN: Final = 1
"""The event of every line that is not in the vocabulary."""
FIRST_KNOWN: Final = 2
"""The event of the first line of the vocabulary; the others follow."""
LOGITS_AT_ONCE: Final = 4_000_000
"""Logits that a batch may come to where nothing is learned."""
_DRAWN_BATCHES: Final = 6
_STEP_COST: Final = 1_000_000
"""What one step in time of the GRU costs besides its arithmetic, in multiplications."""


@dataclass(frozen=True)
class NextEventSpec:
    """Size and training of the model.

    Attributes:
        embedding, hidden: dimensions of the event embedding and of the GRU's state.
        max_vocabulary: different lines known at most; the rarer ones are unseen to it.
        max_steps: optimiser steps at most, a third of it where there are too few windows to hold any out.
        max_work: multiplications of all forward passes at most, so that large vocabularies and long
            windows take fewer steps; 5e10 are a quarter to half a minute on one core.
        batch_windows, batch_events: windows a step, and events in them at most.
        learning_rate: AdamW's at the start; it falls to a tenth of it along a cosine.
        held_out_share: share of the unique windows that tells when to stop, drawn by the seed from the
            rarer half: to hold out a window that comes all day would be to call it strange.
        evaluate_every, patience: steps between looks at them, looks without improvement before stopping.
        count_power: a window seen ``c`` times is drawn in proportion to ``c ** count_power``.
        seed: of weights, sampling and dropout.
    """

    embedding: int = 48
    hidden: int = 96
    max_vocabulary: int = 4000
    max_steps: int = 750
    max_work: float = 5e10
    batch_windows: int = 64
    batch_events: int = 1536
    learning_rate: float = 5e-3
    held_out_share: float = 0.1
    evaluate_every: int = 40
    patience: int = 5
    count_power: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class EventWindows:
    """Windows as events: those of window ``i`` are ``ids[offsets[i]:offsets[i + 1]]``, int64."""

    ids: IntArray
    offsets: IntArray

    def batch(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Events between boundaries ``[rows, longest + 2]``, and how many of each row are to be predicted."""
        lengths = np.diff(self.offsets)[rows]
        ids = np.full((len(rows), int(lengths.max()) + 2), BOUNDARY, dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, 1 : lengths[place] + 1] = self.ids[self.offsets[row] : self.offsets[row + 1]]
        return ids, lengths + 1

    def by_length(self, at_once: int) -> Iterator[IntArray]:
        """All windows in batches of like length: ``at_once`` events at most, or one window."""
        lengths = np.diff(self.offsets) + 1
        rest = np.argsort(lengths, kind="stable")
        while len(rest):
            # Lengths ascend, so the last window of a batch says how wide it is.
            wide = lengths[rest] * np.arange(1, len(rest) + 1)
            taken = max(1, int(np.searchsorted(wide, at_once, side="right")))
            yield rest[:taken]
            rest = rest[taken:]


class Training:
    """One short training; the batch of step ``t`` is a function of the seed and ``t`` alone.

    ``counts`` says how often each window was seen, ``seen`` in how many windows each event came.
    """

    def __init__(self, spec: NextEventSpec, events: EventWindows, counts: IntArray, seen: FloatArray) -> None:
        self._spec = spec
        self._events = events
        self._lengths = np.diff(events.offsets) + 1
        weights = counts**spec.count_power
        self._chances = weights / weights.sum()
        self._shown_as_unseen = 1 / seen

    def run(self, held_out: EventWindows) -> torch.nn.ModuleDict:
        """Train until the held-out loss stops falling, or the steps or the work are used up."""
        import torch

        spec = self._spec
        size = len(self._shown_as_unseen)
        looks = [held_out.batch(rows) for rows in held_out.by_length(LOGITS_AT_ONCE // size)]
        steps = spec.max_steps if looks else spec.max_steps // 3
        work, best_loss, best_step = 0.0, math.inf, 0
        best: dict[str, torch.Tensor] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.seed)
            network = new_network(spec, size)
            optimiser = torch.optim.AdamW(network.parameters(), lr=spec.learning_rate, weight_decay=0.01)
            for step in range(steps):
                ids, ahead = self._batch(step)
                done = max(step / steps, work / spec.max_work)
                optimiser.param_groups[0]["lr"] = spec.learning_rate * (0.55 + 0.45 * math.cos(math.pi * min(done, 1)))
                _learn(network, optimiser, ids, ahead)
                work += ids.shape[1] * _STEP_COST + int(ahead.sum()) * _work_an_event(spec, size)
                last = step + 1 == steps or work >= spec.max_work
                if looks and (last or (step + 1) % spec.evaluate_every == 0):
                    loss = _held_out_loss(network, looks)
                    if loss < best_loss:
                        best_loss, best_step = loss, step
                        best = {name: value.clone() for name, value in network.state_dict().items()}
                if last or (looks and step - best_step >= spec.patience * spec.evaluate_every):
                    break
        if best:
            network.load_state_dict(best)
        network.eval()
        return network

    def _batch(self, step: int) -> tuple[IntArray, IntArray]:
        rng = np.random.default_rng([self._spec.seed, 1, step])
        size = self._spec.batch_windows
        # Of a larger draw, windows of like length make the batch: padding to the longest one is work for nothing.
        drawn = rng.choice(len(self._chances), size=size * _DRAWN_BATCHES, p=self._chances)
        drawn = drawn[np.argsort(self._lengths[drawn], kind="stable")]
        start = size * int(rng.integers(_DRAWN_BATCHES))
        rows = drawn[start : start + size]
        rows = rng.permutation(rows)[: max(1, self._spec.batch_events // int(self._lengths[rows].max()))]
        ids, ahead = self._events.batch(rows)
        return np.where(rng.random(ids.shape) < self._shown_as_unseen[ids], UNSEEN, ids), ahead


def new_network(spec: NextEventSpec, size: int) -> torch.nn.ModuleDict:
    """Embedding, GRU and output over ``size`` events, with fresh weights."""
    from torch import nn

    return nn.ModuleDict(
        {
            "embedding": nn.Embedding(size, spec.embedding),
            "dropout": nn.Dropout(0.1),
            "gru": nn.GRU(spec.embedding, spec.hidden, batch_first=True),
            "output": nn.Linear(spec.hidden, size),
        }
    )


def _work_an_event(spec: NextEventSpec, size: int) -> int:
    return spec.hidden * (3 * (spec.embedding + spec.hidden) + size)


def predict(network: torch.nn.ModuleDict, ids: IntArray, ahead: IntArray) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits ``[events, vocabulary]`` and the events that came ``[events]``, row after row, padding left out."""
    import torch

    states: Any
    states, _ = network["gru"](network["dropout"](network["embedding"](torch.from_numpy(ids[:, :-1]))))
    real = torch.from_numpy(np.arange(ids.shape[1] - 1) < ahead[:, None])
    return network["output"](network["dropout"](states[real])), torch.from_numpy(ids[:, 1:])[real]


def _learn(network: torch.nn.ModuleDict, optimiser: torch.optim.Optimizer, ids: IntArray, ahead: IntArray) -> None:
    import torch

    network.train()
    logits, targets = predict(network, ids, ahead)
    torch.nn.functional.cross_entropy(logits, targets).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def _held_out_loss(network: torch.nn.ModuleDict, batches: list[tuple[IntArray, IntArray]]) -> float:
    """Mean negative log-likelihood an event, nats."""
    import torch

    network.eval()
    total, events = 0.0, 0
    with torch.inference_mode():
        for ids, ahead in batches:
            logits, targets = predict(network, ids, ahead)
            total += float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))
            events += len(targets)
    return total / events
