"""The fusion: sharp detectors weigh, noisy ones do not, and no detector is heard alone beyond reason."""

from __future__ import annotations

import numpy as np
import pytest

from logad_pipeline.detectors.fusion import Fusion, evidence


def uniform_p(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return np.log10(rng.uniform(1e-6, 1.0, size=(rows, columns)))


def test_evidence_is_the_rarity() -> None:
    assert evidence(np.array([0.5, 0.0, -2.0, -1e9])).tolist() == [0.0, 0.0, 2.0, 60.0]


def test_one_that_is_very_sure_and_several_that_are_fairly_sure_both_count() -> None:
    fusion = Fusion(("a", "b", "c", "d"), (0.25,) * 4)
    columns = np.array([[-1.0] * 4, [-5.0, -0.2, -0.2, -0.2], [-3.0, -3.0, -3.0, -0.2], [-2.0, -0.2, -0.2, -0.2]])
    usual, one, several, hardly = fusion({name: columns[:, i] for i, name in enumerate(fusion.names)})
    assert min(one, several) > 2 * usual
    assert hardly < one
    assert several > fusion({name: np.array([-3.0 if name == "a" else -0.2]) for name in fusion.names})[0]


def test_the_mean_lies_between_the_harmonic_and_the_geometric_one() -> None:
    columns = {"a": np.array([-6.0, -2.0]), "b": np.array([-0.5, -2.0])}
    harmonic, geometric = np.log10((10**6 + 10**0.5) / 2), (6 + 0.5) / 2
    fused = Fusion(("a", "b"), (0.5, 0.5))(columns)
    assert geometric < fused[0] < harmonic
    assert fused[1] == pytest.approx(2.0), "of equal p-values every mean is the same"


def test_a_drifting_detector_does_not_outdo_several_that_agree() -> None:
    fusion = Fusion(tuple("abcdefgh"), (1 / 8,) * 8)
    drifting, agreed = np.array([-0.5] * 7 + [-3.3]), np.array([-2.5] * 4 + [-0.5] * 4)
    one, several = (fusion({name: row[[i]] for i, name in enumerate(fusion.names)})[0] for row in (drifting, agreed))
    assert several > one


def test_a_share_of_the_weight_can_be_given_to_some() -> None:
    fusion = Fusion(("a", "b", "c"), (0.5, 0.25, 0.25)).with_share(["c"], 0.5)
    assert fusion.weights == pytest.approx((1 / 3, 1 / 6, 0.5))
    assert fusion.with_share([], 0.5) == fusion


def test_a_noisy_detector_does_not_drown_a_sharp_one() -> None:
    rng = np.random.default_rng(0)
    normal, broken = uniform_p(rng, 2000, 8), uniform_p(rng, 300, 8)
    broken[:, 0] = -5.0
    fusion = Fusion.fit([str(i) for i in range(8)], normal, broken)
    assert sum(fusion.weights) == pytest.approx(1.0)
    fused = [fusion({name: rows[:, i] for i, name in enumerate(fusion.names)}) for rows in (normal, broken)]
    assert (fused[1] > np.quantile(fused[0], 0.99)).mean() > 0.9


def test_what_tells_broken_windows_apart_weighs_more() -> None:
    rng = np.random.default_rng(1)
    normal, broken = uniform_p(rng, 20_000, 3), uniform_p(rng, 400, 3)
    broken[:200, 0], broken[200:, 1] = -4.0, -4.0
    one, other, neither = Fusion.fit(["one", "other", "neither"], normal, broken).weights
    assert min(one, other) > neither


def test_a_detector_that_calls_broken_windows_more_normal_gets_nothing() -> None:
    rng = np.random.default_rng(2)
    normal, broken = uniform_p(rng, 2000, 2), uniform_p(rng, 300, 2)
    broken[:, 0], broken[:, 1] = -4.0, 0.0
    assert Fusion.fit(["sharp", "contrary"], normal, broken).weights[1] == 0.0


def test_without_broken_windows_all_weigh_the_same() -> None:
    assert Fusion.fit(["a", "b"], np.zeros((5, 2)), np.zeros((0, 2))).weights == (0.5, 0.5)


def test_leaving_one_out_scales_the_others_up() -> None:
    fusion = Fusion(("a", "b", "c"), (0.5, 0.3, 0.2))
    assert fusion.without("a").weights == pytest.approx((0.6, 0.4))
    assert fusion.without("a").names == ("b", "c")
    with pytest.raises(ValueError, match="no detector is left"):
        fusion.without("a", "b", "c")


def test_it_is_written_and_read() -> None:
    fusion = Fusion(("a", "b"), (0.25, 0.75))
    assert Fusion.from_dict(fusion.to_dict()) == fusion


def test_a_model_of_before_is_fused_as_it_was_calibrated() -> None:
    fusion = Fusion.from_dict({"names": ["a", "b"], "weights": [0.5, 0.5]})
    fused = fusion({"a": np.array([-6.0]), "b": np.array([-0.5])})
    assert fused[0] == pytest.approx(np.log10((10**6 + 10**0.5) / 2)), "the harmonic mean"
