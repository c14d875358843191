"""Ollama by its own API, through the gateway: the only way to say how much a model reads, and to see that it did."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import httpx

from bot.settings import ProviderTable
from runners.loop.errors import ToolsRefused
from runners.loop.protocol import Message, Stop, Tool, Turn
from runners.providers.errors import ProviderError
from runners.providers.ollama_errors import by_status, error, missing, plain, text
from runners.providers.ollama_window import Gauge, Window, window
from runners.providers.ollama_wire import Assembly, Broken, wire_messages, wire_tools
from runners.providers.protocol import Cause, Door, Recorder, Request

CUT_RETRIES: Final = 2  # of a call whose stream broke off
CONNECT_SECONDS: Final = 10.0
ERROR_MAX: Final = 64 << 10  # bytes
_NO_TOOLS: Final = re.compile(r"does not support tools", re.IGNORECASE)

Connect = Callable[[Request, Door, Recorder], AbstractAsyncContextManager["OllamaModel"]]


def preload() -> None:
    """Import all that a run needs in a process that will fork."""
    import anyio._backends._asyncio  # noqa: F401, PLC0415

    httpx.AsyncHTTPTransport(uds="", verify=False)  # imports what it needs when the first one is made


def connector(table: ProviderTable) -> Connect:
    """Make what opens the model of a run; `table.context` is taken for num_ctx, 0 asks the server."""

    @asynccontextmanager
    async def connect(request: Request, door: Door, _recorder: Recorder) -> AsyncIterator[OllamaModel]:
        transport = httpx.AsyncHTTPTransport(uds=str(door.socket), verify=False)
        # No read time-out: a stream is watched by the idle clock of the loop, which knows the phase's limits.
        timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
        headers = {"authorization": f"Bearer {door.token}"}
        async with httpx.AsyncClient(
            base_url="http://gateway", transport=transport, timeout=timeout, trust_env=False, headers=headers
        ) as client:
            yield await opened(client, request.model, table.context, request.limits.idle_seconds)

    return connect


async def opened(client: httpx.AsyncClient, name: str, context: int, patience: float) -> OllamaModel:
    """Settle how much the model reads and whether it takes tools; asks the server only where the settings do not say.

    Raises ProviderError where the server does not have the model.
    """
    if context:
        return OllamaModel(client, name, window(context, {}))
    try:
        async with asyncio.timeout(patience):
            await _check_there(client, name)
            shown = await _json(client, "POST", "/api/show", name, {"model": name})
    except TimeoutError as fault:
        raise error(Cause.TIMEOUT, name, f"no answer within {patience:g} s") from fault
    info, can = shown.get("model_info"), shown.get("capabilities")
    takes_tools = "tools" in can if isinstance(can, list) else True  # older servers do not say
    return OllamaModel(client, name, window(0, info if isinstance(info, dict) else {}), takes_tools=takes_tools)


async def _check_there(client: httpx.AsyncClient, name: str) -> None:
    """Look for the model before it is asked for anything: an error of a call would end the run in fewer words."""
    there = await _names(client, name)
    if plain(name) not in map(plain, there):
        raise missing(name, there)


async def _names(client: httpx.AsyncClient, name: str) -> list[str]:
    models = (await _json(client, "GET", "/api/tags", name)).get("models")
    rows = models if isinstance(models, list) else []
    return [str(row["name"]) for row in rows if isinstance(row, dict) and row.get("name")]


class OllamaModel:
    """One model of one server; satisfies runners.loop.protocol.Model and Measured."""

    def __init__(
        self, client: httpx.AsyncClient, name: str, reads: Window, *, takes_tools: bool = True, pause: float = 1.0
    ) -> None:
        self._client = client
        self._name = name
        self._window = reads
        self._gauge = Gauge(reads)
        self._takes_tools = takes_tools
        self._pause = pause

    @property
    def context(self) -> int:
        """Give num_ctx."""
        return self._window.tokens

    async def complete(self, messages: Sequence[Message], tools: Sequence[Tool], alive: Callable[[], None]) -> Turn:
        """Ask for one turn; an answer to half a question is none: ProviderError with Cause.CONTEXT."""
        if tools and not self._takes_tools:
            raise ToolsRefused(f"{self._name} lists no tools among its capabilities")
        said = wire_messages(messages)
        body: dict[str, Any] = {
            "model": self._name, "messages": said, "stream": True, "truncate": False, "shift": False,
            "options": {"num_ctx": self._window.tokens},
        }  # fmt: skip
        if tools:
            body["tools"] = wire_tools(tools)
        assembly = await self._persistently(body, f"call_{len(messages)}", alive)
        self._check_whole(said, assembly)
        return assembly.turn()

    async def _persistently(self, body: dict[str, Any], prefix: str, alive: Callable[[], None]) -> Assembly:
        """Ask again where a stream breaks off; an answer in pieces is never taken."""
        for tries in range(CUT_RETRIES + 1):
            if tries:
                await asyncio.sleep(self._pause * tries)
                alive()
            try:
                return await self._stream(body, prefix, alive)
            except Broken as broken:
                last = broken
        what, fix = text("what", "cut"), text("fix", "cut")
        raise ProviderError(Cause.CRASH, what, why=str(last), fix=fix) from last

    async def _stream(self, body: dict[str, Any], prefix: str, alive: Callable[[], None]) -> Assembly:
        assembly = Assembly(prefix)
        try:
            async with self._client.stream("POST", "/api/chat", json=body) as response:
                if response.status_code != 200:
                    raise await self._refusal(response)
                async for line in _lines(response):
                    alive()
                    assembly.add(line)
        except httpx.ConnectError as fault:
            raise error(Cause.CRASH, self._name, str(fault)) from fault
        except (httpx.HTTPError, httpx.StreamError) as fault:
            raise Broken(f"{type(fault).__name__}: {fault}"[:500]) from fault
        if not assembly.ended:
            raise Broken("the stream ended without its last line")
        return assembly

    async def _refusal(self, response: httpx.Response) -> Exception:
        said = await _said(response)
        if _NO_TOOLS.search(said):
            return ToolsRefused(said)
        cause = by_status(response.status_code, said)
        if cause is Cause.CONTEXT:
            return self._too_long(said)
        return error(cause, self._name, said)

    def _check_whole(self, said: Sequence[dict[str, Any]], answer: Assembly) -> None:
        """Hold what the server says it read against what it was sent."""
        before, read = self._gauge.before, answer.prompt_tokens
        size = text("why", self._window.why, window=self._window.tokens, trained=self._window.trained)
        if read and (key := self._gauge.cut(said, read)):
            why = text("why", key, read=read, before=before, window=self._window.tokens)
            raise self._too_long(f"{why}; {size}")
        # Nobody bounded the answer but the window: an answer cut short had no room.
        if answer.turn().stop is Stop.LENGTH and read and answer.answer_tokens < self._window.tokens // 8:
            raise self._too_long(f"{text('why', 'full', window=self._window.tokens)}; {size}")

    def _too_long(self, why: str) -> ProviderError:
        return error(Cause.CONTEXT, self._name, why)


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Cut at line feeds only: other line ends may stand unescaped inside a JSON string."""
    tail: list[bytes] = []
    async for piece in response.aiter_bytes():
        *lines, rest = piece.split(b"\n")
        for line in lines:
            if whole := b"".join((*tail, line)).strip():
                yield whole
            tail = []
        tail.append(rest)
    if whole := b"".join(tail).strip():
        yield whole


async def _json(
    client: httpx.AsyncClient, method: str, path: str, name: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Ask for what only reads; raises ProviderError."""
    try:
        async with client.stream(method, path, json=body) as response:
            if response.status_code != 200:
                said = await _said(response)
                raise error(by_status(response.status_code, said), name, said)
            found = json.loads(await response.aread())
    except (httpx.HTTPError, httpx.StreamError, ValueError, RecursionError) as fault:
        raise error(Cause.CRASH, name, f"{path}: {type(fault).__name__} {fault}"[:500]) from fault
    return found if isinstance(found, dict) else {}


async def _said(response: httpx.Response) -> str:
    raw = bytearray()
    async for piece in response.aiter_bytes():
        raw += piece
        if len(raw) > ERROR_MAX:
            break
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    said = body.get("error") if isinstance(body, dict) else None
    return (said if isinstance(said, str) else raw.decode(errors="replace"))[:500]
