"""OpenAI-compatible servers as they really differ: one task with every accent, and how each of them fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from runners.loop.loop import Loop
from runners.providers.chat import CUT_RETRIES, connect
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause
from tests.runners.providers.stage import Stage, open_stage
from tests.simulators.models import Step, Tool
from tests.simulators.models.openai import ACCENTS

WRITE = '{"name": "write", "arguments": {"path": "a.txt", "content": "x"}}'


@asynccontextmanager
async def speaking(accent: str, *steps: Step) -> AsyncIterator[Stage]:
    """A stage whose server speaks with an accent."""
    async with open_stage(Loop("chat", connect), "openai", f"{accent}/qwen3-coder", steps) as stage:
        yield stage


@pytest.mark.parametrize("accent", ACCENTS)
async def test_the_same_task_is_done_with_every_accent(accent: str) -> None:
    steps = (
        Step(text="I look.", tools=(Tool("read", {"path": "calc.py"}), Tool("list", {"path": "."}))),
        Step(tools=(Tool("write", {"path": "calc.py", "content": "fixed\n"}), Tool("run", {"command": "cat calc.py"}))),
        Step(text="All is done."),
    )
    async with speaking(accent, *steps) as stage:
        result = await stage.run()
        assert (stage.worktree / "calc.py").read_text() == "fixed\n"
    assert result.text == "All is done."
    tools = [record.data.tool for record in stage.recorder.of("tool.call")]
    assert (sorted(tools[:2]), tools[2:]) == (["list", "read"], ["write", "run"])
    assert {record.outcome for record in stage.recorder.of("model.result")} == {"ok"}
    assert {record.outcome for record in stage.recorder.of("tool.result")} == {"ok"}
    said = stage.model.requests[-1].body["messages"]
    assert all(call["id"] for message in said for call in message.get("tool_calls", ()))


@pytest.mark.parametrize("accent", ["openrouter", "groq", "vllm"])
async def test_what_was_thought_is_on_record_under_whatever_name_it_comes(accent: str) -> None:
    async with speaking(accent, Step(text="done")) as stage:
        assert (await stage.run()).text == "done"
    [result] = stage.recorder.of("model.result")
    assert b'"type":"thinking"' in result.blobs["output"]


@pytest.mark.parametrize("accent", ["openrouter", "vllm"])
async def test_an_error_in_the_stream_is_never_a_success(accent: str) -> None:
    async with speaking(accent, Step(text="half", stop="error", repeat=0)) as stage:
        with pytest.raises(ProviderError) as raised:
            await stage.run()
    assert raised.value.cause is Cause.CRASH
    results = stage.recorder.of("model.result")
    assert [record.outcome for record in results] == ["fail"] * (CUT_RETRIES + 1)


@pytest.mark.parametrize("accent", ["openrouter", "vllm"])
async def test_an_error_in_the_stream_that_passes_is_asked_again(accent: str) -> None:
    async with speaking(accent, Step(text="half", stop="error"), Step(text="whole")) as stage:
        assert (await stage.run()).text == "whole"


def failed(written: str) -> dict[str, Any]:
    return {"error": {
        "message": "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.",
        "type": "invalid_request_error", "code": "tool_use_failed", "failed_generation": written,
    }}  # fmt: skip


async def test_a_call_that_groq_could_not_make_is_read_from_what_it_quotes() -> None:
    async with speaking(
        "groq", Step(status=400, body=failed(f"<tool_call>{WRITE}</tool_call>")), Step(text="done")
    ) as s:
        assert (await s.run()).text == "done"
        assert (s.worktree / "a.txt").read_text() == "x"


@pytest.mark.parametrize("in_stream", [False, True])
async def test_what_is_no_call_even_so_is_asked_for_again(*, in_stream: bool) -> None:
    text = "Tool use failed: the JSON does not match the schema"
    first = Step(text=text, stop="tool_use_failed") if in_stream else Step(status=400, body=failed(text))
    async with speaking("groq", first, Step(text="done")) as stage:
        assert (await stage.run()).text == "done"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "registry.ollama.ai/library/gemma:2b does not support tools"),
        (404, "No endpoints found that support tool use. To learn more about provider routing, visit the docs"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (400, "`tool calling` is not supported with this model"),
        (400, "Unsupported parameter: 'tools' is not supported with this model."),
        (400, "tools param requires --jinja flag"),
    ],
)
async def test_a_server_that_takes_no_tools_gets_them_in_words(status: int, said: str) -> None:
    refused = Step(status=status, body={"error": {"message": said, "type": "invalid_request_error", "code": None}})
    async with speaking("plain", refused, Step(text=f"```json\n{WRITE}\n```"), Step(text="done")) as stage:
        assert (await stage.run()).text == "done"
        assert (stage.worktree / "a.txt").read_text() == "x"
    bodies = [request.body for request in stage.model.requests]
    assert ["tools" in body for body in bodies] == [True, False, False]
    assert '"name": "write"' in bodies[1]["messages"][0]["content"]


async def test_other_errors_are_not_taken_for_a_refusal_of_tools() -> None:
    body = {"error": {"message": "tools[0].function.parameters: invalid schema", "code": None}}
    async with speaking("plain", Step(status=400, body=body, repeat=0)) as stage:
        with pytest.raises(ProviderError) as raised:
            await stage.run()
    assert raised.value.cause is Cause.ANSWER
    assert len(stage.model.requests) == 1
