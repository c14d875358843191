"""Webhooks as instances of different ages send them, from what people do to what we make of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bot.forges.gitlab_events import parse
from bot.model.event import Event, EventKind
from tests.simulators.gitlab import GitLabSimulator, Traits


class Taker(BaseHTTPRequestHandler):
    """Answer 202 to everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def taking() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/webhooks/gitlab"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("traits", [Traits(), Traits.old()], ids=["new", "old"])
def test_what_people_do_is_what_we_hear(test_data: Path, traits: Traits) -> None:
    with GitLabSimulator(traits=traits) as gitlab, taking() as url:
        project = gitlab.project("a/b/c")
        gitlab.hook(url, project=project)
        mira = gitlab.user("mira", project, "maintainer")
        issue = mira.opens_issue("a", labels=("bug",))
        mira.labels_issue(issue, "gatewright")
        mira.unlabels_issue(issue, "bug")
        said = mira.comments(issue, "/gatewright approve")
        assert said
        gitlab.skew(30)
        mira.edits_note(said, "/gatewright cancel")
        mira.awards("eyes", note=said)
        mira.commits("work", {"a.txt": "a"})
        change = mira.opens_change("b", "work")
        mira.comments(change, "@gatewright status", on_change=True)
        tip = mira.commits("work", {"a.txt": "b"})
        mira.approves(change)
        mira.merges(change)
        mira.closes(issue)
        gitlab.wait_settled()
        heard = [event for sent in gitlab.deliveries for event in events(gitlab, sent)]
        assert gitlab.contract_faults(test_data) == []
    kinds = [event.kind for event in heard]
    assert kinds == [
        EventKind.LABELED, EventKind.LABELED, EventKind.UNLABELED, EventKind.COMMENTED, EventKind.ISSUE_EDITED,
        EventKind.COMMENTED, EventKind.CHANGE_PUSHED, EventKind.REVIEWED, EventKind.CHANGE_MERGED,
        EventKind.ISSUE_CLOSED,
    ]  # fmt: skip
    assert [event.label for event in heard[:3]] == ["bug", "gatewright", "bug"]
    assert [event.comment.body for event in heard[3:6] if event.comment] == [
        "/gatewright approve",
        "/gatewright cancel",
        "@gatewright status",
    ]
    assert heard[4].actor.id == 0, "the payload names the author, whoever edited"
    assert (heard[5].on_change, heard[7].head_sha) == (True, tip)
    assert {event.actor.id for event in heard} <= {mira.id, 0}
    assert {event.repo.key for event in heard} == {gitlab.repo(project).key}


def events(gitlab: GitLabSimulator, sent) -> tuple[Event, ...]:
    return parse(sent.event, sent.payload, delivery=sent.key, host=gitlab.host, received_ms=1)
