"""GitLab's webhooks as events, over published payloads and hostile variations of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.forges.gitlab_events import ACTIONS, HEADERS, IGNORED, SYSTEM, Ignored, action_of, acts_on, look, parse
from bot.forges.gitlab_shapes import milliseconds
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Event, EventKind

RECEIVED = 1_700_000_000_000
SHA = "a" * 40
USER: dict[str, Any] = {"id": 7, "username": "mira"}
PROJECT: dict[str, Any] = {"id": 5, "path_with_namespace": "bank/pay/core"}
FRAME: dict[str, Any] = {"user": USER, "project": PROJECT}
AT = "2026-11-21 10:00:00 UTC"

# What becomes of every published payload that is not ignored: its kind, number and whether it is about a change.
MEANT = {
    "go-gitlab/group_merge_request.json": [(EventKind.CHANGE_MERGED, 1402, True)],
    "go-gitlab/issue.json": [(EventKind.LABELED, 23, False)],
    "go-gitlab/service_merge_request.json": [(EventKind.CHANGE_PUSHED, 2, True)],
    "go-gitlab/note_merge_request.json": [(EventKind.COMMENTED, 1, True)],
    "go-playground/comment-issue-event.json": [(EventKind.COMMENTED, 17, False)],
    "go-playground/confidential-comment-event.json": [(EventKind.COMMENTED, 17, False)],
}
WHY = {
    "go-gitlab/merge_request.json": "merge_request: open moves nothing",
    "go-gitlab/note_commit.json": "notes on Commit are not listened to",
    "go-gitlab/note_snippet.json": "notes on Snippet are not listened to",
    "go-gitlab/note_issue.json": "who sent it is not who wrote it",
    "go-playground/issue-event.json": "neither its text nor its labels changed",
    "go-playground/confidential-issue-event.json": "neither its text nor its labels changed",
    "go-playground/system-project-renamed.json": SYSTEM["project_rename"],
    "go-playground/system-project-transferred.json": SYSTEM["project_transfer"],
    "go-playground/system-team-member-added.json": SYSTEM["user_add_to_team"],
    "go-playground/system-team-member-removed.json": SYSTEM["user_remove_from_team"],
    "go-playground/system-merge-request-event.json": "merge_request: no action moves nothing",
}


def see(event: str, payload: dict[str, Any]) -> tuple[Event, ...]:
    return parse(event, payload, delivery="key-1", host="gitlab.example", received_ms=RECEIVED)


def why(event: str, payload: dict[str, Any]) -> str:
    seen = look(event, payload, delivery="key-1", host="gitlab.example", received_ms=RECEIVED)
    assert isinstance(seen, Ignored)
    return seen.why


def one(event: str, payload: dict[str, Any]) -> Event:
    [found] = see(event, payload)
    return found


def issue(action: str = "update", **more: Any) -> dict[str, Any]:
    attributes = {"id": 300, "iid": 23, "title": "Retry", "description": "again", "updated_at": AT, "action": action}
    changes = more.pop("changes", {})
    labels = more.pop("labels", [])
    return FRAME | {
        "object_kind": "issue",
        "object_attributes": attributes | more,
        "changes": changes,
        "labels": labels,
    }


def labels(before: list[str], after: list[str]) -> dict[str, Any]:
    return {"labels": {"previous": [{"title": t} for t in before], "current": [{"title": t} for t in after]}}


def note(**more: Any) -> dict[str, Any]:
    attributes = {
        "id": 1241,
        "note": "/gatewright approve",
        "noteable_type": "Issue",
        "author_id": 7,
        "created_at": AT,
        "updated_at": AT,
        "action": "create",
        "system": False,
    }
    attributes |= more.pop("attributes", {})
    return FRAME | {"object_kind": "note", "object_attributes": attributes, "issue": {"iid": 17}} | more


def change(action: str, **more: Any) -> dict[str, Any]:
    attributes = {"id": 99, "iid": 4, "target_project_id": 5, "updated_at": AT, "last_commit": {"id": SHA}}
    return FRAME | {"object_kind": "merge_request", "object_attributes": attributes | {"action": action} | more}


def published(test_data: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    root = test_data / "forges"
    for line in (root / "gitlab/payloads/index.jsonl").read_text().splitlines():
        entry = json.loads(line)
        name = entry["file"].removeprefix("gitlab/payloads/")
        yield name, entry["x_gitlab_event"], json.loads((root / entry["file"]).read_text())


def test_every_published_payload_is_the_right_event_or_ignored_with_a_reason(test_data: Path) -> None:
    seen = 0
    for name, event, payload in published(test_data):
        seen += 1
        if name in MEANT:
            found = see(event, payload)
            assert [(e.kind, e.number, e.on_change) for e in found] == MEANT[name], name
            assert acts_on(event, action_of(payload))
            assert all(e.repo.id and e.actor.kind is AccountKind.UNKNOWN for e in found)
            msgspec.json.encode(found)
        else:
            expected = WHY.get(name) or IGNORED[event]
            assert why(event, payload).startswith(expected), name
    assert seen == 34


def test_every_event_that_gitlab_names_acts_or_has_a_reason(test_data: Path) -> None:
    facts = json.loads((test_data / "forges/gitlab/facts.json").read_text())
    assert set(facts["x_gitlab_event_values"]) == set(HEADERS) | set(IGNORED)


def test_labels_that_were_set_and_taken_are_an_event_each() -> None:
    """GitLab sends one `update` for all of them."""
    found = see("Issue Hook", issue(changes=labels(["bug", "gatewright"], ["bug", "done", "later"])))
    assert [(e.kind, e.label) for e in found] == [
        (EventKind.UNLABELED, "gatewright"),
        (EventKind.LABELED, "done"),
        (EventKind.LABELED, "later"),
    ]
    assert {e.actor.id for e in found} == {7}
    assert found[0].repo.key == "gitlab:gitlab.example:5"
    assert found[0].repo.path == "bank/pay/core"
    assert found[0].at_ms == milliseconds(AT, 0) > 0


def test_labels_at_opening_count_as_set() -> None:
    """There is no event of its own for them."""
    found = see("Issue Hook", issue("open", labels=[{"title": "gatewright"}, {"title": "bug"}]))
    assert [(e.kind, e.label) for e in found] == [(EventKind.LABELED, "gatewright"), (EventKind.LABELED, "bug")]
    assert found[0].issue is not None
    assert found[0].issue.labels == ("gatewright", "bug")


def test_a_change_that_leaves_the_labels_as_they_are_moves_nothing() -> None:
    same = labels(["gatewright"], ["gatewright"])
    assert why("Issue Hook", issue(changes=same)) == "neither its text nor its labels changed"
    assert why("Issue Hook", issue(changes={"assignees": {"previous": [], "current": [{"id": 7}]}}))
    assert why("Issue Hook", issue("reopen")) == "issue: reopen moves nothing"


def test_an_issue_that_is_closed_moved_hidden_or_locked() -> None:
    assert one("Issue Hook", issue("close")).kind is EventKind.ISSUE_CLOSED
    assert one("Issue Hook", issue("close", moved_to_id=301)).kind is EventKind.ISSUE_AWAY
    for name in ("confidential", "discussion_locked"):
        switched = {name: {"previous": False, "current": True}}
        assert one("Confidential Issue Hook", issue(changes=switched)).kind is EventKind.ISSUE_AWAY
    assert why("Issue Hook", issue(changes={"discussion_locked": {"previous": True, "current": False}}))
    moved = {"moved_to_id": {"previous": None, "current": 9}}
    assert one("Issue Hook", issue(changes=moved)).kind is EventKind.ISSUE_AWAY


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("title", "Retry", "Retry twice"), ("description", "again", ""), ("confidential", True, False)],
)
def test_an_issue_that_reads_otherwise_was_edited(name: str, before: object, after: object) -> None:
    """By the one who is named: issue hooks, unlike those of notes, tell who did it."""
    found = one("Issue Hook", issue(changes={name: {"previous": before, "current": after}}))
    assert (found.kind, found.number, found.actor.id, found.label) == (EventKind.ISSUE_EDITED, 23, 7, "")
    assert found.comment is None


def test_an_edit_and_a_label_in_one_update_are_both_told_the_edit_first() -> None:
    """Else a label could be set together with a text that nobody looks at again."""
    both = labels([], ["gatewright"]) | {"description": {"previous": "a", "current": "b"}}
    found = see("Issue Hook", issue(changes=both))
    assert [(e.kind, e.label) for e in found] == [(EventKind.ISSUE_EDITED, ""), (EventKind.LABELED, "gatewright")]


@pytest.mark.parametrize(
    "attributes", [{"action": "update"}, {"action": None, "updated_at": "2026-11-21 10:00:01 UTC"}]
)
def test_an_edited_note_is_told_in_nobodys_name(attributes: dict[str, Any]) -> None:
    """GitLab names the author; a maintainer who edits the bot's note would pass for the bot."""
    found = one("Note Hook", note(attributes=attributes | {"updated_by_id": 9}))
    assert (found.kind, found.number, found.actor.id) == (EventKind.ISSUE_EDITED, 17, 0)
    assert found.actor.kind is AccountKind.UNKNOWN
    assert found.comment is not None
    assert found.comment.id == 1241


