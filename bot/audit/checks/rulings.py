"""Take every ruling again: from what the journal holds, under the policy that was in force."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from bot import __version__
from bot.audit import kinds
from bot.audit.checks.gates import begin
from bot.audit.checks.standing import GATES, Given, Standing, person_of
from bot.audit.sheet import Entry, Sheet
from bot.model.errors import UsageError
from bot.model.event import AccountKind
from bot.model.policy import DOMAIN, GateRule, Policy
from bot.model.ruling import Case, Outcome, Parts, Ruling, Vote
from bot.model.state import Gate
from bot.policy.rules import judge
from bot.policy.windows import frozen_until

CLOCK_MS: Final = 3_600_000  # between the look at the forge and the record of what was decided
OBSERVED: Final = (
    "that the forge said so at that time: each approver's account, role, groups and ownership, that comments stood "
    "unedited, where the branch stood, and what the forge enforces"
)


class Rulings:
    """Holds each ruling to the records before it."""

    def __init__(self, standing: Standing, sheet: Sheet) -> None:
        self.standing = standing
        self.sheet = sheet
        self.counted = 0
        self.policies = 0

    def take(self, entry: Entry) -> None:
        """Judge one record by what stood before it."""
        match entry.data:
            case kinds.PolicyChanged():
                self._policy(entry, entry.data)
            case kinds.RulingMade(case=case, ruling=ruling):
                self.counted += 1
                self._ground(entry, case)
                self._parts(entry, case)
                self._votes(entry, case, {(t.person, t.event_id) for t in ruling.tallies if not t.code})
                self._again(entry, case, ruling)
                self._told(entry, ruling)
            case kinds.Emergency():
                self._emergency(entry, entry.data)
            case kinds.EmergencyReviewed():
                self._reviewed(entry, entry.data)
        self.standing.take(entry)

    def _policy(self, entry: Entry, data: kinds.PolicyChanged) -> None:
        """Hash the table as it stands in the record, keys of other versions included."""
        found = hashlib.sha256(DOMAIN + msgspec.json.encode(entry.record.data["policy"], order="sorted")).hexdigest()
        if found != data.policy_sha256:
            what = "the policy in the record is not the one that its digest names"
            self.sheet.find("policy", what, entry, expected=data.policy_sha256, found=found)
        opened = self.standing.opened.policy_sha256
        if not self.policies and data.policy_sha256 != opened:
            what = "the task was opened under another policy"
            self.sheet.find("policy", what, entry, expected=opened, found=data.policy_sha256)
        self.policies += 1

    def _emergency(self, entry: Entry, data: kinds.Emergency) -> None:
        """Hold the people who broke the glass to the policy, as far as it names them by id."""
        policy = self.standing.effective()
        people = policy.emergency.people if policy else ()
        person = entry.record.actor.id
        ids = [name for name in people if name.startswith("user:")]
        if entry.record.actor.type != "human":
            self.sheet.find(data.what, f"the glass was broken by {person}, which is no person", entry)
        elif not people:
            self.sheet.find(data.what, f"the glass was broken by {person}, and policy lets nobody", entry)
        elif f"user:{person.rpartition(':')[2]}" not in ids:
            if len(ids) == len(people):
                what = f"the glass was broken by {person}, whom policy does not name"
                self.sheet.find(data.what, what, entry, expected=", ".join(people))
            else:
                self.sheet.doubt(f"that {person}, who broke the glass, is one of: {', '.join(people)}")

    def _reviewed(self, entry: Entry, data: kinds.EmergencyReviewed) -> None:
        """Hold a review to its emergency, and whoever says it to not having had a part in that."""
        person, gate = entry.record.actor.id, GATES.get(data.what)
        broken = self.standing.breakers(gate, data.digest) if gate else set()
        if not broken:
            self.sheet.find(data.what, f"{person} reviewed an emergency that no record holds", entry, found=data.digest)
        elif entry.record.actor.type != "human" or not person_of(entry.record):
            self.sheet.find(data.what, f"the emergency was reviewed by {person}, which is no person", entry)
        elif person_of(entry.record) in broken:
            self.sheet.find(data.what, f"the emergency was reviewed by {person}, who broke the glass", entry)

    def _ground(self, entry: Entry, case: Case) -> None:
        """Compare what was decided on with what was in force and asked."""
        standing, gate = self.standing, case.gate
        policy = standing.policy
        asked = standing.asked.get(gate)
        expected = {
            "policy_sha256": policy.policy_sha256 if policy else "",
            "digest": standing.present(gate),
            "asked": getattr(asked.data, "digest", "") if asked else "",
            "asked_ms": asked.record.ts if asked else 0,
            "is_scope_decided": standing.is_scope_decided,
            "breakers": tuple(sorted(standing.breakers(gate, case.digest))),
            "is_frozen": _is_frozen(policy.policy, case.at_ms) if policy else case.is_frozen,
        }
        found = {name: getattr(case, name) for name in expected} | {"breakers": tuple(sorted(case.breakers))}
        if gate is not Gate.CHANGE:
            expected["is_scope_decided"] = found["is_scope_decided"]  # asked for at the change gate alone
        self._compare(entry, "was taken on another", expected, found)
        if abs(entry.record.ts - case.at_ms) > CLOCK_MS:
            what = f"the ruling at the {gate.value} gate says another time than its record"
            self.sheet.find("rulings", what, entry, expected=str(entry.record.ts), found=str(case.at_ms))

    def _compare(self, entry: Entry, what: str, expected: dict[str, Any], found: dict[str, Any]) -> None:
        for name, value in expected.items():
            if value != found[name]:
                self.sheet.find("rulings", f"{what} {name}", entry, expected=_said(value), found=_said(found[name]))

    def _parts(self, entry: Entry, case: Case) -> None:
        """Compare who is said to have played which part with who did.

        What let a gate pass may have fallen since; where four eyes ask for it, who gave it counts all the same.
        """
        expected, found = _people(self.standing.parts), _people(case.parts)
        policy = self.standing.effective()
        not_by = policy.rule(case.gate).not_by if policy else ()
        for gate, people in self.standing.counted.items():
            last = tuple(sorted(set(people)))
            if gate is not case.gate and (gate.value in not_by or found[gate.value] == last):
                expected[gate.value] = last
        self._compare(entry, "names other people as", expected, found)

    def _told(self, entry: Entry, ruling: Ruling) -> None:
        """Hold the record's own outcome to the ruling in it."""
        said = "ok" if ruling.passed else "denied"
        if entry.record.outcome != said:
            what = "the record and the ruling in it say different things"
            self.sheet.find("rulings", what, entry, expected=said, found=entry.record.outcome)

    def _votes(self, entry: Entry, case: Case, counted: set[tuple[int, str]]) -> None:
        """Find the approval behind every vote, and a vote for every approval of this digest that is in force."""
        given = self.standing.given[case.gate]
        for vote in case.votes:
            behind = [g for g in given if (g.person, g.data.event_id) == (vote.person, vote.event_id)]
            if not behind:
                what = "counts an approval that no record gives"
                self.sheet.find("rulings", what, entry, found=f"{vote.person}, {vote.event_id}")
                continue
            one = next((g for g in reversed(behind) if not g.fell), behind[-1])
            if one.fell and (vote.person, vote.event_id) in counted:
                what = f"counts an approval that had fallen in record {one.fell}"
                self.sheet.find("rulings", what, entry, found=f"{vote.person}, {vote.event_id}")
            self._vote(entry, vote, one)
            self._named(entry, case, vote)
        listed = {vote.person for vote in case.votes}
        for one in self.standing.in_force(case.gate):
            is_due = one.data.digest == case.digest and one.entry.seq > self.standing.cleared[case.gate]
            if is_due and one.person not in listed:
                what = f"leaves out the approval of record {one.entry.seq}"
                self.sheet.find("rulings", what, entry, expected=f"{one.person}, {one.data.event_id}")

    def _vote(self, entry: Entry, vote: Vote, one: Given) -> None:
        expected = {
            "digest": one.data.digest,
            "method": one.data.method,
            "at_ms": one.data.forge_ts,
            "role_then": one.data.permission,
        }
        found = {name: getattr(vote, name) for name in expected} | {"role_then": vote.role_then.value}
        self._compare(entry, f"reads the approval of record {one.entry.seq} with another", expected, found)
        if vote.kind is AccountKind.HUMAN and one.entry.record.actor.type != "human":
            what = f"takes {one.entry.record.actor.id} for a person"
            self.sheet.find("rulings", what, entry, expected=one.entry.record.actor.type, found=vote.kind.value)

    def _named(self, entry: Entry, case: Case, vote: Vote) -> None:
        """Hold what policy itself says about a voter to the policy: entries by id, and who stands in for whom."""
        policy = self.standing.effective()
        if policy is None:
            return
        rule = policy.rule(case.gate)
        foreign = _foreign_entries(rule, vote)
        if foreign:
            what = f"says that {vote.person} is an approver whom policy does not name so"
            self.sheet.find("rulings", what, entry, expected=", ".join(rule.approvers), found=", ".join(foreign))
        if any(index >= len(case.owners) for index in vote.owns):
            what = f"counts {vote.person} as an owner of places that were not touched"
            self.sheet.find("rulings", what, entry, expected=f"below {len(case.owners)}", found=_said(vote.owns))
        allowed = [_delegators(policy, vote.person, ms) for ms in (case.at_ms, vote.at_ms)]
        if set(vote.delegators) not in allowed:
            what = f"says that {vote.person} stands in for others than policy says"
            self.sheet.find("rulings", what, entry, expected=_said(sorted(allowed[0])), found=_said(vote.delegators))

    def _again(self, entry: Entry, case: Case, ruling: Ruling) -> None:
        """Take the decision again and compare it whole."""
        policy = self.standing.effective()
        if policy is None:
            self.sheet.find("rulings", "was taken before any policy was in force", entry)
            return
        taken = judge(policy, case)
        if taken == ruling:
            return
        version = self.standing.opened.bot_version
        other = "" if version == __version__ else f" (the task began under version {version}, this is {__version__})"
        what = f"taken again, this ruling at the {case.gate.value} gate comes out otherwise{other}"
        self.sheet.find("rulings", what, entry, expected=_ruled(taken), found=_ruled(ruling))


