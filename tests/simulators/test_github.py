"""The simulated GitHub keeps GitHub's own rules: signatures, GUIDs, permissions, tokens, payloads."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest

from bot.forges.github_events import parse
from bot.model.event import Event, EventKind
from tests.conftest import ROOT
from tests.simulators.github import GitHubSimulator
from tests.simulators.github.people import Person
from tests.simulators.github.server import app_key
from tests.simulators.github.world import ROLES

SECRET = "It's a Secret to Everybody"


class Mailbox:
    """A real HTTP server that keeps what GitHub sends."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.status = 202
        mailbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                mailbox.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(mailbox.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/github"

    def events(self) -> list[Event]:
        parsed = (
            parse(
                headers["x-github-event"],
                json.loads(body),
                delivery=headers["x-github-delivery"],
                host="github.test",
                received_ms=0,
            )
            for headers, body in self.received
        )
        return [event for event in parsed if event is not None]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    thread = threading.Thread(target=box.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield box
    box.server.shutdown()
    thread.join()
    box.server.server_close()


@pytest.fixture
def github(test_data: Path) -> Iterator[GitHubSimulator]:
    with GitHubSimulator() as simulator:
        yield simulator
        assert simulator.contract_faults(test_data) == []


@pytest.fixture
def mira(github: GitHubSimulator, mailbox: Mailbox) -> Person:
    repo = github.repository("octo/shop")
    github.install(repo)
    github.hook(mailbox.url, SECRET)
    return github.user("mira", repo, "write")


@contextlib.contextmanager
def client(github: GitHubSimulator, token: str, scheme: str = "Bearer") -> Iterator[httpx.Client]:
    headers = {"authorization": f"{scheme} {token}"} if token else {}
    with httpx.Client(base_url=github.api_url, headers=headers, trust_env=False) as made:
        yield made


def app_jwt(github: GitHubSimulator, *, iat: float = -60, life: float = 540, key: str = "") -> str:
    now = int(time.time())
    claims = {"iat": now + iat, "exp": now + iat + life, "iss": str(github.world.app_id)}
    return jwt.encode(claims, key or app_key()[0], algorithm="RS256")


def test_every_action_tells_the_app_with_a_signature_over_the_bytes(
    github: GitHubSimulator, mailbox: Mailbox, mira: Person
) -> None:
    """A whole story, from label to merge, arrives signed, each with its own GUID, and parses as our events."""
    number = mira.opens_issue("Sort by price", "please", labels=("gatewright",))
    mira.comments(number, "/approve")
    mira.unlabels_issue(number, "gatewright")
    mira.commits("work", {"a.txt": "1"})
    pull = mira.opens_pull("Sort", "work")
    lead = github.user("lead", mira.repo, "maintain")
    lead.reviews(pull, "REQUEST_CHANGES", "/fix the name")
    mira.commits("work", {"a.txt": "2"})
    lead.reviews(pull)
    lead.comments(pull, "nice")
    lead.merges(pull)
    mira.closes(number)
    mira.locks(number)
    github.wait_settled()
    for headers, body in mailbox.received:
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert headers["x-hub-signature-256"] == f"sha256={signature}"
        assert headers["user-agent"].startswith("GitHub-Hookshot/")
    assert len({headers["x-github-delivery"] for headers, _ in mailbox.received}) == len(mailbox.received)
    seen = mailbox.events()
    assert [event.kind for event in seen] == [
        EventKind.LABELED,
        EventKind.COMMENTED,
        EventKind.UNLABELED,
        EventKind.REVIEWED,
        EventKind.CHANGE_PUSHED,
        EventKind.REVIEWED,
        EventKind.COMMENTED,
        EventKind.CHANGE_MERGED,
        EventKind.ISSUE_CLOSED,
        EventKind.ISSUE_AWAY,
    ]
    assert [event.review_approves for event in seen if event.kind is EventKind.REVIEWED] == [False, True]
    assert {event.installation for event in seen} == set(github.world.installations)
    assert all(delivery.status == 202 for delivery in github.deliveries)


def test_the_rest_of_an_issues_life_tells_too(github: GitHubSimulator, mailbox: Mailbox, mira: Person) -> None:
    """Transfer, deletion, edits and reopening have payloads as published (held by the fixture)."""
    other = github.repository("octo/other")
    first, second = mira.opens_issue("a"), mira.opens_issue("b")
    comment = mira.comments(first, "hello")
    mira.edits_comment(comment, "hello again")
    mira.deletes_comment(comment)
    mira.closes(first)
    mira.reopens(first)
    mira.transfers_issue(first, other)
    mira.deletes_issue(second)
    mira.branches("side")
    github.wait_settled()
    away = [event for event in mailbox.events() if event.kind is EventKind.ISSUE_AWAY]
    assert [event.number for event in away] == [first, second]


def test_a_form_hook_signs_the_form(github: GitHubSimulator, mailbox: Mailbox, mira: Person) -> None:
    """The signature is over the raw form body."""
    github.hook(mailbox.url, SECRET, content_type="form")
    mira.opens_issue("a & b = c")
    github.wait_settled()
    headers, body = mailbox.received[0]
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert json.loads(parse_qs(body.decode())["payload"][0])["issue"]["title"] == "a & b = c"
    assert headers["x-hub-signature-256"][7:] == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def test_deliveries_can_be_late_doubled_reordered_and_lost(
    github: GitHubSimulator, mailbox: Mailbox, mira: Person
) -> None:
    """A redelivery carries the same GUID; what was lost comes back only on request, by API too."""
    github.hold()
    number = mira.opens_issue("a")
    mira.labels_issue(number, "gatewright")
    mira.unlabels_issue(number, "gatewright")
    github.wait_settled()
    assert mailbox.received == []
    github.release(lambda held: held[::-1])
    github.wait_settled()
    assert [event.kind for event in mailbox.events()] == [EventKind.UNLABELED, EventKind.LABELED]
    github.redeliver(github.deliveries[1], by_request=False)
    github.wait_settled()
    mailbox.status = 503
    github.redeliver(github.deliveries[1])
    github.wait_settled()
    assert len({headers["x-github-delivery"] for headers, _ in mailbox.received}) == 3
    assert [delivery.status for delivery in github.deliveries] == [202, 202, 202, 202, 503]
    mailbox.status = 202
    with client(github, app_jwt(github)) as app:
        listed = app.get("/app/hook/deliveries").json()
        failed = next(item for item in listed if item["status"] != "OK")
        assert (
            app.get(f"/app/hook/deliveries/{failed['id']}").json()["request"]["headers"]["X-GitHub-Event"] == "issues"
        )
        assert app.post(f"/app/hook/deliveries/{failed['id']}/attempts").status_code == 202
    github.wait_settled()
    assert github.deliveries[-1].status == 202


def test_nobody_listening_is_a_failed_delivery(github: GitHubSimulator, mira: Person) -> None:
    """GitHub does not try again by itself."""
    github.hook("http://127.0.0.1:9/", SECRET)
    mira.opens_issue("a")
    github.wait_settled()
    assert [delivery.status for delivery in github.deliveries] == [0]


@pytest.mark.parametrize(
    ("iat", "life", "message"),
    [
        (60, 300, "Issued at"),
        (-700, 600, "Expiration time"),
        (-60, 720, "too far in the future"),
    ],
)
def test_jwts_are_held_to_githubs_rules(
    github: GitHubSimulator, mira: Person, iat: float, life: float, message: str
) -> None:
    with client(github, app_jwt(github, iat=iat, life=life)) as app:
        refused = app.get("/app")
    assert refused.status_code == 401
    assert message in refused.json()["message"]


def test_tokens_are_narrowed_and_expire(github: GitHubSimulator, mira: Person) -> None:
    """Repository, permission and time are enforced; what was not granted cannot be asked for."""
    other = github.repository("octo/other")
    (installation,) = github.world.installations
    url = f"/app/installations/{installation}/access_tokens"
    with client(github, app_jwt(github)) as app:
        narrow = {"repository_ids": [mira.repo.id], "permissions": {"contents": "read"}}
        minted = app.post(url, json=narrow).json()
        assert app.post(url, json={"repository_ids": [other.id]}).status_code == 422
        assert app.post(url, json={"permissions": {"contents": "write", "actions": "write"}}).status_code == 422
    with client(github, minted["token"], "token") as holder:
        assert holder.get("/repos/octo/shop/contents/README.md").status_code == 200
        assert holder.get("/repos/octo/other").status_code == 404
        refused = holder.post("/repos/octo/shop/issues", json={"title": "x"})
        assert (refused.status_code, refused.headers["x-accepted-github-permissions"]) == (403, "issues=write")
        assert [r["id"] for r in holder.get("/installation/repositories").json()["repositories"]] == [mira.repo.id]
        github.skew(3601)
        assert holder.get("/repos/octo/shop").status_code == 401


@pytest.mark.parametrize("role", ROLES)
def test_what_a_persons_token_may(github: GitHubSimulator, mira: Person, role: str) -> None:
    """Readers comment, writers set statuses, strangers see nothing of a private repository."""
    number = mira.opens_issue("a")
    head = github.hosting.branch(mira.repo, "main")
    someone = github.user("someone", mira.repo, role)
    with client(github, someone.makes_token().value, "token") as holder:
        comment = holder.post(f"/repos/octo/shop/issues/{number}/comments", json={"body": "x"}).status_code
        status = holder.post(f"/repos/octo/shop/statuses/{head}", json={"state": "success"}).status_code
    rank = ROLES.index(role)
    assert comment == (404 if rank == 0 else 201)
    assert status == (404 if rank == 0 else 201 if rank >= ROLES.index("write") else 403)


def test_check_runs_are_for_apps(github: GitHubSimulator, mira: Person) -> None:
    """A token may not; `completed` needs a conclusion, which the published schema does not say."""
    head = github.hosting.branch(mira.repo, "main")
    run = {"name": "qa", "head_sha": head}
    with client(github, mira.makes_token().value) as holder:
        assert holder.post("/repos/octo/shop/check-runs", json=run).status_code == 403
    (installation,) = github.world.installations
    with client(github, app_jwt(github)) as app:
        token = app.post(f"/app/installations/{installation}/access_tokens").json()["token"]
    with client(github, token) as app:
        made = app.post("/repos/octo/shop/check-runs", json=run).json()
        assert app.post("/repos/octo/shop/check-runs", json=run | {"status": "completed"}).status_code == 422
        done = {"status": "completed", "conclusion": "success"}
        assert app.patch(f"/repos/octo/shop/check-runs/{made['id']}", json=done).json()["conclusion"] == "success"
        assert app.get("/repos/octo/shop/commits/main/check-runs").json()["total_count"] == 1


def test_the_rest_of_the_api_keeps_the_contract(github: GitHubSimulator, mira: Person) -> None:
    """Every operation that no other test needs answers as published (held by the fixture)."""
    number = mira.opens_issue("a", labels=("gatewright",))
    sha = mira.commits("topic", {"d/e.txt": "1"})
    here = "/repos/octo/shop"
    with client(github, mira.makes_token().value) as holder:
        pull = holder.post(f"{here}/pulls", json={"title": "t", "head": "topic", "base": "main"}).json()["number"]
        holder.post(f"{here}/statuses/{sha}", json={"state": "failure", "context": "c"})
        assert holder.get(f"{here}/commits/topic/status").json()["state"] == "failure"
        assert holder.post(f"{here}/git/refs", json={"ref": "refs/heads/x", "sha": sha}).status_code == 201
        main = github.hosting.branch(mira.repo, "main")
        assert holder.patch(f"{here}/git/refs/heads/x", json={"sha": main}).status_code == 422
        assert holder.patch(f"{here}/git/refs/heads/x", json={"sha": main, "force": True}).status_code == 200
        assert holder.delete(f"{here}/git/refs/heads/x").status_code == 204
        assert holder.post(f"{here}/labels", json={"name": "Bug"}).status_code == 201
        assert holder.post(f"{here}/labels", json={"name": "bug"}).status_code == 422
        assert holder.delete(f"{here}/issues/{number}/labels/GateWright").status_code == 200
        assert holder.post(f"{here}/issues/{number}/labels", json={"labels": ["bug"]}).json()[0]["name"] == "Bug"
        reaction = holder.post(f"{here}/issues/{number}/reactions", json={"content": "eyes"})
        assert holder.post(f"{here}/issues/{number}/reactions", json={"content": "eyes"}).status_code == 200
        assert holder.delete(f"{here}/issues/{number}/reactions/{reaction.json()['id']}").status_code == 204
        assert holder.put(f"{here}/issues/{number}/lock", json={"lock_reason": "spam"}).status_code == 204
        assert holder.patch(f"{here}/issues/{number}", json={"state": "closed"}).json()["state"] == "closed"
        assert holder.get(f"{here}/contents/d", params={"ref": "topic"}).json()[0]["path"] == "d/e.txt"
        assert holder.get(f"{here}/collaborators/mira").status_code == 204
        for path in (
            "/user",
            "/users/octo",
            "/rate_limit",
            f"{here}/branches/topic",
            f"{here}/commits/{sha}",
            f"{here}/git/matching-refs/heads",
            f"{here}/issues",
            f"{here}/issues/{number}/labels",
            f"{here}/issues/{number}/reactions",
            f"{here}/labels",
            f"{here}/labels/BUG",
            f"{here}/pulls",
            f"{here}/pulls/{pull}",
            f"{here}/pulls/{pull}/reviews",
        ):
            assert holder.get(path).status_code == 200, path
    with client(github, github.user("octo", mira.repo).makes_token().value) as owner:
        config = {"config": {"url": "http://127.0.0.1:9/", "secret": "s"}, "events": ["issues"]}
        hook = owner.post(f"{here}/hooks", json=config).json()
        assert (hook["config"]["content_type"], hook["config"]["secret"]) == ("form", "********")
        assert len(owner.get(f"{here}/hooks").json()) == 1
    with client(github, app_jwt(github)) as app:
        assert app.get("/app/hook/config").status_code == 200
        assert app.get(f"/app/installations/{next(iter(github.world.installations))}").status_code == 200


def test_lists_come_in_pages(github: GitHubSimulator, mira: Person) -> None:
    """30 unless asked, 100 at most, with a link to the next."""
    number = mira.opens_issue("a")
    for index in range(31):
        mira.comments(number, str(index))
    with client(github, mira.makes_token().value) as holder:
        first = holder.get(f"/repos/octo/shop/issues/{number}/comments")
        assert len(first.json()) == 30
        assert [item["body"] for item in holder.get(first.links["next"]["url"]).json()] == ["30"]


def test_own_pull_requests_cannot_be_approved(github: GitHubSimulator, mira: Person) -> None:
    mira.commits("work", {"a": "1"})
    pull = mira.opens_pull("t", "work")
    with client(github, mira.makes_token().value) as holder:
        refused = holder.post(f"/repos/octo/shop/pulls/{pull}/reviews", json={"event": "APPROVE"})
    assert refused.status_code == 422


def test_teams_are_seen_by_members_and_by_apps_that_may(github: GitHubSimulator, mira: Person) -> None:
    """Anybody else is told that there is no such team."""
    team = github.team("octo/leads")
    mira.joins(team, state="pending")
    stranger = github.user("stranger", mira.repo, "write")
    by_slug, by_id = "/orgs/octo/teams/leads", f"/organizations/{team.org.id}/team/{team.id}"
    with client(github, mira.makes_token().value) as holder:
        for path in (by_slug, by_id):
            assert holder.get(f"{path}/memberships/mira").json()["state"] == "pending"
            assert holder.get(f"{path}/memberships/stranger").status_code == 404
        assert holder.get(f"/organizations/{team.org.id}/team/1/memberships/mira").status_code == 404
        assert holder.get(f"/user/{mira.id}").json()["login"] == "mira"
        assert holder.get("/user/1").status_code == 404
    with client(github, stranger.makes_token().value) as holder:
        assert holder.get(f"{by_slug}/memberships/mira").status_code == 404


def test_a_person_pushes_with_git_and_is_named(github: GitHubSimulator, mailbox: Mailbox, mira: Person) -> None:
    """A push over HTTP to somebody else's branch fires `synchronize` with the pusher as its sender."""
    tom = github.user("tom", mira.repo, "write")
    mira.commits("work", {"a.txt": "1", "gone.txt": "1"})
    pull = mira.opens_pull("Work", "work")
    sha = tom.pushes("work", {"dir/b.txt": b"\x00", "gone.txt": None})
    other = tom.pushes("fresh", {"c.txt": "c"})
    github.wait_settled()
    (pushed,) = [event for event in mailbox.events() if event.kind is EventKind.CHANGE_PUSHED]
    assert (pushed.number, pushed.actor.id, pushed.head_sha) == (pull, tom.id, sha)
    assert github.hosting.branch(mira.repo, "fresh") == other
    names = github.hosting.git(mira.repo, "ls-tree", "-r", "--name-only", sha).decode().split()
    assert names == ["README.md", "a.txt", "dir/b.txt"]
    with client(github, mira.makes_token().value) as holder:
        assert holder.get(f"/repos/octo/shop/commits/{sha}").json()["author"]["id"] == tom.id
    reader = github.user("reader", mira.repo, "read")
    with pytest.raises(AssertionError, match="denied"):
        reader.pushes("work", {"a.txt": "2"})


def test_a_maintainer_edits_what_the_bot_said(github: GitHubSimulator, mailbox: Mailbox, mira: Person) -> None:
    """The comment stays the bot's; the sender is who edited it."""
    number = mira.opens_issue("a")
    (installation,) = github.world.installations
    with client(github, app_jwt(github)) as app:
        token = app.post(f"/app/installations/{installation}/access_tokens").json()["token"]
    with client(github, token) as app:
        said = app.post(f"/repos/octo/shop/issues/{number}/comments", json={"body": "spec"}).json()["id"]
    mira.edits_comment(said, "another spec")
    mira.edits_issue(number, title="b")
    github.wait_settled()
    edited = [event for event in mailbox.events() if event.kind is EventKind.ISSUE_EDITED]
    assert [(event.number, event.actor.id) for event in edited] == [(number, mira.id)] * 2
    assert edited[0].comment is not None
    assert edited[0].comment.author.id == github.world.app_bot.id


def test_what_becomes_of_a_repository_is_told_as_published(
    github: GitHubSimulator, mailbox: Mailbox, mira: Person
) -> None:
    """Visibility, name and owner (payloads are held by the fixture); the App does not come along to a new owner."""
    github.hook(mailbox.url, SECRET, repo=mira.repo)
    octo, newcomer = github.user("octo", mira.repo), github.user("newcomer", mira.repo)
    octo.changes_visibility("public")
    octo.changes_visibility("internal")
    octo.renames_repository("store")
    octo.transfers_repository(newcomer.user)
    github.wait_settled()
    told = [delivery.action for delivery in github.deliveries if delivery.hook.target_type == "repository"]
    assert told == ["publicized", "privatized", "renamed", "transferred"]
    assert mailbox.events() == []
    assert mira.repo.full_name == "newcomer/store"
    assert github.world.installation_of(mira.repo) is None
    with client(github, newcomer.makes_token().value) as holder:
        moved = holder.get("/repos/octo/store")
        assert (moved.status_code, moved.headers["location"]) == (
            301,
            f"{github.api_url}/repositories/{mira.repo.id}",
        )
        assert holder.get(f"/repositories/{mira.repo.id}").json()["visibility"] == "internal"


def test_a_protected_branch_takes_no_merge_without_its_status(github: GitHubSimulator, mira: Person) -> None:
    """Only the App's own word counts where the App is bound, and only at the head of the moment."""
    octo = github.user("octo", mira.repo)
    octo.protects("main", "gatewright/change")
    sha = mira.commits("work", {"a": "1"})
    pull, here = mira.opens_pull("t", "work"), "/repos/octo/shop"
    posted = {"state": "success", "context": "gatewright/change"}
    with client(github, mira.makes_token().value) as holder:
        assert holder.post(f"{here}/statuses/{sha}", json=posted).status_code == 201
        refused = holder.put(f"{here}/pulls/{pull}/merge", json={"sha": sha})
        assert (refused.status_code, "is expected" in refused.json()["message"]) == (405, True)
        assert holder.get(f"{here}/branches/main/protection").status_code == 403
    (installation,) = github.world.installations
    with client(github, app_jwt(github)) as app:
        token = app.post(f"/app/installations/{installation}/access_tokens").json()["token"]
    with client(github, token) as app:
        app.post(f"{here}/statuses/{sha}", json=posted)
        assert app.put(f"{here}/pulls/{pull}/merge", json={"sha": "f" * 40}).status_code == 409
        assert app.get(f"{here}/branches/main/protection").json()["enforce_admins"]["enabled"] is True
        assert app.put(f"{here}/pulls/{pull}/merge", json={"sha": sha}).json()["merged"] is True


def test_a_conflict_leaves_nothing_behind(github: GitHubSimulator, mira: Person) -> None:
    """The branch stays where it was, and the next merge works."""
    bad, good = mira.commits("bad", {"README.md": "x"}), mira.commits("good", {"b": "1"})
    mira.commits("main", {"README.md": "y"})
    first, second, here = mira.opens_pull("t", "bad"), mira.opens_pull("u", "good"), "/repos/octo/shop/pulls"
    with client(github, mira.makes_token().value) as holder:
        assert holder.put(f"{here}/{first}/merge", json={"sha": bad}).status_code == 405
        assert holder.put(f"{here}/{second}/merge", json={"sha": good}).status_code == 200


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    """It prints the settings of a bot and ends when told to."""
    (tmp_path / "a.txt").write_text("hello")
    command = [sys.executable, "-m", "tests.simulators.github", "--files", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as program:
        assert program.stdout is not None
        api = program.stdout.readline().split("'")[1]
        with httpx.Client(trust_env=False) as client:
            assert client.get(f"{api}/repos/octo/shop").json()["default_branch"] == "main"
            assert client.get(f"{api}/repos/octo/shop").json()["private"] is False
        program.terminate()
        assert "BEGIN RSA PRIVATE KEY" in program.stdout.read()
    assert program.returncode == 0
