"""The encoder: where its weights come from, that long windows lose nothing, that batches do not matter."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from logad_pipeline.detectors.encoder import BERT_MINI, BertEncoder, EncoderSpec
from logad_pipeline_tests.tiny_model import (
    CYCLE,
    FOREIGN,
    HEADS,
    HIDDEN,
    LAYERS,
    cycle_lines,
    cycle_windows,
    tiny_encoder,
    windows_of,
    write_checkpoint,
)


@pytest.fixture(scope="module")
def mini() -> BertEncoder:
    return BertEncoder.create(CYCLE, EncoderSpec(base_model="random"), seed=3, device="cpu")


def test_bert_mini_is_what_a_user_gets_without_choosing() -> None:
    assert EncoderSpec().base_model == BERT_MINI == "prajjwal1/bert-mini"


def test_random_weights_have_bert_minis_architecture_and_say_that_they_are_random(mini: BertEncoder) -> None:
    facts = mini.describe()
    assert (facts["layers"], facts["hidden"], facts["heads"]) == (4, 256, 4)
    assert mini.model.config.intermediate_size == 1024
    assert mini.model.config.max_position_embeddings == 512
    assert facts["source"] == mini.source.kind == "random"
    assert "random" in facts["detail"]


def test_with_its_own_vocabulary_the_architecture_has_eleven_million_parameters(mini: BertEncoder) -> None:
    facts = mini.describe()
    full = facts["parameters"] + (30522 - facts["vocabulary"]) * (facts["hidden"] + 1)
    assert full == pytest.approx(11.2e6, rel=0.02)


def test_random_weights_follow_the_seed() -> None:
    one, same, other = (tiny_random(seed) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def tiny_random(seed: int) -> np.ndarray:
    encoder = BertEncoder.create(CYCLE, EncoderSpec(base_model="random", vocab_size=100), seed, "cpu")
    return encoder.model.bert.encoder.layer[0].output.dense.weight.detach().numpy()


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_local_checkpoint_brings_its_weights_and_its_vocabulary(weights: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = write_checkpoint(tmp_path / "bert-mini", weights=weights)
    encoder = BertEncoder.create(["nothing of this matters"], EncoderSpec(base_model=str(folder)), 0, "cpu")
    facts = encoder.describe()
    assert (facts["source"], facts["base_model"]) == ("local", str(folder))
    assert (facts["layers"], facts["hidden"], facts["heads"]) == (LAYERS, HIDDEN, HEADS)
    assert "newly initialised" not in facts["detail"]
    words = (folder / "vocab.txt").read_text(encoding="utf-8").split()
    assert [encoder.tokenizer.id_to_token(i) for i in range(len(words))] == words
    file = folder / weights
    there = load_file(file) if weights.endswith("safetensors") else torch.load(file, weights_only=True)
    here = encoder.model.state_dict()
    shared = [name for name in there if name in here]
    assert {"bert.embeddings.word_embeddings.weight", "cls.predictions.transform.dense.weight"} <= set(shared)
    assert all(torch.equal(there[name], here[name]) for name in shared)


def test_both_layouts_of_the_weights_read_windows_alike(tmp_path: Path) -> None:
    windows = windows_of(cycle_windows())
    one, other = (
        BertEncoder.create([], EncoderSpec(str(write_checkpoint(tmp_path / kind, weights=kind))), 0, "cpu")
        for kind in ("model.safetensors", "pytorch_model.bin")
    )
    assert (one.encode(windows).line_surprise == other.encode(windows).line_surprise).all()


def test_a_checkpoint_without_the_language_models_head_says_what_is_new(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "headless", heads=False)
    encoder = BertEncoder.create([], EncoderSpec(base_model=str(folder)), 0, "cpu")
    assert "newly initialised: cls.predictions" in encoder.source.detail


def test_a_checkpoints_shorter_positions_limit_the_segments(tmp_path: Path) -> None:
    encoder = BertEncoder.create([], EncoderSpec(base_model=str(write_checkpoint(tmp_path / "c"))), 0, "cpu")
    assert encoder.spec.max_tokens == 128
    encoded = encoder.encode(windows_of([cycle_lines(200)]))
    assert np.isfinite(encoded.line_surprise).all()


class Burglar:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_code_hidden_in_an_older_checkpoint_is_never_run(tmp_path: Path) -> None:
    folder, target = write_checkpoint(tmp_path / "evil", weights="pytorch_model.bin"), tmp_path / "broken-in"
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weights": Burglar(target)}))
    with pytest.raises(Exception, match=r"(?i)weights.only|unpickl|unsupported|invalid"):
        BertEncoder.create([], EncoderSpec(base_model=str(folder)), 0, "cpu")
    assert not target.exists()


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        ("config.json", "no config.json"),
        ("model.safetensors", "no weights to load"),
        ("vocab.txt", "neither tokenizer.json nor vocab.txt"),
    ],
)
def test_what_a_checkpoint_folder_lacks_is_named(missing: str, complaint: str, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "part")
    (folder / missing).unlink()
    with pytest.raises(FileNotFoundError, match=complaint):
        BertEncoder.create([], EncoderSpec(base_model=str(folder)), 0, "cpu")


def test_a_missing_folder_is_not_taken_for_a_hub_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        BertEncoder.create(CYCLE, EncoderSpec(base_model=str(tmp_path / "nowhere")), 0, "cpu")


def test_a_vocabulary_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "mixed")
    with (folder / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("surplus\n")
    with pytest.raises(ValueError, match="do not belong together"):
        BertEncoder.create([], EncoderSpec(base_model=str(folder)), 0, "cpu")


HUB = """
import json, logging, sys
logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
from logad_pipeline.detectors.encoder import BertEncoder, EncoderSpec
encoder = BertEncoder.create(["failed password for user"], EncoderSpec(), 0, "cpu")
print(json.dumps(encoder.describe()))
"""


def create_from_hub(cache: Path) -> tuple[dict[str, object], str]:
    """Make the default encoder where the hub's address leads to a closed port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HUB_CACHE": str(cache)}
    environment |= {"HF_HOME": str(cache)}
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", HUB], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout), done.stderr


