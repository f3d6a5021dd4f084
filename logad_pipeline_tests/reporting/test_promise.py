"""The plot of promised against achieved false-alarm rates."""

from __future__ import annotations

import pytest

from logad_pipeline.reporting.figure import THEMES, ThemeName
from logad_pipeline.reporting.promise import promised_against_achieved

PNG = b"\x89PNG\r\n\x1a\n"
RUNS = [
    {"promised": [0.001, 0.01, 0.1], "fixed": [0.002, 0.03, 0.2], "adaptive": [0.0, 0.01, 0.12]},
    {"promised": [0.001, 0.01, 0.1], "fixed": [0.004, 0.02, 0.3], "adaptive": [0.001, 0.012, 0.1]},
]

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("theme", list(THEMES))
@pytest.mark.parametrize("runs", [RUNS, RUNS[:1]], ids=["two seeds", "one seed"])
def test_the_plot_is_a_png_about_a_thousand_pixels_wide(runs: list[dict[str, list[float]]], theme: ThemeName) -> None:
    image = promised_against_achieved(runs, "a set", theme=theme)
    assert image.startswith(PNG)
    assert 1000 <= int.from_bytes(image[16:20], "big") <= 1100
    assert len(image) < 200_000


def test_the_same_rates_give_the_same_bytes() -> None:
    assert promised_against_achieved(RUNS, "a set") == promised_against_achieved(RUNS, "a set")
    assert promised_against_achieved(RUNS, "a set") != promised_against_achieved(RUNS[:1], "a set")


def test_no_alarm_at_all_is_drawn_on_the_logarithmic_axis() -> None:
    silent = [{"promised": [0.01, 0.1], "fixed": [0.0, 0.0], "adaptive": [0.0, 0.0]}]
    assert promised_against_achieved(silent, "a set").startswith(PNG)


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [RUNS[0] | {"fixed": [0.002, 0.03]}],
        [RUNS[0] | {"adaptive": []}],
        [RUNS[0], {name: values[:2] for name, values in RUNS[1].items()}],
    ],
    ids=["no run", "fixed too short", "adaptive empty", "runs of different lengths"],
)
def test_what_does_not_fit_together_is_refused(runs: list[dict[str, list[float]]]) -> None:
    with pytest.raises(ValueError, match="as many of each"):
        promised_against_achieved(runs, "a set")
