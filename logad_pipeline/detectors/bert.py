"""BERT's forward pass for reading: over the weights of a checkpoint, with nothing to import but torch.

Belongs here: the network as it reads windows and guesses hidden tokens, and its file. transformers makes and trains
it (``checkpoints``, ``training``), but importing that takes as long as reading thousands of lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    import torch
    from transformers import BertForMaskedLM

_EMBEDDINGS: Final = "bert.embeddings"
_HEAD: Final = "cls.predictions"
_WORDS: Final = f"{_EMBEDDINGS}.word_embeddings.weight"


class BertNetwork:
    """BERT with its masked-language-model head, for inference alone (Devlin et al., 2019).

    It gives what ``transformers.BertForMaskedLM`` gives in evaluation, up to the last digits of a float32. It holds
    the very tensors that it was made of: of a model in training it always has the newest weights.

    Args:
        config: a checkpoint's ``config.json``.
        tensors: its weights by the names that transformers gives them, of one device. The decoder's own weights may
            lack: they are then those of the word embeddings.

    Raises:
        ValueError: if a weight is missing, or the activation function is none that BERT is trained with.
    """

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
        self.config = dict(config)
        self.tensors = dict(tensors)
        self.heads = int(config["num_attention_heads"])
        self.layers = int(config["num_hidden_layers"])
        self._activation = _activation(config.get("hidden_act", "gelu"))
        self._eps = float(config.get("layer_norm_eps", 1e-12))
        lacking = sorted(self._needed() - self.tensors.keys())
        if lacking:
            raise ValueError(f"weights are missing: {', '.join(lacking[:3])}{' …' if len(lacking) > 3 else ''}")

    @classmethod
    def of(cls, model: BertForMaskedLM) -> Self:
        """The network of a model that transformers holds; the two share their weights."""
        tensors: dict[int, tuple[str, torch.Tensor]] = {}
        for name, tensor in model.state_dict().items():
            tensors.setdefault(tensor.data_ptr(), (name, tensor))
        config = json.loads(model.config.to_json_string(use_diff=False))
        config["architectures"] = [type(model).__name__]
        config.pop("_name_or_path", None)  # a folder of this machine is nobody's business, and no part of a model
        return cls(config, dict(tensors.values()))

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: as the constructor.
        """
        from safetensors.torch import load_file

        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        return cls(config, load_file(directory / "model.safetensors", device=device))

    def save(self, directory: Path) -> None:
        """Write it in the layout that transformers reads: ``config.json`` and ``model.safetensors``."""
        from safetensors.torch import save_file

        (directory / "config.json").write_text(json.dumps(self.config, indent=2, sort_keys=True), encoding="utf-8")
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})

    @property
    def hidden_size(self) -> int:
        """Width of the embeddings."""
        return int(self.tensors[_WORDS].shape[1])

    @property
    def vocabulary(self) -> int:
        """How many tokens it knows."""
        return int(self.tensors[_WORDS].shape[0])

    @property
    def parameters(self) -> int:
        """Numbers in its weights."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def states(self, ids: torch.Tensor, attended: torch.Tensor | None) -> torch.Tensor:
        """The last layer's hidden states.

        Args:
            ids: int64 ``[batch, length]``.
            attended: bool ``[batch, length]``, false for padding; ``None`` where there is none.

        Returns:
            float ``[batch, length, hidden]``; of padding it means nothing.
        """
        return self._transformed(self.layers - 1, self._last_mixed(ids, attended))

    def states_at(
        self, ids: torch.Tensor, attended: torch.Tensor | None, rows: torch.Tensor, columns: torch.Tensor
    ) -> torch.Tensor:
        """The same of some tokens only, float ``[n, hidden]``: what the last layer makes of the others, nobody asks.

        Args:
            ids, attended: as for :meth:`states`.
            rows, columns: int64 ``[n]``, where the tokens stand.
        """
        return self._transformed(self.layers - 1, self._last_mixed(ids, attended)[rows, columns])

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """What is guessed of tokens, from their hidden states: ``[n, hidden]`` -> ``[n, vocabulary]``."""
        from torch.nn.functional import linear

        guessed = self._activation(self._linear(f"{_HEAD}.transform.dense", states))
        guessed = self._normed(f"{_HEAD}.transform.LayerNorm", guessed)
        weight = self.tensors.get(f"{_HEAD}.decoder.weight", self.tensors[_WORDS])
        return linear(guessed, weight, self.tensors.get(f"{_HEAD}.decoder.bias", self.tensors[f"{_HEAD}.bias"]))

    def _last_mixed(self, ids: torch.Tensor, attended: torch.Tensor | None) -> torch.Tensor:
        """All but the second half of the last layer."""
        mask = None if attended is None else attended[:, None, None, :]
        states = self._mixed(0, self._embedded(ids), mask)
        for layer in range(1, self.layers):
            states = self._mixed(layer, self._transformed(layer - 1, states), mask)
        return states

    def _embedded(self, ids: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import embedding

        # One sentence after another is one text here: all tokens are of BERT's first kind.
        place = self.tensors[f"{_EMBEDDINGS}.position_embeddings.weight"][: ids.shape[1]]
        kind = self.tensors[f"{_EMBEDDINGS}.token_type_embeddings.weight"][0]
        return self._normed(f"{_EMBEDDINGS}.LayerNorm", embedding(ids, self.tensors[_WORDS]) + (kind + place))

    def _mixed(self, layer: int, states: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """A layer's first half: every token takes from the others what it attends to."""
        from torch.nn.functional import scaled_dot_product_attention

        name = f"bert.encoder.layer.{layer}.attention"
        batch, length, hidden = states.shape
        query, key, value = (
            self._linear(f"{name}.self.{part}", states).view(batch, length, self.heads, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        taken = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        taken = self._linear(f"{name}.output.dense", taken.transpose(1, 2).reshape(batch, length, hidden))
        return self._normed(f"{name}.output.LayerNorm", taken + states)

    def _transformed(self, layer: int, states: torch.Tensor) -> torch.Tensor:
        """A layer's second half: each token by itself."""
        name = f"bert.encoder.layer.{layer}"
        wide = self._activation(self._linear(f"{name}.intermediate.dense", states))
        return self._normed(f"{name}.output.LayerNorm", self._linear(f"{name}.output.dense", wide) + states)

    def _linear(self, name: str, states: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import linear

        return linear(states, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def _normed(self, name: str, states: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import layer_norm

        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return layer_norm(states, weight.shape, weight, bias, self._eps)

    def _needed(self) -> set[str]:
        dense = [f"{_HEAD}.transform.dense"]
        normed = [f"{_EMBEDDINGS}.LayerNorm", f"{_HEAD}.transform.LayerNorm"]
        for name in (f"bert.encoder.layer.{number}" for number in range(self.layers)):
            dense += [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
            dense += [f"{name}.attention.output.dense", f"{name}.intermediate.dense", f"{name}.output.dense"]
            normed += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
        alone = {f"{_EMBEDDINGS}.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")}
        return alone | {f"{_HEAD}.bias"} | {f"{name}.{part}" for name in dense + normed for part in ("weight", "bias")}


def _activation(name: str) -> Any:
    from torch.nn.functional import gelu, relu

    known = {"gelu": gelu, "gelu_new": partial(gelu, approximate="tanh"), "relu": relu}
    if name not in known:
        raise ValueError(f"activation function {name!r} is not known; BERT has one of {', '.join(known)}")
    return known[name]
