"""The part of the fold that people move: drafts, approvals and commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.record import Record
from bot.model.gates import Artifact
from bot.model.state import Gate, State
from bot.model.task import Heard, Profile, Task
from bot.tasks.machine import Signal
from bot.tasks.moves import actor_of, move, ref, without


def _spec_set(task: Task, record: Record, data: kinds.SpecSet) -> Task:
    spec = Artifact(Gate.SPEC, data.rev, data.spec_sha256, ref(record, "text"), data.source)
    task = replace(task, spec=spec, plan=None, drafts=(*task.drafts, spec), feedback=())
    task = without(task, Gate.SPEC, Gate.PLAN)
    return task if data.source == "model" else move(task, Signal.EDITED)


def _plan_set(task: Task, record: Record, data: kinds.PlanSet) -> Task:
    plan = Artifact(Gate.PLAN, data.rev, data.plan_sha256, ref(record, "text"), data.source)
    task = replace(task, plan=plan, drafts=(*task.drafts, plan), feedback=())
    task = without(task, Gate.PLAN)
    return task if data.source == "model" else move(task, Signal.EDITED)


def _profile(task: Task, _: Record, data: kinds.ProfileSet) -> Task:
    profile = Profile(data.spec, data.planning, data.coding, data.qa, data.qa_fixer)
    return replace(task, profile=profile, cause="profile_changed")


def _command(task: Task, record: Record, data: kinds.Command) -> Task:
    who = actor_of(record)
    heard = Heard(data.event_id, data.verb, data.accepted, who, data.code, ref(record, "answer"))
    task = replace(task, heard=(*task.heard, heard))
    if not data.accepted:
        return task
    has_words = data.verb == "edit" or (data.verb in WRITING and ref(record, "argument"))
    if has_words and who.id not in task.writers:
        task = replace(task, writers=(*task.writers, who.id))
    act = COMMANDS.get(data.verb)
    return act(task, record) if act else task


def _feedback(task: Task, record: Record) -> tuple[str, ...]:
    words = ref(record, "argument")
    return (*task.feedback, words) if words else task.feedback


def _revise(task: Task, record: Record) -> Task:
    back_to_spec = task.state is State.SPEC_REVIEW or (
        task.state is State.BLOCKED and task.blocked_from in (State.RECEIVED, State.SPEC, State.SPEC_REVIEW)
    )
    task = without(_fresh(task), Gate.PLAN, Gate.CHANGE)
    if back_to_spec or ref(record, "respecify"):
        signal = Signal.REVISED if task.state is State.SPEC_REVIEW else Signal.RESPECIFIED
        return without(move(task, signal, feedback=_feedback(task, record), plan=None), Gate.SPEC)
    return move(task, Signal.REVISED, feedback=_feedback(task, record))


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
        scope=None,
        held="",
        bound_head="",
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
    if back is State.FIXING and task.blocked_code == LEAKED:
        back = State.QA  # what was to be mended is committed; QA begins with the push that was refused
    return replace(
        task, state=back, blocked_from=None, blocked_code="", blocked_blob="", lost=0, rounds=0,
        feedback=_feedback(task, record),
    )  # fmt: skip


def _fix(task: Task, record: Record) -> Task:
    task = without(task, Gate.CHANGE)
    return move(task, Signal.FIX_ASKED, feedback=_feedback(task, record), rounds=0, blocked_from=None)


LEAKED: Final = "GW-SECRET-FOUND"
WRITING: Final = ("revise", "fix", "retry")  # verbs whose words enter the work
COMMANDS: Final[Mapping[str, Callable[[Task, Record], Task]]] = {
    "revise": _revise,
    "retry": _retry,
    "fix": _fix,
    "reject": lambda task, _: move(task, Signal.REJECTED, close_reason="rejected"),
    "cancel": lambda task, _: move(task, Signal.CANCELLED, close_reason="cancelled"),
    "pause": lambda task, record: task if record.data.get("target") else replace(task, paused=True),
    "resume": lambda task, record: task if record.data.get("target") else replace(task, paused=False),
}
DECISIONS: Final[Mapping[str, Callable[[Task, Record, Any], Task]]] = {
    "spec.set": _spec_set,
    "plan.set": _plan_set,
    "command": _command,
    "profile.set": _profile,
}
