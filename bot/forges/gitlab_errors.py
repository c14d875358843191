"""What GitLab's refusals mean, and what a person can do about each; pure."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from bot.forges.errors import (
    AUTH,
    FORBIDDEN,
    INVALID,
    LONGEST_WAIT,
    MOVED,
    NOT_FOUND,
    UNAVAILABLE,
    RateLimited,
)
from bot.model.errors import GatewrightError, Unavailable

DEFAULT_WAIT: Final = 60.0  # GitLab's limits are mostly per minute
SHOWN: Final = 300  # characters of GitLab's own message that are passed on
HINT: Final = "an administrator may raise the limits or add the bot to those they do not apply to"


def wait_asked(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """Read how many seconds a refusal asks us to wait, None where it is no rate limit; `RateLimit-Reset` is a time."""
    if status != HTTPStatus.TOO_MANY_REQUESTS:
        return None
    after, reset = _number(headers.get("Retry-After")), _number(headers.get("RateLimit-Reset"))
    if after is None and reset is not None:
        after = max(1.0, reset - now)
    return min(DEFAULT_WAIT if after is None else after, LONGEST_WAIT)


def rate_limited(doing: str, until: float, wait: float) -> RateLimited:
    """Say that GitLab asks us to wait."""
    return RateLimited("GitLab", doing, until, wait, hint=HINT)


def unavailable(doing: str, why: str) -> Unavailable:
    """Say that GitLab did not answer usefully."""
    fix = "check [gitlab] url, [network] proxy and ca_file, and that GitLab runs"
    return Unavailable(UNAVAILABLE, f"GitLab does not answer: {doing}", why=why[:SHOWN], fix=fix)


def moved(doing: str, why: str) -> GatewrightError:
    """Say that an address leads elsewhere; the token is never sent there."""
    fix = "set [gitlab] url to the address that GitLab calls its own (external_url), with https"
    return GatewrightError(MOVED, f"GitLab points elsewhere: {doing}", why=why[:SHOWN], fix=fix)


def translate(status: int, said: str, doing: str) -> GatewrightError:
    """Turn a refusal that is no rate limit into the error that says what to do."""
    why = f"GitLab answered {status}: {said[:SHOWN]}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return unavailable(doing, why)
    if status == HTTPStatus.UNAUTHORIZED:
        fix = "check [gitlab] token: it may be expired, revoked or of another GitLab"
        return GatewrightError(AUTH, f"GitLab refuses our token: {doing}", why=why, fix=fix)
    if status == HTTPStatus.FORBIDDEN:
        fix = "the token needs the scope api and the role Developer; a locked discussion takes no notes"
        if "insufficient_scope" in said:
            fix = "give the token the scope api"
        return GatewrightError(FORBIDDEN, f"GitLab forbids this: {doing}", why=why, fix=fix)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        fix = "check that it exists and that the bot's account is a member of the project"
        return GatewrightError(NOT_FOUND, f"GitLab shows nothing here: {doing}", why=why, fix=fix)
    if status < HTTPStatus.BAD_REQUEST:
        return moved(doing, why)
    return GatewrightError(INVALID, f"GitLab does not accept this: {doing}", why=why, fix="read GitLab's reason above")


def _number(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() else None
