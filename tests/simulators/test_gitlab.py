"""The simulated GitLab keeps GitLab's own rules: quick actions, hooks, levels, scopes, approvals, git, payloads."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.simulators.gitlab import GitLabSimulator, Traits
from tests.simulators.gitlab.mailbox import Mailbox
from tests.simulators.gitlab.people import Person
from tests.simulators.gitlab.published import published
from tests.simulators.gitlab.quick_actions import NAMES, SUBSTITUTIONS, Rule, extract, found

SECRET = "It's a Secret to Everybody"
SIGNING = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as box:
        yield box


@pytest.fixture
def gitlab(test_data: Path) -> Iterator[GitLabSimulator]:
    with GitLabSimulator(root="/gitlab") as simulator:
        yield simulator
        faults = simulator.contract_faults(test_data)
        assert not faults, "\n".join(faults)


@pytest.fixture
def mira(gitlab: GitLabSimulator, mailbox: Mailbox) -> Person:
    project = gitlab.project("pay/core/api")
    gitlab.hook(mailbox.url, token=SECRET, signing=SIGNING, project=project)
    return gitlab.user("mira", project, "maintainer")


@contextlib.contextmanager
def client(gitlab: GitLabSimulator, token: str) -> Iterator[httpx.Client]:
    headers = {"private-token": token} if token else {}
    with httpx.Client(base_url=gitlab.api_url, headers=headers, trust_env=False, timeout=20) as made:
        yield made


def git(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    env |= {"GIT_TERMINAL_PROMPT": "0", "HOME": "/nonexistent"}
    who = ("-c", "user.name=Bot", "-c", "user.email=bot@nowhere.test")
    return subprocess.run(["git", *who, *args], cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_a_whole_story_is_told_signed_and_in_the_shape_of_the_samples(
    gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person
) -> None:
    """From label to merge; shapes are held by the fixture."""
    number = mira.opens_issue("Sort by price", "please", labels=["bug"])
    mira.labels_issue(number, "gatewright")
    mira.unlabels_issue(number, "bug")
    note = mira.comments(number, "@gatewright approve")
    assert note is not None
    mira.awards("eyes", note=note)
    mira.commits("work", {"a.txt": "1"})
    change = mira.opens_change("Sort", "work")
    lead = gitlab.user("lead", mira.project, "maintainer")
    lead.approves(change)
    mira.commits("work", {"a.txt": "2"})
    lead.comments(change, "nice", on_change=True)
    pipeline = mira.runs_pipeline("work", source="merge_request_event")
    mira.finishes(pipeline.jobs[0])
    lead.merges(change)
    mira.closes(number)
    gitlab.wait_settled()
    assert mailbox.kinds() == [
        "issue.open",
        "issue.update",
        "issue.update",
        "note.create",
        "emoji.award",
        "push",
        "merge_request.open",
        "merge_request.approved",
        "push",
        "merge_request.update",
        "merge_request.unapproved",
        "note.create",
        "build",
        "pipeline",
        "build",
        "pipeline",
        "merge_request.merge",
        "push",
        "issue.close",
    ]
    changes = mailbox.payloads[1]["changes"]["labels"]
    assert [label["title"] for label in changes["previous"]] == ["bug"]
    assert [label["title"] for label in changes["current"]] == ["bug", "gatewright"]
    assert "oldrev" in mailbox.payloads[9]["object_attributes"]
    assert mailbox.payloads[10]["object_attributes"]["system_action"] == "approvals_reset_on_push"
    for headers, body in mailbox.received:
        assert headers["x-gitlab-token"] == SECRET
        assert headers["x-gitlab-instance"] == gitlab.url
        assert headers["webhook-id"] == headers["idempotency-key"]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = hmac.new(b"0123456789abcdef0123456789abcdef", signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
    assert len({headers["idempotency-key"] for headers, _ in mailbox.received}) == len(mailbox.received)


@pytest.mark.parametrize(
    ("body", "saved", "executed"),
    [
        ("/approve", None, ["approve"]),
        ("/CLOSE now", None, ["close"]),
        ("LGTM\n/approve", "LGTM", ["approve"]),
        ("/approve\nplease", "please", ["approve"]),
        ("/gatewright approve", "/gatewright approve", []),
        ("@gatewright approve", "@gatewright approve", []),
        (" /approve", " /approve", []),
        ("> /approve", "> /approve", []),
        ("```\n/close\n```", "```\n/close\n```", []),
        ("hello\n\r/close", "hello", ["close"]),
    ],
)
def test_lines_that_gitlab_carries_out_are_never_saved(
    gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person, body: str, saved: str | None, executed: list[str]
) -> None:
    """A note of commands only is answered 202 and has no hook; `/approve` goes on issues too."""
    number = mira.opens_issue("a")
    with client(gitlab, mira.makes_token().value) as holder:
        answer = holder.post(f"/projects/{mira.project.id}/issues/{number}/notes", json={"body": body})
        notes = holder.get(f"/projects/pay%2Fcore%2Fapi/issues/{number}/notes?activity_filter=only_comments").json()
    gitlab.wait_settled()
    assert [action.name for action in gitlab.executed] == executed
    if saved is None:
        assert answer.status_code == 202
        assert answer.json().keys() == {"commands_changes", "summary"}
        assert notes == []
        assert "note.create" not in mailbox.kinds()
    else:
        assert answer.json()["body"] == notes[0]["body"] == saved
        assert "note.create" in mailbox.kinds()


def test_quick_actions_have_the_rights_of_whoever_wrote_them_even_of_the_bot(
    gitlab: GitLabSimulator, mira: Person
) -> None:
    """A description that quotes `/close` closes the issue; what a guest may not do is dropped all the same."""
    _, token = gitlab.access_token(mira.project)
    guest = gitlab.user("guest", mira.project, "guest")
    number = mira.opens_issue("a")
    guest.comments(number, "/close")
    assert mira.project.issues[number].state == "opened"
    with client(gitlab, token.value) as bot:
        bot.post(f"/projects/{mira.project.id}/issues/{number}/notes", json={"body": "You said:\n\n/close"})
        made = bot.post(f"/projects/{mira.project.id}/issues", json={"title": "b", "description": "x\n/title gone"})
    assert mira.project.issues[number].state == "closed"
    assert made.json()["description"] == "x"
    assert mira.project.issues[made.json()["iid"]].title == "gone"
    assert [(a.user.bot, a.name, a.applied) for a in gitlab.executed] == [
        (False, "close", False),
        (True, "close", True),
        (True, "title", True),
    ]


def test_native_quick_actions_on_a_merge_request_approve_and_merge(gitlab: GitLabSimulator, mira: Person) -> None:
    mira.commits("work", {"a.txt": "1"})
    change = mira.opens_change("Sort", "work")
    assert mira.comments(change, "/approve", on_change=True) is None
    assert [who.username for who, _ in mira.project.merge_requests[change].approvals] == ["mira"]
    mira.comments(change, "good\n/merge", on_change=True)
    assert mira.project.merge_requests[change].state == "merged"


def test_the_hook_of_an_edit_names_the_author_as_its_user(
    gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person
) -> None:
    """And a note edited down to commands is deleted without a hook."""
    author = gitlab.user("ann", mira.project, "reporter")
    number = author.opens_issue("a")
    note = author.comments(number, "hello")
    assert note is not None
    mira.edits_note(note, "@gatewright approve")
    with client(gitlab, mira.makes_token().value) as holder:
        here = f"/projects/{mira.project.id}/issues/{number}/notes/{note}"
        shown = holder.get(here).json()
        assert holder.put(here, json={"body": "/close"}).status_code == 400
        assert holder.get(here).status_code == 404
    gitlab.wait_settled()
    edited = [p for p in mailbox.payloads if p["object_kind"] == "note"][1]
    assert edited["object_attributes"]["action"] == "update"
    assert edited["user"]["username"] == shown["author"]["username"] == "ann"
    assert edited["object_attributes"]["updated_at"].endswith(" UTC")  # whole seconds
    assert shown["updated_at"][-1] == "Z"
    assert "." in shown["updated_at"]  # milliseconds
    assert mailbox.kinds().count("note.update") == 1


def test_old_instances_leave_out_what_is_new(mailbox: Mailbox, test_data: Path) -> None:
    """No action of notes, no Idempotency-Key, no signature, no ids of user and project, no event type."""
    with GitLabSimulator(traits=Traits.old()) as gitlab:
        project = gitlab.project("a/b/c/d")
        gitlab.hook(mailbox.url, token=SECRET, signing=SIGNING, project=project)
        mira = gitlab.user("mira", project, "developer")
        number = mira.opens_issue("a")
        mira.comments(number, "hello")
        gitlab.wait_settled()
        assert gitlab.contract_faults(test_data) == []
    (_, _), (headers, _) = mailbox.received
    assert not headers.keys() & {"idempotency-key", "webhook-id", "webhook-signature"}
    issue, note = mailbox.payloads
    assert "action" not in note["object_attributes"]
    assert "event_type" not in issue
    assert "id" not in issue["user"]
    assert "id" not in issue["project"]
    assert issue["project"]["path_with_namespace"] == "a/b/c/d"


def test_a_project_hook_and_its_groups_hooks_all_fire_with_keys_of_their_own(
    gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person
) -> None:
    """So does a system hook, for pushes and merge requests, always as a System Hook."""
    gitlab.hook(mailbox.url, group=gitlab.group("pay"))
    gitlab.hook(mailbox.url)
    number = mira.opens_issue("a")
    mira.comments(number, "hello")
    mira.commits("work", {"a.txt": "1"})
    gitlab.project("pay/other")
    gitlab.wait_settled()
    events = [headers["x-gitlab-event"] for headers, _ in mailbox.received]
    assert events.count("Note Hook") == events.count("Push Hook") == 2
    assert [p.get("event_name") for p in mailbox.payloads if "event_name" in p] == ["push"] * 3 + ["project_create"]
    assert events.count("System Hook") == 2
    assert len({headers["idempotency-key"] for headers, _ in mailbox.received}) == len(events)


def test_confidential_talk_comes_under_its_own_event(gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person) -> None:
    """Guests see neither confidential issues nor internal notes."""
    secret = mira.opens_issue("hush", confidential=True)
    mira.comments(secret, "hello")
    public = mira.opens_issue("open")
    inner = mira.comments(public, "internal", internal=True)
    gitlab.wait_settled()
    assert [headers["x-gitlab-event"] for headers, _ in mailbox.received] == [
        "Confidential Issue Hook",
        "Confidential Note Hook",
        "Issue Hook",
        "Confidential Note Hook",
    ]
    guest = gitlab.user("guest", mira.project, "guest")
    with client(gitlab, guest.makes_token().value) as holder:
        here = f"/projects/{mira.project.id}/issues"
        assert [issue["title"] for issue in holder.get(here).json()] == ["open"]
        assert holder.get(f"{here}/{secret}").status_code == 404
        assert holder.get(f"{here}/{public}/notes/{inner}").status_code == 404


def test_a_hook_that_fails_four_times_pauses_until_a_test_or_time_brings_it_back(
    gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person
) -> None:
    """What happens in the pause is never sent."""
    mailbox.status = 503
    for name in "abcde":
        mira.opens_issue(name)
    gitlab.wait_settled()
    assert len(mailbox.received) in {4, 5}  # the fifth may already be queued when the fourth fails
    mira.opens_issue("lost")
    gitlab.wait_settled()
    (hook,) = mira.project.hooks
    assert "lost" in [delivery.payload["object_attributes"]["title"] for delivery in gitlab.courier.withheld]
    with client(gitlab, mira.makes_token().value) as holder:
        here = f"/projects/{mira.project.id}/hooks"
        assert holder.get(here).json()[0]["alert_status"] == "temporarily_disabled"
        assert holder.post(f"{here}/{hook.id}/test/issues_events").status_code == 422
        mailbox.status = 200
        assert holder.post(f"{here}/{hook.id}/test/issues_events").status_code == 201
        assert holder.get(f"{here}/{hook.id}").json()["alert_status"] == "executable"
    mira.opens_issue("heard")
    gitlab.wait_settled()
    assert mailbox.payloads[-1]["object_attributes"]["title"] == "heard"
    mailbox.status = 500
    for _ in range(4):
        mira.opens_issue("x")
        gitlab.wait_settled()
    mailbox.status = 200
    gitlab.skew(61)  # the first pause is a minute
    mira.opens_issue("back")
    gitlab.wait_settled()
    assert mailbox.payloads[-1]["object_attributes"]["title"] == "back"


def test_an_old_instance_gives_up_on_a_hook_that_answers_4xx(mailbox: Mailbox) -> None:
    mailbox.status = 401
    with GitLabSimulator(traits=Traits(disables="forever")) as gitlab:
        mira = gitlab.user("mira", gitlab.project(), "developer")
        gitlab.hook(mailbox.url, project=mira.project)
        for _ in range(4):
            mira.opens_issue("x")
            gitlab.wait_settled()
        gitlab.skew(86_400 * 2)
        mira.opens_issue("y")
        gitlab.wait_settled()
    assert len(mailbox.received) == 4


def test_resending_keeps_the_key_and_is_limited_to_five_a_minute(
    gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person
) -> None:
    """The list of events names what failed; deliveries can be held, reordered and doubled."""
    mailbox.status = 500
    mira.opens_issue("a")
    gitlab.wait_settled()
    mailbox.status = 200
    (hook,) = mira.project.hooks
    with client(gitlab, mira.makes_token().value) as holder:
        here = f"/projects/{mira.project.id}/hooks/{hook.id}/events"
        (failed,) = holder.get(here, params={"status": "server_failure"}).json()
        assert failed["request_headers"]["X-Gitlab-Token"] == "[REDACTED]"
        answers = [holder.post(f"{here}/{failed['id']}/resend").status_code for _ in range(6)]
    assert answers == [201] * 5 + [429]
    gitlab.redeliver(gitlab.deliveries[0], by_request=False)
    gitlab.wait_settled()
    assert len({headers["idempotency-key"] for headers, _ in mailbox.received}) == 1
    assert len({headers["x-gitlab-webhook-uuid"] for headers, _ in mailbox.received}) == 7
    gitlab.hold()
    mira.opens_issue("b")
    mira.opens_issue("c")
    gitlab.release(lambda held: held[::-1])
    gitlab.wait_settled()
    assert [p["object_attributes"]["title"] for p in mailbox.payloads[-2:]] == ["c", "b"]


def test_hooks_set_off_by_a_hooks_own_chain_are_not_sent_again(
    gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person
) -> None:
    """Only who forwards X-Gitlab-Event-UUID is guarded; a bot's ordinary calls are not."""
    number = mira.opens_issue("a")
    gitlab.wait_settled()
    uuid = mailbox.received[0][0]["x-gitlab-event-uuid"]
    here = f"/projects/{mira.project.id}/issues/{number}/notes"
    with client(gitlab, mira.makes_token().value) as holder:
        holder.post(here, json={"body": "one"}, headers={"x-gitlab-event-uuid": uuid})
        holder.post(here, json={"body": "two"})
    gitlab.wait_settled()
    assert [p["object_attributes"].get("note") for p in mailbox.payloads] == [None, "two"]


