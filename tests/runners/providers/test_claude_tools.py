"""What the hooks decide and record, without a runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.model.task import Usage
from runners.providers.claude_tools import Tools
from runners.providers.protocol import Access
from tests.runners.recorder import ListRecorder


class PlainDoor:
    """A door that only counts."""

    token = "t"
    socket = Path("/nowhere")
    attempt = 2
    usage = Usage()

    def __init__(self) -> None:
        self.last = 0

    def number(self) -> int:
        self.last += 1
        return self.last


@pytest.fixture
def recorder() -> ListRecorder:
    return ListRecorder()


@pytest.fixture
def signs() -> list[bool]:
    return []


@pytest.fixture
def tools(recorder: ListRecorder, signs: list[bool]) -> Tools:
    return Tools(Access.READ, PlainDoor(), recorder, 100, signs.append)


def decision(answer: dict[str, Any]) -> str:
    """Read what a PreToolUse hook said."""
    word: str = answer["hookSpecificOutput"]["permissionDecision"]
    return word


async def test_a_tool_off_the_list_is_denied_and_recorded_as_denied(tools: Tools, recorder: ListRecorder) -> None:
    assert decision(await tools.before({"tool_name": "Bash", "tool_input": {"command": "id"}}, "u1", None)) == "deny"
    assert [(r.kind, r.outcome) for r in recorder.records] == [("tool.call", "denied"), ("tool.result", "denied")]
    assert recorder.records[0].data.decision == "deny"


async def test_the_structured_answer_is_always_allowed(tools: Tools) -> None:
    assert decision(await tools.before({"tool_name": "StructuredOutput", "tool_input": {}}, "u1", None)) == "allow"


async def test_a_tool_is_busy_from_its_call_to_its_result(tools: Tools, signs: list[bool]) -> None:
    await tools.before({"tool_name": "Read", "tool_input": {}}, "u1", None)
    await tools.before({"tool_name": "Grep", "tool_input": {}}, "u2", None)
    await tools.after({"hook_event_name": "PostToolUse", "tool_name": "Read", "tool_response": "x"}, "u1", None)
    await tools.after({"hook_event_name": "PostToolUseFailure", "tool_name": "Grep", "error": "no"}, "u2", None)
    assert signs == [True, True, True, False]


async def test_outputs_are_bounded_and_a_second_result_is_not_recorded(tools: Tools, recorder: ListRecorder) -> None:
    await tools.before({"tool_name": "Read", "tool_input": {}}, "u1", None)
    for _ in range(2):
        await tools.after(
            {"hook_event_name": "PostToolUse", "tool_name": "Read", "tool_response": "é" * 999}, "u1", None
        )
    [result] = recorder.of("tool.result")
    assert len(result.blobs["out"]) == 100


async def test_what_cannot_be_recorded_is_denied_and_remembered(tools: Tools, recorder: ListRecorder) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    recorder.record = full  # type: ignore[method-assign]
    assert decision(await tools.before({"tool_name": "Read", "tool_input": {}}, "u1", None)) == "deny"
    assert isinstance(tools.fault, OSError)


@pytest.mark.parametrize(("said", "status"), [("Exit code 3\nout", 3), ("Exit code 137", 137), ("other", None)])
async def test_the_exit_code_of_a_failed_command_is_read(
    recorder: ListRecorder, signs: list[bool], said: str, status: int | None
) -> None:
    tools = Tools(Access.WRITE, PlainDoor(), recorder, 100, signs.append)
    await tools.before({"tool_name": "Bash", "tool_input": {}}, "u1", None)
    await tools.after({"hook_event_name": "PostToolUseFailure", "tool_name": "Bash", "error": said}, "u1", None)
    assert recorder.of("tool.result")[0].data.exit == status


async def test_calls_without_an_end_are_closed_as_cancelled(tools: Tools, recorder: ListRecorder) -> None:
    await tools.before({"tool_name": "Read", "tool_input": {}}, "u1", None)
    tools.close()
    tools.close()
    assert recorder.unpaired() == []
    assert recorder.of("tool.result")[0].outcome == "cancelled"
