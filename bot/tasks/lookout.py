"""Look whether what a task rests on still stands: policy, place, issue, base, our own comments, the branch.

Deliveries may be lost, late or forged in their order. So nothing here believes an event: it reads, compares with the
journal, and writes down what differs. What it writes makes approvals fall.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.forges.protocol import Forge, Home
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Actor, ForgeKind, Issue
from bot.model.state import State
from bot.model.task import Task
from bot.tasks.ballot import SHOWN, sha256
from bot.tasks.book import Book
from bot.tasks.desk import Desk
from bot.tasks.happenings import all_fall, decided
from bot.tasks.identity import issue_digest
from bot.tasks.needs import delivers
from bot.tasks.pushes import forget, pushers
from bot.tasks.rulebook import UNREADABLE, rulebook
from bot.tasks.shown import comment_that_asks

EVERY_MS: Final = 60_000  # between looks that nothing in particular asks for
BEFORE_CODE: Final = (State.SPEC_REVIEW, State.PLAN, State.PLAN_REVIEW)
WITH_PULL: Final = (State.CHANGE_REVIEW, State.BLOCKED)
AWAY: Final = "GW-ISSUE-AWAY"


async def look(desk: Desk, book: Book) -> bool:
    """Write down what has changed around a task; tell whether anything had. Errors of the forge are raised."""
    task = book.task
    if task.state.is_final or (task.running is not None and not delivers(task)):
        return False
    before = book.tail
    forge = desk.forge(task.origin.repo, task.origin.installation)
    home = await forge.home(task.origin.repo)
    async for draft in Lookout(desk, forge, home, task).changes():
        if book.task.state is not task.state and draft.kind != "commit.foreign":
            break  # what else there is to see, the next look sees from there
        await book.write(draft)
    return book.tail != before


@dataclass(frozen=True)
class Lookout:
    """One look around one task."""

    desk: Desk
    forge: Forge
    home: Home
    task: Task

    async def changes(self) -> AsyncIterator[Draft]:
        """List what differs from the journal, what ends all else first."""
        if self.task.origin.repo.forge is not ForgeKind.LOCAL:
            issue = await self.forge.issue(self.task.origin.repo, self.task.origin.issue)
            for draft in self._place(issue):
                yield draft
            if issue is not None:
                for draft in self._issue(issue):
                    yield draft
        for found in (await self._policy(), await self._base(), await self._shown()):
            if found is not None:
                yield found
        for draft in await self._branch():
            yield draft

    def _place(self, issue: Issue | None) -> list[Draft]:
        """Hold the task to where it was opened; elsewhere other people read, and others decide."""
        origin, home, code = self.task.origin, self.home, ""
        if issue is None:
            code = AWAY
        elif origin.owner and home.owner != origin.owner:
            code = "GW-PLACE-TRANSFERRED"
        elif self._is_seen_otherwise(issue):
            code = "GW-PLACE-VISIBILITY"
        return self._stop(code) if code else []

    def _is_seen_otherwise(self, issue: Issue) -> bool:
        """Tell whether other people read along than when the task was opened."""
        before, now = self.task.origin.visibility, self.home.visibility.value
        may_hide = self.task.policy.confidential_issues == "where_private" and now == "private"
        return (bool(before) and now != before) or (issue.is_confidential and not may_hide)

    def _issue(self, issue: Issue) -> list[Draft]:
        digest = issue_digest(issue.title, issue.body)
        if not self.task.issue_sha256 or digest == self.task.issue_sha256:
            return []
        return [Draft("issue.changed", kinds.IssueChanged(digest, issue.updated_ms), self.desk.service, "forge")]

    async def _policy(self) -> Draft | None:
        try:
            now = await rulebook(self.desk, self.forge, self.home)
        except GatewrightError as error:
            if error.code != UNREADABLE:
                raise
            is_known = self.task.state is State.BLOCKED and self.task.blocked_code == UNREADABLE
            return None if is_known else self._block(UNREADABLE, str(error))
        return now.draft(self.desk) if now.policy.sha256() != self.task.policy_sha256 else None

    async def _base(self) -> Draft | None:
        """Hold approvals of spec and plan to the base they were given on, as strictly as policy asks."""
        task, repo = self.task, self.task.origin.repo
        if task.state not in BEFORE_CODE:
            return None
        head = await self.forge.head(repo, task.origin.base_branch)
        if head == task.base_commit:
            return None
        if task.policy.base == "equal":
            return Draft("base.moved", kinds.BaseMoved(head), self.desk.service, "forge")
        if (await self.forge.compare(repo, task.base_commit, head)).is_ancestor:
            return None
        return self._block("GW-BASE-REWRITTEN")

    async def _shown(self) -> Draft | None:
        gate = self.task.state.gate
        comment, _, digest = self.task.shown.get(f"gate.{gate}", "").partition(":")
        asked = self.task.asked(gate) if gate in SHOWN else None
        if gate is None or asked is None or not comment.isdigit() or gate in self.task.reask:
            return None
        if not comment_that_asks(self.task, gate, asked.rev)[0]:
            return None  # it is about to be written anew, and nothing passes until it is
        now = await self.forge.get_comment(self.task.origin.repo, self.task.origin.issue, int(comment))
        if now is not None and sha256(now.body) == digest:
            return None
        edited = kinds.ShownEdited(gate.value, asked.rev, comment)
        return Draft("shown.edited", edited, self.desk.service, "forge")

    async def _branch(self) -> tuple[Draft, ...]:
        """Take notice of the end of a change, and of commits on our branch that are not ours."""
        task, repo = self.task, self.task.origin.repo
        if task.pull is None or task.state not in WITH_PULL or not task.head:
            return ()
        change = await self.forge.get_change(repo, task.pull.number)
        if change is not None and not change.is_open:
            return decided(self.desk, task, change, self.desk.service)
        if change is None:
            return ()
        if change.head != task.head and change.source not in (0, repo.id):
            return tuple(self._stop("GW-PLACE-FORK"))
        return await self._pushed(change.head)

    async def _pushed(self, head: str) -> tuple[Draft, ...]:
        task, repo = self.task, self.task.origin.repo
        people = await pushers(self.desk, task, head)
        if not people and head == task.head:
            return ()
        tree = await self.forge.tree(repo, head)
        if head != task.head and tree == await self.forge.tree(repo, task.head):
            await forget(self.desk, task.origin.task)
            return (await self._foreign(head, tree, 0, is_same=True),)
        return tuple([await self._foreign(head, tree, who, is_same=False) for who in people or ()])

    async def _foreign(self, head: str, tree: str, pusher: int, *, is_same: bool) -> Draft:
        who = self.desk.service
        if pusher:
            account = await self.forge.account(self.task.origin.repo, Actor(pusher, "", AccountKind.UNKNOWN))
            who = self.desk.person(self.task.origin.repo, account, "author")
        return Draft("commit.foreign", kinds.CommitForeign(head, tree, pusher, is_same), who, "forge")

    def _stop(self, code: str) -> list[Draft]:
        """Block a task that is not where it was, once, and let all its approvals fall."""
        if self.task.state is State.BLOCKED and self.task.blocked_code == code:
            return []
        return [*all_fall(self.desk, self.task, "place"), self._block(code)]

    def _block(self, code: str, why: str = "") -> Draft:
        refs = (self.desk.store("explanation", why.encode()),) if why else ()
        return Draft("task.blocked", kinds.TaskBlocked(code), self.desk.service, "forge", refs=refs)
