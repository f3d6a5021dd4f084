"""Normal windows cut short, as the end of a file or of a day cuts them.

Belongs here: making them. What is calibrated on them is in ``fitting``.
"""

from __future__ import annotations

import numpy as np

from logad_pipeline.windows import WindowSet, WindowSpec


def cut_short(windows: WindowSet, spec: WindowSpec, most: int, seed: int) -> WindowSet:
    """Beginnings of whole windows, of every length below theirs alike.

    There are so few windows at the end of a file that each looks rare, whatever it says; these show how the end
    of a file looks to a detector.

    Args:
        windows: normal windows; those seen often are chosen more often.
        spec: how they were cut.
        most: how many to make; equal ones are kept once.
        seed: of the choice.

    Returns:
        Distinct windows, how often each was made in ``counts``; none where windows are sessions, or of one line.
    """
    whole = np.flatnonzero(np.diff(windows.offsets) >= max(spec.size, 2))
    if spec.window_type == "session" or not len(whole):
        return WindowSet.of_lines([])
    rng = np.random.default_rng([seed, 11])
    share = windows.counts[whole] / windows.counts[whole].sum()
    made: dict[tuple[str, ...], int] = {}
    for row in rng.choice(whole, size=most, p=share):
        lines = windows.lines(int(row))[: rng.integers(1, spec.size)]
        texts = tuple(windows.texts[i] for i in lines)
        made[texts] = made.get(texts, 0) + 1
    return WindowSet.of_lines(list(made)).take(range(len(made)), np.array(list(made.values()), dtype=np.int64))
