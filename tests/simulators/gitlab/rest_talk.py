"""REST: accounts, projects, members, labels, issues, notes, award emoji."""

from __future__ import annotations

from itertools import groupby

from tests.simulators.gitlab.access import FORBIDDEN, Refusal, may_edit, missing, refused, sees_note, sees_subject
from tests.simulators.gitlab.rest import PROJECT, READS, Answer, Call, Made, Page, route
from tests.simulators.gitlab.shapes import Json, when
from tests.simulators.gitlab.world import Award, Note, Subject, User

SUBJECT = PROJECT + "/{kind}/{iid}"
ANY_SCOPE = frozenset({"api", "read_api", "read_user", "read_repository", "write_repository"})


@route("GET", "/user", scopes=READS | {"read_user"})
def me(call: Call) -> Answer:
    """Read one's own account."""
    return call.parts.shapes.me(call.user)


@route("GET", "/users/{user}", scopes=READS | {"read_user"})
def user(call: Call) -> Answer:
    """Read an account by its number."""
    return call.parts.shapes.full_user(_user(call))


def _user(call: Call) -> User:
    found = call.parts.world.users.get(call.number("user"))
    if found is None:
        raise missing("User")
    return found


@route("GET", "/personal_access_tokens/self", scopes=ANY_SCOPE)
def own_token(call: Call) -> Answer:
    """Read what the token in use may do."""
    token = call.token
    assert token is not None
    return {
        "id": token.id,
        "name": "gatewright",
        "revoked": token.revoked,
        "created_at": when(token.created),
        "scopes": sorted(token.scopes),
        "user_id": token.user.id,
        "active": True,
        "expires_at": token.expires.date().isoformat() if token.expires else None,
    }


def _metadata(call: Call) -> Answer:
    return {"version": call.parts.world.traits.version, "revision": "51b1a2f9e2f", "kas": {}, "enterprise": False}


route("GET", "/version")(_metadata)
route("GET", "/metadata")(_metadata)


@route("GET", PROJECT)
def project(call: Call) -> Answer:
    """Read a project."""
    return call.parts.shapes.project(call.project, call.token.user if call.token else None)


@route("GET", PROJECT + "/members/all")
def members(call: Call) -> Answer:
    """List members, inherited ones included."""
    everyone = call.parts.world.users.values()
    wanted = call.query.get("query", "").lower()
    shown = [u for u in everyone if call.project.level(u) and wanted in u.username.lower()]
    return Page([call.parts.shapes.member(u, call.project) for u in shown])


@route("GET", PROJECT + "/members/all/{user}")
def member(call: Call) -> Answer:
    """Read one member by the account's number; others are not found."""
    found = call.parts.world.users.get(call.number("user"))
    if found is None or not call.project.level(found):
        raise missing()
    return call.parts.shapes.member(found, call.project)


@route("GET", PROJECT + "/labels")
def labels(call: Call) -> Answer:
    """List labels."""
    wanted = call.query.get("search", "").lower()
    return Page([call.parts.shapes.label(call.project, x) for x in call.project.labels if wanted in x.title.lower()])


@route("POST", PROJECT + "/labels", "planner")
def create_label(call: Call) -> Answer:
    """Make a label."""
    name, color = call.want("name", "color")
    if call.project.label(name):
        raise refused(409, "Label already exists")
    made = call.parts.actions.new_label(call.project, name, color, call.body.get("description"))
    return Made(201, call.parts.shapes.label(call.project, made))


@route("GET", PROJECT + "/labels/{name}")
def label(call: Call) -> Answer:
    """Read a label by name or number."""
    wanted = call.params["name"]
    found = next((x for x in call.project.labels if wanted in {x.title, str(x.id)}), None)
    if found is None:
        raise missing("Label")
    return call.parts.shapes.label(call.project, found)


@route("GET", PROJECT + "/issues")
def issues(call: Call) -> Answer:
    """List issues, newest first."""
    state, wanted = call.query.get("state", "all"), {x for x in call.query.get("labels", "").split(",") if x}
    shown = []
    for issue in reversed(call.project.issues.values()):
        has = {label.title for label in issue.labels}
        if state in {"all", issue.state} and wanted <= has and sees_subject(call.user, issue):
            shown.append(call.parts.shapes.issue(issue))
    return Page(shown)


@route("POST", PROJECT + "/issues")
def create_issue(call: Call) -> Answer:
    """Open an issue."""
    (title,) = call.want("title")
    made = call.parts.actions.open_issue(
        call.project,
        call.user,
        title,
        call.body.get("description"),
        call.names("labels"),
        confidential=bool(call.body.get("confidential")),
    )
    return Made(201, call.parts.shapes.issue(made))


@route("GET", PROJECT + "/issues/{iid}")
def issue(call: Call) -> Answer:
    """Read an issue."""
    return call.parts.shapes.issue(call.issue())


@route("PUT", PROJECT + "/issues/{iid}")
def update_issue(call: Call) -> Answer:
    """Change an issue."""
    found = call.issue()
    update(call, found)
    if (secret := call.body.get("confidential")) is not None:
        call.parts.actions.set_flag(found, call.user, "confidential", bool(secret))
    return call.parts.shapes.issue(found)


