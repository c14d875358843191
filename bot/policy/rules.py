"""Decide at a gate: pure, closed, and no unless every rule says yes.

`judge` is taken twice for one approval, when it is given and when it is carried out, and a third time by anybody who
runs `gatewright audit verify` on the records.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from bot.model.event import AccountKind
from bot.model.policy import GateRule, Policy
from bot.model.role import Role
from bot.model.ruling import Case, Outcome, Ruling, Tally, Vote
from bot.model.state import Gate

DAY_MS: Final = 86_400_000
BREAKERS: Final = 2  # people who break the glass together


class Rule(msgspec.Struct, frozen=True):
    """One rule: the policy keys it reads, and what it asks for, in words for docs and `policy explain`."""

    keys: tuple[str, ...]
    asks: str
    is_waived: bool = False  # by two people who break the glass


RULES: Final[Mapping[str, Rule]] = {
    "asked": Rule((), "what would be approved is what people were shown last"),
    "open": Rule(("gate_days",), "the gate has not been open for too long"),
    "shown": Rule((), "the comment that asks reads as it was written"),
    "votes": Rule(
        (
            "digest",
            "native_approval",
            "min_role",
            "verb_roles",
            "approvers",
            "approver_ids",
            "membership_days",
            "not_by",
        ),
        "somebody's yes counts",
        is_waived=True,
    ),
    "quorum": Rule(("quorum", "delegations"), "enough different people said yes", is_waived=True),
    "owners": Rule(("approvers",), "an owner of each touched path said yes", is_waived=True),
    "freeze": Rule(("freeze",), "no freeze window is open when code would be written or merged", is_waived=True),
    "scope": Rule(("scope",), "every scope finding is decided"),
    "head": Rule((), "the branch stands where QA judged it"),
    "enforced": Rule(("target_branch",), "the forge holds merges to this gate", is_waived=True),
}

# Why one person's yes does not count; the first that applies.
TALLIES: Final[Mapping[str, str]] = {
    "digest": "it is about something else than what is asked now",
    "person": "it is not known to be a person's",
    "changed": "the comment was edited or is gone, or the approval was taken back",
    "unnamed": "policy wants the digest in the comment",
    "native": "policy does not count the forge's own approvals here",
    "late": "it is older than an approval may be",
    "role": "the role was too weak when it was said, or is now",
    "approver": "the person is not among those whom policy names for this gate",
    "four_eyes": "the person has had a part in this task that policy keeps apart from this gate",
    "repeated": "the person, or somebody they stand in for, is counted already",
}


def judge(policy: Policy, case: Case) -> Ruling:
    """Take the decision: count the votes, ask every rule, and pass only where none objects."""
    rule = policy.rule(case.gate)
    tallies = tuple(_tallied(policy, case))
    counted = [vote for vote, tally in zip(case.votes, tallies, strict=True) if not tally.code]
    outcomes = tuple(Outcome(name, not (why := ask(policy, rule, case, counted)), why) for name, ask in _ASK.items())
    is_emergency = len(set(case.breakers)) >= BREAKERS
    passed = all(one.ok or (is_emergency and RULES[one.rule].is_waived) for one in outcomes)
    return Ruling(passed, is_emergency and not all(one.ok for one in outcomes), outcomes, tallies)


def review_due(broken: Iterable[tuple[int, int]]) -> int:
    """Tell by when an emergency has to be reviewed, from (person, due) in their order: what the last one needed said.

    Who says it again later puts nothing off; 0 while too few people have said it.
    """
    people: set[int] = set()
    for person, due in broken:
        people.add(person)
        if len(people) >= BREAKERS:
            return due
    return 0


def barred(policy: Policy, case: Case) -> Mapping[int, str]:
    """Name who may not approve here, each with the part that bars them.

    Who was ever stood in for has had the other's parts too: what one does in another's name is done by both.
    """
    rule = policy.rule(case.gate)
    found = {person: part for part in reversed(rule.not_by) for person in _who(case, part)}
    day = dt.datetime.fromtimestamp(case.at_ms / 1000, dt.UTC).date().isoformat()
    away = {one.person: found[one.to] for one in policy.delegations if one.to in found and one.since <= day}
    return away | found


def _tallied(policy: Policy, case: Case) -> Iterator[Tally]:
    seen: set[int] = set()
    for vote in case.votes:
        code = objection(policy, case, vote)
        faces = {vote.person, *vote.delegators}
        if not code and faces & seen:
            code = "repeated"
        if not code:
            seen |= faces
        yield Tally(vote.person, vote.event_id, code)


def objection(policy: Policy, case: Case, vote: Vote) -> str:
    """Say why one vote does not count, by its code in TALLIES; empty where it does."""
    rule = policy.rule(case.gate)
    roles = (rule.min_role, policy.min_role, policy.verb_roles.get("approve", "write"))
    wanted = max(map(Role, roles), key=list(Role).index)
    objections = {
        "digest": vote.digest != case.digest,
        "person": vote.kind is not AccountKind.HUMAN or not vote.person,
        "changed": not vote.is_unchanged,
        "unnamed": policy.digest == "required" and vote.method == "shown",
        "native": not _native_counts(policy, vote),
        "late": case.at_ms - vote.at_ms > policy.gate_days * DAY_MS,
        "role": not (vote.role_then.at_least(wanted) and vote.role_now.at_least(wanted)),
        "approver": not vote.entries if rule.approvers else policy.approver_ids,
        "four_eyes": _is_barred(policy, case, vote),
    }
    return next((code for code, applies in objections.items() if applies), "")


def _is_barred(policy: Policy, case: Case, vote: Vote) -> bool:
    """Tell whether four eyes would be two: of an unknown committer nobody can say who it is not."""
    is_nameless = "committer" in policy.rule(case.gate).not_by and 0 in case.parts.committer
    return is_nameless or bool({vote.person, *vote.delegators} & set(barred(policy, case)))


def _native_counts(policy: Policy, vote: Vote) -> bool:
    """A review names its commit; an approval that carries none proves nothing, whatever it is said to mean."""
    if vote.method == "review":
        return policy.native_approval != "ignored"
    return vote.method != "native" or policy.native_approval == "counts"


def _who(case: Case, part: str) -> tuple[int, ...]:
    found: int | tuple[int, ...] = getattr(case.parts, part)
    return (found,) if isinstance(found, int) else found


_Ask = Callable[[Policy, GateRule, Case, list[Vote]], str]


def _asked(_: Policy, __: GateRule, case: Case, ___: list[Vote]) -> str:
    return "" if case.asked and case.asked == case.digest else "what is in force now has not been shown"


def _open(policy: Policy, _: GateRule, case: Case, __: list[Vote]) -> str:
    is_over = case.at_ms - case.asked_ms > policy.gate_days * DAY_MS
    return f"asked more than {policy.gate_days} days ago" if is_over else ""


def _shown(_: Policy, __: GateRule, case: Case, ___: list[Vote]) -> str:
    return "" if case.is_shown else "the comment that asks was edited by somebody else"


def _votes(_: Policy, __: GateRule, case: Case, counted: list[Vote]) -> str:
    return "" if counted else f"none of {len(case.votes)} approvals counts"


def _quorum(_: Policy, rule: GateRule, __: Case, counted: list[Vote]) -> str:
    return "" if len(counted) >= rule.quorum else f"{len(counted)} of {rule.quorum} approvals"


def _owners(_: Policy, rule: GateRule, case: Case, counted: list[Vote]) -> str:
    if "owners" not in rule.approvers:
        return ""
    met = [sum(index in vote.owns for vote in counted) for index in range(len(case.owners))]
    missing = sum(found < needed for found, needed in zip(met, case.owners, strict=True))
    return f"owners of {missing} more of the touched places" if missing else ""


def _freeze(_: Policy, __: GateRule, case: Case, ___: list[Vote]) -> str:
    writes_code = case.gate is Gate.CHANGE or (case.gate is not Gate.SPEC and case.moment == "execution")
    return "a freeze window is open" if case.is_frozen and writes_code else ""


def _scope(_: Policy, __: GateRule, case: Case, ___: list[Vote]) -> str:
    return "" if case.is_scope_decided or case.gate is not Gate.CHANGE else "a scope finding waits for its approval"


def _head(_: Policy, __: GateRule, case: Case, ___: list[Vote]) -> str:
    return "" if case.is_head else "the branch has moved since QA judged it"


def _enforced(_: Policy, __: GateRule, case: Case, ___: list[Vote]) -> str:
    return "" if case.is_enforced else "the forge lets people merge past this gate"


_ASK: Final[Mapping[str, _Ask]] = {
    "asked": _asked,
    "open": _open,
    "shown": _shown,
    "votes": _votes,
    "quorum": _quorum,
    "owners": _owners,
    "freeze": _freeze,
    "scope": _scope,
    "head": _head,
    "enforced": _enforced,
}
