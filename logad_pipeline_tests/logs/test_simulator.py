"""The simulated logs: reproducible, in order, honestly labelled, and of the volume that was asked for."""

from __future__ import annotations

import csv
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logad_pipeline.logs.simulator import (
    INCIDENT_KINDS,
    MIN_LINES_PER_DAY,
    UPDATE_DAY,
    VARIATION_DAY,
    Simulation,
    simulate,
    simulation,
)

START = date(2026, 3, 2)
SYSLOG = re.compile(r"^(\w{3} [ \d]\d \d\d:\d\d:\d\d) ([\w-]+) [\w./-]+(?:\[\d+\])?: +\S")
ACCESS = re.compile(r'^[\d.]+ - - \[([^\]]+)\] "(?:GET|POST) \S+ HTTP/1\.1" \d{3} (?:\d+|-) "[^"]*" "[^"]*"$')
SERVICE = re.compile(r"^(\S+ \S+,\d{3}) (INFO|WARNING|ERROR) \[req-([0-9a-f]{8})\] service\.(\w+): (\S.*)$")
VARIABLE = re.compile(r"\b(?=\w*\d)[0-9a-fA-F]+\b|SHA256:\S+|pay_\w+|\d+")
LEAKS = re.compile(
    r"attack|anomal|incident|malicious|exploit|hack|brute|inject|label|suspicious|intru|simulat|fake|INC-",
    re.IGNORECASE,
)


def lines_of(path: Path) -> list[str]:
    """The lines of a file; every one is ended by a line feed and nothing else."""
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return text[:-1].split("\n")


def time_of(line: str, source: str, start: date) -> datetime:
    """The time that a line shows, UTC; syslog's year is the first that does not lie before ``start``."""
    if source.endswith("-access.log"):
        match = ACCESS.match(line)
        assert match, line
        return datetime.strptime(match[1], "%d/%b/%Y:%H:%M:%S %z")
    if source.endswith("-service.log"):
        match = SERVICE.match(line)
        assert match, line
        return datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f").replace(tzinfo=UTC)
    match = SYSLOG.match(line)
    assert match, line
    assert source == f"{match[2]}.log"
    moment = datetime.strptime(f"{start.year} {match[1]}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)
    return moment if moment.date() >= start else moment.replace(year=start.year + 1)


def labels_of(made: Simulation) -> list[dict[str, str]]:
    with made.labels.open(newline="") as file:
        return list(csv.DictReader(file))


def bytes_of(made: Simulation) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(made.directory.iterdir())}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return simulate(tmp_path_factory.mktemp("simulated") / "default", start=START)


@pytest.fixture(scope="module")
def timed(made: Simulation) -> dict[str, list[tuple[datetime, str]]]:
    """Every file's lines with their times."""
    return {path.name: [(time_of(line, path.name, START), line) for line in lines_of(path)] for path in made.logs}


def test_same_seed_same_bytes_and_other_seed_other_bytes(tmp_path: Path, made: Simulation) -> None:
    again = simulate(tmp_path / "again", start=START)
    other = simulate(tmp_path / "other", start=START, seed=1)
    assert bytes_of(again) == bytes_of(made)
    assert [p.stat().st_mtime for p in again.logs] == [p.stat().st_mtime for p in made.logs]
    assert all(bytes_of(other)[path.name] != path.read_bytes() for path in made.logs)


def test_files_are_in_order_of_time_and_end_when_their_mtime_says(
    made: Simulation, timed: dict[str, list[tuple[datetime, str]]]
) -> None:
    end = datetime(START.year, START.month, START.day, tzinfo=UTC) + timedelta(days=14)
    for path in made.logs:
        times = [moment for moment, _ in timed[path.name]]
        assert times == sorted(times)
        assert times[0].date() == START
        assert times[-1] < end
        assert abs(path.stat().st_mtime - times[-1].timestamp()) < 0.001


def test_the_turn_of_the_year_and_its_leap_day_are_dated_right(tmp_path: Path) -> None:
    for start in (date(2025, 12, 30), date(2028, 2, 28)):
        made = simulate(tmp_path / str(start), start=start, days=4, lines_per_day=400)
        for path in made.logs:
            times = [time_of(line, path.name, start) for line in lines_of(path)]
            assert times == sorted(times)
            assert {moment.date() for moment in times} <= {start + timedelta(days=n) for n in range(4)}
            assert datetime.fromtimestamp(path.stat().st_mtime, UTC).year == times[-1].year


def test_labels_name_lines_that_exist_with_the_time_they_show(
    made: Simulation, timed: dict[str, list[tuple[datetime, str]]]
) -> None:
    labels = labels_of(made)
    assert len(labels) == made.labelled_lines
    assert len({(row["source"], row["line_no"]) for row in labels}) == len(labels)
    for row in labels:
        moment, _ = timed[row["source"]][int(row["line_no"]) - 1]
        assert moment == datetime.fromisoformat(row["time"])


