"""Small networks over embeddings: how they are trained, kept and read.

Belongs here: the loop and the file that the score head and the autoencoder share, and what makes detectors of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from logad_pipeline.detectors.base import Detector, Float32Array, FloatArray

if TYPE_CHECKING:
    import torch

Loss = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""Of what the network gives and what it should give, each ``[batch, width]``."""


class EmbeddingNetwork:
    """A feed-forward network with ReLU between its layers, over embeddings scaled to unit spread."""

    def __init__(self, widths: tuple[int, ...], centre: Float32Array, spread: Float32Array, seed: int) -> None:
        import torch

        layers: list[torch.nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for wide, narrow in pairwise(widths):
                layers += [torch.nn.Linear(wide, narrow), torch.nn.ReLU()]
        self._network = torch.nn.Sequential(*layers[:-1])
        self._centre = centre
        self._spread = spread
        self.widths = widths

    @classmethod
    def over(cls, widths: tuple[int, ...], embeddings: Float32Array, seed: int) -> EmbeddingNetwork:
        """A new network, scaled to these embeddings."""
        return cls(widths, embeddings.mean(axis=0), embeddings.std(axis=0) + np.float32(1e-3), seed)

    def scaled(self, embeddings: Float32Array) -> Float32Array:
        """The embeddings as the network sees them, float32."""
        return np.asarray((embeddings - self._centre) / self._spread, dtype=np.float32)

    def train(
        self, embeddings: Float32Array, targets: Float32Array, chances: FloatArray, loss: Loss, steps: int, seed: int
    ) -> None:
        """Take AdamW steps on batches of 128 drawn by ``chances``; a function of the seed alone."""
        import torch

        inputs, wanted = torch.from_numpy(self.scaled(embeddings)), torch.from_numpy(targets)
        optimiser = torch.optim.AdamW(self._network.parameters(), lr=2e-3, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        rng = np.random.default_rng([seed, 31])
        for _ in range(steps):
            rows = torch.from_numpy(rng.choice(len(inputs), size=128, p=chances))
            value = loss(self._network(inputs[rows]), wanted[rows])
            optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()

    def __call__(self, embeddings: Float32Array) -> FloatArray:
        """What the network gives, float64 ``[n, last width]``.

        Twice as exact as it was trained, since float32 sums of a row depend on how many rows there are.
        """
        import torch

        exact = copy.deepcopy(self._network).double()
        with torch.inference_mode():
            return np.asarray(exact(torch.from_numpy(self.scaled(embeddings)).double()).numpy())

    def save(self, file: Path) -> None:
        """Write a safetensors file."""
        import torch
        from safetensors.torch import save_file

        tensors = dict(self._network.state_dict())
        tensors |= {"centre": torch.from_numpy(self._centre), "spread": torch.from_numpy(self._spread)}
        tensors["widths"] = torch.tensor(self.widths)
        save_file({name: value.contiguous() for name, value in tensors.items()}, file)

    @classmethod
    def load(cls, file: Path) -> EmbeddingNetwork:
        """Read what :meth:`save` wrote."""
        from safetensors.torch import load_file

        tensors = load_file(file)
        widths = tuple(int(width) for width in tensors.pop("widths"))
        made = cls(widths, tensors.pop("centre").numpy(), tensors.pop("spread").numpy(), 0)
        made._network.load_state_dict(tensors)
        return made


class NetworkDetector(Detector):
    """A detector that is one network over embeddings: how it is made, written and read."""

    def __init__(self, network: EmbeddingNetwork | None = None, seed: int = 0) -> None:
        self._network = network
        self._seed = seed

    @classmethod
    def create(cls, seed: int) -> Self:
        """A new detector of this seed."""
        return cls(seed=seed)

    def save(self, directory: Path) -> None:
        """Write a safetensors file by the detector's name."""
        if self._network is None:
            raise RuntimeError(f"{type(self).__name__}.save was called before fit")
        self._network.save(directory / f"{self.name}.safetensors")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote."""
        return cls(EmbeddingNetwork.load(directory / f"{cls.name}.safetensors"))
