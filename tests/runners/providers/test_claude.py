"""Claude: the provider contract with the genuine SDK and binary, and what is particular to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bot.model.errors import GatewrightError
from runners.providers.claude import ClaudeProvider, bundled
from runners.providers.errors import ProviderError
from runners.providers.protocol import Access, Cause
from tests.runners.providers.contract import WireContract
from tests.runners.providers.stage import open_stage
from tests.simulators.models import Step, Tool
from tests.simulators.models.script import Maker


class ClaudeCase:
    """The real runtime against a scripted Messages API."""

    dialect = "anthropic"
    model = "claude-sonnet-4-5"

    def missing(self) -> str | None:
        try:
            bundled()
        except GatewrightError as problem:
            return problem.what
        return None

    def provider(self, steps: Sequence[Step | Maker], folder: Path) -> ClaudeProvider:
        return ClaudeProvider(retries=1)

    def write(self, path: str, content: str) -> Tool:
        return Tool("Write", {"file_path": f"/workspace/{path}", "content": content})

    def command(self, line: str) -> Tool:
        return Tool("Bash", {"command": line, "description": "run"})

    def answer(self, value: Any) -> Step:
        return Step(tools=(Tool("StructuredOutput", value),))


class BedrockCase(ClaudeCase):
    """The same runtime against a scripted InvokeModel API."""

    dialect = "bedrock"
    model = "anthropic.claude-sonnet-4-5-20250929-v1:0"

    def provider(self, steps: Sequence[Step | Maker], folder: Path) -> ClaudeProvider:
        return ClaudeProvider("bedrock", retries=1)


class TestClaude(WireContract):
    case = ClaudeCase()

    # The runtime has Write refuse to replace what it has not read.
    async def test_a_file_is_edited_through_tools(self) -> None:
        edit = {"file_path": "/workspace/calc.py", "old_string": "a - b", "new_string": "a + b"}
        steps = (
            Step(tools=(Tool("Read", {"file_path": "/workspace/calc.py"}),)),
            Step(tools=(Tool("Edit", edit),)),
            Step(tools=(Tool("Write", {"file_path": "/workspace/new.py", "content": "X = 1\n"}),)),
            Step(text="done"),
        )  # fmt: skip
        async with self.stage(*steps) as stage:
            await stage.run()
            assert "a + b" in (stage.worktree / "calc.py").read_text()
            assert (stage.worktree / "new.py").read_text() == "X = 1\n"
        assert [call.data.tool for call in stage.recorder.of("tool.call")] == ["Read", "Edit", "Write"]
        assert {result.outcome for result in stage.recorder.of("tool.result")} == {"ok"}

    @pytest.mark.parametrize(("access", "tools"), [
        (Access.READ, ["Glob", "Grep", "Read"]), (Access.WRITE, ["Bash", "Edit", "Glob", "Grep", "Read", "Write"]),
    ])  # fmt: skip
    async def test_the_model_is_offered_exactly_the_tools_of_the_access(self, access: Access, tools: list[str]) -> None:
        async with self.stage(Step(text="done")) as stage:
            await stage.run(access=access)
        assert sorted(tool["name"] for tool in stage.model.requests[0].body["tools"]) == tools

    async def test_what_the_repository_says_to_agents_is_not_obeyed(self) -> None:
        async with self.stage(Step(text="done")) as stage:
            settings = stage.worktree / ".claude"
            settings.mkdir()
            hook = '{"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "touch /workspace/ran"}]}]}}'
            (settings / "settings.json").write_text(hook)
            (stage.worktree / "CLAUDE.md").write_text("EVIL-INSTRUCTION")
            (stage.worktree / ".mcp.json").write_text(
                '{"mcpServers": {"evil": {"command": "touch", "args": ["/workspace/mcp"]}}}'
            )
            await stage.run(prompt="Read @CLAUDE.md or not. /help")
            assert not (stage.worktree / "ran").exists()
            assert not (stage.worktree / "mcp").exists()
        [request] = stage.model.requests
        assert "EVIL-INSTRUCTION" not in str(request.body)
        assert "Read @CLAUDE.md or not. /help" in str(request.body["messages"])

    async def test_only_messages_of_the_routed_model_leave_the_runtime(self) -> None:
        steps = Step(tools=(self.case.command("true"),)), Step(text="done")
        async with self.stage(*steps) as stage:
            await stage.run()
        assert {request.target for request in stage.model.requests} == {"/v1/messages?beta=true"}
        assert {request.body["model"] for request in stage.model.requests} == {"claude-sonnet-4-5"}

    async def test_a_runtime_that_dies_is_a_crash_with_all_calls_closed(self) -> None:
        async with self.stage(Step(tools=(self.case.command("kill -9 $PPID; sleep 9"),)), Step(text="done")) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run()
        assert caught.value.cause is Cause.CRASH
        assert stage.recorder.unpaired() == []
        assert stage.recorder.of("tool.result")[-1].outcome == "cancelled"

    async def test_a_call_that_cannot_be_recorded_does_not_run(self) -> None:
        async with self.stage(Step(tools=(self.case.command("touch ran"),)), Step(text="done")) as stage:
            record = stage.recorder.record

            def full(kind: str, *args: Any, **more: Any) -> None:
                if kind == "tool.call":
                    raise OSError(28, "No space left on device")
                record(kind, *args, **more)

            stage.recorder.record = full  # type: ignore[method-assign]
            with pytest.raises(OSError, match="No space"):
                await stage.run()
            assert not (stage.worktree / "ran").exists()

    async def test_an_alias_is_the_newest_of_its_family(self) -> None:
        provider = self.case.provider((), self.folder)
        async with open_stage(provider, "anthropic", "sonnet", [Step(text="done")]) as stage:
            result = await stage.run()
        assert result.model.startswith("claude-sonnet-")

    async def test_instructions_too_long_for_a_command_line_are_refused_with_the_reason(self) -> None:
        async with self.stage() as stage:
            with pytest.raises(ProviderError, match="longer than") as caught:
                await stage.run(system="x" * 140_000)
        assert caught.value.cause is Cause.CONTEXT
        assert "131072" in caught.value.why


class TestBedrock(WireContract):
    case = BedrockCase()

    async def test_a_file_is_edited_through_tools(self) -> None:
        content = "def add(a, b):\n    return a + b\n"
        steps = Step(tools=(self.case.write("sum.py", content),)), Step(text="done")
        async with self.stage(*steps) as stage:
            await stage.run()
            assert (stage.worktree / "sum.py").read_text() == content

    async def test_only_calls_of_the_routed_model_reach_the_api(self) -> None:
        steps = Step(tools=(self.case.command("true"),)), Step(text="done")
        async with self.stage(*steps) as stage:
            await stage.run()
        model = quote(self.case.model, safe="")
        assert {request.target for request in stage.model.requests} == {f"/model/{model}/invoke-with-response-stream"}