def test_levels_are_inherited_and_the_blocked_stay_members(gitlab: GitLabSimulator, mira: Person) -> None:
    """members/all knows the highest level on the way up, and only by number; a blocked account is listed as blocked."""
    lead = gitlab.user("lead", mira.project, "owner", on=gitlab.group("pay")).is_granted("guest")
    gone = gitlab.user("gone", mira.project, "developer")
    token = gone.makes_token()
    gone.is_blocked()
    bot, _ = gitlab.access_token(mira.project)
    with client(gitlab, mira.makes_token().value) as holder:
        here = "/projects/pay%2Fcore%2Fapi/members/all"
        assert holder.get(f"{here}/{lead.id}").json()["access_level"] == 50
        assert holder.get(f"{here}/{gone.id}").json()["state"] == "blocked"
        assert holder.get(f"{here}/{gitlab.user('nobody', mira.project).id}").status_code == 404
        assert holder.get(f"/users/{bot.id}").json()["bot"] is True
        assert {member["username"] for member in holder.get(here).json()} >= {"mira", "lead"}
    with client(gitlab, token.value) as holder:
        assert holder.get("/user").status_code == 403


def test_tokens_do_what_their_scopes_say_where_they_belong(gitlab: GitLabSimulator, mira: Person) -> None:
    other = gitlab.project("pay/core/other")
    _, narrow = gitlab.access_token(mira.project, "developer", ("read_api",))
    _, wide = gitlab.access_token(other, "developer", within=gitlab.group("pay"))
    here = f"/projects/{mira.project.id}"
    with client(gitlab, narrow.value) as holder:
        assert holder.get(here).status_code == 200
        assert holder.get("/personal_access_tokens/self").json()["scopes"] == ["read_api"]
        refused = holder.post(f"{here}/issues", json={"title": "x"})
        assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
        assert holder.get(f"/projects/{other.id}").status_code == 404
    with client(gitlab, wide.value) as holder:
        assert holder.post(f"{here}/issues", json={"title": "x"}).status_code == 201
        gitlab.revoke(wide)
        assert holder.get(here).json()["error"] == "invalid_token"
    short = mira.makes_token(life=60)
    gitlab.skew(61)
    for value in (short.value, "glpat-nonsense", ""):
        with client(gitlab, value) as holder:
            assert holder.get("/user").status_code == 401


