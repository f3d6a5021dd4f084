"""From files to verdicts: line numbers that can be trusted, and scores that do not depend on the company."""

from __future__ import annotations

import gzip
import io
import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from logad_pipeline import streams
from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.detectors.normal_stream import TooFewWindows
from logad_pipeline.logs.reader import UnreadableInput
from logad_pipeline.streams import FileScorer, LineWindow, ReadSpec, WindowReader, fit_files, score_sequence
from logad_pipeline.windows import WindowSpec
from logad_pipeline_tests.tiny_model import CYCLE, FOREIGN, cycle_lines, tiny_fit_spec, tiny_model

START = datetime(2026, 3, 2)


@pytest.fixture(scope="module")
def model() -> AnomalyDetector:
    return tiny_model()


def syslog(messages: list[str], start: datetime = START, programs: tuple[str, ...] = ("app",)) -> str:
    """The messages as syslog lines, ten seconds apart, the programs by turns."""
    moments = [start + timedelta(seconds=10 * i) for i in range(len(messages))]
    return "".join(
        f"{moment:%b %d %H:%M:%S} web1 {programs[i % len(programs)]}[7]: {message}\n"
        for i, (moment, message) in enumerate(zip(moments, messages, strict=True))
    )


def write(file: Path, text: str | bytes) -> str:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


def read(spec: WindowSpec, source: str, stream: io.BytesIO | None = None) -> tuple[list[LineWindow], WindowReader]:
    reader = WindowReader(spec, ReadSpec(year=2026))
    return list(reader.read(source, stream)), reader


def test_lines_are_counted_from_one_and_each_is_in_a_window(tmp_path: Path) -> None:
    windows, reader = read(WindowSpec("fixed", 4), write(tmp_path / "a.log", syslog(cycle_lines(10))))
    assert [window.lines for window in windows] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert (reader.account.lines, reader.account.records) == (10, 10)


def test_a_record_of_several_lines_keeps_them_together(tmp_path: Path) -> None:
    text = (
        "2026-03-02 10:00:00,000 INFO [main] app.Db: query took 3ms\n"
        "2026-03-02 10:00:01,000 ERROR [main] app.Db: lost the connection\n"
        "java.io.IOException: Broken pipe\n"
        "\tat app.Db.write(Db.java:17)\n"
        "2026-03-02 10:00:02,000 INFO [main] app.Db: query took 4ms\n"
    )
    windows, reader = read(WindowSpec("fixed", 2), write(tmp_path / "a.log", text))
    assert [window.spans for window in windows] == [((1, 1), (2, 4)), ((5, 5),)]
    assert [window.lines for window in windows] == [[1, 2, 3, 4], [5]]
    assert (reader.account.lines, reader.account.records) == (5, 3)


def test_lines_that_are_no_log_lines_are_accounted_for(tmp_path: Path) -> None:
    text = syslog(cycle_lines(20)).encode().replace(b"\n", b"\n\x00\xff\xfe\x00\x01\x02\n", 1)
    windows, reader = read(WindowSpec("fixed", 5), write(tmp_path / "a.log", text))
    seen = {line for window in windows for line in window.lines}
    assert sum(reader.account.rejected.values()) == 1
    assert reader.account.lines == 21 == len(seen) + 1
    assert 2 not in seen


def test_groups_are_cut_apart_and_named(tmp_path: Path) -> None:
    source = write(tmp_path / "a.log", syslog(cycle_lines(8), programs=("sshd", "cron")))
    windows, _ = read(WindowSpec("fixed", 3, group_by="program"), source)
    assert {window.group: window.lines for window in windows[:2]} == {"sshd": [1, 3, 5], "cron": [2, 4, 6]}
    assert {window.group: window.lines for window in windows[2:]} == {"sshd": [7], "cron": [8]}


def test_sessions_are_found_by_a_pattern_in_the_message(tmp_path: Path) -> None:
    messages = [f"req-{key} step {step}" for step in range(3) for key in ("aa", "bb")]
    spec = WindowSpec("session", group_by=r"req-(\w+)")
    windows, _ = read(spec, write(tmp_path / "a.log", syslog(messages)))
    assert {window.group: window.lines for window in windows} == {"aa": [1, 3, 5], "bb": [2, 4, 6]}


