"""The filtering proxy over real sockets: what gets out, what does not, and what is written down of both."""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runners.egress.proxy import Bounds, Egress
from runners.egress.rules import Rules
from tests.runners.recorder import ListRecorder

LOOPBACK = "127.0.0.1"


class Server:
    """A server on loopback that keeps what it is sent and answers with what it is told."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") -> None:
        self.got: list[bytes] = []
        self.port = 0
        self._answer = answer

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.got.append(b"")
        number = len(self.got) - 1
        while piece := await reader.read(65_536):
            self.got[number] += piece
            if self.got[number].endswith((b"\r\n\r\n", b"end", b"ping")):
                writer.write(self._answer)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def served(server: Server) -> AsyncIterator[Server]:
    listening = await asyncio.start_server(server.talk, LOOPBACK, 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


@asynccontextmanager
async def opened(allowed: Sequence[str], recorder: ListRecorder | None = None, **more: Any) -> AsyncIterator[Egress]:
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        async with Egress(Path(folder), Rules.parse(allowed), recorder or ListRecorder(), **more) as egress:
            yield egress


async def say(egress: Egress, *pieces: bytes) -> bytes:
    """Send pieces and read to the end; for tunnels, the first piece is followed once it has been answered."""
    reader, writer = await asyncio.open_unix_connection(str(egress.socket))
    said = b""
    async with asyncio.timeout(10):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if piece is not pieces[-1]:
                said += await reader.readuntil(b"\r\n\r\n")
        if writer.can_write_eof():
            writer.write_eof()
        try:
            said += await reader.read()
        except ConnectionResetError:
            said += b"[reset]"
    writer.close()
    return said


def connect(place: str, host: str = "") -> bytes:
    return f"CONNECT {place} HTTP/1.1\r\nHost: {host or place}\r\n\r\n".encode()


@pytest.fixture(autouse=True)
def no_site_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_a_tunnel_to_what_is_allowed_carries_both_ways_and_is_recorded() -> None:
    recorder = ListRecorder()
    async with served(Server(b"pong")) as server:
        place = f"{LOOPBACK}:{server.port}"
        async with opened([place], recorder) as egress:
            assert await say(egress, connect(place), b"ping") == b"HTTP/1.1 200 \r\n\r\npong"
    first, last = recorder.of("gate")
    assert (first.data.rule, first.data.result, first.outcome) == ("egress", place, "ok")
    assert last.data.result == "1 connections, 0 refused, 4 bytes sent, 4 bytes received"
    line = msgspec.json.decode(last.blobs["connections"])
    assert (line["place"], line["address"], line["sent"]) == (place, LOOPBACK, 4)


async def test_plain_http_is_forwarded_with_our_own_head() -> None:
    async with served(Server()) as server:
        place = f"{LOOPBACK}:{server.port}"
        async with opened([place]) as egress:
            asked = f"GET http://{place}/simple/?a=1 HTTP/1.1\r\nHost: {place}\r\nProxy-Connection: x\r\nA: b\r\n\r\n"
            said = await say(egress, asked.encode())
    assert said.startswith(b"HTTP/1.1 200")
    assert said.endswith(b"\r\n\r\nok")
    (got,) = server.got
    expected = f"get /simple/?a=1 http/1.1\r\nhost: {place}\r\na: b\r\nconnection: close\r\n\r\n"
    assert got.lower() == expected.encode()


async def test_a_body_goes_along_and_a_redirect_is_handed_back() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with served(Server(answer)) as server:
        place = f"{LOOPBACK}:{server.port}"
        async with opened([place]) as egress:
            head = f"POST http://{place}/ HTTP/1.1\r\nHost: {place}\r\nContent-Length: 8\r\n\r\n"
            said = await say(egress, head.encode() + b"body end")
    assert said.startswith(b"HTTP/1.1 302")
    assert server.got[0].endswith(b"\r\n\r\nbody end")
    assert len(server.got) == 1


PLAIN = b"POST http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\n"
REFUSED = [
    (connect("evil.test:443"), b"403"),
    (connect("allowed.test:8080"), b"403"),
    (connect("93.184.216.34:443"), b"403"),
    (connect("169.254.169.254:80"), b"403"),
    (connect("[fd00:ec2::254]:80"), b"403"),
    (connect("2130706433:443"), b"400"),
    (connect("allowed.test:443", "evil.test:443"), b"400"),
    (b"GET http://allowed.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", b"400"),
    (b"GET http://evil.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n", b"400"),
    (b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", b"403"),
    (b"GET http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\nHost: evil.test\r\n\r\n", b"400"),
    (b"GET /latest/meta-data HTTP/1.1\r\nHost: allowed.test\r\n\r\n", b"400"),
    (b"GET http://allowed.test/ HTTP/1.1\nX\r\n\r\n", b"400"),
    (b"GET http://allowed.test/\rX HTTP/1.1\r\nHost: allowed.test\r\n\r\n", b"400"),
    (PLAIN + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
    (PLAIN + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "status"), REFUSED)
async def test_nothing_else_gets_out_however_it_is_asked_for(asked: bytes, status: bytes) -> None:
    recorder, looked = ListRecorder(), []

    async def ask(host: str, _: int) -> list[str]:
        looked.append(host)
        return [LOOPBACK]

    async with opened(["allowed.test"], recorder, ask=ask) as egress:
        said = await say(egress, asked)
    assert said.split(b" ")[1] == status, said
    assert looked == []
    refused, last = recorder.of("gate")
    assert refused.outcome == "denied"
    assert refused.blobs["why"]
    assert last.data.result.startswith("0 connections, 1 refused")


async def test_a_second_request_behind_the_first_does_not_get_out() -> None:
    async with served(Server()) as server:
        place = f"{LOOPBACK}:{server.port}"
        async with opened([place]) as egress:
            one = f"GET http://{place}/a HTTP/1.1\r\nHost: {place}\r\n\r\n".encode()
            said = await say(egress, one + b"GET http://169.254.169.254/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")
    assert said.count(b"HTTP/1.1") == 1
    assert len(server.got) == 1
    assert b"169.254" not in server.got[0]


@pytest.mark.parametrize(
    "address", [LOOPBACK, "169.254.169.254", "fd00:ec2::254", "10.0.0.1", "::ffff:127.0.0.1", "224.0.0.1", "0.0.0.0"]
)
async def test_a_name_that_leads_into_the_house_is_refused(address: str) -> None:
    async def ask(_: str, __: int) -> list[str]:
        return [address]

    async with opened(["allowed.test"], ask=ask) as egress:
        said = await say(egress, connect("allowed.test:443"))
    assert b" 403 " in said
    assert str(ip_address(address)).encode() in said


async def test_a_name_leads_into_the_house_where_policy_writes_the_address_as_well() -> None:
    async def ask(_: str, __: int) -> list[str]:
        return ["10.9.9.9", LOOPBACK]

    async with served(Server(b"pong")) as server:
        allowed = [f"mirror.bank.test:{server.port}", f"{LOOPBACK}:{server.port}"]
        async with opened(allowed, ask=ask) as egress:
            said = await say(egress, connect(f"mirror.bank.test:{server.port}"), b"ping")
    assert said.endswith(b"pong")


async def test_a_name_that_changes_its_mind_is_asked_once_and_held_to_what_was_looked_at() -> None:
    """DNS rebinding: the second answer is never asked for, and a connection goes to the first."""
    answers = [["::1"], [LOOPBACK]]
    asked: list[str] = []

    async def ask(host: str, _: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    async with served(Server(b"pong")) as server:
        place = f"rebind.test:{server.port}"
        allowed = [place, f"[::1]:{server.port}"]  # where nobody listens
        async with opened(allowed, ask=ask) as egress:
            first = await say(egress, connect(place))
            second = await say(egress, connect(place))
    assert asked == ["rebind.test", "rebind.test"]
    assert b" 504 " in first
    assert b" 403 " in second
    assert server.got == []


class SiteProxy(Server):
    """The site's own proxy: answers CONNECT and then plays the other end."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.got.append(await reader.readuntil(b"\r\n\r\n"))
        if self.got[-1].startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 Fine\r\n\r\n")
            writer.write(await reader.read(4))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()


