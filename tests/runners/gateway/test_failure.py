"""What the errors of real servers mean; the bodies are as those servers send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runners.gateway import failure
from runners.gateway.errors import Broken
from runners.gateway.failure import WHY_MAX, Place, judge
from runners.providers.protocol import Cause


def openai(message: str, kind: str = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def claude(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def google(message: str, status: str, *details: dict[str, Any], code: int = 400) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def quota(name: str, delay: str = "") -> tuple[dict[str, Any], ...]:
    failed = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": name}]}
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return (failed, retry) if delay else (failed,)


GOOGLES = "You exceeded your current quota, please check your plan and billing details."
RATES = {
    "openai-minute": ("openai", 429, openai(
        "Rate limit reached for gpt-x in organization org-1 on tokens per min (TPM): Limit 30000, Used 29000, "
        "Requested 2000. Please try again in 2s.", "tokens", "rate_limit_exceeded",
    )),
    "claude": ("anthropic", 429, claude("This request would exceed your account's rate limit.", "rate_limit_error")),
    "claude-overloaded": ("anthropic", 529, claude("Overloaded", "overloaded_error")),
    "gemini-minute": ("gemini", 429, google(
        GOOGLES, "RESOURCE_EXHAUSTED", *quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "34s"), code=429,
    )),
    "gemini-bare": ("gemini", 429, google("Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED")),
    "azure": ("azure", 429, {"error": {"code": "429", "message":
        "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded "
        "token rate limit of your current OpenAI S0 pricing tier. Please retry after 26 seconds. Please go here: "
        "https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit."}}),
    "bedrock": ("bedrock", 429, {"__type": "ThrottlingException", "message": "Too many requests, please wait."}),
    "empty": ("openai", 429, ""),
}  # fmt: skip
QUOTAS = {
    "openai": ("openai", 429, openai(
        "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota",
        "insufficient_quota",
    )),
    "openai-day": ("openai", 429, openai(
        "Rate limit reached for gpt-x on requests per day (RPD): Limit 200, Used 200.", "requests",
        "rate_limit_exceeded",
    )),
    "claude-credit": ("anthropic", 400, claude("Your credit balance is too low to access the Anthropic API.")),
    "claude-limit": ("anthropic", 400, claude("You have reached your specified API usage limits.")),
    "gemini-day": ("gemini", 429, google(
        GOOGLES, "RESOURCE_EXHAUSTED", *quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "34s"), code=429,
    )),
    "bedrock-day": ("bedrock", 429, {"message": "Too many tokens per day, please wait before trying again."}),
    "deepseek": ("openai", 402, openai("Insufficient Balance", "unknown_error")),
    "openrouter": ("openai", 402, {"error": {"message": "This request requires more credits", "code": 402}}),
}  # fmt: skip
CONTEXTS = {
    "openai": ("openai", 400, openai(
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
        code="context_length_exceeded",
    )),
    "responses": ("openai", 400, openai("Your input exceeds the context window of this model.")),
    "openai-minute": ("openai", 429, openai(
        "Request too large for gpt-x on tokens per min (TPM): Limit 30000, Requested 45000.", "tokens",
    )),
    "claude": ("anthropic", 400, claude("prompt is too long: 210000 tokens > 200000 maximum")),
    "claude-max": ("anthropic", 400, claude(
        "input length and `max_tokens` exceed context limit: 199000 + 32000 > 200000, decrease input length",
    )),
    "claude-size": ("anthropic", 413, claude("Request exceeds the maximum size", "request_too_large")),
    "gemini": ("gemini", 400, google(
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", "INVALID_ARGUMENT",
    )),
    "bedrock": ("bedrock", 400, {"__type": "ValidationException", "message":
        "Input is too long for requested model."}),
    "vllm": ("openai", 400, {"object": "error", "type": "BadRequestError", "code": 400, "message":
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."}),
    "llama.cpp": ("openai", 400, {"error": {"code": 400, "type": "exceed_context_size_error", "message":
        "the request exceeds the available context size, try increasing it"}}),
    "llama.cpp-500": ("openai", 500, openai("context size has been exceeded")),
    "lm-studio": ("openai", 400, {"error": "Trying to keep the first 9000 tokens when context the overflows. However, "
        "the model is loaded with context length of only 4096 tokens"}),
    "copilot": ("openai", 400, openai("prompt token count of 140000 exceeds the limit of 128000")),
    "xai": ("openai", 400, {"error": "This model's maximum prompt length is 131072 but the request contains 140000."}),
}  # fmt: skip
AUTHS = {
    "openai": ("openai", 401, openai("Incorrect API key provided: sk-...", code="invalid_api_key")),
    "claude": ("anthropic", 401, claude("invalid x-api-key", "authentication_error")),
    "claude-403": ("anthropic", 403, claude("Your API key does not have permission", "permission_error")),
    "gemini": ("gemini", 400, google(
        "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT",
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
    )),
    "bedrock": ("bedrock", 403, {"__type": "com.amazon.coral.service#UnrecognizedClientException", "message":
        "The security token included in the request is invalid."}),
    "bedrock-access": ("bedrock", 403, {"Message":
        "You don't have access to the model with the specified model ID."}),
    "bedrock-400": ("bedrock", 400, {"__type": "ExpiredTokenException", "message": "The token has expired"}),
    "azure": ("azure", 401, {"error": {"code": "401", "message":
        "Access denied due to invalid subscription key or wrong API endpoint."}}),
    "proxy": ("openai", 403, "<html><head><style>p{}</style></head><body><h1>Forbidden</h1></body></html>"),
}  # fmt: skip
MODELS = {
    "openai": ("openai", 404, openai(
        "The model `gpt-9` does not exist or you do not have access to it.", code="model_not_found",
    )),
    "openai-403": ("openai", 403, openai("Project `p` does not have access to model `gpt-9`", code="model_not_found")),
    "openai-400": ("openai", 400, openai("The 'gpt-9' model is not supported when using Codex with this account.")),
    "claude": ("anthropic", 404, claude("model: claude-9", "not_found_error")),
    "gemini": ("gemini", 404, google("models/x is not found for API version v1beta", "NOT_FOUND", code=404)),
    "ollama": ("ollama", 404, {"error": "model 'qwen9:1b' not found"}),
    "azure": ("azure", 404, {"error": {"code": "DeploymentNotFound", "message":
        "The API deployment for this resource does not exist."}}),
    "bedrock": ("bedrock", 400, {"__type": "ValidationException", "message":
        "The provided model identifier is invalid."}),
    "bedrock-profile": ("bedrock", 400, {"message": "Invocation of model ID anthropic.x with on-demand throughput "
        "isn't supported. Retry your request with the ID or ARN of an inference profile."}),
    "openrouter": ("openai", 400, {"error": {"message": "foo/bar is not a valid model ID", "code": 400}}),
    "lm-studio": ("openai", 404, {"error": {"message": "No models loaded. Please load a model."}}),
    "path": ("openai", 404, "404 page not found"),
}  # fmt: skip
REFUSALS = {
    "azure": ("azure", 400, {"error": {"code": "content_filter", "message":
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
    "openai": ("openai", 400, openai(
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy.", code="invalid_prompt",
    )),
    "claude": ("anthropic", 400, claude("Output blocked by content filtering policy")),
    "openrouter": ("openai", 403, {"error": {"message":
        "Your chosen model requires moderation and your input was flagged", "code": 403}}),
}  # fmt: skip
OTHERS: dict[Cause, dict[str, Any]] = {
    Cause.TIMEOUT: {
        "408": ("openai", 408, ""),
        "504": ("openai", 504, "<html>Gateway Time-out</html>"),
        "bedrock": ("bedrock", 408, {"__type": "ModelTimeoutException", "message": "Model has timed out"}),
    },
    Cause.CRASH: {
        "500": ("openai", 500, openai("The server had an error", "server_error")),
        "503": ("gemini", 503, google("The model is overloaded. Please try again later.", "UNAVAILABLE", code=503)),
        "ollama": ("ollama", 500, {"error": "model requires more system memory (9 GiB) than is available (4 GiB)"}),
        "list": ("gemini", 500, [google("An internal error has occurred", "INTERNAL", code=500)]),
    },
    Cause.ANSWER: {
        "400": ("openai", 400, openai("Missing required parameter: 'messages'.")),
        "max": ("openai", 400, openai("max_tokens is too large: 100000. This model supports at most 16384.")),
        "tools": ("ollama", 400, {"error": "registry.ollama.ai/library/gemma:2b does not support tools"}),
        "tools-vllm": ("openai", 400, {"message": '"auto" tool choice requires --enable-auto-tool-choice to be set'}),
        "tools-openrouter": ("openai", 404, {"error": {"message": "No endpoints found that support tool use."}}),
        "echo": ("openai", 422, {"detail": [{"loc": ["body"], "msg": "Field required", "input":
            {"message": "please raise my billing quota, the context length is exceeded"}}]}),
        "418": ("openai", 418, ""),
    },
}  # fmt: skip
ALL: dict[Cause, dict[str, Any]] = {
    Cause.RATE: RATES, Cause.QUOTA: QUOTAS, Cause.CONTEXT: CONTEXTS, Cause.AUTH: AUTHS, Cause.MODEL: MODELS,
    Cause.REFUSAL: REFUSALS, **OTHERS,
}  # fmt: skip
TABLE = [
    pytest.param(cause, *case, id=f"{cause.name}-{name}")
    for cause, cases in ALL.items()
    for name, case in cases.items()
]


@pytest.mark.parametrize(("cause", "dialect", "status", "body"), TABLE)
def test_an_error_is_judged_by_status_and_words(cause: Cause, dialect: str, status: int, body: Any) -> None:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    found = judge(Place(dialect, dialect, "the-model"), status, raw)
    assert (found.cause, found.code) == (cause, f"GW-MODEL-{cause.name}")
    assert found.what
    assert found.fix
    assert "{" not in found.what + found.fix
    assert "<" not in found.why


def test_aws_says_the_type_in_a_header_where_the_body_does_not() -> None:
    kind = "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/"
    assert judge(Place("bedrock", "bedrock", "m"), 400, b"{}", kind).cause is Cause.ANSWER
    assert judge(Place("bedrock", "bedrock", "m"), 400, b"{}", "AccessDeniedException").cause is Cause.AUTH


def test_words_name_the_api_or_the_endpoint_and_where_it_is_set() -> None:
    known = judge(Place("claude", "anthropic", "opus"), 401, b"{}")
    assert known.what == "Claude's API refused the key"
    assert "providers.claude.api_key" in known.fix
    registered = judge(Place("lab", "openai", "qwen"), 404, b'{"error": {"message": "nope"}}')
    assert registered.what == "the endpoint lab does not serve the model qwen"
    assert "endpoints.lab.base_url" in registered.fix
    assert registered.why == "nope"
    assert "ollama pull qwen" in judge(Place("ollama", "ollama", "qwen"), 404, b"{}").fix


@pytest.mark.parametrize(
    "body", [b"[" * 9000, b'{"a":' * 9000, b"\xff\xfe", b"null", b"7", b'"no"', b'{"error": {"message": 7}}', b"[[]]"]
)
def test_whatever_a_body_holds_there_is_a_cause_and_a_bounded_reason(body: bytes) -> None:
    found = judge(Place("lab", "openai", "m"), 400, body)
    assert found.cause is Cause.ANSWER
    assert len(found.why) <= WHY_MAX
    assert len(judge(Place("lab", "openai", "m"), 500, json.dumps({"error": "x" * 9999}).encode()).why) == WHY_MAX


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (claude("Overloaded", "overloaded_error"), Cause.RATE),
        (openai("Your input exceeds the context window of this model.", code="context_length_exceeded"), Cause.CONTEXT),
        (openai("You exceeded your current quota", code="insufficient_quota"), Cause.QUOTA),
        ({"__type": "throttlingException", "raw": '{"message":"Too many requests"}'}, Cause.RATE),
        (openai("The server had an error"), Cause.CRASH),
    ],
)
def test_an_error_within_a_stream_is_judged_by_what_was_said(said: dict[str, Any], cause: Cause) -> None:
    problem = Broken("the model's API broke off")
    found = failure.broken(Place("lab", "openai", "m"), problem, json.dumps(said).encode())
    assert found.cause is cause


@pytest.mark.parametrize(
    ("stop", "refused"),
    [("refusal", True), ("content_filter", True), ("SAFETY", True), ("blocked: OTHER", True), ("end_turn", False)],
)
def test_an_answer_may_end_in_a_refusal(stop: str, refused: bool) -> None:
    assert failure.is_refusal(stop) is refused
