"""The door as an agent meets it: over its socket, with a scripted model behind it."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.model.errors import UsageError
from runners.gateway.server import Gateway
from runners.providers.protocol import Upstream
from tests.runners.gateway.conftest import settled
from tests.runners.recorder import ListRecorder
from tests.simulators.models import Step
from tests.simulators.models.server import REAL_KEY

HELLO = Step(text="hello there", tokens=(1000, 20), cached=200)


async def raw(door: Gateway, request: bytes) -> bytes:
    """Send bytes as no client library would, and read to the end."""
    reader, writer = await asyncio.open_unix_connection(str(door.socket))
    writer.write(request)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_call_reaches_the_model_with_the_real_key_and_nothing_else_of_the_client(bench: Any) -> None:
    async with bench(HELLO) as b:
        answer = await b.client.post(
            "/v1/messages?beta=true",
            json={"model": "claude-test-1", "messages": []},
            headers={
                "x-api-key": b.door.token, "anthropic-version": "2023-06-01", "anthropic-beta": "a-1",
                "cookie": "c=1", "x-forwarded-for": "10.0.0.1", "x-claude-code-session-id": "s",
            },
        )  # fmt: skip
    assert answer.status_code == 200
    assert answer.json()["content"] == [{"type": "text", "text": "hello there"}]
    [seen] = b.model.requests
    assert seen.headers["x-api-key"] == REAL_KEY
    assert seen.target == "/v1/messages?beta=true"
    assert set(seen.headers) - {"host", "connection", "content-length"} == {
        "x-api-key", "content-type", "accept", "accept-encoding", "user-agent", "anthropic-version", "anthropic-beta",
    }  # fmt: skip
    assert b.door.token not in json.dumps(seen.headers)


async def test_an_oauth_token_goes_as_bearer_with_its_beta_flag(bench: Any) -> None:
    async with bench(HELLO, upstream={"api_key": "", "auth_token": REAL_KEY}) as b:
        answer = await b.client.post(
            "/v1/messages", json={"model": "claude-test-1"},
            headers={"authorization": f"Bearer {b.door.token}", "anthropic-beta": "a-1, b-2"},
        )  # fmt: skip
    assert answer.status_code == 200
    [seen] = b.model.requests
    assert seen.headers["authorization"] == f"Bearer {REAL_KEY}"
    assert seen.headers["anthropic-beta"] == "a-1,b-2,oauth-2025-04-20"
    assert "x-api-key" not in seen.headers


@pytest.mark.parametrize(
    "headers", [{}, {"x-api-key": "gw-wrong"}, {"authorization": "Bearer x"}, {"x-api-key": REAL_KEY}]
)
async def test_without_the_token_of_the_run_nothing_is_forwarded_or_recorded(
    bench: Any, headers: dict[str, str]
) -> None:
    async with bench(HELLO) as b:
        answer = await b.client.post("/v1/messages", json={"model": "claude-test-1"}, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"
    assert not b.model.requests
    assert not b.model.refused
    assert not b.recorder.records


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"CONNECT api.anthropic.com:443 HTTP/1.1", 403),
        (b"POST http://evil.example/v1/messages HTTP/1.1", 403),
        (b"POST /../v1/messages HTTP/1.1", 403),
        (b"POST /v1/messages/../files HTTP/1.1", 403),
        (b"POST /v1/%6dessages HTTP/1.1", 403),
        (b"POST //v1/messages HTTP/1.1", 403),
        (b"POST /v1/messages?beta=true&x=1 HTTP/1.1", 403),
        (b"POST /v1/files HTTP/1.1", 403),
        (b"DELETE /v1/messages HTTP/1.1", 405),
        (b"GET /v1/messages HTTP/1.1", 405),
    ],
)
async def test_other_methods_and_paths_are_refused(bench: Any, line: bytes, status: int) -> None:
    async with bench(HELLO) as b:
        answer = await raw(b.door, line + b"\r\nhost: x\r\nx-api-key: " + b.door.token.encode() + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:80]
    assert not b.model.requests


async def test_what_wants_out_is_refused_and_named(bench: Any) -> None:
    wanted = (
        b"CONNECT api.github.com:443", b"CONNECT API.github.com.:443", b"GET http://play.googleapis.com:8080/log?x=1",
        b"POST https://me:secret@evil.example/v1/messages", b"CONNECT [2001:db8::1]:443", b"CONNECT a'<b>:443",
        b"CONNECT 127.0.0.1:22",
    )  # fmt: skip
    async with bench(HELLO) as b:
        for line in wanted:  # without a token: proxies are sent none
            answer = await raw(b.door, line + b" HTTP/1.1\r\nhost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 403 "), line
            assert b"GW-GATEWAY-OUTSIDE" in answer
        assert b.door.outside == [
            "api.github.com", "play.googleapis.com", "evil.example", "[2001:db8::1]", "a??b?", "127.0.0.1",
        ]  # fmt: skip
        for n in range(100):
            await raw(b.door, b"CONNECT host%d.example:443 HTTP/1.1\r\nhost: x\r\n\r\n" % n)
        assert len(b.door.outside) == 64
        assert b.door.failure is None
    assert not b.model.requests


async def test_a_client_that_takes_us_for_its_proxy_on_the_way_to_us_is_served(bench: Any) -> None:
    body = b'{"model":"claude-test-1"}'
    async with bench(HELLO) as b:
        for token, status in ((b.door.token.encode(), b"200"), (b"gw-wrong", b"401")):
            answer = await raw(
                b.door, b"POST http://127.0.0.1:8900/v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: %s\r\n"
                b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (token, len(body), body),
            )  # fmt: skip
            assert answer.startswith(b"HTTP/1.1 " + status)
        assert b.door.outside == []


async def test_a_client_that_does_not_read_does_not_hold_a_call_for_ever(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runners.gateway.wire.SEND_SECONDS", 0.3)
    async with bench(Step(text="x" * (16 << 20))) as b:
        body = b'{"model":"claude-test-1","stream":true}'
        _, writer = await asyncio.open_unix_connection(str(b.door.socket))
        writer.write(
            b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: %s\r\ncontent-length: %d\r\n\r\n%s"
            % (b.door.token.encode(), len(body), body)
        )
        await settled(b.recorder, 1)
        assert b.recorder.of("model.result")[0].outcome == "cancelled"
        writer.close()
    assert b.door.busy is False


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"POST /v1/messages HTTP/1.1\r\n" + b"a: b\r\n" * 20000],
)
async def test_bytes_that_are_no_http_end_the_connection_and_not_the_door(bench: Any, garbage: bytes) -> None:
    async with bench(HELLO) as b:
        with suppress(ConnectionError):
            assert await raw(b.door, garbage) == b""
        assert (await b.ask()).status_code == 200


async def test_a_body_over_the_bound_is_refused_before_it_is_read(bench: Any) -> None:
    async with bench(HELLO) as b:
        head = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: %s\r\n" % b.door.token.encode()
        announced = await raw(b.door, head + b"content-length: %d\r\n\r\n" % ((32 << 20) + 1))
        piece = b"%x\r\n" % (1 << 20) + b"x" * (1 << 20) + b"\r\n"
        chunked = await raw(b.door, head + b"transfer-encoding: chunked\r\n\r\n" + piece * 33)
    assert b" 413 " in announced[:20]
    assert b" 413 " in chunked[:20]
    assert not b.model.requests


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"model": "claude-opus-9", "messages": []}', 403),
        (b'{"model": "claude-test-1", "model": "claude-opus-9"}', 403),
        (b'{"model": "claude-test-1", "Model": "claude-opus-9"}', 400),
        (b'{"messages": []}', 400),
        (b'{"model": 7}', 400),
        (b"[]", 400),
        (b"", 400),
        (b'{"model": "claude-test-1", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    ],
)
async def test_only_the_routed_model_and_only_json_passes(bench: Any, body: bytes, status: int) -> None:
    async with bench(HELLO) as b:
        answer = await b.client.post("/v1/messages", content=body, headers={"x-api-key": b.door.token})
    assert answer.status_code == status
    assert answer.json()["type"] == "error"
    assert not b.model.requests
    assert not b.recorder.records


async def test_what_is_forwarded_is_what_was_checked(bench: Any) -> None:
    async with bench(HELLO) as b:
        body = b'{"model": "claude-opus-9", "m\\u006fdel": "claude-test-1", "temperature": 1.0, "messages": []}'
        answer = await b.client.post("/v1/messages", content=body, headers={"x-api-key": b.door.token})
    assert answer.status_code == 200
    assert (
        b.recorder.of("model.call")[0].blobs["prompt"] == b'{"model":"claude-test-1","temperature":1.0,"messages":[]}'
    )


async def test_an_alias_lets_its_family_pass(bench: Any) -> None:
    async with bench(HELLO, model="sonnet") as b:
        assert (await b.ask(model="claude-sonnet-4-5-20250929")).status_code == 200
        assert (await b.ask(model="claude-opus-4-5")).status_code == 403


async def test_closing_the_door_ends_calls_in_flight_and_records_them(bench: Any) -> None:
    async with bench(Step(text="a" * 64, hang="mid")) as b:
        asking = asyncio.ensure_future(b.ask(stream=True))
        await b.asked()
    assert isinstance((await asyncio.gather(asking, return_exceptions=True))[0], httpx.HTTPError)
    assert b.recorder.of("model.result")[0].outcome == "cancelled"
    assert not b.door.socket.exists()


async def test_what_cannot_be_recorded_is_not_forwarded(directory: Path) -> None:
    class Full(ListRecorder):
        def record(self, *args: Any, **more: Any) -> None:
            raise OSError(28, "No space left on device")

    door = Gateway(directory, {"anthropic": Upstream("anthropic", "http://127.0.0.1:9", "k")}, "m", Full(), 1)

    async def ask_twice() -> None:
        async with door:
            transport = httpx.AsyncHTTPTransport(uds=str(door.socket))
            async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.post("/v1/messages", json={"model": "m"}, headers={"x-api-key": door.token})
                again = await client.post("/v1/messages", json={"model": "m"}, headers={"x-api-key": door.token})
                assert again.status_code == 503
                assert door.failure
                assert door.failure.code == "GW-GATEWAY-FAULT"
                raise door.failure  # as a provider's guard does; the fault is what counts

    with pytest.raises(OSError, match="No space"):
        await ask_twice()


async def test_many_calls_at_once_get_their_own_answers_and_numbers(bench: Any) -> None:
    steps = [Step(text=f"answer {n}", when=f"question {n}.", pause=0.01) for n in range(20)]
    async with bench(*steps) as b:
        answers = await asyncio.gather(
            *(b.ask(messages=[{"role": "user", "content": f"question {n}."}]) for n in range(20))
        )
        assert b.door.usage.calls == 20
        assert b.door.number() == 21
    assert [answer.json()["content"][0]["text"] for answer in answers] == [f"answer {n}" for n in range(20)]
    assert b.recorder.unpaired() == []


async def test_one_connection_serves_one_call_after_another(bench: Any) -> None:
    async with bench(HELLO, HELLO) as b:
        body = b'{"model":"claude-test-1"}'
        head = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: %s\r\ncontent-length: %d\r\n" % (
            b.door.token.encode(), len(body),
        )  # fmt: skip
        answer = await raw(b.door, head + b"\r\n" + body + head + b"connection: close\r\n\r\n" + body)
    assert answer.count(b"HTTP/1.1 200") == 2


async def test_the_list_of_models_holds_the_routed_one_and_asks_nobody(bench: Any) -> None:
    async with bench() as b:
        answer = await b.client.get("/v1/models", headers={"authorization": f"Bearer {b.door.token}"})
    assert [entry["id"] for entry in answer.json()["data"]] == ["claude-test-1"]
    assert not b.model.requests


async def test_only_the_given_user_may_connect(directory: Path, recorder: ListRecorder) -> None:
    uid = 64001 if os.getuid() == 0 else os.getuid()
    async with Gateway(directory / "d", {"openai": Upstream("openai", "")}, "m", recorder, 1, uid=uid) as door:
        found = door.socket.stat()
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert found.st_uid == uid
        assert stat.S_IMODE(door.socket.parent.stat().st_mode) == 0o711


async def test_a_path_too_long_for_a_socket_is_named(directory: Path, recorder: ListRecorder) -> None:
    with pytest.raises(UsageError, match="107 bytes"):
        async with Gateway(directory / ("x" * 120), {"openai": Upstream("openai", "")}, "m", recorder, 1):
            pytest.fail("opened")


def test_an_upstream_never_shows_its_key() -> None:
    assert REAL_KEY not in repr({"anthropic": Upstream("anthropic", "https://x", REAL_KEY, REAL_KEY)})
