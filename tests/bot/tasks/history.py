"""Journals in the making: records added by name, folded as control folds them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.chain import Draft, Link, extend, genesis
from bot.audit.record import Record, Ref, Who, decode
from bot.model.event import AccountKind
from bot.model.policy import Policy
from bot.model.role import Role
from bot.model.ruling import Case, Vote
from bot.model.state import Gate
from bot.model.task import Task
from bot.policy.rules import judge
from bot.tasks.ballot import parts
from bot.tasks.binding import binding
from bot.tasks.fold import fold

SHA = "a" * 64
COMMIT = "b" * 40
SERVICE = Who("inst:test", "service", "system")
PERSON = Who("github:7", "approver", "human")
HUMAN = AccountKind.HUMAN
POLICY = Policy()
AGENT = Who("agent:sonnet", "author", "agent")
OPENED = kinds.TaskOpened(
    repo="github:github.example:5",
    forge="github",
    host="github.example",
    repo_id=5,
    path="pay/core",
    issue=42,
    labeller=7,
    base_branch="main",
    base_commit=COMMIT,
    policy_sha256=POLICY.sha256(),
    config_sha256=SHA,
    bot_version="0",
    instance="test",
    vkey="test+00000000+AA",
)


class History:
    """One task's journal; every `add` is one record, at the next millisecond."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.now = 1_000
        self._tail = Link(-1, genesis("test", OPENED.repo, "42-k7f3qd"))
        self.add("task.opened", OPENED)

    @property
    def records(self) -> list[Record]:
        return [decode(line) for line in self.lines]

    @property
    def task(self) -> Task:
        return fold(self.records)

    def add(self, kind: str, data: kinds.Data, who: Who = SERVICE, *, outcome: str = "ok", **refs: str) -> History:
        self.now += 1
        listed = tuple(Ref(commit, name, 1) for name, commit in refs.items())
        draft = Draft(kind, data, who, "observed", outcome, listed)
        lines, self._tail = extend(self._tail, [draft], task="42-k7f3qd", now_ms=self.now)
        self.lines += lines
        return self

    def start(self, step: str, **more: int) -> History:
        number = sum(1 for r in self.records if r.kind == "attempt.started") + 1
        return self.add("attempt.started", kinds.AttemptStarted(number, step, "sonnet", **more))

    def end(self, step: str, *, outcome: str = "ok", code: str = "", commit: str = "") -> History:
        number = sum(1 for r in self.records if r.kind == "attempt.started")
        data = kinds.AttemptEnded(number, step, code, commit, SHA if commit else "", 1, 100, 20, 1_500)
        return self.add("attempt.ended", data, AGENT, outcome=outcome)

    def spec(self, rev: int = 1, source: str = "model") -> History:
        return self.add("spec.set", kinds.SpecSet(SHA, rev, source=source), AGENT, text=f"{rev:064x}")

    def plan(self, rev: int = 1, source: str = "model") -> History:
        return self.add("plan.set", kinds.PlanSet(SHA, rev, source=source), AGENT, text=f"{rev + 100:064x}")

    def ask(self, gate: str, rev: int = 1, digest: str = "") -> History:
        digest = digest or binding(self.task, Gate(gate), "test").digest()
        return self.add("approval.requested", kinds.ApprovalRequested(gate, digest, rev))

    def vote(self, gate: str, rev: int = 1, person: int = 7) -> History:
        asked = self.task.asked(Gate(gate))
        event = f"42:{900 + person}"
        data = kinds.Approval(gate, asked.digest if asked else SHA, rev, event, self.now, "write", "shown")
        return self.add("approval", data, Who(f"github:{person}", "approver", "human"))

    def rule(self, gate: str, moment: str = "decision", **wrong: Any) -> History:
        """Take a ruling as control would, on votes that all count unless `wrong` says otherwise."""
        task, now = self.task, self.now
        asked = task.asked(Gate(gate))
        votes = tuple(
            Vote(v.actor.id, v.event_id, v.digest, v.method, v.at_ms, HUMAN, Role.WRITE, Role.WRITE, is_unchanged=True)
            for v in task.votes(Gate(gate))
        )
        case = Case(
            Gate(gate), moment, now, binding(task, Gate(gate), "test").digest(), asked.digest if asked else "",
            asked.at_ms if asked else 0, task.policy_sha256, votes, parts(task, Gate(gate)),
        )  # fmt: skip
        case = replace(case, **wrong)
        ruling = judge(task.policy, case)
        return self.add("ruling", kinds.RulingMade(case, ruling), outcome="ok" if ruling.passed else "denied")

    def approve(self, gate: str, rev: int = 1) -> History:
        return self.vote(gate, rev).rule(gate)

    def say(self, verb: str, *, accepted: bool = True, event: str = "42:9", **refs: str) -> History:
        data = kinds.Command(verb, event, self.now, accepted)
        return self.add("command", data, PERSON, outcome="ok" if accepted else "denied", **refs)

    def at_spec_review(self) -> History:
        return self.start("spec").spec().end("spec")

    def at_plan_review(self) -> History:
        return self.at_spec_review().ask("spec").approve("spec").start("planning").plan().end("planning")

    def at_qa(self) -> History:
        self.at_plan_review().ask("plan").approve("plan").start("coding")
        made = kinds.CommitMade(3, COMMIT, COMMIT, COMMIT, SHA, 1)
        return self.add("commit.made", made, AGENT).end("coding", commit=COMMIT)

    def judged(self, *, passed: bool, number: int = 1) -> History:
        self.start("qa", round=number)
        attempt = self.task.attempts[-1].number
        verdict = kinds.QaVerdict(attempt, number, COMMIT, SHA, "passed" if passed else "failed", 2, 2 if passed else 1)
        return self.add("qa.verdict", verdict, AGENT, report="c" * 64).end("qa", commit=COMMIT)

    def published(self) -> History:
        self.start("publish")
        attempt = self.task.attempts[-1].number
        pushed = kinds.Pushed(attempt, "refs/heads/gatewright/42-k7f3qd-x", COMMIT, 10)
        return self.add("pushed", pushed, AGENT).end("publish", commit=COMMIT)

    def at_change_review(self) -> History:
        self.at_qa().judged(passed=True).published()
        return self.add("pull", kinds.Pull(9, COMMIT, "gatewright/42-k7f3qd-x"))
