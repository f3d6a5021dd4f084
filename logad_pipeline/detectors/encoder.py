"""BERT-mini over windows: how they become tokens, and what it says of them.

Belongs here: segmenting, batching, and what is taken of the forward passes (surprise and embeddings). The network is
in ``bert``, its first weights come from ``checkpoints``; training is in ``training``, what is made of the numbers in
the detectors.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors import checkpoints, vocabulary
from logad_pipeline.detectors.base import LEAST_ROWS, EncodedWindows, Float32Array
from logad_pipeline.detectors.bert import BertNetwork
from logad_pipeline.detectors.masking import BoolArray, Segment, attended, pad, scoring_masks
from logad_pipeline.windows import WindowSet

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import BertForMaskedLM

log = logging.getLogger(__name__)

BERT_MINI: Final = "prajjwal1/bert-mini"
RANDOM: Final = "random"
Progress = Callable[[int, int], None]
"""Called with (done, total)."""
_LENGTH_STEP: Final = 8
_Job = tuple[int, BoolArray]
"""Number of a segment, and which of its tokens are hidden."""


@dataclass(frozen=True)
class EncoderSource:
    """Where the encoder's first weights and vocabulary came from; it travels with the model.

    Attributes:
        kind: ``hub`` (downloaded or from its cache), ``local`` (a folder), or ``random`` (BERT-mini's
            architecture, random weights, a vocabulary trained on the logs).
        name: the hub name or folder asked for.
        detail: one sentence for people: what was used, and why not what was asked for.
    """

    kind: Literal["hub", "local", "random"]
    name: str
    detail: str


@dataclass(frozen=True)
class EncoderSpec:
    """Size and vocabulary of the encoder.

    Attributes:
        base_model: a hub name, a local folder, or ``random``.
        vocab_size: entries of the vocabulary trained on the logs, for random weights only.
        max_line_tokens: tokens kept of one line.
        max_tokens: tokens the model reads at once, at most 512; a longer window is read in segments.
    """

    base_model: str = BERT_MINI
    vocab_size: int = 2000
    max_line_tokens: int = 40
    max_tokens: int = 512

    def __post_init__(self) -> None:
        if not (self.max_line_tokens >= 1 and 8 <= self.max_tokens <= 512):
            raise ValueError("max_line_tokens must be at least 1, and max_tokens between 8 and 512")


def pick_device(device: str = "auto") -> str:
    """``cuda`` where there is one and ``auto`` is asked, else what is asked."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


