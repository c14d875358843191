"""The door between one attempt's agent and its model: a unix socket that holds the key so that the agent need not."""

from __future__ import annotations

import asyncio
import functools
import secrets
import ssl
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, Self

import h11
import httpx
import msgspec
import structlog

from bot.model.task import Usage
from bot.settings import Price
from runners.gateway.anthropic import Anthropic
from runners.gateway.azure import Azure
from runners.gateway.bedrock import Bedrock
from runners.gateway.budget import Budget
from runners.gateway.dialect import Dialect, Kind
from runners.gateway.errors import Broken, Denied
from runners.gateway.forward import Call, forward
from runners.gateway.gemini import Gemini
from runners.gateway.ledger import Ledger
from runners.gateway.listener import listen
from runners.gateway.ollama import Ollama
from runners.gateway.openai import OpenAI
from runners.gateway.rules import BODY_MAX, Admitted, admit, find, model_of, read
from runners.gateway.wire import Connection
from runners.providers.protocol import Recorder, Upstream

DIALECTS: Final[dict[str, Dialect]] = {
    dialect.name: dialect for dialect in (Anthropic(), OpenAI(), Gemini(), Ollama(), Azure(), Bedrock())
}
CALLS_AT_ONCE: Final = 8  # each may hold BODY_MAX bytes; more wait
CONNECTIONS: Final = 64

log = structlog.get_logger(__name__)


@functools.cache
def trust() -> ssl.SSLContext:
    """Load the certificates that upstreams are checked by: 20 ms, once per process and those forked from it."""
    return httpx.create_ssl_context()


def preload() -> None:
    """Load what every door needs in a process that will fork."""
    httpx.AsyncHTTPTransport(verify=trust())  # imports what it needs when the first one is made