def test_approvals_are_bound_to_the_head_and_fall_with_a_push(gitlab: GitLabSimulator, mira: Person) -> None:
    first = mira.commits("work", {"a.txt": "1"})
    change = mira.opens_change("Sort", "work", draft=True)
    lead = gitlab.user("lead", mira.project, "developer")
    here = f"/projects/{mira.project.id}/merge_requests/{change}"
    with client(gitlab, lead.makes_token().value) as holder:
        assert holder.post(f"{here}/approve", json={"sha": "0" * 40}).status_code == 409
        approved = holder.post(f"{here}/approve", json={"sha": first})
        assert [by["user"]["id"] for by in approved.json()["approved_by"]] == [lead.id]
        mira.commits("work", {"a.txt": "2"})
        assert holder.get(f"{here}/approvals").json()["approved_by"] == []
        shown = holder.get(here).json()
        assert (shown["draft"], shown["title"]) == (True, "Draft: Sort")
        assert shown["sha"] == shown["diff_refs"]["head_sha"] != first
        assert holder.put(f"{here}/merge", json={"sha": first}).status_code == 401  # main is for maintainers
        assert holder.put(here, json={"description": "now\n/ready"}).json()["draft"] is False
    mira.merges(change)
    assert gitlab.hosting.refs(mira.project)["refs/heads/main"] == mira.project.merge_requests[change].merge_sha


