"""One try of a model call: out with the real key, back as it arrives, counted as it passes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import httpx
import msgspec

from runners.gateway import failure
from runners.gateway.dialect import Answer, Kind, Meter, Tokens
from runners.gateway.errors import Broken, Cut, Denied
from runners.gateway.failure import Place
from runners.gateway.ledger import Asked, Entry
from runners.gateway.retry import asked_seconds, may_mend
from runners.gateway.rules import Admitted
from runners.gateway.sigv4 import Keys, signed
from runners.gateway.streams import Cutter, cutter
from runners.gateway.wire import Connection
from runners.providers.errors import ProviderError
from runners.providers.protocol import Upstream

PASS_UP: Final = ("content-type", "accept", "anthropic-version")
PASS_DOWN: Final = (
    "content-type", "retry-after", "retry-after-ms", "request-id", "x-request-id",
    "x-amzn-requestid", "x-amzn-errortype",
)  # fmt: skip
BODY_MAX: Final = 64 << 20  # bytes of an answer that does not stream
ERROR_MAX: Final = 64 << 10  # bytes of an error body
CONNECT_SECONDS: Final = 15.0
AGENT: Final = "gatewright"


class Call(msgspec.Struct, frozen=True):
    """A request that may leave the house; `idle_seconds` is how long its API may be silent."""

    admitted: Admitted
    asked: Asked
    upstream: Upstream
    headers: dict[str, str]  # the client's, lower case
    idle_seconds: float

    @property
    def place(self) -> Place:
        """Say who is asked for what, for people."""
        return Place(self.asked.provider, self.admitted.dialect.name, self.asked.model)


class Refusal(msgspec.Struct, frozen=True):
    """What the client will get where the API gave no answer: nothing of it has been sent yet."""

    status: int
    body: bytes
    headers: dict[str, str]
    error: ProviderError
    may_mend: bool = False  # the same call may succeed in a moment
    wait: float | None = None  # seconds, where the API asks for them
    is_broken: bool = False  # an answer came and was none


async def forward(call: Call, client: httpx.AsyncClient, connection: Connection, entry: Entry) -> Refusal | str:
    """Carry one call out and its answer back; the entry is closed with what really happened, on every way out.

    Gives the stop reason where the client has its answer, else a Refusal; raises Cut where it has a part.
    """
    admitted = call.admitted
    meter = admitted.dialect.meter(admitted.kind, admitted.path)
    method = "GET" if admitted.kind is Kind.LIST else "POST"
    url = _url(call)
    status = 0
    try:
        timeout = httpx.Timeout(call.idle_seconds, connect=CONNECT_SECONDS)
        headers = _headers(call, url, method)
        async with client.stream(method, url, content=call.asked.body, headers=headers, timeout=timeout) as response:
            status = response.status_code
            if status >= 300:
                return await _refusal(call, response, entry)
            grows = admitted.kind is Kind.ARRAY and not admitted.query  # a query asks for events instead
            events = cutter(response.headers.get("content-type", ""), grows=grows)
            if events is None:
                return await _whole_answer(response, connection, meter, entry)
            await _stream(response, connection, meter, events)
        answer = _complete(meter)
        entry.close("ok", status=status, answer=answer)
        await connection.end()
    except (httpx.HTTPError, httpx.InvalidURL, Broken) as problem:
        is_silence = isinstance(problem, httpx.TimeoutException) and not isinstance(problem, httpx.ConnectTimeout)
        entry.close("timeout" if is_silence else "fail", status=status, answer=_so_far(meter))
        found = _found(call, problem, is_silence=is_silence)
        if connection.started:
            await _tear(call, connection)
            raise Cut(f"the model's answer was cut: {problem}", found) from problem
        return _none(call, problem, found, is_silence=is_silence)
    except (asyncio.CancelledError, ConnectionError):
        entry.close("cancelled", status=status, answer=_so_far(meter))
        raise
    return answer.stop


async def _tear(call: Call, connection: Connection) -> None:
    """End the stream of a Gemini client within an event: it asks again then, and after a dropped connection never."""
    if call.admitted.kind is Kind.ARRAY and call.admitted.query:  # its own client always asks for events
        with suppress(ConnectionError):
            await connection.send(b'data: {"torn')
            await connection.end()


def _found(call: Call, problem: Exception, *, is_silence: bool) -> ProviderError:
    if is_silence:
        return failure.silent(call.place, call.idle_seconds)
    if isinstance(problem, Broken):
        return failure.broken(call.place, problem, _without_key(problem.said, call.upstream))
    return failure.unreachable(call.place, problem)


def _none(call: Call, problem: Exception, found: ProviderError, *, is_silence: bool) -> Refusal:
    if is_silence:
        return refusal(call, Denied(504, "SLOW", "the model's API did not answer in time"), found)
    said = f"the model's API could not be asked: {type(problem).__name__} {problem}"
    denied = Denied(502, "UPSTREAM", _without_key(said.encode(), call.upstream).decode()[:300])
    is_broken = isinstance(problem, Broken)
    hopeless = isinstance(problem, Broken | httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError)
    return refusal(call, denied, found, may_mend=not hopeless, is_broken=is_broken)


def refusal(
    call: Call, denied: Denied, found: ProviderError, *, may_mend: bool = False, is_broken: bool = False
) -> Refusal:
    """Shape what we say ourselves as the API would."""
    body = call.admitted.dialect.error(denied.status, denied.said)
    return Refusal(
        denied.status, body, {"content-type": "application/json"}, found, may_mend=may_mend, is_broken=is_broken
    )


def _url(call: Call) -> str:
    query = f"?{call.admitted.query}" if call.admitted.query else ""
    return call.admitted.dialect.url(call.upstream.base_url, call.admitted.path) + query


def _headers(call: Call, url: str, method: str) -> dict[str, str]:
    passed: dict[str, str] = {name: call.headers[name] for name in PASS_UP if name in call.headers}
    secret = call.admitted.dialect.credentials(call.upstream, call.headers.get("anthropic-beta", ""))
    up = call.upstream
    if up.access_key:
        keys = Keys(up.access_key, up.api_key, up.session_token, up.region)
        secret |= signed(method, url, passed, call.asked.body, keys, datetime.now(UTC))
    # identity: a compressed stream would arrive in lumps
    return {"user-agent": AGENT, "accept-encoding": "identity"} | passed | secret


async def _stream(response: httpx.Response, connection: Connection, meter: Meter, events: Cutter) -> None:
    await connection.head(response.status_code, _passed(response) | {"cache-control": "no-cache"})
    async for piece in response.aiter_bytes():
        await connection.send(piece)
        for event in events.feed(piece):
            meter.event(event)


async def _whole_answer(response: httpx.Response, connection: Connection, meter: Meter, entry: Entry) -> str:
    body = await _whole(response, BODY_MAX)
    meter.body(body)
    answer = _complete(meter)  # as long as nothing is sent, a broken answer can still be said to be one
    entry.close("ok", status=response.status_code, answer=answer)
    await connection.answer(response.status_code, body, _passed(response))
    return answer.stop


async def _refusal(call: Call, response: httpx.Response, entry: Entry) -> Refusal:
    status = response.status_code
    if response.is_redirect:
        entry.close("fail", status=status)
        where = _host(response.headers.get("location", ""))
        denied = Denied(502, "REDIRECT", f"the model's API points to {where}: set base_url to where it really is")
        return refusal(call, denied, failure.elsewhere(call.place, where))
    try:
        body = _without_key(await _whole(response, ERROR_MAX), call.upstream)
    except Broken:
        body = call.admitted.dialect.error(status, "the error of the model's API is too long to show")
    entry.close("fail", status=status, answer=Answer(Tokens(), "", complete=False, content=body))
    found = failure.judge(call.place, status, body, response.headers.get("x-amzn-errortype", ""))
    wait = asked_seconds(response.headers, body, datetime.now(UTC))
    return Refusal(status, body, _passed(response), found, may_mend(status, found.cause), wait)


def _host(location: str) -> str:
    try:
        return httpx.URL(location).host
    except httpx.InvalidURL:
        return "an address that is none"


def _passed(response: httpx.Response) -> dict[str, str]:
    return {name: response.headers[name] for name in PASS_DOWN if name in response.headers}


async def _whole(response: httpx.Response, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > limit:
            raise Broken(f"the model's answer is larger than {limit} bytes")
        parts.append(piece)
    return b"".join(parts)


def _without_key(body: bytes, upstream: Upstream) -> bytes:
    for secret in (upstream.api_key, upstream.auth_token, upstream.session_token, upstream.access_key):
        if secret:
            body = body.replace(secret.encode(), b"[key]")
    return body


def _complete(meter: Meter) -> Answer:
    answer = meter.answer()
    if not answer.complete:
        raise Broken("the model's answer ended before its end")
    return answer


def _so_far(meter: Meter) -> Answer:
    return msgspec.structs.replace(meter.answer(), complete=False)
