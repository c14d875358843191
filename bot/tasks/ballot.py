"""Gather what a ruling is taken on: all of it is read from the forge at that moment, and no answer is never a yes."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from bot.forges.protocol import Forge
from bot.model.event import AccountKind, Actor, Repo
from bot.model.gates import Approval
from bot.model.policy import Policy
from bot.model.role import Role
from bot.model.ruling import Case, Method, Moment, Parts, Vote
from bot.model.state import Gate
from bot.model.task import Task
from bot.policy.owners import OwnerGroup
from bot.policy.windows import frozen_until
from bot.tasks.binding import binding
from bot.tasks.desk import Desk
from bot.tasks.needs import breakers
from bot.tasks.ownership import owner_groups
from bot.tasks.plain import text
from bot.tasks.wanted import source

DAY_MS: Final = 86_400_000
STATUS_NAME: Final = "gatewright/change"
SHOWN: Final = (Gate.SPEC, Gate.PLAN, Gate.SCOPE)  # gates that a comment of ours asks at


@dataclass(frozen=True)
class Ballot:
    """One gate of one task, at the moment of a ruling."""

    desk: Desk
    task: Task
    gate: Gate

    @property
    def forge(self) -> Forge:
        """The client of the task's forge."""
        return self.desk.forge(self.repo, self.task.origin.installation)

    @property
    def repo(self) -> Repo:
        """Where the task lives."""
        return self.task.origin.repo

    @property
    def policy(self) -> Policy:
        """The policy in force for the task."""
        return self.task.policy

    async def case(self, moment: Moment) -> Case:
        """Read everything anew and put it together; any error of the forge means that there is no ruling now."""
        groups = await self._groups()
        votes = [await self.vote(approval, groups) for approval in self.task.votes(self.gate)]
        return await self.outline(moment, votes, groups)

    async def outline(
        self, moment: Moment, votes: Iterable[Vote] = (), groups: tuple[OwnerGroup, ...] | None = None
    ) -> Case:
        """Put together a case from votes that were read."""
        groups = await self._groups() if groups is None else groups
        task, gate, now = self.task, self.gate, self.desk.clock()
        digest = binding(task, gate, self.desk.settings.server.instance).digest()
        asked = task.asked(gate)
        is_change = gate is Gate.CHANGE
        return Case(
            gate=gate,
            moment=moment,
            at_ms=now,
            digest=digest,
            asked=asked.digest if asked else "",
            asked_ms=asked.at_ms if asked else 0,
            policy_sha256=task.policy_sha256,
            votes=tuple(votes),
            parts=parts(task, gate),
            owners=tuple(group.needed for group in groups),
            is_frozen=frozen_until(self.policy.freeze, now) is not None,
            is_shown=gate not in SHOWN or await self._is_shown(),
            is_scope_decided=task.is_scope_decided,
            is_head=not is_change or await self._is_head(),
            is_enforced=not is_change or await self._is_enforced(),
            breakers=breakers(task, gate, digest),
        )

    async def vote(self, approval: Approval, groups: tuple[OwnerGroup, ...] | None = None) -> Vote:
        """Read what one person's yes is worth now."""
        groups = await self._groups() if groups is None else groups
        said_by = await self.forge.account(self.repo, Actor(approval.actor.id, "", AccountKind.UNKNOWN))
        delegators = delegators_of(self.policy, said_by.id, self.desk.clock())
        faces = [said_by, *[await self.forge.account(self.repo, Actor(p, "", AccountKind.UNKNOWN)) for p in delegators]]
        owns = [index for index, group in enumerate(groups) if await self._is_among(group.owners, faces)]
        entries = [
            entry
            for entry in self.policy.rule(self.gate).approvers
            if (owns and entry == "owners") or await self.matches(entry, faces)
        ]
        return Vote(
            person=approval.actor.id,
            event_id=approval.event_id,
            digest=approval.digest,
            method=msgspec.convert(approval.method, type=Method),
            at_ms=approval.at_ms,
            kind=said_by.kind,
            role_then=Role(approval.role),
            role_now=await self.forge.role(self.repo, said_by),
            is_unchanged=await self._is_unchanged(approval),
            entries=tuple(entries),
            owns=tuple(owns),
            delegators=delegators,
        )

    async def matches(self, entry: str, faces: list[Actor]) -> bool:
        """Tell whether one of some accounts is whom an entry of `approvers` names."""
        kind, _, name = entry.partition(":")
        if entry.startswith("@"):
            return any(face.login.lower() == entry[1:].lower() for face in faces)
        if kind == "user":
            return any(str(face.id) == name for face in faces)
        return kind == "group" and any([await self._is_member(name, face) for face in faces])

    async def _is_among(self, owners: Iterable[str], faces: list[Actor]) -> bool:
        for owner in owners:
            name = owner.removeprefix("@")
            if not owner.startswith("@"):
                continue  # an e-mail address names no account that a forge would vouch for
            if any(face.login.lower() == name.lower() for face in faces):
                return True
            is_group = "/" in name or self.forge.manners.owners_may_be_groups
            if is_group and any([await self._is_member(name, face) for face in faces]):
                return True
        return False

    async def _is_member(self, group: str, face: Actor) -> bool:
        member = await self.forge.membership(self.repo, group, face)
        if member is None:
            await self.desk.redis.delete(_seen(self.repo, group, face))  # who comes back is new
            return False
        if not self.policy.membership_days:
            return True
        since = member.since_ms or await first_seen(self.desk, self.repo, group, face)
        return self.desk.clock() - since >= self.policy.membership_days * DAY_MS

    async def _groups(self) -> tuple[OwnerGroup, ...]:
        if "owners" not in self.policy.rule(self.gate).approvers:
            return ()
        return await owner_groups(self.desk, self.forge, self.task, self.gate)

    async def _is_unchanged(self, approval: Approval) -> bool:
        said = source(approval.event_id)
        number = int(approval.event_id.partition(":")[0])
        if said.is_review:
            return await self.forge.approves(self.repo, number, approval.actor)
        comment = await self.forge.get_comment(self.repo, number, said.id)
        if comment is None or comment.author.id != approval.actor.id:
            return False
        return sha256(comment.body) == approval.comment_sha256

    async def _is_shown(self) -> bool:
        comment, _, digest = self.task.shown.get(f"gate.{self.gate}", "").partition(":")
        if not comment.isdigit():
            return False
        now = await self.forge.get_comment(self.repo, self.task.origin.issue, int(comment))
        return now is not None and sha256(now.body) == digest

    async def _is_head(self) -> bool:
        change = await self.forge.get_change(self.repo, self.task.pull.number) if self.task.pull else None
        return change is not None and change.is_open and change.head == self.task.head

    async def _is_enforced(self) -> bool:
        if self.policy.target_branch == "advisory":
            return True
        found = await self.forge.protection(self.repo, self.task.origin.base_branch, STATUS_NAME)
        return found.is_enforced


