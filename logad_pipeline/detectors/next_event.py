"""Which line comes next: a small recurrent model over whole lines, and how unlikely it finds a window.

Belongs here: the vocabulary of lines, what is learned from which windows, and the score. The network and
its training are in ``next_event_training``. What the words of a line mean is the encoder's business: here
a line is one event, equal to another or not.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Self

import numpy as np

from logad_pipeline.detectors.base import LEAST_ROWS, Detector, EncodedWindows, FloatArray
from logad_pipeline.detectors.next_event_training import (
    FIRST_KNOWN,
    LOGITS_AT_ONCE,
    UNSEEN,
    EventWindows,
    NextEventSpec,
    Training,
    new_network,
    predict,
)
from logad_pipeline.windows import IntArray, WindowSet

if TYPE_CHECKING:
    import torch

_EXCESS_WEIGHT: Final = 0.5
"""One line against the mean of all of them."""


class NextEvent(Detector):
    """How unlikely the lines of a window are, each given those before it, as in DeepLog (Du et al., 2017).

    A GRU reads the events of a window, an event being one unique normalised line, and predicts the next
    one; a window begins and ends with a boundary event, so that a session that breaks off or never ends
    is seen as well. Where windows end because they are full (fixed and sliding ones), the end says
    nothing and is left out. A surprise is ``-log(p + 1/N)`` nats with ``N`` the events it has learned
    from: who has seen ``N`` events cannot claim longer odds than one in ``N``.

    Unseen lines are an event, too. In training a line that comes in ``c`` windows is shown as unseen in
    one of ``c`` draws: each was new once (Witten and Bell, 1991), so new lines surprise in proportion to
    how rarely and where they come in normal logs. What is new may be anything, so this probability is
    shared out among as many lines as there are different ones in training: a run of new lines stays
    strange, even where one is known to follow another.

    The score is the mean surprise plus half the largest excess of a surprise over what the model expected
    at that place (the entropy of its prediction). The mean sees many lines that are all a little wrong,
    the excess one line where the model was sure; where streams interleave at random the entropy is high,
    and a harmless permutation exceeds little.

    When it does not work: lines whose variables are not masked are new every time; incidents in which each
    line is the likely follower of the one before, such as a flood of one message, look better than normal;
    the short rest at the end of a stream cut by length, under a grouping, may count as broken off.
    """

    name: ClassVar[str] = "next_event"
    reads_texts_only: ClassVar[bool] = True

    def __init__(self, spec: NextEventSpec | None = None) -> None:
        self.spec = spec or NextEventSpec()
        self._network: torch.nn.ModuleDict | None = None
        self._vocabulary: dict[str, int] = {}
        self._learned_from = 0
        self._kinds = 1
        self._ends_tell = True

    @classmethod
    def create(cls, seed: int) -> Self:
        """A new detector of this seed."""
        return cls(NextEventSpec(seed=seed))

    def fit(self, encoded: EncodedWindows, corrupted: EncodedWindows | None = None) -> None:
        """Learn which lines follow which; reads ``encoded.windows`` only.

        The same windows, spec and number of threads give the same model.

        Raises:
            ValueError: if there is no window.
        """
        windows = encoded.windows
        if not len(windows):
            raise ValueError("the next event model needs at least one normal window; give more logs")
        held_out = _hold_out(windows, self.spec)
        train = windows.take(np.setdiff1d(np.arange(len(windows)), held_out))
        seen = self._learn_vocabulary(train)
        events = self._events(train)
        self._learned_from = int((np.diff(train.offsets) + 1) @ train.counts)
        self._kinds = len(np.unique(train.line_ids)) + 1
        self._ends_tell = not _cut_by_length(events, train.counts)
        self._network = Training(self.spec, events, train.counts, seen).run(self._events(windows.take(held_out)))

    def score(self, encoded: EncodedWindows) -> FloatArray:
        """Mean surprise plus half the largest excess of a window, in nats, float64 ``[n]``."""
        windows = encoded.windows
        if not len(windows):
            return np.zeros(0)
        surprise, excess, _ = self._measure(windows)
        number, considered = np.arange(len(windows)), np.diff(windows.offsets) + 1
        if not self._ends_tell:
            ends = windows.offsets[1:] + number
            surprise[ends], excess[ends] = 0.0, 0.0
            considered = np.maximum(considered - 1, 1)
        starts = windows.offsets[:-1] + number
        mean = np.add.reduceat(surprise, starts) / considered
        return np.asarray(mean + _EXCESS_WEIGHT * np.maximum.reduceat(excess, starts))

    def top_k_misses(self, encoded: EncodedWindows, k: int) -> FloatArray:
        """Share of a window's lines that are not among the ``k`` likeliest next events, float64 ``[n]`` in [0, 1].

        DeepLog's own decision calls a window anomalous where this is above 0. An unseen line is never
        among them; the end of the window is not looked at.
        """
        windows = encoded.windows
        lengths = np.diff(windows.offsets)
        ranks = self._measure(windows)[2]
        line = np.ones(len(ranks), dtype=bool)
        line[windows.offsets[1:] + np.arange(len(windows))] = False
        missed = (ranks[line] >= k) | (self._events(windows).ids == UNSEEN)
        rows = np.repeat(np.arange(len(windows)), lengths)
        return np.asarray(np.bincount(rows, weights=missed, minlength=len(windows)) / np.maximum(lengths, 1))

    def expected(self, encoded: EncodedWindows, most: int = 3) -> tuple[FloatArray, list[list[tuple[str, float]]]]:
        """What an explanation shows of each line, given those before it in its window.

        Returns:
            By how much its surprise exceeds what was expected at its place, in nats, float64 ``[total
            lines]``; and the ``most`` likeliest lines there with their probabilities, likeliest first.
        """
        import torch

        windows, network = encoded.windows, self._fitted()
        events, vocabulary = self._events(windows), list(self._vocabulary)
        excess = np.delete(self._measure(windows)[1], windows.offsets[1:] + np.arange(len(windows)))
        likely: list[list[tuple[str, float]]] = [[] for _ in range(len(windows.line_ids))]
        for rows in events.by_length(LOGITS_AT_ONCE // (FIRST_KNOWN + len(vocabulary))):
            ids, ahead = events.batch(rows)
            with torch.inference_mode():
                p = torch.softmax(predict(network, ids, ahead)[0], dim=1)[:, FIRST_KNOWN:]
                values, best = p.topk(min(most, p.shape[1]), dim=1)
            places = np.concatenate([np.arange(windows.offsets[row], windows.offsets[row + 1] + 1) for row in rows])
            ends = np.cumsum(ahead) - 1
            for at, place in enumerate(places.tolist()):
                if at not in ends:
                    pairs = zip(best[at].tolist(), values[at].tolist(), strict=True)
                    likely[place] = [(vocabulary[event], chance) for event, chance in pairs]
        return excess, likely

    def save(self, directory: Path) -> None:
        """Write ``next_event.json`` (spec, known lines) and ``next_event.safetensors`` (weights, float32)."""
        from safetensors.torch import save_file

        tensors = {name: value.contiguous() for name, value in self._fitted().state_dict().items()}
        save_file(tensors, directory / "next_event.safetensors")
        described = {
            "spec": asdict(self.spec),
            "vocabulary": list(self._vocabulary),
            "learned_from": self._learned_from,
            "kinds": self._kinds,
            "ends_tell": self._ends_tell,
        }
        (directory / "next_event.json").write_text(json.dumps(described), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote."""
        from safetensors.torch import load_file

        described = json.loads((directory / "next_event.json").read_text(encoding="utf-8"))
        tensors = load_file(directory / "next_event.safetensors")
        made = cls(NextEventSpec(**described["spec"]))
        made._vocabulary = {text: FIRST_KNOWN + i for i, text in enumerate(described["vocabulary"])}
        made._learned_from, made._kinds = described["learned_from"], described["kinds"]
        made._ends_tell = described["ends_tell"]
        made._network = new_network(made.spec, FIRST_KNOWN + len(made._vocabulary))
        made._network.load_state_dict(tensors)
        made._network.eval()
        return made

    def _fitted(self) -> torch.nn.ModuleDict:
        if self._network is None:
            raise RuntimeError("NextEvent was used before fit")
        return self._network

    def _learn_vocabulary(self, windows: WindowSet) -> FloatArray:
        """Number the lines seen in two windows or more; return how many windows hold each event."""
        rows = np.repeat(np.arange(len(windows)), np.diff(windows.offsets))
        held = np.unique(np.stack([windows.line_ids.astype(np.int64), rows]), axis=1)
        seen = np.bincount(held[0], weights=windows.counts[held[1]], minlength=len(windows.texts))
        lines = sorted(np.flatnonzero(seen >= 2).tolist(), key=lambda line: (-seen[line], windows.texts[line]))
        lines = lines[: self.spec.max_vocabulary]
        self._vocabulary = {windows.texts[line]: FIRST_KNOWN + i for i, line in enumerate(lines)}
        return np.concatenate(([np.inf, 1.0], seen[lines]))

    def _events(self, windows: WindowSet) -> EventWindows:
        used, place = np.unique(windows.line_ids, return_inverse=True)
        ids = np.array([self._vocabulary.get(windows.texts[i], UNSEEN) for i in used], dtype=np.int64)
        return EventWindows(ids[place], windows.offsets)

    def _measure(self, windows: WindowSet) -> FloatArray:
        """Surprise, excess and rank of each event, float64 ``[3, total lines + n]``, a window's end after its lines."""
        import torch

        network, events = self._fitted(), self._events(windows)
        out = np.empty((3, len(events.ids) + len(windows)))
        for rows in events.by_length(LOGITS_AT_ONCE // (FIRST_KNOWN + len(self._vocabulary))):
            # Filled up with the same ones, so that what is said of a window is the same in any company.
            ids, ahead = events.batch(np.resize(rows, max(len(rows), LEAST_ROWS)))
            asked = int(ahead[: len(rows)].sum())
            with torch.inference_mode():
                logits, targets = predict(network, ids, ahead)
                own = logits.gather(1, targets[:, None])
                log_p = torch.log_softmax(logits.double(), dim=1)
                p = log_p.exp()
                log_p[:, UNSEEN] -= math.log(self._kinds)
                surprise = -torch.log(log_p.gather(1, targets[:, None])[:, 0].exp() + 1 / self._learned_from)
                entropy = -(p * log_p).sum(dim=1)
                facts = torch.stack([surprise, surprise - entropy, (logits > own).sum(dim=1).double()])
            starts, ahead = events.offsets[rows] + rows, ahead[: len(rows)]
            places = np.repeat(starts - (np.cumsum(ahead) - ahead), ahead) + np.arange(asked)
            out[:, places] = facts[:, :asked].numpy()
        return out


def _hold_out(windows: WindowSet, spec: NextEventSpec) -> IntArray:
    """Numbers of the windows that are not trained on: none, where they would be fewer than five."""
    size = int(len(windows) * spec.held_out_share)
    rarer = np.flatnonzero(windows.counts <= np.median(windows.counts))
    drawn = np.random.default_rng([spec.seed, 0]).permutation(rarer)[:size]
    return np.asarray(drawn if size >= 5 else drawn[:0], dtype=np.int64)


def _cut_by_length(events: EventWindows, counts: IntArray) -> bool:
    """Whether windows end because they are full: nearly all are equally long, and any event may be their last."""
    lengths = np.diff(events.offsets)
    full = lengths == lengths.max()
    if counts[full].sum() < 0.9 * counts.sum():
        return False
    last = _entropy(events.ids[events.offsets[1:][full] - 1], counts[full])
    return last >= 0.5 * _entropy(events.ids, np.repeat(counts, lengths))


def _entropy(ids: IntArray, counts: IntArray) -> float:
    mass = np.bincount(ids, weights=counts)
    share = mass[mass > 0] / mass.sum()
    return float(-(share * np.log(share)).sum())