def test_an_unreachable_hub_leaves_random_weights_and_the_reason(tmp_path: Path) -> None:
    facts, said = create_from_hub(tmp_path)
    assert (facts["source"], facts["base_model"]) == ("random", BERT_MINI)
    assert (facts["layers"], facts["hidden"], facts["heads"]) == (4, 256, 4)
    assert f"{BERT_MINI} could not be had" in str(facts["detail"])
    assert f"{BERT_MINI} could not be had" in said
    assert "random weights" in said


def test_a_cached_checkpoint_serves_without_a_network(tmp_path: Path) -> None:
    commit = "5e123abc2480f0c4b4cac186d3b3f09299c258fc"
    repository = tmp_path / "models--prajjwal1--bert-mini"
    write_checkpoint(repository / "snapshots" / commit, weights="pytorch_model.bin")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    facts, _ = create_from_hub(tmp_path)
    assert (facts["source"], facts["base_model"], facts["layers"]) == ("hub", BERT_MINI, LAYERS)


def test_long_windows_are_read_in_segments_that_lose_no_line() -> None:
    encoder = tiny_encoder(max_tokens=24)
    windows = windows_of([cycle_lines(40), cycle_lines(3), cycle_lines(1)])
    segments = encoder.segments(windows)
    assert len(segments) > 3
    assert all(len(segment.ids) <= 24 for segment in segments)
    for number in range(len(windows)):
        own = [segment for segment in segments if segment.window == number]
        start, end = int(windows.offsets[number]), int(windows.offsets[number + 1])
        assert [segment.first_line for segment in own] == list(
            np.cumsum([start, *(segment.line_count for segment in own)])[:-1]
        )
        assert sum(segment.line_count for segment in own) == end - start
        words = [encoder.tokenizer.decode(list(segment.ids[segment.line_of == line]))
                 for segment in own for line in range(segment.line_count)]  # fmt: skip
        assert words == [windows.texts[i] for i in windows.lines(number)]
        for segment in own:
            assert segment.ids[0] == encoder.special.cls
            assert (segment.ids[segment.line_of == -1][1:] == encoder.special.sep).all()


