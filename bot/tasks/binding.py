"""What the approval of a gate binds to, read off a task; pure."""

from __future__ import annotations

from typing import Final

from bot.model.approval import Binding
from bot.model.state import Gate
from bot.model.task import Task

WORK: Final = (Gate.SCOPE, Gate.CHANGE)


def binding(task: Task, gate: Gate, instance: str) -> Binding:
    """Gather everything an approval of this gate binds, as the task stands now."""
    origin = task.origin
    return Binding(
        instance=instance,
        forge=origin.repo.forge.value,
        host=origin.repo.host,
        repo=origin.repo.id,
        issue=origin.issue,
        task=origin.task,
        gate=gate,
        rev=revision(task, gate),
        artifact_sha256=_artifact(task, gate),
        base_commit=task.base_commit,
        policy_sha256=task.policy_sha256,
        profile=task.profile,
        issue_sha256=task.issue_sha256,
        source_sha256=task.source_sha256 if gate in WORK else "",
        head=task.bound_head if gate in WORK else "",
    )


def revision(task: Task, gate: Gate) -> int:
    """Number what a gate is about: the draft, the list of findings, or the generation of the work."""
    if gate is Gate.SCOPE:
        return task.scopes
    artifact = task.artifact(gate)
    return artifact.rev if artifact else task.generation


def _artifact(task: Task, gate: Gate) -> str:
    if gate is Gate.SCOPE:
        return task.scope.sha256 if task.scope else ""
    artifact = task.artifact(gate) or task.plan
    return artifact.sha256 if artifact else ""
