"""What Ollama says when it fails, and what it means."""

from __future__ import annotations

import pytest

from runners.providers.ollama_errors import LISTED, by_status, error, missing, plain
from runners.providers.protocol import Cause


@pytest.mark.parametrize(
    ("status", "said", "cause"),
    [
        (401, "unauthorized", Cause.AUTH),
        (403, "gatewright: this run may use the model a, not b [GW-GATEWAY-MODEL]", Cause.MODEL),
        (403, "gatewright: used up [GW-GATEWAY-BUDGET]", Cause.BUDGET),
        (404, "model 'x' not found", Cause.MODEL),
        (429, "too many requests", Cause.RATE),
        (429, "you have reached your weekly usage limit", Cause.QUOTA),
        (400, "the input length exceeds the context length", Cause.CONTEXT),
        (400, '"x" does not support thinking', Cause.ANSWER),
        (500, "llama runner process has terminated", Cause.CRASH),
        (504, "", Cause.TIMEOUT),
    ],
)
def test_a_status_and_its_words_have_one_cause_with_a_way_out(status: int, said: str, cause: Cause) -> None:
    assert by_status(status, said) is cause
    assert error(cause, "m", said).fix


def test_the_nearest_models_stand_first_and_a_long_list_is_cut() -> None:
    there = [f"other-{number}" for number in range(20)] + ["qwen3:14b"]
    found = missing("qwen3:15b", there)
    assert found.why.startswith("the server has qwen3:14b, ")
    assert found.why.endswith(f"and {len(there) - LISTED} more")
    assert missing("x", []).why == "the server has no models"


def test_names_are_compared_in_full() -> None:
    assert plain("qwen3") == plain("library/QWEN3:latest") == "qwen3:latest"
    assert plain("hf.co/user/model:Q4") == "hf.co/user/model:q4"
    assert plain("localhost:5000/user/model") == "localhost:5000/user/model:latest"
