"""A request's body byte by byte as it comes, under gunicorn.

Belongs here: the input that a streaming route reads. What it does with it is in `streaming`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any


def prompt_input(app: Callable[..., Any]) -> Callable[..., Any]:
    """Hand on bytes of a body when they come: gunicorn's own input waits for a kilobyte, and who sends line by line
    and waits for each answer would wait for ever."""

    def with_prompt_input(environ: dict[str, Any], start_response: Any) -> Any:
        environ["wsgi.input"] = io.BufferedReader(_PromptInput(environ["wsgi.input"].reader), 1 << 16)
        return app(environ, start_response)

    return with_prompt_input


class _PromptInput(io.RawIOBase):
    """The bytes that gunicorn's reader of a body has at hand, at least one."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for a byte, and take what came with it."""
        data = self._reader.read(1)
        if data and len(buffer) > 1:
            data += self._reader.read(min(len(buffer) - 1, self._at_hand()))
        buffer[: len(data)] = data
        return len(data)

    def _at_hand(self) -> int:
        chunked = getattr(self._reader, "buf", None)
        if chunked is not None:
            return int(chunked.tell())
        return min(len(self._reader.unreader.buf.getvalue()), int(self._reader.length))
