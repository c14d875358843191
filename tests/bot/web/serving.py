"""Run the web process's application under a real uvicorn on loopback, and speak raw HTTP to it."""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
import redis
import uvicorn

from bot.app import configure, create_app
from bot.inbox import INBOX, Delivery
from bot.settings import GitHub, GitLab, Project, Redis, Server, Settings
from bot.web.body import Limits

SECRET = "hush-hush-a-webhook-secret"
PATH = "/webhooks/github"
Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        return msgspec.json.decode(self.body)


@dataclass
class Site:
    """A running web process and the Redis behind it."""

    port: int
    redis: redis.Redis
    settings: Settings
    answers: list[Answer] = field(default_factory=list)

    def ask(self, method: str, path: str, headers: Headers = (), body: Iterable[bytes] = ()) -> Answer:
        return exchange(self.port, method, path, headers, body)

    def stored(self) -> list[Delivery]:
        """Read the inbox as it lies in Redis."""
        found = []
        for _, entry in self.redis.xrange(INBOX):
            text = {
                key.decode(): value.decode() for key, value in entry.items() if key not in (b"body", b"received_ms")
            }
            found.append(Delivery(**text, body=entry[b"body"], received_ms=int(entry[b"received_ms"])))
        return found


@contextmanager
def serving(
    redis_url: str,
    *,
    secrets: tuple[str, ...] = (SECRET,),
    gitlab: GitLab = GitLab(),  # noqa: B008 - frozen
    projects: dict[str, Project] | None = None,
    limits: Limits | None = None,
    inbox_max: int = 10_000,
) -> Iterator[Site]:
    """Serve the true application in a thread of its own."""
    settings = Settings(
        server=Server(port=0),
        redis=Redis(url=redis_url, inbox_max=inbox_max),
        github=GitHub(webhook_secrets=secrets),
        gitlab=gitlab,
        projects=projects or {},
    )
    server = uvicorn.Server(configure(create_app(settings, limits=limits), settings))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server ended"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with redis.Redis.from_url(redis_url) as client:
            yield Site(port, client, settings)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server did not stop"


def exchange(
    port: int, method: str, path: str, headers: Headers, body: Iterable[bytes] = (), timeout: float = 20
) -> Answer:
    """Send a request as given, byte for byte, and read the answer as soon as it comes, sent out or not."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        head = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers)
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + head + b"\r\n")
        try:
            for piece in body:
                if select.select([connection], [], [], 0)[0]:
                    break  # it has answered already
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered and gone
        return _read(connection)


def _read(connection: socket.socket) -> Answer:
    received = b""
    while (cut := received.find(b"\r\n\r\n")) < 0 or len(received) < cut + 4 + _length(received[:cut]):
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            piece = b""
        assert piece, f"the connection ended after {received!r}"
        received += piece
    lines = received[:cut].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return Answer(int(lines[0].split()[1]), headers, received[cut + 4 :])


def _length(head: bytes) -> int:
    found = re.search(rb"(?i)content-length: (\d+)", head)
    return int(found[1]) if found else 0
