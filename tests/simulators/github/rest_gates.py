"""REST: accounts by number, teams, what guards a branch, merging, dispatches."""

from __future__ import annotations

from tests.simulators.github.access import Refusal
from tests.simulators.github.rest import Answer, Call, Made, Page, route, want
from tests.simulators.github.rights import Dispatch, Guard, Ruleset, Team
from tests.simulators.github.shapes_accounts import Json
from tests.simulators.github.world import Pull

REPO = "/repos/{owner}/{name}"


@route("GET", "/user/{account}", "any")
def account(call: Call) -> Answer:
    """Read an account by its number, whatever it is called today."""
    wanted = call.number("account")
    for found in call.parts.world.users.values():
        if found.id == wanted:
            return call.parts.shapes.account(found)
    raise Refusal(404, "Not Found")


@route("GET", "/orgs/{org}/teams/{slug}/memberships/{login}", "any")
def membership(call: Call) -> Answer:
    """Read a membership; a team that the caller may not see is not there."""
    team = call.parts.world.team(call.params["org"], call.params["slug"])
    member = call.parts.world.find_user(call.params["login"])
    if team is None or member is None or not _sees(call, team) or member.id not in team.members:
        raise Refusal(404, "Not Found")
    url = f"{call.parts.shapes.api}/teams/{team.id}/memberships/{member.login}"
    return {"url": url, "role": "member", "state": team.members[member.id]}


def _sees(call: Call, team: Team) -> bool:
    token = call.caller.token
    if token is None:
        return False
    if token.installation is None:
        return token.user.id in team.members or token.user is team.org
    if token.permissions is not None and "members" not in token.permissions:
        raise Refusal(403, "Resource not accessible by integration", headers={"x-accepted-github-permissions": NEEDED})
    return token.installation.account is team.org


NEEDED = "members=read"


@route("GET", REPO + "/branches/{branch}/protection", "administration:read")
def branch_protection(call: Call) -> Answer:
    """Read the classic protection of a branch."""
    guard = call.repo.guards.get(call.params["branch"])
    if guard is None:
        raise Refusal(404, "Branch not protected")
    url = f"{call.parts.shapes.api}/repos/{call.repo.full_name}/branches/{call.params['branch']}/protection"
    shape: Json = {"url": url, "enforce_admins": {"url": f"{url}/enforce_admins", "enabled": guard.admins_too}}
    if guard.checks:
        checks = [{"context": context, "app_id": app} for context, app in guard.checks.items()]
        shape["required_status_checks"] = {"contexts": list(guard.checks), "checks": checks, "strict": False}
    if guard.only is not None:
        shape["restrictions"] = _restrictions(call, guard, url)
    return shape


def _restrictions(call: Call, guard: Guard, url: str) -> Json:
    shapes, bot = call.parts.shapes, call.parts.world.app_bot
    return {
        **{f"{kind}url": f"{url}/restrictions" for kind in ("", "users_", "teams_", "apps_")},
        "users": [shapes.user(user) for user in guard.only or () if user is not bot],
        "teams": [],
        "apps": [shapes.app() | {"description": ""} for user in guard.only or () if user is bot],
    }


@route("GET", REPO + "/rules/branches/{branch}", "metadata:read")
def branch_rules(call: Call) -> Answer:
    """List the rules that are active for a branch."""
    held = [found for found in call.repo.rulesets if found.branch == call.params["branch"]]
    return Page([_rule(call, found) for found in held if found.enforcement == "active"])


def _rule(call: Call, found: Ruleset) -> Json:
    checks = [{"context": context} | ({"integration_id": app} if app else {}) for context, app in found.checks.items()]
    return {
        "type": "required_status_checks",
        "parameters": {"required_status_checks": checks, "strict_required_status_checks_policy": False},
        "ruleset_source_type": "Repository",
        "ruleset_source": call.repo.full_name,
        "ruleset_id": found.id,
    }


@route("GET", REPO + "/rulesets/{ruleset}", "metadata:read")
def ruleset(call: Call) -> Answer:
    """Read a ruleset; only who may change it sees who may bypass it."""
    for found in call.repo.rulesets:
        if found.id == call.number("ruleset"):
            shape: Json = {"id": found.id, "name": "gate", "source": call.repo.full_name, "source_type": "Repository"}
            shape |= {"enforcement": found.enforcement, "target": "branch", "current_user_can_bypass": "never"}
            may_change = call.caller.may(call.repo, "administration:write")
            return shape | ({"bypass_actors": found.bypass} if may_change else {})
    raise Refusal(404, "Not Found")


@route("PUT", REPO + "/pulls/{number}/merge", "contents:write")
def merge(call: Call) -> Answer:
    """Merge a pull request whose head is the commit that was named."""
    issue, pull = call.pull()
    if pull.merged or issue.state != "open":
        raise Refusal(405, "Pull Request is not mergeable")
    if pull.draft:
        raise Refusal(405, "Pull Request is still a draft")
    if call.body.get("sha", pull.sha) != pull.sha:
        raise Refusal(409, "Head branch was modified. Review and try the merge again.")
    if lacking := _lacking(call, pull):
        raise Refusal(405, f'Required status check "{lacking}" is expected.')
    call.parts.actions.merge(call.repo, issue, call.caller.user)
    return {"sha": pull.merge_sha, "merged": True, "message": "Pull Request successfully merged"}


def _lacking(call: Call, pull: Pull) -> str:
    """Name a required status that the head has not, from the App that must post it."""
    guard = call.repo.guards.get(pull.base)
    for context, app in (guard.checks if guard else {}).items():
        posted = [status for status in call.repo.statuses if (status.sha, status.context) == (pull.sha, context)]
        right = [status for status in posted if app is None or status.creator is call.parts.world.app_bot]
        if not right or right[-1].state != "success":
            return context
    return ""


@route("POST", REPO + "/dispatches", "contents:write")
def dispatch(call: Call) -> Answer:
    """Start the workflows that listen to a type of dispatch."""
    (event_type,) = want(call.body, "event_type")
    call.repo.dispatches.append(Dispatch(event_type, call.body.get("client_payload", {}), call.caller.user))
    return Made(204)
