"""The two requests of Git LFS that a reader needs: where objects are, and their bytes; hostile answers expected."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec

from bot.forges.protocol import GitAccess
from bot.model.errors import GatewrightError, Unavailable
from runners.workspace.lfs import Pointer

MEDIA: Final = "application/vnd.git-lfs+json"
ANSWER_BYTES: Final = 4 << 20
BATCH: Final = 100
HOPS: Final = 3  # redirects of one object
TIMEOUT: Final = httpx.Timeout(60.0, connect=15.0)
PORTS: Final = {"http": 80, "https": 443}
# What a server may not say about our request; the names of the others have to be plain.
OURS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "cookie", "te", "upgrade", "range"}
)
HEADER: Final = re.compile(r"^[A-Za-z0-9-]{1,100}\Z")
AWAY: Final = (408, 425, 429)


class Download(msgspec.Struct, frozen=True):
    """Where the server says an object is."""

    href: str
    header: dict[str, str] = {}
    authenticated: bool = False


class Actions(msgspec.Struct, frozen=True):
    """What can be done with an object."""

    download: Download | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Why an object cannot be had."""

    code: int = 0
    message: str = ""


class Item(msgspec.Struct, frozen=True):
    """One object of an answer."""

    oid: str
    actions: Actions = Actions()
    error: Refusal | None = None


class Answer(msgspec.Struct, frozen=True):
    """The answer to a batch request."""

    objects: tuple[Item, ...]
    transfer: str = "basic"


class LfsError(GatewrightError):
    """An LFS server or an object store did not do what was asked; carries no credential."""


