"""What the Copilot CLI's lines mean; the samples are lines of real runs, shortened."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runners.providers.copilot_events import CopilotReader
from runners.providers.protocol import Cause
from runners.providers.runtime import Called, Ended, Failed, Happening, Returned, Said

SHELL = "call_e3a0cb3763d3"
FAILED = "it ended with exit code 1"


def event(kind: str, **data: Any) -> bytes:
    head = {"id": "08ea7feb-89c5-40e2-87cb-c4646a3c826e", "timestamp": "2026-11-22T03:28:33.466Z", "parentId": None}
    return json.dumps({"type": kind, "data": data, **head}).encode()


def result(code: int) -> bytes:
    usage = {"premiumRequests": 0, "totalApiDurationMs": 18, "sessionDurationMs": 218}
    return json.dumps({"type": "result", "sessionId": "0d0e5049", "exitCode": code, "usage": usage}).encode()


def complete(**data: Any) -> bytes:
    return event("tool.execution_complete", toolCallId=SHELL, model="gpt-4.1", turnId="0", rte=False, **data)


def error(kind: str, message: str, status: int | None = None) -> bytes:
    return event("session.error", errorType=kind, message=message, **({"statusCode": status} if status else {}))


def read(*lines: bytes) -> list[Happening]:
    reader = CopilotReader()
    return [each for line in lines for each in reader.line(line)] + [*reader.end(0, "")]


def test_a_call_begins_with_its_arguments_as_the_model_sent_them() -> None:
    arguments = {"command": "cat cfg.py; exit 3", "description": "d", "big": 10**30}
    line = event("tool.execution_start", toolCallId=SHELL, toolName="bash", arguments=arguments, turnId="0")
    [called] = read(line)
    assert isinstance(called, Called)
    assert (called.id, called.tool, json.loads(called.arguments)) == (SHELL, "bash", arguments)


@pytest.mark.parametrize(
    ("line", "returned"),
    [
        (
            complete(success=True, shellExecution={"exitCode": 0}, result={"content": "ok\n", "detailedContent": ""}),
            Returned(SHELL, True, b"ok\n", 0),
        ),
        (
            complete(success=True, shellExecution={"exitCode": 3}, result={"content": "err\n"}),
            Returned(SHELL, False, b"err\n", 3),
        ),
        (
            complete(success=False, error={"message": "Path already exists", "code": "failure"}),
            Returned(SHELL, False, b"Path already exists", None),
        ),
        (
            complete(success=True, result={"content": "<command with shellId: 6 is still running after 30 seconds."}),
            Returned(SHELL, True, b"<command with shellId: 6 is still running after 30 seconds.", None),
        ),
        (complete(), Returned(SHELL, False, b"", None)),
    ],
)  # fmt: skip
def test_a_result_is_ok_where_the_tool_and_its_command_were(line: bytes, returned: Returned) -> None:
    assert read(line) == [returned]


def test_the_words_of_a_whole_message_count_and_no_piece_of_one() -> None:
    said = read(
        event("assistant.message_delta", messageId="87947e8c", deltaContent="half of"),
        event("assistant.message", messageId="87947e8c", content="", toolRequests=[{"name": "bash"}]),
        event("assistant.message", messageId="87947e8d", content="done", toolRequests=[]),
    )
    assert said == [Said("done")]


def test_it_is_done_when_its_last_line_says_so() -> None:
    assert read(result(0)) == [Ended()]
    assert read(result(1)) == [Failed(FAILED)]
    assert read() == []  # after SIGTERM it ends with code 0 and no such line


def test_an_error_is_no_success_whatever_the_last_line_says() -> None:
    said = "No response was returned. Send your message again to retry."
    assert read(error("query", said), result(0)) == [Failed(said, Cause.CRASH)]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (error("authentication", "Authentication failed (HTTP 401).\n  Check your COPILOT_PROVIDER", 401), Cause.AUTH),
        (error("query", "Model 'gpt-4.1' not found on provider (HTTP 404).\n  Check that", 404), Cause.MODEL),
        (error("rate_limit", "429 scripted 429", 429), Cause.RATE),
        (error("rate_limit", "429 You exceeded your current quota", 429), Cause.QUOTA),
        (error("query", "500 scripted 500", 500), Cause.CRASH),
        (error("query", "400 This model's maximum context length is 128000 tokens.", 400), Cause.CONTEXT),
        (error("query", "Request exceeds the model's prompt budget after reserving output."), Cause.CONTEXT),
        (error("query", "The provider rejected the prompt as too long, but automatic recovery"), Cause.CONTEXT),
        (error("a new kind", ""), Cause.CRASH),
    ],
)
def test_an_error_has_one_line_and_a_cause(line: bytes, cause: Cause) -> None:
    [failed] = read(line)
    assert isinstance(failed, Failed)
    assert failed.cause is cause
    assert failed.why
    assert "\n" not in failed.why


@pytest.mark.parametrize(
    "line",
    [
        b"", b"Package extraction took 1.3 s", b"{", b'{"type": 5}', b'{"type": "result", "exitCode": "0"}',
        b'{"type": "assistant.message", "data": {"content": "\xff"}}', b'{"type": "session.error", "data": []}',
        b'{"type": "tool.execution_complete", "data": {"success": "yes"}}', b"[" * 100_000,
        b'{"type": "assistant.message", "data": ' + b"[" * 100_000 + b"}",
        event("tool.shell_output", toolCallId=SHELL, stream="stdout", text='{"type": "result", "exitCode": 0}'),
    ],
)  # fmt: skip
def test_lines_of_no_known_form_say_nothing(line: bytes) -> None:
    assert read(line) == []


def test_a_package_that_does_not_fit_is_named() -> None:
    stderr = "Failed to extract bundled package: Error: TAR_ENTRY_ERROR(ENOSPC): ENOSPC: no space left on device, write"
    [failed] = CopilotReader().end(1, stderr)
    assert isinstance(failed, Failed)
    assert "no room" in failed.why
    reader = CopilotReader()
    assert [*reader.line(result(0)), *reader.end(0, stderr)] == [Ended()]
