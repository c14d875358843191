"""Calls on a repository of GitHub by its numeric id; its address is verified first, lists are read in pages."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx
import msgspec

from bot.forges.errors import AUTH, FULL, MOVED, NOT_FOUND
from bot.forges.github_auth import credentials
from bot.forges.github_errors import moved
from bot.forges.github_shapes import Clock, Repository, read
from bot.forges.github_transport import Pace, Request, Transport
from bot.forges.protocol import Home
from bot.model.errors import GatewrightError
from bot.model.event import Repo
from bot.settings import GitHub as Table

Shape = TypeVar("Shape")
REPO: Final = "/repos/{owner}/{name}"
PAGE: Final = 100  # items, GitHub's most
ADDRESS_LIFE: Final = 300.0  # seconds for which a verified path is believed
GONE: Final = (NOT_FOUND, MOVED)
NOTIFYING: Final = ("/comments", "/pulls")  # POSTs that send people mail


@dataclass(frozen=True)
class Address:
    """Where a repository was found to live, and when."""

    home: Home
    verified: float

    def parts(self) -> dict[str, str]:
        """Split the path for use in URLs."""
        owner, _, name = self.home.repo.path.partition("/")
        return {"owner": owner, "name": name}


class Calls:
    """The one way to GitHub's API; every call may raise GatewrightError (`GW-FORGE-...`) or Unavailable."""

    def __init__(
        self,
        table: Table,
        *,
        client: httpx.AsyncClient | None = None,
        clock: Clock = time.time,
        pace: Pace | None = None,
    ) -> None:
        self.pace: Final = pace or Pace(write_gap=table.write_gap)
        self._client = client or httpx.AsyncClient(timeout=httpx.Timeout(30.0, connect=10.0))
        self._owns_client = client is None
        self._transport = Transport(self._client, table.api_url, pace=self.pace, clock=clock)
        self.credentials: Final = credentials(table, self._transport, clock)
        self.app_id: Final = table.app_id  # 0 where a token is used
        self._web_url = table.web_url.rstrip("/")
        self._clock = clock
        self._addresses: dict[int, Address] = {}

    def now_ms(self) -> int:
        """Read our clock in Unix milliseconds."""
        return int(self._clock() * 1000)

    async def lookup(self, near: Repo, path: str) -> Repo | None:
        """Find a repository by its path; None where it is not there or not ours to see."""
        owner, _, name = path.strip("/").partition("/")
        if not owner or not name or "/" in name:
            return None
        try:
            found = await self.send(near, Request("GET", REPO, {"owner": owner, "name": name}))
        except GatewrightError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        now = read(Repository, found, "a repository")
        return msgspec.structs.replace(near, id=now.id, path=now.full_name)

    async def home(self, repo: Repo) -> Home:
        """Read where the repository lives now; git URLs are built on web_url, never taken from an answer."""
        owner, _, name = repo.path.partition("/")
        found = await self.send(repo, Request("GET", REPO, {"owner": owner, "name": name}, repo=repo.id))
        now = read(Repository, found, "a repository")
        if now.id != repo.id:
            raise moved(f"repository {repo.path} (id {repo.id})", f"the name belongs to repository {now.id} today")
        home = Home(
            repo=now.repo(repo.host),
            default_branch=now.default_branch,
            clone_url=f"{self._web_url}/{now.full_name}.git",
            visibility=now.seen_by,
            owner=now.owner.id if now.owner else 0,
        )
        self._addresses[repo.id] = Address(home, self._clock())
        return home

    async def address(self, repo: Repo) -> Address:
        """Give the address that was verified within the last five minutes, or verify it now."""
        known = self._addresses.get(repo.id)
        if known is None or not known.verified <= self._clock() < known.verified + ADDRESS_LIFE:
            await self.home(repo)
        return self._addresses[repo.id]

    async def ask(self, repo: Repo, method: str, path: str, data: Any = b"", /, **parts: Any) -> Any:
        """Ask something of a repository; `path` is a URI template below its address."""
        address = await self.address(repo)
        notifies = method == "POST" and path.endswith(NOTIFYING)
        request = Request(method, REPO + path, address.parts() | parts, data, repo.id, notifies)
        return await self.send(address.home.repo, request)

    async def send(self, repo: Repo, request: Request) -> Any:
        """Send any request with the credential that is for a repository, renewed once where GitHub refuses it."""
        bearer = await self.credentials.bearer(repo)
        try:
            return await self._transport.send(request, bearer)
        except GatewrightError as error:
            if error.code != AUTH or not self.credentials.renew(repo, bearer):
                raise
        return await self._transport.send(request, await self.credentials.bearer(repo))

    async def find(self, repo: Repo, path: str, shape: type[Shape], what: str, /, **parts: Any) -> Shape | None:
        """Read what may be gone; an event can be faster than the object it tells of, so a 404 is asked again."""
        for pause in (*self.pace.visible, None):
            try:
                return read(shape, await self.ask(repo, "GET", path, **parts), what)
            except GatewrightError as error:
                if error.code not in GONE:
                    raise
                if pause is None or error.code == MOVED:
                    return None
            await asyncio.sleep(pause)
        return None

    async def pages(
        self, repo: Repo, path: str, shape: type[Shape], what: str, /, *, most: int, **parts: Any
    ) -> tuple[list[Shape], bool]:
        """Read a list from its beginning, at most so many pages; False with it where there is more."""
        found: list[Shape] = []
        for page in range(1, most + 1):
            data = await self.ask(repo, "GET", path, per_page=PAGE, page=page, **parts)
            items = read(list[shape], data, what)  # type: ignore[valid-type] # a type made at run time
            found += items
            if len(items) < PAGE:
                return found, True
        return found, False

    async def close(self) -> None:
        """Release connections, unless the client was lent to us."""
        if self._owns_client:
            await self._client.aclose()


def too_long(what: str) -> GatewrightError:
    """Say that a list has more entries than are read; what is not seen cannot be judged."""
    return GatewrightError(
        FULL, f"{what} is longer than can be read", why="what is not read cannot be judged", fix="go on in a new issue"
    )
