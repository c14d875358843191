"""state = fold(journal): every record kind that moves a task, and how; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.record import Record, data_of
from bot.model.event import AccountKind, Actor, ForgeKind, Repo
from bot.model.task import (
    Approval,
    Artifact,
    Attempt,
    Gate,
    Heard,
    Origin,
    Profile,
    Pull,
    Request,
    State,
    Step,
    Task,
    Usage,
    Verdict,
)
from bot.tasks.machine import Signal, advance

LOST: Final = "GW-ATTEMPT-LOST"
LOST_LIMIT: Final = 3  # workers may vanish this often in a row before a person has to look
ENDED: Final = {
    Step.SPEC: Signal.DRAFTED,
    Step.PLANNING: Signal.DRAFTED,
    Step.CODING: Signal.CODED,
    Step.QA_FIXER: Signal.FIXED,
}

Apply = Callable[[Task, Record, Any], Task]


def fold(records: Iterable[Record], task: Task | None = None) -> Task:
    """Apply records in order, on top of `task` where there is one already."""
    for record in records:
        task = _opened(record, data_of(record)) if task is None else _step(task, record)
    if task is None:
        message = "a journal without records has no state"
        raise ValueError(message)
    return task


def actor_of(record: Record, login: str = "") -> Actor:
    """Read the acting account of a record; logins are display names and not in the journal."""
    _, _, number = record.actor.id.rpartition(":")
    kind = AccountKind.HUMAN if record.actor.type == "human" else AccountKind.BOT
    return Actor(int(number) if number.isdigit() else 0, login, kind)


def _step(task: Task, record: Record) -> Task:
    apply = APPLY.get(record.kind)
    if apply is not None:
        task = apply(task, record, data_of(record))
    return replace(task, size=record.seq + 1, changed_ms=record.ts)


def _opened(record: Record, data: kinds.Data) -> Task:
    if not isinstance(data, kinds.TaskOpened):
        message = f"a journal begins with task.opened, not {record.kind}"
        raise ValueError(message)  # noqa: TRY004 - the journal is wrong, not a type
    repo = Repo(ForgeKind(data.forge), data.host, data.repo_id, data.path)
    return Task(
        origin=Origin(
            task=record.task,
            repo=repo,
            issue=data.issue,
            labeller=Actor(data.labeller, ""),
            base_branch=data.base_branch,
            base_commit=data.base_commit,
            policy_sha256=data.policy_sha256,
            installation=data.installation,
        ),
        state=State.RECEIVED,
        profile=Profile(),
        size=1,
        opened_ms=record.ts,
        changed_ms=record.ts,
    )


def _move(task: Task, signal: Signal, **changes: Any) -> Task:
    return replace(task, state=advance(task.state, signal), **changes)


def _blocked(task: Task, code: str, blob: str = "") -> Task:
    before = task.blocked_from if task.state is State.BLOCKED else task.state
    return _move(
        task, Signal.BLOCKED, blocked_from=before, blocked_code=code, blocked_blob=blob, blocks=task.blocks + 1
    )


def _ref(record: Record, name: str) -> str:
    return next((r.commit for r in record.refs if r.name == name), "")


def _artifact(gate: Gate, record: Record, sha256: str, rev: int, source: str) -> Artifact:
    return Artifact(gate, rev, sha256, _ref(record, "text"), source)


def _spec_set(task: Task, record: Record, data: kinds.SpecSet) -> Task:
    spec = _artifact(Gate.SPEC, record, data.spec_sha256, data.rev, data.source)
    task = replace(task, spec=spec, drafts=(*task.drafts, spec), feedback=())
    task = _without(task, Gate.SPEC, Gate.PLAN)
    return task if data.source == "model" else _move(task, Signal.EDITED)


def _plan_set(task: Task, record: Record, data: kinds.PlanSet) -> Task:
    plan = _artifact(Gate.PLAN, record, data.plan_sha256, data.rev, data.source)
    task = replace(task, plan=plan, drafts=(*task.drafts, plan), feedback=())
    task = _without(task, Gate.PLAN)
    return task if data.source == "model" else _move(task, Signal.EDITED)


def _without(task: Task, *gates: Gate) -> Task:
    return replace(task, approvals=tuple(a for a in task.approvals if a.gate not in gates))


def _requested(task: Task, record: Record, data: kinds.ApprovalRequested) -> Task:
    request = Request(Gate(data.what), data.rev, data.digest, record.ts)
    return replace(task, requested=(*task.requested, request))


def _approval(task: Task, record: Record, data: kinds.Approval) -> Task:
    gate = Gate(data.what)
    approval = Approval(gate, data.rev, data.digest, actor_of(record), data.permission, data.forge_ts)
    return _move(task, Signal.APPROVED, approvals=(*task.approvals, approval))


def _withdrawn(task: Task, _: Record, data: kinds.ApprovalWithdrawn) -> Task:
    return _without(task, Gate(data.what))


def _command(task: Task, record: Record, data: kinds.Command) -> Task:
    heard = Heard(data.event_id, data.verb, data.accepted, actor_of(record), data.code, _ref(record, "answer"))
    task = replace(task, heard=(*task.heard, heard))
    act = COMMANDS.get(data.verb)
    return act(task, record) if data.accepted and act else task


def _feedback(task: Task, record: Record) -> tuple[str, ...]:
    words = _ref(record, "argument")
    return (*task.feedback, words) if words else task.feedback


def _revise(task: Task, record: Record) -> Task:
    back_to_spec = task.state is State.SPEC_REVIEW or (
        task.state is State.BLOCKED and task.blocked_from in (State.RECEIVED, State.SPEC, State.SPEC_REVIEW)
    )
    task = _without(_fresh(task), Gate.PLAN, Gate.CHANGE)
    if back_to_spec or _ref(record, "respecify"):
        signal = Signal.REVISED if task.state is State.SPEC_REVIEW else Signal.RESPECIFIED
        return _without(_move(task, signal, feedback=_feedback(task, record), plan=None), Gate.SPEC)
    return _move(task, Signal.REVISED, feedback=_feedback(task, record))


def _fresh(task: Task) -> Task:
    """Leave finished work behind: what follows a `revise` gets a new branch."""
    if not task.head:
        return task
    stale = (*task.stale_pulls, task.pull.number) if task.pull else task.stale_pulls
    return replace(
        task,
        generation=task.generation + 1,
        head="",
        source_sha256="",
        branch="",
        pull=None,
        verdict=None,
        rounds=0,
        steps=(),
        steps_done=0,
        steps_total=0,
        stale_pulls=stale,
    )


def _retry(task: Task, record: Record) -> Task:
    back = task.blocked_from or State.SPEC
    if back is State.PUBLISHING and task.verdict and not task.verdict.passed:
        back = State.FIXING  # more QA rounds were asked for
    return replace(
        task, state=back, blocked_from=None, blocked_code="", blocked_blob="", lost=0, rounds=0,
        feedback=_feedback(task, record),
    )  # fmt: skip


def _fix(task: Task, record: Record) -> Task:
    task = _without(task, Gate.CHANGE)
    return _move(task, Signal.FIX_ASKED, feedback=_feedback(task, record), rounds=0, blocked_from=None)


COMMANDS: Final[dict[str, Callable[[Task, Record], Task]]] = {
    "revise": _revise,
    "retry": _retry,
    "fix": _fix,
    "reject": lambda task, _: _move(task, Signal.REJECTED, close_reason="rejected"),
    "cancel": lambda task, _: _move(task, Signal.CANCELLED, close_reason="cancelled"),
    "pause": lambda task, _: replace(task, paused=True),
    "resume": lambda task, _: replace(task, paused=False),
}


def _profile(task: Task, _: Record, data: kinds.ProfileSet) -> Task:
    return replace(task, profile=Profile(data.spec, data.planning, data.coding, data.qa, data.qa_fixer))


def _attempt_started(task: Task, record: Record, data: kinds.AttemptStarted) -> Task:
    attempt = Attempt(data.attempt, Step(data.step), data.model, record.ts, data.round)
    task = replace(task, attempts=(*task.attempts, attempt))
    return _move(task, Signal.STARTED) if task.state is State.RECEIVED else task


def _attempt_ended(task: Task, record: Record, data: kinds.AttemptEnded) -> Task:
    usage = Usage(data.calls, data.tokens_in, data.tokens_out, data.micro_usd)
    attempts = tuple(
        replace(a, ended_ms=record.ts, outcome=record.outcome, code=data.code, usage=usage)
        if a.number == data.attempt and not a.outcome
        else a
        for a in task.attempts
    )
    task = replace(task, attempts=attempts)
    if data.commit and data.step != Step.PUBLISH:
        task = replace(task, head=data.commit, source_sha256=data.source_sha256)
    if task.state.is_final or task.state is State.BLOCKED:
        return task
    return _succeeded(task, data) if record.outcome == "ok" else _failed(task, record, data)


def _succeeded(task: Task, data: kinds.AttemptEnded) -> Task:
    step = Step(data.step)
    task = replace(task, lost=0)
    if step is Step.ARCHIVE:
        return task
    if step is Step.QA:
        passed = task.verdict is not None and task.verdict.passed and task.verdict.commit == data.commit
        return _move(task, Signal.PASSED if passed else Signal.FAILED, rounds=task.rounds + 1)
    if step is Step.PUBLISH:
        task = replace(task, head=data.commit or task.head)
        if task.verdict is not None and task.verdict.passed:
            return _move(task, Signal.PUBLISHED)
        return _move(
            task, Signal.DRAFT_PUBLISHED, blocked_from=State.PUBLISHING, blocked_code="GW-QA-ROUNDS",
            blocks=task.blocks + 1,
        )  # fmt: skip
    clear = {"feedback": ()} if step is Step.QA_FIXER else {}
    return _move(task, ENDED[step], **clear)


def _failed(task: Task, record: Record, data: kinds.AttemptEnded) -> Task:
    if data.step == Step.ARCHIVE:
        return task
    if data.code == LOST and task.lost + 1 < LOST_LIMIT:
        return replace(task, lost=task.lost + 1)
    return _blocked(task, data.code or "GW-ATTEMPT", _ref(record, "explanation"))


def _commit_made(task: Task, _: Record, data: kinds.CommitMade) -> Task:
    steps = (*task.steps, (data.step, data.commit)) if data.step else task.steps
    return replace(task, head=data.commit, source_sha256=data.source_sha256, steps=steps)


def _verdict(task: Task, record: Record, data: kinds.QaVerdict) -> Task:
    verdict = Verdict(
        data.round, data.commit, data.source_sha256, data.verdict == "passed", data.criteria, data.met,
        _ref(record, "report"),
    )  # fmt: skip
    return replace(task, verdict=verdict)


def _progress(task: Task, _: Record, data: kinds.Progress) -> Task:
    return replace(task, steps_done=data.done, steps_total=data.total)


def _pushed(task: Task, _: Record, data: kinds.Pushed) -> Task:
    if data.ref.startswith("refs/heads/") and "-audit/" not in data.ref:
        return replace(task, branch=data.ref.removeprefix("refs/heads/"))
    return replace(task, archived=max(task.archived, data.size))


def _gate(task: Task, _: Record, data: kinds.GateResult) -> Task:
    if data.rule == "qa_rounds" and data.result == "exhausted":
        return _move(task, Signal.EXHAUSTED)
    return task


def _intent(task: Task, _: Record, data: kinds.ForgeIntent) -> Task:
    return replace(task, intents=(*task.intents, f"{data.purpose}:{data.rev}"))


def _done(task: Task, _: Record, data: kinds.ForgeDone) -> Task:
    key = f"{data.purpose}:{data.rev}"
    value = data.body_sha256 or data.object_id
    intents = tuple(i for i in task.intents if i != key)
    return replace(task, posted={**task.posted, key: value}, intents=intents)


def _pull(task: Task, _: Record, data: kinds.Pull) -> Task:
    return replace(task, pull=Pull(data.number, data.head, data.branch, data.draft, data.state))


def _snapshot(task: Task, record: Record, _: kinds.IssueSnapshot) -> Task:
    return replace(task, issue_blob=_ref(record, "body"))


def _task_blocked(task: Task, record: Record, data: kinds.TaskBlocked) -> Task:
    return _blocked(task, data.code, _ref(record, "explanation"))


CLOSING: Final = {
    State.DONE: Signal.MERGED,
    State.REJECTED: Signal.CLOSED,
    State.CANCELLED: Signal.CANCELLED,
    State.EXPIRED: Signal.EXPIRED,
}


def _closed(task: Task, _: Record, data: kinds.TaskClosed) -> Task:
    state = State(data.state)
    task = replace(task, close_reason=data.reason or task.close_reason)
    return task if task.state is state else _move(task, CLOSING[state])


APPLY: Final[dict[str, Apply]] = {
    "issue.snapshot": _snapshot,
    "spec.set": _spec_set,
    "plan.set": _plan_set,
    "approval.requested": _requested,
    "approval": _approval,
    "approval.withdrawn": _withdrawn,
    "command": _command,
    "profile.set": _profile,
    "attempt.started": _attempt_started,
    "attempt.ended": _attempt_ended,
    "commit.made": _commit_made,
    "qa.verdict": _verdict,
    "progress": _progress,
    "pushed": _pushed,
    "gate": _gate,
    "forge.intent": _intent,
    "forge.done": _done,
    "pull": _pull,
    "task.blocked": _task_blocked,
    "task.closed": _closed,
}
