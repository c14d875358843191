"""One command's parts: they end in order, the next command goes on, and two never share a place."""

from __future__ import annotations

import asyncio
import json
import re

from tests.bot.terminal.machine import WISH, asked, call
from tests.flow.answers import chat_steps
from tests.simulators.models import Script, Step


async def test_ctrl_c_pauses_and_resume_goes_on(machine, repo, model):
    model.script.extend([Step(hang="before")])
    with machine.terminal("run", "--repo", str(repo), WISH) as person:
        await asyncio.to_thread(person.expect, "Task 0-")
        await asyncio.to_thread(asked, model)
        person.type("\x03")
        assert await asyncio.to_thread(person.wait) == 130, person.text
        found = re.search(r"gatewright tasks resume (\S+)", person.text)
        assert found, person.text
    assert machine.leftovers() == []
    model.script = Script(chat_steps())
    with machine.terminal("tasks", "resume", found[1]) as person:
        for gate in ("Spec", "Plan", "Change"):
            await asyncio.to_thread(person.expect, "(a)pprove")
            person.type("a\n")
            await asyncio.to_thread(person.expect, f"{gate:<8} approved by you")
        assert await asyncio.to_thread(person.wait) == 0, person.text


async def test_two_runs_at_the_same_time_are_told_apart(machine, repo, model):
    model.script.extend([Step(hang="before")])
    with machine.terminal("run", "--repo", str(repo), WISH) as first:
        await asyncio.to_thread(first.expect, "Task 0-")
        second = await call(machine, "run", "--repo", str(repo), "--yes", "Something else")
        assert second.code == 1
        assert "error[GW-LOCAL-BUSY]" in second.err
        listed = await call(machine, "tasks", "list", "--json")
        assert [task["state"] for task in json.loads(listed.out)["tasks"]] == ["spec"], "it can be watched meanwhile"
        first.type("\x03")
        assert await asyncio.to_thread(first.wait) == 130
