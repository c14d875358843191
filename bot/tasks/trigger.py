"""Who set the label, and may they: read again from the forge's own history, never believed from a delivery."""

from __future__ import annotations

from typing import Final

from bot.forges.protocol import Forge, Home, Visibility
from bot.model.errors import Refused
from bot.model.event import AccountKind, Actor, Arrival, Event, ForgeKind, Issue, LabelEvent
from bot.model.policy import Policy
from bot.model.role import Role
from bot.tasks.desk import Desk

AT_ONCE_MS: Final = 2_000  # a template sets its labels in the second in which the issue is made; nobody clicks so fast


class NotOpened(Refused):
    """A label that opens no task; `code` is a row of bot/reports/not_opened.toml."""


async def labeller(desk: Desk, forge: Forge, event: Event, issue: Issue, policy: Policy) -> Actor:
    """Name the person whose label opens the task; raise NotOpened where there is none with the right to.

    The issue was opened here by hand, and the label is one that `who_set` takes.
    """
    if issue.arrival is not Arrival.OPENED:
        raise NotOpened("GW-TRIGGER-ARRIVAL", f"the issue was not opened here ({issue.arrival})")
    return await who_set(forge, event, issue, policy, desk.settings.trigger.label)


async def who_set(forge: Forge, event: Event, issue: Issue, policy: Policy, label: str) -> Actor:
    """Name the person who set a label of an issue; raise NotOpened where it was nobody with the right to.

    (1) The forge's history names who set the label last. (2) It was set after the issue was made. (3) By a person, not
    by an app in somebody's name. (4) With the role that policy asks for, now.
    """
    actor = event.actor
    if event.repo.forge is not ForgeKind.LOCAL:
        last = await _last(forge, event, label)  # (1)
        if issue.created_ms and last.at_ms - issue.created_ms < AT_ONCE_MS:  # (2)
            raise NotOpened("GW-TRIGGER-CREATION", "the label came with the issue")
        if last.is_by_app:  # (3)
            raise NotOpened("GW-TRIGGER-APP", "an integration set the label")
        actor = last.actor
    actor = await forge.account(event.repo, actor)
    if actor.kind is not AccountKind.HUMAN:
        raise NotOpened("GW-TRIGGER-APP", f"{actor.login or actor.id} is not known to be a person")
    role = await forge.role(event.repo, actor)
    if not role.at_least(Role(policy.trigger_role)):  # (4)
        why = f"policy asks for {policy.trigger_role}"
        raise NotOpened("GW-TRIGGER-ROLE", f"the role of {actor.login} is {role}", why=why)
    return actor


async def is_outsider(forge: Forge, event: Event, issue: Issue, policy: Policy) -> bool:
    """Tell whether the issue was written by somebody who could not have triggered it; raise where policy refuses."""
    author = await forge.account(event.repo, issue.author) if issue.author else None
    role = await forge.role(event.repo, author) if author else Role.NONE
    if author and author.kind is AccountKind.HUMAN and role.at_least(Role(policy.trigger_role)):
        return False
    if policy.outsiders == "refuse":
        raise NotOpened("GW-TRIGGER-OUTSIDER", "the issue was written by somebody who may not trigger")
    return True


def check_visibility(issue: Issue, home: Home, policy: Policy) -> None:
    """Refuse a confidential issue unless code and evidence are seen by nobody who may not see the issue."""
    may_hide = policy.confidential_issues == "where_private" and home.visibility is Visibility.PRIVATE
    if issue.is_confidential and not may_hide:
        raise NotOpened("GW-TRIGGER-CONFIDENTIAL", "the issue is confidential, and what would come of it is not")


async def _last(forge: Forge, event: Event, label: str) -> LabelEvent:
    events = await forge.label_events(event.repo, event.number)
    history = [one for one in events if one.label.lower() == label.lower()]
    if not history or not history[-1].is_set:
        raise NotOpened("GW-TRIGGER-UNKNOWN", "the forge's history does not say who set the label")
    return history[-1]