def test_git_asks_for_credentials_first_and_holds_the_rules_of_pushing(
    gitlab: GitLabSimulator, mira: Person, tmp_path: Path
) -> None:
    """Any user name goes with a token; protected branches, refused refs and unknown authors are refused by a hook."""
    _, token = gitlab.access_token(mira.project)
    bare = gitlab.clone_url(mira.project)
    url = bare.replace("://", f"://anybody:{token.value}@")
    assert git("ls-remote", bare).returncode != 0
    assert git("clone", "-q", url, str(tmp_path / "work")).returncode == 0
    requests = gitlab.git_requests
    assert [(r.user[:7], r.status) for r in requests[:3]] == [("", 401), ("", 401), ("project", 200)]
    work = tmp_path / "work"
    (work / "b.txt").write_text("b")
    git("add", ".", cwd=work)
    git("commit", "-qm", "b", cwd=work)
    assert "protected branches" in git("push", "origin", "HEAD:main", cwd=work).stderr
    assert git("push", "origin", "HEAD:refs/heads/bot/one", cwd=work).returncode == 0
    assert git("push", "origin", "HEAD:refs/gatewright/audit/1", cwd=work).returncode == 0
    gitlab.traits.refused_refs = ("refs/gatewright/",)
    assert "not allowed" in git("push", "origin", "HEAD:refs/gatewright/audit/2", cwd=work).stderr
    mira.project.rejects_unknown_authors = True
    git("commit", "-q", "--allow-empty", "-m", "c", cwd=work)
    assert "is not a member of team" in git("push", "origin", "HEAD:refs/heads/bot/two", cwd=work).stderr
    email = f"user.email={mira.user.email}"
    git("-c", email, "commit", "-q", "--amend", "--reset-author", "--allow-empty", "-m", "c", cwd=work)
    git("reset", "-q", "--hard", "origin/main", cwd=work)
    git("-c", email, "commit", "-q", "--allow-empty", "-m", "d", cwd=work)
    assert git("push", "origin", "HEAD:refs/heads/bot/two", cwd=work).returncode == 0
    _, reader = gitlab.access_token(mira.project, "developer", ("read_repository",))
    reading = bare.replace("://", f"://x:{reader.value}@")
    assert git("fetch", "-q", reading, cwd=work).returncode == 0
    assert git("push", reading, "HEAD:refs/heads/bot/three", cwd=work).returncode != 0


def test_rate_limits_and_other_faults_come_when_asked_for(gitlab: GitLabSimulator, mira: Person) -> None:
    number = mira.opens_issue("a")
    path = f"/projects/{mira.project.id}/issues/{number}/notes"
    gitlab.limit("POST", "/notes$", seconds=7)
    gitlab.fault("POST", "/notes$", status=500)
    gitlab.fault("POST", "/notes$", cut=True)
    with client(gitlab, mira.makes_token().value) as holder:
        limited = holder.post(path, json={"body": "x"})
        assert (limited.status_code, limited.text) == (429, "Retry later\n")
        assert limited.headers["retry-after"] == "7"
        assert limited.headers["ratelimit-remaining"] == "0"
        assert limited.headers["content-type"].startswith("text/plain")
        assert holder.post(path, json={"body": "x"}).status_code == 500
        with pytest.raises(httpx.RemoteProtocolError):
            holder.post(path, json={"body": "done all the same"})
        assert [note["body"] for note in holder.get(path).json()] == ["done all the same"]


def test_gitlabs_limits_hold(gitlab: GitLabSimulator, mira: Person) -> None:
    """A million characters, 5,000 notes (lowered here), 255 in a title, emoji once."""
    number = mira.opens_issue("a")
    here = f"/projects/{mira.project.id}/issues"
    with client(gitlab, mira.makes_token().value) as holder:
        assert holder.post(here, json={"title": "x" * 256}).json() == {
            "message": {"title": ["is too long (maximum is 255 characters)"]}
        }
        assert holder.post(f"{here}/{number}/notes", json={"body": "x" * 1_000_001}).status_code == 400
        made = holder.post(f"{here}/{number}/notes", json={"body": "x" * 1_000_000}).json()
        emoji = f"{here}/{number}/notes/{made['id']}/award_emoji"
        first = holder.post(emoji, json={"name": "eyes"})
        assert (first.status_code, first.json()["name"]) == (201, "eyes")
        again = holder.post(emoji, json={"name": "eyes"})
        assert (again.status_code, "already been taken" in again.json()["message"]) == (404, True)
        assert len(holder.get(emoji).json()) == 1
        assert holder.delete(f"{emoji}/{first.json()['id']}").status_code == 204
        gitlab.actions.most_notes = 2
        assert holder.post(f"{here}/{number}/notes", json={"body": "two"}).status_code == 201
        full = holder.post(f"{here}/{number}/notes", json={"body": "three"})
        assert (full.status_code, "Maximum number" in full.json()["message"]) == (400, True)


