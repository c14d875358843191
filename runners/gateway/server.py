"""The door between one attempt's agent and its model: a unix socket that holds the key so that the agent need not."""

from __future__ import annotations

import asyncio
import functools
import secrets
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import h11
import httpx
import msgspec
import structlog

from bot.model.allowance import Allowance
from bot.model.task import Usage
from bot.settings import Price
from runners.gateway.account import Account
from runners.gateway.anthropic import Anthropic
from runners.gateway.azure import Azure
from runners.gateway.bedrock import Bedrock
from runners.gateway.budget import Purse, is_one_at_a_time
from runners.gateway.dialect import Dialect, Fields, Kind
from runners.gateway.errors import Broken, Denied, WrongModel
from runners.gateway.forward import Call
from runners.gateway.gemini import Gemini
from runners.gateway.ledger import Asked, Ledger
from runners.gateway.listener import listen
from runners.gateway.ollama import Ollama
from runners.gateway.openai import OpenAI
from runners.gateway.retry import Patience
from runners.gateway.rules import BODY_MAX, Admitted, admit, find, inside_of, model_of, outside_of, read
from runners.gateway.run import Run
from runners.gateway.texts import error
from runners.gateway.tries import ASKS, Tries
from runners.gateway.wire import Connection
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause, Limits, Recorder, Upstream

