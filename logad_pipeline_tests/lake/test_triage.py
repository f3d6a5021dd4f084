"""What a window is shown with: its raw lines and their neighbours, and its own texts, whichever files they lie in."""

from __future__ import annotations

import pytest

from logad_pipeline.explanation.explainer import Explainer
from logad_pipeline.lake.shown_rows import explained_window, read_records_of
from logad_pipeline.lake.tables import Lake, LakeDamaged
from logad_pipeline.lake.triage import raw_lines

from .judged import DAY
from .rotated import CUT, NEWER, ODD, OLDER, put_rotated_day
from .small_models import text_model


def windows_of(lake: Lake) -> list[dict[str, object]]:
    """Rows of `scores` in order of time."""
    rows = [row for batch in lake.scan("scores", [DAY]) for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: row["first_time"])


def test_a_window_over_two_files_shows_the_lines_of_both_in_their_order(lake: Lake) -> None:
    files = put_rotated_day(lake)
    row = windows_of(lake)[2]
    found = list(raw_lines(lake, DAY, str(row["window_id"]), 2).lines)
    assert [(one.file, one.number) for one in found] == [
        *((OLDER, number) for number in range(CUT - 3, CUT + 1)), *((NEWER, number) for number in range(1, 6)),
    ]  # fmt: skip
    assert [one.text for one in found] == files[OLDER][CUT - 4 :] + files[NEWER][:5]
    assert [one.in_window for one in found] == [False] * 2 + [True] * 5 + [False] * 2
    assert not any(one.gap for one in found)


def test_a_window_whose_records_are_gone_has_no_lines(lake: Lake) -> None:
    put_rotated_day(lake)
    row = windows_of(lake)[2]
    assert read_records_of(lake, [row])[str(row["window_id"])] != [None] * 5
    lake.replace_day("windows", DAY, [])
    with pytest.raises(LakeDamaged, match="run the day again"):
        raw_lines(lake, DAY, str(row["window_id"]), 2)
    assert read_records_of(lake, [row])[str(row["window_id"])] == [None] * 5


@pytest.mark.parametrize("chosen", [0, 2, 3])
def test_a_window_is_explained_with_its_own_texts(lake: Lake, chosen: int) -> None:
    files = put_rotated_day(lake)
    written = files[OLDER] + files[NEWER]
    row = windows_of(lake)[chosen]
    shown = explained_window(lake, row, Explainer(text_model()).explain)
    assert [line.text.split("app[7]: ")[1] for line in shown.lines] == [
        line.split("app[7]: ")[1] for line in written[5 * chosen : 5 * chosen + 5]
    ]
    assert shown.evidence is not None
    assert [line.evidence.text for line in shown.lines if line.evidence] == [
        line.text for line in sorted(shown.evidence.lines, key=lambda line: line.place)
    ]
    if chosen == 2:
        assert shown.evidence.pointed_at(1)[0].place == 1 + ODD
