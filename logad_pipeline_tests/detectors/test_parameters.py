"""Masked numbers: which values are found strange, and which are left alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from logad_pipeline.detectors.parameters import MIN_SAMPLES, ParameterValues
from logad_pipeline.logs.facts import RecordFacts


def records(values: Iterable[float | tuple[float, ...]], template: str = "value num") -> list[RecordFacts]:
    return [RecordFacts(template, (), value if isinstance(value, tuple) else (float(value),)) for value in values]


def fitted(facts: list[RecordFacts]) -> ParameterValues:
    detector = ParameterValues()
    detector.fit(facts, 0)
    return detector


def score(detector: ParameterValues, value: float | tuple[float, ...], template: str = "value num") -> float:
    return float(detector.score(records([value], template))[0])


def sizes(count: int = 2000) -> np.ndarray:
    return np.round(np.random.default_rng(0).lognormal(8, 1, count))


def test_an_exit_code_never_seen_is_strange_and_the_usual_ones_are_not() -> None:
    codes = np.random.default_rng(0).permutation([0.0] * 900 + [1.0] * 100)
    detector = fitted(records(codes, "exited with num"))
    assert score(detector, 0, "exited with num") == 0.0
    assert score(detector, 1, "exited with num") == pytest.approx(np.log(10), abs=0.1)
    assert score(detector, 139, "exited with num") > 6.0


def test_an_unseen_value_is_no_news_where_values_change_all_the_time() -> None:
    # Ten values, each used for a while and then never again.
    detector = fitted(records(np.repeat(np.arange(10) * 7, 50)))
    assert score(detector, 1000) < 0.1


def test_an_amount_far_beyond_the_usual_is_strange_and_more_so_the_further() -> None:
    detector = fitted(records(sizes(), "sent size"))
    usual, large, huge, tiny = (score(detector, value, "sent size") for value in (3000, 10**7, 10**10, 0))
    assert usual < 1.0
    assert 6.0 < large < huge
    assert tiny > 6.0


def test_new_amounts_of_the_same_kind_do_not_alarm() -> None:
    rng = np.random.default_rng(1)
    detector = fitted(records(sizes(), "sent size"))
    scores = detector.score(records(np.round(rng.lognormal(8, 1, 10_000)), "sent size"))
    # The surprise is the negative logarithm of a tail probability, so as many records reach it as it says.
    for nats in (2.0, 4.0):
        assert (scores >= nats).mean() == pytest.approx(np.exp(-nats), rel=0.5)


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        (np.random.default_rng(2).permutation(np.arange(1024, 65536))[:3000], [22.0, 65535.0, 1023.0]),
        (np.random.default_rng(3).permutation(np.arange(300, 32768))[:500], [1.0, 32768.0]),
        (np.arange(5000) * 3 + 100_000, [1.0, 10.0**9]),
    ],
    ids=["ports", "process ids", "counter"],
)
def test_names_made_of_digits_never_alarm(values: np.ndarray, asked: list[float]) -> None:
    detector = fitted(records(values))
    assert [score(detector, value) for value in asked] == [0.0] * len(asked)


def test_the_word_before_a_number_tells_a_name() -> None:
    values = np.random.default_rng(4).choice([22, 80, 443, *range(40_000, 40_030)], 1000)
    asked = 7.0
    assert score(fitted(records(values, "from ip port num")), asked, "from ip port num") == 0.0
    assert score(fitted(records(values, "took num")), asked, "took num") > 1.0


def test_a_jump_is_strange_where_values_stay_near_the_last_one() -> None:
    # A level that wanders slowly between 20 and 80 degrees.
    level = 50 + 30 * np.sin(np.arange(4000) / 300) + np.random.default_rng(5).normal(0, 0.3, 4000)
    detector = fitted(records(level))
    last = float(level[-1])
    steady = detector.score(records([last, last + 0.3, last]))
    jump = detector.score(records([last, 75.0 if last < 50 else 25.0]))
    assert steady.max() < 4.0
    assert jump[1] > 6.0


def test_a_number_that_drifts_has_little_to_say() -> None:
    noise = np.random.default_rng(6).normal(0, 3, 2000)
    detector = fitted(records(1000 + np.arange(2000) * 0.05 + noise))
    assert score(detector, 1112.5) < 3.0


def test_many_numbers_are_not_stranger_than_one_for_being_many() -> None:
    rng = np.random.default_rng(7)
    wide = rng.lognormal(8, 1, (2000, 12))
    detector = fitted(records([tuple(row) for row in wide], "twelve"))
    asked = detector.score(records([tuple(row) for row in rng.lognormal(8, 1, (2000, 12))], "twelve"))
    assert (asked >= 4.0).mean() < 2 * np.exp(-4)


def test_few_samples_no_numbers_and_unknown_templates_score_nothing() -> None:
    detector = fitted(records([1.0] * (MIN_SAMPLES - 1), "rare num") + records([2.0] * 100, "known num"))
    assert score(detector, 10.0**6, "rare num") == 0.0
    assert score(detector, 10.0**6, "new num") == 0.0
    assert score(detector, (), "known num") == 0.0
    assert score(detector, (2.0, 10.0**6), "known num") == 0.0
    assert detector.score([]).shape == (0,)


def test_a_saved_detector_scores_the_same(tmp_path: Path) -> None:
    facts = [
        *records(np.random.default_rng(8).permutation([0.0] * 90 + [1.0] * 10), "exited num"),
        *records(np.arange(100) * 2, "count num"),
        *records(zip(sizes(500).tolist(), [7.0] * 500, strict=True), "sent size for num"),
        *records(50 + np.sin(np.arange(500) / 50), "level num"),
    ]
    detector = fitted(facts)
    asked = [*facts, *records([5.0, 1e300, -3.0], "exited num"), *records([(1e12, 8.0)], "sent size for num")]
    detector.save(tmp_path)
    assert {file.suffix for file in tmp_path.iterdir()} == {".safetensors", ".json"}
    scores = detector.score(asked)
    assert np.isfinite(scores).all() and (scores >= 0).all() and scores.max() > 3.0
    assert (ParameterValues.load(tmp_path).score(asked) == scores).all()


def test_equal_training_records_give_equal_models() -> None:
    asked = records(sizes(100) * 3, "sent size")
    facts = records(sizes(), "sent size")
    assert (fitted(facts).score(asked) == fitted(facts).score(asked)).all()


def test_a_detector_that_was_not_fitted_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="before fit"):
        ParameterValues().score(records([1.0]))
    with pytest.raises(RuntimeError, match="before fit"):
        ParameterValues().save(tmp_path)
