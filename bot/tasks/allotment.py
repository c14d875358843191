"""Where an attempt runs and with which model: what the repository's file wants, within what its team may use."""

from __future__ import annotations

import tomllib
from typing import Final

from bot.model.errors import Refused
from bot.model.event import ForgeKind, Repo
from bot.model.policy import Policy
from bot.model.state import Step
from bot.model.task import Task
from bot.residency import check_model
from bot.settings import Settings
from bot.tasks.desk import Desk
from bot.tasks.rulebook import FILE
from bot.tasks.teams import check_team, queue_for

LONGEST: Final = 64


async def allotted(desk: Desk, task: Task, step: Step) -> str:
    """Name the queue of an attempt; raise Refused where model or runner are not the repository's to choose."""
    if step.phase is not None:
        model = task.profile.model(step.phase)
        try:
            check_use(desk.settings, task.origin.repo, task.policy, model)
        except Refused as error:
            fix = f"choose with `model {step.phase}=...`: {error.fix}"
            raise Refused(error.code, f"{error.what} (for {step.phase})", why=error.why, fix=fix) from None
    return await queue_of(desk, task)


def check_use(settings: Settings, repo: Repo, policy: Policy, model: str) -> None:
    """Raise Refused where a model string leads nowhere, or team or policy do not let this repository use it."""
    check_team(settings, repo, model)
    check_model(policy, settings, model)


async def queue_of(desk: Desk, task: Task) -> str:
    """Name the queue of a task's attempts."""
    return queue_for(desk.settings, task.origin.repo, await _runner(desk, task))


async def _runner(desk: Desk, task: Task) -> str:
    """Read the `runner` that the repository's file asks for at the task's base commit; empty where it asks for none."""
    if task.origin.repo.forge is ForgeKind.LOCAL or not desk.settings.teams:
        return ""
    forge = desk.forge(task.origin.repo, task.origin.installation)
    content = await forge.file(task.origin.repo, FILE, task.base_commit)
    if content is None:
        return ""
    try:
        wanted = tomllib.loads(content.decode()).get("runner", "")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused("GW-POLICY-FILE", f"{FILE} cannot be read", why=str(error), fix="mend it") from None
    return wanted[:LONGEST] if isinstance(wanted, str) else ""
