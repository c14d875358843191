"""What the approval of a gate binds to, read off a task; pure."""

from __future__ import annotations

import hashlib

import msgspec

from bot.model.approval import Binding
from bot.model.task import Gate, Task
from bot.settings import Policy


def policy_digest(policy: Policy) -> str:
    """Hash the policy in force; 64 hex digits."""
    return hashlib.sha256(b"gatewright/policy/v1\n" + msgspec.json.encode(policy, order="sorted")).hexdigest()


def binding(task: Task, gate: Gate, instance: str) -> Binding:
    """Gather everything an approval of this gate binds, as the task stands now."""
    origin = task.origin
    artifact = task.artifact(gate) or task.plan
    return Binding(
        instance=instance,
        forge=origin.repo.forge.value,
        host=origin.repo.host,
        repo=origin.repo.id,
        issue=origin.issue,
        task=origin.task,
        gate=gate,
        rev=artifact.rev if gate is not Gate.CHANGE and artifact else task.generation,
        artifact_sha256=artifact.sha256 if artifact else "",
        base_commit=origin.base_commit,
        policy_sha256=origin.policy_sha256,
        profile=task.profile,
        source_sha256=task.source_sha256 if gate is Gate.CHANGE else "",
        head=task.head if gate is Gate.CHANGE else "",
    )
