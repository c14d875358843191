"""REST: issues, comments, labels, reactions."""

from __future__ import annotations

from datetime import datetime

from tests.simulators.github.access import Refusal
from tests.simulators.github.actions import invalid
from tests.simulators.github.rest import Answer, Call, Made, Page, route, want
from tests.simulators.github.world import Reaction

REPO = "/repos/{owner}/{name}"
READ, WRITE = ("issues:read", "pull_requests:read"), ("issues:write", "pull_requests:write")


@route("GET", REPO + "/issues", "issues:read")
def issues(call: Call) -> Answer:
    """List issues, newest first."""
    state = call.query.get("state", "open")
    wanted = {name.lower() for name in call.query.get("labels", "").split(",") if name}
    shown = []
    for issue in reversed(call.repo.issues.values()):
        has = {label.name.lower() for label in issue.labels}
        if state in {"all", issue.state} and wanted <= has:
            shown.append(call.parts.shapes.issue(call.repo, issue))
    return Page(shown)


@route("POST", REPO + "/issues", "issues:write")
def create_issue(call: Call) -> Answer:
    """Open an issue."""
    (title,) = want(call.body, "title")
    body, labels = call.body.get("body"), call.body.get("labels", [])
    issue = call.parts.actions.open_issue(call.repo, call.caller.user, title, body, labels)
    return Made(201, call.parts.shapes.issue(call.repo, issue))


@route("GET", REPO + "/issues/{number}", *READ)
def issue(call: Call) -> Answer:
    """Read an issue."""
    return call.parts.shapes.issue(call.repo, call.issue())


@route("PATCH", REPO + "/issues/{number}", *WRITE)
def update_issue(call: Call) -> Answer:
    """Change an issue."""
    found, by = call.issue(), call.caller.user
    call.parts.actions.edit(call.repo, found, by, call.body.get("title"), call.body.get("body"))
    if state := call.body.get("state"):
        call.parts.actions.set_state(call.repo, found, by, state)
    return call.parts.shapes.issue(call.repo, found)


@route("PUT", REPO + "/issues/{number}/lock", *WRITE)
def lock(call: Call) -> Answer:
    """Lock a conversation."""
    call.parts.actions.lock(call.repo, call.issue(), call.caller.user, call.body.get("lock_reason"))
    return Made(204)


@route("GET", REPO + "/issues/{number}/comments", *READ)
def comments(call: Call) -> Answer:
    """List comments, oldest first; `since` goes by their last edit."""
    since = datetime.fromisoformat(call.query.get("since", "1970-01-01T00:00:00Z"))
    seen = [comment for comment in call.issue().comments if comment.updated >= since]
    return Page([call.parts.shapes.comment(call.repo, comment) for comment in seen])


@route("GET", REPO + "/issues/{number}/events", *READ)
def events(call: Call) -> Answer:
    """List what was done to an issue, oldest first."""
    return Page([call.parts.shapes.entry(call.repo, entry) for entry in call.issue().history])


@route("POST", REPO + "/issues/{number}/comments", *WRITE)
def create_comment(call: Call) -> Answer:
    """Comment."""
    (body,) = want(call.body, "body")
    comment = call.parts.actions.comment(call.repo, call.issue(), call.caller.user, body)
    return Made(201, call.parts.shapes.comment(call.repo, comment))


@route("GET", REPO + "/issues/comments/{comment}", *READ)
def comment(call: Call) -> Answer:
    """Read a comment."""
    return call.parts.shapes.comment(call.repo, call.comment())


@route("PATCH", REPO + "/issues/comments/{comment}", *WRITE)
def update_comment(call: Call) -> Answer:
    """Change a comment: one's own, or anyone's with write access."""
    found, (body,) = call.comment(), want(call.body, "body")
    if found.user is not call.caller.user and not call.caller.may(call.repo, "contents:write"):
        raise Refusal(403, "Must have admin rights to Repository.")
    call.parts.actions.edit_comment(call.repo, found, call.caller.user, body)
    return call.parts.shapes.comment(call.repo, found)


@route("DELETE", REPO + "/issues/comments/{comment}", *WRITE)
def delete_comment(call: Call) -> Answer:
    """Delete a comment."""
    call.parts.actions.delete_comment(call.repo, call.comment(), call.caller.user)
    return Made(204)


def _reactions(call: Call) -> list[Reaction]:
    return call.comment().reactions if "comment" in call.params else call.issue().reactions


def _list_reactions(call: Call) -> Answer:
    wanted = call.query.get("content")
    seen = [reaction for reaction in _reactions(call) if wanted in {None, reaction.content}]
    return Page([call.parts.shapes.reaction(reaction) for reaction in seen])


def _react(call: Call) -> Answer:
    (content,) = want(call.body, "content")
    reaction, is_new = call.parts.actions.react(_reactions(call), call.caller.user, content)
    return Made(201 if is_new else 200, call.parts.shapes.reaction(reaction))


def _unreact(call: Call) -> Answer:
    reactions, wanted = _reactions(call), call.number("reaction")
    kept = [reaction for reaction in reactions if reaction.id != wanted]
    if len(kept) == len(reactions):
        raise Refusal(404, "Not Found")
    reactions[:] = kept
    return Made(204)


for subject in ("/issues/comments/{comment}", "/issues/{number}"):
    route("GET", f"{REPO}{subject}/reactions", *READ)(_list_reactions)
    route("POST", f"{REPO}{subject}/reactions", *WRITE)(_react)
    route("DELETE", f"{REPO}{subject}/reactions/{{reaction}}", *WRITE)(_unreact)


@route("GET", REPO + "/issues/{number}/labels", *READ)
def labels_on_issue(call: Call) -> Answer:
    """List an issue's labels."""
    return Page([call.parts.shapes.label(call.repo, label) for label in call.issue().labels])


@route("POST", REPO + "/issues/{number}/labels", *WRITE)
def add_labels(call: Call) -> Answer:
    """Add labels."""
    (names,) = want(call.body, "labels")
    call.parts.actions.label(call.repo, call.issue(), call.caller.user, names)
    return [call.parts.shapes.label(call.repo, label) for label in call.issue().labels]


@route("DELETE", REPO + "/issues/{number}/labels/{label}", *WRITE)
def remove_label(call: Call) -> Answer:
    """Remove a label."""
    call.parts.actions.unlabel(call.repo, call.issue(), call.caller.user, call.params["label"])
    return [call.parts.shapes.label(call.repo, label) for label in call.issue().labels]


@route("GET", REPO + "/labels", *READ)
def labels(call: Call) -> Answer:
    """List the repository's labels."""
    return Page([call.parts.shapes.label(call.repo, label) for label in call.repo.labels])


@route("POST", REPO + "/labels", *WRITE)
def create_label(call: Call) -> Answer:
    """Make a label."""
    (name,) = want(call.body, "name")
    if call.repo.label(name):
        raise invalid("Label", "name", "already exists", code="already_exists")
    color, description = call.body.get("color", "ededed"), call.body.get("description")
    return Made(
        201, call.parts.shapes.label(call.repo, call.parts.actions.new_label(call.repo, name, color, description))
    )


@route("GET", REPO + "/labels/{label}", *READ)
def label(call: Call) -> Answer:
    """Read a label."""
    found = call.repo.label(call.params["label"])
    if found is None:
        raise Refusal(404, "Not Found")
    return call.parts.shapes.label(call.repo, found)