async def unknown(_: str, __: int) -> list[str]:
    raise OSError("the site resolves foreign names at its proxy alone")


async def test_the_proxy_of_the_site_is_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(SiteProxy()) as site:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://ann:p%40ss@{LOOPBACK}:{site.port}")
        async with opened(["pypi.test"], ask=unknown) as egress:
            tunnelled = await say(egress, connect("pypi.test:443"), b"ping")
            plain = await say(egress, b"GET http://pypi.test/x HTTP/1.1\r\nHost: pypi.test\r\n\r\n")
            refused = await say(egress, connect("evil.test:443"))
    assert tunnelled.endswith(b"ping")
    assert plain.endswith(b"ok")
    assert b" 403 " in refused
    pair = base64.b64encode(b"ann:p@ss")
    assert [each.split(b" HTTP")[0] for each in site.got] == [b"CONNECT pypi.test:443", b"GET http://pypi.test/x"]
    assert all(pair in each for each in site.got)
    assert pair not in tunnelled + plain


async def test_a_name_known_to_lead_into_the_house_is_not_given_to_the_proxy_of_the_site(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ask(_: str, __: int) -> list[str]:
        return ["169.254.169.254"]

    async with served(SiteProxy()) as site:
        monkeypatch.setenv("https_proxy", f"http://{LOOPBACK}:{site.port}")
        async with opened(["pypi.test"], ask=ask) as egress:
            assert b" 403 " in await say(egress, connect("pypi.test:443"))
    assert site.got == []


async def test_silence_ends_a_connection() -> None:
    async with served(Server()) as server:
        place = f"{LOOPBACK}:{server.port}"
        async with opened([place], bounds=Bounds(idle_seconds=0.3)) as egress:
            reader, writer = await asyncio.open_unix_connection(str(egress.socket))
            writer.write(connect(place))
            async with asyncio.timeout(5):
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1_000)
            writer.close()


