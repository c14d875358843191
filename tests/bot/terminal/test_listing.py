"""Tasks as people and programs list them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from redis import Redis

from bot.model.errors import GatewrightError
from bot.tasks.deposit import Ended
from bot.terminal.listing import show_all, show_one
from tests.bot.terminal.machine import WISH, call, waiting
from tests.flow.answers import chat_steps


async def test_tasks_are_listed_and_shown(machine, repo, model):
    model.script.extend(chat_steps("spec:0"))
    task, digest = waiting(await call(machine, "run", "--repo", str(repo), WISH))
    listed = await call(machine, "tasks", "list")
    assert re.search(rf"{task} .*◆ spec review +waits +0m +\S+", listed.out), listed.out
    assert "1 open, 1 wait for people, 0 blocked." in listed.out
    assert [line for line in listed.out.splitlines() if len(line) > 80] == []
    shown = await call(machine, "tasks", "show", task)
    assert "- **AC-1**: A refused connection" in shown.out
    assert re.search(r"\n  used        [\d.]+( k)? of 20 M tokens, price not set, \d+ s\n", shown.out)
    assert re.search(r"\n    Spec      [\d.]+( k)? tokens, price not set, \d+ s\n", shown.out)
    assert f"gatewright tasks approve {task} {digest}" in shown.out
    as_json = json.loads((await call(machine, "tasks", "show", task, "--json")).out)
    assert as_json["schema"] == "gatewright/task/v1"
    assert as_json["task"]["requested"][0]["digest"].startswith(digest)


def test_no_tasks_are_no_error(machine):
    assert "No tasks yet." in machine.run("tasks", "list").out
    assert json.loads(machine.run("tasks", "list", "--json").out) == {
        "schema": "gatewright/tasks/v1", "tasks": [], "brakes": [],
    }  # fmt: skip
    unknown = machine.run("tasks", "show", "0-abcdef", "--json")
    assert (unknown.code, json.loads(unknown.out)["error"]["code"]) == (1, "GW-TASK-UNKNOWN")
    assert not list(machine.home.rglob("*")), "looking makes nothing"


def test_a_task_whose_journal_left_redis_is_said_to_lie_in_git(tmp_path: Path, redis_url: str):
    ref = "refs/gatewright/audit/42-k7f3qd"
    told = Ended("42-k7f3qd", "pay/core", 42, "done", ref, "a" * 40, 1, 2)
    with Redis.from_url(redis_url) as redis:
        redis.sadd("gw:tasks:all", "42-k7f3qd")
        redis.set("gw:ended:42-k7f3qd", msgspec.json.encode(told))
    config = tmp_path / "gatewright.toml"
    config.write_text(f'[redis]\nurl = "{redis_url}"\n[server]\ndata_dir = "{tmp_path}/state"\n')
    with pytest.raises(GatewrightError) as left:
        show_one("42-k7f3qd", config, as_json=False)
    assert (left.value.code, ref in left.value.fix) == ("GW-TASK-LEFT", True)
    assert show_all(config, as_json=False) == 0
