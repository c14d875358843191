"""What the lines of Gemini CLI mean; all but the broken ones are as version 0.61.0 wrote them."""

from __future__ import annotations

from typing import Any

import pytest

from runners.providers.gemini_lines import GeminiReader, last_try
from runners.providers.protocol import Cause
from runners.providers.runtime import Called, Ended, Failed, Happening, Returned, Said

STATS = (
    '"stats":{"total_tokens":600,"input_tokens":500,"output_tokens":100,"cached":0,"input":500,"duration_ms":572,'
    '"tool_calls":1,"models":{"gemini-2.5-flash":{"total_tokens":600}}}}'
)
AT = '"timestamp":"2026-11-22T03:37:35.505Z"'
SHELL = "run_shell_command__run_shell_command_1795318655287_0"


def read(*lines: str) -> list[Happening]:
    reader = GeminiReader()
    return [each for line in lines for each in reader.line(line.encode())]


def called(tool: str, parameters: str, key: str = SHELL) -> str:
    return f'{{"type":"tool_use",{AT},"tool_name":"{tool}","tool_id":"{key}","parameters":{parameters}}}'


def returned(output: str, status: str = "success", key: str = SHELL, more: str = "") -> str:
    return f'{{"type":"tool_result",{AT},"tool_id":"{key}","status":"{status}","output":"{output}"{more}}}'


def says(text: str, role: str = "assistant") -> str:
    return f'{{"type":"message",{AT},"role":"{role}","content":"{text}","delta":true}}'


def recorded(text: str) -> str:
    return (
        f'{{"id":"35f19e62","timestamp":"2026-11-22T03:40:54.758Z","type":"gemini","content":"{text}","thoughts":[],'
        '"tokens":{"input":100,"output":20},"model":"gemini-2.5-flash"}'
    )


def test_a_whole_run() -> None:
    assert read(
        f'{{"type":"init",{AT},"session_id":"dd49ab31","model":"gemini-2.5-flash"}}',
        says("/task-1 begins\\nx\\n/task-1 ends", role="user"),
        says("I will"), says(" look"),
        called("run_shell_command", '{"command":"echo wrong; exit 3"}'),
        returned("wrong\\n\\n[exit code 3]"),
        says("all done"), says(" here"),
        f'{{"type":"result",{AT},"status":"success",{STATS}',
        recorded("all done here"),
    ) == [
        Said("I will"), Said(" look", is_more=True),
        Called(SHELL, "run_shell_command", b'{"command":"echo wrong; exit 3"}'),
        Returned(SHELL, False, b"wrong", 3),
        Said("all done"), Said(" here", is_more=True),
        Ended(),
        Said("all done here"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("output", "is_ok", "out", "code"),
    [
        ("out\\n\\n[exit code 0]", True, b"out", 0),
        ("[exit code 1]", False, b"", 1),
        ("[exit code 0]\\n\\n[exit code 4]", False, b"[exit code 0]", 4),
        ("Command terminated by signal: 9", False, b"Command terminated by signal: 9", None),
        ("[exit code 0] is what I print", False, b"[exit code 0] is what I print", None),
        ("Background process started with PID 23.", True, b"Background process started with PID 23.", None),
        ("", False, b"", None),
    ],
)
def test_how_a_command_ended(output: str, is_ok: bool, out: bytes, code: int | None) -> None:
    happenings = read(called("run_shell_command", '{"command":"x"}'), returned(output))
    assert happenings[1] == Returned(SHELL, is_ok, out, code)


def test_other_tools_have_no_exit_code() -> None:
    error = ',"error":{"type":"tool_not_registered","message":"Tool \\"no_such_tool\\" not found."}'
    happenings = read(
        called("read_file", '{"file_path":"a"}', key="1"), returned("[exit code 0]", key="1"),
        called("no_such_tool", '{"x":1}', key="2"), returned("", "error", key="2", more=error),
        called("run_shell_command", "{}", key="3"), returned("params must have", "error", key="3"),
    )  # fmt: skip
    assert happenings[1::2] == [
        Returned("1", True, b"[exit code 0]"),
        Returned("2", False, b'Tool "no_such_tool" not found.'),
        Returned("3", False, b"params must have"),
    ]


def event(severity: str, message: str) -> str:
    return f'{{"type":"error",{AT},"severity":"{severity}","message":"{message}"}}'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (event("warning", "Loop detected, stopping execution"), Cause.ANSWER),
        (event("error", "Maximum session turns exceeded"), Cause.BUDGET),
        (event("error", "The model response was blocked due to safety settings."), Cause.REFUSAL),
        (event("error", "The model returned an empty response with no text or thoughts."), Cause.ANSWER),
        (event("error", "something new"), Cause.CRASH),
        (event("warning", "Agent execution blocked: a hook"), None),
        (f'{{"type":"result",{AT},"status":"error","error":{{"type":"unknown","message":"[API Error: terminated]"}}}}',
         Cause.CRASH),
        (f'{{"type":"result",{AT},"status":"error",{STATS}', Cause.CRASH),
    ],
)  # fmt: skip
def test_how_a_run_fails(line: str, expected: Cause | None) -> None:
    happenings = read(line)
    assert [each.cause for each in happenings if isinstance(each, Failed)] == ([expected] if expected else [])
    assert not any(isinstance(each, Ended) for each in happenings)


@pytest.mark.parametrize(
    "line",
    ["", "YOLO mode is enabled.", "[]", "{}", '{"type":7}', '{"type":"message","role":"assistant","content":[1]}',
     '{"type":"gemini","content":"words without a message"}', '{"type":"tool_use"', "[" * 100_000],
)  # fmt: skip
def test_what_has_no_known_form_says_nothing(line: str) -> None:
    assert read(line) == []


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        (["half of ", "the answ", "whole"], "whole", "whole"),
        (["half of ", "the answ", "wh", "ole "], "whole", "whole "),
        (["a <!-- b -->", " c"], "a  c", "a <!-- b --> c"),
        (["cut ", "kept <!-- also", " this -->"], "kept", "kept <!-- also this -->"),
        (["same", "same"], "same", "same"),
        (["words"], "others", "others"),
        (["words"], "", "words"),
    ],
)
def test_the_last_try_of_an_answer(words: list[str], text: str, expected: Any) -> None:
    assert last_try(words, text) == expected