def test_two_edits_of_a_note_are_two_happenings() -> None:
    first = one("Note Hook", note(attributes={"action": "update", "updated_at": "2026-11-21 10:00:01 UTC"}))
    second = one("Note Hook", note(attributes={"action": "update", "updated_at": "2026-11-21 10:00:02 UTC"}))
    assert first.at_ms != second.at_ms


def test_a_confidential_issue_says_so() -> None:
    found = one("Confidential Issue Hook", issue("close", confidential=True))
    assert found.issue is not None
    assert found.issue.is_confidential


def test_a_created_note_on_an_issue_and_on_a_merge_request() -> None:
    found = one("Note Hook", note())
    assert (found.kind, found.number, found.on_change) == (EventKind.COMMENTED, 17, False)
    assert found.comment is not None
    assert (found.comment.id, found.comment.body, found.comment.author.id) == (1241, "/gatewright approve", 7)
    on = note(attributes={"noteable_type": "MergeRequest"}, merge_request={"iid": 4})
    del on["issue"]
    found = one("Note Hook", on)
    assert (found.number, found.on_change) == (4, True)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"action": "update", "system": True}, "GitLab wrote it"),
        ({"action": "update", "author_id": 8}, "who sent it is not who wrote it"),
        ({"action": "delete"}, "note: delete moves nothing"),
        ({"system": True}, "GitLab wrote it"),
        ({"author_id": 8}, "who sent it is not who wrote it"),
        ({"author_id": None}, "who sent it is not who wrote it"),
        ({"noteable_type": "Epic"}, "notes on Epic are not listened to"),
    ],
)
def test_other_notes_do_not_act(attributes: dict[str, Any], reason: str) -> None:
    assert why("Note Hook", note(attributes=attributes)).startswith(reason)


