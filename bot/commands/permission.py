"""May this account say this here and now? Pure, and no unless everything says yes."""

from __future__ import annotations

from typing import Final

from bot.commands.catalogue import entry, possible
from bot.model.command import Command
from bot.model.errors import Refused
from bot.model.event import AccountKind, Actor
from bot.model.manners import Manners
from bot.model.policy import Policy
from bot.model.role import Role
from bot.model.state import State
from bot.model.verbs import Entry, Takes, Where

OWN: Final = "GW-COMMAND-OWN"
NOT_HUMAN: Final = "GW-COMMAND-NOT-HUMAN"
SILENT: Final = frozenset({OWN, NOT_HUMAN})  # answering machines would let two bots talk for ever


def decide(
    command: Command,
    *,
    state: State,
    role: Role,
    actor: Actor,
    me: Actor,
    policy: Policy,
    on_change: bool,
    manners: Manners,
) -> Refused | None:
    """Say why a command may not act, None where it may; codes in SILENT are not answered."""
    row = entry(command.verb)
    return (
        _who(actor, me)
        or _role(row, role, policy)
        or _where(row, state, manners, on_change=on_change)
        or _argument(row, command)
    )


def _who(actor: Actor, me: Actor) -> Refused | None:
    if actor.id == me.id:
        return Refused(OWN, "the bot does not listen to itself")
    if actor.kind is not AccountKind.HUMAN:
        return Refused(NOT_HUMAN, f"{actor.login} is not known to be a person", why="only people decide")
    return None


def _role(row: Entry, role: Role, policy: Policy) -> Refused | None:
    wanted = Role.READ if row.readers_too else needed(row, policy)
    if role.at_least(wanted):
        return None
    return Refused(
        "GW-COMMAND-ROLE",
        f"`{row.verb}` needs the role {wanted} in this repository",
        why=f"your role is {role}",
        fix=f"ask somebody with the role {wanted} or more",
    )


def needed(row: Entry, policy: Policy) -> Role:
    """Name the weakest role that may say a verb."""
    roles = (Role(policy.min_role), Role(policy.verb_roles.get(row.verb.value, "write")), Role.WRITE)
    return max(roles, key=list(Role).index)


def _where(row: Entry, state: State, manners: Manners, *, on_change: bool) -> Refused | None:
    where = row.where.get(state)
    if where is None:
        return Refused(
            "GW-COMMAND-STATE",
            f"`{row.verb}` is not possible now",
            why=f"the task is in state {state}; `{row.verb}` counts at: {row.when}",
            fix=f"possible now: {_listed(state, on_change=on_change)}",
        )
    if where.holds(on_change=on_change):
        return None
    page = manners.change_word if where is Where.CHANGE else "issue"
    return Refused(
        "GW-COMMAND-PLACE",
        f"`{row.verb}` counts on the {page} now",
        why="that is where the text stands that it is about",
        fix=f"say it on the {page} of this task",
    )


def _argument(row: Entry, command: Command) -> Refused | None:
    given = command.block if row.takes is Takes.BLOCK else command.argument
    if given.strip() or not row.needs_argument:
        return None
    return Refused(
        "GW-COMMAND-ARGUMENT",
        f"`{row.verb}` says nothing without its text",
        why=f"the form is `{row.verb} {row.form}`",
        fix="put the whole new text into a fenced block below it"
        if row.takes is Takes.BLOCK
        else "say it again, whole",
    )


def _listed(state: State, *, on_change: bool) -> str:
    return ", ".join(f"`{verb}`" for verb in possible(state, on_change=on_change))