def test_incidents_agree_with_their_labels(made: Simulation) -> None:
    labels = labels_of(made)
    with made.incidents_file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["incident"] for row in rows] == [one.incident for one in made.incidents]
    assert [one.first for one in made.incidents] == sorted(one.first for one in made.incidents)
    for one, row in zip(made.incidents, rows, strict=True):
        times = [datetime.fromisoformat(label["time"]) for label in labels if label["incident"] == one.incident]
        assert (min(times), max(times), len(times)) == (one.first, one.last, one.lines)
        assert {label["kind"] for label in labels if label["incident"] == one.incident} == {one.kind}
        assert (row["kind"], row["host"], int(row["lines"])) == (one.kind, one.host, one.lines)
        assert row["description"].endswith(".")


@pytest.mark.parametrize("seed", range(4))
def test_every_kind_appears_and_none_too_early(tmp_path: Path, seed: int) -> None:
    made = simulate(tmp_path / "logs", start=START, seed=seed)
    assert {one.kind for one in made.incidents} == set(INCIDENT_KINDS)
    assert min(one.first for one in made.incidents).date() >= START + timedelta(days=7)
    assert len({one.first.date() for one in made.incidents}) == 7


def test_labelled_share_of_the_incident_days_is_one_to_three_percent(
    made: Simulation, timed: dict[str, list[tuple[datetime, str]]]
) -> None:
    struck = START + timedelta(days=7)
    lines = sum(moment.date() >= struck for rows in timed.values() for moment, _ in rows)
    assert 0.01 < made.labelled_lines / lines < 0.03


def test_without_room_for_incidents_there_are_none(tmp_path: Path) -> None:
    made = simulate(tmp_path / "normal", start=START, days=3, lines_per_day=500)
    assert made.incidents == ()
    assert lines_of(made.labels) == ["source,line_no,time,incident,kind"]


@pytest.mark.parametrize("lines_per_day", [MIN_LINES_PER_DAY, 1500, 6000])
def test_volume_is_as_asked(tmp_path: Path, lines_per_day: int) -> None:
    made = simulate(tmp_path / "logs", start=START, days=7, lines_per_day=lines_per_day)
    assert made.total_lines == pytest.approx(7 * lines_per_day, rel=0.15)
    assert {path.name: len(lines_of(path)) for path in made.logs} == dict(made.line_counts)


def test_days_have_their_rhythm(timed: dict[str, list[tuple[datetime, str]]]) -> None:
    per_day = Counter(moment.date() for rows in timed.values() for moment, _ in rows)
    assert all(0.85 < count / 1500 < 1.15 for count in per_day.values())
    weekend = [count for day, count in per_day.items() if day.weekday() >= 5]
    assert max(weekend) < min(count for day, count in per_day.items() if day.weekday() < 5)
    hours = Counter(moment.hour for moment, line in timed["bastion.log"] if "Accepted publickey" in line)
    assert sum(hours[hour] for hour in range(8, 18)) > 5 * sum(hours[hour] for hour in range(0, 6))


def test_normal_days_repeat_few_shapes_of_lines(timed: dict[str, list[tuple[datetime, str]]]) -> None:
    normal = START + timedelta(days=7)
    lines = [line for rows in timed.values() for moment, line in rows if moment.date() < normal]
    shapes = {VARIABLE.sub("#", line) for line in lines}
    assert len(shapes) / len(lines) < 0.12


def test_no_line_tells_its_label(timed: dict[str, list[tuple[datetime, str]]]) -> None:
    told = [line for rows in timed.values() for _, line in rows if LEAKS.search(line)]
    assert told == []


def test_addresses_are_private_or_for_documentation(timed: dict[str, list[tuple[datetime, str]]]) -> None:
    address = re.compile(r"(?<![\d.])(?:from|on|of|SRC=|DST=|\[)?\s?(\d{1,3}(?:\.\d{1,3}){3})(?![\d.])")
    found = {
        match
        for name, rows in timed.items()
        for _, line in rows
        for match in address.findall(line.split(' "')[0] if "access" in name else line)
    }
    allowed = ("10.", "192.0.2.", "198.51.100.", "203.0.113.")
    assert len(found) > 100
    assert [one for one in found if not one.startswith(allowed)] == []


