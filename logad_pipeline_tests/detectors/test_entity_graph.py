"""The entity graph: which edges it finds strange, with the graph extra and without."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from logad_pipeline.detectors import entity_graph
from logad_pipeline.detectors.entity_graph import EntityGraph
from logad_pipeline.logs.facts import Edge, RecordFacts, facts_of
from logad_pipeline.logs.log_tokenizer import LogTokenizer
from logad_pipeline.logs.records import Record

TOKENIZER = LogTokenizer()


def record(*edges: Edge) -> RecordFacts:
    return RecordFacts("a template", edges, ())


def said(message: str, program: str, host: str = "web1") -> RecordFacts:
    return facts_of(Record(1, 1, None, host, program, "1", "", message), TOKENIZER.normalise(message))


def login(user: str, ip: str) -> RecordFacts:
    return said(f"Accepted password for {user} from {ip} port 4022 ssh2", "sshd")


def ordinary_days(records: int = 3000) -> list[RecordFacts]:
    """Three people log in from their own desks; strangers knock from ever new addresses."""
    choice = random.Random(0)
    desks = {"mira": "10.0.0.1", "hanne": "10.0.0.2", "teodor": "10.0.0.3"}
    facts = []
    for number in range(records):
        if number % 4:
            user = choice.choice(list(desks))
            facts.append(login(user, desks[user]))
        else:
            ip = f"203.0.{choice.randrange(256)}.{choice.randrange(256)}"
            facts.append(said(f"Connection closed by {ip} port 4022 [preauth]", "sshd"))
    return facts


def teams(count: int = 30) -> list[RecordFacts]:
    """Two teams, whose members work on most of the files of their own team and on none of the other's."""
    choice = random.Random(1)
    edges = [
        (f"user:{team}{member}", "edits", f"file:/{team}/{number}")
        for team in "ab"
        for member in range(count)
        for number in range(count)
        if choice.random() < 0.6 and not (member == 0 and number == 0)
    ]
    return [record(edge) for edge in edges * 4]


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_geometric", None)


def fitted(facts: Sequence[RecordFacts], seed: int = 0) -> EntityGraph:
    detector = EntityGraph()
    detector.fit(facts, seed)
    return detector


@pytest.mark.usefixtures("without_extra")
def test_newness_costs_what_it_is_worth() -> None:
    detector = fitted(ordinary_days())
    usual, stranger, moved, swapped, newcomer = detector.score(
        [
            login("mira", "10.0.0.1"),
            said("Connection closed by 198.51.100.7 port 4022 [preauth]", "sshd"),
            login("mira", "198.51.100.7"),
            login("mira", "10.0.0.2"),
            login("eve", "10.0.0.1"),
        ]
    )
    assert usual == pytest.approx(0.0, abs=0.05)
    # A new address is nothing new where strangers knock all day, and much where a person has one desk.
    assert stranger < 1.0
    assert moved > 4.0 and swapped > 4.0
    assert newcomer > 4.0


@pytest.mark.usefixtures("without_extra")
def test_a_burst_of_one_newcomer_does_not_make_newcomers_normal() -> None:
    facts = ordinary_days()
    facts[2000:2000] = [login("guest", "10.0.0.9")] * 500
    assert fitted(facts).score([login("eve", "10.0.0.8")])[0] > 3.0


@pytest.mark.usefixtures("without_extra")
def test_an_edge_seen_once_is_less_surprising_than_a_new_one_and_more_than_a_common_one() -> None:
    facts = ordinary_days()
    facts.insert(1500, login("mira", "10.0.0.77"))
    common, once, new = fitted(facts).score(
        [login("mira", "10.0.0.1"), login("mira", "10.0.0.77"), login("mira", "10.0.0.78")]
    )
    assert common < once < new


@pytest.mark.usefixtures("without_extra")
def test_the_score_of_a_record_is_that_of_its_least_likely_edge() -> None:
    detector = fitted(ordinary_days())
    facts = login("eve", "198.51.100.7")
    assert detector.score([facts])[0] == max(detector.edge_surprise(edge) for edge in facts.edges)
    assert detector.score([record()]).tolist() == [0.0]
    assert detector.score([]).shape == (0,)


@pytest.mark.parametrize("records", [[], [record()], [login("mira", "10.0.0.1")]], ids=["none", "no edge", "one"])
def test_next_to_nothing_to_learn_from_is_no_reason_to_fail(records: list[RecordFacts]) -> None:
    scores = fitted(records).score([login("mira", "10.0.0.1"), login("eve", "10.0.0.2")])
    assert np.isfinite(scores).all() and (scores >= 0).all()


@pytest.mark.usefixtures("without_extra")
def test_what_is_beyond_the_bound_counts_as_never_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(entity_graph, "MAX_NODES", 8)
    monkeypatch.setattr(entity_graph, "MAX_EDGES", 12)
    detector = fitted(ordinary_days())
    detector.save(tmp_path)
    assert (tmp_path / "entity_graph.json").stat().st_size < 1000
    usual, stranger = detector.score(
        [login("mira", "10.0.0.1"), said("Connection closed by 198.51.100.7 port 4022 [preauth]", "sshd")]
    )
    assert usual < 0.5 and stranger < 1.0


def test_with_the_extra_a_pair_that_fits_its_team_is_less_surprising() -> None:
    pytest.importorskip("torch_geometric")
    detector = fitted(teams())
    assert detector.embeds
    own, other = detector.score([record(("user:a0", "edits", "file:/a/0")), record(("user:a0", "edits", "file:/b/0"))])
    assert own < other


@pytest.mark.usefixtures("without_extra")
def test_without_the_extra_novelty_stands_alone() -> None:
    detector = fitted(teams())
    assert not detector.embeds
    own, other = detector.score([record(("user:a0", "edits", "file:/a/0")), record(("user:a0", "edits", "file:/b/0"))])
    assert own == other > 0


def test_the_same_seed_gives_the_same_scores() -> None:
    asked = [record(("user:a0", "edits", f"file:/b/{number}")) for number in range(10)]
    assert (fitted(teams(), 3).score(asked) == fitted(teams(), 3).score(asked)).all()


def test_fitting_leaves_the_random_state_of_torch_alone() -> None:
    torch = pytest.importorskip("torch")
    before = torch.random.get_rng_state()
    fitted(teams())
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_saved_graph_scores_the_same_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch_geometric")
    facts = [*teams(), *ordinary_days(500)]
    detector = fitted(facts)
    assert detector.embeds
    asked = [
        *facts[::50],
        record(("user:a0", "edits", "file:/b/0")),
        record(("user:new", "edits", "file:/b/0")),
        record(("robot:1", "paints", "wall:2")),
        login("eve", "198.51.100.7"),
    ]
    detector.save(tmp_path)
    assert {file.suffix for file in tmp_path.iterdir()} == {".safetensors", ".json"}
    for module in ("torch_geometric", "torch_geometric.nn"):
        monkeypatch.setitem(sys.modules, module, None)
    assert (EntityGraph.load(tmp_path).score(asked) == detector.score(asked)).all()


def test_a_graph_that_was_not_fitted_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="before fit"):
        EntityGraph().score([login("mira", "10.0.0.1")])
    with pytest.raises(RuntimeError, match="before fit"):
        EntityGraph().save(tmp_path)
