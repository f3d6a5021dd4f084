"""`logad serve` and `logad key` asked for what cannot be: one line, an exit code, and no server left over."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from logad_pipeline.lake.tables import Lake
from logad_pipeline_tests.orchestration.conftest import logad
from logad_pipeline_tests.serving.test_server import free_port, wait_for

from .test_lake import assert_refused

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    made = Lake(tmp_path / "lake")
    made.create()
    return made.root


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def cut_short(model: Path, folder: Path) -> Path:
    """A copy with half of its weights."""
    copied = Path(shutil.copytree(model, folder / "cut"))
    [weights] = (copied / "encoder").glob("*.safetensors")
    os.truncate(weights, weights.stat().st_size // 2)
    return copied


def start(folder: Path, *options: object) -> subprocess.Popen[bytes]:
    """`logad serve` as a process, what it says in a file."""
    command = [sys.executable, "-m", "logad_pipeline", "serve", "--lake", folder / "lake", *options]
    with (folder / "said").open("wb") as said:
        return subprocess.Popen([str(part) for part in command], stderr=said, stdout=said, start_new_session=True)


@pytest.mark.parametrize(
    "command", [["serve", "--server", "gunicorn"], ["serve", "--server", "waitress"], ["dev"], ["mlflow"]], ids=str
)
def test_a_port_that_is_taken(command: list[str], lake: Path, taken: int) -> None:
    done = logad(*command, "--port", taken, "--lake", lake)
    assert_refused(done, 2, f"127.0.0.1:{taken}: Address already in use", "another --port")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "192.0.2.7"])
def test_a_host_that_is_none_of_ours(host: str, lake: Path) -> None:
    assert_refused(logad("serve", "--host", host, "--lake", lake), 2, host, "another --host")


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_nobody_could_be_told_of_is_refused(port: str, lake: Path) -> None:
    done = logad("serve", "--port", port, "--lake", lake)
    assert done.exit_code == 2
    assert "--port" in done.stderr


@pytest.mark.parametrize("command", [["serve"], ["key", "list"], ["explain", "a.log", "--in-words"]], ids=str)
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LOGAD_SERVING__PORT", "x", "settings: serving.port: "),
        ("LOGAD_TIME_ZONE", "Mars", "settings: time_zone: time zone 'Mars' is not known"),
        ("LOGAD_SERVING", "x", "LOGAD_SERVING__PORT=8001"),
        ("LOGAD_CONFIG", "torn.toml", "torn.toml is no TOML: Invalid value (at line 1"),
        ("LOGAD_CONFIG", "no_text.toml", "no_text.toml is no TOML: "),
    ],
)
def test_a_setting_that_is_wrong(
    command: list[str], name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("torn.toml").write_text("lake = \n", encoding="utf-8")
    Path("no_text.toml").write_bytes(b"lake = '\xff'\n")
    Path("a.log").write_text("a line\n", encoding="utf-8")
    monkeypatch.setenv(name, value)
    assert_refused(logad(*command), 2, words)


@pytest.mark.parametrize("command", [["key", "list"], ["key", "create", "a", "--scope", "read"], ["serve"]], ids=str)
def test_keys_that_cannot_be_read(command: list[str], lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGAD_SERVING__REQUIRE_KEYS", "true")
    monkeypatch.setenv("LOGAD_SERVING__PORT", str(free_port()))
    (lake / "api_keys.json").mkdir()
    assert_refused(logad(*command, "--lake", lake), 2, "api_keys.json: the keys cannot be read (Is a directory)")


def test_keys_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = logad("key", "create", "a", "--scope", "read", "--lake", tmp_path / "file")
    assert_refused(done, 2, "api_keys.json: the keys cannot be ", "(Not a directory)")


@pytest.mark.parametrize("days", ["0", "-1", "nan", "1e300"])
def test_a_key_of_no_length_of_life(days: str, lake: Path) -> None:
    done = logad("key", "create", "a", "--scope", "read", "--days", days, "--lake", lake)
    assert_refused(done, 2, "up to 36500 days")


def test_no_keys_are_said_to_be_none(lake: Path) -> None:
    done = logad("key", "list", "--lake", lake)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "logad key create" in done.stderr


@pytest.mark.parametrize("command", ["detect", "explain"])
def test_a_model_that_is_cut_short_judges_nothing(command: str, model: Path, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("a line\n", encoding="utf-8")
    folder = cut_short(model, tmp_path)
    assert_refused(logad(command, log, "--model", folder), 4, str(folder), "damaged", "fit it again")
    (folder / "calibration.json").unlink()
    assert_refused(logad(command, log, "--model", folder), 4, str(folder), "fit it again")


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_that_is_no_model_is_not_served(name: str, lake: Path) -> None:
    assert_refused(logad("serve", "--model", name, "--lake", lake), 4, str(Path.cwd()), "logad fit")


@pytest.mark.parametrize("server", ["gunicorn", "waitress"])
@pytest.mark.parametrize("damaged", [True, False], ids=["cut short", "not in the registry"])
def test_a_model_that_was_named_and_does_not_load_is_not_waited_for(
    server: str, damaged: bool, model: Path, tmp_path: Path
) -> None:
    port = free_port()
    named = cut_short(model, tmp_path) if damaged else "models:/logad@nobody"
    process = start(tmp_path, "--model", named, "--server", server, "--port", port)
    assert process.wait(120) == 4
    first, second = (tmp_path / "said").read_text(encoding="utf-8").splitlines()
    assert first.startswith(f"http://127.0.0.1:{port} ({server}, ")
    assert second.startswith("logad: ") and str(named) in second
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_ctrl_c_ends_it_without_a_word(model: Path, tmp_path: Path) -> None:
    port = free_port()
    process = start(tmp_path, "--model", model, "--server", "gunicorn", "--port", port)
    try:
        wait_for(f"http://127.0.0.1:{port}/health/ready", process, tmp_path / "said", 1200)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
    assert "Traceback" not in (tmp_path / "said").read_text(encoding="utf-8")
