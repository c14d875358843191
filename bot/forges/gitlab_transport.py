"""One request to GitLab: through python-gitlab in a thread of its own, paced, bounded, and never sent to another host.

python-gitlab builds and reads the messages. What it leaves to its users is done here: waits that a server asks for are
bounded (its own are not), redirects carry our token nowhere, and `~/.netrc` has no say.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from bot.forges.errors import INVALID, RateLimited
from bot.forges.gitlab_errors import moved, rate_limited, translate, unavailable, wait_asked
from bot.forges.gitlab_shapes import Clock
from bot.model.errors import GatewrightError, Unavailable

if TYPE_CHECKING:
    import gitlab
    import requests

AGENT: Final = "gatewright"
MAX_ANSWER: Final = 16 * 1024 * 1024  # bytes
PAGE: Final = 100  # the most that GitLab puts on one
PAGES: Final = 60  # a list that is longer is refused, not cut
REPEATABLE: Final = frozenset({"GET", "PUT"})  # a POST may have been carried out before it failed


@dataclass(frozen=True)
class Pace:
    """How patiently to ask; all in seconds. `write_gap` keeps below the usual limit of 60 notes a minute."""

    write_gap: float = 1.0
    tries: int = 3
    backoff: float = 0.5
    patience: float = 10.0  # longest rate-limit wait that is sat out in place
    request: float = 30.0  # silence while connecting or reading
    visible: tuple[float, ...] = (0.25, 1.0)  # pauses before a 404 shortly after an event is believed


@dataclass(frozen=True)
class Request:
    """What to ask; `path` is below `/api/v4`, its parts quoted."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] | None = None
    notifies: bool = False

    def __str__(self) -> str:
        """Name the request for a person, without its query."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """What came back: decoded JSON, and the query of the next page, None at the end of a list."""

    body: Any
    following: Mapping[str, str] | None = None
    is_paged: bool = False


class Transport:
    """python-gitlab, one request at a time: its session is used by one thread only."""

    def __init__(self, url: str, token: str, *, pace: Pace, clock: Clock) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._pace = pace
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gitlab")
        self._client: gitlab.Gitlab | None = None
        self._writing = asyncio.Lock()
        self._notified = float("-inf")
        self._closed_until = 0.0

    async def send(self, request: Request) -> Any:
        """Carry out a request and return the decoded JSON; raise GatewrightError saying what to do."""
        return (await self._sent(request)).body

    async def pages(
        self, path: str, query: Mapping[str, Any] | None = None, *, most: int = PAGES
    ) -> AsyncIterator[list[Any]]:
        """Read a list page by page; raise where its end is not reached, so that none is taken for whole that is not.

        How many entries a page has tells nothing: GitLab leaves out what we may not see after it has cut the pages.
        """
        asked: Mapping[str, Any] = {**(query or {}), "per_page": PAGE}
        for _ in range(most):
            answer = await self._sent(Request("GET", path, asked))
            if not isinstance(answer.body, list):
                raise _unreadable(path, "the answer is no list")
            if len(answer.body) >= PAGE and not answer.is_paged:
                raise _unreadable(path, "a full page came without links: something on the way took them out")
            yield answer.body
            if answer.following is None:
                return
            asked = answer.following
        raise _unreadable(path, f"it has more than {most * PAGE} entries")

    async def _sent(self, request: Request) -> Answer:
        turn: AbstractAsyncContextManager[None] = nullcontext() if request.method == "GET" else self._turn(request)
        async with turn:
            for attempt in range(1, self._pace.tries + 1):
                try:
                    await self._open(request)
                    return await asyncio.get_running_loop().run_in_executor(self._thread, self._once, request)
                except RateLimited as limit:
                    self._closed_until = max(self._closed_until, limit.until)
                    if attempt == self._pace.tries or limit.until - self._clock() > self._pace.patience:
                        raise
                except Unavailable:
                    if attempt == self._pace.tries or request.method not in REPEATABLE:
                        raise
                    await asyncio.sleep(self._pace.backoff * 2 ** (attempt - 1))
        raise AssertionError  # the last attempt returns or raises

    async def close(self) -> None:
        """End the thread and its connections."""
        if self._client is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._client.session.close)
        self._thread.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def _turn(self, request: Request) -> AsyncIterator[None]:
        """Take turns for writes, with the gap between those that notify people."""
        async with self._writing:
            if request.notifies:
                await asyncio.sleep(max(0.0, self._notified + self._pace.write_gap - monotonic()))
            try:
                yield
            finally:
                if request.notifies:
                    self._notified = monotonic()

    async def _open(self, request: Request) -> None:
        """Keep to a limit that was announced."""
        wait = self._closed_until - self._clock()
        if wait > self._pace.patience:
            raise rate_limited(str(request), self._closed_until, wait)
        await asyncio.sleep(max(0.0, wait))

    def _once(self, request: Request) -> Answer:
        """Run in the thread."""
        import gitlab  # noqa: PLC0415 - the web process and the local forge do without it
        import requests  # noqa: PLC0415

        doing = str(request)
        self._client = self._client or self._connect()
        try:
            answer = self._client.http_request(
                request.method.lower(),
                request.path,
                query_data=dict(request.query),
                post_data=None if request.data is None else dict(request.data),
                obey_rate_limit=False,
                retry_transient_errors=False,
            )
            body = None if answer.status_code == HTTPStatus.NO_CONTENT else msgspec.json.decode(answer.content)
            return Answer(body, _following(answer), "Link" in answer.headers)
        except (gitlab.exceptions.RedirectError, requests.TooManyRedirects) as error:
            raise moved(doing, str(error)) from error
        except gitlab.exceptions.GitlabError as error:
            raise self._refusal(error, doing) from error
        except requests.RequestException as error:
            raise unavailable(doing, f"{type(error).__name__}: {error}") from error
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise unavailable(doing, f"the answer is not GitLab's: {type(error).__name__}") from error

    def _refusal(self, error: gitlab.exceptions.GitlabError, doing: str) -> Exception:
        status, now = error.response_code or 502, self._clock()
        wait = wait_asked(status, self._headers, now)
        if wait is not None:
            return rate_limited(doing, now + wait, wait)
        return translate(status, str(error.error_message), doing)

    def _connect(self) -> gitlab.Gitlab:
        import gitlab  # noqa: PLC0415
        import requests  # noqa: PLC0415

        session = requests.Session()
        session.max_redirects = 0  # requests would send PRIVATE-TOKEN along, wherever it leads
        session.auth = _as_it_is  # else ~/.netrc is asked
        session.hooks["response"].append(self._remember)
        return gitlab.Gitlab(
            self._url,
            private_token=self._token,
            timeout=self._pace.request,
            session=session,
            user_agent=AGENT,
            keep_base_url=True,
        )

    def _remember(self, answer: requests.Response, *_: object, **__: object) -> None:
        """Keep the headers, which python-gitlab's errors leave out, and refuse what is too large to read."""
        import requests  # noqa: PLC0415

        self._headers: Mapping[str, str] = answer.headers
        if int(answer.headers.get("Content-Length") or 0) > MAX_ANSWER:
            raise requests.RequestException("the answer is too large")


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _following(answer: requests.Response) -> dict[str, str] | None:
    """Take the query of the next page; its address stays the one that we asked, wherever the link points."""
    url = answer.links.get("next", {}).get("url", "")
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True)) if url else None


def _unreadable(path: str, why: str) -> GatewrightError:
    fix = "ask whoever runs GitLab and the proxy before it"
    return GatewrightError(INVALID, f"GitLab's list cannot be read to its end: GET {path}", why=why, fix=fix)