def test_commit_statuses_make_an_external_pipeline_and_refuse_to_stand_still(
    gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person
) -> None:
    sha = mira.commits("work", {"a.txt": "1"})
    here = f"/projects/{mira.project.id}"
    with client(gitlab, mira.makes_token().value) as holder:
        body = {"state": "pending", "name": "gatewright", "ref": "work", "description": "x"}
        assert holder.post(f"{here}/statuses/{sha}", json=body).status_code == 201
        stuck = holder.post(f"{here}/statuses/{sha}", json=body)
        assert (stuck.status_code, "Cannot transition" in stuck.json()["message"]) == (400, True)
        assert holder.post(f"{here}/statuses/{sha}", json=body | {"state": "success"}).status_code == 201
        (shown,) = holder.get(f"{here}/repository/commits/{sha}/statuses").json()
        assert (shown["name"], shown["status"], shown["sha"]) == ("gatewright", "success", sha)
        pipeline = holder.get(f"{here}/pipelines/{shown['pipeline_id']}").json()
        assert (pipeline["source"], pipeline["status"]) == ("external", "success")
        assert holder.post(f"{here}/statuses/{sha[:12]}", json=body).status_code == 404
        long = holder.post(f"{here}/statuses/{sha}", json=body | {"description": "x" * 256})
        assert long.status_code == 400
    gitlab.wait_settled()
    assert mailbox.kinds() == ["push", "pipeline", "pipeline"]


def test_the_rest_of_the_api_keeps_the_contract(gitlab: GitLabSimulator, mira: Person) -> None:
    """Every operation that no other test needs answers as published (held by the fixture)."""
    number = mira.opens_issue("a", labels=["gatewright"])
    sha = mira.commits("work", {"d/é.txt": "hello"})
    here = "/projects/pay%2Fcore%2Fapi"
    pipeline = mira.runs_pipeline("work", trace="building\n")
    job = pipeline.jobs[0].id
    with client(gitlab, mira.makes_token().value) as holder:
        opened = {"title": "t", "source_branch": "work", "target_branch": "main", "description": f"for #{number}"}
        change = holder.post(f"{here}/merge_requests", json=opened | {"labels": "x,y"}).json()["iid"]
        assert holder.post(f"{here}/merge_requests", json=opened).status_code == 409
        thread = holder.post(f"{here}/merge_requests/{change}/discussions", json={"body": "why?"}).json()["id"]
        replied = holder.post(f"{here}/merge_requests/{change}/discussions/{thread}/notes", json={"body": "so"})
        assert replied.status_code == 201
        assert len(holder.get(f"{here}/merge_requests/{change}/discussions").json()) == 1
        note = holder.post(f"{here}/issues/{number}/notes", json={"body": "one"}).json()["id"]
        assert holder.put(f"{here}/issues/{number}/notes/{note}", json={"body": "two"}).json()["body"] == "two"
        assert holder.delete(f"{here}/issues/{number}/notes/{note}").status_code == 204
        changed = holder.put(f"{here}/issues/{number}", json={"add_labels": "bug", "state_event": "close"}).json()
        assert (changed["labels"], changed["state"]) == (["bug", "gatewright"], "closed")
        assert holder.post(f"{here}/labels", json={"name": "new", "color": "#fff"}).status_code == 201
        assert holder.post(f"{here}/labels", json={"name": "new", "color": "#fff"}).status_code == 409
        assert holder.post(f"{here}/repository/branches", json={"branch": "a/b", "ref": "main"}).status_code == 201
        assert holder.get(f"{here}/repository/branches/a%2Fb").json()["name"] == "a/b"
        assert holder.delete(f"{here}/repository/branches/a%2Fb").status_code == 204
        file = holder.get(f"{here}/repository/files/d%2F%C3%A9.txt", params={"ref": sha}).json()
        assert base64.b64decode(file["content"]) == b"hello"
        raw = holder.get(f"{here}/repository/files/d%2F%C3%A9.txt/raw", params={"ref": "work"})
        assert raw.content == b"hello"
        missing = holder.get(f"{here}/repository/files/nothing/raw", params={"ref": sha})
        assert (missing.status_code, missing.json()) == (404, {"message": "404 File Not Found"})
        assert holder.get(f"{here}/jobs/{job}/trace").text == "building\n"
        config = {"url": "http://127.0.0.1:9/", "token": "s", "note_events": True, "push_events": False}
        hook = holder.post(f"{here}/hooks", json=config).json()
        assert (hook["note_events"], hook["push_events"], "token" in hook) == (True, False, False)
        assert holder.put(f"{here}/hooks/{hook['id']}", json=config | {"issues_events": True}).json()["issues_events"]
        assert holder.delete(f"{here}/hooks/{hook['id']}").status_code == 204
        for path in (
            "/user",
            "/version",
            "/metadata",
            here,
            f"{here}/issues?labels=gatewright&state=closed",
            f"{here}/issues/{number}",
            f"{here}/issues/{number}/related_merge_requests",
            f"{here}/issues/{number}/award_emoji",
            f"{here}/labels",
            f"{here}/labels/gatewright",
            f"{here}/merge_requests?source_branch=work&state=opened",
            f"{here}/merge_requests/{change}",
            f"{here}/merge_requests/{change}/award_emoji",
            f"{here}/merge_requests/{change}/commits",
            f"{here}/merge_requests/{change}/diffs",
            f"{here}/merge_requests/{change}/pipelines",
            f"{here}/pipelines/{pipeline.id}/jobs",
            f"{here}/jobs/{job}",
            f"{here}/repository/branches",
            f"{here}/repository/commits/{sha}",
        ):
            assert holder.get(path).status_code == 200, path
        assert holder.get(f"{here}/issues/{number}/related_merge_requests").json()[0]["iid"] == change


