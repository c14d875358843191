"""Whether GitHub itself holds a branch to our status: proven, or not believed.

Anybody who may write can post a status under any name. So a required status counts only where it is bound to our App as
its source and nobody may go around it; with a token, only where nobody but our account may push to the branch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from bot.forges.errors import FORBIDDEN, FULL, NOT_FOUND
from bot.forges.github_calls import Calls
from bot.forges.github_shapes import Created, read
from bot.forges.protocol import Protection
from bot.model.errors import GatewrightError
from bot.model.event import Repo

RULE_PAGES: Final = 10
MEND: Final = "docs/github.md, 'Holding a branch to the gate', shows what to set"


class Check(msgspec.Struct, frozen=True):
    """A required status and the App that must post it: `app_id` in branch protection, `integration_id` in rulesets."""

    context: str
    app_id: int | None = None
    integration_id: int | None = None


class Parameters(msgspec.Struct, frozen=True):
    """What a rule requires; only rules about statuses say this."""

    required_status_checks: tuple[Check, ...] = ()


class Rule(msgspec.Struct, frozen=True):
    """A rule that is active for a branch, and the ruleset it comes from."""

    type: str
    ruleset_id: int = 0
    parameters: Parameters = Parameters()


class Ruleset(msgspec.Struct, frozen=True):
    """Who may go around its rules; GitHub shows that only to those who may change the ruleset."""

    enforcement: str = ""
    bypass_actors: tuple[object, ...] | None = None


class Switch(msgspec.Struct, frozen=True):
    """A setting that is on or off."""

    enabled: bool = False


class Required(msgspec.Struct, frozen=True):
    """The statuses that branch protection requires; old servers know no `checks`, which name the App."""

    contexts: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()


class Restrictions(msgspec.Struct, frozen=True):
    """Who alone may push to a branch, which merging is."""

    users: tuple[Created, ...] = ()
    teams: tuple[object, ...] = ()
    apps: tuple[Created, ...] = ()


class BranchProtection(msgspec.Struct, frozen=True):
    """Classic protection of one branch."""

    required_status_checks: Required | None = None
    enforce_admins: Switch = Switch()
    restrictions: Restrictions | None = None


Look = Callable[[Calls, Repo, str, str], Awaitable[str]]


async def protection(calls: Calls, repo: Repo, branch: str, context: str) -> Protection:
    """Look at branch protection, then at rulesets; what GitHub does not show us is not enforced."""
    missing = []
    for look in (_by_protection, _by_rules):
        why = await _seen(look, calls, repo, branch, context)
        if not why:
            return Protection(is_enforced=True)
        missing.append(why)
    return Protection(is_enforced=False, why=f"{'; '.join(missing)}. {MEND}")


async def _seen(look: Look, calls: Calls, repo: Repo, branch: str, context: str) -> str:
    try:
        return await look(calls, repo, branch, context)
    except GatewrightError as error:
        if error.code not in {FORBIDDEN, NOT_FOUND, FULL}:
            raise
        return f"{error.what}: {error.why}"


async def _by_protection(calls: Calls, repo: Repo, branch: str, context: str) -> str:
    """Say what branch protection lacks, nothing where it holds everybody."""
    data = await calls.ask(repo, "GET", "/branches/{branch}/protection", branch=branch)
    found = read(BranchProtection, data, "a branch protection")
    if not found.enforce_admins.enabled:
        return f"the protection of {branch} lets administrators go around it"
    if await _is_ours_alone(calls, found.restrictions):
        return ""
    required = found.required_status_checks or Required()
    named = [Check(name) for name in required.contexts]
    return _lacks(calls, context, (*required.checks, *named), f"the protection of {branch}")


async def _is_ours_alone(calls: Calls, held: Restrictions | None) -> bool:
    """Tell whether only we may push; administrators are held by another setting."""
    if held is None or held.teams:
        return False
    if calls.app_id:
        return not held.users and [app.id for app in held.apps] == [calls.app_id]
    return not held.apps and [user.id for user in held.users] == [(await calls.credentials.me()).id]


async def _by_rules(calls: Calls, repo: Repo, branch: str, context: str) -> str:
    """Say what the rulesets lack, nothing where one holds everybody."""
    path = "/rules/branches/{branch}{?per_page,page}"
    rules, _ = await calls.pages(repo, path, Rule, "the rules of a branch", most=RULE_PAGES, branch=branch)
    why = f"no ruleset requires the status {context} on {branch}"
    for rule in (rule for rule in rules if rule.type == "required_status_checks"):
        lacks = _lacks(calls, context, rule.parameters.required_status_checks, f"ruleset {rule.ruleset_id}")
        lacks = lacks or await _goes_around(calls, repo, rule.ruleset_id)
        if not lacks:
            return ""
        why = lacks
    return why


def _lacks(calls: Calls, context: str, checks: tuple[Check, ...], where: str) -> str:
    bound = [check.app_id or check.integration_id or 0 for check in checks if check.context == context]
    if not bound:
        return f"{where} does not require the status {context}"
    if not calls.app_id or calls.app_id not in bound:
        return f"{where} takes the status {context} from others than our App: anybody who may write can post it"
    return ""


async def _goes_around(calls: Calls, repo: Repo, ruleset: int) -> str:
    data = await calls.ask(
        repo, "GET", "/rulesets/{ruleset}{?includes_parents}", ruleset=ruleset, includes_parents="true"
    )
    found = read(Ruleset, data, "a ruleset")
    if found.enforcement != "active":
        return f"ruleset {ruleset} is not active"
    if found.bypass_actors is None:
        return f"GitHub does not show us who may bypass ruleset {ruleset}; branch protection would show it"
    return f"ruleset {ruleset} has a list of those who may bypass it" if found.bypass_actors else ""
