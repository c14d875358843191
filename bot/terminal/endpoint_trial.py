"""One real call to an endpoint: does it answer, does it know the model, does the model call tools."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import httpx
import msgspec

from bot.model.errors import GatewrightError, UsageError
from bot.settings import ProviderTable
from bot.terminal.screen import safe

TIMEOUT: Final = httpx.Timeout(60.0, connect=15.0)  # a model may have to be loaded first
WHOLE_S: Final = 120.0  # of one answer, however slowly it trickles
ANSWER_MAX: Final = 4 << 20  # bytes
SHOWN_MODELS: Final = 20
SHOWN_ERROR: Final = 300  # characters
TOOL: Final = "report_word"
WORDS: Final = {
    "called": "yes: it called the tool that was offered",
    "ignored": "no call: it answered in text, though a tool was offered",
    "refused": "no: the endpoint refuses calls that offer tools",
}
QUESTION: Final = {
    "messages": [{"role": "user", "content": f"Call the tool {TOOL} with the word ready. Write nothing else."}],
    "stream": False,
}
OFFER: Final = {
    "type": "function",
    "function": {
        "name": TOOL,
        "description": "Report one word.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    },
}


class Trial(msgspec.Struct, frozen=True):
    """What an endpoint answered; `tools` is one of WORDS."""

    models: tuple[str, ...]
    models_ms: int
    model: str
    answer_ms: int
    tools: str

    def lines(self, name: str, base_url: str) -> str:
        """Print it for a person."""
        shown = ", ".join(self.models[:SHOWN_MODELS])
        more = f", and {len(self.models) - SHOWN_MODELS} more" if len(self.models) > SHOWN_MODELS else ""
        listed = f"{len(self.models)} in {self.models_ms} ms: {shown}{more}" if self.models else "it lists none"
        rows = (
            ("endpoint", f"{name}, {base_url}"), ("models", listed),
            ("answer", f"{self.model}, in {self.answer_ms} ms"), ("tools", WORDS[self.tools]),
        )  # fmt: skip
        return "".join(safe(f"{what:<9} {words}".replace("\n", " ")) + "\n" for what, words in rows)

    def document(self, name: str, base_url: str) -> str:
        """Print it for a program."""
        about = {"schema": "gatewright/endpoint-test/v1", "name": name, "base_url": base_url}
        return json.dumps({**about, **msgspec.to_builtins(self)}, indent=2) + "\n"


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: Any
    raw: str
    ms: int


def try_out(name: str, table: ProviderTable, model: str = "") -> Trial:
    """Ask for models and for one tool call; raises GatewrightError that says what is wrong."""
    key = table.auth_token or table.api_key
    headers = {"authorization": f"Bearer {key}", "accept-encoding": "identity"} if key else {}
    with httpx.Client(timeout=TIMEOUT, follow_redirects=False, headers=headers) as client:
        base = table.base_url.rstrip("/")
        listed = _call(client, name, "GET", f"{base}/models")
        if listed.status not in (200, 404, 405, 501):  # some have no such list
            raise _failed(name, listed, key)
        models = _models(listed.body)
        if not (model := model or next(iter(models), "")):
            raise UsageError("GW-ENDPOINT-MODEL", f"{name} does not say which models it has", fix="name one: --model")
        body = {**QUESTION, "model": model}
        answer = _call(client, name, "POST", f"{base}/chat/completions", {**body, "tools": [OFFER]})
        tools = _tools(answer.body)
        if answer.status in (400, 422, 500, 501):  # is it the tool that it will not have?
            plain = _call(client, name, "POST", f"{base}/chat/completions", body)
            answer, tools = (plain, "refused") if plain.status == 200 else (answer, "")
        if answer.status != 200 or not tools:
            raise _failed(name, answer, key)
    return Trial(models, listed.ms, model, answer.ms, tools)


def _call(client: httpx.Client, name: str, method: str, url: str, body: Any = None) -> _Answer:
    began, raw = time.monotonic(), bytearray()
    try:
        with client.stream(method, url, json=body) as response:
            for chunk in response.iter_bytes():
                raw += chunk
                if len(raw) > ANSWER_MAX or time.monotonic() - began > WHOLE_S:
                    why = f"it is larger than {ANSWER_MAX >> 20} MiB, or took longer than {WHOLE_S:.0f} s"
                    raise GatewrightError("GW-ENDPOINT-ANSWER", f"the answer of {name} has no end", why=why)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        why = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error)
        raise GatewrightError(
            "GW-ENDPOINT-AWAY", f"{name} cannot be asked", why=safe(why)[:SHOWN_ERROR] or type(error).__name__,
            fix="see that it runs, and that [network] leads to it",
        ) from None  # fmt: skip
    ms = round((time.monotonic() - began) * 1000)
    text = raw.decode("utf-8", "replace")
    try:
        return _Answer(response.status_code, json.loads(text), text, ms)
    except (ValueError, RecursionError):
        return _Answer(response.status_code, None, text, ms)


def _models(body: Any) -> tuple[str, ...]:
    data = body.get("data") if isinstance(body, dict) else None
    found = (each.get("id") for each in data if isinstance(each, dict)) if isinstance(data, list) else ()
    return tuple(each for each in found if isinstance(each, str) and each)


def _tools(body: Any) -> str:
    """Judge the answer to the question: whether the tool was called; empty where it is no answer."""
    try:
        said = body["choices"][0]["message"]
        calls = said.get("tool_calls") or ()
        names = [call["function"]["name"] for call in calls]
    except (TypeError, KeyError, IndexError, AttributeError):
        return ""
    return "called" if TOOL in names else "ignored"


def _failed(name: str, answer: _Answer, key: str) -> GatewrightError:
    said = safe(" ".join(answer.raw.replace(key, "***").split() if key else answer.raw.split()))[:SHOWN_ERROR]
    why = f"{answer.status}: {said}" if said else f"status {answer.status}, and nothing else"
    if answer.status in (401, 403):
        fix = f"give another key: gatewright endpoints add {name} URL"
        return GatewrightError("GW-ENDPOINT-AUTH", f"{name} refuses the key", why=why, fix=fix)
    fix = "see the model's name, and the end of the base URL, which is often /v1"
    return GatewrightError("GW-ENDPOINT-ANSWER", f"{name} gives no usable answer", why=why, fix=fix)
