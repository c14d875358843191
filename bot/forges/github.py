"""GitHub: the forge protocol over REST, for github.com and Enterprise, as an App or with a token.

A repository is its numeric id. Before a path is used it is read once and its id compared, so that a name which somebody
else took over since is an error and never an address; a renamed repository is followed.
"""

from __future__ import annotations

import base64
import binascii
import time
from typing import Final

import httpx
from msgspec.structs import replace

from bot.forges import github_gates as gates
from bot.forges import github_history as history
from bot.forges.errors import INVALID, NOT_FOUND
from bot.forges.github_calls import PAGE, Calls
from bot.forges.github_protection import protection
from bot.forges.github_shapes import (
    Clock,
    CommentShape,
    ContentFile,
    Created,
    IssueShape,
    Permission,
    PullShape,
    Ref,
    read,
)
from bot.forges.github_transport import Pace
from bot.forges.protocol import (
    Change,
    Comparison,
    GitAccess,
    Home,
    LastChange,
    Membership,
    Protection,
    StatusState,
)
from bot.model.errors import GatewrightError
from bot.model.event import Actor, Comment, Issue, LabelEvent, Repo
from bot.model.manners import Manners
from bot.model.role import Role
from bot.settings import GitHub as Table

BASE_ROLE: Final = {"read": Role.READ, "write": Role.WRITE, "admin": Role.ADMIN}
FINER_ROLE: Final = {("write", "maintain"): Role.MAINTAIN, ("read", "triage"): Role.TRIAGE}
STATUS_CHARS: Final = 140
COMMENT_PAGES: Final = 10  # newest pages searched for a marker


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
        self._calls = Calls(table, client=client, clock=clock, pace=pace)

    def learn(self, repo: Repo, installation: int) -> None:
        """Remember the App installation that an event named, which saves a look-up."""
        self._calls.credentials.learn(repo, installation)

    async def me(self) -> Actor:
        """Read the bot's own account."""
        return await self._calls.credentials.me()

    async def home(self, repo: Repo) -> Home:
        """Read where the repository lives now; git URLs are built on web_url, never taken from an answer."""
        return await self._calls.home(repo)

    async def lookup(self, near: Repo, path: str) -> Repo | None:
        """Find a repository by its path, as the installation of another one sees it."""
        return await self._calls.lookup(near, path)

    async def head(self, repo: Repo, branch: str) -> str:
        """Read the commit id a branch points to."""
        data = await self._calls.ask(repo, "GET", "/git/ref{/ref*}", ref=["heads", *branch.split("/")])
        return read(Ref, data, "a branch").object.sha

    async def file(self, repo: Repo, path: str, commit: str) -> bytes | None:
        """Read one file of at most 1 MiB, GitHub's limit for this call; None where there is no such file."""
        try:
            data = await self._calls.ask(repo, "GET", "/contents{/path*}{?ref}", path=path.split("/"), ref=commit)
        except GatewrightError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        if isinstance(data, list):
            return None  # a directory
        found = read(ContentFile, data, "a file")
        return _content(found, path) if found.type == "file" else None

    async def issue(self, repo: Repo, number: int) -> Issue | None:
        """Read an issue; one transferred away is gone from here, one transferred here says so in its own history."""
        found = await self._calls.find(repo, "/issues/{number}", IssueShape, "an issue", number=number)
        if found is None:
            return None
        came = await history.arrival(self._calls, repo, number)
        return replace(found.issue(self._calls.now_ms()), arrival=came)

    async def role(self, repo: Repo, actor: Actor) -> Role:
        """Read what an account may do; the login must still belong to the same numeric id."""
        try:
            data = await self._calls.ask(repo, "GET", "/collaborators/{login}/permission", login=actor.login)
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

    async def account(self, repo: Repo, actor: Actor) -> Actor:
        """Ask by its number who an account is today; an event that says of what kind it is is believed."""
        return await gates.account(self._calls, repo, actor)

    async def label_events(self, repo: Repo, number: int) -> tuple[LabelEvent, ...]:
        """Read who set and took off which labels, oldest first."""
        return await history.label_events(self._calls, repo, number)

    async def comments(self, repo: Repo, number: int, since_ms: int, *, on_change: bool = False) -> tuple[Comment, ...]:
        """List comments by when they were made; issues and pull requests are numbered in one row."""
        return await history.comments(self._calls, repo, number, since_ms)

    async def membership(self, repo: Repo, group: str, actor: Actor) -> Membership | None:
        """Look up an active membership in a team; since when, GitHub does not tell."""
        return await gates.membership(self._calls, repo, group, actor)

    async def comment(self, repo: Repo, number: int, body: str, *, answering: int = 0, on_change: bool = False) -> int:
        """Post a comment; never repeated after a fault, as it may have been posted."""
        data = await self._calls.ask(repo, "POST", "/issues/{number}/comments", {"body": body}, number=number)
        return read(Created, data, "a comment").id

    async def edit_comment(self, repo: Repo, number: int, comment: int, body: str) -> None:
        """Replace the body of a comment of ours."""
        await self._calls.ask(repo, "PATCH", "/issues/comments/{comment}", {"body": body}, comment=comment)

    async def get_comment(self, repo: Repo, number: int, comment: int) -> Comment | None:
        """Read one comment again; one of another issue counts as gone."""
        found = await self._calls.find(repo, "/issues/comments/{comment}", CommentShape, "a comment", comment=comment)
        if found is None or not found.issue_url.endswith(f"/issues/{number}"):
            return None
        return found.comment(self._calls.now_ms())

    async def find_comment(
        self, repo: Repo, number: int, marker: str, *, answering: int = 0, on_change: bool = False
    ) -> int | None:
        """Find our own comment that holds a marker among the newest thousand."""
        me = await self.me()
        issue = await self._calls.find(repo, "/issues/{number}", IssueShape, "an issue", number=number)
        last = -(-issue.comments // PAGE) if issue else 0  # lists run oldest first and take no order
        for page in range(last, max(0, last - COMMENT_PAGES), -1):
            path = "/issues/{number}/comments{?per_page,page}"
            data = await self._calls.ask(repo, "GET", path, number=number, per_page=PAGE, page=page)
            for seen in reversed(read(list[CommentShape], data, "comments")):
                if seen.user and seen.user.id == me.id and marker in (seen.body or ""):
                    return seen.id
        return None

    async def react(self, repo: Repo, number: int, comment: int, reaction: str) -> None:
        """Add a reaction (`eyes`, `+1`) to a comment; GitHub answers 200 where it is there already."""
        await self._calls.ask(
            repo, "POST", "/issues/comments/{comment}/reactions", {"content": reaction}, comment=comment
        )

    async def set_status(self, repo: Repo, commit: str, state: StatusState, context: str, text: str) -> None:
        """Set a commit status; `text` is cut to GitHub's 140 characters."""
        short = text if len(text) <= STATUS_CHARS else text[: STATUS_CHARS - 1] + "\u2026"
        body = {"state": state.value, "context": context, "description": short}
        await self._calls.ask(repo, "POST", "/statuses/{commit}", body, commit=commit)

    async def open_change(self, repo: Repo, *, branch: str, base: str, title: str, body: str, draft: bool) -> Change:
        """Open a pull request; where the plan of the repository has no drafts, an ordinary one."""
        asked = {"title": title, "head": branch, "base": base, "body": body, "draft": draft}
        try:
            data = await self._calls.ask(repo, "POST", "/pulls", asked)
        except GatewrightError as error:
            if error.code != INVALID or not draft or "draft" not in error.why.lower():
                raise
            data = await self._calls.ask(repo, "POST", "/pulls", asked | {"draft": False})
        return _change(read(PullShape, data, "a pull request"))

    async def find_change(self, repo: Repo, branch: str) -> Change | None:
        """Find the newest pull request that we opened from a branch of this very repository."""
        me = await self.me()
        owner = (await self._calls.address(repo)).parts()["owner"]
        path = "/pulls{?head,state,sort,direction,per_page}"
        order = {"state": "all", "sort": "created", "direction": "desc", "per_page": 100}
        data = await self._calls.ask(repo, "GET", path, head=f"{owner}:{branch}", **order)
        for pull in read(list[PullShape], data, "pull requests"):
            from_here = pull.head.repo is not None and pull.head.repo.id == repo.id and pull.head.ref == branch
            if from_here and pull.user is not None and pull.user.id == me.id:
                return _change(pull)
        return None

    async def get_change(self, repo: Repo, number: int) -> Change | None:
        """Read one pull request."""
        found = await self._calls.find(repo, "/pulls/{number}", PullShape, "a pull request", number=number)
        return None if found is None else _change(found)

    async def approves(self, repo: Repo, number: int, actor: Actor) -> bool:
        """Read what the person's last review that decides says; it may have been dismissed, or asked for changes."""
        return await gates.approves(self._calls, repo, number, actor)

    async def compare(self, repo: Repo, base: str, head: str) -> Comparison:
        """Compare two commits or branches."""
        return await history.compare(self._calls, repo, base, head)

    async def tree(self, repo: Repo, commit: str) -> str:
        """Name the git tree of a commit."""
        return await history.tree(self._calls, repo, commit)

    async def last_change(self, repo: Repo, path: str, ref: str) -> LastChange | None:
        """Find who last changed a file on a branch."""
        return await history.last_change(self._calls, repo, path, ref)

    async def protection(self, repo: Repo, branch: str, context: str) -> Protection:
        """Tell whether GitHub holds merges into a branch to our status."""
        return await protection(self._calls, repo, branch, context)

    async def merge(self, repo: Repo, number: int, head: str) -> None:
        """Merge a pull request if its head is still that commit; GW-FORGE-MERGE otherwise."""
        await gates.merge(self._calls, repo, number, head)

    async def release_ci(self, repo: Repo, number: int, branch: str, commit: str) -> None:
        """Start the workflows that listen to `gatewright-ci`, for a commit that was pushed with `[skip ci]`."""
        await gates.release_ci(self._calls, repo, number, branch, commit)

    async def edit_change(self, repo: Repo, number: int, *, body: str) -> None:
        """Replace the description of a pull request."""
        await self._calls.ask(repo, "PATCH", "/pulls/{number}", {"body": body}, number=number)

    async def close_change(self, repo: Repo, number: int) -> None:
        """Close a pull request without merging it."""
        await self._calls.ask(repo, "PATCH", "/pulls/{number}", {"state": "closed"}, number=number)

    async def git_access(self, repo: Repo, *, write: bool) -> GitAccess | None:
        """Give git a credential: for an App a fresh one for this repository alone, else the token."""
        await self._calls.address(repo)
        return await self._calls.credentials.git(repo, write=write)

    async def close(self) -> None:
        """Release connections, unless the client was lent to us."""
        await self._calls.close()


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
        source=pull.head.repo.id if pull.head.repo else 0,
    )
