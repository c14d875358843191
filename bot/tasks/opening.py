"""A label was set: open a task, or say why not."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from msgspec.structs import replace

from bot import __version__
from bot.audit import kinds
from bot.audit.chain import Draft, Link, extend, genesis
from bot.forges.protocol import Forge, Role
from bot.model.event import AccountKind, Event, ForgeKind, Issue
from bot.model.task import new_task_id
from bot.tasks.binding import policy_digest
from bot.tasks.desk import Desk, Snapshot
from bot.tasks.index import Index
from bot.tasks.names import remember

BODY_LIMIT: Final = 65_536  # what both forges let a person write


async def open_task(desk: Desk, index: Index, event: Event) -> str | None:
    """Open a task for a labelled issue; None where the label, read again, gives no reason to."""
    forge = desk.forge(event.repo, event.installation)
    issue = await forge.issue(event.repo, event.number)
    if issue is not None and issue.is_confidential and not desk.settings.policy.confidential_issues:
        desk.log.warning("label.confidential", repo=event.repo.path, issue=event.number)
        return None
    if issue is None or not _is_wanted(desk, issue):
        desk.log.info("label.stale", repo=event.repo.path, issue=event.number)
        return None
    event = replace(event, actor=await forge.account(event.actor))
    if not await _may_trigger(desk, forge, event):
        return None
    await remember(desk.redis, event.repo, event.actor)
    drafts = await _first(desk, forge, event, issue)
    holder = ""
    while not holder:
        task = new_task_id(0 if event.repo.forge is ForgeKind.LOCAL else event.number)
        start = Link(-1, genesis(desk.settings.server.instance, event.repo.key, task))
        lines, tail = extend(start, drafts, task=task, now_ms=desk.clock())
        holder = await index.begin(event.repo, event.number, task, tail, lines)
    return holder


def _is_wanted(desk: Desk, issue: Issue) -> bool:
    label = desk.settings.trigger.label.lower()
    return issue.is_open and not issue.is_locked and label in (name.lower() for name in issue.labels)


async def _may_trigger(desk: Desk, forge: Forge, event: Event) -> bool:
    """Let people with the policy's role start tasks; bots and unknown accounts never."""
    if event.actor.kind is not AccountKind.HUMAN:
        desk.log.warning("label.by_bot", repo=event.repo.path, issue=event.number, actor=event.actor.id)
        return False
    role = await forge.role(event.repo, event.actor)
    if role.at_least(Role(desk.settings.policy.min_role)):
        return True
    desk.log.warning("label.refused", repo=event.repo.path, issue=event.number, actor=event.actor.id, role=role.value)
    return False


async def _first(desk: Desk, forge: Forge, event: Event, issue: Issue) -> tuple[Draft, ...]:
    """Gather what the first records say."""
    settings, repo = desk.settings, event.repo
    home = await desk.home(repo, event.installation)
    base = await forge.head(repo, home.default_branch)
    author = issue.author.login if issue.author else "ghost"
    snapshot = Snapshot(issue.title[:256], issue.body[:BODY_LIMIT], author)
    opened = kinds.TaskOpened(
        repo=repo.key,
        forge=repo.forge.value,
        host=repo.host,
        repo_id=repo.id,
        path=repo.path,
        issue=event.number,
        labeller=event.actor.id,
        base_branch=home.default_branch,
        base_commit=base,
        policy_sha256=policy_digest(settings.policy),
        config_sha256=_config_digest(desk),
        bot_version=__version__,
        instance=settings.server.instance,
        vkey=desk.key.vkey(settings.server.instance),
        installation=event.installation,
    )
    seen = kinds.IssueSnapshot(
        event_id=event.delivery[:256] or "local",
        author_id=issue.author.id if issue.author else 0,
        updated_ts=issue.updated_ms,
        number=event.number,
    )
    body = desk.store("body", msgspec.json.encode(snapshot))
    requester = desk.person(repo, event.actor, "requester")
    profile = kinds.ProfileSet(**msgspec.structs.asdict(settings.profile))
    return (
        Draft("task.opened", opened, requester, basis="forge"),
        Draft("issue.snapshot", seen, desk.service, basis="forge", refs=(body,)),
        Draft("profile.set", profile, desk.service),
    )


def _config_digest(desk: Desk) -> str:
    """Hash the settings that shape a task; secrets stay out of it."""
    shaping = {
        "trigger": desk.settings.trigger,
        "profile": desk.settings.profile,
        "policy": desk.settings.policy,
        "budget": desk.settings.budget,
        "sandbox": desk.settings.sandbox,
    }
    return hashlib.sha256(b"gatewright/config/v1\n" + msgspec.json.encode(shaping, order="sorted")).hexdigest()
