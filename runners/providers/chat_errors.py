"""What the errors of chat completions endpoints mean, in the words all providers share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause

if TYPE_CHECKING:
    from openai import OpenAIError

# Servers agree on no code for this: OpenAI, vLLM, llama.cpp, LM Studio and OpenRouter each say it in other words.
_CONTEXT: Final = re.compile(
    r"context.{0,20}(length|window|size)|maximum.{0,20}(context|tokens)|(prompt|input|request).{0,20}too (long|large)",
    re.IGNORECASE,
)
_QUOTA: Final = re.compile(r"insufficient_quota|billing|credit|quota", re.IGNORECASE)
# "does not support tools" (Ollama), "no endpoints found that support tool use" (OpenRouter), '"auto" tool choice
# requires --enable-auto-tool-choice' (vLLM), "tools param requires --jinja" (llama.cpp), "`tool calling` is not
# supported with this model" (Groq), "Unsupported parameter: 'tools'" (OpenAI).
_TOOLS: Final = re.compile(
    r"(does|do|is|are)(n't| not) support(ed)?.{0,40}\b(tool|function)s?\b|no endpoints found that support tool"
    r"|requires --enable-auto-tool-choice|tools? param requires|unsupported parameter.{0,10}\btools\b"
    r"|\b(tool|function)s?([ _-]?(calling|calls?|use|choice))?['\"`]?.{0,20} not (be )?(supported|available)",
    re.IGNORECASE,
)
_FILTER: Final = re.compile(r"content_filter|content_policy|content management policy", re.IGNORECASE)

FIXES: Final = {
    Cause.AUTH: "Check the endpoint's api_key in the settings and what the key may do.",
    Cause.QUOTA: "Raise the quota or the credit of the key's account, then `retry`.",
    Cause.RATE: "Wait, then `retry`; or choose another model for this phase.",
    Cause.CONTEXT: "Choose a model with a larger context, or make the task smaller.",
    Cause.MODEL: "Check the model's name and that base_url ends as the vendor writes it (mostly in /v1).",
    Cause.REFUSAL: "Reword the task, or choose another model for this phase.",
    Cause.TIMEOUT: "Check that the endpoint is up and not overloaded, then `retry`.",
    Cause.CRASH: "Check the endpoint (gatewright doctor), then `retry`.",
    Cause.ANSWER: "Choose a model that can call tools for this phase.",
}
_WHAT: Final = {
    Cause.AUTH: "the endpoint refused the key",
    Cause.QUOTA: "the key's quota is used up",
    Cause.RATE: "the endpoint asks for fewer requests",
    Cause.CONTEXT: "the conversation is longer than the model can read",
    Cause.MODEL: "the endpoint does not know the model {model}",
    Cause.REFUSAL: "the endpoint refused what was asked",
    Cause.TIMEOUT: "the endpoint did not answer in time",
    Cause.CRASH: "the endpoint failed",
    Cause.ANSWER: "the endpoint did not accept the request",
}
_STATUS: Final = {
    401: Cause.AUTH, 402: Cause.QUOTA, 403: Cause.AUTH, 404: Cause.MODEL, 408: Cause.TIMEOUT, 429: Cause.RATE,
    504: Cause.TIMEOUT,
}  # fmt: skip


class Cut(Exception):
    """A stream that broke off before its end."""


def cut(broken: Cut) -> ProviderError:
    """Explain a stream that broke off every time."""
    return ProviderError(
        Cause.CRASH, "the model's answer broke off every time", why=str(broken), fix=FIXES[Cause.CRASH]
    )


def refuses_tools(error: Exception) -> bool:
    """Tell whether a server takes no tools for this model, or none as it was started."""
    import openai  # noqa: PLC0415

    return isinstance(error, openai.APIStatusError) and _TOOLS.search(f"{error.code} {error.message}") is not None


def failed_call(error: Exception) -> str | None:
    """Give what the model wrote where the server could make no call of it (Groq), None for other errors."""
    import openai  # noqa: PLC0415

    body = error.body if isinstance(error, openai.APIError) else None
    if not isinstance(body, dict) or body.get("code") != "tool_use_failed":
        return None
    return str(body.get("failed_generation") or "")


def explain(error: OpenAIError, model: str) -> ProviderError:
    """Turn an error of the SDK into a cause with what to do."""
    cause = _cause(error)
    return ProviderError(cause, _WHAT[cause].format(model=model), why=str(error)[:500], fix=FIXES[cause])


def _cause(error: OpenAIError) -> Cause:
    import openai  # noqa: PLC0415  loaded by now: it raised the error

    if isinstance(error, openai.APITimeoutError):
        return Cause.TIMEOUT
    if not isinstance(error, openai.APIStatusError):
        return Cause.CRASH
    return by_status(error.status_code, f"{error.code} {error.type} {error.message}")


def by_status(status: int, said: str) -> Cause:
    """Judge an HTTP status and what the body said."""
    if "GW-GATEWAY-MODEL" in said:
        return Cause.MODEL
    if status in (400, 413, 422):
        return _by_words(said, too_large=status == 413)
    if status == 429 and _QUOTA.search(said):
        return Cause.QUOTA
    return _STATUS.get(status, Cause.CRASH if status >= 500 else Cause.ANSWER)


def _by_words(said: str, *, too_large: bool) -> Cause:
    if too_large or _CONTEXT.search(said):
        return Cause.CONTEXT
    return Cause.REFUSAL if _FILTER.search(said) else Cause.ANSWER