def update(call: Call, found: Subject) -> None:
    """Change what issues and merge requests share."""
    if not may_edit(call.user, found):
        raise refused(403, FORBIDDEN)
    if not call.body:
        raise Refusal(400, {"error": "title, description, state_event, labels are missing, at least one must be given"})
    actions = call.parts.actions
    actions.edit(found, call.user, call.body.get("title"), call.body.get("description"))
    titles = [label.title for label in found.labels]
    if "labels" in call.body:
        titles = call.names("labels")
    titles = [title for title in titles + call.names("add_labels") if title not in call.names("remove_labels")]
    actions.set_labels(found, call.user, titles)
    if (locked := call.body.get("discussion_locked")) is not None:
        actions.set_flag(found, call.user, "locked", bool(locked))
    if event := call.body.get("state_event"):
        actions.set_state(found, call.user, {"close": "closed", "reopen": "opened"}[event])


@route("GET", PROJECT + "/issues/{iid}/related_merge_requests")
def related(call: Call) -> Answer:
    """List merge requests that name the issue."""
    mark = f"#{call.issue().iid}"
    named = [mr for mr in call.project.merge_requests.values() if mark in (mr.description or "")]
    return Page([call.parts.shapes.merge_request(mr) for mr in named])


@route("GET", SUBJECT + "/notes")
def notes(call: Call) -> Answer:
    """List notes, newest first unless asked otherwise."""
    seen = [note for note in call.subject().notes if sees_note(call.user, note)]
    only = call.query.get("activity_filter", "all_notes")
    if only != "all_notes":
        seen = [note for note in seen if note.system == (only == "only_activity")]
    seen.sort(key=lambda n: (n.updated if call.query.get("order_by") == "updated_at" else n.created, n.id))
    ordered = seen if call.query.get("sort") == "asc" else seen[::-1]
    return Page([call.parts.shapes.note(note) for note in ordered])


@route("POST", SUBJECT + "/notes")
def create_note(call: Call) -> Answer:
    """Comment; a note of commands only is never saved: 202, and what they changed."""
    subject = call.subject()
    (body,) = call.want("body")
    if subject.locked and not call.project.level(call.user):
        raise missing("Note")
    internal = bool(call.body.get("internal") or call.body.get("confidential"))
    made = call.parts.actions.note(subject, call.user, body, internal=internal)
    if isinstance(made, Note):
        return Made(201, call.parts.shapes.note(made))
    changes, summary = made
    return Made(202, {"commands_changes": changes, "summary": summary})


@route("GET", SUBJECT + "/notes/{note}")
def note(call: Call) -> Answer:
    """Read a note."""
    return call.parts.shapes.note(call.note())


def _own(call: Call) -> Note:
    found = call.note()
    if found.system or (found.author is not call.user and call.project.level(call.user) < 40):  # maintainers
        raise refused(403, FORBIDDEN)
    return found


@route("PUT", SUBJECT + "/notes/{note}")
def update_note(call: Call) -> Answer:
    """Change a note: one's own, or as a maintainer anyone's."""
    found = _own(call)
    call.parts.actions.edit_note(found, call.user, *call.want("body"))
    return call.parts.shapes.note(found)


@route("DELETE", SUBJECT + "/notes/{note}")
def delete_note(call: Call) -> Answer:
    """Delete a note."""
    call.parts.actions.delete_note(_own(call))
    return Made(204)


def _thread(call: Call) -> list[Note]:
    found = [note for note in call.subject().notes if note.discussion == call.params["discussion"]]
    if not found:
        raise missing("Discussion")
    return found


@route("GET", SUBJECT + "/discussions")
def discussions(call: Call) -> Answer:
    """List discussions."""
    seen = [note for note in call.subject().notes if sees_note(call.user, note)]
    seen.sort(key=lambda note: note.discussion)
    threads = [list(thread) for _, thread in groupby(seen, key=lambda note: note.discussion)]
    return Page([call.parts.shapes.discussion(thread) for thread in threads])


@route("POST", SUBJECT + "/discussions")
def create_discussion(call: Call) -> Answer:
    """Begin a discussion."""
    answer = create_note(call)
    assert isinstance(answer, Made)
    if answer.status != 201:
        return answer
    return Made(201, call.parts.shapes.discussion([call.subject().notes[-1]]))


@route("POST", SUBJECT + "/discussions/{discussion}/notes")
def reply(call: Call) -> Answer:
    """Answer in a discussion."""
    thread = _thread(call)
    made = call.parts.actions.note(call.subject(), call.user, *call.want("body"))
    if not isinstance(made, Note):
        return Made(202, {"commands_changes": made[0], "summary": made[1]})
    made.discussion = thread[0].discussion
    return Made(201, call.parts.shapes.note(made))


def _on(call: Call) -> Subject | Note:
    return call.note() if "note" in call.params else call.subject()


def _list_awards(call: Call) -> Answer:
    on = _on(call)
    return Page([_award(call, award, on) for award in on.awards])


def _award(call: Call, award: Award, on: Subject | Note) -> Json:
    return call.parts.shapes.award(award, on)


def _give(call: Call) -> Answer:
    on = _on(call)
    made = call.parts.actions.award(on, call.user, *call.want("name"))
    return Made(201, _award(call, made, on))


def _take(call: Call) -> Answer:
    on, wanted = _on(call), call.number("award")
    award = next((a for a in on.awards if a.id == wanted), None)
    if award is None:
        raise missing("Award Emoji")
    if award.user is not call.user:
        raise refused(403, FORBIDDEN)
    call.parts.actions.unaward(on, award)
    return Made(204)


for place in (SUBJECT, SUBJECT + "/notes/{note}"):
    route("GET", place + "/award_emoji")(_list_awards)
    route("POST", place + "/award_emoji")(_give)
    route("DELETE", place + "/award_emoji/{award}")(_take)
