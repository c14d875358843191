"""GitHub Copilot CLI: the provider contract with the genuine program, and what is particular to it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.model.errors import GatewrightError
from runners.providers.command import CommandProvider
from runners.providers.copilot import Copilot, environment
from runners.providers.errors import ProviderError
from runners.providers.protocol import Access, Cause, Limits
from tests.runners.providers.contract import WireContract
from tests.runners.providers.stage import QUICK, Stage, open_stage
from tests.simulators.models import Step, Tool
from tests.simulators.models.script import Maker

EVIL = "EVIL-INSTRUCTION"
BEFORE = "def add(a, b):\n    return a - b\n"  # calc.py as the stage has it


class CopilotCase:
    """The real program against a scripted API of chat completions."""

    dialect = "openai"
    model = "gpt-4.1"
    cache: Path

    def missing(self) -> str | None:
        try:
            Copilot().program()
        except GatewrightError as problem:
            return f"{problem.what}: {problem.why}"
        return None

    def provider(self, steps: Sequence[Step | Maker], folder: Path) -> CommandProvider:
        return CommandProvider(Copilot(cache=self.cache))

    def write(self, path: str, content: str) -> Tool:
        if path == "calc.py":  # `create` does not replace what is there
            return Tool("edit", {"path": f"/workspace/{path}", "old_str": BEFORE, "new_str": content})
        return Tool("create", {"path": f"/workspace/{path}", "file_text": content})

    def command(self, line: str) -> Tool:
        return Tool("bash", {"command": line, "description": "run"})

    def answer(self, value: Any) -> Step:
        return Step(text=json.dumps(value))


@pytest.fixture(scope="module", autouse=True)
def _cache() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="gw-copilot-") as name:
        Path(name).chmod(0o711)
        CopilotCase.cache = Path(name)
        yield


def hostile() -> dict[str, str]:
    """Everything by which a repository could speak to the CLI, or have it start something."""
    command = {"type": "command", "bash": "touch /workspace/ran", "command": "touch /workspace/ran", "timeoutSec": 5}
    events = ("sessionStart", "sessionEnd", "userPromptSubmitted", "preToolUse", "postToolUse")
    hooks = {"version": 1, "hooks": {event: [command] for event in events}}
    program = {"command": "/bin/sh", "args": ["-c", "touch /workspace/ran; cat"]}
    server = {"mcpServers": {"evil": {"type": "local", **program, "tools": ["*"]}}}
    skill = f"---\nname: evil\ndescription: {EVIL}\n---\n{EVIL}\n"
    texts = {
        **dict.fromkeys(("AGENTS.md", "GEMINI.md", "CLAUDE.md", ".github/copilot-instructions.md"), EVIL),
        ".github/instructions/a.instructions.md": f'---\napplyTo: "**"\n---\n{EVIL}',
        **dict.fromkeys((".github/agents/evil.agent.md", ".claude/agents/evil.md"), skill),
        **{f"{folder}/skills/evil/SKILL.md": skill for folder in (".github", ".claude", ".agents")},
        ".github/extensions/evil/extension.mjs": 'import fs from "fs"; fs.writeFileSync("/workspace/ran", "x")',
    }
    tables = {
        **dict.fromkeys((".mcp.json", ".github/mcp.json", ".copilot/mcp-config.json"), server),
        ".vscode/mcp.json": {"servers": server["mcpServers"]},
        **dict.fromkeys((".github/hooks/evil.json", ".copilot/settings.json", ".github/copilot/settings.json"), hooks),
        ".claude/settings.json": {"hooks": {"SessionStart": [{"hooks": [command]}]}},
        ".github/lsp.json": {"lspServers": {"evil": {**program, "fileExtensions": {".py": "python"}}}},
    }
    return texts | {path: json.dumps(table) for path, table in tables.items()}


def lay(stage: Stage, files: dict[str, str]) -> None:
    """Put files into the worktree, as its owner has them."""
    owner = stage.worktree.stat().st_uid
    for name, content in files.items():
        path = stage.worktree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for path in stage.worktree.rglob("*"):
        os.chown(path, owner, -1)


def told(stage: Stage, at: int = 0) -> str:
    """What the model was told by the person, in its request number `at`."""
    messages = stage.model.requests[at].body["messages"]
    return [message["content"] for message in messages if message["role"] == "user"][-1]


class TestCopilot(WireContract):
    case = CopilotCase()

    @pytest.mark.parametrize(
        "prompt",
        [
            "@calc.py says \"a\" and 'b'\n/help me\n!ls $(x) `y` ${z} \\n &\n# one\n-p --help\ta@b.c äöü 漢字 \x1b[0m",
            "/help", "-p", "@calc.py", "!ls", "/evil do", "x" * 100_000, "é€" * 20_000,
        ],
        ids=["mixed", "slash", "option", "file", "bang", "skill", "long", "longer"],
    )  # fmt: skip
    async def test_a_prompt_arrives_as_it_is(self, prompt: str) -> None:
        async with self.stage(Step(text="done")) as stage:
            lay(stage, hostile())
            await stage.run(system="", prompt=prompt)
        assert told(stage).partition("\n\n")[2] == prompt  # it begins with the time of day

    async def test_what_the_repository_says_to_agents_is_not_obeyed(self) -> None:
        steps = Step(tools=(self.case.command("true"), self.case.write("calc.py", "X = 1\n"))), Step(text="done")
        async with self.stage(*steps) as stage:
            lay(stage, hostile())
            await stage.run()
            assert not (stage.worktree / "ran").exists()
        assert len(stage.model.requests) == 2
        assert EVIL not in str([request.body for request in stage.model.requests])

    @pytest.mark.parametrize(("access", "model", "tools"), [
        (Access.READ, "gpt-4.1", ["glob", "grep", "view"]),
        (Access.WRITE, "gpt-4.1", ["bash", "create", "edit", "glob", "grep", "read_bash", "stop_bash", "view"]),
        (Access.WRITE, "gpt-5.5", ["apply_patch", "bash", "glob", "read_bash", "rg", "stop_bash", "view"]),
    ])  # fmt: skip
    async def test_the_model_is_offered_exactly_the_tools_of_the_access(
        self, access: Access, model: str, tools: list[str]
    ) -> None:
        provider = self.case.provider((), self.folder)
        async with open_stage(provider, self.case.dialect, model, [Step(text="done")]) as stage:
            await stage.run(access=access)
        offered = [next(tool[kind] for kind in ("function", "custom") if kind in tool)["name"]
                   for tool in stage.model.requests[0].body["tools"]]  # fmt: skip
        assert sorted(offered) == tools

    async def test_nothing_but_the_model_is_asked(self) -> None:
        async with self.stage(Step(tools=(self.case.command("env"),)), Step(text="done")) as stage:
            await stage.run()
        assert {(seen.method, seen.target) for seen in stage.model.requests} == {("POST", "/v1/chat/completions")}
        assert stage.door.outside == []
        [result] = stage.recorder.of("tool.result")
        assert stage.door.token.encode() not in result.blobs["out"]

    async def test_a_runtime_that_was_ended_is_no_success(self) -> None:
        end = "python3 -c 'import os; os.kill(2, 15)'; sleep 9"  # init.sh became it; it exits with code 0 then
        async with self.stage(Step(tools=(self.case.command(end),)), Step(text="done")) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run()
        assert caught.value.cause is Cause.CRASH
        assert stage.recorder.unpaired() == []

    async def test_a_command_left_behind_holds_nothing_up(self) -> None:
        server = Tool("bash", {"command": "sleep 300", "description": "serve", "mode": "async"})
        async with self.stage(Step(tools=(server,)), Step(text="done")) as stage:
            result = await stage.run(limits=msgspec.structs.replace(QUICK, idle_seconds=3))
        assert result.text == "done"

    async def test_calls_with_wrong_arguments_are_answered_and_recorded(self) -> None:
        steps = (
            Step(tools=(Tool("bash", raw='{"command": '), Tool("bash", {"command": 5}), Tool("view", {"path": "/no"}))),
            Step(text="fertig, 全部完成"),
        )
        async with self.stage(*steps) as stage:
            assert (await stage.run()).text == "fertig, 全部完成"
        assert [record.outcome for record in stage.recorder.of("tool.result")] == ["fail"] * 3

    async def test_an_empty_answer_is_no_success(self) -> None:
        async with self.stage(Step(text="", repeat=0)) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run()
        assert caught.value.cause in {Cause.CRASH, Cause.ANSWER}

    async def test_without_a_place_to_keep_its_package_it_unpacks_in_its_home(self) -> None:
        nowhere = CopilotCase.cache / "file"
        nowhere.touch()
        provider = CommandProvider(Copilot(cache=nowhere))
        async with open_stage(provider, self.case.dialect, self.case.model, [Step(text="done")]) as stage:
            assert (await stage.run()).text == "done"

    async def test_more_text_than_the_model_reads_is_named(self) -> None:
        provider = CommandProvider(Copilot(cache=CopilotCase.cache, context=9_000))
        async with open_stage(provider, self.case.dialect, "toy", [Step(text="done")]) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run(prompt="word " * 20_000)
        assert caught.value.cause is Cause.CONTEXT
        assert not stage.model.requests


def test_only_what_was_given_limits_the_context() -> None:
    name = "COPILOT_PROVIDER_MAX_PROMPT_TOKENS"
    assert environment("toy", Limits(), "http://127.0.0.1:1", "t", 9_000)[name] == "9000"
    assert name not in environment("toy", Limits(), "http://127.0.0.1:1", "t", 0)


def test_a_program_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(GatewrightError) as caught:
        Copilot(tools_dir=str(tmp_path)).program()
    assert caught.value.code == "GW-MODEL-RUNTIME-MISSING"
    assert str(tmp_path) in caught.value.why