async def test_so_many_bytes_and_no_more_go_out() -> None:
    async with served(Server()) as server:
        place = f"{LOOPBACK}:{server.port}"
        async with opened([place], bounds=Bounds(sent=1_000)) as egress:
            await say(egress, connect(place), b"x" * 100_000)
            assert b"as many bytes" in await say(egress, connect(place))
    assert sum(map(len, server.got)) <= 1_000


async def test_so_many_connections_and_no_more_at_once() -> None:
    async with served(Server()) as server:
        place = f"{LOOPBACK}:{server.port}"
        async with opened([place], bounds=Bounds(connections=2)) as egress:
            held = [await asyncio.open_unix_connection(str(egress.socket)) for _ in range(2)]
            for _, writer in held:
                writer.write(connect(place))
            for reader, _ in held:
                await reader.readuntil(b"\r\n\r\n")
            reader, writer = await asyncio.open_unix_connection(str(egress.socket))
            assert await reader.read() == b""
            for _, each in (*held, (reader, writer)):
                each.close()


async def test_what_cannot_be_recorded_does_not_happen() -> None:
    class Full(ListRecorder):
        def record(self, *_: Any, **__: Any) -> None:
            raise OSError("disk full")

    async def twice(place: str) -> None:
        async with opened([place], Full()) as egress:
            await say(egress, connect(place))
            await say(egress, connect(place))

    async with served(Server()) as server:
        with pytest.raises(OSError, match="disk full"):
            await twice(f"{LOOPBACK}:{server.port}")
    assert server.got == []


async def test_the_socket_is_for_one_user() -> None:
    uid = 64_321 if os.geteuid() == 0 else None
    async with opened(["allowed.test"], uid=uid) as egress:
        found = egress.socket.stat()
        assert found.st_mode & 0o777 == 0o600
        assert found.st_uid == (uid or os.geteuid())
    assert not egress.socket.exists()
