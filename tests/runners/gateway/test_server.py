"""The door as an agent meets it: over its socket, with a scripted model behind it."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.model.errors import UsageError
from bot.model.task import Usage
from runners.gateway.server import Gateway
from runners.providers.protocol import Upstream
from tests.runners.recorder import ListRecorder
from tests.simulators.models import Step, Tool
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


async def settled(recorder: ListRecorder, results: int) -> None:
    """Wait until so many results are recorded."""
    for _ in range(500):
        if len(recorder.of("model.result")) >= results:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{len(recorder.of('model.result'))} results instead of {results}")


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


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_usage_is_counted_priced_and_recorded(bench: Any, path: str, stream: bool) -> None:
    async with bench(HELLO) as b:
        answer = await b.client.post(
            path, json={"model": "claude-test-1", "messages": [], "stream": stream, "tools": [{"name": "x"}]},
            headers={"authorization": f"Bearer {b.door.token}"},
        )  # fmt: skip
        assert answer.status_code == 200
        dear = 800 * 3 + 200 * (0.3 if path == "/v1/messages" else 3) + 20 * 15
        assert b.door.usage == Usage(1, 1000, 20, round(dear))
    [call], [result] = b.recorder.of("model.call"), b.recorder.of("model.result")
    assert (call.data.attempt, call.data.call, call.data.model) == (3, 1, "claude-test-1")
    assert len(call.data.params_sha256) == len(call.data.tools_sha256) == 64
    assert result.outcome == "ok"
    assert (result.data.tokens_in, result.data.tokens_out, result.data.status) == (1000, 20, 200)
    assert json.loads(result.blobs["output"])["content"] == [{"type": "text", "text": "hello there"}]
    assert b.recorder.unpaired() == []


async def test_tool_calls_are_put_together_again_for_the_record(bench: Any) -> None:
    step = Step(
        text="see", tools=(Tool("Write", {"path": "a.py", "content": "x" * 300}), Tool("Bash", {"command": "ls"}))
    )
    for path in ("/v1/messages", "/v1/chat/completions"):
        for stream in (True, False):
            async with bench(step) as b:
                await b.ask(path, stream=stream)
            content = json.loads(b.recorder.of("model.result")[-1].blobs["output"])["content"]
            assert content[0] == {"type": "text", "text": "see"}
            assert [part["tool"] for part in content[1:]] == ["Write", "Bash"]
            assert json.loads(content[1]["arguments"]) == {"path": "a.py", "content": "x" * 300}


async def test_an_unknown_price_is_said_to_be_unknown(bench: Any) -> None:
    async with bench(HELLO, model="other") as b:
        await b.ask(model="other")
        assert b.door.usage == Usage(1, 1000, 20, None)


async def test_a_stream_arrives_piece_by_piece(bench: Any) -> None:
    async with bench(Step(text="a" * 64, pause=0.1)) as b:
        request = {"model": "claude-test-1", "stream": True}
        async with b.client.stream("POST", "/v1/messages", json=request, headers={"x-api-key": b.door.token}) as answer:
            times = [time.monotonic() async for _ in answer.aiter_raw()]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) > 8
    assert sorted(gaps)[len(gaps) // 2] == pytest.approx(0.1, abs=0.05)


async def test_the_call_is_recorded_before_the_model_answers(bench: Any) -> None:
    async with bench(Step(hang="before")) as b:
        asking = asyncio.ensure_future(b.ask())
        await b.asked()
        assert [record.kind for record in b.recorder.records] == ["model.call"]
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "cancelled"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize("how", [{"cut": True}, {"broken": True}])
async def test_a_broken_stream_is_broken_for_the_client_and_a_failure_in_the_record(
    bench: Any, path: str, how: Any
) -> None:
    async with bench(Step(text="a" * 100, **how)) as b:
        with pytest.raises(httpx.RemoteProtocolError):
            await b.ask(path, stream=True)
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "fail"
    assert b.recorder.unpaired() == []


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize("body", ["<html>proxy error</html>", "{}", '{"content": 7, "choices": 7}'])
async def test_an_answer_that_is_none_is_a_502(bench: Any, path: str, body: str) -> None:
    async with bench(Step(body=body)) as b:
        answer = await b.ask(path)
    assert answer.status_code == 502
    assert b.recorder.of("model.result")[0].outcome == "fail"


@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
async def test_errors_of_the_api_pass_with_what_the_client_needs(bench: Any, status: int) -> None:
    async with bench(Step(status=status, headers={"retry-after": "7", "x-secret": "1"})) as b:
        answer = await b.ask()
    assert answer.status_code == status
    assert answer.json()["error"]["message"] == f"scripted {status}"
    assert answer.headers["retry-after"] == "7"
    assert "x-secret" not in answer.headers
    result = b.recorder.of("model.result")[0]
    assert (result.outcome, result.data.status, result.data.micro_usd) == ("fail", status, 0)


async def test_an_error_that_repeats_the_key_is_cleaned(bench: Any) -> None:
    async with bench(Step(status=401, body={"error": {"message": f"bad key {REAL_KEY}"}})) as b:
        answer = await b.ask()
    assert REAL_KEY not in answer.text
    assert "[key]" in answer.text
    assert REAL_KEY.encode() not in b.recorder.of("model.result")[0].blobs["output"]


async def test_a_wrong_key_of_ours_is_the_apis_401(bench: Any) -> None:
    async with bench(HELLO, upstream={"api_key": "sk-old"}) as b:
        assert (await b.ask()).status_code == 401
    assert len(b.model.refused) == 1


async def test_a_redirect_is_not_followed(bench: Any) -> None:
    async with bench(Step(status=307, headers={"location": "https://elsewhere.example/v1"})) as b:
        answer = await b.ask()
    assert answer.status_code == 502
    assert "elsewhere.example" in answer.text
    assert b.recorder.unpaired() == []


async def test_an_upstream_that_is_not_there_is_a_502_that_says_so(directory: Path, recorder: ListRecorder) -> None:
    upstreams = {"anthropic": Upstream("anthropic", "http://127.0.0.1:9", "k")}
    async with Gateway(directory, upstreams, "m", recorder, 1) as door:
        transport = httpx.AsyncHTTPTransport(uds=str(door.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            answer = await client.post("/v1/messages", json={"model": "m"}, headers={"x-api-key": door.token})
    assert answer.status_code == 502
    assert "GW-GATEWAY-UPSTREAM" in answer.json()["error"]["message"]
    assert recorder.of("model.result")[0].outcome == "fail"


@pytest.mark.parametrize("hang", ["before", "mid"])
async def test_a_silent_upstream_ends_in_a_timeout(bench: Any, hang: Any) -> None:
    async with bench(Step(text="a" * 100, hang=hang), idle_seconds=0.3) as b:
        if hang == "before":
            assert (await b.ask(stream=True)).status_code == 504
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                await b.ask(stream=True)
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "timeout"


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


async def test_a_token_count_passes_and_costs_nothing(bench: Any) -> None:
    async with bench() as b:
        answer = await b.ask("/v1/messages/count_tokens")
        assert answer.json() == {"input_tokens": 42}
        assert b.door.usage == Usage(1, 0, 0, 0)
    assert b.recorder.of("model.result")[0].outcome == "ok"


async def test_an_openai_stream_is_asked_for_its_usage(bench: Any) -> None:
    async with bench(HELLO, HELLO) as b:
        await b.ask("/v1/chat/completions", stream=True, stream_options={"x": 1})
        assert b.model.requests[0].body["stream_options"] == {"x": 1, "include_usage": True}
        await b.ask("/v1/chat/completions")
        assert "stream_options" not in b.model.requests[1].body


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