def test_lists_come_in_pages(gitlab: GitLabSimulator, mira: Person) -> None:
    """20 unless asked, 100 at most, with a link and headers to the next."""
    number = mira.opens_issue("a")
    for index in range(21):
        mira.comments(number, str(index))
    with client(gitlab, mira.makes_token().value) as holder:
        first = holder.get(f"/projects/{mira.project.id}/issues/{number}/notes?sort=asc")
        assert len(first.json()) == 20
        assert (first.headers["x-next-page"], first.headers["x-total"]) == ("2", "21")
        assert [note["body"] for note in holder.get(first.links["next"]["url"]).json()] == ["20"]


def test_the_contract_finds_what_gitlab_would_silently_ignore(test_data: Path) -> None:
    """A misspelt member, an unknown query, an unknown path."""
    with GitLabSimulator() as gitlab:
        mira = gitlab.user("mira", gitlab.project(), "developer")
        number = mira.opens_issue("a")
        with client(gitlab, mira.makes_token().value) as holder:
            here = f"/projects/{mira.project.id}/issues"
            holder.post(f"{here}/{number}/notes", json={"body": "x", "internl": True})
            holder.get(here, params={"label": "x"})
            holder.get(f"{here}/{number}/comments")
        faults = "\n".join(gitlab.contract_faults(test_data))
    assert all(word in faults for word in ("internl", "['label']", "no such operation"))


def test_an_answer_or_a_payload_out_of_shape_is_a_fault(test_data: Path) -> None:
    """What the simulator says is held as well: no member that GitLab does not have, none missing from its hooks."""
    with GitLabSimulator() as gitlab, Mailbox() as mailbox:
        mira = gitlab.user("mira", gitlab.project(), "developer")
        gitlab.hook(mailbox.url, project=mira.project)
        mira.opens_issue("a")
        with client(gitlab, mira.makes_token().value) as holder:
            holder.get(f"/projects/{mira.project.id}/issues")
        gitlab.wait_settled()
        (exchange,), (delivery,) = gitlab.exchanges, gitlab.deliveries
        assert gitlab.contract_faults(test_data) == []
    book = published(test_data / "forges" / "gitlab")
    (issue,) = json.loads(exchange.got)
    odd = dataclasses.replace(exchange, got=json.dumps([issue | {"number": 1}]).encode())
    assert ["number" in fault for fault in book.answer_faults(odd)] == [True]
    del delivery.payload["object_attributes"]["iid"]
    delivery.payload["issue_id"] = 1
    faults = list(book.payload_faults(delivery, old=False))
    assert faults == [
        "webhook issue open: issue_id is in no sample",
        "webhook issue open: object_attributes.iid is missing",
    ]


@given(st.text(alphabet=st.sampled_from(list("/close`>~-# \r\n\t<ap*|&\u2028\u00df\ufb01")), max_size=60))
@settings(max_examples=200, deadline=None)
def test_a_text_without_commands_is_left_as_it_is(text: str) -> None:
    """But for carriage returns and trailing blanks, which GitLab drops from every text."""
    for rule in Rule:
        left = extract(text, rule)
        assert "\r" not in left.text
        assert bool(left.actions) or left.text == text.replace("\r", "").rstrip(" \t\r\n\f\v\0")


def test_every_published_quick_action_is_known_in_any_case(test_data: Path) -> None:
    listed = json.loads((test_data / "forges/gitlab/facts.json").read_text())["quick_actions"]["names"]
    assert set(listed) <= NAMES | SUBSTITUTIONS.keys()
    for name in listed:
        for spelled in (name, name.upper(), name.title(), name.replace("ss", "ß")):
            for rule in Rule:
                assert extract(f"before\n/{spelled} x", rule).actions, (rule, spelled)


@pytest.mark.parametrize(
    ("text", "new", "old"),
    [
        ("~~~\n/close\n~~~", False, True),
        ("> quoted\n/close", False, True),
        ("<!-- x\n/close\n-->", False, True),
        ("<div>\n/close\n</div>", False, False),
        (">>>\n/close\n>>>", False, False),
        ("`\n/close\n`", False, False),
        ("- item\n/close", False, True),
        ("# title\n/close", True, True),
        ("    code\n/close", True, True),
        ("/closed", False, False),
        ("\\/close", False, False),
        ("&#47;close", False, False),
        ("/close\t", False, False),
        ("/close \n", True, True),
        ("\u2028/close", False, False),
    ],
)
def test_the_two_rules_of_gitlab_differ_where_only_one_reads_markdown(text: str, new: bool, old: bool) -> None:
    assert bool(extract(text, Rule.PARAGRAPHS).actions) is new
    assert bool(extract(text, Rule.LINES).actions) is old
    assert bool(found(text)) is (new or old)


