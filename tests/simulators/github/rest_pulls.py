"""REST: pull requests, reviews, commit statuses, check runs."""

from __future__ import annotations

from tests.simulators.github.access import Refusal
from tests.simulators.github.actions import invalid
from tests.simulators.github.rest import Answer, Call, Made, Page, route, want
from tests.simulators.github.shapes_accounts import Json
from tests.simulators.github.world import CheckRun, Status

REPO = "/repos/{owner}/{name}"
STATES = ("error", "failure", "pending", "success")
LONGEST_STATUS = 140


@route("GET", REPO + "/pulls", "pull_requests:read")
def pulls(call: Call) -> Answer:
    """List pull requests."""
    state, head, base = call.query.get("state", "open"), call.query.get("head"), call.query.get("base")
    seen = [
        (issue, issue.pull)
        for issue in call.repo.issues.values()
        if issue.pull
        and state in {"all", issue.state}
        and head in {None, f"{call.repo.owner.login}:{issue.pull.head}"}
        and base in {None, issue.pull.base}
    ]
    newest_first = call.query.get("direction", "desc" if call.query.get("sort", "created") == "created" else "asc")
    seen.sort(key=lambda pair: pair[0].number, reverse=newest_first == "desc")
    return Page([call.parts.shapes.pull(call.repo, issue, pull) for issue, pull in seen])


@route("POST", REPO + "/pulls", "pull_requests:write")
def create_pull(call: Call) -> Answer:
    """Open a pull request."""
    title, head, base = want(call.body, "title", "head", "base")
    draft = bool(call.body.get("draft", False))
    issue = call.parts.actions.open_pull(call.repo, call.caller.user, title, call.body.get("body"), head, base, draft)
    return Made(201, _full(call, issue.number))


@route("GET", REPO + "/pulls/{number}", "pull_requests:read")
def pull(call: Call) -> Answer:
    """Read a pull request."""
    return _full(call, call.number("number"))


@route("PATCH", REPO + "/pulls/{number}", "pull_requests:write")
def update_pull(call: Call) -> Answer:
    """Change a pull request."""
    issue, _ = call.pull()
    by = call.caller.user
    call.parts.actions.edit(call.repo, issue, by, call.body.get("title"), call.body.get("body"))
    if state := call.body.get("state"):
        call.parts.actions.set_state(call.repo, issue, by, state)
    return _full(call, issue.number)


def _full(call: Call, number: int) -> Json:
    issue = call.repo.issues.get(number)
    if issue is None or issue.pull is None:
        raise Refusal(404, "Not Found")
    return call.parts.shapes.full_pull(call.repo, issue, issue.pull)


@route("GET", REPO + "/pulls/{number}/reviews", "pull_requests:read")
def reviews(call: Call) -> Answer:
    """List reviews."""
    issue, found = call.pull()
    return Page([call.parts.shapes.review(call.repo, issue, review) for review in found.reviews])


@route("POST", REPO + "/pulls/{number}/reviews", "pull_requests:write")
def create_review(call: Call) -> Answer:
    """Submit a review."""
    issue, _ = call.pull()
    event, body = call.body.get("event", ""), call.body.get("body", "")
    review = call.parts.actions.review(call.repo, issue, call.caller.user, event, body)
    return call.parts.shapes.review(call.repo, issue, review)


@route("GET", REPO + "/pulls/{number}/reviews/{review}", "pull_requests:read")
def review(call: Call) -> Answer:
    """Read a review."""
    issue, found = call.pull()
    for candidate in found.reviews:
        if candidate.id == call.number("review"):
            return call.parts.shapes.review(call.repo, issue, candidate)
    raise Refusal(404, "Not Found")


@route("POST", REPO + "/statuses/{sha}", "statuses:write")
def create_status(call: Call) -> Answer:
    """Set a commit status."""
    (state,) = want(call.body, "state")
    sha, description = call.commit(call.params["sha"]), call.body.get("description")
    if state not in STATES:
        raise invalid("Status", "state", "State is not included in the list")
    if description and len(description) > LONGEST_STATUS:
        raise invalid("Status", "description", "description is too long (maximum is 140 characters)")
    world, context = call.parts.world, call.body.get("context", "default")
    target, by = call.body.get("target_url"), call.caller.user
    status = Status(world.next_id(), sha, state, context, description, target, by, world.now())
    call.repo.statuses.append(status)
    return Made(201, call.parts.shapes.status(call.repo, status))


@route("GET", REPO + "/commits/{ref}/status", "statuses:read")
def combined_status(call: Call) -> Answer:
    """Read the newest status of each context."""
    sha = call.commit(call.params["ref"])
    newest = {status.context: status for status in call.repo.statuses if status.sha == sha}
    states = {status.state for status in newest.values()}
    worst = next((name for name in ("failure", "pending") if states & {name, "error"} & {name}), "success")
    url = f"{call.parts.shapes.api}/repos/{call.repo.full_name}/commits/{sha}"
    shown = [call.parts.shapes.status(call.repo, status) for status in newest.values()]
    return {
        "state": worst if newest else "pending",
        "sha": sha,
        "total_count": len(shown),
        "statuses": [{k: v for k, v in status.items() if k != "creator"} for status in shown],
        "repository": call.parts.shapes.repository(call.repo),
        "commit_url": url,
        "url": f"{url}/status",
    }


@route("POST", REPO + "/check-runs", "checks:write")
def create_check(call: Call) -> Answer:
    """Make a check run, which only an App may."""
    name, sha = want(call.body, "name", "head_sha")
    if call.caller.installation is None:
        raise Refusal(403, "You must authenticate via a GitHub App.")
    _check_conclusion(call.body)
    check = CheckRun(call.parts.world.next_id(), call.commit(sha), call.body | {"name": name}, call.parts.world.now())
    call.repo.checks[check.id] = check
    return Made(201, call.parts.shapes.check(call.repo, check))


@route("PATCH", REPO + "/check-runs/{check}", "checks:write")
def update_check(call: Call) -> Answer:
    """Change a check run."""
    check = _check(call)
    _check_conclusion(call.body)
    check.fields = check.fields | call.body
    return call.parts.shapes.check(call.repo, check)


@route("GET", REPO + "/check-runs/{check}", "checks:read")
def check_run(call: Call) -> Answer:
    """Read a check run."""
    return call.parts.shapes.check(call.repo, _check(call))


@route("GET", REPO + "/commits/{ref}/check-runs", "checks:read")
def checks_of_commit(call: Call) -> Answer:
    """List the check runs of a commit."""
    sha = call.commit(call.params["ref"])
    seen = [call.parts.shapes.check(call.repo, check) for check in call.repo.checks.values() if check.sha == sha]
    return Page(seen, "check_runs")


def _check(call: Call) -> CheckRun:
    found = call.repo.checks.get(call.number("check"))
    if found is None:
        raise Refusal(404, "Not Found")
    return found


def _check_conclusion(body: Json) -> None:
    """Hold the rule that the description states in prose only."""
    if body.get("status") == "completed" and "conclusion" not in body:
        raise Refusal(422, 'Invalid request. "conclusion" wasn\'t supplied.')