def test_an_old_instance_names_no_action() -> None:
    """Before 16.11 a note whose times agree is a created one."""
    old = note()
    del old["object_attributes"]["action"]
    assert one("Note Hook", old).kind is EventKind.COMMENTED


def test_an_internal_note_is_one_unless_its_issue_is_as_confidential() -> None:
    private = note(event_type="confidential_note")
    found = one("Confidential Note Hook", private)
    assert found.comment is not None
    assert found.comment.is_internal
    found = one("Confidential Note Hook", private | {"issue": {"iid": 17, "confidential": True}})
    assert found.comment is not None
    assert not found.comment.is_internal


@pytest.mark.parametrize(
    ("action", "kind"),
    [("merge", EventKind.CHANGE_MERGED), ("close", EventKind.CHANGE_CLOSED), ("unapproved", EventKind.UNREVIEWED)],
)
def test_the_ends_of_a_merge_request(action: str, kind: EventKind) -> None:
    found = one("Merge Request Hook", change(action))
    assert (found.kind, found.number, found.on_change, found.head_sha) == (kind, 4, True, SHA)


def test_only_an_update_with_commits_is_a_push() -> None:
    found = one("Merge Request Hook", change("update", oldrev="b" * 40))
    assert (found.kind, found.actor.id, found.head_sha) == (EventKind.CHANGE_PUSHED, 7, SHA)
    assert why("Merge Request Hook", change("update")).startswith("nothing was pushed")


@pytest.mark.parametrize("action", ["approved", "approval"])
def test_an_approval_is_bound_to_the_head_of_that_moment(action: str) -> None:
    found = one("Merge Request Hook", change(action))
    assert (found.kind, found.review_approves, found.head_sha) == (EventKind.REVIEWED, True, SHA)
    headless = one("Merge Request Hook", change(action, last_commit=None))
    assert not headless.review_approves


def test_an_approval_has_one_id_each_time_it_is_delivered_and_another_approval_has_another() -> None:
    """Neither the approval nor its time are in the payload; a second one after taking it back looks the same."""
    first, retried = (one("Merge Request Hook", change("approved")).comment for _ in range(2))
    again = parse(
        "Merge Request Hook", change("approved"), delivery="key-2", host="gitlab.example", received_ms=RECEIVED
    )
    later = again[0].comment
    moved = one("Merge Request Hook", change("approved", last_commit={"id": "b" * 40})).comment
    other = one("Merge Request Hook", change("approved") | {"user": {"id": 8, "username": "tom"}}).comment
    assert first == retried
    assert len({said.id for said in (first, later, moved, other) if said}) == 4


