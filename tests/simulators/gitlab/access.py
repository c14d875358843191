"""Who asks, and what they may: tokens with scopes, access levels, and GitLab's words of refusal."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.simulators.gitlab.things import Note, Subject
from tests.simulators.gitlab.world import LEVELS, Group, Project, Token, User, World

GIT_SCOPES: Final = {"read": frozenset({"api", "read_repository", "write_repository"})}
GIT_SCOPES["write"] = frozenset({"api", "write_repository"})
PLANNER: Final = LEVELS["planner"]


@dataclass
class Refusal(Exception):
    """An answer other than success; `body` is JSON, or plain text."""

    status: int
    body: Mapping[str, Any] | str
    headers: dict[str, str] = field(default_factory=dict)


def refused(status: int, message: Any) -> Refusal:
    """Refuse in the form that most of GitLab uses."""
    return Refusal(status, {"message": message})


def missing(what: str = "") -> Refusal:
    """Refuse what is not there, or must not be seen."""
    return refused(404, f"404 {what} Not Found" if what else "404 Not found")


FORBIDDEN: Final = "403 Forbidden"


def sees(user: User | None, project: Project) -> bool:
    """Tell whether a project exists for an account."""
    return project.visibility != "private" or (user is not None and project.level(user) > 0)


def sees_subject(user: User, subject: Subject) -> bool:
    """Tell whether an issue may be read; confidential ones are for their author and planners."""
    return not subject.confidential or user is subject.author or subject.project.level(user) >= PLANNER


def sees_note(user: User, note: Note) -> bool:
    """Tell whether a note may be read."""
    return not note.internal or note.subject.project.level(user) >= PLANNER


def may_edit(user: User, subject: Subject) -> bool:
    """Tell whether title, text, state may be changed: by the author and from planner (issues) or developer on."""
    needed = PLANNER if subject.kind == "Issue" else LEVELS["developer"]
    return user is subject.author or subject.project.level(user) >= needed


def sees_group(world: World, user: User, group: Group) -> bool:
    """Tell whether a group exists for an account: as a member, or as one of a project below it."""
    below = (project for project in world.projects.values() if group in project.group.line)
    return group.level(user) > 0 or any(project.level(user) for project in below)


def may_push(user: User, project: Project, branch: str) -> bool:
    """Tell whether an account may push to a branch."""
    return _may(user, project, branch, 0)


def may_merge(user: User, project: Project, branch: str) -> bool:
    """Tell whether an account may merge into a branch."""
    return _may(user, project, branch, 1)


def covers(rule: str, branch: str) -> bool:
    """Tell whether a rule of protected branches is about a branch."""
    return re.fullmatch(re.escape(rule).replace(r"\*", ".*"), branch) is not None


def admits(user: User, project: Project, rule: str, verb: int) -> bool:
    """Tell whether one rule lets an account push (0) or merge (1)."""
    level = project.protected[rule][verb]
    named = user.id in project.admitted.get(rule, (frozenset(), frozenset()))[verb]
    return named or (level > 0 and project.level(user) >= level)


def _may(user: User, project: Project, branch: str, verb: int) -> bool:
    rules = [rule for rule in project.protected if covers(rule, branch)]
    if not rules:
        return project.level(user) >= LEVELS["developer"]
    return any(admits(user, project, rule, verb) for rule in rules)  # the rule that allows most decides


def identify(world: World, headers: Mapping[str, str]) -> Token | None:
    """Read the credentials of an API request; none are nobody, bad ones are refused."""
    value = headers.get("private-token", "")
    if not value:
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() not in {"", "bearer"}:
            value = ""
    return token(world, value) if value else None


def from_basic(world: World, header: str) -> Token | None:
    """Read the credentials of a git request: any user name, a token as the password."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        password = base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Refusal(401, "HTTP Basic: Access denied") from error
    return token(world, password)


def token(world: World, value: str) -> Token:
    """Find a token that is still good."""
    found = world.tokens.get(value)
    if found is None:
        raise refused(401, "401 Unauthorized")
    if found.revoked:
        raise Refusal(401, {"error": "invalid_token", "error_description": "Token was revoked."})
    if found.expires is not None and found.expires <= world.now():
        raise Refusal(401, {"error": "invalid_token", "error_description": "Token is expired."})
    if found.user.state != "active":
        raise refused(403, "403 Forbidden - Your account has been blocked.")
    return found


def needs_scope(found: Token, scopes: frozenset[str]) -> None:
    """Hold a token to its scopes."""
    if not found.scopes & scopes:
        said = "The request requires higher privileges than provided by the access token."
        scope = " ".join(sorted(scopes))
        raise Refusal(403, {"error": "insufficient_scope", "error_description": said, "scope": scope})
