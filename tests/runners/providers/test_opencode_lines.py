"""What the lines of OpenCode mean; the samples are from runs of 1.18.33, cut to the fields that matter here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runners.providers.opencode_lines import Lines
from runners.providers.protocol import Cause
from runners.providers.runtime import Called, Ended, Failed, Happening, Returned, Said

HELLO = {"type": "gatewright", "part": {}}
BEGUN = {"type": "gatewright", "part": {"tool": "bash", "callID": "c1", "input": {"command": "exit 3"}}}
STATE = {"status": "completed", "input": {"command": "exit 3"}, "output": "out\n", "metadata": {"exit": 3}}
USED = {"type": "tool_use", "part": {"type": "tool", "tool": "bash", "callID": "c1", "id": "prt_1", "state": STATE}}
NO_TOOL = "Model tried to call unavailable tool 'nosuch'."
INVALID = {
    "type": "tool_use",
    "part": {
        "type": "tool", "tool": "invalid", "callID": "c2", "id": "prt_2",
        "state": {"status": "completed", "input": {"tool": "nosuch", "error": NO_TOOL}, "output": NO_TOOL},
    },
}  # fmt: skip
STEP = {"type": "step_start", "part": {"type": "step-start"}}
TEXT = {"type": "text", "part": {"type": "text", "text": "done", "time": {"start": 1, "end": 2}}}
OVER = {"name": "ContextOverflowError", "data": {"message": "This model's maximum context length is 8192 tokens"}}


def ended(reason: str) -> dict[str, Any]:
    return {"type": "step_finish", "part": {"reason": reason, "type": "step-finish", "tokens": {"total": 120}}}


def told(lines: Lines, *events: Any) -> list[Happening]:
    return [each for event in events for each in lines.line(json.dumps(event).encode())]


def test_a_tool_begins_before_opencode_tells_of_it() -> None:
    lines = Lines()
    assert told(lines, HELLO, STEP) == []
    assert told(lines, BEGUN) == [Called("c1", "bash", b'{"command": "exit 3"}')]
    assert told(lines, USED) == [Returned("c1", False, b"out\n", 3)]


def test_a_part_that_is_told_twice_counts_once() -> None:
    lines = Lines()
    told(lines, BEGUN, USED)
    assert told(lines, USED) == []


def test_an_id_may_come_back_in_a_later_step() -> None:
    lines = Lines()
    told(lines, BEGUN, USED)
    again = {"type": "tool_use", "part": USED["part"] | {"id": "prt_9"}}  # type: ignore[operator]
    assert [type(each) for each in told(lines, BEGUN, again)] == [Called, Returned]


def test_a_call_that_opencode_refuses_goes_by_the_name_the_model_gave() -> None:
    called, returned = told(Lines(), HELLO, INVALID)
    assert isinstance(called, Called)
    assert called.tool == "nosuch"
    assert returned == Returned("c2", False, NO_TOOL.encode())


def test_an_error_of_a_tool_is_its_output() -> None:
    state = {"status": "error", "input": {"filePath": "no.py"}, "error": "File not found: /workspace/no.py"}
    part = {"tool": "read", "callID": "c3", "id": "prt_3", "state": state}
    assert told(Lines(), {"type": "tool_use", "part": part})[1:] == [
        Returned("c3", False, b"File not found: /workspace/no.py")
    ]


@pytest.mark.parametrize(("reason", "end"), [
    ("stop", Ended()),
    ("length", Failed("its last step ended with `length`", Cause.ANSWER)),
    ("content-filter", Failed("its last step ended with `content-filter`", Cause.REFUSAL)),
    ("tool-calls", Failed("its last step ended with `tool-calls`", Cause.CRASH)),
])  # fmt: skip
def test_the_last_step_says_how_a_run_ended(reason: str, end: Happening) -> None:
    lines = Lines()
    assert told(lines, HELLO, STEP, ended("stop"), STEP, TEXT, ended(reason)) == [Said("done")]
    assert list(lines.end(0, "")) == [end]


def test_a_step_that_did_not_end_is_no_success() -> None:
    lines = Lines()
    told(lines, HELLO, STEP, ended("stop"), STEP)
    assert list(lines.end(0, "")) == [Failed("its last step did not end")]


def test_without_our_plugin_no_run_is_a_success() -> None:
    lines = Lines()
    told(lines, STEP, TEXT, ended("stop"))
    [failed] = lines.end(0, "")
    assert isinstance(failed, Failed)
    assert "plugin" in failed.why


def test_what_opencode_names_keeps_its_cause() -> None:
    [failed] = told(Lines(), {"type": "error", "error": OVER})
    assert failed == Failed(f"ContextOverflowError: {OVER['data']['message']}", Cause.CONTEXT)  # type: ignore[index]


@pytest.mark.parametrize(
    "line", [b"", b"npm warn", b"[]", b'"x"', b"[" * 100_000, b'{"type":"tool_use","part":[]}', b'{"type":"later"}']
)
def test_what_is_no_event_says_nothing_of_the_run(line: bytes) -> None:
    assert [each for each in Lines().line(line) if isinstance(each, Said | Ended | Failed)] == []