def test_a_system_hook_is_routed_by_its_body() -> None:
    assert one("System Hook", change("merge")).kind is EventKind.CHANGE_MERGED
    assert why("System Hook", {"event_name": "push"}) == IGNORED["System Hook"]
    assert why("System Hook", note()) == IGNORED["System Hook"]
    assert why("Note Hook", change("merge")).startswith("its body is of another kind")


@pytest.mark.parametrize("name", ["project_transfer", "project_rename", "project_update", "user_rename"])
def test_what_becomes_of_a_project_or_an_account_is_asked_of_the_api(name: str) -> None:
    moved = {"event_name": name, "project_id": 5, "path_with_namespace": "a/b", "old_path_with_namespace": "c/b"}
    assert why("System Hook", moved) == SYSTEM[name]
    assert why("Push Hook", moved) == IGNORED["Push Hook"], "only under the header of system hooks"
    assert why("System Hook", {"event_name": ["x"]}) == IGNORED["System Hook"]


def test_legacy_payloads_say_the_project_elsewhere_or_not_at_all() -> None:
    legacy = issue("close", project_id=14) | {"project": {"path_with_namespace": "a/b"}, "user": {"name": "Root"}}
    found = one("Issue Hook", legacy)
    assert (found.repo.id, found.actor.id) == (14, 0)
    nowhere = issue("close") | {"project": {"path_with_namespace": "a/b"}}
    assert why("Issue Hook", nowhere) == "it names no project by id"


@pytest.mark.parametrize("path", ["a", "a/../b", "../a", "a/b/..", "a/b?x", "a/b c", "", "a//b", "./b"])
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(GatewrightError) as caught:
        see("Note Hook", note() | {"project": {"id": 5, "path_with_namespace": path}})
    assert caught.value.code == "GW-FORGE-PAYLOAD"


def test_paths_nest_and_have_dots() -> None:
    found = one("Note Hook", note() | {"project": {"id": 5, "path_with_namespace": "a/b.c/d-e/f"}})
    assert found.repo.path == "a/b.c/d-e/f"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2015-05-17 17:06:40 UTC", 1_431_882_400_000),
        ("2015-05-17T17:06:40Z", 1_431_882_400_000),
        ("2015-05-17T17:06:40.250Z", 1_431_882_400_250),
        ("2015-05-17 19:06:40 +0200", 1_431_882_400_000),
        ("2015-13-17 19:06:40 +0200", 1),
        ("yesterday", 1),
        (None, 1),
    ],
)
def test_gitlab_writes_times_in_several_ways(written: str | None, expected: int) -> None:
    assert milliseconds(written, 1) == expected


def mutations() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False)
    return leaves | st.lists(leaves, max_size=2) | st.dictionaries(st.text(max_size=3), leaves, max_size=2)


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_no_payload_ends_in_anything_but_an_event_a_reason_or_a_named_fault(data: st.DataObject) -> None:
    """One member anywhere is replaced or missing."""
    starts = [("Issue Hook", issue(changes=labels(["a"], ["b"]))), ("Note Hook", note())]
    starts += [("Note Hook", note(attributes={"action": "update"}))]
    starts += [("Issue Hook", issue(changes={"title": {"previous": "a", "current": "b"}}))]
    starts += [("Merge Request Hook", change(action)) for action in ACTIONS["merge_request"]]
    event, payload = data.draw(st.sampled_from(starts))
    payload = copy.deepcopy(payload)
    place: Any = payload
    while True:
        name = data.draw(st.sampled_from(sorted(place)))
        if isinstance(place[name], dict) and place[name] and data.draw(st.booleans()):
            place = place[name]
            continue
        break
    if data.draw(st.booleans()):
        del place[name]
    else:
        place[name] = data.draw(mutations())
    try:
        seen: object = see(event, payload)
    except GatewrightError as error:
        seen = (error.code, bool(error.fix))
    assert seen == ("GW-FORGE-PAYLOAD", True) or msgspec.json.encode(seen).startswith(b"[")


def test_an_edited_note_on_a_merge_request_is_nothing() -> None:
    """What is asked at a gate is asked on the issue."""
    on = note(attributes={"noteable_type": "MergeRequest", "action": "update"}, merge_request={"iid": 4})
    del on["issue"]
    assert why("Note Hook", on).startswith("gates are shown on issues")
