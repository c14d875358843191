"""Any OpenAI-compatible chat endpoint, asked through the gateway with the official SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from runners.loop.errors import ToolsRefused
from runners.loop.protocol import Message, Stop, Tool, Turn
from runners.providers.chat_errors import Cut, cut, explain, failed_call, refuses_tools
from runners.providers.chat_wire import Assembly, wire_messages, wire_tools
from runners.providers.protocol import Door, Recorder, Request

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CUT_RETRIES: Final = 2  # of a call whose stream broke off; all else is tried again by the gateway
BASE: Final = "/v1"
CONNECT_SECONDS: Final = 10.0


def preload() -> None:
    """Import all that a run needs in a process that will fork: every run pays half a second of CPU otherwise."""
    import anyio._backends._asyncio  # noqa: F401, PLC0415
    import httpx2  # noqa: PLC0415
    from openai.resources.chat import AsyncChat  # noqa: F401, PLC0415

    httpx2.AsyncHTTPTransport(uds="", verify=False)  # imports what it needs when the first one is made


@asynccontextmanager
async def connect(request: Request, door: Door, _recorder: Recorder) -> AsyncIterator[ChatModel]:
    """Open the model of one run; the gateway holds the key, counts and records, so nothing is recorded here."""
    async with opened(request.model, door, BASE, {}) as model:
        yield model


@asynccontextmanager
async def opened(model: str, door: Door, base: str, query: Mapping[str, str]) -> AsyncIterator[ChatModel]:
    """Open a model whose chat completions lie under the path `base` of the gateway."""
    import httpx2  # noqa: PLC0415  the SDK is 0.7 s of CPU, paid by runs that need it
    from openai import AsyncOpenAI  # noqa: PLC0415

    # A unix socket has no certificates to check, and loading those of the machine takes 20 ms.
    transport = httpx2.AsyncHTTPTransport(uds=str(door.socket), verify=False)
    # No read time-out: a stream is watched by the idle clock of the loop, which knows the phase's limits.
    timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS)
    async with (
        httpx2.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as http,
        AsyncOpenAI(
            base_url=f"http://gateway{base}", api_key=door.token, http_client=http, max_retries=0,
            timeout=timeout, default_query=dict(query),
        ) as client,
    ):  # fmt: skip
        yield ChatModel(client, model)


class ChatModel:
    """One model behind a chat completions endpoint; satisfies runners.loop.protocol.Model."""

    def __init__(self, client: AsyncOpenAI, model: str, pause: float = 1.0) -> None:
        self._client = client
        self._model = model
        self._pause = pause

    async def complete(self, messages: Sequence[Message], tools: Sequence[Tool], alive: Callable[[], None]) -> Turn:
        """Ask for one turn; a stream that breaks off is asked for again, an answer in pieces is never taken.

        A call that the server could not make of what the model wrote comes back as text, for the loop to read.
        """
        body = {"model": self._model, "messages": wire_messages(messages), "stream": True}
        if tools:
            body["tools"] = wire_tools(tools)
        for tries in range(CUT_RETRIES + 1):
            if tries:
                await asyncio.sleep(self._pause * tries)
                alive()
            try:
                return await self._stream(body, f"call_{len(messages)}", alive)
            except Cut as broken:
                last = broken
        raise cut(last) from last

    async def _stream(self, body: dict[str, Any], prefix: str, alive: Callable[[], None]) -> Turn:
        import openai  # noqa: PLC0415

        assembly = Assembly(prefix)
        try:
            stream = await self._client.chat.completions.create(**body)
        except openai.OpenAIError as error:
            if (written := failed_call(error)) is not None:
                return Turn(written, stop=Stop.GARBLED)
            if "tools" in body and refuses_tools(error):
                raise ToolsRefused(str(error)[:500]) from error
            raise explain(error, self._model) from error
        async with stream:
            try:
                async for chunk in stream:
                    alive()
                    assembly.add(chunk)
            except (openai.APIError, ValueError) as error:  # ValueError: a chunk that is no JSON
                if (written := failed_call(error)) is not None:
                    return Turn(written, stop=Stop.GARBLED)
                raise Cut(f"{type(error).__name__}: {error}"[:500]) from error
        if not assembly.ended:
            raise Cut("the stream ended without a finish reason")
        return assembly.turn()
