"""One request to GitHub: paced, bounded, retried where that is safe, and never sent to another host.

gidgethub builds and reads the messages. What it leaves to its users is done here: 429 and secondary limits, redirects
of renamed repositories, connection faults, answers that no library expects, and a ceiling on their size.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from typing import Any, Final

import httpx
from gidgethub import HTTPException, RedirectionException
from gidgethub.abc import GitHubAPI

from bot.forges.errors import RateLimited
from bot.forges.github_errors import moved, rate_limited, translate, unavailable, wait_asked
from bot.forges.github_shapes import Clock
from bot.model.errors import Unavailable

ACCEPT: Final = "application/vnd.github+json"
VERSION: Final = {"x-github-api-version": "2022-11-28"}
AGENT: Final = "gatewright"
MAX_ANSWER: Final = 16 * 1024 * 1024  # bytes
HOPS: Final = 3
READS: Final = frozenset({"GET"})
REPEATABLE: Final = frozenset({"GET", "PUT", "PATCH", "DELETE"})  # a POST may have been carried out before it failed


@dataclass(frozen=True)
class Pace:
    """How patiently to ask; all in seconds.

    `write_gap` is GitHub's advice for many writes that notify people, on average; `burst` may follow each other at once
    after a quiet time, so that a first draft need not wait for the progress comment before it.
    """

    write_gap: float = 1.0
    burst: int = 2
    tries: int = 3
    backoff: float = 0.5
    patience: float = 10.0  # longest rate-limit wait that is sat out in place
    request: float = 60.0  # one request with its answer
    visible: tuple[float, ...] = (0.25, 1.0)  # pauses before a 404 shortly after an event is believed


@dataclass(frozen=True)
class Bearer:
    """A credential; rate limits are counted per `bucket`."""

    value: str = field(repr=False)
    bucket: str
    is_jwt: bool = False


@dataclass(frozen=True)
class Request:
    """What to ask: a URI template with its parts. `repo` is the id that a redirect may lead to, 0 for none."""

    method: str
    url: str
    parts: Mapping[str, Any] = field(default_factory=dict)
    data: Any = b""  # gidgethub's word for no body
    repo: int = 0
    notifies: bool = False

    def __str__(self) -> str:
        """Name the request for a person, without its query."""
        shown = re.sub(r"\{\?[^}]*\}", "", self.url)
        return f"{self.method} " + re.sub(r"\{/?(\w+)\*?\}", self._part, shown)

    def _part(self, match: re.Match[str]) -> str:
        value = self.parts.get(match[1], match[0])
        return "/" + "/".join(value) if isinstance(value, list) else str(value)


class Transport(GitHubAPI):
    """gidgethub over one httpx client."""

    def __init__(self, client: httpx.AsyncClient, api_url: str, *, pace: Pace, clock: Clock) -> None:
        super().__init__(AGENT, base_url=api_url.rstrip("/"))
        self._client = client
        self._pace = pace
        self._clock = clock
        self._writing = asyncio.Lock()
        self._due = float("-inf")  # when the next write that notifies people keeps to the average
        self._closed_until: dict[str, float] = {}

    async def send(self, request: Request, bearer: Bearer) -> Any:
        """Carry out a request and return the decoded JSON; raise GatewrightError saying what to do."""
        turn: AbstractAsyncContextManager[None] = nullcontext() if request.method in READS else self._turn(request)
        async with turn:
            for attempt in range(1, self._pace.tries + 1):
                try:
                    return await self._follow(request, bearer)
                except RateLimited as limit:
                    if attempt == self._pace.tries or limit.until - self._clock() > self._pace.patience:
                        raise
                except Unavailable as fault:
                    if attempt == self._pace.tries or not _may_repeat(request, fault):
                        raise
                    await self.sleep(self._pace.backoff * 2 ** (attempt - 1))
        raise AssertionError  # the last attempt returns or raises

    @asynccontextmanager
    async def _turn(self, request: Request) -> AsyncIterator[None]:
        """Take turns for writes; those that notify people keep to their pace."""
        async with self._writing:
            if request.notifies:
                await self.sleep(self._due - self._pace.write_gap * (self._pace.burst - 1) - monotonic())
            try:
                yield
            finally:
                if request.notifies:
                    self._due = max(self._due, monotonic()) + self._pace.write_gap

    async def _follow(self, request: Request, bearer: Bearer) -> Any:
        url, parts = request.url, dict(request.parts)
        for _ in range(HOPS):
            try:
                return await self._once(request, bearer, url, parts)
            except RedirectionException as redirect:
                url, parts = self._target(request, redirect), {}
        raise moved(str(request), f"more than {HOPS} redirects")

    def _target(self, request: Request, redirect: RedirectionException) -> str:
        """Accept only the same repository, by its id, at the same API: redirects carry our token along."""
        location = str(redirect.headers.get("location", ""))
        home = f"{self.base_url}/repositories/{request.repo}"
        if not request.repo or not (location == home or location.startswith((home + "/", home + "?"))):
            raise moved(str(request), f"GitHub answered {int(redirect.status_code)} and points elsewhere")
        return location

    async def _once(self, request: Request, bearer: Bearer, url: str, parts: dict[str, Any]) -> Any:
        await self._open(request, bearer)
        try:
            async with asyncio.timeout(self._pace.request):
                data, _, _ = await self._make_request(
                    request.method,
                    url,
                    parts,
                    request.data,
                    ACCEPT,
                    jwt=bearer.value if bearer.is_jwt else None,
                    oauth_token=None if bearer.is_jwt else bearer.value,
                )
        except RedirectionException:
            raise
        except HTTPException as error:
            raise self._refusal(error, request, bearer) from error
        except (httpx.TransportError, TimeoutError) as error:
            raise unavailable(str(request), f"{type(error).__name__}: {error}") from error
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise unavailable(str(request), f"the answer is not GitHub's: {type(error).__name__}") from error
        return data

    async def _open(self, request: Request, bearer: Bearer) -> None:
        """Keep to a rate limit that was announced: asking on may get the App banned."""
        until = self._closed_until.get(bearer.bucket, 0.0)
        wait = until - self._clock()
        if wait > self._pace.patience:
            raise rate_limited(str(request), until, wait)
        await self.sleep(wait)

    def _refusal(self, error: HTTPException, request: Request, bearer: Bearer) -> Exception:
        now = self._clock()
        wait = wait_asked(error, now)
        if wait is None:
            return translate(error, str(request), now)
        self._closed_until[bearer.bucket] = now + wait
        return rate_limited(str(request), now + wait, wait)

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, Mapping[str, str], bytes]:
        sending = {**headers, **VERSION}
        async with self._client.stream(method, url, headers=sending, content=body) as response:
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER:
                    raise ValueError("answer too large")
            return _known(response.status_code), response.headers, bytes(content)

    async def sleep(self, seconds: float) -> None:
        """Wait, if there is anything to wait for."""
        if seconds > 0:
            await asyncio.sleep(seconds)


def _may_repeat(request: Request, fault: Unavailable) -> bool:
    return request.method in REPEATABLE or isinstance(fault.__cause__, httpx.ConnectError)


def _known(status: int) -> int:
    """Map proxies' own status codes (520 and the like), which gidgethub cannot name, to their class."""
    try:
        return HTTPStatus(status).value
    except ValueError:
        return HTTPStatus.BAD_GATEWAY if status >= HTTPStatus.INTERNAL_SERVER_ERROR else HTTPStatus.BAD_REQUEST
