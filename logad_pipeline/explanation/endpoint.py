"""One question to an OpenAI-compatible endpoint, within a limit that holds for the whole of it.

Belongs here: the call, its limits, and what its failures are called. What is asked and what is made of the
answer are others' business.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Final

from logad_pipeline.explanation.answers import NoAnswer

MAX_ANSWER_BYTES: Final = 262_144
THREAD: Final = "logad-language-model"


class Endpoint:
    """Asks in a thread of its own, which is not waited for longer than the limit.

    Each step of the call there, up to the last byte, is cancelled when the time is up, so that the thread ends:
    only looking up a host's name cannot be cancelled, and lasts as long as the resolver lets it.

    Args:
        base_url: of the endpoint.
        api_key: for it; may be empty.
        timeout_s: for the whole call, seconds.
    """

    def __init__(self, base_url: str, api_key: str, timeout_s: float) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._timeout_s = timeout_s

    def ask(self, request: dict[str, Any]) -> bytes:
        """The body of the answer.

        Args:
            request: the fields of a chat completion.

        Raises:
            NoAnswer: if there is none in time, it is too long, or the endpoint cannot be asked.
            ValueError: if the client is not installed.
        """
        try:
            import httpx2
            import openai
        except ImportError as error:
            raise ValueError("the client for language models is missing; pip install 'logad-pipeline[llm]'") from error
        done: list[bytes | BaseException] = []

        def work() -> None:
            try:
                done.append(asyncio.run(self._within_limit(request)))
            except BaseException as error:
                done.append(error)

        thread = threading.Thread(target=work, name=THREAD, daemon=True)
        thread.start()
        thread.join(self._timeout_s)
        if not done:
            raise self._late()
        found = done[0]
        try:
            if isinstance(found, BaseException):
                raise found
            return found
        except (TimeoutError, openai.APITimeoutError, httpx2.TimeoutException) as error:
            raise self._late() from error
        except openai.APIStatusError as error:
            raise NoAnswer(f"the endpoint answered with status {error.status_code}") from error
        except UnicodeError as error:
            raise NoAnswer("its address, name or key holds characters that cannot be sent") from error
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, OverflowError, ExceptionGroup) as error:
            # A port beyond 65535 overflows in the socket, within a group of tasks.
            raise NoAnswer(f"the endpoint could not be asked ({type(error).__name__})") from error

    def _late(self) -> NoAnswer:
        return NoAnswer(f"it took longer than {self._timeout_s:g} s")

    async def _within_limit(self, request: dict[str, Any]) -> bytes:
        async with asyncio.timeout(self._timeout_s):
            return await self._body(request)

    async def _body(self, request: dict[str, Any]) -> bytes:
        import openai

        client = openai.AsyncOpenAI(
            base_url=self._base_url, api_key=self._api_key or "none", timeout=self._timeout_s, max_retries=0
        )
        body = bytearray()
        async with client, client.chat.completions.with_streaming_response.create(**request) as response:
            async for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise NoAnswer("it was longer than 256 KiB")
        return bytes(body)