class BertEncoder:
    """BERT-mini (4 layers, 256 hidden, 4 heads, about 11 M parameters with its own vocabulary).

    Make one with :meth:`create` (new, to be trained) or :meth:`load` (saved, to read with). Before training its
    surprise says nothing about logs, whichever weights it starts from.
    """

    def __init__(
        self,
        network: BertNetwork,
        tokenizer: Tokenizer,
        spec: EncoderSpec,
        source: EncoderSource,
        device: str,
        trained: BertForMaskedLM | None = None,
    ) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.spec = spec
        self.source = source
        self.device = device
        self._trained = trained
        self.special = vocabulary.special_ids(tokenizer)
        self._line_tokens: dict[str, npt.NDArray[np.int64]] = {}

    @classmethod
    def create(cls, texts: Sequence[str], spec: EncoderSpec, seed: int, device: str = "auto") -> Self:
        """A new encoder from the hub, a folder, or random weights, in the order that ``spec`` asks.

        Args:
            texts: unique normalised lines; the vocabulary is trained on them if the weights are random.
            spec: what to make.
            seed: of the random weights.
            device: ``auto``, ``cpu`` or ``cuda``.

        Raises:
            FileNotFoundError: if ``spec.base_model`` is a path that does not hold a checkpoint.
        """
        import torch

        torch.manual_seed(seed)
        if spec.base_model == RANDOM:
            return cls._random(texts, spec, "random weights, as asked", device)
        if _is_path(spec.base_model):
            return cls._from_folder(Path(spec.base_model).expanduser(), spec, "local", spec.base_model, device)
        try:
            folder = checkpoints.fetch_checkpoint(spec.base_model)
        except OSError as error:
            reason = f"{spec.base_model} could not be had ({type(error).__name__})"
            log.warning("%s: using the same architecture with random weights and a vocabulary from the logs", reason)
            return cls._random(texts, spec, f"{reason}, so random weights and a vocabulary from the logs", device)
        return cls._from_folder(folder, spec, "hub", spec.base_model, device)

    @classmethod
    def _random(cls, texts: Sequence[str], spec: EncoderSpec, detail: str, device: str) -> Self:
        tokenizer = vocabulary.train_wordpiece(texts, spec.vocab_size)
        model = checkpoints.random_model(tokenizer.get_vocab_size())
        return cls._of(model, tokenizer, spec, EncoderSource("random", spec.base_model, detail), device)

    @classmethod
    def _from_folder(
        cls, folder: Path, spec: EncoderSpec, kind: Literal["hub", "local"], name: str, device: str
    ) -> Self:
        model, unused = checkpoints.read_checkpoint(folder)
        tokenizer = vocabulary.read_wordpiece(folder)
        if tokenizer.get_vocab_size() > model.config.vocab_size:
            raise ValueError(
                f"{folder}: the vocabulary has {tokenizer.get_vocab_size()} entries, the model only "
                f"{model.config.vocab_size}; they do not belong together"
            )
        detail = f"weights and vocabulary of {name}" + (f"; newly initialised: {unused}" if unused else "")
        log.info("encoder: %s", detail)
        limit = min(spec.max_tokens, int(model.config.max_position_embeddings))
        source = EncoderSource(kind, name, detail)
        return cls._of(model, tokenizer, replace(spec, max_tokens=limit), source, device)

    @classmethod
    def _of(
        cls, model: BertForMaskedLM, tokenizer: Tokenizer, spec: EncoderSpec, source: EncoderSource, device: str
    ) -> Self:
        device = pick_device(device)
        placed = model.to(device).eval()
        return cls(BertNetwork.of(placed), tokenizer, spec, source, device, placed)

    def save(self, directory: Path) -> None:
        """Write the encoder in the layout that transformers reads: safetensors, config and vocabulary."""
        directory.mkdir(parents=True, exist_ok=True)
        self.network.save(directory)
        self.tokenizer.save(str(directory / "tokenizer.json"))
        words = sorted(self.tokenizer.get_vocab().items(), key=lambda item: item[1])
        (directory / "vocab.txt").write_text("".join(f"{word}\n" for word, _ in words), encoding="utf-8")
        meta = {"spec": asdict(self.spec), "source": asdict(self.source)}
        (directory / "encoder.json").write_text(json.dumps(meta, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, device: str = "auto") -> Self:
        """Read what :meth:`save` wrote."""
        meta = json.loads((directory / "encoder.json").read_text(encoding="utf-8"))
        device = pick_device(device)
        spec, source = EncoderSpec(**meta["spec"]), EncoderSource(**meta["source"])
        return cls(BertNetwork.load(directory, device), vocabulary.read_wordpiece(directory), spec, source, device)

    @property
    def model(self) -> BertForMaskedLM:
        """What is trained: its weights are those that the network reads with.

        Raises:
            ValueError: if the encoder was loaded, to read with alone; :meth:`create` one of its folder to train on.
        """
        if self._trained is None:
            raise ValueError("this encoder was loaded to read with; to train on, create one of its folder")
        return self._trained

    @property
    def hidden_size(self) -> int:
        """Width of the embeddings."""
        return self.network.hidden_size

    def describe(self) -> dict[str, Any]:
        """What a person wants to know of the encoder, as JSON-ready values."""
        return {
            "source": self.source.kind,
            "base_model": self.source.name,
            "detail": self.source.detail,
            "layers": self.network.layers,
            "hidden": self.network.hidden_size,
            "heads": self.network.heads,
            "vocabulary": self.network.vocabulary,
            "parameters": self.network.parameters,
        }

    def segments(self, windows: WindowSet) -> list[Segment]:
        """The windows as token ids; one longer than ``max_tokens`` comes as several segments."""
        self._tokenise(windows)
        out: list[Segment] = []
        for index in range(len(windows)):
            start = int(windows.offsets[index])
            tokens = [self._line_tokens[windows.texts[i]] for i in windows.lines(index)]
            out.extend(self._cut(index, start, tokens))
        return out

    def _tokenise(self, windows: WindowSet) -> None:
        used = {windows.texts[i] for i in np.unique(windows.line_ids)}
        new = sorted(used - self._line_tokens.keys())
        if len(self._line_tokens) + len(new) > 500_000:
            self._line_tokens, new = {}, sorted(used)
        limit = min(self.spec.max_line_tokens, self.spec.max_tokens - 2)
        for text, ids in zip(new, vocabulary.tokenise(self.tokenizer, new, limit), strict=True):
            self._line_tokens[text] = ids

    def _cut(self, index: int, start: int, tokens: list[npt.NDArray[np.int64]]) -> Iterator[Segment]:
        sep = np.array([self.special.sep])
        first = 0
        while first < len(tokens):
            ids, line_of = [np.array([self.special.cls])], [np.array([-1])]
            room, last = self.spec.max_tokens - 1, first
            while last < len(tokens) and len(tokens[last]) + 1 <= room:
                ids += [tokens[last], sep]
                line_of += [np.full(len(tokens[last]), last - first), np.array([-1])]
                room -= len(tokens[last]) + 1
                last += 1
            yield Segment(index, start + first, np.concatenate(ids), np.concatenate(line_of))
            first = last

    def encode(
        self,
        windows: WindowSet,
        progress: Progress | None = None,
        *,
        surprise: bool = True,
        tokens_a_batch: int = 4096,
    ) -> EncodedWindows:
        """Surprise of every line and the embeddings of every window.

        Each segment is read once a complementary mask. The hidden lines give the surprise, the visible ones the
        embeddings: every line is seen in one reading and hidden in the other, so nothing need be read a third time.
        A window of several segments has the mean of their embeddings. On a CPU what is said of a
        window is the same to the last bit whichever others are read with it: a batch holds segments of one
        padded length, which depends on the segment alone, and is never smaller than ``LEAST_ROWS`` tokens.

        Args:
            windows: what to read; read unique ones.
            progress: called with (segment passes done, total).
            surprise: whether it is asked for; without it, it is zero and no token is guessed.
            tokens_a_batch: padded tokens in one forward pass; bounds the memory.
        """
        segments = self.segments(windows)
        jobs = [(number, mask) for number, segment in enumerate(segments) for mask in scoring_masks(segment)]
        lengths = [self._padded(segment) for segment in segments]
        # Equal lengths together waste the least padding; ties keep the order, so batches are reproducible.
        jobs.sort(key=lambda job: lengths[job[0]])
        sums = _Sums(windows, self.hidden_size)
        done = 0
        for batch in _batches(jobs, lengths, tokens_a_batch):
            self._forward(batch, segments, lengths[batch[0][0]], sums, surprise)
            done += len(batch)
            if progress:
                progress(done, len(jobs))
        return sums.finish()

    def _padded(self, segment: Segment) -> int:
        steps = -(-len(segment.ids) // _LENGTH_STEP)
        return min(max(steps * _LENGTH_STEP, LEAST_ROWS), self.spec.max_tokens)

    def _forward(self, batch: list[_Job], segments: list[Segment], length: int, sums: _Sums, surprise: bool) -> None:
        import torch

        rows = [np.where(mask, self.special.mask, segments[number].ids) for number, mask in batch]
        inputs = torch.from_numpy(pad(rows, self.special.pad, length)).to(self.device)
        # Never left out, though nothing be padded: the kernel for it adds up in another order.
        there = torch.from_numpy(attended(rows, length)).to(self.device)
        with torch.inference_mode():
            hidden = self.network.states(inputs, there)
            self._take_embeddings(batch, segments, hidden, sums)
            if surprise:
                self._take_surprise(batch, segments, hidden, sums)

    def _take_embeddings(self, batch: list[_Job], segments: list[Segment], hidden: torch.Tensor, sums: _Sums) -> None:
        states = hidden.float().cpu().numpy()
        for row, (number, mask) in enumerate(batch):
            segment = segments[number]
            words = segment.line_of >= 0
            # A window of a single word has it visible in no reading.
            seen = words if mask[words].all() else words & ~mask
            sums.add_embedding(segment, states[row, 0], states[row, np.flatnonzero(seen)])

    def _take_surprise(self, batch: list[_Job], segments: list[Segment], hidden: torch.Tensor, sums: _Sums) -> None:
        import torch

        where = [(row, np.flatnonzero(mask)) for row, (_, mask) in enumerate(batch)]
        rows = np.concatenate([np.full(len(columns), row) for row, columns in where])
        columns = np.concatenate([columns for _, columns in where])
        truth = np.concatenate([segments[batch[row][0]].ids[columns] for row, columns in where])
        # Filled up with the first ones; what is said of those again is passed over.
        asked = [np.resize(places, max(len(truth), LEAST_ROWS)) for places in (rows, columns)]
        states = hidden[torch.from_numpy(asked[0]), torch.from_numpy(asked[1])]
        logits = self.network.logits(states).float()[: len(truth)]
        picked = torch.nn.functional.cross_entropy(logits, torch.from_numpy(truth).to(self.device), reduction="none")
        nll = picked.cpu().numpy()
        start = 0
        for row, cols in where:
            sums.add_surprise(segments[batch[row][0]], cols, nll[start : start + len(cols)])
            start += len(cols)


class _Sums:
    """Gathers what the forward passes give, window by window and line by line."""

    def __init__(self, windows: WindowSet, hidden: int) -> None:
        self._windows = windows
        self._cls = np.zeros((len(windows), hidden), dtype=np.float64)
        self._segments = np.zeros(len(windows))
        self._mean = np.zeros((len(windows), hidden), dtype=np.float64)
        self._tokens = np.zeros(len(windows))
        self._nll = np.zeros(len(windows.line_ids))
        self._peak = np.zeros(len(windows.line_ids))
        self._hidden_tokens = np.zeros(len(windows.line_ids))

    def add_embedding(self, segment: Segment, cls: Float32Array, words: Float32Array) -> None:
        self._cls[segment.window] += cls
        self._segments[segment.window] += 1
        self._mean[segment.window] += words.sum(axis=0)
        self._tokens[segment.window] += len(words)

    def add_surprise(self, segment: Segment, columns: npt.NDArray[np.int64], nll: Float32Array) -> None:
        lines = segment.first_line + segment.line_of[columns]
        np.add.at(self._nll, lines, nll)
        np.maximum.at(self._peak, lines, nll)
        np.add.at(self._hidden_tokens, lines, 1.0)

    def finish(self) -> EncodedWindows:
        cls = self._cls / np.maximum(self._segments, 1)[:, None]
        mean = self._mean / np.maximum(self._tokens, 1)[:, None]
        surprise = self._nll / np.maximum(self._hidden_tokens, 1)
        arrays = (array.astype(np.float32) for array in (cls, mean, surprise, self._peak))
        return EncodedWindows(self._windows, *arrays)


def _batches(jobs: list[_Job], lengths: list[int], tokens_a_batch: int) -> Iterator[list[_Job]]:
    batch: list[_Job] = []
    for job in jobs:
        length = lengths[job[0]]
        if batch and (length != lengths[batch[0][0]] or (len(batch) + 1) * length > tokens_a_batch):
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch


def _is_path(name: str) -> bool:
    return Path(name).expanduser().exists() or name.startswith((".", "/", "~"))