DIALECTS: Final[dict[str, Dialect]] = {
    dialect.name: dialect for dialect in (Anthropic(), OpenAI(), Gemini(), Ollama(), Azure(), Bedrock())
}
CALLS_AT_ONCE: Final = 8  # each may hold BODY_MAX bytes; more wait
CONNECTIONS: Final = 64
OUTSIDE_MAX: Final = 64

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
    `idle_seconds` bounds a silent model where no run says so. A fault of the recorder ends the calls and is raised at
    the end of the context: nothing goes on unrecorded.
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
        allowances: Sequence[Allowance] = (),
        purse: Purse | None = None,
        uid: int | None = None,
        idle_seconds: float = 600.0,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        self.token = f"gw-{secrets.token_urlsafe(32)}"
        self.socket = directory / "gw.sock"
        self.outside: list[str] = []  # hosts that something inside wanted to reach through us, the first OUTSIDE_MAX
        self._ledger = Ledger(recorder, attempt, prices or {})
        self.reroute(upstreams, model, prices or {})
        self._account = Account(self._ledger, allowances, purse)
        self._uid = uid
        self._slots = asyncio.Semaphore(1 if is_one_at_a_time(allowances) else CALLS_AT_ONCE)
        self._patience = patience
        self._idle = idle_seconds
        self._run = Run(None, idle_seconds)
        self._asking = 0
        self._connections: set[asyncio.Task[None]] = set()
        self._fault: Exception | None = None

    def reroute(self, upstreams: Mapping[str, Upstream], model: str, prices: Mapping[str, Price]) -> None:
        """Let another model stand in from now on; what was used so far still counts."""
        self._upstreams = dict(upstreams)
        self._dialects = [DIALECTS[name] for name in upstreams]
        self._model = model
        self._ledger.prices = prices

    @property
    def attempt(self) -> int:
        """Name the attempt."""
        return self._ledger.attempt

    @property
    def usage(self) -> Usage:
        """Sum all calls so far."""
        return self._ledger.usage

    @property
    def busy(self) -> bool:
        """Tell whether anything is being asked just now."""
        return self._asking > 0

    @property
    def failure(self) -> ProviderError | None:
        """Say why no further call of this run can succeed."""
        return self._run.failure

    @property
    def last_error(self) -> ProviderError | None:
        """Say what the API answered last where that was an error or a refusal, also one that a run can get over."""
        return self._run.last_error

    def number(self) -> int:
        """Take the next call number."""
        return self._ledger.number()

    async def failed(self) -> ProviderError:
        """Wait until there is a failure."""
        return await self._run.over()

    @contextmanager
    def begin(self, limits: Limits) -> Iterator[None]:
        """Keep one run's limits while it lasts; a failure stays until the next run, one of a budget for good."""
        self._run = run = Run(limits.turns, limits.idle_seconds, self._run)
        try:
            yield
        finally:
            run.end(self._idle)

    async def __aenter__(self) -> Self:
        listener = listen(self.socket, self._uid)
        self._client = httpx.AsyncClient(verify=trust(), follow_redirects=False)
        self._tries = Tries(self._ledger, self._account, self._client, self._patience)
        self._server = await asyncio.start_unix_server(self._accept, sock=listener, backlog=128)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._account.close()
        await self._client.aclose()
        self.socket.unlink(missing_ok=True)
        fault = self._ledger.fault or self._fault
        if fault and (kind is None or issubclass(kind, ProviderError)):
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
            run = self._run
            try:
                await self._handle(connection, request, headers, run)
            except Denied as denied:
                log.info("gateway.denied", attempt=self.attempt, code=denied.code, reason=denied.what)
                if denied.failure:
                    run.fail(denied.failure)
                elif denied.error:
                    run.last_error = denied.error
                await self._deny(connection, request, denied)
                await connection.linger()
                return
            if not connection.again():
                return

    async def _handle(self, connection: Connection, request: h11.Request, headers: dict[str, str], run: Run) -> None:
        method, target = request.method.decode("latin-1"), request.target.decode("latin-1")
        self._keep_inside(outside_of(method, target))
        self._check_faults()
        admitted = admit(method, inside_of(target), headers, token=self.token, dialects=self._dialects)
        if admitted.kind is Kind.MODELS:
            await connection.body(0)
            await connection.answer(200, _models(admitted.dialect, self._model))
            return
        _check_length(headers)
        run.check()
        self._asking += 1
        try:
            async with self._slots:
                await self._ask(connection, admitted, headers, run)
        finally:
            self._asking -= 1

    def _keep_inside(self, host: str) -> None:
        """Refuse what wants another host than ours, and remember which."""
        if not host:
            return
        log.warning("gateway.outside", attempt=self.attempt, host=host)
        if host not in self.outside and len(self.outside) < OUTSIDE_MAX:
            self.outside.append(host)
        raise Denied(403, "OUTSIDE", f"nothing but the model can be reached from here, and not {host}")

    def _check_faults(self) -> None:
        if fault := self._ledger.fault or self._fault:
            failure = error("record", Cause.CRASH, why=type(fault).__name__, code="GW-GATEWAY-FAULT")
            raise Denied(503, "FAULT", "the gateway cannot record, so it forwards nothing", failure=failure)

    async def _ask(self, connection: Connection, admitted: Admitted, headers: dict[str, str], run: Run) -> None:
        raw = await connection.body(BODY_MAX)
        upstream = self._upstreams[admitted.dialect.name]
        provider = upstream.provider or admitted.dialect.name
        fields, model, body = self._read(admitted, raw, provider)
        if admitted.kind in ASKS:
            run.turn()
        asked = Asked(admitted.dialect, provider, model, self._model, fields, body)
        call = Call(admitted, asked, upstream, headers, run.idle_seconds)
        await connection.unless_gone(self._tries.carry(call, connection, run))

    def _read(self, admitted: Admitted, raw: bytes, provider: str) -> tuple[Fields, str, bytes]:
        """Give the fields of a request, the model it asks for, and what is forwarded."""
        if admitted.kind is Kind.LIST:
            return {}, self._model, b""
        fields = read(raw)
        try:
            model = model_of(fields, self._model, admitted.model)
        except WrongModel as wrong:
            named = {"model": self._model, "asked": wrong.asked}
            wrong.error = error("other", Cause.MODEL, provider, values=named)
            raise
        if admitted.kind in ASKS:
            fields = admitted.dialect.prepare(fields)
        return fields, model, msgspec.json.encode(fields)

    async def _deny(self, connection: Connection, request: h11.Request, denied: Denied) -> None:
        path = inside_of(request.target.decode("latin-1")).partition("?")[0]
        dialect = next((one for one in self._dialects if find(one, path)), self._dialects[0])
        headers = {"connection": "close", "x-should-retry": "false"}
        await connection.answer(denied.status, dialect.error(denied.status, denied.said), headers)


def _check_length(headers: Mapping[str, str]) -> None:
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > BODY_MAX:
        raise Denied(413, "SIZE", f"the request is larger than {BODY_MAX} bytes")


def _models(dialect: Dialect, model: str) -> bytes:
    """List the one routed model in a shape that satisfies clients; Bedrock's ask for profiles, and need none."""
    if dialect.name == "bedrock":
        return b'{"inferenceProfileSummaries":[]}'
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
