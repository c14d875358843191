"""GitHub's webhooks as events, over real captures and hostile variations of them."""

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

from bot.forges.github_events import HAPPENINGS, acts_on, parse
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Event, EventKind

RECEIVED = 1_700_000_000_000
SHA = "a" * 40
MIRA: dict[str, Any] = {"id": 7, "login": "mira", "type": "User"}
REPO: dict[str, Any] = {"id": 186853002, "full_name": "octo/shop"}
ISSUE: dict[str, Any] = {
    "number": 42,
    "title": "Sort by price",
    "body": None,
    "user": MIRA,
    "labels": [{"name": "gatewright"}],
    "state": "open",
    "updated_at": "2026-11-21T10:00:00Z",
}
COMMENT: dict[str, Any] = {"id": 9001, "body": "/approve", "user": MIRA, "created_at": "2026-11-21T10:00:01Z"}
PULL: dict[str, Any] = {"number": 43, "head": {"sha": SHA, "ref": "gatewright/x", "repo": None}, "state": "closed"}
REVIEW: dict[str, Any] = {"id": 5, "state": "approved", "body": "", "user": MIRA, "commit_id": "b" * 40}
FRAME: dict[str, Any] = {"repository": REPO, "sender": MIRA}


def see(event: str, payload: dict[str, Any]) -> Event | None:
    return parse(event, payload, delivery="guid-1", host="github.com", received_ms=RECEIVED)


def must_see(event: str, payload: dict[str, Any]) -> Event:
    seen = see(event, payload)
    assert seen is not None
    return seen


