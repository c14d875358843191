"""What is in force as of a record: policy, drafts, findings, votes, and who has played which part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from bot.audit import kinds
from bot.audit.record import Record
from bot.audit.sheet import Entry
from bot.model.approval import Binding
from bot.model.policy import Policy
from bot.model.ruling import Parts
from bot.model.state import Gate
from bot.model.task import Profile

GATES: Final = {gate.value: gate for gate in Gate}
# Commands whose words enter the work; `edit` has its text in the draft that it makes.
WORDS: Final = ("revise", "fix", "retry")


class Draft(msgspec.Struct, frozen=True):
    """The spec or plan in force."""

    rev: int
    sha256: str


class Given(msgspec.Struct, frozen=True):
    """One approval that stands in the journal; `fell` is the record that voided it, 0 while it is in force."""

    entry: Entry
    data: kinds.Approval
    person: int
    fell: int = 0


class Passing(msgspec.Struct, frozen=True):
    """A ruling that let a gate pass, for a digest, on the word of these people."""

    entry: Entry
    digest: str
    people: tuple[int, ...]
    is_emergency: bool
    fell: int = 0


Fallible = TypeVar("Fallible", Given, Passing)


class Standing:
    """Follows a journal; every question is about the record before the next `take`."""

    def __init__(self, task: str, opened: kinds.TaskOpened) -> None:
        self.task = task
        self.opened = opened
        self.policy: kinds.PolicyChanged | None = None
        self.issue_sha256 = ""
        self.base_commit = opened.base_commit
        self.profile = Profile()
        self.drafts: dict[Gate, Draft] = {}
        self.asked: dict[Gate, Entry] = {}
        self.given: dict[Gate, list[Given]] = {gate: [] for gate in Gate}
        self.passed: dict[Gate, Passing] = {}  # the last one, fallen or not
        self.counted: dict[Gate, tuple[int, ...]] = {}  # whose yes let a gate pass last, whatever fell since
        self.executed: dict[Gate, Entry] = {}  # the last ruling that let it be carried out, while that holds
        self.cleared: dict[Gate, int] = dict.fromkeys(Gate, 0)  # record that may have voided votes in any reading
        self.scope: kinds.ScopeFound | None = None
        self.scopes_approved: set[str] = set()
        self.heads: list[str] = []  # commits that hold the present source, oldest first
        self.source = ""
        self.steps: dict[int, str] = {}
        self.writers: set[int] = set()
        self.committers: set[int] = set()
        self.emergencies: list[tuple[int, kinds.Emergency]] = []

    def take(self, entry: Entry) -> None:
        """Follow one record."""
        match entry.data:
            case kinds.ApprovalRequested(what=what) if what in GATES:
                self._ask(entry, GATES[what], entry.data)
            case kinds.Approval(what=what) if what in GATES and entry.record.outcome == "ok":
                self.given[GATES[what]].append(Given(entry, entry.data, person_of(entry.record)))
            case kinds.RulingMade():
                self._ruled(entry, entry.data)
            case kinds.Emergency():
                self.emergencies.append((person_of(entry.record), entry.data))
            case kinds.Command(accepted=True):
                self._said(entry, entry.data)
            case _:
                self._voided(entry)
                self._settle(entry.data)

    def _settle(self, data: kinds.Data) -> None:
        """Follow what approvals bind to."""
        match data:
            case kinds.IssueSnapshot(issue_sha256=sha256) | kinds.IssueChanged(issue_sha256=sha256):
                self.issue_sha256 = sha256
            case kinds.PolicyChanged():
                self.policy = data
            case kinds.BaseMoved(base_commit=commit):
                self.base_commit = commit
            case kinds.ProfileSet():
                self.profile = Profile(data.spec, data.planning, data.coding, data.qa, data.qa_fixer)
            case kinds.SpecSet(spec_sha256=sha256, rev=rev):
                self.drafts[Gate.SPEC] = Draft(rev, sha256)
            case kinds.PlanSet(plan_sha256=sha256, rev=rev):
                self.drafts[Gate.PLAN] = Draft(rev, sha256)
            case kinds.ScopeFound():
                self.scope = data
            case kinds.AttemptStarted(attempt=attempt, step=step):
                self.steps[attempt] = step
            case _:
                self._committed(data)

    def _committed(self, data: kinds.Data) -> None:
        """Follow which commits hold the present source."""
        match data:
            case kinds.CommitMade(commit=commit, source_sha256=source):
                self._hold(commit, source)
            case kinds.AttemptEnded(commit=commit, source_sha256=source) if commit and commit not in self.heads:
                self._hold(commit, source)
            case kinds.CommitForeign(commit=commit, is_same_tree=True):
                self.heads.append(commit)
            case kinds.CommitForeign(commit=commit, pusher=pusher):
                self.committers.add(pusher)
                self.heads, self.source = [commit], ""
            case kinds.QaVerdict(commit=commit, source_sha256=source) if commit in self.heads and not self.source:
                self.source = source  # of somebody else's commit, which no record gave before

    def _hold(self, commit: str, source: str) -> None:
        self.heads = [*self.heads, commit] if source == self.source else [commit]
        self.source = source

    def _ask(self, entry: Entry, gate: Gate, data: kinds.ApprovalRequested) -> None:
        """Show something: what was approved before and reads otherwise now falls."""
        passed = self.passed.get(gate)
        is_stale = passed is not None and not passed.fell and passed.digest != data.digest
        if is_stale or any(one.data.digest != data.digest for one in self.in_force(gate)):
            self._void(entry, gate)
        self.asked[gate] = entry
        self.cleared[gate] = entry.seq

    def _voided(self, entry: Entry) -> None:
        """Follow what takes approvals back; a changed issue, policy, base or profile does by another digest."""
        match entry.data:
            case kinds.SpecSet():
                self._void(entry, Gate.SPEC, Gate.PLAN)
                self.drafts.pop(Gate.PLAN, None)
            case kinds.PlanSet():
                self._void(entry, Gate.PLAN)
            case kinds.ShownEdited(what=what) if what in GATES:
                self._void(entry, GATES[what])
            case kinds.CommitForeign(is_same_tree=False):
                self._void(entry, Gate.CHANGE)
            case kinds.ApprovalWithdrawn(what=what, event_id="") if what in GATES:
                self._void(entry, GATES[what])
            case kinds.ApprovalWithdrawn(what=what, event_id=event) if what in GATES:
                gate = GATES[what]
                self.cleared[gate] = entry.seq
                self.given[gate] = [
                    _fallen(one, entry.seq) if one.data.event_id == event else one for one in self.given[gate]
                ]

    def _void(self, entry: Entry, *gates: Gate) -> None:
        for gate in gates:
            self.cleared[gate] = entry.seq
            self.given[gate] = [_fallen(one, entry.seq) for one in self.given[gate]]
            self._reopen(entry, gate)

    def _reopen(self, entry: Entry, gate: Gate) -> None:
        self.executed.pop(gate, None)
        if gate in self.passed:
            self.passed[gate] = _fallen(self.passed[gate], entry.seq)

    def _said(self, entry: Entry, data: kinds.Command) -> None:
        """Follow commands: whose words enter the work, and what they take back."""
        names = {ref.name for ref in entry.record.refs}
        if data.verb == "edit" or (data.verb in WORDS and "argument" in names):
            self.writers.add(person_of(entry.record))
        if data.verb == "revise":
            self._void(entry, Gate.PLAN, Gate.CHANGE, *((Gate.SPEC,) if "respecify" in names else ()))
            self.cleared |= dict.fromkeys(Gate, entry.seq)
            self.scope = None if self.heads else self.scope
            self.heads, self.source = [], ""  # what follows begins anew at the base
        elif data.verb == "fix":
            self._void(entry, Gate.CHANGE)

    def _ruled(self, entry: Entry, data: kinds.RulingMade) -> None:
        """Follow decisions: what lets a gate pass, and what stops it when it is to be carried out."""
        case, gate = data.case, data.case.gate
        is_last = gate in self.asked and getattr(self.asked[gate].data, "digest", "") == case.digest
        if case.moment == "execution":
            if data.ruling.passed and is_last:
                self.executed[gate] = entry
            elif not data.ruling.passed:
                self._void(entry, *((Gate.SPEC, Gate.PLAN) if gate is Gate.SPEC else (gate,)))
        elif not data.ruling.passed:
            self._reopen(entry, gate)
        elif is_last:
            self._pass(entry, data)

    def _pass(self, entry: Entry, data: kinds.RulingMade) -> None:
        case, gate = data.case, data.case.gate
        people = [tally.person for tally in data.ruling.tallies if not tally.code]
        people += [person for person in case.breakers if data.ruling.is_emergency and person not in people]
        self.counted[gate] = tuple(people)
        self.passed[gate] = Passing(entry, case.digest, tuple(people), data.ruling.is_emergency)
        if gate is Gate.SCOPE and self.scope is not None:
            self.scopes_approved.add(self.scope.scope_sha256)

    def let_pass(self, gate: Gate) -> Passing | None:
        """Name the ruling that let a gate pass, while all that it binds and rests on still stands."""
        passed = self.passed.get(gate)
        if passed is None or passed.fell or passed.digest != self.present(gate):
            return None
        still = {one.person for one in self.in_force(gate)} | self.breakers(gate, passed.digest)
        return passed if set(passed.people) <= still else None

    def present(self, gate: Gate) -> str:
        """Compute the gate digest of what is in force now; empty where nobody was asked."""
        request = self.asked[gate].data if gate in self.asked else None
        bound = self.binding(gate, request) if isinstance(request, kinds.ApprovalRequested) else None
        return bound.digest() if bound else ""

    def in_force(self, gate: Gate) -> Iterator[Given]:
        """List the approvals that nothing has taken back."""
        return (one for one in self.given[gate] if not one.fell)

    def effective(self) -> Policy | None:
        """Name the policy in force."""
        return self.policy.policy if self.policy is not None else None

    @property
    def is_scope_decided(self) -> bool:
        """Tell whether no scope finding waits for people."""
        return self.scope is None or not self.scope.count or self.scope.scope_sha256 in self.scopes_approved

    @property
    def parts(self) -> Parts:
        """Say who has played which part so far."""
        people = {gate.value: tuple(sorted(set(one.people))) for gate, one in self.passed.items() if not one.fell}
        writers, committers = tuple(sorted(self.writers)), tuple(sorted(self.committers))
        return Parts(self.opened.labeller, self.opened.author, writers, committers, **people)

    def breakers(self, gate: Gate, digest: str) -> set[int]:
        """Name who broke the glass for a digest."""
        return {person for person, data in self.emergencies if (data.what, data.digest) == (gate.value, digest)}

    def binding(self, gate: Gate, request: kinds.ApprovalRequested) -> Binding | None:
        """Gather what a gate binds; its counter, and the change's head, are those of the request."""
        artifact, rev, source, head = self._artifact(gate, request)
        if not artifact:
            return None
        opened = self.opened
        return Binding(
            instance=opened.instance,
            forge=opened.forge,
            host=opened.host,
            repo=opened.repo_id,
            issue=opened.issue,
            task=self.task,
            gate=gate,
            rev=rev,
            artifact_sha256=artifact,
            base_commit=self.base_commit,
            policy_sha256=self.policy.policy_sha256 if self.policy else opened.policy_sha256,
            profile=self.profile,
            issue_sha256=self.issue_sha256,
            source_sha256=source,
            head=head,
        )

    def _artifact(self, gate: Gate, request: kinds.ApprovalRequested) -> tuple[str, int, str, str]:
        """Name what is decided on: digest, revision, source, head; an empty digest where there is nothing yet."""
        if gate is Gate.SCOPE:
            scope = self.scope
            return (scope.scope_sha256, request.rev, scope.source_sha256, scope.commit) if scope else ("", 0, "", "")
        draft = self.drafts.get(Gate.SPEC if gate is Gate.SPEC else Gate.PLAN)
        if draft is None:
            return "", 0, "", ""
        if gate is Gate.CHANGE:
            return draft.sha256, request.rev, request.source_sha256, request.head
        return draft.sha256, draft.rev, "", ""


def person_of(record: Record) -> int:
    """Read the numeric id of an acting account; 0 where it has none."""
    number = record.actor.id.rpartition(":")[2]
    return int(number) if number.isascii() and number.isdigit() else 0


def _fallen(one: Fallible, seq: int) -> Fallible:
    return one if one.fell else msgspec.structs.replace(one, fell=seq)
