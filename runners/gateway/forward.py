"""One model call on its way: out with the real key, back as it arrives, counted as it passes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

import httpx
import msgspec

from runners.gateway.dialect import Answer, Kind, Meter, Tokens
from runners.gateway.errors import Broken, Denied
from runners.gateway.ledger import Entry
from runners.gateway.rules import Admitted
from runners.gateway.sigv4 import Keys, signed
from runners.gateway.streams import Cutter, cutter
from runners.gateway.wire import Connection
from runners.providers.protocol import Upstream

PASS_UP: Final = ("content-type", "accept", "anthropic-version")
PASS_DOWN: Final = (
    "content-type", "retry-after", "retry-after-ms", "request-id", "x-request-id", "x-should-retry",
    "x-amzn-requestid", "x-amzn-errortype",
)  # fmt: skip
BODY_MAX: Final = 64 << 20  # bytes of an answer that does not stream
ERROR_MAX: Final = 64 << 10  # bytes of an error body
AGENT: Final = "gatewright"


class Call(msgspec.Struct, frozen=True):
    """A request that may leave the house."""

    admitted: Admitted
    upstream: Upstream
    headers: dict[str, str]  # the client's, lower case
    body: bytes


async def forward(call: Call, client: httpx.AsyncClient, connection: Connection, entry: Entry) -> None:
    """Carry one call out and its answer back; the entry is closed with what really happened, on every way out.

    Raises Denied where nothing was sent to the client yet, Broken where the connection must be dropped.
    """
    admitted = call.admitted
    meter = admitted.dialect.meter(admitted.kind, admitted.path)
    method = "GET" if admitted.kind is Kind.LIST else "POST"
    url = _url(call)
    status = 0
    try:
        async with client.stream(method, url, content=call.body, headers=_headers(call, url)) as response:
            status = response.status_code
            if status >= 300:
                await _refusal(call, response, connection, entry)
                return
            grows = admitted.kind is Kind.ARRAY and not admitted.query  # a query asks for events instead
            events = cutter(response.headers.get("content-type", ""), grows=grows)
            await _answer(response, connection, meter, events)
        entry.close("ok", status=status, answer=_whole_answer(meter))
        await connection.end()
    except (httpx.HTTPError, httpx.InvalidURL, Broken) as problem:
        slow = isinstance(problem, httpx.TimeoutException)
        entry.close("timeout" if slow else "fail", status=status, answer=_so_far(meter))
        if connection.started:
            raise Broken(f"the model's answer was cut: {problem}") from problem
        raise _unreachable(problem, slow=slow) from problem
    except (asyncio.CancelledError, ConnectionError):
        entry.close("cancelled", status=status, answer=_so_far(meter))
        raise


def _unreachable(problem: Exception, *, slow: bool) -> Denied:
    if slow:
        return Denied(504, "SLOW", "the model's API did not answer in time")
    return Denied(502, "UPSTREAM", f"the model's API could not be asked: {type(problem).__name__} {problem}"[:300])


def _url(call: Call) -> str:
    query = f"?{call.admitted.query}" if call.admitted.query else ""
    return call.admitted.dialect.url(call.upstream.base_url, call.admitted.path) + query


def _headers(call: Call, url: str) -> dict[str, str]:
    passed: dict[str, str] = {name: call.headers[name] for name in PASS_UP if name in call.headers}
    secret = call.admitted.dialect.credentials(call.upstream, call.headers.get("anthropic-beta", ""))
    up = call.upstream
    if up.access_key:
        keys = Keys(up.access_key, up.api_key, up.session_token, up.region)
        secret |= signed("POST", url, passed, call.body, keys, datetime.now(UTC))
    # identity: a compressed stream would arrive in lumps
    return {"user-agent": AGENT, "accept-encoding": "identity"} | passed | secret


async def _answer(response: httpx.Response, connection: Connection, meter: Meter, events: Cutter | None) -> None:
    headers = {name: response.headers[name] for name in PASS_DOWN if name in response.headers}
    if events:
        await connection.head(response.status_code, headers | {"cache-control": "no-cache"})
        async for piece in response.aiter_bytes():
            await connection.send(piece)
            for event in events.feed(piece):
                meter.event(event)
        return
    body = await _whole(response, BODY_MAX)
    meter.body(body)
    _whole_answer(meter)  # as long as nothing is sent, a broken answer can still be said to be one
    await connection.head(response.status_code, headers)
    await connection.send(body)


async def _refusal(call: Call, response: httpx.Response, connection: Connection, entry: Entry) -> None:
    if response.is_redirect:
        entry.close("fail", status=response.status_code)
        where = httpx.URL(response.headers.get("location", "")).host
        raise Denied(502, "REDIRECT", f"the model's API points to {where}: set base_url to where it really is")
    try:
        body = _without_key(await _whole(response, ERROR_MAX), call.upstream)
    except Broken:
        body = call.admitted.dialect.error(response.status_code, "the error of the model's API is too long to show")
    entry.close("fail", status=response.status_code, answer=Answer(Tokens(), "", complete=False, content=body))
    headers = {name: response.headers[name] for name in PASS_DOWN if name in response.headers}
    await connection.answer(response.status_code, body, headers)


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


def _whole_answer(meter: Meter) -> Answer:
    answer = meter.answer()
    if not answer.complete:
        raise Broken("the model's answer ended before its end")
    return answer


def _so_far(meter: Meter) -> Answer:
    return msgspec.structs.replace(meter.answer(), complete=False)
