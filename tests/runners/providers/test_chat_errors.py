"""What servers say when they fail, and what it means."""

from __future__ import annotations

import httpx2
import openai
import pytest

from runners.providers.chat_errors import FIXES, by_status, explain
from runners.providers.protocol import Cause


@pytest.mark.parametrize(
    ("status", "said", "cause"),
    [
        (401, "Incorrect API key", Cause.AUTH),
        (403, "region not allowed", Cause.AUTH),
        (403, "gatewright: this run may use the model a, not b [GW-GATEWAY-MODEL]", Cause.MODEL),
        (404, "The model `x` does not exist", Cause.MODEL),
        (402, "Insufficient credits", Cause.QUOTA),
        (429, "insufficient_quota You exceeded your current quota", Cause.QUOTA),
        (429, "Rate limit reached for requests", Cause.RATE),
        (408, "", Cause.TIMEOUT),
        (504, "upstream", Cause.TIMEOUT),
        (500, "", Cause.CRASH),
        (503, "overloaded", Cause.CRASH),
        (413, "Request Entity Too Large", Cause.CONTEXT),
        (400, "context_length_exceeded", Cause.CONTEXT),
        (400, "This model's maximum context length is 4096 tokens", Cause.CONTEXT),
        (400, "the request exceeds the available context size", Cause.CONTEXT),
        (400, "prompt is too long: 210000 tokens", Cause.CONTEXT),
        (400, "The response was filtered due to the content management policy", Cause.REFUSAL),
        (400, "invalid tool schema", Cause.ANSWER),
        (422, "extra fields not permitted", Cause.ANSWER),
        (409, "", Cause.ANSWER),
    ],
)
def test_a_status_and_its_words_have_one_cause_with_a_way_out(status, said, cause):
    assert by_status(status, said) is cause
    assert FIXES[cause]


def test_a_time_out_and_a_failed_connection_of_the_sdk_are_told_apart():
    request = httpx2.Request("POST", "http://gateway/v1/chat/completions")
    assert explain(openai.APITimeoutError(request), "m").cause is Cause.TIMEOUT
    assert explain(openai.APIConnectionError(request=request), "m").cause is Cause.CRASH


def test_what_the_server_said_is_the_reason_and_the_model_is_named():
    request = httpx2.Request("POST", "http://gateway/v1/chat/completions")
    response = httpx2.Response(404, request=request)
    error = explain(openai.NotFoundError("no such model", response=response, body=None), "qwen9")
    assert (error.what, error.why) == ("the endpoint does not know the model qwen9", "no such model")
