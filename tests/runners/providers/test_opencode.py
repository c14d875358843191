"""OpenCode: the provider contract with the genuine program, and what is particular to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.model.errors import GatewrightError
from bot.model.state import Phase
from runners.providers.command import CommandProvider
from runners.providers.errors import ProviderError
from runners.providers.opencode import CONFIG, PROGRAM, SEARCH, OpenCode, configuration
from runners.providers.protocol import Access, Cause, Request
from runners.providers.tools import tool
from tests.runners.providers.contract import WireContract
from tests.runners.providers.stage import Stage, open_stage
from tests.simulators.models import Step, Tool
from tests.simulators.models.script import Maker

PLUGIN = (
    "import { writeFileSync } from 'fs'; writeFileSync('/workspace/RAN', 'EVIL'); export const Evil = async () => ({})"
)
SERVER = {"type": "local", "command": ["touch", "/workspace/RAN"]}
HOSTILE = {
    "AGENTS.md": "EVIL",
    "CLAUDE.md": "EVIL",
    "CONTEXT.md": "EVIL",
    ".claude/skills/evil/SKILL.md": "---\nname: evil\ndescription: EVIL\n---\nEVIL",
    ".agents/skills/evil/SKILL.md": "---\nname: evil\ndescription: EVIL\n---\nEVIL",
    ".opencode/agent/build.md": "---\ndescription: EVIL\nmode: primary\n---\nEVIL",
    ".opencode/command/help.md": "EVIL",
    ".opencode/plugin/evil.js": PLUGIN,
    ".opencode/tool/evil.js": PLUGIN,
    ".opencode/opencode.json": json.dumps({"mcp": {"evil": SERVER}}),
    "opencode.json": json.dumps(
        {"instructions": ["AGENTS.md"], "plugin": ["./.opencode/plugin/evil.js"], "mcp": {"evil": SERVER}}
    ),
    "sub/AGENTS.md": "EVIL",
    "sub/x.py": "X = 1\n",
    "long/AGENTS.md": "EVIL " * 40_000,
    "long/x.py": "X = 1\n",
}


class OpenCodeCase:
    """The real program against a scripted chat completions API."""

    dialect = "openai"
    model = "qwen/qwen3:14b"

    def missing(self) -> str | None:
        try:
            for path in (PROGRAM, SEARCH):
                tool("", path, label="OpenCode")
        except GatewrightError as problem:
            return f"{problem.what}: {problem.why}"
        return None

    def provider(self, steps: Sequence[Step | Maker], folder: Path) -> CommandProvider:
        return CommandProvider(OpenCode())

    def write(self, path: str, content: str) -> Tool:
        return Tool("write", {"filePath": f"/workspace/{path}", "content": content})

    def command(self, line: str) -> Tool:
        return Tool("bash", {"command": line, "description": "run"})

    def answer(self, value: Any) -> Step:
        return Step(text=json.dumps(value))


def read(path: str) -> Step:
    return Step(tools=(Tool("read", {"filePath": path}),))


def offered(stage: Stage) -> list[str]:
    return sorted(tool["function"]["name"] for tool in stage.model.requests[0].body["tools"])


class TestOpenCode(WireContract):
    case = OpenCodeCase()

    @asynccontextmanager
    async def stage(self, *steps: Step | Maker, **changes: Any) -> AsyncIterator[Stage]:
        async with super().stage(*steps, **changes) as stage:
            stage.name = f"openrouter/{self.case.model}"  # as a route names it; the door's model is the rest
            yield stage
            assert stage.door.outside == []

    async def test_what_the_repository_says_to_agents_is_not_obeyed(self) -> None:
        steps = read("sub/x.py"), read("/workspace/long/x.py"), Step(text="done")
        async with self.stage(*steps) as stage:
            for name, content in HOSTILE.items():
                path = stage.worktree / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
            await stage.run()
            assert not (stage.worktree / "RAN").exists()
        assert len(stage.model.requests) == 3
        assert "X = 1" in str(stage.model.requests[-1].body)
        assert not [request for request in stage.model.requests if "EVIL" in str(request.body)]
        assert offered(stage) == ["bash", "edit", "glob", "grep", "read", "todowrite", "write"]

    async def test_what_the_model_names_is_in_the_worktree(self) -> None:
        edit = {"filePath": "calc.py", "oldString": "a - b", "newString": "a + b"}
        steps = (
            Step(tools=(Tool("edit", edit), Tool("write", {"filePath": "sub/new.py", "content": "X = 1\n"}))),
            Step(tools=(Tool("bash", {"command": "pwd", "workdir": "sub", "description": "run"}),)),
            Step(text="done"),
        )
        async with self.stage(*steps) as stage:
            await stage.run()
            assert "a + b" in (stage.worktree / "calc.py").read_text()
            assert (stage.worktree / "sub" / "new.py").read_text() == "X = 1\n"
        assert stage.recorder.of("tool.result")[-1].blobs["out"].strip() == b"/workspace/sub"
        assert "Working directory: /workspace\n" in str(stage.model.requests[0].body["messages"][0]["content"])
        assert CONFIG not in str([request.body for request in stage.model.requests])

    async def test_a_patch_is_of_the_worktree_too(self) -> None:
        body = "*** Update File: calc.py\n@@\n-    return a - b\n+    return a + b\n*** Add File: new.py\n+X = 1\n"
        patch = Tool("apply_patch", {"patchText": f"*** Begin Patch\n{body}*** End Patch"})
        steps = Step(tools=(patch,)), Step(text="done")
        async with open_stage(self.case.provider(steps, self.folder), self.case.dialect, "gpt-5", steps) as stage:
            stage.name = "openai/gpt-5"  # by its name OpenCode offers it patches
            await stage.run()
            assert "a + b" in (stage.worktree / "calc.py").read_text()
            assert (stage.worktree / "new.py").read_text() == "X = 1\n"

    async def test_a_prompt_reaches_the_model_byte_for_byte(self) -> None:
        prompt = (
            '/help @calc.py "it\'s" $(touch RAN) !`touch RAN`\n\n  `x` \\n {file:calc.py} é 漢 🙂\n'
            + "y" * 100_000
            + "."
        )
        async with self.stage(Step(text="done")) as stage:
            await stage.run(prompt=prompt, system="Line.\n\nAnother.")
            assert sorted(path.name for path in stage.worktree.iterdir()) == ["calc.py"]
        [request] = stage.model.requests
        [said] = [message["content"] for message in request.body["messages"] if message["role"] == "user"]
        assert said == f"Line.\n\nAnother.\n\n{prompt}"
        assert request.target == "/v1/chat/completions"
        assert request.body["model"] == self.case.model

    async def test_what_may_only_read_searches_and_nothing_else(self) -> None:
        steps = (
            Step(tools=(Tool("grep", {"pattern": "a - b"}), Tool("glob", {"pattern": "**/*.py"}))),
            Step(tools=(self.case.command("echo RAN"),)),
            Step(text="done"),
        )
        async with self.stage(*steps) as stage:
            await stage.run(access=Access.READ)
        assert offered(stage) == ["glob", "grep", "read"]
        # The two of one step run side by side: their results come in any order.
        *both, refused = stage.recorder.of("tool.result")
        said = {call.data.tool: end.blobs["out"] for call in stage.recorder.of("tool.call") for end in both
                if end.data.call == call.data.call}  # fmt: skip
        assert b"Line 2" in said["grep"]
        assert b"/workspace/calc.py" in said["glob"]
        assert refused.outcome == "fail"
        assert stage.recorder.of("tool.call")[-1].data.tool == "bash"

    async def test_a_runtime_that_dies_is_a_crash_with_all_calls_closed(self) -> None:
        kill = "pkill -9 -x opencode; sleep 9"
        async with self.stage(Step(tools=(self.case.command(kill),)), Step(text="done")) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run()
        assert caught.value.cause is Cause.CRASH
        assert stage.recorder.unpaired() == []
        assert stage.recorder.of("tool.result")[-1].outcome == "cancelled"  # it was reported when it began


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    request = Request(phase=Phase.CODING, model="p/m", system="", prompt="", access=Access.READ)
    with pytest.raises(GatewrightError) as caught:
        OpenCode(tools_dir=str(tmp_path)).start(request, "", None, None)  # type: ignore[arg-type]  # not looked at
    assert caught.value.code == "GW-MODEL-RUNTIME-MISSING"


@pytest.mark.parametrize(("context", "output"), [(128_000, 16_384), (32_768, 8_192)])
def test_an_answer_leaves_room_for_what_is_read(context: int, output: int) -> None:
    made = configuration("a/b:c", Access.WRITE, "http://door/v1", "token", context)
    [model] = made["provider"]["gatewright"]["models"].items()
    assert model == ("a/b:c", {"tool_call": True, "limit": {"context": context, "output": output}})
    assert made["model"] == made["small_model"] == "gatewright/a/b:c"


def test_our_plugin_is_loaded_from_where_it_lies() -> None:
    [plugin] = configuration("m", Access.READ, "", "", 1)["plugin"]
    assert plugin == f"{CONFIG}/opencode/watch.js"