def parts(task: Task, at: Gate) -> Parts:
    """Say who has played which part before a gate is decided on; who let another one pass has, whatever fell since."""
    counted = {gate: () if gate is at else task.counted.get(gate.value, ()) for gate in Gate}
    passed = {gate: p.people if (p := task.let_pass(gate)) else counted[gate] for gate in Gate}
    return Parts(
        labeller=task.origin.labeller.id,
        author=task.origin.author,
        writer=task.writers,
        committer=task.committers,
        spec=passed[Gate.SPEC],
        plan=passed[Gate.PLAN],
        scope=passed[Gate.SCOPE],
        change=passed[Gate.CHANGE],
    )


def delegators_of(policy: Policy, person: int, at_ms: int) -> tuple[int, ...]:
    """Name those for whom a person stands in on a day (UTC)."""
    day = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).date().isoformat()
    return tuple(d.person for d in policy.delegations if d.to == person and d.since <= day <= d.until)


async def first_seen(desk: Desk, repo: Repo, group: str, face: Actor) -> int:
    """Remember since when we know a member of a group, for forges that do not tell."""
    key = _seen(repo, group, face)
    await desk.redis.set(key, str(desk.clock()), nx=True)
    return int(text(await desk.redis.get(key)) or desk.clock())


def _seen(repo: Repo, group: str, face: Actor) -> str:
    return f"gw:member:{repo.forge}:{repo.host}:{group}:{face.id}"


def sha256(words: str) -> str:
    """Hash a comment's text."""
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()
