"""Repositories with webhook secrets of their own, over real HTTP: each secret speaks for one repository only."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from bot.embedded import EmbeddedRedis
from bot.forges import github_events, gitlab_events
from bot.settings import GitLab, Project
from tests.bot.web.hostile_gitlab import signature
from tests.bot.web.serving import SECRET, Answer, Site, serving

A, B, C = 101, 202, 303  # C has none of its own
OWN_A, OWN_B = "hush-only-for-a", "hush-only-for-b"
SIGNING_A = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
LAB = "gitlab.example"
PROJECTS = {
    f"github.com/{A}": Project(webhook_secrets=("older", OWN_A)),
    "github.com/acme/b": Project(id=B, webhook_secrets=(OWN_B,)),
    f"{LAB}/{A}": Project(webhook_tokens=("token-a",), signing_secrets=(SIGNING_A,)),
    f"{LAB}/{B}": Project(webhook_tokens=("token-b",)),
}
TABLE = GitLab(url=f"https://{LAB}", webhook_tokens=("token-of-all",))


@pytest.fixture(scope="module")
def running(embedded_redis: EmbeddedRedis) -> Iterator[Site]:
    with serving(embedded_redis.url, gitlab=TABLE, projects=PROJECTS) as site:
        yield site


def labeled(number: int, path: str = "acme/shop") -> bytes:
    user = {"id": 5, "login": "mira", "type": "User"}
    repository = {"id": number, "full_name": path}
    issue = {"number": 1, "title": "t", "user": user}
    label = {"name": "gatewright"}
    return json.dumps(
        {"action": "labeled", "repository": repository, "sender": user, "issue": issue, "label": label}
    ).encode()


def send(site: Site, body: bytes, secret: str, *, event: str = "issues", form: bool = False) -> Answer:
    if form:
        body = b"payload=" + quote(body, safe="").encode()
    proof = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    headers = {
        "Content-Type": kind, "Content-Length": str(len(body)), "X-GitHub-Event": event,
        "X-GitHub-Delivery": str(uuid.uuid4()), "X-Hub-Signature-256": f"sha256={proof}",
    }  # fmt: skip
    return site.ask("POST", "/webhooks/github", [(k, v.encode()) for k, v in headers.items()], [body])


def note(number: int, **more: Any) -> dict[str, Any]:
    attributes = {"id": 9, "noteable_type": "Issue", "note": "hi", "author_id": 5, "project_id": number}
    return {
        "object_kind": "note", "user": {"id": 5, "username": "mira"}, "project_id": number,
        "project": {"id": number, "path_with_namespace": "pay/shop"}, "issue": {"iid": 3},
        "object_attributes": attributes | {"action": "create"},
    } | more  # fmt: skip


def lab(site: Site, payload: dict[str, Any], token: str = "", signing: str = "") -> Answer:
    body, key = json.dumps(payload).encode(), str(uuid.uuid4())
    headers = {
        "Content-Type": "application/json", "Content-Length": str(len(body)), "X-Gitlab-Event": "Note Hook",
        "Idempotency-Key": key,
    }  # fmt: skip
    if token:
        headers["X-Gitlab-Token"] = token
    if signing:
        stamp = int(time.time())
        headers |= {"webhook-id": key, "webhook-timestamp": str(stamp)}
        headers["webhook-signature"] = signature(signing, key, stamp, body)
    return site.ask("POST", "/webhooks/gitlab", [(k, v.encode()) for k, v in headers.items()], [body])


def acted_on(site: Site) -> list[int]:
    """Read which repositories control would act on, of all that was stored."""
    found = []
    for each in site.stored():
        about = {"delivery": each.id, "host": each.host, "received_ms": each.received_ms}
        if each.forge == "github":
            event = github_events.parse(each.event, each.payload(), **about)
            found += [event.repo.id] if event else []
        else:
            found += [event.repo.id for event in gitlab_events.parse(each.event, each.payload(), **about)]
    return found


@pytest.mark.parametrize("form", [False, True])
@pytest.mark.parametrize(
    ("number", "secret", "status"),
    [
        (A, OWN_A, 202), (A, "older", 202), (A, OWN_B, 401), (A, SECRET, 401), (A, "guess", 401),
        (B, OWN_B, 202), (B, OWN_A, 401), (B, SECRET, 401),
        (C, SECRET, 202), (C, OWN_A, 401), (C, OWN_B, 401),
    ],
)  # fmt: skip
def test_a_repository_is_believed_under_its_own_secrets_alone(
    site: Site, number: int, secret: str, status: int, form: bool
) -> None:
    answer = send(site, labeled(number), secret, form=form)
    assert answer.status == status
    assert acted_on(site) == ([number] if status == 202 else [])
    if status == 401:
        assert answer.json["error"]["code"] == "GW-WEB-SIGNATURE"


def test_of_two_repositories_in_one_body_the_one_that_control_reads_counts(site: Site) -> None:
    """JSON with a member twice: readers differ in which of them they take, and ours must not."""
    first, second = (b'"repository": {"id": %d, "full_name": "acme/x"}' % number for number in (A, B))
    both = labeled(A).replace(b'"repository": {"id": 101, "full_name": "acme/shop"}', first + b", " + second)
    assert both.count(b'"repository"') == 2
    assert send(site, both, OWN_A).status == 401
    assert send(site, both, OWN_B).status == 202
    assert acted_on(site) == [B]


def test_a_path_that_is_somebody_elses_names_nobody(site: Site) -> None:
    """The number decides; forges' clients compare it with the path before they use a path."""
    assert send(site, labeled(C, "acme/b"), OWN_B).status == 401
    assert send(site, labeled(A, "acme/b"), OWN_A).status == 202
    assert acted_on(site) == [A]