async def test_it_serves_async_tests_and_writes_a_bots_settings() -> None:
    async with GitLabSimulator(root="/gitlab") as gitlab:
        project = gitlab.project("a/b/c")
        bot, token = gitlab.access_token(project)
        table = gitlab.table(token=token.value, webhook_tokens=("s",))
        url = table["url"] if isinstance(table, dict) else table.url
        async with httpx.AsyncClient(trust_env=False) as holder:
            asked = await holder.get(f"{url}/api/v4/user", headers={"authorization": f"Bearer {token.value}"})
        assert asked.json()["id"] == bot.id
        assert gitlab.repo(project).path == "a/b/c"
        await gitlab.settled()


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    """It prints the settings of a bot and ends when told to."""
    (tmp_path / "a.txt").write_text("hello")
    command = [sys.executable, "-m", "tests.simulators.gitlab", "--files", str(tmp_path), "--root", "/gitlab"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as program:
        assert program.stdout is not None
        url = program.stdout.readline().split("'")[1]
        token = program.stdout.readline().split("'")[1]
        with httpx.Client(trust_env=False, headers={"private-token": token}) as holder:
            answer: dict[str, Any] = holder.get(f"{url}/api/v4/projects/pay%2Fcore%2Fapi").json()
            assert answer["default_branch"] == "main"
        program.terminate()
    assert program.returncode == 0


def test_who_set_and_took_labels_is_kept(gitlab: GitLabSimulator, mira: Person) -> None:
    """Also what was given at opening; a label that was deleted has no name left."""
    number = mira.opens_issue("a", labels=["bug"])
    mira.labels_issue(number, "gatewright")
    mira.unlabels_issue(number, "bug")
    with client(gitlab, mira.makes_token().value) as holder:
        path = f"/projects/{mira.project.id}/issues/{number}/resource_label_events"
        told = [(e["action"], e["label"]["name"], e["user"]["id"]) for e in holder.get(path).json()]
        assert told == [("add", "bug", mira.id), ("add", "gatewright", mira.id), ("remove", "bug", mira.id)]
        gitlab.do(lambda: mira.project.labels.remove(mira.project.label("bug")))
        assert [event["label"] is None for event in holder.get(path).json()] == [True, False, True]


def test_a_moved_issue_is_a_copy_that_says_where_it_came_from(
    gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person
) -> None:
    to = gitlab.project("pay/core/web")
    number = mira.opens_issue("a", labels=["gatewright"])
    mira.comments(number, "hello")
    there = mira.transfers_issue(number, to)
    gitlab.wait_settled()
    assert mailbox.kinds() == ["issue.open", "note.create", "issue.close"]
    assert mailbox.payloads[-1]["object_attributes"]["moved_to_id"] == to.issues[there].id
    with client(gitlab, mira.makes_token().value) as holder:
        mira.within(to).is_granted("developer")
        assert holder.get(f"/projects/{mira.project.id}/issues/{number}").json()["moved_to_id"] == to.issues[there].id
        only = {"activity_filter": "only_activity"}
        notes = holder.get(f"/projects/{to.id}/issues/{there}/notes", params=only).json()
        assert [note["body"] for note in notes] == [f"moved from pay/core/api#{number}"]
        copied = holder.get(f"/projects/{to.id}/issues/{there}/resource_label_events").json()
        assert [event["label"]["name"] for event in copied] == ["gatewright"]


def test_imported_and_mailed_issues_say_so(gitlab: GitLabSimulator, mira: Person) -> None:
    brought, mailed = mira.imports_issue("a", source="bitbucket"), gitlab.service_desk(mira.project, "b", "x@y.example")
    with client(gitlab, mira.makes_token().value) as holder:
        here = f"/projects/{mira.project.id}/issues"
        first, second = (holder.get(f"{here}/{number}").json() for number in (brought, mailed))
    assert (first["imported"], first["imported_from"], first["service_desk_reply_to"]) == (True, "bitbucket", None)
    assert (second["imported"], second["service_desk_reply_to"]) == (False, "x@y.example")
    assert second["author"]["username"] == "support-bot"


def test_groups_show_members_to_those_who_see_them(gitlab: GitLabSimulator, mira: Person) -> None:
    """With the day they came and the day they go; rights from above count below."""
    until = dt.date(2030, 1, 1)
    tom = gitlab.user("tom", mira.project)
    group, above = tom.joins("security/leads", days_ago=10, until=until), gitlab.group("security")
    path = f"/groups/{group.id}/members/all/{tom.id}"
    with client(gitlab, mira.makes_token().value) as holder:
        assert holder.get(path).status_code == 404
        mira.joins(above)
        seen = holder.get(path).json()
        assert (seen["id"], seen["expires_at"], seen["access_level"]) == (tom.id, "2030-01-01", 10)
        assert seen["created_at"] < seen_now(gitlab)
        assert holder.get(f"/groups/security%2Fleads/members/all/{mira.id}").status_code == 200
        assert holder.get(f"/groups/security/members/all/{tom.id}").status_code == 404
        tom.leaves(group)
        assert holder.get(path).status_code == 404


def seen_now(gitlab: GitLabSimulator) -> str:
    return gitlab.world.now().isoformat()


def test_directories_comparisons_and_commits_are_gits(gitlab: GitLabSimulator, mira: Person) -> None:
    base = mira.commits("work", {"a.txt": "1", "d/b.txt": "2"})
    head = mira.commits("work", {"a.txt": "3"})
    here = f"/projects/{mira.project.id}/repository"
    with client(gitlab, mira.makes_token().value) as holder:
        shown = holder.get(f"{here}/tree", params={"ref": head, "per_page": 100}).json()
        assert [(e["mode"], e["type"], e["name"]) for e in shown] == [
            ("040000", "tree", "d"), ("100644", "blob", "README.md"), ("100644", "blob", "a.txt"),
        ]  # fmt: skip
        assert holder.get(f"{here}/tree", params={"ref": "nowhere"}).status_code == 404
        parted = holder.get(f"{here}/merge_base", params={"refs[]": ["main", "work"]}).json()
        assert parted["id"] == gitlab.hosting.branch(mira.project, "main")
        unknown = holder.get(f"{here}/merge_base", params={"refs[]": ["main", "f" * 40]})
        assert (unknown.status_code, unknown.json()["message"]) == (400, f"Could not find ref: {'f' * 40}")
        found = holder.get(f"{here}/compare", params={"from": base, "to": head, "straight": "true"}).json()
        assert ([diff["new_path"] for diff in found["diffs"]], found["compare_timeout"]) == (["a.txt"], False)
        log = holder.get(f"{here}/commits", params={"path": "d/b.txt", "ref_name": "work"}).json()
        assert [commit["id"] for commit in log] == [base]


def test_protected_branches_hold_pushes_and_merges(gitlab: GitLabSimulator, mira: Person, tmp_path: Path) -> None:
    """Accounts that are named may, whatever the levels; of several rules the one that allows most decides."""
    bot, token = gitlab.access_token(mira.project)
    mira.protects("rel*", only=[bot.id])
    url = gitlab.clone_url(mira.project)
    git("clone", "-q", url.replace("://", f"://x:{token.value}@"), str(tmp_path))
    assert git("push", "origin", "HEAD:refs/heads/release/1", cwd=tmp_path).returncode == 0
    personal = url.replace("://", f"://x:{mira.makes_token().value}@")
    assert "protected branches" in git("push", personal, "HEAD:refs/heads/release/2", cwd=tmp_path).stderr
    mira.protects("release/*", push=40, merge=40)
    assert git("push", personal, "HEAD:refs/heads/release/2", cwd=tmp_path).returncode == 0
    mira.commits("work", {"a.txt": "1"})
    mira.protects("main", only=[bot.id])
    change = mira.opens_change("a", "work")
    head = mira.project.merge_requests[change].sha
    path = f"/projects/{mira.project.id}"
    with client(gitlab, mira.makes_token().value) as holder:
        assert holder.put(f"{path}/merge_requests/{change}/merge", json={"sha": head}).status_code == 401
        rules = {rule["name"]: rule for rule in holder.get(f"{path}/protected_branches").json()}
        (level,) = rules["main"]["merge_access_levels"]
        assert (level["user_id"], level["access_level"]) == (bot.id, 40)
        mira.protects("main")
        shown = holder.get(f"{path}/protected_branches/main").json()
        assert [level["access_level"] for level in shown["push_access_levels"]] == [0]
        mira.protects("main", only=[bot.id])
    with client(gitlab, token.value) as holder:
        assert holder.put(f"{path}/merge_requests/{change}/merge", json={"sha": "f" * 40}).status_code == 409
        assert holder.put(f"{path}/merge_requests/{change}/merge", json={"sha": head}).json()["state"] == "merged"


def test_pushes_start_pipelines_unless_they_say_otherwise(gitlab: GitLabSimulator, mira: Person) -> None:
    """A skipped one is there and does not run; one that is asked for runs; opening a merge request starts its own."""
    config = {".gitlab-ci.yml": "test: {script: make, rules: [{if: $CI_MERGE_REQUEST_IID}]} # merge_request"}
    first = mira.pushes("work", config, options=["ci.skip"])
    change = mira.opens_change("a", "work")
    second = mira.pushes("work", {"a.txt": "1"})
    seen = [(p.source, p.sha, p.status) for p in mira.project.pipelines]
    assert seen == [
        ("push", first, "skipped"), ("merge_request_event", first, "created"),
        ("push", second, "created"), ("merge_request_event", second, "created"),
    ]  # fmt: skip
    assert [r.options for r in gitlab.git_requests if r.options] == [("ci.skip",)]
    mira.pushes("quiet", config | {"b.txt": "1"}, "Quiet\n\n[skip ci]")
    mira.opens_change("b", "quiet")
    assert [(p.source, p.status) for p in mira.project.pipelines[4:]] == [
        ("push", "skipped"), ("merge_request_event", "skipped"),
    ]  # fmt: skip
    with client(gitlab, mira.makes_token().value) as holder:
        path = f"/projects/{mira.project.id}"
        made = holder.post(f"{path}/merge_requests/{change}/pipelines", json={}).json()
        assert (made["sha"], made["source"]) == (second, "merge_request_event")
        stopped = holder.post(f"{path}/pipelines/{made['id']}/cancel").json()
        assert stopped["status"] == "canceled"
        assert holder.post(f"{path}/pipeline", json={"ref": "work"}).json()["source"] == "api"
        assert holder.post(f"{path}/pipeline", json={"ref": "main"}).status_code == 400


def test_a_persons_push_to_a_branch_of_the_bot_is_told_with_what_was_there(
    gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person
) -> None:
    old = mira.commits("gatewright/1-abcdef-sort", {"a.txt": "1"})
    mira.opens_change("a", "gatewright/1-abcdef-sort")
    tom = gitlab.user("tom", mira.project, "developer")
    new = tom.pushes("gatewright/1-abcdef-sort", {"a.txt": "2"})
    gitlab.wait_settled()
    told = mailbox.payloads[-1]
    assert (mailbox.kinds()[-1], told["user"]["id"]) == ("merge_request.update", tom.id)
    assert (told["object_attributes"]["oldrev"], told["object_attributes"]["last_commit"]["id"]) == (old, new)


def test_what_becomes_of_a_project_is_told_to_the_instance_alone(
    gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person
) -> None:
    with Mailbox() as instance:
        gitlab.hook(instance.url)
        gitlab.move(mira.project, "pay/core/store")
        gitlab.move(mira.project, "pay/new/store")
        mira.changes_visibility("internal")
        gitlab.wait_settled()
        assert instance.kinds() == ["project_rename", "project_transfer", "project_update"]
        assert instance.payloads[1]["old_path_with_namespace"] == "pay/core/store"
        assert instance.payloads[2]["project_visibility"] == "internal"
    assert mailbox.received == []


def test_an_edited_note_bears_its_authors_name(gitlab: GitLabSimulator, mailbox: Mailbox, mira: Person) -> None:
    """Whoever edited it; for an issue the hook names who did it."""
    bot, _ = gitlab.access_token(mira.project)
    number = mira.opens_issue("a")
    note = bot.comments(number, "gate")
    assert note is not None
    mira.edits_comment(note, "another gate")
    mira.edits_issue(number, title="b")
    gitlab.wait_settled()
    edited, changed = mailbox.payloads[-2:]
    assert (edited["object_attributes"]["action"], edited["user"]["id"]) == ("update", bot.id)
    assert edited["object_attributes"]["updated_by_id"] == mira.id
    assert (changed["user"]["id"], list(changed["changes"])) == (mira.id, ["updated_at", "title"])
