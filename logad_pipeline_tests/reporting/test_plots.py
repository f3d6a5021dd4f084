"""Plots are PNGs of a readable width, absent where there is nothing to draw, and refuse what does not fit."""

from __future__ import annotations

import io
import subprocess
import sys
import threading

import numpy as np
import pytest

from logad_pipeline.reporting import plots
from logad_pipeline.reporting.figure import THEMES, ThemeName

PNG = b"\x89PNG\r\n\x1a\n"
SCORES = np.array([0.05, 0.1, 0.2, 0.3, 0.55, 0.93])
LABELS = np.array([False, False, False, False, True, True])
NONE = np.empty(0)

pytestmark = pytest.mark.filterwarnings("error")


def all_plots(theme: ThemeName) -> dict[str, bytes | None]:
    return {
        "histogram": plots.score_histogram(SCORES, 0.5, theme=theme),
        "histogram with labels": plots.score_histogram(SCORES, 0.5, LABELS, theme=theme),
        "histogram of one class": plots.score_histogram(SCORES, 0.5, np.zeros(6, np.bool_), theme=theme),
        "roc": plots.roc_curve(SCORES, LABELS, theme=theme),
        "pr": plots.pr_curve(SCORES, LABELS, 0.5, theme=theme),
        "scatter": plots.embedding_scatter(np.eye(2), [True, False], [True, False], theme=theme),
        "training": plots.training_curves([0, 10], [2.0, 1.0], [np.nan, 1.5], theme=theme),
        "rate": plots.alert_rate_by_day([("2026-05-04", 100, 1), ("2026-05-05", 0, 0)], 0.01, theme=theme),
    }


@pytest.mark.parametrize("theme", list(THEMES))
def test_every_plot_is_a_png_about_a_thousand_pixels_wide(theme: ThemeName) -> None:
    for name, image in all_plots(theme).items():
        assert image is not None and image.startswith(PNG), name
        assert 1000 <= int.from_bytes(image[16:20], "big") <= 1100, name
        assert len(image) < 200_000, name


def test_the_two_themes_have_their_own_paper() -> None:
    from PIL import Image

    for theme, look in THEMES.items():
        image = plots.score_histogram(SCORES, 0.5, theme=theme)
        assert image is not None
        corner = Image.open(io.BytesIO(image)).convert("RGB").getpixel((2, 2))
        assert corner == tuple(bytes.fromhex(look.paper[1:]))


def test_nothing_to_draw_is_none() -> None:
    assert plots.score_histogram(NONE, 0.5) is None
    assert plots.roc_curve(SCORES, np.zeros(6, np.bool_)) is None
    assert plots.pr_curve(NONE, NONE.astype(np.bool_), 0.5) is None
    assert plots.embedding_scatter(np.empty((0, 2))) is None
    assert plots.training_curves(NONE, NONE, NONE) is None
    assert plots.alert_rate_by_day([("2026-05-04", 0, 0)], 0.01) is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="expected values in"):
        plots.score_histogram([0.1, 1.2], 0.5)
    with pytest.raises(ValueError, match="expected values in"):
        plots.score_histogram([0.1, np.nan], 0.5)
    with pytest.raises(ValueError, match=r"labels have shape \(1,\) for 6 points"):
        plots.roc_curve(SCORES, [True])
    with pytest.raises(ValueError, match="2 steps, 1 training"):
        plots.training_curves([1, 2], [1.0], [1.0])


def test_names_that_mean_something_to_the_plotter_are_drawn_as_they_are() -> None:
    names = ["$\\frac{1}{0}$", "\x1b[31m\x00", "主机-1", "\u202egnp", "_hidden", "x" * 500, "\ud800"]
    assert plots.alert_rate_by_day([(name, 10, 1) for name in names], 0.1) is not None


def test_many_days_stay_one_picture() -> None:
    rate = plots.alert_rate_by_day([(f"day {n}", 100, n % 3) for n in range(400)], 0.01)
    assert rate is not None and len(rate) < 200_000


def test_a_rate_a_little_above_the_promise_is_put_down_to_chance() -> None:
    assert not plots._above_chance(4000, 24, 0.005)
    assert plots._above_chance(4000, 40, 0.005)
    assert plots._above_chance(100, 1, 0.0)


def test_threads_draw_the_same_picture_as_one() -> None:
    expected = plots.score_histogram(SCORES, 0.5)
    drawn: list[bytes | None] = []
    threads = [threading.Thread(target=lambda: drawn.append(plots.score_histogram(SCORES, 0.5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == [expected] * 4


def test_importing_the_room_loads_no_heavy_library() -> None:
    code = (
        "import sys, logad_pipeline.reporting.report, logad_pipeline.evaluation.metrics\n"
        "print([m for m in ('matplotlib', 'sklearn', 'jinja2', 'torch', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