@pytest.mark.parametrize("number", ['"202"', "202.0", "null", "-202", "[202]", "2e2"])
def test_a_number_that_is_none_opens_nothing(site: Site, number: str) -> None:
    body = labeled(B).replace(b'"id": 202', f'"id": {number}'.encode())
    assert send(site, body, OWN_A).status == 401
    assert send(site, body, SECRET).status == 400
    assert site.stored() == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"repository":' * 2_000, b'{"repository":{"id":101}}x', b"\xff"])
def test_what_is_no_payload_is_not_even_tried_under_an_own_secret(site: Site, body: bytes) -> None:
    assert send(site, body, OWN_A).status == 401
    assert send(site, body, SECRET).json["error"]["code"] == "GW-WEB-PAYLOAD"


def test_also_what_nobody_acts_on_has_to_be_proven(site: Site) -> None:
    assert send(site, labeled(A), OWN_B, event="push").status == 401
    assert send(site, labeled(A), OWN_A, event="push").json["status"] == "ignored"


@pytest.mark.parametrize(
    ("number", "token", "status"),
    [
        (A, "token-a", 202), (A, "token-b", 401), (A, "token-of-all", 401), (B, "token-b", 202), (B, "token-a", 401),
        (B, "token-of-all", 401), (C, "token-of-all", 202), (C, "token-a", 401), (C, "guess", 401),
    ],
)  # fmt: skip
def test_the_same_holds_for_tokens(site: Site, number: int, token: str, status: int) -> None:
    assert lab(site, note(number), token).status == status
    assert acted_on(site) == ([number] if status == 202 else [])


def test_an_own_signing_key_signs_for_its_project_only(site: Site) -> None:
    assert lab(site, note(A), signing=SIGNING_A).status == 202
    assert lab(site, note(B), signing=SIGNING_A).status == 401
    assert lab(site, note(C), signing=SIGNING_A).status == 401
    assert acted_on(site) == [A]


def test_a_project_is_the_one_that_control_takes_from_the_many_places_that_name_it(site: Site) -> None:
    """Payloads say the number up to three times, and old ones not everywhere."""
    elsewhere = {"path_with_namespace": "pay/shop"}
    attributes = note(B)["object_attributes"]
    lie = note(B, project=elsewhere, project_id=None, object_attributes=attributes | {"target_project_id": A})
    assert lab(site, lie, "token-a").status == 401
    assert lab(site, note(B, project_id=A), "token-a").status == 401
    assert lab(site, note(A, project_id=B), "token-a").status == 202
    old = note(A, project=elsewhere)
    assert lab(site, old, "token-a").status == 202
    assert acted_on(site) == [A, A]


def test_without_a_secret_of_the_forge_only_listed_repositories_deliver(redis_url: str) -> None:
    with serving(redis_url, secrets=(), gitlab=GitLab(url=f"https://{LAB}"), projects=PROJECTS) as site:
        assert send(site, labeled(A), OWN_A).status == 202
        assert send(site, labeled(C), "").status == 401
        assert send(site, labeled(C), OWN_A).status == 401
        assert lab(site, note(A), "token-a").status == 202
        assert lab(site, note(C), "").status == 401
        assert lab(site, note(C)).status == 401
