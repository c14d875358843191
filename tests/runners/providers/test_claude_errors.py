"""What the runtime's ends mean."""

from __future__ import annotations

from typing import Any

import pytest

from bot.model.state import Phase
from runners.providers.claude_errors import explain
from runners.providers.claude_texts import error
from runners.providers.protocol import Access, Cause, Request

sdk = pytest.importorskip("claude_agent_sdk")
REQUEST = Request(phase=Phase.CODING, model="opus", system="s", prompt="p", access=Access.WRITE)


def ended(**given: Any) -> Any:
    """Make a result of the runtime."""
    shape = {"subtype": "success", "duration_ms": 1, "duration_api_ms": 1, "is_error": True, "num_turns": 1}
    return sdk.ResultMessage(**shape | {"session_id": "s"} | given)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"api_error_status": 401}, Cause.AUTH),
        ({"api_error_status": 403}, Cause.AUTH),
        ({"api_error_status": 404}, Cause.MODEL),
        ({"api_error_status": 413}, Cause.CONTEXT),
        ({"api_error_status": 429}, Cause.RATE),
        ({"api_error_status": 529}, Cause.RATE),
        ({"api_error_status": 500}, Cause.CRASH),
        ({"api_error_status": 400, "result": "prompt is too long: 210000 tokens > 200000 maximum"}, Cause.CONTEXT),
        ({"api_error_status": 400, "result": "Your credit balance is too low"}, Cause.QUOTA),
        ({"api_error_status": 403, "result": "this run may use opus [GW-GATEWAY-MODEL]"}, Cause.MODEL),
        ({"api_error_status": 504, "result": "not in time [GW-GATEWAY-SLOW]"}, Cause.TIMEOUT),
        ({"subtype": "error_max_turns", "errors": ["Reached maximum number of turns"]}, Cause.BUDGET),
        ({"subtype": "error_max_structured_output_retries"}, Cause.ANSWER),
        ({"is_error": False, "stop_reason": "refusal"}, Cause.REFUSAL),
        ({"subtype": "error_during_execution"}, Cause.CRASH),
    ],
)
def test_every_end_has_its_cause_and_says_what_to_do(given: dict[str, Any], cause: Cause) -> None:
    problem = explain(ended(**given), REQUEST, retries=3, stderr="the last words")
    assert problem.cause is cause
    assert problem.code == f"GW-MODEL-{cause.name}"
    assert problem.fix
    assert "{" not in str(problem)


def test_where_the_runtime_says_nothing_its_last_words_on_stderr_do() -> None:
    assert explain(ended(subtype="error_during_execution"), REQUEST, retries=0, stderr="boom").why == "boom"


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_words(cause: Cause) -> None:
    assert error(cause, model="m", retries=1, turns=2, clock="c").what
