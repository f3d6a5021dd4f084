"""BERT-mini's weights as transformers makes and reads them: fresh ones, or those of a checkpoint.

Belongs here: the hub, folders and random weights. What is read with them is ``encoder``'s business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from transformers import BertForMaskedLM

_NO_DROPOUT: Final[dict[str, Any]] = {
    "attention_probs_dropout_prob": 0.0,
    "hidden_dropout_prob": 0.0,
    "attn_implementation": "sdpa",
}
"""A training of minutes underfits, so dropout only costs; in attention it keeps a CPU from its fast path."""


def random_model(vocabulary: int) -> BertForMaskedLM:
    """BERT-mini's architecture with random weights of torch's present seed, for so many tokens."""
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=vocabulary, hidden_size=256, num_hidden_layers=4, num_attention_heads=4,
        intermediate_size=1024, max_position_embeddings=512, pad_token_id=0, **_NO_DROPOUT,
    )  # fmt: skip
    return BertForMaskedLM(config)


def read_checkpoint(folder: Path) -> tuple[BertForMaskedLM, str]:
    """The model of a folder, and the names of weights the checkpoint lacked.

    An older checkpoint's ``pytorch_model.bin`` goes through torch's weights-only reader, which can build
    tensors and nothing else; what this project writes is safetensors.
    """
    from transformers import BertForMaskedLM

    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"{folder}: no config.json; a checkpoint folder holds config.json, the weights and vocab.txt"
        )
    if not any((folder / name).is_file() for name in ("model.safetensors", "pytorch_model.bin")):
        raise FileNotFoundError(f"{folder}: neither model.safetensors nor pytorch_model.bin; no weights to load")
    with _without_bars():
        model, info = BertForMaskedLM.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, weights_only=True, **_NO_DROPOUT
        )
    return model, ", ".join(sorted(info["missing_keys"]))


def fetch_checkpoint(name: str) -> Path:
    """The folder of a hub checkpoint, from the cache if it is there, else downloaded.

    Raises:
        OSError: if it is neither cached nor reachable.
    """
    # Without a network the hub's client would retry for minutes; a person waits for this.
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "4")
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "30")
    from huggingface_hub import snapshot_download

    wanted = ["config.json", "vocab.txt", "tokenizer.json", "model.safetensors"]
    try:
        folder = Path(snapshot_download(name, allow_patterns=wanted))
        if not (folder / "model.safetensors").is_file():
            folder = Path(snapshot_download(name, allow_patterns=[*wanted, "pytorch_model.bin"]))
    except OSError:
        raise
    except Exception as error:  # the client raises its transport's own errors, which share no base but this
        raise OSError(str(error)) from error
    return folder


@contextmanager
def _without_bars() -> Iterator[None]:
    """transformers draws bars of its own on stderr; what is worth a bar here is drawn by the caller."""
    from transformers.utils import logging as transformers_logging

    shown, level = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    # Its report of weights that are not used is no news: bert-mini brings heads that nobody needs here.
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if shown:
            transformers_logging.enable_progress_bar()
