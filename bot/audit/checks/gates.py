"""Was exactly what people let pass carried out, and did they let it pass first?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bot.audit import kinds
from bot.audit.checks.standing import GATES, Passing, Standing
from bot.audit.sheet import Entry, Sheet
from bot.model.state import Gate, Phase, Step

WRITES: Final = ("commit.intent", "commit.made", "file.change")
READS: Final = (
    Phase.SPEC.value,
    Phase.PLANNING.value,
    Phase.QA.value,
    Step.PUBLISH.value,
    Step.ARCHIVE.value,
)  # no step here changes code
# What has to be let pass before a step, and be ruled on once more when it begins.
PERMITS: Final = {Step.PLANNING.value: (Gate.SPEC,), Step.CODING.value: (Gate.SPEC, Gate.PLAN)}
BRANCHES: Final = "refs/heads/"
EVIDENCE: Final = "refs/heads/gatewright-audit/"
MERGE: Final = "merge"  # purpose of the write by which the bot merges


class Gates:
    """Holds approvals to what was asked, and steps to what was let pass."""

    def __init__(self, standing: Standing, sheet: Sheet) -> None:
        self.standing = standing
        self.sheet = sheet
        self.is_licensed = False  # code may be written: spec and plan were passed when coding began
        self.unapproved = False
        self.begun: dict[Gate, int] = {}  # record of the last step that a gate permitted

    def take(self, entry: Entry) -> None:
        """Judge one record by what stood before it."""
        match entry.data:
            case kinds.ApprovalRequested():
                self._ask(entry, entry.data)
            case kinds.Approval():
                self._approve(entry, entry.data)
            case kinds.RulingMade():
                self._rule(entry, entry.data)
            case kinds.AttemptStarted(step=step) if step in PERMITS:
                self._begin(entry, step)
            case kinds.Pushed():
                self._push(entry, entry.data)
            case kinds.ForgeIntent(purpose=purpose) if purpose == MERGE:
                self._merge(entry)
            case kinds.Command(verb="revise", accepted=True) | kinds.SpecSet() | kinds.PlanSet():
                self.is_licensed = False
            case _ if entry.record.kind in WRITES:
                self._write(entry, entry.data)
        self.standing.take(entry)

    def _ask(self, entry: Entry, data: kinds.ApprovalRequested) -> None:
        gate = GATES.get(data.what)
        if gate is None:
            self.sheet.find("gates", f"asks at a gate that does not exist: {data.what!a}", entry)
            return
        bound = self.standing.binding(gate, data)
        if bound is None:
            what = "there were findings" if gate is Gate.SCOPE else "there was a draft"
            self.sheet.find(gate.value, f"people were asked before {what}", entry)
            return
        expected = bound.digest()
        if expected != data.digest:
            what = f"the digest that people were shown does not bind the {gate.value} in force"
            self.sheet.find(gate.value, what, entry, expected=expected, found=data.digest)
        elif gate is Gate.CHANGE and data.head not in self.standing.heads:
            what = "people were asked about a commit that does not hold the present work"
            expected = " or ".join(self.standing.heads) or "a commit of the work"
            self.sheet.find(gate.value, what, entry, expected=expected, found=data.head)

    def _approve(self, entry: Entry, data: kinds.Approval) -> None:
        """Hold a vote to what was asked; one about something older does not count, and a ruling says so."""
        gate = GATES.get(data.what)
        if gate is None or gate not in self.standing.asked:
            self.sheet.find("gates", f"approves at a gate where nobody was asked: {data.what!a}", entry)
            return
        request: Any = self.standing.asked[gate].data
        if (data.digest, data.rev) != (request.digest, request.rev):
            what = "approves something else than what was asked last"
            expected, found = f"{request.digest} (draft {request.rev})", f"{data.digest} (draft {data.rev})"
            self.sheet.find(gate.value, what, entry, expected=expected, found=found)
            return
        draft = self.standing.drafts.get(gate)
        if draft is not None and draft.rev != data.rev:
            what = "approves a draft that was replaced before"
            self.sheet.find(gate.value, what, entry, expected=f"draft {draft.rev}", found=f"draft {data.rev}")
            return
        actor = entry.record.actor
        if entry.record.outcome != "ok":
            self.sheet.find(gate.value, f"an approval whose outcome is '{entry.record.outcome}'", entry)
        elif actor.type != "human":
            self.sheet.find(gate.value, f"approved by {actor.id}, which is no person", entry)

    def _rule(self, entry: Entry, data: kinds.RulingMade) -> None:
        """Hold a ruling that lets something pass to what was asked last."""
        case = data.case
        asked: Any = self.standing.asked[case.gate].data if case.gate in self.standing.asked else None
        if data.ruling.passed and (asked is None or asked.digest != case.digest):
            what = "lets something pass that was not asked last"
            expected = asked.digest if asked else "nothing was asked"
            self.sheet.find(case.gate.value, what, entry, expected=expected, found=case.digest)

    def _begin(self, entry: Entry, step: str) -> None:
        """Hold a step to the gates before it: passed, and ruled on once more since they last permitted a step."""
        gates = PERMITS[step]
        missing = [gate.value for gate in gates if self.standing.let_pass(gate) is None]
        if missing:
            self.unapproved = True
            self.sheet.find(missing[0], f"{step} began without an approved {' and '.join(missing)}", entry)
        for gate in gates:
            ruled = self.standing.executed.get(gate)
            if gate.value not in missing and (ruled is None or ruled.seq < self.begun.get(gate, 0)):
                what = f"{step} began, and the approval of the {gate.value} was not looked at again just before"
                self.sheet.find(gate.value, what, entry)
            self.begun[gate] = entry.seq
        if step == Step.CODING.value:
            self.is_licensed = not missing

    def _write(self, entry: Entry, data: Any) -> None:
        if self.standing.steps.get(data.attempt) in READS or self.unapproved or self.is_licensed:
            return
        self.unapproved = True
        missing = [gate.value for gate in (Gate.SPEC, Gate.PLAN) if self.standing.let_pass(gate) is None]
        named = missing or [Gate.PLAN.value]
        self.sheet.find(named[0], f"work began without an approved {' and '.join(named)}", entry)

    def _push(self, entry: Entry, data: kinds.Pushed) -> None:
        """Hold pushes of work to decided findings; evidence has refs of its own."""
        if not data.ref.startswith(BRANCHES) or data.ref.startswith(EVIDENCE):
            return
        scope, source = self.standing.scope, self.standing.source
        if scope is None or (source and scope.source_sha256 != source):
            what = f"{data.commit[:12]} was pushed, and nobody had looked at what it holds beyond the plan"
            found = scope.source_sha256 if scope else ""
            self.sheet.find(Gate.SCOPE.value, what, entry, expected=source, found=found)
        elif not self.standing.is_scope_decided:
            what = f"{data.commit[:12]} was pushed before {scope.count} findings about its scope were decided"
            self.sheet.find(Gate.SCOPE.value, what, entry, expected=scope.scope_sha256)

    def _merge(self, entry: Entry) -> None:
        """Hold a merge by the bot to the change gate and to a policy that lets it merge."""
        policy = self.standing.effective()
        if policy is None or policy.merge != "on_approval":
            self.sheet.find(Gate.CHANGE.value, "the bot merged, and no policy in force lets it", entry)
        elif self.standing.let_pass(Gate.CHANGE) is None:
            self.sheet.find(Gate.CHANGE.value, "the bot merged without an approved change", entry)
        elif Gate.CHANGE not in self.standing.executed:
            what = "the bot merged, and the approval of the change was not looked at again just before"
            self.sheet.find(Gate.CHANGE.value, what, entry)


def check(entries: Sequence[Entry], sheet: Sheet) -> Gates:
    """Hold approvals to what was asked, and work to what was let pass."""
    gates = Gates(begin(entries), sheet)
    for entry in entries:
        gates.take(entry)
    return gates


def begin(entries: Sequence[Entry]) -> Standing:
    """Stand before the first record of a journal that was read."""
    opened = entries[0].data
    if not isinstance(opened, kinds.TaskOpened):
        raise TypeError("a journal that was read begins with task.opened")
    return Standing(entries[0].record.task, opened)


def summarise(gates: Gates, sheet: Sheet) -> None:
    """Say per gate who let what pass, or that nobody has yet."""
    standing = gates.standing
    for gate in Gate:
        passed = standing.passed.get(gate)
        if sheet.failed(gate.value):
            continue
        if passed is not None and not passed.fell:
            _passed(gate, passed, standing.opened, sheet)
        elif passed is not None:
            what = f"what let it pass in record {passed.entry.seq} fell in record {passed.fell}"
            sheet.doubt(f"that anybody approved the {gate.value} as it stands now: {what}")
        elif gate in standing.asked:
            asked: Any = standing.asked[gate].data
            sheet.doubt(f"that anybody approved the {gate.value}: {asked.digest[:12]} was asked and is not approved")


def _passed(gate: Gate, passed: Passing, opened: kinds.TaskOpened, sheet: Sheet) -> None:
    names = ", ".join(f"{opened.forge}:{person}" for person in passed.people) or "nobody"
    how = "passed IN AN EMERGENCY, approved by" if passed.is_emergency else "approved by"
    sheet.hold(gate.value, f"{passed.digest[:12]}  {how} {names}")
    if opened.forge == "local":
        sheet.doubt("that different people let the gates pass: on the local forge there is one, or `--yes`")
    elif opened.labeller in passed.people:
        who = f"{opened.forge}:{opened.labeller}"
        sheet.doubt(f"four eyes at the {gate.value} gate: {who} asked for the task and approved")
