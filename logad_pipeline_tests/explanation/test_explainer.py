"""Evidence on a corpus with a strict order: it points at what was changed, and calls it by its name."""

from __future__ import annotations

import dataclasses
import doctest
import json
import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch

from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.detectors.fusion import Fusion
from logad_pipeline.detectors.reference import TRAIN
from logad_pipeline.explanation import difference, expected, suspicion
from logad_pipeline.explanation.evidence import Evidence, LineEvidence, ShownWindow
from logad_pipeline.explanation.expected import Expectations
from logad_pipeline.explanation.explainer import Explainer, shown_windows
from logad_pipeline.explanation.normal_windows import Lack
from logad_pipeline.explanation.wording import summary
from logad_pipeline.streams import FileScorer, ReadSpec
from logad_pipeline_tests.lake.small_models import YEAR, raw_lines, stamped
from logad_pipeline_tests.tiny_model import CYCLE, FOREIGN, cycle_lines, windows_of


@pytest.fixture(scope="module")
def explainer(model: AnomalyDetector) -> Explainer:
    return Explainer(model)


def shown(model: AnomalyDetector, lines: list[str]) -> ShownWindow:
    scored = model.score(windows_of([lines]))
    return ShownWindow(tuple(lines), {name: float(values[0]) for name, values in scored.detectors.items()})


def explained(explainer: Explainer, *lines: str) -> Evidence:
    return explainer.explain([shown(explainer.model, list(lines))])[0]


def test_doctests() -> None:
    for module in (difference, suspicion):
        assert doctest.testmod(module).failed == 0


def test_a_line_never_seen_is_pointed_at_and_called_new(explainer: Explainer) -> None:
    evidence = explained(explainer, *cycle_lines(4), FOREIGN)
    first = evidence.pointed_at()[0]
    assert (evidence.kind, first.place, first.text) == ("new template", 4, FOREIGN)
    assert FOREIGN in evidence.summary
    assert first.seen_in == 0.0
    assert first.reasons.count("never seen in the normal logs") == 1
    assert first.expected_next[0].text == CYCLE[4]
    assert evidence.strengths["new template"] == max(evidence.strengths.values())


def test_lines_never_seen_bear_alike_that_nobody_expected_them(explainer: Explainer) -> None:
    lines = [*cycle_lines(2), FOREIGN, "words that nobody has said", CYCLE[2]]
    windows = windows_of([lines])
    window, surprise = shown(explainer.model, lines), np.zeros(len(lines))
    heard = suspicion.witnesses(
        explainer.model, explainer.normal, [window], windows, surprise, *explainer._next(windows)
    )[0]
    loud = heard.of(suspicion.NEXT)
    assert loud[2] == loud[3] == loud.max() > 0
    assert heard.learned.tolist() == [True, True, False, False, True]
    unseen = heard.of(suspicion.UNSEEN)
    assert unseen.max() > 0 and unseen[[0, 1, 4]].tolist() == [0, 0, 0]


def test_a_witness_alone_does_not_outdo_several_that_agree_unless_it_is_sure() -> None:
    def suspected(number: float) -> int:
        rarity = {
            suspicion.NUMBERS: np.array([number, 0.0]),
            suspicion.TEMPLATE: np.array([0.0, 2.0]),
            suspicion.UNSEEN: np.array([0.0, 2.3]),
            suspicion.SURPRISE: np.array([0.0, 1.2]),
        }
        no = np.zeros(2, dtype=np.bool_)
        heard = suspicion.Witnesses(rarity, no, no, Fusion(tuple(rarity), (0.25,) * len(rarity)), [], Lack())
        return int(heard.suspicion.argmax())

    assert [suspected(number) for number in (2.3, 2.7, 5.0)] == [1, 1, 0]


def test_a_line_that_comes_over_and_over_is_called_frequent(explainer: Explainer) -> None:
    evidence = explained(explainer, *[CYCLE[3]] * 5)
    assert evidence.kind == "frequency"
    assert "5 times in one window" in evidence.pointed_at()[0].reasons