def test_no_window_reaches_from_one_file_into_the_next(tmp_path: Path) -> None:
    reader = WindowReader(WindowSpec("sliding", 4), ReadSpec(year=2026))
    sources = [write(tmp_path / name, syslog(cycle_lines(6))) for name in ("a.log", "b.log")]
    windows = [list(reader.read(source)) for source in sources]
    assert [window.lines[0] for window in windows[1]] == [1, 2, 3]
    assert [{window.source for window in part} for part in windows] == [{source} for source in sources]
    positions = [{p for window in part for p in window.positions} for part in windows]
    assert positions[0].isdisjoint(positions[1])
    # The files say the same, so their windows are the same unique ones.
    assert [window.unique for window in windows[0]] == [window.unique for window in windows[1]]


def test_equal_windows_share_a_number_whatever_their_variables(tmp_path: Path) -> None:
    messages = [f"Failed password for u{i} from 10.0.0.{i} port {1000 + i} ssh2" for i in range(40)]
    windows, reader = read(WindowSpec("fixed", 10), write(tmp_path / "a.log", syslog(messages)))
    assert {window.unique for window in windows} == {0}
    assert reader.index.build().counts.tolist() == [4]


def test_long_streams_keep_their_line_numbers(tmp_path: Path) -> None:
    # One session stays open from the first line on while thousands of others come and go.
    messages = ["req-long begins"]
    for number in range(5000):
        messages += [f"req-{number} starts", f"req-{number} ends"]
    messages.append("req-long ends")
    spec = WindowSpec("session", group_by=r"req-(\w+)", max_session_lines=2)
    windows, _ = read(spec, write(tmp_path / "a.log", syslog(messages)))
    by_group = {window.group: window.lines for window in windows}
    assert len(windows) == len(by_group) == 5001
    assert by_group["long"] == [1, 10_002]
    assert all(by_group[str(number)] == [2 * number + 2, 2 * number + 3] for number in range(5000))


def test_a_compressed_file_and_a_stream_read_like_the_file_itself(tmp_path: Path) -> None:
    text = syslog(cycle_lines(20)).encode()
    plain, _ = read(WindowSpec(), write(tmp_path / "a.log", text))
    packed, _ = read(WindowSpec(), write(tmp_path / "a.log.gz", gzip.compress(text)))
    piped, _ = read(WindowSpec(), "-", io.BytesIO(text))
    assert [window.spans for window in plain] == [window.spans for window in packed]
    assert [window.spans for window in plain] == [window.spans for window in piped]
    assert [window.time_us for window in plain] == [window.time_us for window in packed]
    assert {window.source for window in piped} == {"-"}


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\x01\x02\xff" * 500])
def test_a_source_without_a_single_record_is_an_error_that_names_it(content: bytes, tmp_path: Path) -> None:
    source = write(tmp_path / "odd.log", content)
    with pytest.raises(UnreadableInput, match=r"odd\.log"):
        read(WindowSpec(), source)


def test_each_window_is_scored_as_if_it_were_alone(model: AnomalyDetector, tmp_path: Path) -> None:
    lines = cycle_lines(60)
    lines[30] = FOREIGN
    verdicts = list(FileScorer(model).score(write(tmp_path / "a.log", syslog(lines))))
    assert [verdict.window.lines[0] for verdict in verdicts] == list(range(1, 61, 5))
    alone = [score_sequence(model, lines[start : start + 5])["score"] for start in range(0, 60, 5)]
    np.testing.assert_allclose([verdict.score for verdict in verdicts], alone, atol=1e-4)
    worst = max(verdicts, key=lambda verdict: verdict.score)
    assert worst.window.lines == [31, 32, 33, 34, 35]
    assert (worst.is_anomaly, worst.risk) == (True, "medium" if worst.score < 0.85 else "high")


def test_scoring_in_small_portions_changes_nothing(
    model: AnomalyDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "a.log", syslog([*cycle_lines(33), FOREIGN, *cycle_lines(33)]))
    at_once = list(FileScorer(model).score(source))
    monkeypatch.setattr(streams, "SCORED_AT_ONCE", 3)
    portions = list(FileScorer(model).score(source))
    assert [verdict.window.spans for verdict in portions] == [verdict.window.spans for verdict in at_once]
    np.testing.assert_allclose([v.score for v in portions], [v.score for v in at_once], atol=1e-4)


