"""Was exactly what people approved carried out, and did they approve it first?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from bot.audit import kinds
from bot.audit.sheet import Entry, Sheet
from bot.model.approval import Binding
from bot.model.task import Gate, Phase, Profile

GATES: Final = {gate.value: gate for gate in Gate}
WRITES: Final = ("commit.intent", "commit.made", "file.change")
READS: Final = (
    Phase.SPEC.value,
    Phase.PLANNING.value,
    Phase.QA.value,
    "publish",
    "archive",
)  # no step here changes code


class Draft(msgspec.Struct, frozen=True):
    """The spec or plan in force."""

    rev: int
    sha256: str


class Gates:
    """What is in force, asked and approved as of a record."""

    def __init__(self, task: str, opened: kinds.TaskOpened, sheet: Sheet) -> None:
        self.task = task
        self.opened = opened
        self.sheet = sheet
        self.policy = opened.policy_sha256
        self.profile = Profile()
        self.drafts: dict[Gate, Draft] = {}
        self.asked: dict[Gate, Entry] = {}
        self.passed: dict[Gate, Entry] = {}
        self.steps: dict[int, str] = {}
        self.unapproved = False

    def take(self, entry: Entry) -> None:
        """Follow one record."""
        match entry.data:
            case kinds.ApprovalRequested():
                self._ask(entry, entry.data)
            case kinds.Approval():
                self._approve(entry, entry.data)
            case kinds.ApprovalWithdrawn(what=what):
                self._void(*(gate for name, gate in GATES.items() if name == what))
            case kinds.Command(verb="fix", accepted=True):
                self._void(Gate.CHANGE)
            case kinds.Command(verb="revise", accepted=True):
                is_about_spec = any(ref.name == "respecify" for ref in entry.record.refs)
                self._void(Gate.PLAN, Gate.CHANGE, *((Gate.SPEC,) if is_about_spec else ()))
            case _ if entry.record.kind in WRITES:
                self._write(entry, entry.data)
            case _:
                self._settle(entry.data)

    def _settle(self, data: kinds.Data) -> None:
        """Follow what approvals bind to."""
        match data:
            case kinds.ProfileSet():
                self.profile = Profile(**msgspec.structs.asdict(data))
            case kinds.PolicyChanged(policy_sha256=policy):
                self.policy = policy
            case kinds.SpecSet(spec_sha256=sha256, rev=rev):
                self._draft(Gate.SPEC, Draft(rev, sha256), voids=(Gate.SPEC, Gate.PLAN))
            case kinds.PlanSet(plan_sha256=sha256, rev=rev):
                self._draft(Gate.PLAN, Draft(rev, sha256), voids=(Gate.PLAN,))
            case kinds.AttemptStarted(attempt=attempt, step=step):
                self.steps[attempt] = step

    def _draft(self, gate: Gate, draft: Draft, voids: tuple[Gate, ...]) -> None:
        self.drafts[gate] = draft
        self._void(*voids)

    def _void(self, *gates: Gate) -> None:
        for gate in gates:
            self.passed.pop(gate, None)

    def _ask(self, entry: Entry, data: kinds.ApprovalRequested) -> None:
        gate = GATES.get(data.what)
        if gate is None:
            self.sheet.find("gates", f"asks at a gate that does not exist: {data.what!a}", entry)
            return
        self.asked[gate] = entry
        draft = self.drafts.get(Gate.SPEC if gate is Gate.SPEC else Gate.PLAN)
        if draft is None:
            self.sheet.find(gate.value, "people were asked before there was a draft", entry)
            return
        expected = self._binding(gate, draft, data).digest()
        if expected != data.digest:
            what = f"the digest that people were shown does not bind the {gate.value} in force"
            self.sheet.find(gate.value, what, entry, expected=expected, found=data.digest)

    def _binding(self, gate: Gate, draft: Draft, data: kinds.ApprovalRequested) -> Binding:
        opened = self.opened
        is_change = gate is Gate.CHANGE
        return Binding(
            instance=opened.instance,
            forge=opened.forge,
            host=opened.host,
            repo=opened.repo_id,
            issue=opened.issue,
            task=self.task,
            gate=gate,
            rev=data.rev if is_change else draft.rev,
            artifact_sha256=draft.sha256,
            base_commit=opened.base_commit,
            policy_sha256=self.policy,
            profile=self.profile,
            source_sha256=data.source_sha256 if is_change else "",
            head=data.head if is_change else "",
        )

    def _approve(self, entry: Entry, data: kinds.Approval) -> None:
        gate = GATES.get(data.what)
        asked = self.asked.get(gate) if gate else None
        if gate is None or asked is None:
            self.sheet.find("gates", f"approves at a gate where nobody was asked: {data.what!a}", entry)
            return
        request: Any = asked.data
        if (data.digest, data.rev) != (request.digest, request.rev):
            what = "approves something else than what was asked last"
            expected, found = f"{request.digest} (draft {request.rev})", f"{data.digest} (draft {data.rev})"
            self.sheet.find(gate.value, what, entry, expected=expected, found=found)
            return
        draft = self.drafts.get(gate)
        if draft is not None and draft.rev != data.rev:
            what = "approves a draft that was replaced before"
            self.sheet.find(gate.value, what, entry, expected=f"draft {draft.rev}", found=f"draft {data.rev}")
            return
        if self._is_person(gate, entry):
            self.passed[gate] = entry

    def _is_person(self, gate: Gate, entry: Entry) -> bool:
        actor = entry.record.actor
        if entry.record.outcome != "ok":
            self.sheet.find(gate.value, f"an approval whose outcome is '{entry.record.outcome}'", entry)
            return False
        if actor.type != "human":
            if self.opened.forge != "local":
                self.sheet.find(gate.value, f"approved by {actor.id}, which is no person", entry)
                return False
            self.sheet.doubt(f"that a person approved the {gate.value}: {actor.id} let it pass by itself")
        if actor.id == f"{self.opened.forge}:{self.opened.labeller}":
            self.sheet.doubt(f"four eyes at the {gate.value} gate: {actor.id} asked for the task and approved")
        return True

    def _write(self, entry: Entry, data: Any) -> None:
        if self.steps.get(data.attempt) in READS or self.unapproved:
            return
        missing = [gate.value for gate in (Gate.SPEC, Gate.PLAN) if gate not in self.passed]
        if missing:
            self.unapproved = True
            self.sheet.find(missing[0], f"work began without an approved {' and '.join(missing)}", entry)


def check(entries: Sequence[Entry], sheet: Sheet) -> Gates:
    """Hold approvals to what was asked, and work to what was approved."""
    opened = entries[0].data
    if not isinstance(opened, kinds.TaskOpened):
        raise TypeError("a journal that was read begins with task.opened")
    gates = Gates(entries[0].record.task, opened, sheet)
    for entry in entries:
        gates.take(entry)
    return gates


def summarise(gates: Gates, sheet: Sheet) -> None:
    """Say per gate who let what pass, or that nobody has yet."""
    for gate in Gate:
        entry = gates.passed.get(gate)
        if sheet.failed(gate.value):
            continue
        if entry is not None:
            data: Any = entry.data
            sheet.hold(gate.value, f"{data.digest[:12]}  approved by {entry.record.actor.id} ({data.permission})")
        elif gate in gates.asked:
            asked: Any = gates.asked[gate].data
            sheet.doubt(f"that anybody approved the {gate.value}: {asked.digest[:12]} was asked and is not approved")
