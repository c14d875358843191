"""REST: issues, notes, discussions, award emoji."""

from __future__ import annotations

from itertools import groupby

from tests.simulators.gitlab.access import FORBIDDEN, Refusal, may_edit, missing, refused, sees_note, sees_subject
from tests.simulators.gitlab.rest import PROJECT, Answer, Call, Made, Page, route
from tests.simulators.gitlab.shapes_accounts import Json
from tests.simulators.gitlab.things import Award, Note, Subject

STATES = {"close": "closed", "reopen": "opened"}
SUBJECT = PROJECT + "/{kind}/{iid}"


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
        if event not in STATES:
            raise Refusal(400, {"error": "state_event does not have a valid value"})
        actions.set_state(found, call.user, STATES[event])


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
