"""Two windows side by side: which lines are in both, in one alone, or elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from logad_pipeline.explanation.evidence import Difference


def differences(lines: Sequence[str], normal: Sequence[str]) -> tuple[Difference, ...]:
    """What makes ``lines`` of ``normal``: rows in the order of ``lines``, what is missing where it would stand.

    A line that is in both, but not where the others would have it, is called moved and told once.

    >>> [(row.change, row.text) for row in differences(["a", "c", "b", "x"], ["a", "b", "c", "d"])]
    [('same', 'a'), ('same', 'c'), ('moved', 'b'), ('added', 'x'), ('missing', 'd')]
    """
    rows: list[Difference] = []
    matcher = SequenceMatcher(None, lines, normal, autojunk=False)
    for change, first, last, other_first, other_last in matcher.get_opcodes():
        if change == "equal":
            rows += [Difference("same", lines[place], place) for place in range(first, last)]
            continue
        rows += [Difference("added", lines[place], place) for place in range(first, last)]
        rows += [Difference("missing", text, None) for text in normal[other_first:other_last]]
    added = Counter(row.text for row in rows if row.change == "added")
    missing = Counter(row.text for row in rows if row.change == "missing")
    moved = added & missing
    told, gone = moved.copy(), moved.copy()
    out = []
    for row in rows:
        if row.change == "added" and told[row.text]:
            told[row.text] -= 1
            row = Difference("moved", row.text, row.place)
        elif row.change == "missing" and gone[row.text]:
            gone[row.text] -= 1
            continue
        out.append(row)
    return tuple(out)