def test_requests_are_short_sessions_in_a_fixed_order_that_interleave(
    made: Simulation, timed: dict[str, list[tuple[datetime, str]]]
) -> None:
    struck = {int(row["line_no"]) for row in labels_of(made) if row["source"] == "app01-service.log"}
    sessions: dict[str, list[str]] = {}
    switches, before = 0, ""
    for number, (_, line) in enumerate(timed["app01-service.log"], 1):
        match = SERVICE.match(line)
        assert match
        request, logger, message = match[3], match[4], match[5]
        if number not in struck:
            switches += request in sessions and request != before
            sessions.setdefault(request, []).append(f"{logger} {message.split()[0]}")
            before = request
    assert switches > 200
    for steps in sessions.values():
        assert 4 <= len(steps) <= 8
        assert steps[0] == "gateway accepted"
        assert steps[-1] == "gateway answered"
        if "orders stored" in steps:
            assert steps.index("payments authorised") < steps.index("orders stored")


def test_only_the_incident_leaves_out_the_backup_verification(
    made: Simulation, timed: dict[str, list[tuple[datetime, str]]]
) -> None:
    missing = Counter(one.host for one in made.incidents if one.kind == "missing_backup_step")
    for host in ("web01", "db01", "app01"):
        text = "\n".join(line for _, line in timed[f"{host}.log"])
        assert text.count("starting nightly run") == 14
        assert text.count("verified checksum") == 14 - missing[host]


def test_drift_comes_on_its_days_and_is_not_labelled(
    made: Simulation, timed: dict[str, list[tuple[datetime, str]]]
) -> None:
    tiers = [moment.date() for moment, line in timed["app01-service.log"] if "loyalty tier" in line]
    assert min(tiers) >= START + timedelta(days=UPDATE_DAY - 1)
    assert min(tiers) < START + timedelta(days=7)
    renewals = [
        (number, moment.date())
        for number, (moment, line) in enumerate(timed["web01.log"], 1)
        if "Renewing an existing certificate" in line
    ]
    assert [day for _, day in renewals] == [START + timedelta(days=VARIATION_DAY - 1)]
    assert ("web01.log", str(renewals[0][0])) not in {(r["source"], r["line_no"]) for r in labels_of(made)}


def test_login_sessions_have_numbers_of_their_own(timed: dict[str, list[tuple[datetime, str]]]) -> None:
    for name, rows in timed.items():
        numbers = [match[1] for _, line in rows if (match := re.search(r"New session (\d+)", line))]
        assert len(numbers) == len(set(numbers)), name


def test_a_folder_that_holds_something_is_refused_or_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "logs"
    target.mkdir()
    first = simulate(target, start=START, days=1, lines_per_day=300)
    before = bytes_of(first)
    with pytest.raises(FileExistsError, match="not empty"):
        simulate(target, start=START, days=1, lines_per_day=300, seed=5)
    assert bytes_of(first) == before
    second = simulate(target, start=START, days=1, lines_per_day=300, seed=5, overwrite=True)
    assert bytes_of(second) != before
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_files_of_others_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("four years of work")
    with pytest.raises(FileExistsError, match=r"thesis\.txt"):
        simulate(tmp_path, start=START, days=1, overwrite=True)
    with pytest.raises(FileExistsError, match="is a file"):
        simulate(tmp_path / "thesis.txt", start=START, days=1, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "four years of work"


def test_a_run_that_breaks_leaves_the_earlier_one_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = simulate(tmp_path / "logs", start=START, days=1, lines_per_day=300)
    before = bytes_of(first)

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(simulation, "write_incidents", no_space)
    with pytest.raises(OSError, match="No space left"):
        simulate(tmp_path / "logs", start=START, days=1, lines_per_day=300, seed=9, overwrite=True)
    assert bytes_of(first) == before
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"days": 0}, "days"),
        ({"lines_per_day": 10}, "lines_per_day"),
        ({"first_incident_day": 0}, "first_inc"),
        ({"days": 5_000_000}, "beyond"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, int], word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        simulate(tmp_path / "logs", start=START, **wrong)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(-(2**40), 2**40),
    days=st.integers(1, 4),
    lines_per_day=st.integers(MIN_LINES_PER_DAY, 2500),
    first_incident_day=st.integers(1, 5),
    start=st.dates(date(1990, 1, 1), date(2090, 1, 1)),
)
def test_whatever_is_asked_for_labels_and_counts_agree(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    days: int,
    lines_per_day: int,
    first_incident_day: int,
    start: date,
) -> None:
    made = simulate(
        tmp_path_factory.mktemp("any") / "logs",
        start=start,
        days=days,
        seed=seed,
        lines_per_day=lines_per_day,
        first_incident_day=first_incident_day,
    )
    earliest = start + timedelta(days=first_incident_day - 1)
    assert all(one.first.date() >= earliest for one in made.incidents)
    assert len(labels_of(made)) == made.labelled_lines
    assert made.total_lines == sum(len(lines_of(path)) for path in made.logs)
    assert bool(made.incidents) == (first_incident_day <= days)