def test_a_verdict_is_plain_json(model: AnomalyDetector, tmp_path: Path) -> None:
    verdict, *_ = FileScorer(model).score(write(tmp_path / "a.log", syslog(cycle_lines(5))))
    row = json.loads(json.dumps(verdict.to_dict("abc")))
    assert list(row) == [
        "source", "group", "lines", "first_line", "last_line", "score", "risk", "is_anomaly", "detectors",
        "model_version",
    ]  # fmt: skip
    assert (row["first_line"], row["last_line"], row["model_version"]) == (1, 5, "abc")
    assert row["is_anomaly"] is False


def test_one_odd_line_gives_its_sequence_its_score(model: AnomalyDetector) -> None:
    usual = score_sequence(model, cycle_lines(20))
    odd = score_sequence(model, [*cycle_lines(10), FOREIGN, *cycle_lines(9, 11)])
    assert usual["is_anomaly"] is False
    assert odd["is_anomaly"] is True
    assert odd["score"] == max(window["score"] for window in odd["windows"])
    assert [window["lines"] for window in odd["windows"]] == [list(range(i, i + 5)) for i in range(1, 20, 5)]
    assert odd["model_version"] == model.version


def test_a_sequence_may_be_cut_in_another_way(model: AnomalyDetector) -> None:
    found = score_sequence(model, cycle_lines(8), WindowSpec("sliding", 5))
    assert [window["lines"][0] for window in found["windows"]] == [1, 2, 3, 4]


def test_the_sequence_of_the_specification_gets_a_score(model: AnomalyDetector) -> None:
    found = score_sequence(model, ["login failed from 1.1.1.1", "sudo reboot"])
    assert 0 <= found["score"] < 1
    assert isinstance(found["is_anomaly"], bool)


def test_a_line_end_inside_a_line_makes_no_second_line(model: AnomalyDetector) -> None:
    found = score_sequence(model, ["query took 3ms\nquery took 4ms", "cache miss for key 5"])
    assert [window["lines"] for window in found["windows"]] == [[1, 2]]


def test_a_sequence_without_text_is_an_error(model: AnomalyDetector) -> None:
    with pytest.raises(UnreadableInput):
        score_sequence(model, ["", "  "])


@pytest.mark.parametrize("line", ["a\0b", "\udcff\udc80 x", "\N{PILE OF POO}" * 300, "x" * 100_000])
def test_hostile_lines_get_a_score_too(line: str, model: AnomalyDetector) -> None:
    assert 0 <= score_sequence(model, [*cycle_lines(4), line])["score"] < 1


def test_half_a_character_as_json_can_hold_it_gets_a_score(model: AnomalyDetector) -> None:
    assert 0 <= score_sequence(model, [*cycle_lines(4), json.loads(r'"\ud800"')])["score"] < 1


def test_files_are_learned_in_the_order_of_time_not_of_the_arguments(tmp_path: Path) -> None:
    first = write(tmp_path / "b.log", syslog(cycle_lines(280)))
    later = write(tmp_path / "a.log", syslog([FOREIGN, *cycle_lines(4)] * 20, START + timedelta(days=1)))
    spec = WindowSpec("fixed", 5)
    for files in ([first, later], [later, first]):
        fitted, _ = fit_files(files, spec, tiny_fit_spec(2), ReadSpec(year=2026))
        # What is in the later file alone only calibrates, whichever is named first: nothing is learned of it.
        assert fitted.card["unique_lines"] == len(CYCLE)
        assert fitted.card["windows"]["calibrate"] == 19


def test_the_card_counts_what_was_read(tmp_path: Path) -> None:
    source = write(tmp_path / "a.log", syslog(cycle_lines(210)))
    fitted, account = fit_files([source], WindowSpec("fixed", 5), tiny_fit_spec(2), ReadSpec(year=2026))
    assert fitted.card["logs"] == {"lines": 210, "records": 210, "rejected": 0}
    assert (account.lines, account.records) == (210, 210)
    assert fitted.card["unique_lines"] == len(CYCLE)


def test_too_little_to_learn_from_names_the_files(tmp_path: Path) -> None:
    source = write(tmp_path / "short.log", syslog(cycle_lines(50)))
    with pytest.raises(TooFewWindows, match=r"short\.log: only 10 windows"):
        fit_files([source], WindowSpec("fixed", 5), tiny_fit_spec(2))
