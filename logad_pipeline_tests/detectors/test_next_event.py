"""The next event model: which windows it finds strange, on small logs whose rules are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from logad_pipeline.detectors.base import EncodedWindows
from logad_pipeline.detectors.next_event import NextEvent
from logad_pipeline.detectors.next_event_training import NextEventSpec
from logad_pipeline.windows import WindowIndex

CYCLE = ["open", "read", "write", "sync", "close"]
NORMAL = [CYCLE * times for times in range(1, 6)]
TINY = NextEventSpec(embedding=16, hidden=48, batch_windows=16, max_steps=450)


def windows(lines: Sequence[Sequence[str]], count: int = 1) -> EncodedWindows:
    """Windows of these lines; the detector reads nothing else."""
    index = WindowIndex()
    for window in lines:
        index.add([index.text_id(line) for line in window], count)
    built = index.build()
    per_window = np.zeros((len(built), 1), dtype=np.float32)
    per_line = np.zeros(len(built.line_ids), dtype=np.float32)
    return EncodedWindows(built, per_window, per_window, per_line, per_line)


@pytest.fixture(scope="module")
def cycles() -> NextEvent:
    detector = NextEvent(TINY)
    detector.fit(windows(NORMAL, count=50))
    return detector


@pytest.mark.parametrize(
    "broken",
    [
        ["open", "read", "write", "sync", "close", "open", "write", "read", "sync", "close"],
        ["open", "read", "write", "sync", "close", "open", "read", "sync", "close"],
        ["open", "read", "write", "sync", "close", "open", "read"],
        ["open", "read", "write", "disk error", "sync", "close"],
        ["open", "read", "write", "sync", "sync", "close"],
        CYCLE * 3 + ["close"],
    ],
    ids=["swapped pair", "missing line", "truncated", "unseen line", "repeated line", "line after the end"],
)
def test_a_broken_order_scores_above_every_normal_window(cycles: NextEvent, broken: list[str]) -> None:
    assert cycles.score(windows([broken]))[0] > 3 * cycles.score(windows(NORMAL)).max()


def test_the_likeliest_lines_are_those_of_the_cycle(cycles: NextEvent) -> None:
    assert cycles.top_k_misses(windows(NORMAL), k=1).max() == 0.0
    swapped = ["open", "write", "read", "sync", "close"]
    with_unseen = ["open", "read", "disk error", "sync", "close"]
    misses = cycles.top_k_misses(windows([swapped, with_unseen, CYCLE]), k=1)
    assert misses[0] >= 2 / 5
    assert misses[1] >= 1 / 5
    assert misses[2] == 0.0
    # However many guesses are allowed, a line that was never seen is not among them.
    assert cycles.top_k_misses(windows([swapped, with_unseen]), k=100).tolist() == [0.0, 1 / 5]


def test_a_new_interleaving_of_two_streams_is_less_strange_than_a_broken_order() -> None:
    def interleaved(places: tuple[int, ...], first: list[str], second: list[str]) -> list[str]:
        one, two = iter(first), iter(second)
        return [next(one) if place in places else next(two) for place in range(8)]

    mail, cron = ["connect", "login", "fetch", "logout"], ["start", "load", "work", "finish"]
    mixtures = list(combinations(range(8), 4))
    new = mixtures[::9]
    detector = NextEvent(TINY)
    detector.fit(windows([interleaved(places, mail, cron) for places in mixtures if places not in new], count=5))
    harmless = detector.score(windows([interleaved(places, mail, cron) for places in new]))
    broken = ["connect", "fetch", "login", "logout"]
    harmful = detector.score(windows([interleaved(places, broken, cron) for places in new]))
    assert harmless.max() < harmful.min()


def test_an_unseen_line_is_strange_where_none_ever_come_and_usual_where_they_always_do() -> None:
    normal = [["begin", f"new text {i}", "middle", "end"] for i in range(60)]
    detector = NextEvent(TINY)
    detector.fit(windows(normal))
    asked = [["begin", "never seen", "middle", "end"], ["begin", "never seen", "middle", "never seen", "end"]]
    usual, strange = detector.score(windows(asked))
    assert usual <= 1.1 * detector.score(windows(normal)).max()
    assert strange > 2 * usual


def test_the_short_rest_of_a_stream_cut_by_length_is_no_broken_session() -> None:
    rng = np.random.default_rng(0)
    names = [f"event {i}" for i in range(8)]
    normal = [[names[i] for i in rng.integers(8, size=6)] for _ in range(200)]
    detector = NextEvent(TINY)
    detector.fit(windows(normal))
    assert detector.score(windows([normal[0][:2]]))[0] < detector.score(windows(normal)).max()


def test_the_same_windows_and_seed_give_the_same_model(cycles: NextEvent) -> None:
    asked = windows([*NORMAL, CYCLE[::-1]])
    again, other = NextEvent(TINY), NextEvent(replace(TINY, seed=1))
    again.fit(windows(NORMAL, count=50))
    other.fit(windows(NORMAL, count=50))
    assert (again.score(asked) == cycles.score(asked)).all()
    assert (other.score(asked) != cycles.score(asked)).any()


def test_a_saved_model_scores_the_same(cycles: NextEvent, tmp_path: Path) -> None:
    asked = windows([*NORMAL, CYCLE[::-1], ["d\u00e9j\u00e0 vu \u2713", "open"]])
    cycles.save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"next_event.json", "next_event.safetensors"}
    loaded = NextEvent.load(tmp_path)
    assert (loaded.score(asked) == cycles.score(asked)).all()
    assert (loaded.top_k_misses(asked, 2) == cycles.top_k_misses(asked, 2)).all()


def test_a_score_does_not_hang_on_the_windows_beside_it(cycles: NextEvent) -> None:
    asked = [*NORMAL, CYCLE[::-1], ["open"], CYCLE * 50]
    together = cycles.score(windows(asked))
    alone = [cycles.score(windows([window]))[0] for window in asked]
    assert together == pytest.approx(alone, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
    "normal",
    [[["only once"]], [["a"], ["b"], ["c"]], [["a"]] * 3, [[f"text {i}", f"other {i}"] for i in range(70)]],
    ids=["one line", "nothing twice", "one window of one line", "no vocabulary"],
)
def test_the_least_of_logs_give_finite_scores(normal: list[list[str]]) -> None:
    detector = NextEvent(replace(TINY, max_steps=30))
    detector.fit(windows(normal))
    scores = detector.score(windows([*normal, ["z"], ["z"] * 256]))
    assert np.isfinite(scores).all()
    assert detector.score(windows([])).shape == (0,)
    assert detector.top_k_misses(windows([]), 3).shape == (0,)


def test_a_large_vocabulary_takes_fewer_steps_and_knows_the_frequent_lines_only(tmp_path: Path) -> None:
    detector = NextEvent(replace(TINY, max_vocabulary=3, max_work=1e7))
    detector.fit(windows([*NORMAL, ["rare", "read"], ["rare", "write"]]))
    detector.save(tmp_path)
    # The cycle's lines come in five windows or more, "rare" in two; of equals the first by text are kept.
    assert '"vocabulary": ["read", "write", "close"]' in (tmp_path / "next_event.json").read_text(encoding="utf-8")


def test_what_was_not_fitted_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="before fit"):
        NextEvent().score(windows(NORMAL))
    with pytest.raises(RuntimeError, match="before fit"):
        NextEvent().save(tmp_path)
    with pytest.raises(ValueError, match="give more logs"):
        NextEvent().fit(windows([]))
