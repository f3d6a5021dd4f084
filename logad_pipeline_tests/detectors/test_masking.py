"""The masks: scoring hides every word once, training hides words only, by its seed alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logad_pipeline.detectors.masking import MaskCollator, Segment, SpecialIds, pad, scoring_masks

SPECIAL = SpecialIds(pad=0, unk=1, cls=2, sep=3, mask=4)
VOCABULARY = 60
LINES = st.lists(st.lists(st.integers(5, VOCABULARY - 1), min_size=1, max_size=8), min_size=1, max_size=12)


def segment_of(lines: list[list[int]]) -> Segment:
    ids, line_of = [SPECIAL.cls], [-1]
    for number, line in enumerate(lines):
        ids += [*line, SPECIAL.sep]
        line_of += [number] * len(line) + [-1]
    return Segment(0, 0, np.array(ids), np.array(line_of))


@given(LINES, st.integers(1, 6))
def test_complementary_masks_hide_each_word_exactly_once(lines: list[list[int]], turns: int) -> None:
    segment = segment_of(lines)
    times = np.sum(scoring_masks(segment, turns), axis=0)
    assert (times == (segment.line_of >= 0)).all()


@given(LINES.filter(lambda lines: len(lines) > 1), st.integers(2, 6))
def test_scoring_hides_whole_lines_and_never_all_of_them(lines: list[list[int]], turns: int) -> None:
    segment = segment_of(lines)
    for mask in scoring_masks(segment, turns):
        hidden = set(segment.line_of[mask])
        assert (mask == np.isin(segment.line_of, list(hidden))).all()
        assert len(hidden) < segment.line_count


@given(st.lists(st.integers(5, VOCABULARY - 1), min_size=2, max_size=30))
def test_a_single_line_shows_some_of_its_words_in_every_turn(line: list[int]) -> None:
    masks = scoring_masks(segment_of([line]))
    assert all(0 < mask.sum() < len(line) for mask in masks)


def test_a_single_word_is_hidden_once() -> None:
    masks = scoring_masks(segment_of([[9]]))
    assert [mask.tolist() for mask in masks] == [[False, True, False]]


@given(st.lists(LINES, min_size=1, max_size=6), st.integers(0, 2**32))
def test_the_collator_hides_words_only_and_says_truly_which(batch: list[list[list[int]]], seed: int) -> None:
    segments = [segment_of(lines) for lines in batch]
    masked = MaskCollator(SPECIAL, VOCABULARY)(segments, np.random.default_rng(seed))
    width = max(len(segment.ids) for segment in segments)
    assert masked.ids.shape == masked.attention.shape == masked.targets.shape == (len(segments), width)
    for row, segment in enumerate(segments):
        length = len(segment.ids)
        hidden = masked.targets[row, :length] != -100
        assert hidden.any()
        assert (segment.line_of[hidden] >= 0).all()
        assert (masked.targets[row, :length][hidden] == segment.ids[hidden]).all()
        assert (masked.ids[row, :length][~hidden] == segment.ids[~hidden]).all()
        assert not np.isin(masked.ids[row, :length][hidden], [SPECIAL.pad, SPECIAL.cls, SPECIAL.sep]).any()
        assert masked.attention[row].tolist() == [1] * length + [0] * (width - length)
        assert (masked.ids[row, length:] == SPECIAL.pad).all()
        assert (masked.targets[row, length:] == -100).all()


def test_about_half_of_the_windows_have_whole_lines_hidden() -> None:
    lines = [[10, 11, 12, 13, 14, 15], [20, 21, 22, 23, 24, 25], [30, 31, 32, 33, 34, 35]]
    segment, whole = segment_of(lines), 0
    masked = MaskCollator(SPECIAL, VOCABULARY)([segment] * 400, np.random.default_rng(1))
    for row in range(400):
        hidden = masked.targets[row] != -100
        lines_hidden = np.unique(segment.line_of[hidden])
        if (hidden == np.isin(segment.line_of, lines_hidden)).all():
            whole += 1
            # A line that is hidden whole is hidden as scoring hides it: nothing of it shows.
            assert (masked.ids[row][hidden] == SPECIAL.mask).all()
    assert 160 <= whole <= 240


def test_hidden_words_become_mask_random_or_stay_in_berts_shares() -> None:
    # One line a window: then words are hidden, never the line.
    segments = [segment_of([list(range(5, 55))])] * 200
    masked = MaskCollator(SPECIAL, 10_000)(segments, np.random.default_rng(2))
    hidden = masked.targets != -100
    assert 0.18 < hidden[:, 1:-1].mean() < 0.22
    became, were = masked.ids[hidden], masked.targets[hidden]
    assert np.mean(became == SPECIAL.mask) == pytest.approx(0.8, abs=0.03)
    assert np.mean(became == were) == pytest.approx(0.1, abs=0.03)


def test_the_same_seed_hides_the_same_words() -> None:
    segments = [segment_of([[7, 8], [9], [10, 11, 12]])] * 8
    collate = MaskCollator(SPECIAL, VOCABULARY)
    one, same, other = (collate(segments, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert (one.ids == same.ids).all()
    assert (one.targets == same.targets).all()
    assert (one.targets != other.targets).any()


def test_collating_leaves_the_segments_as_they_were() -> None:
    segment = segment_of([[7, 8, 9], [10, 11]])
    before = segment.ids.copy()
    MaskCollator(SPECIAL, VOCABULARY)([segment] * 20, np.random.default_rng(0))
    assert (segment.ids == before).all()


def test_padding_goes_only_to_the_longest_row() -> None:
    assert pad([np.array([1, 2, 3]), np.array([4])], 0).tolist() == [[1, 2, 3], [4, 0, 0]]
