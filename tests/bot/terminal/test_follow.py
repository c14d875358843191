"""What a person sees and says while a task goes its way."""

from __future__ import annotations

import asyncio
import json
import re

from tests.bot.terminal.machine import WISH, call
from tests.flow.answers import chat_steps
from tests.simulators.models import Script, Step


async def test_a_blocked_task_says_what_why_and_how_to_go_on(machine, repo, model):
    model.script.extend([Step(status=400, body={"error": {"message": "this model is not for you"}}, repeat=0)])
    ended = await call(machine, "run", "--repo", str(repo), WISH)
    assert ended.code == 1
    assert re.search(r"^error\[GW-[A-Z-]+\]: .+\n  why: .+\n  fix: ", ended.err, re.MULTILINE), ended.err
    retry = re.search(r"gatewright tasks retry (\S+)", ended.err)
    assert retry
    shown = await call(machine, "tasks", "show", retry[1])
    assert "blocked" in shown.out
    assert f"gatewright tasks retry {retry[1]}" in shown.out
    model.script = Script(chat_steps("spec:0"))
    ended = await call(machine, "tasks", "retry", retry[1])
    assert ended.code == 3, ended.err
    assert "the spec waits for approval" in ended.err


async def test_at_a_terminal_a_draft_can_be_revised_and_edited(machine, repo, model):
    model.script.extend([*chat_steps("spec:0"), *chat_steps("spec:0", "planning:0")])
    editor = machine.folder / "editor.sh"
    editor.write_text('#!/bin/sh\nsed -i "s/^- \\*\\*AC-2\\*\\*: .*/- **AC-2**: The waits grow./" "$1"\n')
    editor.chmod(0o755)
    with machine.terminal("run", "--repo", str(repo), WISH, env={"EDITOR": str(editor)}) as person:

        async def expect(words: str) -> None:
            await asyncio.to_thread(person.expect, words)

        await expect("(r)evise  (e)dit")
        person.type("r\n")
        await expect("what should change?")
        person.type("keep it short\n")
        await expect("sent back by you")
        await expect("(r)evise  (e)dit")
        person.type("e\n")
        await expect("edited by you")
        await expect("AC-2: The waits grow.")
        await expect("(e)dit")
        person.type("a\n")
        await expect("approved by you")
        await expect("(e)dit")
        person.type("\x04")
        assert await asyncio.to_thread(person.wait) == 3
        await expect("the question was left open")
    assert "keep it short" in json.dumps(model.requests[2].body), "the second draft knows of it"


async def test_an_edit_that_does_not_parse_is_not_lost(machine, repo, model):
    model.script.extend(chat_steps("spec:0"))
    editor = machine.folder / "editor.sh"
    editor.write_text('#!/bin/sh\nif grep -q "^Mine" "$1"; then cp "$1" seen.md; else echo "Mine" > "$1"; fi\n')
    editor.chmod(0o755)
    with machine.terminal("run", "--repo", str(repo), WISH, env={"VISUAL": str(editor)}) as person:
        await asyncio.to_thread(person.expect, "(e)dit")
        person.type("e\n")
        await asyncio.to_thread(person.expect, "(e)dit")  # refused, with the line; asked again
        assert "line 1" in person.text
        person.type("e\n")
        await asyncio.to_thread(person.expect, "(e)dit")
        person.type("\x03")
        assert await asyncio.to_thread(person.wait) == 130
    assert (machine.folder / "seen.md").read_text() == "Mine\n"
