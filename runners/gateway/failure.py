"""What an error of a model's API means, in the words all providers share: judged by status and body, for every dialect.

What servers say was gathered from their sources and documents; where two say different things by the same status, the
names they give (`code`, `type`, `status`, `reason`, `__type`) count before the words of the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from runners.gateway.texts import error
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause

WHY_MAX: Final = 500  # characters
DEPTH_MAX: Final = 8
TEXT_MAX: Final = 8192  # bytes that are read of a body that is no JSON
MARKUP: Final = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
NAMES: Final = frozenset({"code", "type", "status", "reason", "__type", "quotaId", "error_code"})
MESSAGES: Final = ("message", "Message", "error", "detail", "msg", "raw")
STOPS: Final = frozenset(
    {"refusal", "content_filter", "SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION", "SPII"}
)


class Place(msgspec.Struct, frozen=True):
    """Who was asked for what; `provider` as the settings call it."""

    provider: str
    dialect: str
    model: str


class Said(msgspec.Struct, frozen=True):
    """An error body, taken apart."""

    message: str
    names: frozenset[str]  # in lower case
    delays: bool  # Google's APIs say here when to come again


def _any(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words), re.IGNORECASE)


MINUTE: Final = _any(r"per.?min", r"per.?second", r"\b[RT]PM\b")
DAY: Final = _any(r"per.?day", r"\bdaily\b", r"per.?month", r"\bmonthly\b", r"\b[RT]PD\b")
QUOTA: Final = _any(
    r"insufficient[_ ](quota|balance|credits?|funds)", r"credit balance", r"exceeded your current quota",
    r"\bbilling\b", r"usage limit", r"spend(ing)?[_ ]limit", r"out of credits", r"requires more credits",
    r"service ?quota ?exceeded",
)  # fmt: skip
AUTH: Final = _any(
    r"\bapi[ _-]?key (is )?(not valid|invalid|expired)", r"(invalid|incorrect|missing|no)[ _](\w+[ _])?api[ _-]?key",
    r"api_?key_?(invalid|expired)", r"unrecognizedclient", r"invalidsignature", r"incompletesignature", r"expiredtoken",
    r"invalidclienttoken", r"accessdenied", r"missingauthenticationtoken", r"\bunauthenticated\b",
)  # fmt: skip
CONTEXT: Final = _any(
    r"context.{0,20}(length|window|size|limit)", r"(maximum|max).{0,20}(context|tokens allowed|prompt length)",
    r"(prompt|input|inputs|request|conversation).{0,20}too (long|large)", r"longer than the maximum model length",
    r"exceeds? the (maximum|limit).{0,30}tokens", r"token count.{0,40}exceeds", r"tokens to keep.{0,60}context",
    r"when context the overflows", r"too large for model", r"reduce the length of (the|your) (messages|prompt|input)",
)  # fmt: skip
REFUSAL: Final = _any(
    r"content[_ ]?(filter|policy|management policy|moderation)", r"responsibleaipolicy", r"usage polic(y|ies)",
    r"safety (system|settings|policy)", r"(was|were|been|is) flagged", r"guardrail", r"requires moderation",
)  # fmt: skip
TOOLS: Final = _any(r"not support tool", r"support tool use", r"tools? (is|are) not supported", r"tool choice requires")
MODEL: Final = _any(
    r"model_?not_?found", r"deployment_?not_?found", r"model.{0,120}(not found|does not exist|not exist)",
    r"model identifier is invalid", r"not a valid model", r"on-demand throughput",
    r"(invalid|unknown|unsupported) model", r"model.{0,80}is not (supported|available)",
    r"no models? (is |are )?loaded", r"not have access to (the )?model", r"resourcenotfound",
)  # fmt: skip
BY_STATUS: Final = {
    401: Cause.AUTH, 402: Cause.QUOTA, 403: Cause.AUTH, 404: Cause.MODEL, 408: Cause.TIMEOUT, 413: Cause.CONTEXT,
    429: Cause.RATE, 504: Cause.TIMEOUT, 524: Cause.TIMEOUT, 529: Cause.RATE,
}  # fmt: skip
BUSY: Final = _any(r"rate_?limit", r"throttl", r"overloaded", r"too many requests", r"resource_?exhausted")


def judge(place: Place, status: int, body: bytes, kind: str = "") -> ProviderError:
    """Say what an error means; status 0 is one that came within a stream, `kind` is AWS' header for the type."""
    said = read(body, kind)
    cause, key = decide(status, said)
    return _error(place, key or cause.value, cause, said.message or (f"HTTP {status}" if status else ""))