def test_lines_that_changed_places_are_called_order(explainer: Explainer) -> None:
    lines = cycle_lines(5)
    evidence = explained(explainer, lines[0], lines[2], lines[1], lines[3], lines[4])
    assert evidence.kind == "order"
    assert evidence.pointed_at()[0].place in (1, 2, 3)
    assert evidence.nearest is not None
    assert "moved" in [row.change for row in evidence.nearest.differences]


@pytest.fixture(scope="module")
def of_cycles(cycle_model: AnomalyDetector) -> Explainer:
    return Explainer(cycle_model)


def judged(of_cycles: Explainer, folder: Path, changed: dict[int, str], left_out: int | None = None) -> Evidence:
    """Evidence on one cycle of raw lines, some of them changed and one left out."""
    lines = [changed.get(at, line) for at, line in enumerate(raw_lines(len(CYCLE))) if at != left_out]
    file = folder / "app.log"
    file.write_text("".join(f"{line}\n" for line in stamped(date(YEAR, 3, 2), lines)), encoding="utf-8")
    scorer = FileScorer(of_cycles.model, read=ReadSpec(year=YEAR))
    verdicts = list(scorer.score(str(file)))
    return of_cycles.explain(shown_windows(verdicts, scorer.reader.index))[0]


def test_an_unchanged_cycle_has_nothing_to_show(of_cycles: Explainer, tmp_path: Path) -> None:
    evidence = judged(of_cycles, tmp_path, {})
    assert max(evidence.strengths.values()) < 1
    assert evidence.summary.startswith("Nothing in it is rare by itself; most unusual is '")


def test_a_user_never_seen_is_called_a_new_relation(of_cycles: Explainer, tmp_path: Path) -> None:
    evidence = judged(of_cycles, tmp_path, {1: "session opened for user eve"})
    first = evidence.pointed_at()[0]
    assert (evidence.kind, first.place, first.text) == ("new relation", 1, CYCLE[1])
    assert first.reasons[0] == "process:app with user:eve is unusual"
    assert first.masked_reasons[0] == "process with user is unusual"
    assert evidence.summary == (
        f"A usual kind of line names something unusual: '{CYCLE[1]}' (process:app with user:eve is unusual)."
    )
    assert evidence.strengths["new relation"] == max(evidence.strengths.values())


def test_a_number_beyond_the_usual_is_called_a_parameter(of_cycles: Explainer, tmp_path: Path) -> None:
    evidence = judged(of_cycles, tmp_path, {4: "query took 90000ms"})
    first = evidence.pointed_at()[0]
    assert (evidence.kind, first.place, first.text) == ("parameter", 4, CYCLE[4])
    assert first.reasons[0] == "an unusual number (90)"
    assert first.masked_reasons[0] == "an unusual number"
    assert evidence.summary == (
        f"A usual kind of line carries an unusual value or level: '{CYCLE[4]}' (an unusual number (90))."
    )


def test_a_line_never_seen_is_pointed_at_before_a_usual_one_with_a_large_number(
    of_cycles: Explainer, tmp_path: Path
) -> None:
    evidence = judged(of_cycles, tmp_path, {4: "query took 150ms", 6: FOREIGN})
    assert evidence.kind == "new template"
    assert [line.place for line in evidence.pointed_at(2)] == [6, 4]
    assert "an unusual number (0.15)" in evidence.lines[4].reasons


def test_a_usual_kind_of_line_in_words_never_seen_is_called_a_new_relation(
    of_cycles: Explainer, tmp_path: Path
) -> None:
    evidence = judged(of_cycles, tmp_path, {1: "session opened for user u1 from elsewhere"})
    first = evidence.pointed_at()[0]
    assert (evidence.kind, first.place) == ("new relation", 1)
    assert "never seen in the normal logs" in first.reasons


def test_a_line_left_out_is_called_missing_with_the_company_it_keeps(of_cycles: Explainer, tmp_path: Path) -> None:
    evidence = judged(of_cycles, tmp_path, {}, left_out=6)
    assert evidence.kind == "missing"
    assert evidence.nearest is not None
    assert [(row.change, row.text) for row in evidence.nearest.differences if row.change != "same"] == [
        ("missing", CYCLE[6])
    ]
    told = re.fullmatch(
        rf"'{CYCLE[6]}' is missing, which (.+)% of the normal windows with '(.+)' hold\.", evidence.summary
    )
    assert told and told[2] in CYCLE[:6]
    assert float(told[1]) == share_of(of_cycles, CYCLE[6], told[2])


