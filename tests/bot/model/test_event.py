from __future__ import annotations

import msgspec
import pytest

from bot.model.event import AccountKind, Actor, Comment, Event, EventKind, ForgeKind, Issue, Repo

REPO = Repo(ForgeKind.GITHUB, "github.com", 7, "pay/core")


def test_a_repository_is_its_forge_host_and_number_and_no_name():
    renamed = Repo(ForgeKind.GITHUB, "github.com", 7, "pay/renamed")
    assert REPO.key == renamed.key == "github:github.com:7"
    assert Repo(ForgeKind.GITLAB, "github.com", 7, "pay/core").key != REPO.key


def test_an_event_survives_the_inbox():
    mira = Actor(7, "mira", AccountKind.UNKNOWN)
    issue = Issue(42, "t", "b", None, ("x",), is_open=True, is_locked=False, updated_ms=1)
    event = Event(
        EventKind.COMMENTED, REPO, 42, mira, "d", 5, comment=Comment(9, mira, "/approve", 1, 2), issue=issue,
        installation=3,
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event


@pytest.mark.parametrize("raw", [b"{}", b'{"kind":"exploded"}', b"[]"])
def test_what_is_no_event_does_not_read_as_one(raw: bytes):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(raw, type=Event)


def test_events_do_not_change():
    event = Event(EventKind.LABELED, REPO, 42, Actor(7, "mira"), "d", 5)
    with pytest.raises(AttributeError):
        event.number = 43  # type: ignore[misc]
