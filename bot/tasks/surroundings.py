"""The part of the fold that says what stands around a task: issue, policy, base, scope, brakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.record import Record
from bot.model.gates import Scope
from bot.model.state import Gate
from bot.model.task import Task
from bot.tasks.moves import ref, void


def _snapshot(task: Task, record: Record, data: kinds.IssueSnapshot) -> Task:
    blob = ref(record, "body")
    return replace(task, issue_blob=blob, issue_sha256=data.issue_sha256, is_outsider=data.is_outsider)


def _issue_changed(task: Task, _: Record, data: kinds.IssueChanged) -> Task:
    return replace(task, issue_sha256=data.issue_sha256, cause="issue_changed")


def _policy_changed(task: Task, _: Record, data: kinds.PolicyChanged) -> Task:
    is_first = task.policy_sha256 == data.policy_sha256
    return replace(
        task,
        policy=data.policy,
        policy_sha256=data.policy_sha256,
        policy_file=(data.file_commit, data.file_by),
        cause=task.cause if is_first else "policy_changed",
    )


def _base_moved(task: Task, _: Record, data: kinds.BaseMoved) -> Task:
    return replace(task, base_commit=data.base_commit, cause="base_moved")


def _shown_edited(task: Task, _: Record, data: kinds.ShownEdited) -> Task:
    gate = Gate(data.what)
    return replace(void(task, gate, "shown_edited"), reask=(*task.reask, gate))


def _scope_found(task: Task, record: Record, data: kinds.ScopeFound) -> Task:
    scope = Scope(data.scope_sha256, data.commit, data.source_sha256, data.count, ref(record, "findings"))
    is_news = task.scope is None or task.scope.sha256 != scope.sha256
    return replace(task, scope=scope, scopes=task.scopes + is_news)


def _held(task: Task, record: Record, _: kinds.WorkHeld) -> Task:
    return replace(task, held=ref(record, "bundle"))


def _pause(task: Task, _: Record, data: kinds.Pause) -> Task:
    others = tuple(scope for scope in task.brakes if scope != data.scope)
    return replace(task, brakes=(*others, data.scope) if data.on else others)


def _ci_released(task: Task, _: Record, data: kinds.CiReleased) -> Task:
    return replace(task, ci_released=(*task.ci_released, data.commit))


def _alarm(task: Task, _: Record, data: kinds.Alarm) -> Task:
    return replace(task, alarms=(*task.alarms, data.code))


SURROUNDINGS: Final[Mapping[str, Callable[[Task, Record, Any], Task]]] = {
    "issue.snapshot": _snapshot,
    "issue.changed": _issue_changed,
    "policy.changed": _policy_changed,
    "base.moved": _base_moved,
    "shown.edited": _shown_edited,
    "scope.found": _scope_found,
    "work.held": _held,
    "pause": _pause,
    "ci.released": _ci_released,
    "alarm": _alarm,
}
