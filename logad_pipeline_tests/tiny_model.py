"""A BERT of a few thousand weights, a corpus with a strict order, and a model fitted on it in seconds.

Belongs here: what tests of detectors, streams and the command line share. No test stands here.
"""

from __future__ import annotations

import functools
import string
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from logad_pipeline.detectors.encoder import BertEncoder, EncoderSpec
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.detectors.fitting import FitSpec, fit_detector
from logad_pipeline.detectors.normal_stream import NormalStream
from logad_pipeline.detectors.training import TrainingSpec
from logad_pipeline.windows import Windower, WindowIndex, WindowSet, WindowSpec

LAYERS, HIDDEN, HEADS = 2, 32, 2

CYCLE = (
    "connection from ip accepted",
    "session opened for user",
    "request path started",
    "cache miss for key num",
    "query took duration",
    "request path done status200",
    "session closed for user",
)
"""The only order in which the normal lines of the tests come."""

FOREIGN = "kernel panic not syncing fatal exception"
WINDOW = WindowSpec("fixed", size=5)


def write_checkpoint(folder: Path, *, weights: str = "model.safetensors", heads: bool = True) -> Path:
    """A checkpoint of bert-mini's layout: config.json (which names no model type), vocab.txt, the weights."""
    import json

    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertForPreTraining

    words = sorted({word for line in (*CYCLE, FOREIGN) for word in line.split()})
    letters = [*string.ascii_lowercase, *string.digits]
    vocabulary = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters])
    vocabulary |= dict.fromkeys(f"##{letter}" for letter in letters)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=64, max_position_embeddings=128, hidden_act="gelu",
    )  # fmt: skip
    torch.manual_seed(7)
    model = BertForPreTraining(config)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in vocabulary), encoding="utf-8")
    kept = (
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "max_position_embeddings", "hidden_act", "type_vocab_size", "initializer_range",
        "attention_probs_dropout_prob", "hidden_dropout_prob",
    )  # fmt: skip
    (folder / "config.json").write_text(json.dumps({k: getattr(config, k) for k in kept}), encoding="utf-8")
    state = model.state_dict() if heads else model.bert.state_dict()
    tensors = {name: value.detach().clone().contiguous() for name, value in state.items()}
    if weights == "model.safetensors":
        save_file(tensors, folder / weights, metadata={"format": "pt"})
    else:
        torch.save(tensors, folder / weights)
    return folder


@functools.cache
def checkpoint() -> Path:
    """A checkpoint folder that stays for the session."""
    import torch

    # Threads that wait for one another cost more than such a small model has to compute.
    torch.set_num_threads(1)
    return write_checkpoint(Path(tempfile.mkdtemp(prefix="logad-tiny-")))


def tiny_encoder(seed: int = 0, **spec: int) -> BertEncoder:
    """A fresh encoder of the tiny checkpoint."""
    return BertEncoder.create([], EncoderSpec(base_model=str(checkpoint()), **spec), seed, "cpu")


def windows_of(windows: Sequence[Sequence[str]], counts: Sequence[int] | None = None) -> WindowSet:
    """These windows as a set, one row each; they must differ from one another."""
    index = WindowIndex()
    for number, window in enumerate(windows):
        index.add_lines(window, counts[number] if counts else 1)
    built = index.build()
    assert len(built) == len(windows)
    return built


def cycle_lines(lines: int, start: int = 0) -> list[str]:
    """``lines`` normal lines, the first of them ``start`` steps into the cycle."""
    return [CYCLE[(start + i) % len(CYCLE)] for i in range(lines)]


def cycle_windows() -> list[list[str]]:
    """All the normal windows there are."""
    return [cycle_lines(WINDOW.size, start) for start in range(len(CYCLE))]


def stream_of(lines: Sequence[str], spec: WindowSpec = WINDOW) -> tuple[WindowSet, np.ndarray, list[tuple[int, ...]]]:
    """A stream cut into windows, as ``fit_detector`` takes it: unique windows, ids, positions."""
    index, windower = WindowIndex(), Windower(spec)
    texts = [index.text_id(line) for line in lines]
    windows = [*windower.push(("", i) for i in range(len(lines))), *windower.flush()]
    ids = [index.add([texts[i] for i in window.positions]) for window in windows]
    return index.build(), np.array(ids, dtype=np.int64), [window.positions for window in windows]


def tiny_fit_spec(max_steps: int = 150, seed: int = 0) -> FitSpec:
    """What ``tiny_model`` is fitted with."""
    return FitSpec(
        encoder=EncoderSpec(base_model=str(checkpoint())),
        training=TrainingSpec(max_steps=max_steps, learning_rate=5e-3, evaluate_every=50, seed=seed),
        device="cpu",
    )


def fit_tiny(max_steps: int = 150, seed: int = 0) -> AnomalyDetector:
    """A model of 2000 lines in strict order, with one odd line now and then so that scores spread."""
    rng = np.random.default_rng(3)
    lines = cycle_lines(2000)
    for at in rng.choice(2000, size=40, replace=False):
        lines[at] = "cache miss for key num"
    return fit_detector(NormalStream(*stream_of(lines)), WINDOW, tiny_fit_spec(max_steps, seed))


@functools.cache
def tiny_model() -> AnomalyDetector:
    """The fitted model that tests read and do not change."""
    return fit_tiny()
