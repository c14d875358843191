"""Which code owners the paths of a task ask for, by the file of the default branch."""

from __future__ import annotations

from bot.forges.protocol import Forge
from bot.model.documents import parse_plan, parse_spec
from bot.model.errors import GatewrightError
from bot.model.state import Gate
from bot.model.task import Task
from bot.policy import owners
from bot.policy.owners import OwnerGroup
from bot.tasks.desk import Desk


async def owner_groups(desk: Desk, forge: Forge, task: Task, gate: Gate) -> tuple[OwnerGroup, ...]:
    """Read CODEOWNERS and find the groups that own what a gate is about; raise where the paths cannot all be known."""
    repo = task.origin.repo
    head = await forge.head(repo, task.origin.base_branch)
    for place in forge.manners.owners_files:
        content = await forge.file(repo, place, head)
        if content is not None:
            paths = await _paths(desk, forge, task, gate)
            text = content.decode("utf-8", "replace")
            return owners.owner_groups(text, paths, sections=forge.manners.owners_in_sections)
    return ()


async def _paths(desk: Desk, forge: Forge, task: Task, gate: Gate) -> tuple[str, ...]:
    if gate is Gate.CHANGE and task.pull is not None:
        between = await forge.compare(task.origin.repo, task.base_commit, task.head)
        if not between.is_whole:
            raise GatewrightError(
                "GW-OWNERS-PATHS",
                "not all paths of the change are known, so nobody can tell who owns them",
                why="the forge cut its list",
                fix="make the change smaller, or name approvers by user or group",
            )
        return between.paths
    if task.plan is None or task.spec is None:
        return ()
    spec = parse_spec(desk.blobs.get(task.spec.commitment).decode())
    plan = parse_plan(desk.blobs.get(task.plan.commitment).decode(), spec)
    return tuple(dict.fromkeys(path for step in plan.steps for path in step.files))
