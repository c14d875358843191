"""What the ends of a Claude run mean, in the words all providers share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from runners.providers.claude_texts import error
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause, Request

if TYPE_CHECKING:
    from claude_agent_sdk import ResultMessage

QUOTA: Final = re.compile(r"credit balance|quota|billing|usage limit", re.IGNORECASE)
CONTEXT: Final = re.compile(
    r"prompt is too long|context (window|length)|exceeds? the maximum.{0,30}tokens", re.IGNORECASE
)
GATEWAY: Final = {"GW-GATEWAY-MODEL": Cause.MODEL, "GW-GATEWAY-SLOW": Cause.TIMEOUT}
WHY_MAX: Final = 600  # characters


def explain(result: ResultMessage, request: Request, *, retries: int, stderr: str) -> ProviderError:
    """Say why a run that ended in an error did."""
    said = " ".join([result.result or "", *(result.errors or ())])
    cause = _cause(result, said)
    return error(
        cause, why=(said.strip() or stderr)[:WHY_MAX], model=request.model, retries=retries,
        turns=request.limits.turns, clock="no answer",
    )  # fmt: skip


def _cause(result: ResultMessage, said: str) -> Cause:
    for code, cause in GATEWAY.items():
        if code in said:
            return cause
    if result.subtype == "error_max_turns":
        return Cause.BUDGET
    if "structured_output" in result.subtype:
        return Cause.ANSWER
    if result.stop_reason == "refusal":
        return Cause.REFUSAL
    if CONTEXT.search(said):
        return Cause.CONTEXT
    return _by_status(result.api_error_status, said)


def _by_status(status: int | None, said: str) -> Cause:
    if QUOTA.search(said) or status == 402:
        return Cause.QUOTA
    causes = {
        401: Cause.AUTH, 403: Cause.AUTH, 404: Cause.MODEL, 413: Cause.CONTEXT, 429: Cause.RATE, 529: Cause.RATE,
        504: Cause.TIMEOUT,
    }  # fmt: skip
    return causes.get(status or 0, Cause.CRASH)
