"""A label was set: open a task, or say why not."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from msgspec.structs import replace

from bot import __version__
from bot.audit import kinds
from bot.audit.chain import Draft, Link, extend, genesis
from bot.audit.record import Who
from bot.forges.protocol import Forge, Home
from bot.model import hygiene
from bot.model.errors import GatewrightError
from bot.model.event import Event, ForgeKind, Issue
from bot.model.task import new_task_id
from bot.tasks.desk import Desk, Snapshot
from bot.tasks.identity import issue_digest
from bot.tasks.index import Index
from bot.tasks.names import remember
from bot.tasks.papers import papers_for
from bot.tasks.rulebook import UNREADABLE, Rulebook, rulebook
from bot.tasks.selection import selected
from bot.tasks.trigger import NotOpened, check_visibility, is_outsider, labeller

BODY_LIMIT: Final = 65_536  # what both forges let a person write
TITLE_LIMIT: Final = 256
QUIET: Final = frozenset({"GW-TRIGGER-APP"})  # answering machines would fill the issues that they label


async def open_task(desk: Desk, index: Index, event: Event) -> str | None:
    """Open a task for a labelled issue; None where the label, read again, gives no reason to."""
    forge = desk.forge(event.repo, event.installation)
    issue = await forge.issue(event.repo, event.number)
    if issue is None or not _is_wanted(desk, issue):
        desk.log.info("label.stale", repo=event.repo.path, issue=event.number)
        return None
    try:
        opened, *others = await _first(desk, forge, event, issue)
    except GatewrightError as error:
        if not isinstance(error, NotOpened) and error.code != UNREADABLE:
            raise
        await _say_why_not(desk, forge, event, error)
        return None
    holder = ""
    while not holder:
        task = new_task_id(0 if event.repo.forge is ForgeKind.LOCAL else event.number)
        start = Link(-1, genesis(desk.settings.server.instance, event.repo.key, task))
        now_ms = desk.clock()
        own = papers_for(desk, task, start.hash, now_ms)
        lines, tail = extend(
            start, (replace(opened, data=replace(opened.data, task_vkey=own.vkey)), *others), task=task, now_ms=now_ms
        )
        holder = await index.begin(event.repo, event.number, task, tail, lines, own)
    return holder


def _is_wanted(desk: Desk, issue: Issue) -> bool:
    label = desk.settings.trigger.label.lower()
    return issue.is_open and not issue.is_locked and label in (name.lower() for name in issue.labels)


async def _say_why_not(desk: Desk, forge: Forge, event: Event, error: GatewrightError) -> None:
    """Answer a label once; the next one that fails for the same reason is answered already."""
    desk.log.warning("label.refused", repo=event.repo.path, issue=event.number, code=error.code, why=error.what)
    if error.code in QUIET:
        return
    words = desk.words(event.repo)
    body = words.not_opened(event.repo, event.number, error, label=desk.settings.trigger.label)
    marker = words.place_marker(event.repo, event.number, "not-opened", error.code)
    if await forge.find_comment(event.repo, event.number, marker) is None:
        await forge.comment(event.repo, event.number, body)


async def _first(desk: Desk, forge: Forge, event: Event, issue: Issue) -> tuple[Draft, ...]:
    """Gather what the first records say, or raise NotOpened."""
    home = await desk.home(event.repo, event.installation)
    book = await rulebook(desk, forge, home)
    check_visibility(issue, home, book.policy)
    actor = await labeller(desk, forge, event, issue, book.policy)
    event = replace(event, actor=actor)
    await remember(desk.redis, event.repo, actor)
    if issue.author is not None:
        await remember(desk.redis, event.repo, issue.author)
    base = await forge.head(event.repo, home.default_branch)
    opened = Draft("task.opened", _opened(desk, event, issue, home, base, book), _requester(desk, event), basis="forge")
    profile = await selected(desk, forge, event, issue, book)
    drafts = (
        opened,
        await _snapshot(desk, forge, event, issue, book),
        book.draft(desk),
        Draft("profile.set", profile, desk.service),
    )
    if desk.settings.trigger.pause_label.lower() in (name.lower() for name in issue.labels):
        return (*drafts, Draft("pause", kinds.Pause(on=True, scope="label"), desk.service, "forge"))
    return drafts


def _requester(desk: Desk, event: Event) -> Who:
    return desk.person(event.repo, event.actor, "requester")


def _opened(desk: Desk, event: Event, issue: Issue, home: Home, base: str, book: Rulebook) -> kinds.TaskOpened:
    settings, repo = desk.settings, event.repo
    return kinds.TaskOpened(
        repo=repo.key,
        forge=repo.forge.value,
        host=repo.host,
        repo_id=repo.id,
        path=repo.path,
        issue=event.number,
        labeller=event.actor.id,
        base_branch=home.default_branch,
        base_commit=base,
        policy_sha256=book.policy.sha256(),
        config_sha256=_config_digest(desk),
        bot_version=__version__,
        instance=settings.server.instance,
        vkey=desk.key.vkey(settings.server.instance),
        data_class=settings.audit.data_class,
        installation=event.installation,
        owner=home.owner,
        visibility=home.visibility.value,
        author=issue.author.id if issue.author else 0,
    )


async def _snapshot(desk: Desk, forge: Forge, event: Event, issue: Issue, book: Rulebook) -> Draft:
    """Keep the issue as it read when the label was set: the delivery shows that moment, the forge only this one."""
    then = event.issue or issue
    outsider = await is_outsider(forge, event, issue, book.policy)
    title, text = then.title[:TITLE_LIMIT], then.body[:BODY_LIMIT]
    snapshot = Snapshot(title, text, issue.author.login if issue.author else "ghost", outsider)
    seen = kinds.IssueSnapshot(
        event_id=event.delivery[:256] or "local",
        author_id=issue.author.id if issue.author else 0,
        updated_ts=then.updated_ms,
        number=event.number,
        issue_sha256=issue_digest(then.title, then.body),
        is_outsider=outsider,
        removed=hygiene.hidden(hygiene.merged(hygiene.strip_line(title), hygiene.strip(text))),
    )
    body = desk.store("body", msgspec.json.encode(snapshot))
    return Draft("issue.snapshot", seen, desk.service, basis="forge", refs=(body,))


def _config_digest(desk: Desk) -> str:
    """Hash the settings that shape a task; secrets stay out of it."""
    shaping = {
        "trigger": desk.settings.trigger,
        "profile": desk.settings.profile,
        "profiles": desk.settings.profiles,
        "policy": desk.settings.policy,
        "budget": desk.settings.budget,
        "sandbox": desk.settings.sandbox,
    }
    return hashlib.sha256(b"gatewright/config/v1\n" + msgspec.json.encode(shaping, order="sorted")).hexdigest()
