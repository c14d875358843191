"""Who belongs to a team, and the two acts that a gate permits: merging, and starting CI that was held back."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import msgspec
from gidgethub import HTTPException

from bot.forges.errors import MERGE, NOT_FOUND
from bot.forges.github_calls import Calls
from bot.forges.github_shapes import PullShape, User, read
from bot.forges.github_transport import Request
from bot.forges.protocol import Membership
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Actor, Repo

TEAM: Final = re.compile(r"(?P<org>[A-Za-z0-9][A-Za-z0-9-]{0,38})/(?P<slug>[A-Za-z0-9_.-]{1,100})")
TEAM_ID: Final = re.compile(r"[1-9][0-9]{0,15}")
DECIDING: Final = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
REVIEW_PAGES: Final = 30
RELEASE: Final = "gatewright-ci"  # what a workflow listens to: on: repository_dispatch: types


class TeamMember(msgspec.Struct, frozen=True):
    """A membership; an invitation that was not accepted is `pending`."""

    state: str = ""


class Review(msgspec.Struct, frozen=True):
    """A submitted review; `user` is None for a deleted account."""

    state: str
    user: User | None = None


class Merged(msgspec.Struct, frozen=True):
    """GitHub's word on a merge."""

    merged: bool = False
    message: str = ""


async def membership(calls: Calls, repo: Repo, group: str, actor: Actor) -> Membership | None:
    """Look up a team by its number, within the organisation that owns the repository, or as `org/team`.

    Who is asked about is the account's number: its login of this moment is read first.
    """
    if (url := await _team(calls, repo, group)) is None:
        return None
    who = await account(calls, repo, Actor(actor.id, "", AccountKind.UNKNOWN))
    if who.kind is not AccountKind.HUMAN:
        return None
    try:
        found = await calls.send(repo, Request("GET", url[0] + "/memberships/{login}", url[1] | {"login": who.login}))
    except GatewrightError as error:
        if error.code != NOT_FOUND:
            raise
        return None
    return Membership() if read(TeamMember, found, "a membership").state == "active" else None


async def account(calls: Calls, repo: Repo, actor: Actor) -> Actor:
    """Ask by its number who an account is, where that is not known; one that is gone stays unknown."""
    if not actor.id or (actor.kind is not AccountKind.UNKNOWN and actor.login):
        return actor
    try:
        found = read(
            User, await calls.send(repo, Request("GET", "/user/{account}", {"account": actor.id})), "an account"
        )
    except GatewrightError as error:
        if error.code != NOT_FOUND:
            raise
        return actor
    return found.actor() if found.id == actor.id else actor


async def _team(calls: Calls, repo: Repo, group: str) -> tuple[str, dict[str, str]] | None:
    if TEAM_ID.fullmatch(group):
        owner = (await calls.home(repo)).owner
        return "/organizations/{org}/team/{team}", {"org": str(owner), "team": group}
    named = TEAM.fullmatch(group)
    return ("/orgs/{org}/teams/{slug}", named.groupdict()) if named else None


async def approves(calls: Calls, repo: Repo, number: int, actor: Actor) -> bool:
    """Find the last review of an account that says yes or no; a comment alone says neither."""
    path = "/pulls/{number}/reviews{?per_page,page}"
    said, is_whole = await calls.pages(repo, path, Review, "reviews", most=REVIEW_PAGES, number=number)
    if not is_whole:
        return False  # the newest come last, and nobody can tell what they say
    deciding = [one.state for one in said if one.user and one.user.id == actor.id and one.state in DECIDING]
    return bool(deciding) and deciding[-1] == "APPROVED"


async def merge(calls: Calls, repo: Repo, number: int, head: str) -> None:
    """Merge with a merge commit if the head is that commit still; that it was merged there already is no error."""
    try:
        data = await calls.ask(repo, "PUT", "/pulls/{number}/merge", {"sha": head}, number=number)
    except GatewrightError as error:
        if not _is_refused(error):
            raise
        if await _is_merged_at(calls, repo, number, head):
            return  # the answer to an earlier try was lost
        raise _not_merged(number, head, error.why) from error
    done = read(Merged, data, "a merge")
    if not done.merged:
        raise _not_merged(number, head, f"GitHub answered: {done.message[:300]}")


def _is_refused(error: GatewrightError) -> bool:
    cause = error.__cause__
    refusals = (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.CONFLICT)
    return isinstance(cause, HTTPException) and cause.status_code in refusals


async def _is_merged_at(calls: Calls, repo: Repo, number: int, head: str) -> bool:
    pull = read(PullShape, await calls.ask(repo, "GET", "/pulls/{number}", number=number), "a pull request")
    return pull.is_merged and pull.head.sha == head


def _not_merged(number: int, head: str, why: str) -> GatewrightError:
    return GatewrightError(
        MERGE,
        f"GitHub does not merge pull request {number} at {head[:12]}",
        why=why,
        fix="mend what GitHub names (another head, a conflict, a draft, a rule, merge commits not allowed)",
    )


async def release_ci(calls: Calls, repo: Repo, number: int, branch: str, commit: str) -> None:
    """Send the repository dispatch that a workflow listens to; never repeated after a fault, as it may have started."""
    payload = {"branch": branch, "commit": commit, "number": number}
    await calls.ask(repo, "POST", "/dispatches", {"event_type": RELEASE, "client_payload": payload})