def share_of(of_cycles: Explainer, text: str, beside: str) -> float:
    """Of the training windows with ``beside``, how many hold ``text``, per cent rounded down to a tenth."""
    reference = of_cycles.model.reference
    rows = reference.unique[~reference.trimmed & (reference.part == TRAIN)]
    windows = [{reference.windows.texts[i] for i in reference.windows.lines(row)} for row in rows.tolist()]
    both = [text in window for window in windows if beside in window]
    return sum(both) * 1000 // len(both) / 10


def test_company_that_is_not_always_kept_is_told_as_the_share_it_is(of_cycles: Explainer, tmp_path: Path) -> None:
    lack = of_cycles.normal.lack([line for line in CYCLE if line != CYCLE[4]])
    assert lack.text == CYCLE[4]
    assert 90 <= share_of(of_cycles, CYCLE[4], lack.beside) < 100
    line = LineEvidence(0, "b", 2.0, 1.0, 1.0, ())
    for share, said in ((0.9, "90%"), (0.9337, "93.3%"), (0.9999, "99.9%"), (1.0, "100%")):
        told = summary("missing", line, Lack(2.0, "a", "b", share), 2.0)
        assert told == f"'a' is missing, which {said} of the normal windows with 'b' hold."
    told = summary("missing", dataclasses.replace(line, text="c"), Lack(2.0, "a", "b", 0.9), 2.0)
    assert told == "Something seems to be missing before 'c'."


def test_what_was_expected_instead_is_named_word_by_word(explainer: Explainer) -> None:
    evidence = explained(explainer, *cycle_lines(4), FOREIGN)
    line = evidence.lines[4]
    assert [word.text for word in line.words] == FOREIGN.split()
    for word in line.words:
        assert word.surprise > 0
        chances = [expected.probability for expected in word.expected]
        assert chances == sorted(chances, reverse=True) and 0 < sum(chances) <= 1.0001
    assert len(line.expected_line.split()) == len(line.words)


def test_a_hidden_line_is_guessed_as_the_whole_model_would(explainer: Explainer) -> None:
    encoder = explainer.model.encoder
    windows = windows_of([[*cycle_lines(4), FOREIGN], cycle_lines(3)])
    found = Expectations(encoder).lines(windows, [[4], [1]])
    for segment, hidden in zip(encoder.segments(windows), (4, 1), strict=True):
        mask = segment.line_of == hidden
        ids = torch.from_numpy(np.where(mask, encoder.special.mask, segment.ids))[None]
        with torch.inference_mode():
            log_p = torch.log_softmax(encoder.model(input_ids=ids).logits[0, torch.from_numpy(mask)], dim=1).numpy()
        line = found[segment.window][hidden]
        surprise = -log_p[np.arange(len(log_p)), segment.ids[mask]]
        assert sum(word.surprise for word in line.words) == pytest.approx(surprise.sum(), abs=0.01)
        likeliest = line.words[0].expected[0]
        assert likeliest.probability == pytest.approx(np.exp(log_p[0].max()), abs=1e-3)
        assert encoder.tokenizer.id_to_token(int(log_p[0].argmax())) == likeliest.text


