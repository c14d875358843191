"""`gatewright pause`, `resume` and `brakes`: hold back a task, a repository or the instance; nothing is ever approved.

They write to Redis alone: control notes in each journal what a brake did to its task.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from bot.forges.local import local_repo
from bot.model.errors import GatewrightError, UsageError
from bot.model.event import ForgeKind
from bot.tasks.brakes import INSTANCE, TASK, Brake
from bot.terminal.screen import safe
from bot.terminal.stores import Store, ask

KEY: Final = re.compile(rf"(?:{'|'.join(ForgeKind)}):[^:\s]+:[1-9][0-9]*")
T = TypeVar("T")


def pause(*, task: str, repo: str, everything: bool, reason: str, config: Path | None) -> int:
    """Pull a brake; what runs now ends its step, nothing new is started."""
    scope = chosen(task, repo, config, everything=everything)

    async def pull(store: Store) -> int:
        await store.brakes.pull(scope, _operator(), reason, time.time_ns() // 1_000_000)
        return await store.wake()

    woken = _at(scope, config, pull)
    sys.stdout.write(f"{_spoken(scope)} is paused: what runs now ends its step, nothing new is started.\n")
    sys.stdout.write(f"{woken} open task{'' if woken == 1 else 's'} looked at. To go on: {_way_back(scope)}\n")
    return 0


def resume(*, task: str, repo: str, everything: bool, config: Path | None) -> int:
    """Release a brake, and name those that still hold."""
    scope = chosen(task, repo, config, everything=everything)

    async def release(store: Store) -> tuple[bool, tuple[Brake, ...]]:
        was_held = await store.brakes.release(scope)
        await store.wake()
        return was_held, await store.brakes.all()

    was_held, left = _at(scope, config, release)
    if not was_held:
        raise GatewrightError(
            "GW-BRAKE-NONE", f"{_spoken(scope)} was not paused from here", why="nobody pulled that brake",
            fix="`gatewright brakes` lists what is; what a comment or a label paused, a comment or the label resumes",
        )  # fmt: skip
    sys.stdout.write(f"{_spoken(scope)} goes on.\n")
    for brake in left:
        sys.stdout.write(f"Still {brake_line(brake)}\n")
    return 0


def show(config: Path | None, *, as_json: bool) -> int:
    """List every brake that is pulled."""

    async def every(store: Store) -> tuple[Brake, ...]:
        return await store.brakes.all()

    found = [brake for each in ask(config, every) for brake in each.answer]
    if as_json:
        sys.stdout.write(json.dumps({"schema": "gatewright/brakes/v1", "brakes": msgspec.to_builtins(found)}) + "\n")
        return 0
    for brake in found:
        sys.stdout.write(brake_line(brake) + "\n")
    if not found:
        sys.stdout.write("No brake is pulled. Comments and labels may hold single tasks: gatewright tasks list\n")
    return 0


def brake_line(brake: Brake) -> str:
    """Say who holds what, since when, and why."""
    since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(brake.at_ms / 1000))
    reason = f": {brake.reason}" if brake.reason else ""
    return safe(f"PAUSED  {brake.scope}, by {brake.by or 'somebody'} since {since}{reason}".replace("\n", " "))


def chosen(task: str, repo: str, config: Path | None, *, everything: bool) -> str:
    """Name the scope that a call means; raises UsageError unless it is exactly one that is known."""
    if [bool(task), bool(repo), everything].count(True) != 1:
        raise UsageError(
            "GW-BRAKE-WHAT", "say what: one task, one repository, or all",
            fix="gatewright pause TASK, gatewright pause --repo owner/name, or gatewright pause --all",
        )  # fmt: skip
    if everything:
        return INSTANCE
    return _task(task, config) if task else _repository(repo, config)


def _task(task_id: str, config: Path | None) -> str:
    async def one(store: Store) -> bool | None:
        task = await store.task(task_id)
        return None if task is None else task.state.is_final

    found = [each.answer for each in ask(config, one) if each.answer is not None]
    if not found:
        raise GatewrightError("GW-TASK-UNKNOWN", f"there is no task {task_id}", fix="see `gatewright tasks list`")
    if all(found):
        raise GatewrightError("GW-COMMAND-STATE", f"{task_id} has ended", why="nothing can be held back")
    return f"{TASK}{task_id}"


def _repository(name: str, config: Path | None) -> str:
    """Find the key of a repository by its path on a forge, that with its host, its folder, or the key itself."""
    if KEY.fullmatch(name):
        return name
    repos = {
        task.origin.repo for each in ask(config, Store.tasks) for task in each.answer
    }  # fmt: skip
    path = name.removeprefix("https://").rstrip("/").lower()
    keys = {each.key for each in repos if path in (each.path.lower(), f"{each.host}/{each.path}".lower())}
    if not keys and Path(name).is_dir():
        keys = {local_repo(Path(name)).key}
    if len(keys) == 1:
        return keys.pop()
    known = ", ".join(sorted(keys or {each.path for each in repos})) or "none"
    what = "is on more than one forge" if keys else "has had no task here"
    raise UsageError(
        "GW-BRAKE-REPO", f"{name} {what}", why=f"known: {known}"[:500],
        fix="name its key, which is forge:host:id, such as github:github.com:186853002",
    )  # fmt: skip


def _at(scope: str, config: Path | None, deed: Callable[[Store], Awaitable[T]]) -> T:
    """Do something in the one store that a scope belongs to."""

    async def there(store: Store) -> tuple[T] | None:
        if scope.startswith(TASK):
            is_it = await store.task(scope.removeprefix(TASK)) is not None
        else:
            is_it = store.is_local == scope.startswith(f"{ForgeKind.LOCAL}:")
        return (await deed(store),) if is_it else None

    found = [each.answer for each in ask(config, there) if each.answer is not None]
    if not found:
        raise GatewrightError(
            "GW-BRAKE-NOWHERE", f"there is no instance here in which {_spoken(scope)} could be paused",
            why="its Redis has never been started from these settings",
            fix="name the settings of the server with --config; a task of `run` is paused by its id",
        )  # fmt: skip
    return found[0][0]


def _spoken(scope: str) -> str:
    if scope == INSTANCE:
        return "the whole instance"
    return f"task {scope.removeprefix(TASK)}" if scope.startswith(TASK) else f"the repository {scope}"


def _way_back(scope: str) -> str:
    if scope == INSTANCE:
        return "gatewright resume --all"
    named = scope.removeprefix(TASK)
    return f"gatewright resume {named}" if named != scope else f"gatewright resume --repo {scope}"


def _operator() -> str:
    try:
        return f"operator {getpass.getuser()}"
    except (KeyError, OSError):  # a numeric user without a name
        return f"operator {os.getuid()}"