def captures(test_data: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    root = test_data / "forges"
    for line in (root / "github/payloads/index.jsonl").read_text().splitlines():
        entry = json.loads(line)
        yield entry["event"], json.loads((root / entry["file"]).read_text())


def test_every_real_capture_is_an_event_exactly_where_we_act(test_data: Path) -> None:
    """All published captures, old ones with missing members included, parse without an exception."""
    seen = 0
    for event, payload in captures(test_data):
        result = see(event, payload)
        elsewhere = payload.get("action") != "created" and "pull_request" in payload.get("issue", {})
        assert (result is not None) == (acts_on(event, payload.get("action", "")) and not elsewhere)
        if result is not None:
            assert result.repo.id == payload["repository"]["id"]
            assert result.actor.id == payload["sender"]["id"]
            assert result.actor.kind is AccountKind.HUMAN
            msgspec.json.encode(result)
            seen += 1
    assert seen >= 15


def test_every_hostile_github_payload_is_an_event_or_nothing_or_a_named_fault(test_data: Path) -> None:
    """Deleted users, missing members and odd texts never end in an AttributeError or KeyError."""
    bases: dict[str, dict[str, Any]] = {}
    for event, payload in captures(test_data):
        bases[f"{event}.{payload.get('action', '')}"] = payload
        bases.setdefault(event, payload)
    acting = {
        "issues": "issues.labeled",
        "issue_comment": "issue_comment.created",
        "pull_request": "pull_request.closed",
    }
    tried = 0
    for line in (test_data / "forges/hostile/deliveries.jsonl").read_text().splitlines():
        case = json.loads(line)
        if case["forge"] == "gitlab" or case.get("base", case.get("event")) is None or "/action" in case.get("set", {}):
            continue
        name = case.get("base", case.get("event"))
        if acting.get(name, name) not in bases:
            continue
        payload = copy.deepcopy(bases[acting.get(name, name)])
        for pointer, value in case.get("set", {}).items():
            put(payload, pointer, value)
        event = case.get("headers", {}).get("X-GitHub-Event", name.split(".")[0])
        result = see(event, payload)
        if result is not None:
            msgspec.json.encode(result)  # lone surrogates must not survive
        tried += 1
    assert tried >= 30


def put(payload: dict[str, Any], pointer: str, value: object) -> None:
    *path, last = pointer.strip("/").split("/")
    target = payload
    for key in path:
        target = target[key]
    if value == "__delete__":
        target.pop(last, None)
    else:
        target[last] = value


def test_a_label_opens_with_the_issue_as_shown() -> None:
    """The event carries the label's name, the issue, the numeric sender and the App installation."""
    payload = FRAME | {"action": "labeled", "issue": ISSUE, "label": {"name": "Gatewright"}, "installation": {"id": 3}}
    seen = must_see("issues", payload)
    assert (seen.kind, seen.number, seen.label, seen.installation) == (EventKind.LABELED, 42, "Gatewright", 3)
    assert (seen.actor.id, seen.repo.key, seen.delivery) == (7, "github:github.com:186853002", "guid-1")
    assert seen.issue is not None
    assert (seen.issue.body, seen.issue.is_open) == ("", True)
    assert seen.at_ms == 1_795_255_200_000


def test_a_label_that_was_deleted_meanwhile_is_nothing() -> None:
    """`labeled` without its label cannot be matched with ours."""
    assert see("issues", FRAME | {"action": "labeled", "issue": ISSUE}) is None


@pytest.mark.parametrize("action", ["transferred", "deleted", "locked"])
def test_an_issue_that_goes_away_needs_a_person(action: str) -> None:
    """Transfer, deletion and lock are one kind."""
    assert must_see("issues", FRAME | {"action": action, "issue": ISSUE}).kind is EventKind.ISSUE_AWAY


def test_the_list_of_what_acts_is_complete() -> None:
    """A new line is a decision; so is a missing one."""
    assert {(event, action): kind.value for (event, action), kind in HAPPENINGS.items()} == {
        ("issues", "labeled"): "labeled",
        ("issues", "unlabeled"): "unlabeled",
        ("issues", "edited"): "issue_edited",
        ("issues", "closed"): "issue_closed",
        ("issues", "transferred"): "issue_away",
        ("issues", "deleted"): "issue_away",
        ("issues", "locked"): "issue_away",
        ("issue_comment", "created"): "commented",
        ("issue_comment", "edited"): "issue_edited",
        ("issue_comment", "deleted"): "issue_edited",
        ("pull_request", "closed"): "change_closed",
        ("pull_request", "synchronize"): "change_pushed",
        ("pull_request_review", "submitted"): "reviewed",
    }


@pytest.mark.parametrize("action", ["transferred", "renamed", "publicized", "privatized", "deleted"])
def test_what_becomes_of_a_repository_is_no_event(action: str) -> None:
    """It names no issue; where the repository is and who may read it is asked before each step."""
    assert not acts_on("repository", action)
    assert see("repository", FRAME | {"action": action, "changes": {}}) is None


def test_an_edited_issue_says_who_edited_it_and_how_it_reads_now() -> None:
    """The editor need not be the author."""
    editor = {"id": 8, "login": "tom", "type": "User"}
    changes = {"title": {"from": "Sort"}}
    seen = must_see("issues", FRAME | {"action": "edited", "issue": ISSUE, "sender": editor, "changes": changes})
    assert (seen.kind, seen.number, seen.actor.id) == (EventKind.ISSUE_EDITED, 42, 8)
    assert seen.issue is not None
    assert seen.issue.title == "Sort by price"
    assert see("issues", FRAME | {"action": "edited", "issue": ISSUE | {"pull_request": {"url": "x"}}}) is None


@pytest.mark.parametrize("action", ["edited", "deleted"])
@pytest.mark.parametrize("author", [MIRA, None, {"id": 8, "login": "gatewright[bot]", "type": "Bot"}])
def test_a_comment_that_is_not_what_it_was_never_acts_but_is_told(action: str, author: dict[str, Any] | None) -> None:
    """An edited comment would act with today's rights on another text; one of ours may be what people approve."""
    payload = FRAME | {"action": action, "issue": ISSUE, "comment": COMMENT | {"user": author}}
    seen = must_see("issue_comment", payload)
    assert (seen.kind, seen.number, seen.actor.id, seen.on_change) == (EventKind.ISSUE_EDITED, 42, 7, False)
    assert seen.comment is not None
    assert seen.comment.author.id == (author["id"] if author else 0)
    on_change = payload | {"issue": ISSUE | {"pull_request": {"url": "x"}}}
    assert see("issue_comment", on_change) is None


def test_only_created_comments_act() -> None:
    """Nothing else is a comment that somebody made."""
    payload = FRAME | {"issue": ISSUE, "comment": COMMENT}
    acting = [action for (event, action), kind in HAPPENINGS.items() if kind is EventKind.COMMENTED]
    assert acting == ["created"]
    assert must_see("issue_comment", payload | {"action": "created"}).comment is not None


def test_a_push_says_who_pushed_what() -> None:
    """The pusher is the sender, whoever opened the pull request; the commit is the new head."""
    pusher = {"id": 8, "login": "tom", "type": "User"}
    seen = must_see("pull_request", FRAME | {"action": "synchronize", "pull_request": PULL, "sender": pusher})
    assert (seen.kind, seen.actor.id, seen.head_sha, seen.on_change) == (EventKind.CHANGE_PUSHED, 8, SHA, True)


def test_a_comment_on_a_pull_request_says_so() -> None:
    """`issue.pull_request` is the only sign; the issue side is not an issue then."""
    issue = ISSUE | {"pull_request": {"url": "x"}}
    seen = must_see("issue_comment", FRAME | {"action": "created", "issue": issue, "comment": COMMENT})
    assert seen.on_change
    assert seen.issue is None


@pytest.mark.parametrize("author", [None, {"id": 8, "login": "mallory", "type": "User"}])
def test_words_that_are_not_the_senders_move_nothing(author: dict[str, Any] | None) -> None:
    """A deleted author, or a sender who is somebody else, cannot command."""
    payload = FRAME | {"action": "created", "issue": ISSUE, "comment": COMMENT | {"user": author}}
    assert see("issue_comment", payload) is None
    review = FRAME | {"action": "submitted", "pull_request": PULL, "review": REVIEW | {"user": author}}
    assert see("pull_request_review", review) is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("User", AccountKind.HUMAN), ("Bot", AccountKind.BOT), ("Organization", AccountKind.UNKNOWN), ("", "unknown")],
)
def test_the_account_kind_is_what_the_api_says(kind: str, expected: AccountKind) -> None:
    """A name that ends in [bot] proves nothing; the type does."""
    user = {"id": 9, "login": "helpful[bot]", "type": kind}
    payload = {
        "repository": REPO,
        "sender": user,
        "action": "created",
        "issue": ISSUE,
        "comment": COMMENT | {"user": user},
    }
    assert must_see("issue_comment", payload).actor.kind == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"merged": True}, EventKind.CHANGE_MERGED),
        ({"merged": False}, EventKind.CHANGE_CLOSED),
        ({"merged_at": "2026-11-21T10:00:00Z"}, EventKind.CHANGE_MERGED),
        ({"merged_at": None}, EventKind.CHANGE_CLOSED),
    ],
)
def test_closing_tells_merged_from_not(change: dict[str, Any], expected: EventKind) -> None:
    """A closed pull request is merged only when the payload says so."""
    seen = must_see("pull_request", FRAME | {"action": "closed", "pull_request": PULL | change})
    assert (seen.kind, seen.head_sha, seen.on_change) == (expected, SHA, True)