def check(entries: Sequence[Entry], sheet: Sheet) -> None:
    """Hold policies and rulings to the journal, and say what they rest on beyond it."""
    rulings = Rulings(begin(entries), sheet)
    for entry in entries:
        rulings.take(entry)
    last = rulings.standing.policy
    if last is not None and not sheet.failed("policy"):
        by = f", last changed in {last.file_commit[:12]} by account {last.file_by}" if last.file_commit else ""
        times = "" if rulings.policies == 1 else f", the last of {rulings.policies}"
        sheet.hold("policy", f"{last.policy_sha256[:12]}  preset {last.policy.preset}{times}{by}")
    if not rulings.counted:
        return
    sheet.doubt(OBSERVED)
    if not sheet.failed("rulings"):
        noun = "1 ruling" if rulings.counted == 1 else f"{rulings.counted} rulings"
        sheet.hold("rulings", f"{noun} taken again with the same result")


def _people(parts: Parts) -> dict[str, Any]:
    """Read parts by name; the order of people says nothing."""
    named = msgspec.structs.asdict(parts)
    return {name: tuple(sorted(set(who))) if isinstance(who, tuple) else who for name, who in named.items()}


def _is_frozen(policy: Policy, at_ms: int) -> bool:
    """Look the time up in the freeze windows; one that cannot be read freezes nothing."""
    with contextlib.suppress(UsageError):
        return frozen_until(policy.freeze, at_ms) is not None
    return False


def _foreign_entries(rule: GateRule, vote: Vote) -> list[str]:
    ids = {name for name in vote.entries if name.startswith("user:")}
    theirs = {f"user:{person}" for person in (vote.person, *vote.delegators)}
    return sorted((set(vote.entries) - set(rule.approvers)) | (ids - theirs))


def _delegators(policy: Policy, person: int, ms: int) -> set[int]:
    day = datetime.fromtimestamp(min(ms, 253_402_300_799_000) / 1000, UTC).date().isoformat()
    return {one.person for one in policy.delegations if one.to == person and one.since <= day <= one.until}


def _said(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value)) or "nobody"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value) or "none"


def _ruled(ruling: Ruling) -> str:
    """Spell a ruling: what it says, and what did not count."""
    said = "passes" + (" in an emergency" if ruling.is_emergency else "") if ruling.passed else "does not pass"
    unmet = [_unmet(one) for one in ruling.outcomes if not one.ok]
    tallies = [f"{one.person} {one.code or 'counts'}" for one in ruling.tallies]
    return "; ".join([said, *([f"unmet: {', '.join(unmet)}"] if unmet else []), *tallies])


def _unmet(outcome: Outcome) -> str:
    return f"{outcome.rule} ({outcome.why})"
