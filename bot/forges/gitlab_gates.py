"""Who somebody is on a GitLab, what they may do, and what it holds them to."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from bot.forges.errors import FORBIDDEN, NOT_FOUND
from bot.forges.gitlab_shapes import Account, Clock, Member, milliseconds, read
from bot.forges.gitlab_transport import Request, Transport
from bot.forges.protocol import Membership, Protection
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Actor, Repo
from bot.model.role import Role

# Access levels, highest first: Owner 50 (and instance administrators 60), Maintainer, Developer, Reporter 20 and
# Planner 15, Guest. https://docs.gitlab.com/api/members
ROLES: Final = ((50, Role.ADMIN), (40, Role.MAINTAIN), (30, Role.WRITE), (15, Role.TRIAGE), (10, Role.READ))
NO_ONE: Final = 0
HOW: Final = (
    "allow merging and pushing to nobody but the bot's account (or to no one) under Settings -> Repository ->"
    " Protected branches, or install the pre-receive hook of deploy/ on the server"
)


class Level(msgspec.Struct, frozen=True):
    """Who may do one thing on a protected branch: a role and above, one account, one group or one key."""

    access_level: int | None = None
    user_id: int | None = None
    group_id: int | None = None
    deploy_key_id: int | None = None
    member_role_id: int | None = None

    def is_only(self, account: int) -> bool:
        """Tell whether this lets nobody in but one account."""
        if self.user_id is not None:
            return self.user_id == account
        others = (self.group_id, self.deploy_key_id, self.member_role_id)
        return self.access_level == NO_ONE and others == (None, None, None)


class ProtectedBranch(msgspec.Struct, frozen=True):
    """One rule; `name` may hold `*`."""

    name: str
    push_access_levels: tuple[Level, ...] = ()
    merge_access_levels: tuple[Level, ...] = ()

    def covers(self, branch: str) -> bool:
        """Tell whether the rule is about a branch."""
        shape = ".*".join(re.escape(part) for part in self.name.split("*"))
        return re.fullmatch(shape, branch, re.DOTALL) is not None


class Gates:
    """Accounts and rights as one GitLab tells them at this moment."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        me: Callable[[], Awaitable[Actor]],
        patiently: Callable[[str], Awaitable[Any | None]],
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._me = me
        self._patiently = patiently

    async def account(self, actor: Actor) -> Actor:
        """Ask who an account is; a deleted or blocked one, and one GitLab does not tell of, stay as they are."""
        if not actor.id or (actor.kind is not AccountKind.UNKNOWN and actor.login):
            return actor
        data = await self._patiently(f"/users/{actor.id}")
        found = None if data is None else read(Account, data, "an account")
        return actor if found is None or found.id != actor.id or found.state != "active" else found.actor()

    async def role(self, repo: Repo, actor: Actor) -> Role:
        """Read what an account may do, with rights of groups and invitations; no answer is never a role."""
        found = await self._member(f"/projects/{repo.id}", actor)
        if found is None:
            return Role.NONE
        return next((role for level, role in ROLES if found.access_level >= level), Role.NONE)

    async def membership(self, group: str, actor: Actor) -> Membership | None:
        """Ask for a member of the group, of those above it or of those it invited; what has ended counts as never."""
        name = group.strip("/")
        if not name or not actor.id:
            return None
        found = await self._member(f"/groups/{quote(name, safe='')}", actor)
        return None if found is None else Membership(since_ms=milliseconds(found.created_at, 0))

    async def protection(self, repo: Repo, branch: str) -> Protection:
        """Ask who else may merge or push: a status binds nobody where every developer can set it."""
        me = await self._me()
        path = f"/projects/{repo.id}/protected_branches"
        try:
            found = [rule async for page in self._transport.pages(path) for rule in page]
        except GatewrightError as error:
            if error.code not in (FORBIDDEN, NOT_FOUND):
                raise
            return Protection(is_enforced=False, why=f"GitLab does not show the bot who may merge into {branch}; {HOW}")
        # Where several rules cover a branch, GitLab goes by the one that allows most.
        rules = [rule for rule in read(tuple[ProtectedBranch, ...], found, "protected branches") if rule.covers(branch)]
        faults = [fault for rule in rules for fault in _faults(rule, me.id)]
        if rules and not faults:
            return Protection(is_enforced=True)
        said = "; ".join(faults) or f"{branch} is not protected"
        return Protection(is_enforced=False, why=f"any developer can set a commit status, and {said}; {HOW}")

    async def _member(self, place: str, actor: Actor) -> Member | None:
        """Read a membership that holds today, None for everything else that GitLab answers clearly."""
        try:
            data = await self._transport.send(Request("GET", f"{place}/members/all/{actor.id}"))
        except GatewrightError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        found = read(Member, data, "a member")
        is_over = found.expires_at is not None and not self._is_ahead(found.expires_at)
        return None if found.id != actor.id or not found.is_active or is_over else found

    def _is_ahead(self, day: str) -> bool:
        """Tell whether a day has not begun; one that cannot be read has."""
        try:
            return date.fromisoformat(day) > datetime.fromtimestamp(self._clock(), UTC).date()
        except ValueError:
            return False


def _faults(rule: ProtectedBranch, me: int) -> Iterator[str]:
    """Name what a rule lets others do; levels that are not told may be anybody's."""
    for verb, levels in (("merge into", rule.merge_access_levels), ("push to", rule.push_access_levels)):
        if not levels or not all(level.is_only(me) for level in levels):
            yield f"others than the bot may {verb} {rule.name}"
