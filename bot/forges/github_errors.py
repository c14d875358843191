"""What GitHub's refusals mean, and what a person can do about each."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from gidgethub import HTTPException

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

SECONDARY_WAIT: Final = 60.0  # GitHub's advice where a refusal names no time
SKEW: Final = 30.0  # seconds by which a clock may differ before it is worth a word
SHOWN: Final = 300  # characters of GitHub's own message that are passed on


def rate_limited(doing: str, until: float, wait: float) -> RateLimited:
    """Say that GitHub asks us to wait."""
    return RateLimited("GitHub", doing, until, wait, hint="a GitHub App has higher limits than a token")


def wait_asked(error: HTTPException, now: float) -> float | None:
    """Read how long a refusal asks us to wait, in seconds; None where it is no rate limit.

    Order as in GitHub's best practices: retry-after, then the reset of an exhausted quota, then a minute.
    """
    if error.status_code not in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
        return None
    asked = _number(error.headers.get("retry-after"))
    if asked is not None:
        return min(asked, LONGEST_WAIT)
    if error.headers.get("x-ratelimit-remaining") == "0":
        reset = _number(error.headers.get("x-ratelimit-reset"))
        return SECONDARY_WAIT if reset is None else min(max(1.0, reset - now), LONGEST_WAIT)
    if error.status_code == HTTPStatus.TOO_MANY_REQUESTS or "secondary rate limit" in str(error).lower():
        return SECONDARY_WAIT
    return None


def _number(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() else None


def unavailable(doing: str, why: str) -> Unavailable:
    """Say that GitHub did not answer usefully."""
    return Unavailable(UNAVAILABLE, f"GitHub does not answer: {doing}", why=why[:SHOWN], fix="see githubstatus.com")


def translate(error: HTTPException, doing: str, now: float) -> GatewrightError:
    """Turn a refusal that is no rate limit into the error that says what to do."""
    status, said = int(error.status_code), str(error)[:SHOWN]
    why = f"GitHub answered {status}: {said}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return unavailable(doing, why)
    if status == HTTPStatus.UNAUTHORIZED:
        return GatewrightError(AUTH, f"GitHub refuses our credentials: {doing}", why=why, fix=_auth_fix(error, now))
    if status == HTTPStatus.FORBIDDEN:
        return GatewrightError(FORBIDDEN, f"GitHub forbids this: {doing}", why=why, fix=_permission_fix(error))
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return GatewrightError(
            NOT_FOUND,
            f"GitHub shows nothing here: {doing}",
            why=why,
            fix="check that it exists and that the App is installed on the repository (or the token may see it)",
        )
    if status < HTTPStatus.BAD_REQUEST:
        return moved(doing, why)
    return GatewrightError(INVALID, f"GitHub does not accept this: {doing}", why=why, fix="read GitHub's reason above")


def moved(doing: str, why: str) -> GatewrightError:
    """Say that an address now belongs to something else."""
    return GatewrightError(
        MOVED,
        f"this is no longer where it was: {doing}",
        why=why,
        fix="put the label on the issue in the repository where it lives now",
    )


def _auth_fix(error: HTTPException, now: float) -> str:
    fix = "check [github] app_id and private_key, or token; they may be expired, revoked or of another GitHub"
    try:
        drift = now - parsedate_to_datetime(error.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return fix
    return fix if abs(drift) < SKEW else f"set this machine's clock: it is {drift:+.0f} s off GitHub's"


def _permission_fix(error: HTTPException) -> str:
    if needed := error.headers.get("x-accepted-github-permissions"):
        return f"give the App or the token one of these permissions: {needed[:SHOWN]}"
    if "x-github-sso" in error.headers:
        return "authorise the token for the organisation's single sign-on"
    return "give the App or the token the permission this needs; a locked issue takes no comments"
