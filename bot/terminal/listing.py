"""`gatewright tasks list` and `tasks show`: read the journals, change nothing."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from bot.embedded import EmbeddedRedis
from bot.model.task import State, Task
from bot.settings_file import data_dir, load
from bot.tasks.book import Shelf
from bot.tasks.index import Index
from bot.tasks.journal import Journals
from bot.terminal.run import local_data

WAITING: Final = {State.SPEC_REVIEW: "spec", State.PLAN_REVIEW: "plan", State.CHANGE_REVIEW: "change"}
Reader = Callable[[Shelf, Index], Awaitable[int]]


def show_all(config: Path | None, *, as_json: bool) -> int:
    """List every task that Redis knows, newest change first."""

    async def read(shelf: Shelf, index: Index) -> int:
        found = [await shelf.read(task) for task in await index.all_tasks()]
        found.sort(key=lambda task: -task.changed_ms)
        if as_json:
            _write({"schema": "gatewright/tasks/v1", "tasks": [_plain(task) for task in found]})
            return 0
        sys.stdout.write(f"  {'TASK':<14}{'REPOSITORY':<28}{'STATE':<16}{'AGE':>6}{'USD':>8}\n")
        for task in found:
            age, usd = _age(task), _usd(task)
            sys.stdout.write(
                f"  {task.origin.task:<14}{task.origin.repo.path[-26:]:<28}{task.state.value:<16}{age:>6}{usd:>8}\n"
            )
        waits = sum(1 for task in found if task.state in WAITING)
        sys.stdout.write(f"\n{len(found)} tasks, {waits} wait for people.\n")
        return 0

    return _with_redis(config, read)


def show_one(task: str, config: Path | None, *, as_json: bool) -> int:
    """Show one task."""

    async def read(shelf: Shelf, _: Index) -> int:
        found = await shelf.read(task)
        if as_json:
            _write({"schema": "gatewright/task/v1", "task": _plain(found)})
            return 0
        for name, value in _facts(found):
            sys.stdout.write(f"  {name:<12}{value}\n")
        return 0

    return _with_redis(config, read)


def _facts(task: Task) -> list[tuple[str, str]]:
    asked = task.requested[-1].digest[:12] if task.requested else "-"
    awaited = WAITING.get(task.state)
    return [
        ("task", task.origin.task),
        ("repository", task.origin.repo.path),
        ("state", task.state.value + (f" ({task.blocked_code})" if task.blocked_code else "")),
        ("waits for", f"approval of the {awaited}, {asked}" if awaited else "nobody"),
        ("base", f"{task.origin.base_commit[:12]} on {task.origin.base_branch}"),
        ("branch", task.branch or "-"),
        ("attempts", ", ".join(f"{a.step.value} {a.outcome or 'running'}" for a in task.attempts) or "-"),
        ("records", str(task.size)),
        ("cost", f"{_usd(task)} USD"),
    ]


def _plain(task: Task) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(task)
    return built


def _usd(task: Task) -> str:
    return "-" if task.usage.micro_usd is None else f"{task.usage.micro_usd / 1e6:.2f}"


def _age(task: Task) -> str:
    minutes = int(time.time() - task.opened_ms / 1000) // 60
    if minutes < 100:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 6_000 else f"{minutes // 1_440}d"


def _write(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")


def _with_redis(config: Path | None, read: Reader) -> int:
    settings = load(config)
    address = data_dir(settings) / "redis.url"
    url = address.read_text("ascii") if settings.redis.url == "embedded" and address.exists() else settings.redis.url
    if url != "embedded":
        return asyncio.run(_read(url, read))
    with EmbeddedRedis(local_data(config) / "redis") as redis:
        return asyncio.run(_read(redis.url, read))


async def _read(url: str, read: Reader) -> int:
    redis = Redis.from_url(url)
    try:
        return await read(Shelf(Journals(redis)), Index(redis))
    finally:
        await redis.aclose()