@pytest.mark.parametrize(
    ("state", "approves"),
    [("approved", True), ("APPROVED", True), ("changes_requested", False), ("commented", False), ("", False)],
)
def test_only_an_approving_review_approves(state: str, approves: bool) -> None:
    """The reviewed commit travels with it, and the text may hold commands."""
    review = REVIEW | {"state": state, "body": "/fix the title"}
    seen = must_see("pull_request_review", FRAME | {"action": "submitted", "pull_request": PULL, "review": review})
    assert (seen.review_approves, seen.head_sha) == (approves, "b" * 40)
    assert seen.comment is not None
    assert seen.comment.body == "/fix the title"


def test_a_review_of_no_commit_approves_nothing() -> None:
    """Without a commit there is nothing an approval could bind."""
    review = REVIEW | {"commit_id": None}
    seen = must_see("pull_request_review", FRAME | {"action": "submitted", "pull_request": PULL, "review": review})
    assert not seen.review_approves


@pytest.mark.parametrize(
    "repository",
    [None, {}, {"id": 1}, REPO | {"id": "1"}, REPO | {"id": True}, REPO | {"id": 10**400}]
    + [REPO | {"full_name": n} for n in ("a", "a/b/c", "../x", "x/..", "a/b?c", "a /b", "a/b\n", "ä/b", "a/b#")],
)
def test_a_repository_that_cannot_be_addressed_is_a_named_fault(repository: object) -> None:
    """Paths go into URLs, ids into keys: neither is guessed."""
    with pytest.raises(GatewrightError) as caught:
        see("issues", {"action": "closed", "issue": ISSUE, "repository": repository, "sender": MIRA})
    assert caught.value.code == "GW-FORGE-PAYLOAD"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
PLACES = ["issue", "comment", "pull_request", "review", "label", "repository", "sender", "installation"]
DEEP = [
    ("issue", "user"),
    ("comment", "user"),
    ("comment", "created_at"),
    ("pull_request", "head"),
    ("issue", "labels"),
]


@settings(max_examples=300, deadline=None)
@given(
    happening=st.sampled_from(sorted(HAPPENINGS)),
    junk=st.dictionaries(st.sampled_from(PLACES), JSON, max_size=2),
    deep=st.dictionaries(st.sampled_from(DEEP), JSON, max_size=2),
)
def test_any_json_is_an_event_or_nothing_or_a_named_fault(
    happening: tuple[str, str], junk: dict[str, Any], deep: dict[tuple[str, str], Any]
) -> None:
    """Whatever stands in whichever member, nothing but GatewrightError leaves the parser."""
    event, action = happening
    payload = copy.deepcopy(
        FRAME | {"issue": ISSUE, "comment": COMMENT, "pull_request": PULL, "review": REVIEW, "label": {"name": "x"}}
    )
    for (outer, inner), value in deep.items():
        payload[outer][inner] = value
    try:
        result = see(event, payload | junk | {"action": action})
    except GatewrightError as error:
        assert error.code == "GW-FORGE-PAYLOAD"  # noqa: PT017 - both ways out are right
    else:
        if result is not None:
            msgspec.json.encode(result)
