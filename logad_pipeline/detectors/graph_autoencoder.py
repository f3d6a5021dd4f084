"""The graph autoencoder: vectors of entities, and how likely two of them go together.

Belongs here: its training on known pairs, its calibration against random ones, and what is kept of it. What
an edge is, and what a pair's odds do to the surprise of a record, is in ``entity_graph``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.base import Float32Array

UNKNOWN: Final = -1
"""The number of a node that training never saw."""
_MIN_PAIRS: Final = 100
_DIMENSIONS: Final = 16
_TRAINING_STEPS: Final = 80


@dataclass(frozen=True)
class GraphEmbedding:
    """Nodes as vectors, float32 ``[nodes, dimensions]``; ``types`` holds the mean of each type; the log odds
    of a pair against a random one of its types are ``slope`` times the inner product plus ``bias``."""

    nodes: Float32Array
    types: Float32Array
    slope: float
    bias: float

    def log_odds(self, subject: int, subject_type: int, target: int, target_type: int) -> float:
        """Log odds of a pair; a node that is ``UNKNOWN`` is judged by the mean vector of its type."""
        one = self.nodes[subject] if subject != UNKNOWN else self.types[subject_type]
        other = self.nodes[target] if target != UNKNOWN else self.types[target_type]
        return self.slope * float(one.astype(np.float64) @ other.astype(np.float64)) + self.bias


def embed(
    pairs: list[tuple[int, int]], types: npt.NDArray[np.int64], type_count: int, seed: int
) -> GraphEmbedding | None:
    """Train the autoencoder on nine pairs of ten and calibrate it on the tenth.

    Args:
        pairs: different (subject, object), numbers of nodes.
        types: int64 ``[nodes]``, the type of each node.
        type_count: how many types there are.
        seed: of weights, of the split and of random pairs.

    Returns:
        ``None`` without torch-geometric, with fewer than 100 pairs, or if they follow no pattern.
    """
    if len(pairs) < _MIN_PAIRS or find_spec("torch_geometric") is None:
        return None
    random = np.random.default_rng(seed)
    order = random.permutation(len(pairs))
    shuffled = np.array(pairs, dtype=np.int64)[order].T
    held = max(len(pairs) // 10, 20)
    vectors = _train(shuffled[:, held:], types, type_count, seed, random)
    asked = shuffled[:, :held]
    against = _random_pairs(np.repeat(asked, 5, axis=1), types, random)
    decoder = _calibrate(vectors, asked, against)
    if decoder is None:
        return None
    means = np.stack([vectors[types == kind].mean(axis=0) if (types == kind).any() else np.zeros(_DIMENSIONS)
                      for kind in range(type_count)])  # fmt: skip
    return GraphEmbedding(vectors, means.astype(np.float32), *decoder)


def _random_pairs(
    pairs: npt.NDArray[np.int64], types: npt.NDArray[np.int64], random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The same subjects, each with a random object of the type it had."""
    targets = pairs[1].copy()
    for kind in np.unique(types[targets]):
        of_kind = np.flatnonzero(types[targets] == kind)
        targets[of_kind] = random.choice(np.flatnonzero(types == kind), len(of_kind))
    return np.stack([pairs[0], targets])


def _train(
    pairs: npt.NDArray[np.int64],
    types: npt.NDArray[np.int64],
    type_count: int,
    seed: int,
    random: np.random.Generator,
) -> Float32Array:
    """Vectors of all nodes, float32 ``[nodes, 16]``, from a two-layer graph convolution."""
    import torch
    from torch_geometric.nn import GAE, GCNConv  # type: ignore[import-untyped, import-not-found, unused-ignore]

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = torch.nn.Embedding(len(types), 2 * _DIMENSIONS)
            self.kind = torch.nn.Embedding(type_count, 2 * _DIMENSIONS)
            self.near = GCNConv(2 * _DIMENSIONS, 2 * _DIMENSIONS)
            self.far = GCNConv(2 * _DIMENSIONS, _DIMENSIONS)

        def forward(self, kinds: torch.Tensor, links: torch.Tensor) -> torch.Tensor:
            hidden = self.near(self.own.weight + self.kind(kinds), links).relu()
            return torch.as_tensor(self.far(hidden, links))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GAE(Encoder())
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        kinds, ones = torch.from_numpy(types), torch.from_numpy(pairs)
        links = torch.cat([ones, ones.flip(0)], dim=1)
        for _ in range(_TRAINING_STEPS):
            optimizer.zero_grad()
            loss = model.recon_loss(
                model.encode(kinds, links), ones, torch.from_numpy(_random_pairs(pairs, types, random))
            )
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            return np.asarray(model.encode(kinds, links).numpy(), dtype=np.float32)


def _calibrate(
    vectors: Float32Array, real: npt.NDArray[np.int64], against: npt.NDArray[np.int64]
) -> tuple[float, float] | None:
    """Slope and bias of the log odds; ``None`` if real pairs are not told from random ones."""
    from sklearn.linear_model import LogisticRegression

    both = np.concatenate([real, against], axis=1)
    inner = (vectors[both[0]].astype(np.float64) * vectors[both[1]]).sum(axis=1)
    is_real = np.arange(both.shape[1]) < real.shape[1]
    fitted = LogisticRegression(class_weight="balanced").fit(inner[:, None], is_real)
    slope = float(fitted.coef_[0, 0])
    return (slope, float(fitted.intercept_[0])) if slope > 0 else None