def decide(status: int, said: Said) -> tuple[Cause, str]:
    """Judge a status and what was said; the second is the key of the words, where they are not the cause's."""
    words = " ".join((said.message, *sorted(said.names)))
    if status == 429 or (not status and BUSY.search(words)):
        return _limited(words, delays=said.delays), ""
    if status in (401, 402):
        return BY_STATUS[status], ""
    if status >= 500 and not CONTEXT.search(words):
        return BY_STATUS.get(status, Cause.CRASH), ""
    for pattern, cause, key in _WORDS:
        if pattern.search(words):
            return cause, key
    unknown = Cause.CRASH if status >= 500 or not status else Cause.ANSWER
    return BY_STATUS.get(status, unknown), ""


_WORDS: Final = (
    (QUOTA, Cause.QUOTA, ""),
    (TOOLS, Cause.ANSWER, "tools"),
    (MODEL, Cause.MODEL, ""),
    (AUTH, Cause.AUTH, ""),
    (CONTEXT, Cause.CONTEXT, ""),
    (REFUSAL, Cause.REFUSAL, ""),
)


def _limited(words: str, *, delays: bool) -> Cause:
    """Tell a limit that is over in a minute from one that is not, and from a request that is over it by itself."""
    if re.search(r"request too large|reduce the length", words, re.IGNORECASE):
        return Cause.CONTEXT
    if DAY.search(words):
        return Cause.QUOTA
    if "insufficient_quota" in words:
        return Cause.QUOTA
    if delays or MINUTE.search(words):
        return Cause.RATE
    return Cause.QUOTA if QUOTA.search(words) else Cause.RATE


def read(body: bytes, kind: str = "") -> Said:
    """Take an error body of any dialect apart; one that is no JSON is read as text."""
    try:
        parsed = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        text = MARKUP.sub(" ", body[:TEXT_MAX].decode("utf-8", "replace"))
        return Said(_short(text), frozenset({_bare(kind)} - {""}), delays=False)
    found = list(_walk(parsed, 0))
    names = {_bare(value) for key, value in found if key in NAMES} | {_bare(kind)}
    messages = dict.fromkeys(value for key, value in found if key in MESSAGES and value.strip())
    return Said(_short(": ".join(messages)), frozenset(names - {""}), any(key == "retryDelay" for key, _ in found))


def _walk(part: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Give all texts that stand under a name, the outer ones first."""
    if depth > DEPTH_MAX:
        return
    inner = part if isinstance(part, list) else []
    if isinstance(part, dict):
        yield from ((key, str(value)) for key, value in part.items() if isinstance(value, str | int))
        # what FastAPI found wrong repeats the request under `input`
        inner = [value for key, value in part.items() if key not in ("input", "ctx")]
    elif isinstance(part, str) and depth == 0:
        yield "message", part
    for value in inner[:64]:
        if isinstance(value, dict | list):
            yield from _walk(value, depth + 1)


def _bare(name: str) -> str:
    """Strip what AWS writes before and after a type."""
    return name.rpartition("#")[2].partition(":")[0].strip().lower()[:100]


def _short(text: str) -> str:
    return " ".join(text.split())[:WHY_MAX]


def is_refusal(stop: str) -> bool:
    """Tell whether an answer ended because the model or a filter would not go on."""
    return stop in STOPS or stop.startswith("blocked:")


def unreachable(place: Place, problem: Exception) -> ProviderError:
    """Say that a connection could not be made or did not hold."""
    return _error(place, "unreachable", Cause.CRASH, f"{type(problem).__name__} {problem}".strip())


def silent(place: Place, seconds: float) -> ProviderError:
    """Say that an API was silent for too long."""
    return _error(place, "silent", Cause.TIMEOUT, "", seconds=f"{seconds:g}")


def elsewhere(place: Place, host: str) -> ProviderError:
    """Say that an API answered with a redirect, which is not followed."""
    return _error(place, "elsewhere", Cause.CRASH, f"it answers with a redirect to {host[:253]}")


def broken(place: Place, problem: Exception, said: bytes = b"") -> ProviderError:
    """Say that an answer broke off; where the API said why, that counts."""
    if said:
        found = judge(place, 0, said)
        if found.cause is not Cause.CRASH:
            return found
    return _error(place, "cut", Cause.CRASH, getattr(problem, "what", "") or f"{type(problem).__name__} {problem}")


def crashed(place: Place, times: int, why: str) -> ProviderError:
    """Say that answers broke off again and again."""
    return _error(place, "broken", Cause.CRASH, why, times=times)


def refused(place: Place, stop: str) -> ProviderError:
    """Say that an answer ended in a refusal."""
    return _error(place, "refusal", Cause.REFUSAL, f"the answer ended with `{stop[:100]}`")


def _error(place: Place, key: str, cause: Cause, why: str, **values: object) -> ProviderError:
    why = _short(why)
    return error(key, cause, place.provider, dialect=place.dialect, why=why, values={"model": place.model, **values})
