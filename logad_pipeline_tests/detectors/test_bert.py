"""The network that reads: what transformers would say, without transformers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from logad_pipeline.detectors.bert import BertNetwork
from logad_pipeline.detectors.encoder import BertEncoder, EncoderSpec
from logad_pipeline.detectors.training import MlmTrainer, TrainingSpec
from logad_pipeline_tests.tiny_model import CYCLE, cycle_windows, tiny_encoder, windows_of

LENGTHS = (12, 5, 9)


def bert(**config: object) -> BertForMaskedLM:
    torch.manual_seed(0)
    shape = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
    model = BertForMaskedLM(BertConfig(**shape, intermediate_size=64, **config)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)  # biases start at zero, where a forgotten one is not missed
    return model


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(5, 50, (len(LENGTHS), max(LENGTHS)), generator=torch.Generator().manual_seed(1))
    attended = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return ids * attended, attended


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"hidden_act": "gelu_new"},
        {"hidden_act": "relu"},
        {"layer_norm_eps": 1e-2},
        {"tie_word_embeddings": False},
    ],
    ids=str,
)
@torch.inference_mode()
def test_it_says_what_transformers_says(config: dict[str, object]) -> None:
    model = bert(**config)
    network, (ids, attended) = BertNetwork.of(model), batch()
    theirs = model(input_ids=ids, attention_mask=attended.long(), output_hidden_states=True)
    states = network.states(ids, attended)
    torch.testing.assert_close(states[attended], theirs.hidden_states[-1][attended], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network.logits(states[attended]), theirs.logits[attended], atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_some_tokens_alone_have_the_states_they_have_among_all() -> None:
    network, (ids, attended) = BertNetwork.of(bert()), batch()
    rows, columns = torch.tensor([0, 2, 2]), torch.tensor([11, 0, 3])
    some = network.states_at(ids, attended, rows, columns)
    torch.testing.assert_close(some, network.states(ids, attended)[rows, columns], atol=1e-6, rtol=1e-5)


@torch.inference_mode()
def test_without_padding_nothing_need_be_said_of_it() -> None:
    network, (ids, attended) = BertNetwork.of(bert()), batch()
    whole = torch.ones_like(attended)
    torch.testing.assert_close(network.states(ids, None), network.states(ids, whole), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_transformers_reads_what_it_writes(tied: bool, tmp_path: Path) -> None:
    model = bert(tie_word_embeddings=tied)
    BertNetwork.of(model).save(tmp_path)
    again, info = BertForMaskedLM.from_pretrained(tmp_path, local_files_only=True, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def test_its_weights_are_those_in_training() -> None:
    encoder = tiny_encoder()
    windows = windows_of(cycle_windows())
    before = encoder.encode(windows).line_surprise
    MlmTrainer(encoder, TrainingSpec(max_steps=3, evaluate_every=1, learning_rate=5e-3)).train(windows, windows)
    assert (encoder.encode(windows).line_surprise != before).any()
    fresh = BertNetwork.of(encoder.model)
    assert encoder.source.name not in json.dumps(fresh.config), "where a checkpoint lay is not told with the model"
    for name, tensor in encoder.network.tensors.items():
        assert torch.equal(tensor, fresh.tensors[name])


def test_an_encoder_that_was_loaded_is_for_reading(tmp_path: Path) -> None:
    tiny_encoder().save(tmp_path)
    again = BertEncoder.load(tmp_path, "cpu")
    with pytest.raises(ValueError, match="loaded to read with"):
        MlmTrainer(again, TrainingSpec(max_steps=1)).train(windows_of(cycle_windows()), windows_of([]))
    assert BertEncoder.create([], EncoderSpec(str(tmp_path)), 0, "cpu").model is not None


def test_what_a_file_lacks_is_named(tmp_path: Path) -> None:
    network = BertNetwork.of(bert())
    del network.tensors["bert.encoder.layer.1.output.dense.bias"]
    network.save(tmp_path)
    with pytest.raises(ValueError, match=r"weights are missing: bert\.encoder\.layer\.1\.output\.dense\.bias$"):
        BertNetwork.load(tmp_path, "cpu")


def test_an_activation_of_other_models_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'silu' is not known; BERT has one of gelu"):
        BertNetwork.of(bert(hidden_act="silu"))


def test_reading_with_a_saved_encoder_does_without_transformers(tmp_path: Path) -> None:
    tiny_encoder().save(tmp_path)
    script = f"""
import sys
from pathlib import Path
from logad_pipeline.detectors.encoder import BertEncoder
from logad_pipeline.windows import WindowIndex
index = WindowIndex()
index.add_lines({list(CYCLE)!r}, 1)
surprise = BertEncoder.load(Path({str(tmp_path)!r}), "cpu").encode(index.build()).line_surprise
print(float(surprise.sum()), "transformers" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    total, imported = done.stdout.split()
    here = BertEncoder.load(tmp_path, "cpu").encode(windows_of([list(CYCLE)])).line_surprise
    assert float(total) == pytest.approx(float(np.sum(here)), rel=1e-5)
    assert imported == "False"
