"""A site with an authority of its own and one proxy to the outside, on loopback."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NAMES = ("localhost", "forge.bank.test", "model.bank.test")
INSIDE = "127.0.0.1"


@dataclass(frozen=True)
class Authority:
    """A certificate authority that no system knows, and one server's certificate by it."""

    ca: Path
    chain: Path
    key: Path


def authority(folder: Path) -> Authority:
    """Make both with openssl."""
    ca, ca_key, chain, key, ask, names = (
        folder / n for n in ("ca.pem", "ca.key", "server.pem", "server.key", "ask", "names")
    )
    names.write_text(f"subjectAltName={','.join(f'DNS:{n}' for n in NAMES)},IP:{INSIDE}\nbasicConstraints=CA:false\n")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    usage = ["-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    _openssl("req", "-x509", *new, "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", "/CN=Bank CA", *usage)
    _openssl("req", *new, "-keyout", key, "-out", ask, "-subj", "/CN=bank")
    _openssl(
        "x509", "-req", "-in", ask, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", chain, "-days", "2",
        "-extfile", names,
    )  # fmt: skip
    return Authority(ca, chain, key)


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@contextmanager
def front(of: Authority, plain: int) -> Iterator[int]:
    """Serve TLS in front of a plain server on this machine; yields the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(of.chain, of.key)

    def talk(connection: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            context.wrap_socket(connection, server_side=True) as outer,
            socket.create_connection((INSIDE, plain)) as inner,
        ):
            _join(outer, inner)

    with _listening(talk) as port:
        yield port


@dataclass
class Proxy:
    """A CONNECT proxy, the only one that can find the hosts outside."""

    url: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def proxy(hosts: Mapping[str, int]) -> Iterator[Proxy]:
    """Serve CONNECT for these `host:port`s, each at a port of this machine; everything else is 502."""
    made = Proxy()

    def talk(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(1)
            verb, target = head.split(b" ")[:2]
            made.asked.append(target.decode())
            if verb != b"CONNECT" or target.decode() not in hosts:
                connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection((INSIDE, hosts[target.decode()])) as inner:
                connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                _join(connection, inner)

    with _listening(talk) as port:
        made.url = f"http://{INSIDE}:{port}"
        yield made


@contextmanager
def _listening(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    door = socket.create_server((INSIDE, 0))
    door.settimeout(0.1)
    closing = threading.Event()

    def accept() -> None:
        while not closing.is_set():
            with contextlib.suppress(TimeoutError, OSError):
                threading.Thread(target=talk, args=(door.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield door.getsockname()[1]
    finally:
        closing.set()
        thread.join()
        door.close()


def _join(one: socket.socket, other: socket.socket) -> None:
    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=copy, args=(other, one), daemon=True)
    back.start()
    copy(one, other)
    back.join()
