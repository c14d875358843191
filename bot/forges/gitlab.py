"""GitLab: the forge protocol over REST v4, gitlab.com or self-hosted, with one access token.

A project is its numeric id in every request, so that a rename or a move between groups changes nothing. Issues and
merge requests have numbers of their own; a note's id names it wherever it is, so that the note tells its place.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote

from bot.forges import gitlab_text
from bot.forges.errors import INVALID, NOT_FOUND
from bot.forges.gitlab_notes import CHANGES, ISSUES, Notes
from bot.forges.gitlab_shapes import (
    Account,
    Approvals,
    BranchShape,
    Clock,
    FileShape,
    IssueShape,
    Member,
    MergeRequestShape,
    Project,
    StatusShape,
    read,
)
from bot.forges.gitlab_transport import Pace, Request, Transport
from bot.forges.protocol import Change, GitAccess, Home, Role, StatusState
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Actor, Comment, Issue, Repo
from bot.model.manners import Manners
from bot.settings import GitLab as Table

Shape = TypeVar("Shape")
# Access levels, highest first: Owner 50 (and instance administrators 60), Maintainer, Developer, Reporter 20 and
# Planner 15, Guest. https://docs.gitlab.com/api/members
ROLES: Final = ((50, Role.ADMIN), (40, Role.MAINTAIN), (30, Role.WRITE), (15, Role.TRIAGE), (10, Role.READ))
STATES: Final = {StatusState.PENDING: "pending", StatusState.SUCCESS: "success", StatusState.FAILURE: "failed"}
FILE_BYTES: Final = 1 << 20
GIT_USER: Final = "oauth2"  # any name will do beside a project, group or personal access token
PACE: Final = Pace()
# A bare `/approve` is a quick action, carried out and cut out before anybody hears of it; `>>>` quotes several lines.
MANNERS: Final = Manners(takes_bare=False, change_word="merge request", quote_fence=">>>")


class GitLab:
    """One GitLab with one token; implements bot.forges.protocol.Forge."""

    manners: Final = MANNERS

    def __init__(
        self, table: Table, *, bot_name: str = "gatewright", clock: Clock = time.time, pace: Pace = PACE
    ) -> None:
        gitlab_text.check_name(bot_name)
        self._transport = Transport(table.url, table.token, pace=pace, clock=clock)
        self._notes = Notes(self._transport, pace, clock, bot_name)
        self._url = table.url.rstrip("/")
        self._push_token = table.push_token or table.token
        self._bot_name = bot_name
        self._clock = clock
        self._me: Actor | None = None

    def learn(self, repo: Repo, installation: int) -> None:
        """Know no installations."""

    async def me(self) -> Actor:
        """Read the account of the token, once."""
        if self._me is None:
            self._me = read(Account, await self._transport.send(Request("GET", "/user")), "our account").actor()
        return self._me

    async def account(self, actor: Actor) -> Actor:
        """Ask of what kind an account is; a deleted or blocked one, and one GitLab does not tell of, stay unknown."""
        if not actor.id or actor.kind is not AccountKind.UNKNOWN:
            return actor
        found = await self._find(f"/users/{actor.id}", Account, "an account")
        return actor if found is None or found.id != actor.id or found.state != "active" else found.actor()

    async def home(self, repo: Repo) -> Home:
        """Read where the project lives now; git URLs are built on [gitlab] url, never taken from an answer."""
        now = read(Project, await self._ask("GET", _project(repo)), "a project")
        if not now.default_branch:
            fix = "push a first commit to it"
            raise GatewrightError(INVALID, f"{now.path_with_namespace} has no default branch", fix=fix)
        home = now.repo(repo.host, repo.id)
        return Home(repo=home, default_branch=now.default_branch, clone_url=f"{self._url}/{home.path}.git")

    async def head(self, repo: Repo, branch: str) -> str:
        """Read the commit id a branch points to."""
        found = await self._ask("GET", f"{_project(repo)}/repository/branches/{quote(branch, safe='')}")
        return read(BranchShape, found, "a branch").commit.id

    async def file(self, repo: Repo, path: str, commit: str) -> bytes | None:
        """Read one file of at most 1 MiB; None where there is no such file."""
        where = f"{_project(repo)}/repository/files/{quote(path, safe='')}"
        try:
            found = read(FileShape, await self._ask("GET", where, {"ref": commit}), "a file")
        except GatewrightError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        return _content(found, path)

    async def issue(self, repo: Repo, number: int) -> Issue | None:
        """Read an issue; one that was moved is gone from here."""
        found = await self._find(f"{_project(repo)}/{ISSUES}/{number}", IssueShape, "an issue")
        return None if found is None or found.moved_to_id else found.issue(int(self._clock() * 1000))

    async def role(self, repo: Repo, actor: Actor) -> Role:
        """Read what an account may do, with rights of groups and invitations; no answer is never a role."""
        try:
            data = await self._ask("GET", f"{_project(repo)}/members/all/{actor.id}")
        except GatewrightError as error:
            if error.code == NOT_FOUND:
                return Role.NONE
            raise
        found = read(Member, data, "a member")
        awaits = found.membership_state not in ("", "active")
        if found.id != actor.id or found.state != "active" or awaits:
            return Role.NONE
        return next((role for level, role in ROLES if found.access_level >= level), Role.NONE)

    async def comment(self, repo: Repo, number: int, body: str, *, answering: int = 0, on_change: bool = False) -> int:
        """Post a note, or as many as the text needs; never repeated after a fault, as it may have been posted."""
        return await self._notes.post(repo, number, body, CHANGES if on_change else "", answering)

    async def edit_comment(self, repo: Repo, number: int, comment: int, body: str) -> None:
        """Replace the body of a note of ours."""
        await self._notes.edit(repo, number, comment, body)

    async def get_comment(self, repo: Repo, number: int, comment: int) -> Comment | None:
        """Read one note again by its id; what GitLab itself wrote is nobody's."""
        return await self._notes.get(repo, number, comment)

    async def find_comment(
        self, repo: Repo, number: int, marker: str, *, answering: int = 0, on_change: bool = False
    ) -> int | None:
        """Find our own note that holds a marker among the newest thousand."""
        kind = await self._notes.kind(repo, number, CHANGES if on_change else "", answering)
        return await self._notes.find((repo.id, kind, number), marker, (await self.me()).id)

    async def react(self, repo: Repo, number: int, comment: int, reaction: str) -> None:
        """Award an emoji to a note."""
        await self._notes.react(repo, number, comment, reaction)

    async def set_status(self, repo: Repo, commit: str, state: StatusState, context: str, text: str) -> None:
        """Set an external commit status; setting the state it is in again is refused by GitLab, and is no fault."""
        asked = {"state": STATES[state], "name": context, "description": gitlab_text.status_text(text)}
        try:
            await self._ask("POST", f"{_project(repo)}/statuses/{commit}", data=asked)
        except GatewrightError as error:
            if error.code != INVALID or "transition" not in error.why or not await self._stands(repo, commit, asked):
                raise

    async def _stands(self, repo: Repo, commit: str, asked: Mapping[str, str]) -> bool:
        where = f"{_project(repo)}/repository/commits/{commit}/statuses"
        data = await self._ask("GET", where, {"name": asked["name"]})
        return any(seen.status == asked["state"] for seen in read(tuple[StatusShape, ...], data, "statuses"))

    async def open_change(self, repo: Repo, *, branch: str, base: str, title: str, body: str, draft: bool) -> Change:
        """Open a merge request from a branch of the same project."""
        asked = {
            "source_branch": branch,
            "target_branch": base,
            "title": gitlab_text.title(title, draft=draft),
            "description": gitlab_text.description(body, self._bot_name),
        }
        data = await self._ask("POST", f"{_project(repo)}/merge_requests", data=asked, notifies=True)
        return await self._change(repo, read(MergeRequestShape, data, "a merge request"))

    async def find_change(self, repo: Repo, branch: str) -> Change | None:
        """Find the newest merge request that we opened from a branch of this very project."""
        me = await self.me()
        query = {"source_branch": branch, "state": "all", "order_by": "created_at", "sort": "desc", "per_page": 100}
        data = await self._ask("GET", f"{_project(repo)}/merge_requests", query)
        for seen in read(tuple[MergeRequestShape, ...], data, "merge requests"):
            from_here = seen.source_branch == branch and seen.source_project_id in (None, repo.id)
            if from_here and seen.author is not None and seen.author.id == me.id:
                return await self._change(repo, seen)
        return None

    async def get_change(self, repo: Repo, number: int) -> Change | None:
        """Read one merge request."""
        where = f"{_project(repo)}/merge_requests/{number}"
        found = await self._find(where, MergeRequestShape, "a merge request")
        return None if found is None else await self._change(repo, found)

    async def approves(self, repo: Repo, number: int, actor: Actor) -> bool:
        """Ask who approves the merge request now; deliveries of approvals come late, twice and in any order."""
        data = await self._ask("GET", f"{_project(repo)}/merge_requests/{number}/approvals")
        return any(each.user.id == actor.id for each in read(Approvals, data, "approvals").approved_by)

    async def edit_change(self, repo: Repo, number: int, *, body: str) -> None:
        """Replace the description of a merge request."""
        text = gitlab_text.description(body, self._bot_name)
        await self._ask("PUT", f"{_project(repo)}/merge_requests/{number}", data={"description": text})

    async def close_change(self, repo: Repo, number: int) -> None:
        """Close a merge request without merging it."""
        await self._ask("PUT", f"{_project(repo)}/merge_requests/{number}", data={"state_event": "close"})

    async def git_access(self, repo: Repo, *, write: bool) -> GitAccess | None:
        """Give git the configured token: GitLab mints none for one repository."""
        return GitAccess(GIT_USER, self._push_token, 0)

    async def close(self) -> None:
        """Release the thread and its connections."""
        await self._transport.close()

    async def _change(self, repo: Repo, seen: MergeRequestShape) -> Change:
        head = seen.sha or await self.head(repo, seen.source_branch)  # GitLab computes it after it has answered
        return Change(
            number=seen.iid,
            url=seen.web_url or "",
            head=head,
            branch=seen.source_branch,
            is_open=seen.state in ("opened", "locked"),  # locked: it is being merged at this moment
            is_merged=seen.state == "merged",
            is_draft=bool(seen.draft or seen.work_in_progress),
        )

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        data: Mapping[str, Any] | None = None,
        notifies: bool = False,
    ) -> Any:
        return await self._transport.send(Request(method, path, query or {}, data, notifies))

    async def _find(self, path: str, shape: type[Shape], what: str) -> Shape | None:
        found = await self._notes.patiently(path)
        return None if found is None else read(shape, found, what)


def _project(repo: Repo) -> str:
    return f"/projects/{repo.id}"


def _content(found: FileShape, path: str) -> bytes:
    if found.size > FILE_BYTES:
        raise GatewrightError(INVALID, f"{path} is too large", why=f"{found.size} bytes", fix="keep it below 1 MiB")
    try:
        return base64.b64decode("".join(found.content.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise GatewrightError(INVALID, f"GitLab's answer for {path} is no base64", why=str(error)) from error
