"""The presets `team` and `regulated`, what a table leaves to them, and whether a policy can be kept at all."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import msgspec

from bot.model.command import Verb
from bot.model.errors import UsageError
from bot.model.policy import BreakGlass, Delegation, GateRule, Policy
from bot.model.state import Gate
from bot.policy.windows import parse

NAMES: Final[tuple[str, ...]] = get_args(get_type_hints(Policy)["preset"])
BREAKERS: Final = 2
Table = dict[str, Any]


def preset(name: str) -> Policy:
    """Read a preset; raises UsageError for a name that is none."""
    if name not in NAMES:
        raise UsageError("GW-POLICY-PRESET", f"there is no preset '{name}'", fix=f"take one of: {', '.join(NAMES)}")
    return msgspec.convert(_table(name), Policy)


def fill(table: Mapping[str, Any]) -> Table:
    """Lay a [policy] table over the preset it names; tables within merge key by key, lists replace.

    A preset that does not exist stays in the table, for whoever checks its values.
    """
    name = table.get("preset", NAMES[0])
    return _over(_table(name if name in NAMES else NAMES[0]), table)


def local(policy: Policy) -> Policy:
    """Leave what one person at a terminal can keep; for the `local` forge, after a repository's file has narrowed it.

    There is one account, no group, no other project, no CI to hold and no branch that the forge could protect; what
    is a scope finding stays what it was.
    """
    alone = {gate.value: msgspec.structs.replace(policy.rule(gate), approvers=(), quorum=1, not_by=()) for gate in Gate}
    return msgspec.structs.replace(
        policy, **alone, digest="optional", approver_ids=False, membership_days=0, ci="run", target_branch="advisory",
        emergency=BreakGlass(), delegations=(), file_project="", file_ref="",
    )  # fmt: skip


def problems(policy: Policy) -> tuple[str, ...]:
    """Say in words why nobody could keep this policy, key by key; empty where people can."""
    return (*_gates(policy), *_emergency(policy), *_verbs(policy), *_windows(policy), *_away(policy), *_file(policy))


def _gates(policy: Policy) -> Iterator[str]:
    for gate in Gate:
        rule, key = policy.rule(gate), f"policy.{gate.value}"
        if policy.approver_ids and not rule.approvers:
            yield f"{key}.approvers names nobody, and policy.approver_ids asks for names"
        if policy.approver_ids and (logins := _logins(rule.approvers)):
            yield f"{key}.approvers holds {logins}, and policy.approver_ids asks for user:ID, group:ID or owners"
        if gate is Gate.SPEC and set(rule.approvers) == {"owners"}:
            yield f"{key}.approvers names owners alone, and before there is a plan no path is touched that has any"
        if rule.approvers and not _may_be_many(rule) and len(set(rule.approvers)) < rule.quorum:
            yield f"{key}.quorum is {rule.quorum}, and {key}.approvers names {len(set(rule.approvers))}"


def _emergency(policy: Policy) -> Iterator[str]:
    people = policy.emergency.people
    if people and not any(each.startswith("group:") for each in people) and len(set(people)) < BREAKERS:
        yield f"policy.emergency.people names fewer than {BREAKERS}, and breaking the glass takes {BREAKERS}"
    if "owners" in people:
        yield "policy.emergency.people holds owners, who are not named people"
    if policy.approver_ids and (logins := _logins(people)):
        yield f"policy.emergency.people holds {logins}, and policy.approver_ids asks for user:ID or group:ID"


def _verbs(policy: Policy) -> Iterator[str]:
    for verb in policy.verb_roles:
        if verb not in set(Verb):
            yield f"policy.verb_roles.{verb} is no verb; there are: {', '.join(Verb)}"


def _windows(policy: Policy) -> Iterator[str]:
    for text in policy.freeze:
        try:
            parse(text)
        except UsageError as error:
            yield f"policy.freeze: {error.what}: {error.why}"


def _away(policy: Policy) -> Iterator[str]:
    dated: list[tuple[Delegation, date, date]] = []
    for number, one in enumerate(policy.delegations):
        key = f"policy.delegations[{number}]"
        try:
            since, until = date.fromisoformat(one.since), date.fromisoformat(one.until)
        except ValueError as error:
            yield f"{key} holds a day that does not exist: {error}"
            continue
        if until < since:
            yield f"{key} ends before it begins"
        dated.append((one, since, until))
    # Who stands in for whom changes only on first days, so a ring that ever closes is closed on one of them.
    for day in sorted({since for _, since, _ in dated}):
        if ring := _ring({(one.person, one.to) for one, since, until in dated if since <= day <= until}):
            yield f"policy.delegations lead back to where they began on {day}: {', '.join(map(str, ring))}"
            return


def _ring(stands_in: set[tuple[int, int]]) -> list[int]:
    """Drop who stands in and is not away, again and again; whoever is left goes in circles."""
    while stands_in:
        away = {person for person, _ in stands_in}
        left = {(person, to) for person, to in stands_in if to in away}
        if left == stands_in:
            break
        stands_in = left
    return sorted({person for person, _ in stands_in})


def _file(policy: Policy) -> Iterator[str]:
    if policy.file_ref and not policy.file_project:
        yield "policy.file_ref names a branch of no project: set policy.file_project as well"


def _logins(approvers: tuple[str, ...]) -> str:
    return ", ".join(each for each in approvers if each.startswith("@"))


def _may_be_many(rule: GateRule) -> bool:
    return any(each == "owners" or each.startswith("group:") for each in rule.approvers)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Table:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


@cache
def _table(name: str) -> Table:
    shipped = files("bot") / "presets" / f"{name}.toml"
    place = shipped if shipped.is_file() else Path(__file__).parents[2] / "config" / f"{name}.toml"  # of a checkout
    table: Table = tomllib.loads(place.read_text("utf-8"))["policy"]
    return table
