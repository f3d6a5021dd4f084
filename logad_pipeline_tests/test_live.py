"""A log that is still being written: the same verdicts as on the file, within a delay, in bounded memory."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from logad_pipeline import live as live_module
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.live import LiveScorer, LiveVerdict
from logad_pipeline.logs.reader import UnreadableInput
from logad_pipeline.streams import FileScorer, ReadSpec
from logad_pipeline.windows import WindowSpec
from logad_pipeline_tests.test_streams import syslog, write
from logad_pipeline_tests.tiny_model import FOREIGN, cycle_lines, tiny_model


@pytest.fixture(scope="module")
def model() -> AnomalyDetector:
    return tiny_model()


def whole(found: list[LiveVerdict]) -> list[list[int]]:
    return [each.verdict.window.lines for each in found if not each.growing]


def scores(found: list[LiveVerdict]) -> Any:
    return pytest.approx([each.verdict.score for each in found if not each.growing], abs=1e-9)


@pytest.mark.parametrize("spec", [None, WindowSpec("sliding", 4, 2), WindowSpec("session", group_by=r"req-(\w+)")])
def test_a_stream_that_ends_is_judged_like_the_file(
    spec: WindowSpec | None, model: AnomalyDetector, tmp_path: Path
) -> None:
    text = syslog([*cycle_lines(33), FOREIGN, "req-a begins", "req-b begins", *cycle_lines(33), "req-a ends"])
    on_file = list(FileScorer(model, spec, adaptive=True).score(write(tmp_path / "a.log", text)))
    found = list(LiveScorer(FileScorer(model, spec, adaptive=True)).score("-", io.BytesIO(text.encode())))
    assert whole(found) == [verdict.window.lines for verdict in on_file]
    assert [verdict.score for verdict in on_file] == scores(found)


def test_an_anomaly_is_told_while_its_window_grows_and_the_window_is_judged_when_it_is_whole(
    model: AnomalyDetector,
) -> None:
    lines = syslog([*cycle_lines(7), FOREIGN, *cycle_lines(7, 8)]).splitlines(keepends=True)
    reader, writer = os.pipe()
    found: list[LiveVerdict] = []
    told = threading.Event()

    def watch() -> None:
        with os.fdopen(reader, "rb") as stream:
            for verdict in LiveScorer(FileScorer(model), delay=0.2).score("-", stream):
                found.append(verdict)
                if verdict.growing:
                    told.set()

    watching = threading.Thread(target=watch)
    watching.start()
    os.write(writer, "".join(lines[:8]).encode())
    assert told.wait(60), "nothing was told of a window that does not fill up"
    os.write(writer, "".join(lines[8:]).encode())
    os.close(writer)
    watching.join()
    [early] = [each for each in found if each.growing]
    assert early.verdict.window.lines == [4, 5, 6, 7, 8]
    assert early.number == 8
    assert early.verdict.is_anomaly
    assert FOREIGN in early.line
    assert early.awaited
    assert whole(found) == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12, 13, 14, 15]]


def test_a_steady_stream_is_judged_within_the_delay_from_its_first_line_on(model: AnomalyDetector) -> None:
    lines = syslog([*cycle_lines(3), FOREIGN, *cycle_lines(300)]).splitlines(keepends=True)
    reader, writer = os.pipe()
    told = threading.Event()

    def watch() -> None:
        with os.fdopen(reader, "rb") as stream:
            for _ in LiveScorer(FileScorer(model), delay=0.5).score("-", stream):
                told.set()

    watching = threading.Thread(target=watch)
    watching.start()
    written = 0
    # Never a pause long enough to take what came for all that comes, nor as many lines as tell a format for sure.
    while written < len(lines) and not told.wait(0.1):
        os.write(writer, lines[written].encode())
        written += 1
    os.close(writer)
    watching.join()
    assert written < len(lines), "nothing was told while lines came"


def test_a_quiet_host_beside_a_busy_one_is_told_of_within_the_delay(model: AnomalyDetector) -> None:
    text = "".join(
        f"Mar  2 10:00:00 {'quiet' if at == 6 else 'busy'} app[7]: {FOREIGN if at == 6 else line}\n"
        for at, line in enumerate(cycle_lines(400))
    )
    scorer = FileScorer(model, WindowSpec("fixed", 5, group_by="host"), ReadSpec(format="rfc3164"))
    # Ten lines a second, without a pause.
    live = LiveScorer(scorer, delay=5.0, clock=lambda: scorer.account.lines / 10)
    for verdict in live.score("-", io.BytesIO(text.encode())):
        if verdict.growing:
            break
    assert verdict.verdict.group == "quiet"
    assert 7 + 50 <= scorer.account.lines <= 7 + 50 + 10


def test_memory_does_not_grow_with_the_stream(model: AnomalyDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_MOST_UNIQUE", 5)
    monkeypatch.setattr(live_module, "_JUDGED_AT_ONCE", 4)
    messages = [f"{'ab' * (i % 40)} step {cycle_lines(1, i)[0]}" for i in range(300)]
    text = syslog(messages).encode()
    bounded = FileScorer(model)
    found = list(LiveScorer(bounded).score("-", io.BytesIO(text)))
    assert len(bounded.reader.index) < 20
    monkeypatch.undo()
    unbounded = list(LiveScorer(FileScorer(model)).score("-", io.BytesIO(text)))
    assert whole(found) == whole(unbounded)
    assert [each.verdict.score for each in found] == scores(unbounded)


def test_groups_without_number_do_not_fill_the_memory(
    model: AnomalyDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_MOST_HELD", 20)
    monkeypatch.setattr(live_module, "_JUDGED_AT_ONCE", 1)
    scorer = FileScorer(model, WindowSpec("session", group_by=r"req-(\w+)"))
    text = syslog([f"req-{number} begins" for number in range(200)]).encode()
    found = list(LiveScorer(scorer, delay=1e-9).score("-", io.BytesIO(text)))
    assert sorted(line for lines in whole(found) for line in lines) == list(range(1, 201))
    assert scorer.reader.windower.held == 0


def test_a_stream_without_a_log_line_is_an_error(model: AnomalyDetector) -> None:
    with pytest.raises(UnreadableInput, match="no log line"):
        list(LiveScorer(FileScorer(model)).score("-", io.BytesIO(b"\n\n")))


def test_a_stream_that_breaks_off_is_an_error_after_what_was_read(model: AnomalyDetector) -> None:
    class Broken(io.RawIOBase):
        def __init__(self) -> None:
            self._parts = [syslog(cycle_lines(10)).encode(), None]

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            part = self._parts.pop(0)
            if part is None:
                time.sleep(0)
                raise OSError("gone")
            buffer[: len(part)] = part
            return len(part)

    with pytest.raises(UnreadableInput, match="gone"):
        list(LiveScorer(FileScorer(model)).score("-", io.BufferedReader(Broken())))
