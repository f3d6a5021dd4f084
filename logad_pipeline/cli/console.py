"""What all commands share: progress on stderr, one-line errors, exit codes.

Belongs here: the manner of the command line. What a command does is in its own file.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import typer
from typer.core import TyperGroup, TyperOption

from logad_pipeline.reporting.text import visible


class ExitCode(IntEnum):
    """What the shell is told."""

    DONE = 0
    ANOMALIES_FOUND = 1
    DAYS_FAILED = 1
    USAGE = 2
    UNREADABLE_INPUT = 3
    NO_MODEL = 4


class QuickGroup(TyperGroup):
    """Commands whose ``--help`` does not wait for pydantic.

    typer brings it in to read whatever is no bool, and a flag of its own that was not given comes as ``None``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the command's name."""
        for option in self.get_params(ctx):
            if isinstance(option, TyperOption) and option.is_bool_flag and option.default is None:
                option.default = False
        return super().parse_args(ctx, args)


def say(message: str) -> None:
    """Tell a person something, on stderr."""
    print(message, file=sys.stderr)


def say_wrong(message: str) -> None:
    """Say what went wrong in one line."""
    say("logad: " + visible(" ".join(str(message).split())))


def fail(message: str, code: ExitCode) -> typer.Exit:
    """Say what went wrong in one line and give back the exit to raise."""
    say_wrong(message)
    return typer.Exit(int(code))


def plainly(error: Exception) -> str:
    """What was wrong; of settings, which of them."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    wrong = [(".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in error.errors()]
    return f"settings: {'; '.join(map(': '.join, wrong))}; mend logad.toml or the LOGAD_* variable"


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn the errors a user can mend into one line and an exit code; others keep their traceback."""
    from logad_pipeline.detectors.ensemble import ModelNotFound
    from logad_pipeline.detectors.normal_stream import TooFewWindows
    from logad_pipeline.logs.reader import UnreadableInput

    try:
        yield
    except ModelNotFound as error:
        raise fail(str(error), ExitCode.NO_MODEL) from error
    except (UnreadableInput, TooFewWindows) as error:
        raise fail(str(error), ExitCode.UNREADABLE_INPUT) from error
    except (ValueError, FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise fail(plainly(error), ExitCode.USAGE) from error
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); nothing is wrong. stdout must not be flushed again.
        sys.stdout = None
        raise typer.Exit(int(ExitCode.DONE)) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@contextmanager
def progress_bar(quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr: call it with (what, done, total). Silent where stderr is no terminal,
    but for one line when a new task starts."""
    if quiet or not sys.stderr.isatty():
        last = [""]

        def line(what: str, done: int, total: int) -> None:
            task = what.split(",", maxsplit=1)[0]
            if not quiet and task != last[0]:
                last[0] = task
                say(f"{task} …")

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def update(what: str, done: int, total: int) -> None:
            key = what.split(",", maxsplit=1)[0]
            if key not in tasks:
                tasks[key] = bar.add_task(what, total=total)
            bar.update(tasks[key], completed=done, total=total, description=what)

        yield update


def table_console() -> Any:
    """Where tables for people are printed: as wide as the terminal, or as a page."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 140)


def leave_memory() -> None:
    """Call it last: leave what is in memory to the system. Python would look through all that torch has brought in
    once more, which takes a second or two."""
    gc.freeze()


def set_up_logging(verbose: bool) -> None:
    """Our own log at WARNING, or INFO if asked; libraries speak only at ERROR."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", level=logging.ERROR)
    logging.getLogger("logad_pipeline").setLevel(logging.INFO if verbose else logging.WARNING)
