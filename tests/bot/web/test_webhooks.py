"""POST /webhooks/github over real HTTP into a real Redis."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.embedded import EmbeddedRedis
from bot.forges.github_events import acts_on, parse
from bot.inbox import Delivery
from bot.model.event import EventKind
from bot.web.body import Limits
from tests.bot.web import hostile
from tests.bot.web.serving import PATH, SECRET, Answer, Site, serving

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("GATEWRIGHT_TEST_DATA", ROOT.parent / "shared" / "data"))
CASES = hostile.load(DATA / "forges/hostile") if (DATA / "forges/hostile").is_dir() else []
VECTORS = (
    [v for v in msgspec.json.decode((DATA / "forges/vectors/signatures.json").read_bytes()) if v["scheme"] == "github"]
    if CASES
    else []
)
LABELED = {"base": "issues", "sign": True, "id": "-"}

# Where the expected effect is that nothing comes of it, whatever the status.
NOTHING = (
    "no job",
    "ignored",
    "not carried out again",
    "PR is found by head sha, or ignored",
    "no command is carried out",
)
# Accepted by the web process on purpose; control refuses it: our token does not reach that repository.
BY_CONTROL = {"H040"}


def deliver(site: Site, *requests: hostile.Request) -> list[Answer]:
    """Send requests at the same moment, each on a connection of its own."""
    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(lambda r: site.ask(r.method, PATH, r.headers, r.pieces), requests))


def labeled(site: Site, **changes: Any) -> Answer:
    [request] = hostile.requests({**LABELED, **changes}, DATA)
    return deliver(site, request)[0]


def jobs(delivery: Delivery) -> int:
    """Tell what control would make of a stored delivery: 1 event, or 0."""
    payload = delivery.payload()
    if delivery.body == b'{"action":"labeled","action":"deleted"}':
        return 0  # has no issue at all: GW-FORGE-PAYLOAD, held by the tests of the forge
    read = parse(delivery.event, payload, delivery=delivery.id, host=delivery.host, received_ms=delivery.received_ms)
    return int(read is not None and read.kind is not EventKind.ISSUE_EDITED)  # which carries nothing out: look again


def test_the_hostile_deliveries_and_the_vectors_are_all_there(test_data: Path) -> None:
    assert test_data == DATA
    assert len(CASES) == 56
    assert len(VECTORS) == 6


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_hostile_delivery_gets_its_answer_and_its_effect(
    case: dict[str, Any], site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    requests = hostile.requests(case, DATA)
    with caplog.at_level(logging.DEBUG):
        if case.get("concurrent") or case["id"] == "H018":
            answers = deliver(site, *requests)
        else:
            answers = [deliver(site, request)[0] for request in requests]
    stored = site.stored()
    effect = case["expect"]["effect"]

    for answer in answers:
        assert answer.status in case["expect"]["http"]
        assert (answer.status == 202) == (b'"status"' in answer.body)
    accepted = [a.json["delivery"] for a in answers if a.status == 202 and a.json["status"] == "accepted"]
    assert [delivery.id for delivery in stored] == accepted, "what was accepted is stored, and nothing else"
    for delivery in stored:
        assert acts_on(delivery.event, delivery.action)
        assert delivery.payload()["action"] == delivery.action, "web and control read one and the same action"
    if effect.startswith(NOTHING) and case["id"] not in BY_CONTROL:
        assert sum(map(jobs, stored)) == 0
    if effect == "one job":
        assert sum(map(jobs, stored)) == 1
        assert sorted(a.json["status"] for a in answers) == ["accepted", "duplicate"]
    assert SECRET not in caplog.text
    assert all(record.exc_info is None for record in caplog.records)
    for request in requests:
        assert len(request.body) < 20 or request.body[:40].decode("latin-1") not in caplog.text


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
def test_signature_vector_is_judged_over_http_as_published(vector: dict[str, Any], redis_url: str) -> None:
    """A valid one is past the signature: what the answer then complains of is the payload, or nothing."""
    body = vector["body"].encode()
    headers = [
        ("Content-Type", b"application/json"),
        ("Content-Length", str(len(body)).encode()),
        ("X-GitHub-Event", b"ping"),
        ("X-GitHub-Delivery", b"1"),
        *((name, value.encode()) for name, value in vector["headers"].items()),
    ]
    with serving(redis_url, secrets=("another", vector["secret"])) as site:
        answer = site.ask("POST", PATH, headers, [body])
    if not vector["valid"]:
        assert answer.status == 401
    elif body.startswith(b"{"):
        assert (answer.status, answer.json["status"]) == (202, "ignored")
    else:
        assert (answer.status, answer.json["error"]["code"]) == (400, "GW-WEB-PAYLOAD")


def test_accepted_delivery_is_stored_whole_before_the_answer(site: Site) -> None:
    [request] = hostile.requests(LABELED, DATA)
    [answer] = deliver(site, request)
    assert answer.json == {"delivery": request.delivery, "status": "accepted"}
    [delivery] = site.stored()
    assert delivery.body == request.body
    assert (delivery.forge, delivery.host, delivery.event, delivery.action) == (
        "github",
        "github.com",
        "issues",
        "labeled",
    )
    assert site.redis.get(delivery.claim) == b"pending"
    assert 0 < site.redis.ttl(delivery.claim) <= 7 * 24 * 3600


def test_form_delivery_is_stored_as_the_json_in_it(site: Site) -> None:
    [request] = hostile.requests({**LABELED, "encode": "form"}, DATA)
    assert deliver(site, request)[0].status == 202
    [delivery] = site.stored()
    assert delivery.payload()["action"] == "labeled"


@pytest.mark.parametrize(
    "body", [b"payload=%7B%7D&payload=%7B%7D", b"x=%7B%7D", b"payload", b"", b"payload=%FF", b"payload=%7B%7D\xff"]
)
def test_form_with_anything_but_one_payload_is_refused(site: Site, body: bytes) -> None:
    headers = [
        ("Content-Type", b"application/x-www-form-urlencoded"),
        ("Content-Length", str(len(body)).encode()),
        ("X-GitHub-Event", b"issues"),
        ("X-GitHub-Delivery", b"1"),
        *hostile._signatures(True, body),
    ]
    assert site.ask("POST", PATH, headers, [body]).json["error"]["code"] == "GW-WEB-PAYLOAD"


def test_event_of_no_interest_is_acknowledged_and_not_stored(site: Site) -> None:
    answer = labeled(site, headers={"X-GitHub-Event": "ping"})
    assert (answer.status, answer.json["status"]) == (202, "ignored")
    assert site.stored() == []


def test_every_configured_secret_is_good_and_a_dropped_one_is_not(redis_url: str) -> None:
    with serving(redis_url, secrets=("new", SECRET)) as site:
        assert labeled(site).status == 202
    with serving(redis_url, secrets=("new",)) as site:
        assert labeled(site).status == 401


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_without_a_secret_the_route_is_closed(redis_url: str, secrets: tuple[str, ...]) -> None:
    with serving(redis_url, secrets=secrets) as site:
        for sign in (None, True, "empty-secret"):
            assert labeled(site, sign=sign).json["error"]["code"] == "GW-WEB-NO-SECRET"
        assert site.stored() == []


def test_full_inbox_answers_503_and_asks_to_come_again(redis_url: str) -> None:
    with serving(redis_url, inbox_max=1) as site:
        assert labeled(site).status == 202
        answer = labeled(site)
    assert (answer.status, answer.json["error"]["code"]) == (503, "GW-WEB-FULL")
    assert int(answer.headers["retry-after"]) > 0


def test_redis_away_answers_503_and_works_again_when_it_is_back(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as store, serving(store.url) as site:
        assert labeled(site).status == 202
        socket_path = Path(store.url.removeprefix("unix://"))
        site.redis.client_kill_filter(_type="normal", skipme=True)
        away = socket_path.rename(socket_path.with_suffix(".away"))
        answer = labeled(site)
        assert (answer.status, answer.json["error"]["code"]) == (503, "GW-REDIS-AWAY")
        assert "retry-after" in answer.headers
        assert site.ask("GET", "/readyz", []).status == 503
        assert site.ask("GET", "/healthz", []).status == 200
        away.rename(socket_path)
        assert labeled(site).status == 202
        assert site.ask("GET", "/readyz", []).status == 200


def test_refusal_for_size_is_answered_before_the_body_is_sent_and_ends_the_connection(site: Site) -> None:
    headers = [("Content-Type", b"application/json"), ("Content-Length", b"26214401")]
    answer = site.ask("POST", PATH, headers)
    assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize("value", [b"text/json", b"application/json; charset=latin-1", b"application/jsonx", b""])
def test_other_content_types_are_refused(site: Site, value: bytes) -> None:
    headers = [("Content-Type", value), ("Content-Length", b"2")]
    assert site.ask("POST", PATH, headers, [b"{}"]).status == 415


def test_second_header_of_a_kind_is_refused(site: Site) -> None:
    [request] = hostile.requests(LABELED, DATA)
    headers = [*request.headers, ("X-GitHub-Delivery", b"2")]
    assert site.ask("POST", PATH, headers, request.pieces).json["error"]["code"] == "GW-WEB-TWICE"


def test_body_that_breaks_off_leaves_nothing_behind(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    [request] = hostile.requests(LABELED, DATA)
    head = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in request.headers)
    with socket.create_connection(("127.0.0.1", site.port)) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode() + head + b"\r\n" + request.body[:100])
    assert labeled(site).status == 202  # the process goes on
    assert len(site.stored()) == 1
    assert all(record.exc_info is None for record in caplog.records)


def test_large_bodies_are_taken_few_at_once_and_small_ones_still_pass(redis_url: str) -> None:
    """Four senders hold all places; a fifth large body is turned away, a usual delivery is not."""
    limits = Limits(idle_seconds=10, large_bytes=50_000, large_at_once=4)
    with serving(redis_url, limits=limits) as site:
        held = [_hold_large(site) for _ in range(4)]
        try:
            answer = None
            while answer is None or answer.status != 503:  # until the four are counted
                answer = _send_large(site)
            assert answer.json["error"]["code"] == "GW-WEB-BUSY"
            assert labeled(site).status == 202
        finally:
            for connection in held:
                connection.close()
        while _send_large(site).status != 401:  # the places are free again: judged by its signature
            pass


def _large_head(length: int) -> bytes:
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
        f"X-Hub-Signature-256: sha256={'0' * 64}\r\n\r\n"
    ).encode()


def _hold_large(site: Site) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", site.port))
    connection.sendall(_large_head(100_000) + b"x" * 60_000)
    return connection


def _send_large(site: Site) -> Answer:
    headers = [
        ("Content-Type", b"application/json"),
        ("Content-Length", b"100000"),
        ("X-Hub-Signature-256", b"sha256=" + b"0" * 64),
    ]
    return site.ask("POST", PATH, headers, [b"x" * 100_000])


def test_log_names_the_fault_and_nothing_that_was_sent(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    labeled(site, headers={"X-GitHub-Delivery": "evil\tdelivery"})
    labeled(site, sign="bare")
    messages = [record.getMessage() for record in caplog.records if record.name == "bot.web.webhooks"]
    assert messages == ["github delivery refused: 400 GW-WEB-HEADER", "github delivery refused: 401 GW-WEB-SIGNATURE"]


def test_many_deliveries_at_once_are_each_stored_once(site: Site) -> None:
    requests = [request for _ in range(60) for request in hostile.requests(LABELED, DATA)]
    threads = threading.active_count()
    answers = deliver(site, *requests, *requests)
    statuses = [answer.json["status"] for answer in answers]
    assert (statuses.count("accepted"), statuses.count("duplicate")) == (60, 60)
    assert sorted(d.id for d in site.stored()) == sorted(r.delivery for r in requests)
    assert threading.active_count() <= threads


def test_the_steps_in_the_docstring_are_the_labels_in_the_code() -> None:
    import inspect

    from bot.web import webhooks

    announced = re.findall(r"^\((\d)\)", webhooks.__doc__ or "", flags=re.MULTILINE)
    labels = re.findall(r"^\s+# \((\d)\)", inspect.getsource(webhooks), flags=re.MULTILINE)
    assert announced == labels == [str(number) for number in range(9)]