def test_a_line_longer_than_the_model_is_cut_and_not_lost() -> None:
    encoder = tiny_encoder(max_tokens=16, max_line_tokens=500)
    encoded = encoder.encode(windows_of([["request path " * 200, "query took duration"]]))
    assert len(encoded.line_surprise) == 2
    assert (encoded.line_surprise > 0).all()


def test_what_is_said_of_a_window_does_not_depend_on_its_company() -> None:
    encoder = tiny_encoder()
    rows = [*cycle_windows(), [FOREIGN], cycle_lines(30), ["x" * 70, *CYCLE]]
    windows = windows_of(rows)
    together = encoder.encode(windows)
    others = [encoder.encode(windows, tokens_a_batch=tokens) for tokens in (1, 300)]
    shuffled = [3, 9, 0, 8, 1, 7, 2, 6, 4, 5]
    others.append(encoder.encode(windows.take(shuffled)).take(np.argsort(shuffled)))
    for other in others:
        np.testing.assert_allclose(other.cls, together.cls, atol=1e-5)
        np.testing.assert_allclose(other.mean, together.mean, atol=1e-5)
        np.testing.assert_allclose(other.line_surprise, together.line_surprise, atol=1e-5)
    for number in range(len(rows)):
        alone = encoder.encode(windows_of([rows[number]]))
        start, end = windows.offsets[number : number + 2]
        np.testing.assert_allclose(alone.line_surprise, together.line_surprise[start:end], atol=1e-5)
        np.testing.assert_allclose(alone.mean[0], together.mean[number], atol=1e-5)


def test_embeddings_are_read_alike_with_surprise_and_without() -> None:
    encoder, windows = tiny_encoder(), windows_of([*cycle_windows(), cycle_lines(30)])
    whole, embeddings = encoder.encode(windows), encoder.encode(windows, surprise=False)
    np.testing.assert_array_equal(whole.cls, embeddings.cls)
    np.testing.assert_array_equal(whole.mean, embeddings.mean)
    assert not embeddings.line_surprise.any()


def test_a_single_word_has_an_embedding_though_it_is_hidden_in_every_reading() -> None:
    encoder = tiny_encoder()
    encoded = encoder.encode(windows_of([["connect"]]))
    assert np.abs(encoded.mean).max() > 0
    assert encoded.line_surprise[0] > 0


def test_shapes_types_and_progress() -> None:
    encoder, told = tiny_encoder(), []
    windows = windows_of(cycle_windows())
    encoded = encoder.encode(windows, lambda done, total: told.append((done, total)))
    assert encoded.cls.shape == encoded.mean.shape == (len(windows), HIDDEN)
    assert encoded.line_surprise.shape == windows.line_ids.shape
    assert {encoded.cls.dtype, encoded.mean.dtype, encoded.line_surprise.dtype} == {np.dtype("float32")}
    assert told[-1][0] == told[-1][1]


def test_no_windows_are_no_reason_to_fail() -> None:
    encoded = tiny_encoder().encode(windows_of([]))
    assert (len(encoded), encoded.cls.shape) == (0, (0, HIDDEN))


def test_a_saved_encoder_gives_the_same_numbers(tmp_path: Path) -> None:
    encoder, windows = tiny_encoder(max_tokens=40), windows_of([*cycle_windows(), cycle_lines(20)])
    encoder.save(tmp_path / "saved")
    again = BertEncoder.load(tmp_path / "saved", "cpu")
    assert dataclasses.asdict(again.spec) == dataclasses.asdict(encoder.spec)
    assert again.source == encoder.source
    one, other = encoder.encode(windows), again.encode(windows)
    assert (one.line_surprise == other.line_surprise).all()
    assert (one.cls == other.cls).all()
    assert (one.mean == other.mean).all()


def test_a_saved_encoder_is_a_checkpoint_to_start_from(tmp_path: Path, mini: BertEncoder) -> None:
    mini.save(tmp_path / "saved")
    shutil.move(tmp_path / "saved" / "tokenizer.json", tmp_path / "elsewhere.json")
    again = BertEncoder.create([], EncoderSpec(base_model=str(tmp_path / "saved")), 0, "cpu")
    windows = windows_of([list(CYCLE)])
    assert again.source.kind == "local"
    assert (again.encode(windows).line_surprise == mini.encode(windows).line_surprise).all()
