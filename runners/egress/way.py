"""The way to one allowed host: its name resolved once, and the address that was looked at is the one connected to."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from runners.egress.addresses import is_public
from runners.egress.rules import Address, Rules, Target

CONNECT_SECONDS: Final = 15.0
HEAD_MAX: Final = 16 << 10
TRIED_MAX: Final = 4  # addresses of one name

Resolve = Callable[[str, int], Awaitable[list[str]]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Blocked(Exception):
    """A request that goes nowhere, with the status it is answered with."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Parent(msgspec.Struct, frozen=True):
    """The proxy of the site, which is the only way out of it."""

    host: str
    port: int
    is_tls: bool
    authorization: str = ""


async def resolve(host: str, port: int) -> list[str]:
    """Ask this machine's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def parent(target: Target, scheme: str, environ: Mapping[str, str] | None = None) -> Parent | None:
    """Find the site's proxy for a target, as bot.network has put it into the environment; None: there is none."""
    environ = os.environ if environ is None else environ
    found = environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY") or ""
    direct = environ.get("no_proxy", environ.get("NO_PROXY", ""))
    if not found or is_direct(target, direct):
        return None
    parts = urlsplit(found)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Blocked(502, "the site's proxy has no address that can be read")
    authorization = ""
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        authorization = f"Basic {base64.b64encode(pair).decode()}"
    is_tls = parts.scheme == "https"
    return Parent(parts.hostname, parts.port or (443 if is_tls else 80), is_tls, authorization)


def is_direct(target: Target, direct: str) -> bool:
    """Tell whether NO_PROXY has a target: `*`, a host or a domain with all below it, each with `:port` or without."""
    for entry in filter(None, (each.strip().lower() for each in direct.split(","))):
        name = entry.removesuffix(f":{target.port}").removeprefix("*").strip(".[]")
        if entry == "*" or (name and (target.host == name or target.host.endswith(f".{name}"))):
            return True
    return False


async def pinned(target: Target, rules: Rules, ask: Resolve) -> list[Address]:
    """Resolve a target once and keep what may be connected to; raise Blocked where that is nothing."""
    if target.address:
        return [target.address]  # it stands in the rules as an address, or nobody would ask
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            found = [ip_address(each) for each in await ask(target.host, target.port)]
    except (OSError, TimeoutError, ValueError, UnicodeError):
        raise Blocked(502, f"{target.host} cannot be resolved") from None
    kept = [each for each in found if is_public(each) or rules.lets_address(each, target.port)]
    if not kept:
        where = ", ".join(str(each) for each in found[:TRIED_MAX]) or "nothing"
        raise Blocked(403, f"{target.host} leads to {where}, which is no public address and not allowed by itself")
    return kept[:TRIED_MAX]


async def connect(addresses: list[Address], port: int, seconds: float) -> Streams:
    """Connect to the first of these addresses that answers; no name is looked up any more."""
    for address in addresses:
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.open_connection(str(address), port)
        except (OSError, TimeoutError):
            continue
    raise Blocked(504, "it does not answer")


async def through(up: Parent) -> Streams:
    """Connect to the site's proxy; how its own name resolves is the operator's business."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await asyncio.open_connection(
                up.host, up.port, ssl=ssl.create_default_context() if up.is_tls else None
            )
    except (OSError, TimeoutError):
        raise Blocked(504, "the site's proxy does not answer") from None


async def tunnel(up: Parent, target: Target, streams: Streams) -> None:
    """Have the site's proxy connect to a target; raise Blocked where it does not."""
    reader, writer = streams
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    lines += [f"Proxy-Authorization: {up.authorization}"] if up.authorization else []
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise Blocked(504, "the site's proxy does not answer") from None
    status = head.split(b" ", 2)[1:2]
    if len(head) > HEAD_MAX or not status or not status[0].startswith(b"2"):
        said = status[0].decode("latin-1")[:3] if status else "nothing"
        raise Blocked(502, f"the site's proxy answers {said}")