def test_a_hidden_line_of_a_long_window_is_guessed_from_the_lines_nearest_to_it(
    explainer: Explainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, asked = cycle_lines(12), Expectations(explainer.model.encoder)
    five, two = windows_of([lines[3:8]]), windows_of([lines[4:6]])
    whole, near = asked.lines(windows_of([lines]), [[5]])[0][5], asked.lines(five, [[2]])[0][2]
    beside = asked.lines(two, [[1]])[0][1]
    monkeypatch.setattr(expected, "MOST_TOKENS", len(explainer.model.encoder.segments(five)[0].ids))
    assert asked.lines(windows_of([lines]), [[5]])[0] == {5: near} != {5: whole}
    monkeypatch.setattr(expected, "MOST_TOKENS", 1)
    assert asked.lines(windows_of([lines]), [[5]])[0] == {5: beside}


def test_the_normal_windows_looked_at_are_those_that_sorting_all_would_give(explainer: Explainer) -> None:
    counts = explainer.normal.windows.counts
    rng = np.random.default_rng(0)
    for _ in range(20):
        alike = rng.integers(0, 4, len(counts)) / 4
        assert explainer.normal._alike_most(alike).tolist() == np.lexsort((-counts, -alike))[:12].tolist()


def test_the_nearest_normal_window_of_a_normal_one_is_itself(explainer: Explainer) -> None:
    evidence = explained(explainer, *cycle_lines(5, start=2))
    assert evidence.nearest is not None
    assert evidence.nearest.texts == tuple(cycle_lines(5, start=2))
    assert evidence.nearest.similarity == pytest.approx(1.0)
    assert {row.change for row in evidence.nearest.differences} == {"same"}


def test_voices_say_how_loud_they_are(explainer: Explainer) -> None:
    window = ShownWindow(tuple(cycle_lines(5)), {"surprise": 0.5, "counts": 0.85, "length": 0.0})
    voices = {voice.detector: voice for voice in explainer.explain([window])[0].voices}
    # The tiny model promises one in a hundred; 0.85 is ten times rarer.
    assert voices["surprise"].one_in == pytest.approx(100, rel=0.01) and voices["surprise"].spoke
    assert voices["counts"].one_in == pytest.approx(1000, rel=0.01)
    assert voices["length"].one_in == 1 and not voices["length"].spoke


def test_evidence_does_not_depend_on_the_batch_it_is_found_in(explainer: Explainer) -> None:
    windows = [
        shown(explainer.model, lines)
        for lines in (cycle_lines(5), [*cycle_lines(4), FOREIGN], [CYCLE[3]], cycle_lines(3, start=4))
    ]
    together = explainer.explain(windows)
    for window, evidence in zip(windows, together, strict=True):
        alone = explainer.explain([window])[0]
        assert (alone.kind, alone.summary) == (evidence.kind, evidence.summary)
        assert [line.place for line in alone.pointed_at()] == [line.place for line in evidence.pointed_at()]
        for one, other in zip(alone.lines, evidence.lines, strict=True):
            assert one.suspicion == pytest.approx(other.suspicion, abs=0.01)
    assert explainer.explain(windows) == together


def test_surprise_that_scoring_has_measured_is_taken_as_it_is(explainer: Explainer) -> None:
    lines = [*cycle_lines(4), FOREIGN]
    encoded = explainer.model.encoder.encode(windows_of([lines]))
    given = ShownWindow(
        tuple(lines), shown(explainer.model, lines).detectors, (), tuple(map(float, encoded.line_surprise))
    )
    evidence = explainer.explain([given])[0]
    assert [line.surprise for line in evidence.lines] == pytest.approx(encoded.line_surprise.round(3), abs=2e-3)
    assert evidence.kind == explained(explainer, *lines).kind


def test_one_line_many_lines_and_hostile_lines_are_explained(explainer: Explainer) -> None:
    window = explained(explainer, CYCLE[0])
    assert len(window.lines) == 1 and window.lines[0].words
    long = explainer.explain([ShownWindow(tuple(cycle_lines(400)), {})])[0]
    assert len(long.lines) == 400
    odd = explainer.explain([ShownWindow(("<script>alert(1)</script>", "\x1b[31m", "empty"), {})])[0]
    assert json.loads(json.dumps(odd.to_dict()))["lines"][0]["text"] == "<script>alert(1)</script>"


def test_what_does_not_fit_together_is_refused(explainer: Explainer) -> None:
    assert explainer.explain([]) == []
    with pytest.raises(ValueError, match="window 0 to be explained has no line"):
        explainer.explain([ShownWindow((), {})])
    with pytest.raises(ValueError, match="2 lines but 1 line_surprise"):
        explainer.explain([ShownWindow(("a", "b"), {}, (), (1.0,))])


def test_a_saved_model_explains_as_it_did(explainer: Explainer, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("model") / "m"
    explainer.model.save(folder)
    again = Explainer(AnomalyDetector.load(folder, "cpu"))
    window = shown(explainer.model, [*cycle_lines(4), FOREIGN])
    assert again.explain([window])[0].to_dict() == explainer.explain([window])[0].to_dict()
    assert np.isfinite(again.explain([window])[0].pointed_at()[0].suspicion)
