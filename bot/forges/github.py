"""GitHub: the forge protocol over REST, for github.com and Enterprise, as an App or with a token.

A repository is its numeric id. Before a path is used it is read once and its id compared, so that a name which somebody
else took over since is an error and never an address; a renamed repository is followed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx

from bot.forges.errors import AUTH, INVALID, MOVED, NOT_FOUND
from bot.forges.github_auth import credentials
from bot.forges.github_errors import moved
from bot.forges.github_shapes import (
    Clock,
    CommentShape,
    ContentFile,
    Created,
    IssueShape,
    Permission,
    PullShape,
    Ref,
    Repository,
    read,
)
from bot.forges.github_transport import Pace, Request, Transport
from bot.forges.protocol import Change, GitAccess, Home, Role, StatusState
from bot.model.errors import GatewrightError
from bot.model.event import Actor, Comment, Issue, Repo
from bot.model.manners import Manners
from bot.settings import GitHub as Table

Shape = TypeVar("Shape")
REPO: Final = "/repos/{owner}/{name}"
BASE_ROLE: Final = {"read": Role.READ, "write": Role.WRITE, "admin": Role.ADMIN}
FINER_ROLE: Final = {("write", "maintain"): Role.MAINTAIN, ("read", "triage"): Role.TRIAGE}
STATUS_CHARS: Final = 140
COMMENTS_PAGE: Final = 100
COMMENT_PAGES: Final = 10  # newest pages searched for a marker
ADDRESS_LIFE: Final = 300.0  # seconds for which a verified path is believed
GONE: Final = (NOT_FOUND, MOVED)
NOTIFYING: Final = ("/comments", "/pulls")  # POSTs that send people mail


@dataclass(frozen=True)
class _Address:
    home: Home
    verified: float

    def parts(self) -> dict[str, str]:
        owner, _, name = self.home.repo.path.partition("/")
        return {"owner": owner, "name": name}


class GitHub:
    """One GitHub with one set of credentials; implements bot.forges.protocol.Forge."""

    manners: Final = Manners(takes_bare=True, change_word="pull request")

    def __init__(
        self,
        table: Table,
        *,
        client: httpx.AsyncClient | None = None,
        clock: Clock = time.time,
        pace: Pace | None = None,
    ) -> None:
        pace = pace or Pace(write_gap=table.write_gap)
        self._client = client or httpx.AsyncClient(timeout=httpx.Timeout(30.0, connect=10.0))
        self._owns_client = client is None
        self._transport = Transport(self._client, table.api_url, pace=pace, clock=clock)
        self._credentials = credentials(table, self._transport, clock)
        self._web_url = table.web_url.rstrip("/")
        self._pace = pace
        self._clock = clock
        self._addresses: dict[int, _Address] = {}

    def learn(self, repo: Repo, installation: int) -> None:
        """Remember the App installation that an event named, which saves a look-up."""
        self._credentials.learn(repo, installation)

    async def me(self) -> Actor:
        """Read the bot's own account."""
        return await self._credentials.me()

    async def home(self, repo: Repo) -> Home:
        """Read where the repository lives now; git URLs are built on web_url, never taken from an answer."""
        owner, _, name = repo.path.partition("/")
        found = await self._send(repo, Request("GET", REPO, {"owner": owner, "name": name}, repo=repo.id))
        now = read(Repository, found, "a repository")
        if now.id != repo.id:
            raise moved(f"repository {repo.path} (id {repo.id})", f"the name belongs to repository {now.id} today")
        url = f"{self._web_url}/{now.full_name}.git"
        home = Home(repo=now.repo(repo.host), default_branch=now.default_branch, clone_url=url)
        self._addresses[repo.id] = _Address(home, self._clock())
        return home

    async def head(self, repo: Repo, branch: str) -> str:
        """Read the commit id a branch points to."""
        data = await self._ask(repo, "GET", "/git/ref{/ref*}", ref=["heads", *branch.split("/")])
        return read(Ref, data, "a branch").object.sha

    async def file(self, repo: Repo, path: str, commit: str) -> bytes | None:
        """Read one file of at most 1 MiB, GitHub's limit for this call; None where there is no such file."""
        try:
            data = await self._ask(repo, "GET", "/contents{/path*}{?ref}", path=path.split("/"), ref=commit)
        except GatewrightError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        if isinstance(data, list):
            return None  # a directory
        found = read(ContentFile, data, "a file")
        return _content(found, path) if found.type == "file" else None

    async def issue(self, repo: Repo, number: int) -> Issue | None:
        """Read an issue; a transferred one is gone from here."""
        found = await self._find(repo, "/issues/{number}", IssueShape, "an issue", number=number)
        return None if found is None else found.issue(self._now_ms())

    async def role(self, repo: Repo, actor: Actor) -> Role:
        """Read what an account may do; the login must still belong to the same numeric id."""
        try:
            data = await self._ask(repo, "GET", "/collaborators/{login}/permission", login=actor.login)
        except GatewrightError as error:
            if error.code == NOT_FOUND:
                return Role.NONE
            raise
        found = read(Permission, data, "a permission")
        if found.user is None or found.user.id != actor.id:
            return Role.NONE
        # An organisation's own role is worth what it is based on, never what it is called.
        base = BASE_ROLE.get(found.permission, Role.NONE)
        return FINER_ROLE.get((found.permission, found.role_name), base)

    async def account(self, actor: Actor) -> Actor:
        """Believe the event: GitHub's payloads say of what kind an account is."""
        return actor

    async def comment(self, repo: Repo, number: int, body: str, *, answering: int = 0, on_change: bool = False) -> int:
        """Post a comment; never repeated after a fault, as it may have been posted."""
        data = await self._ask(repo, "POST", "/issues/{number}/comments", {"body": body}, number=number)
        return read(Created, data, "a comment").id

    async def edit_comment(self, repo: Repo, number: int, comment: int, body: str) -> None:
        """Replace the body of a comment of ours."""
        await self._ask(repo, "PATCH", "/issues/comments/{comment}", {"body": body}, comment=comment)

    async def get_comment(self, repo: Repo, number: int, comment: int) -> Comment | None:
        """Read one comment again; one of another issue counts as gone."""
        found = await self._find(repo, "/issues/comments/{comment}", CommentShape, "a comment", comment=comment)
        if found is None or not found.issue_url.endswith(f"/issues/{number}"):
            return None
        return found.comment(self._now_ms())

    async def find_comment(
        self, repo: Repo, number: int, marker: str, *, answering: int = 0, on_change: bool = False
    ) -> int | None:
        """Find our own comment that holds a marker among the newest thousand."""
        me = await self.me()
        issue = await self._find(repo, "/issues/{number}", IssueShape, "an issue", number=number)
        last = -(-issue.comments // COMMENTS_PAGE) if issue else 0  # lists run oldest first and take no order
        for page in range(last, max(0, last - COMMENT_PAGES), -1):
            path = "/issues/{number}/comments{?per_page,page}"
            data = await self._ask(repo, "GET", path, number=number, per_page=COMMENTS_PAGE, page=page)
            for seen in reversed(read(list[CommentShape], data, "comments")):
                if seen.user and seen.user.id == me.id and marker in (seen.body or ""):
                    return seen.id
        return None

    async def react(self, repo: Repo, number: int, comment: int, reaction: str) -> None:
        """Add a reaction (`eyes`, `+1`) to a comment; GitHub answers 200 where it is there already."""
        await self._ask(repo, "POST", "/issues/comments/{comment}/reactions", {"content": reaction}, comment=comment)

    async def set_status(self, repo: Repo, commit: str, state: StatusState, context: str, text: str) -> None:
        """Set a commit status; `text` is cut to GitHub's 140 characters."""
        short = text if len(text) <= STATUS_CHARS else text[: STATUS_CHARS - 1] + "\u2026"
        body = {"state": state.value, "context": context, "description": short}
        await self._ask(repo, "POST", "/statuses/{commit}", body, commit=commit)

    async def open_change(self, repo: Repo, *, branch: str, base: str, title: str, body: str, draft: bool) -> Change:
        """Open a pull request; where the plan of the repository has no drafts, an ordinary one."""
        asked = {"title": title, "head": branch, "base": base, "body": body, "draft": draft}
        try:
            data = await self._ask(repo, "POST", "/pulls", asked)
        except GatewrightError as error:
            if error.code != INVALID or not draft or "draft" not in error.why.lower():
                raise
            data = await self._ask(repo, "POST", "/pulls", asked | {"draft": False})
        return _change(read(PullShape, data, "a pull request"))

    async def find_change(self, repo: Repo, branch: str) -> Change | None:
        """Find the newest pull request that we opened from a branch of this very repository."""
        me = await self.me()
        owner = (await self._address(repo)).parts()["owner"]
        path = "/pulls{?head,state,sort,direction,per_page}"
        order = {"state": "all", "sort": "created", "direction": "desc", "per_page": 100}
        data = await self._ask(repo, "GET", path, head=f"{owner}:{branch}", **order)
        for pull in read(list[PullShape], data, "pull requests"):
            from_here = pull.head.repo is not None and pull.head.repo.id == repo.id and pull.head.ref == branch
            if from_here and pull.user is not None and pull.user.id == me.id:
                return _change(pull)
        return None

    async def get_change(self, repo: Repo, number: int) -> Change | None:
        """Read one pull request."""
        found = await self._find(repo, "/pulls/{number}", PullShape, "a pull request", number=number)
        return None if found is None else _change(found)

    async def approves(self, repo: Repo, number: int, actor: Actor) -> bool:
        """Believe the event: a review is of one commit, which it names, and cannot be unsaid by its author."""
        return True

    async def edit_change(self, repo: Repo, number: int, *, body: str) -> None:
        """Replace the description of a pull request."""
        await self._ask(repo, "PATCH", "/pulls/{number}", {"body": body}, number=number)

    async def close_change(self, repo: Repo, number: int) -> None:
        """Close a pull request without merging it."""
        await self._ask(repo, "PATCH", "/pulls/{number}", {"state": "closed"}, number=number)

    async def git_access(self, repo: Repo, *, write: bool) -> GitAccess | None:
        """Give git a credential: for an App a fresh one for this repository alone, else the token."""
        await self._address(repo)
        return await self._credentials.git(repo, write=write)

    async def close(self) -> None:
        """Release connections, unless the client was lent to us."""
        if self._owns_client:
            await self._client.aclose()

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    async def _address(self, repo: Repo) -> _Address:
        known = self._addresses.get(repo.id)
        if known is None or not known.verified <= self._clock() < known.verified + ADDRESS_LIFE:
            await self.home(repo)
        return self._addresses[repo.id]

    async def _ask(self, repo: Repo, method: str, path: str, data: Any = b"", /, **parts: Any) -> Any:
        address = await self._address(repo)
        notifies = method == "POST" and path.endswith(NOTIFYING)
        request = Request(method, REPO + path, address.parts() | parts, data, repo.id, notifies)
        return await self._send(address.home.repo, request)

    async def _send(self, repo: Repo, request: Request) -> Any:
        bearer = await self._credentials.bearer(repo)
        try:
            return await self._transport.send(request, bearer)
        except GatewrightError as error:
            if error.code != AUTH or not self._credentials.renew(repo, bearer):
                raise
        return await self._transport.send(request, await self._credentials.bearer(repo))

    async def _find(self, repo: Repo, path: str, shape: type[Shape], what: str, /, **parts: Any) -> Shape | None:
        """Read what may be gone; an event can be faster than the object it tells of, so a 404 is asked again."""
        for pause in (*self._pace.visible, None):
            try:
                return read(shape, await self._ask(repo, "GET", path, **parts), what)
            except GatewrightError as error:
                if error.code not in GONE:
                    raise
                if pause is None or error.code == MOVED:
                    return None
            await asyncio.sleep(pause)
        return None


def _content(found: ContentFile, path: str) -> bytes:
    try:
        if found.encoding == "base64":
            return base64.b64decode("".join(found.content.split()), validate=True)
    except binascii.Error as error:
        raise GatewrightError(INVALID, f"GitHub's answer for {path} is no base64", why=str(error)) from error
    raise GatewrightError(INVALID, f"{path} is too large for GitHub's API", fix="keep the file below 1 MiB")


def _change(pull: PullShape) -> Change:
    return Change(
        number=pull.number,
        url=pull.html_url,
        head=pull.head.sha,
        branch=pull.head.ref,
        is_open=pull.state == "open",
        is_merged=pull.is_merged,
        is_draft=pull.draft,
    )