class Batch:
    """One talk with the LFS server of one repository, and with the object stores that `hosts` allows besides it."""

    def __init__(self, url: str, access: GitAccess | None, hosts: Sequence[str], client: httpx.AsyncClient) -> None:
        self._url = f"{url if url.endswith('.git') else f'{url}.git'}/info/lfs/objects/batch"
        self._access = access
        self._hosts = hosts
        self._client = client

    async def ask(self, wanted: Sequence[Pointer]) -> dict[str, Download | None]:
        """Ask where up to 100 objects are, by digest; None where the server says that it has none."""
        body = msgspec.json.encode({
            "operation": "download", "transfers": ["basic"], "hash_algo": "sha256",
            "objects": [{"oid": each.sha256, "size": each.size} for each in wanted],
        })  # fmt: skip
        headers = {"Accept": MEDIA, "Content-Type": MEDIA, **self._credential()}
        async with self._sent("POST", self._url, headers, body) as response:
            if response.status_code != 200:
                raise _refused(self._url, response.status_code)
            said = bytearray()
            async for chunk in response.aiter_bytes():
                said += chunk
                if len(said) > ANSWER_BYTES:
                    raise LfsError("GW-LFS-ANSWER", f"{self._url} answered with more than {ANSWER_BYTES} bytes")
        try:
            answer = msgspec.json.decode(bytes(said), type=Answer)
        except msgspec.MsgspecError as error:
            raise LfsError(
                "GW-LFS-ANSWER", f"{self._url} answered with what is no batch answer", why=str(error)
            ) from None
        if answer.transfer != "basic":
            raise LfsError("GW-LFS-ANSWER", f"{self._url} wants another transfer than basic")
        return {each.oid: None if each.error else each.actions.download for each in answer.objects}

    def is_allowed(self, href: str) -> bool:
        """Tell whether an address is on the server's own host and port, or on a host that the operator allows."""
        place, ours = _place(href), _place(self._url)
        if place is None or ours is None or (place[0] == "http" and ours[0] != "http"):
            return False
        return place[1:] == ours[1:] or any(place[1:] in _named(entry) for entry in self._hosts)

    async def load(self, pointer: Pointer, place: Download, goal: Path) -> None:
        """Write an object to a new file; raise LfsError unless it has exactly the size and digest of its pointer."""
        href, headers = place.href, self._headers(place)
        for _ in range(HOPS + 1):
            if not self.is_allowed(href):
                raise LfsError(
                    "GW-LFS-HOST",
                    f"the LFS server sends us for {pointer.path} to {_shown(href)}",
                    why="it is neither the repository's own host nor in [workspace] lfs_hosts",
                    fix="add the object store to [workspace] lfs_hosts if it is one of yours",
                )
            async with self._sent("GET", href, headers, None) as response:
                leads = response.headers.get("Location", "") if response.is_redirect else ""
                if not leads:
                    await _write(response, pointer, goal, _shown(href))
                    return
            leads = urljoin(href, leads)
            if _place(leads) != _place(href):
                headers = {}
            href = leads
        raise LfsError("GW-LFS-ANSWER", f"{_shown(place.href)} redirects more than {HOPS} times")

    def _headers(self, place: Download) -> dict[str, str]:
        """Take what the server says to send, and our credential only to the server itself."""
        given = {
            name: value for name, value in place.header.items() if HEADER.match(name) and name.lower() not in OURS
        }  # fmt: skip
        if _place(place.href) != _place(self._url):
            return {name: value for name, value in given.items() if not self._holds_secret(value)}
        if place.authenticated or any(name.lower() == "authorization" for name in given):
            return given
        return given | self._credential()

    def _holds_secret(self, value: str) -> bool:
        secrets = (self._access.password, _basic(self._access)) if self._access and self._access.password else ()
        return any(secret in value for secret in secrets)

    def _credential(self) -> dict[str, str]:
        return {"Authorization": f"Basic {_basic(self._access)}"} if self._access else {}

    @asynccontextmanager
    async def _sent(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> AsyncIterator[httpx.Response]:
        whole = {"Accept-Encoding": "identity", **headers}
        try:
            async with self._client.stream(method, url, headers=whole, content=body, timeout=TIMEOUT) as response:
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(
                "GW-LFS-AWAY", f"{_shown(url)} did not answer", why=type(error).__name__, fix="retry when it does"
            ) from None


async def _write(response: httpx.Response, pointer: Pointer, goal: Path, shown: str) -> None:
    if response.status_code != 200:
        raise _refused(shown, response.status_code)
    hashed, size = hashlib.sha256(), 0
    with goal.open("xb") as out:
        async for chunk in response.aiter_raw(1 << 16):
            size += len(chunk)
            if size > pointer.size:
                break
            hashed.update(chunk)
            out.write(chunk)
    if size != pointer.size or hashed.hexdigest() != pointer.sha256:
        raise LfsError(
            "GW-LFS-OBJECT",
            f"{shown} sent another content for {pointer.path} than its pointer names",
            why=f"{'more than ' if size > pointer.size else ''}{min(size, pointer.size)} of {pointer.size} bytes",
            fix="have the object uploaded again (git lfs push --all), then `retry`",
        )


def _refused(url: str, status: int) -> GatewrightError:
    what = f"{_shown(url)} answered {status}"
    if status >= 500 or status in AWAY:
        return Unavailable("GW-LFS-AWAY", what, fix="retry when it does its work again")
    fix = "check that the token may read this repository and that Git LFS is on there; or set [workspace] lfs = false"
    return LfsError("GW-LFS-ANSWER", what, fix=fix)


def _place(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    odd = not parts.hostname or "@" in parts.netloc or any(not "!" <= mark <= "~" or mark == "\\" for mark in url)
    return None if odd else (parts.scheme, parts.hostname or "", port)


def _named(entry: str) -> list[tuple[str, int]]:
    """Read an entry of lfs_hosts: without a port it means 443 and 80."""
    host, _, port = entry.partition(":")
    return [(host.lower(), each) for each in ([int(port)] if port else PORTS.values())]


def _shown(url: str) -> str:
    """Say where a URL leads without its query, which may be a signature."""
    place = _place(url)
    return f"{place[0]}://{place[1]}:{place[2]}{urlsplit(url).path[:100]}" if place else "an address that is none"


def _basic(access: GitAccess) -> str:
    return base64.b64encode(f"{access.username}:{access.password}".encode()).decode()
