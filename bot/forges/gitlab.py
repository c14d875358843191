"""GitLab: the forge protocol over REST v4, gitlab.com or self-hosted, with one access token.

A project is its numeric id in every request, so that a rename or a move between groups changes nothing. Issues and
merge requests have numbers of their own; a note's id names it wherever it is, so that the note tells its place.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from msgspec.structs import replace

from bot.forges import gitlab_text
from bot.forges.errors import FORBIDDEN, INVALID, NOT_FOUND
from bot.forges.gitlab_changes import Changes
from bot.forges.gitlab_gates import Gates
from bot.forges.gitlab_history import History
from bot.forges.gitlab_notes import CHANGES, ISSUES, Notes
from bot.forges.gitlab_shapes import Account, Clock, FileShape, IssueShape, Namespace, Project, read
from bot.forges.gitlab_transport import Pace, Request, Transport
from bot.forges.protocol import (
    Change,
    Comparison,
    GitAccess,
    Home,
    LastChange,
    Membership,
    Protection,
    StatusState,
    Visibility,
)
from bot.model.errors import GatewrightError
from bot.model.event import Actor, Comment, Issue, LabelEvent, Repo
from bot.model.manners import Manners
from bot.model.role import Role
from bot.settings import GitLab as Table

FILE_BYTES: Final = 1 << 20
GIT_USER: Final = "oauth2"  # any name will do beside a project, group or personal access token
PACE: Final = Pace()
# A bare `/approve` is a quick action, carried out and cut out before anybody hears of it; `>>>` quotes several lines.
MANNERS: Final = Manners(
    takes_bare=False,
    change_word="merge request",
    quote_fence=">>>",
    native_names_commit=False,
    owners_files=("CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"),
    owners_in_sections=True,
    owners_may_be_groups=True,
)


class GitLab:
    """One GitLab with one token; implements bot.forges.protocol.Forge."""

    manners: Final = MANNERS

    def __init__(
        self, table: Table, *, bot_name: str = "gatewright", clock: Clock = time.time, pace: Pace = PACE
    ) -> None:
        gitlab_text.check_name(bot_name)
        self._transport = Transport(table.url, table.token, pace=pace, clock=clock)
        self._notes = Notes(self._transport, pace, clock, bot_name)
        self._history = History(self._transport)
        self._gates = Gates(self._transport, clock, self.me, self._notes.patiently)
        self._changes = Changes(self._transport, self._history, bot_name, self.me, self._notes.patiently)
        self._url = table.url.rstrip("/")
        self._push_token = table.push_token or table.token
        self._clock = clock
        self._me: Actor | None = None

    def learn(self, repo: Repo, installation: int) -> None:
        """Know no installations."""

    async def me(self) -> Actor:
        """Read the account of the token, once."""
        if self._me is None:
            self._me = read(Account, await self._ask("/user"), "our account").actor()
        return self._me

    async def account(self, repo: Repo, actor: Actor) -> Actor:
        """Ask of what kind an account is; a deleted or blocked one, and one GitLab does not tell of, stay unknown."""
        return await self._gates.account(actor)

    async def home(self, repo: Repo) -> Home:
        """Read where the project lives now; git URLs are built on [gitlab] url, never taken from an answer."""
        now = read(Project, await self._ask(f"/projects/{repo.id}"), "a project")
        if not now.default_branch:
            fix = "push a first commit to it"
            raise GatewrightError(INVALID, f"{now.path_with_namespace} has no default branch", fix=fix)
        home = now.repo(repo.host, repo.id)
        return Home(
            repo=home,
            default_branch=now.default_branch,
            clone_url=f"{self._url}/{home.path}.git",
            visibility=_visibility(now.visibility),
            owner=(now.namespace.id or 0) if isinstance(now.namespace, Namespace) else 0,
        )

    async def lookup(self, near: Repo, path: str) -> Repo | None:
        """Find a project by its path on this GitLab; a number alone would be taken for an id, and is none."""
        if "/" not in path.strip("/"):
            return None
        try:
            found = read(Project, await self._ask(f"/projects/{quote(path.strip('/'), safe='')}"), "a project")
        except GatewrightError as error:
            if error.code in (NOT_FOUND, FORBIDDEN):
                return None
            raise
        return found.repo(near.host, 0) if found.id else None

    async def head(self, repo: Repo, branch: str) -> str:
        """Read the commit id a branch points to."""
        return await self._history.head(repo, branch)

    async def file(self, repo: Repo, path: str, commit: str) -> bytes | None:
        """Read one file of at most 1 MiB; None where there is no such file."""
        where = f"/projects/{repo.id}/repository/files/{quote(path, safe='')}"
        try:
            found = read(FileShape, await self._ask(where, {"ref": commit}), "a file")
        except GatewrightError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        return _content(found, path)

    async def issue(self, repo: Repo, number: int) -> Issue | None:
        """Read an issue and how it came here; one that was moved away is gone from here."""
        data = await self._notes.patiently(f"/projects/{repo.id}/{ISSUES}/{number}")
        found = None if data is None else read(IssueShape, data, "an issue")
        if found is None or found.moved_to_id:
            return None
        return replace(found.issue(int(self._clock() * 1000)), arrival=await self._history.arrival(repo, found))

    async def role(self, repo: Repo, actor: Actor) -> Role:
        """Read what an account may do, with rights of groups and invitations; no answer is never a role."""
        return await self._gates.role(repo, actor)

    async def label_events(self, repo: Repo, number: int) -> tuple[LabelEvent, ...]:
        """Read the history of labels, whole; accounts are of unknown kind until `account` is asked."""
        return await self._history.label_events(repo, number)

    async def comments(self, repo: Repo, number: int, since_ms: int, *, on_change: bool = False) -> tuple[Comment, ...]:
        """List what people and bots wrote, the first thousand since then; GitLab's own notes are nobody's."""
        return await self._notes.since((repo.id, CHANGES if on_change else ISSUES, number), since_ms)

    async def membership(self, repo: Repo, group: str, actor: Actor) -> Membership | None:
        """Ask for a member of a group, inherited and invited ones included."""
        return await self._gates.membership(group, actor)

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
        """Set an external commit status, which anybody may who can push a branch."""
        await self._changes.set_status(repo, commit, state, context, text)

    async def open_change(self, repo: Repo, *, branch: str, base: str, title: str, body: str, draft: bool) -> Change:
        """Open a merge request from a branch of the same project."""
        return await self._changes.open(repo, branch, base, gitlab_text.title(title, draft=draft), body)

    async def find_change(self, repo: Repo, branch: str) -> Change | None:
        """Find the newest merge request that we opened from a branch of this very project."""
        return await self._changes.find(repo, branch)

    async def get_change(self, repo: Repo, number: int) -> Change | None:
        """Read one merge request."""
        return await self._changes.get(repo, number)

    async def approves(self, repo: Repo, number: int, actor: Actor) -> bool:
        """Ask who approves the merge request now; GitLab does not say for which commit."""
        return await self._changes.approves(repo, number, actor)

    async def compare(self, repo: Repo, base: str, head: str) -> Comparison:
        """Compare two commits or branches directly."""
        return await self._history.compare(repo, base, head)

    async def tree(self, repo: Repo, commit: str) -> str:
        """Compute the id of a commit's tree from what its root directory holds."""
        return await self._history.tree(repo, commit)

    async def last_change(self, repo: Repo, path: str, ref: str) -> LastChange | None:
        """Find the commit that last touched a file; GitLab proves nobody's account for it."""
        return await self._history.last_change(repo, path, ref)

    async def protection(self, repo: Repo, branch: str, context: str) -> Protection:
        """Tell whether nobody but the bot may merge or push; a status alone is advice, whatever its name."""
        return await self._gates.protection(repo, branch)

    async def merge(self, repo: Repo, number: int, head: str) -> None:
        """Merge at exactly this head; GW-FORGE-MERGE says what keeps GitLab from it."""
        await self._changes.merge(repo, number, head)

    async def release_ci(self, repo: Repo, number: int, branch: str, commit: str) -> None:
        """Start a pipeline for a commit that is the head still."""
        await self._changes.release_ci(repo, number, branch, commit)

    async def edit_change(self, repo: Repo, number: int, *, body: str) -> None:
        """Replace the description of a merge request."""
        await self._changes.edit(repo, number, body)

    async def close_change(self, repo: Repo, number: int) -> None:
        """Close a merge request without merging it."""
        await self._changes.close(repo, number)

    async def git_access(self, repo: Repo, *, write: bool) -> GitAccess | None:
        """Give git the configured token: GitLab mints none for one repository."""
        return GitAccess(GIT_USER, self._push_token, 0)

    async def close(self) -> None:
        """Release the thread and its connections."""
        await self._transport.close()

    async def _ask(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        return await self._transport.send(Request("GET", path, query or {}))


def _visibility(told: str | None) -> Visibility:
    """Read who sees the project; what is not told, or in a word we do not know, may be everybody."""
    return Visibility(told) if told in set(Visibility) else Visibility.PUBLIC


def _content(found: FileShape, path: str) -> bytes:
    if found.size > FILE_BYTES:
        raise GatewrightError(INVALID, f"{path} is too large", why=f"{found.size} bytes", fix="keep it below 1 MiB")
    try:
        return base64.b64decode("".join(found.content.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise GatewrightError(INVALID, f"GitLab's answer for {path} is no base64", why=str(error)) from error