class Gateway:
    """Serve one attempt while the context lasts; implements Door.

    `upstreams` says where each dialect's calls go; `uid` is the jail's user, who alone may connect (None: ours).
    A fault of the recorder ends the calls and is raised at the end of the context: nothing goes on unrecorded.
    """

    def __init__(  # noqa: PLR0913 - one attempt's whole way to its model
        self,
        directory: Path,
        upstreams: Mapping[str, Upstream],
        model: str,
        recorder: Recorder,
        attempt: int,
        *,
        prices: Mapping[str, Price] | None = None,
        budget: Budget | None = None,
        uid: int | None = None,
        idle_seconds: float = 600.0,
    ) -> None:
        self.token = f"gw-{secrets.token_urlsafe(32)}"
        self.socket = directory / "gw.sock"
        self._upstreams = dict(upstreams)
        self._dialects = [DIALECTS[name] for name in upstreams]
        self._model = model
        self._uid = uid
        self._ledger = Ledger(recorder, attempt, prices or {}, budget)
        self._at_once = 1 if budget and budget.one_at_a_time else CALLS_AT_ONCE
        self._idle = idle_seconds
        self._connections: set[asyncio.Task[None]] = set()
        self._fault: Exception | None = None

    @property
    def attempt(self) -> int:
        """Name the attempt."""
        return self._ledger.attempt

    @property
    def usage(self) -> Usage:
        """Sum all calls so far."""
        return self._ledger.usage

    @property
    def spent(self) -> Denied | None:
        """Say why the budget refused a call, the first time that it did."""
        return self._ledger.spent

    def number(self) -> int:
        """Take the next call number."""
        return self._ledger.number()

    async def __aenter__(self) -> Self:
        listener = listen(self.socket, self._uid)
        self._slots = asyncio.Semaphore(self._at_once)
        timeout = httpx.Timeout(self._idle, connect=15.0)
        self._client = httpx.AsyncClient(verify=trust(), timeout=timeout, follow_redirects=False)
        self._server = await asyncio.start_unix_server(self._accept, sock=listener, backlog=128)
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._client.aclose()
        self.socket.unlink(missing_ok=True)
        if kind is None and (fault := self._ledger.fault or self._fault):
            raise fault

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task  # noqa: S101 - asyncio runs this as a task
        if len(self._connections) >= CONNECTIONS:
            writer.transport.abort()
            return
        self._connections.add(task)
        connection = Connection(reader, writer)
        try:
            await self._serve(connection)
            await connection.close()
        except (ConnectionError, h11.ProtocolError, Broken) as problem:
            log.info("gateway.dropped", attempt=self.attempt, reason=str(problem)[:200])
            connection.abort()
        except asyncio.CancelledError:  # the door closes; asyncio would report it as a fault of this callback
            connection.abort()
        except Exception as problem:  # noqa: BLE001 - kept and raised where the door closes
            self._fault = self._fault or problem
            connection.abort()
        finally:
            self._connections.discard(task)

    async def _serve(self, connection: Connection) -> None:
        while request := await connection.request():
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
            try:
                await self._handle(connection, request, headers)
            except Denied as denied:
                log.info("gateway.denied", attempt=self.attempt, code=denied.code, reason=denied.what)
                await self._deny(connection, request, denied)
                await connection.linger()
                return
            if not connection.again():
                return

    async def _handle(self, connection: Connection, request: h11.Request, headers: dict[str, str]) -> None:
        if self._ledger.fault or self._fault:
            raise Denied(503, "FAULT", "the gateway cannot record, so it forwards nothing")
        admitted = admit(
            request.method.decode("latin-1"), request.target.decode("latin-1"), headers,
            token=self.token, dialects=self._dialects,
        )  # fmt: skip
        if admitted.kind is Kind.MODELS:
            await connection.body(0)
            await connection.answer(200, _models(self._model))
            return
        _check_length(headers)
        async with self._slots:
            await self._ask(connection, admitted, headers)

    async def _ask(self, connection: Connection, admitted: Admitted, headers: dict[str, str]) -> None:
        raw = await connection.body(BODY_MAX)
        if admitted.kind is Kind.LIST:
            fields, model, body = {}, self._model, b""
        else:
            fields = read(raw)
            model = model_of(fields, self._model, admitted.model)
            if admitted.kind is Kind.GENERATE:
                fields = admitted.dialect.prepare(fields)
            body = msgspec.json.encode(fields)
        upstream = self._upstreams[admitted.dialect.name]
        provider = upstream.provider or admitted.dialect.name
        entry = self._ledger.open(admitted.dialect, provider, model, self._model, fields, body)
        call = Call(admitted, upstream, headers, body)
        try:
            await _unless_gone(forward(call, self._client, connection, entry), connection)
        finally:
            entry.close("cancelled")

    async def _deny(self, connection: Connection, request: h11.Request, denied: Denied) -> None:
        path = request.target.decode("latin-1").partition("?")[0]
        dialect = next((one for one in self._dialects if find(one, path)), self._dialects[0])
        body = dialect.error(denied.status, f"gatewright: {denied.what} [{denied.code}]")
        await connection.answer(denied.status, body, {"connection": "close"})


async def _unless_gone(work: Coroutine[Any, Any, None], connection: Connection) -> None:
    """Do the work while the client is there: a model that nobody listens to still costs."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(connection.gone())
    try:
        done, _ = await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task not in done:
            raise ConnectionResetError("the client hung up")
        task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


def _check_length(headers: Mapping[str, str]) -> None:
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > BODY_MAX:
        raise Denied(413, "SIZE", f"the request is larger than {BODY_MAX} bytes")


def _models(model: str) -> bytes:
    """List the one routed model in a shape that satisfies clients of either dialect."""
    entry = {
        "id": model,
        "object": "model",
        "type": "model",
        "display_name": model,
        "created": 0,
        "owned_by": "gatewright",
    }
    return msgspec.json.encode(
        {"object": "list", "data": [entry], "has_more": False, "first_id": model, "last_id": model}
    )
