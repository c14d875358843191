"""Copies of one event under delivery ids of their own."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from bot.model.event import AccountKind, Actor, Comment, Event, EventKind, ForgeKind, Repo
from bot.tasks.copies import is_first, release

MIRA = Actor(7, "mira", AccountKind.UNKNOWN)
REPO = Repo(ForgeKind.GITLAB, "gitlab.example", 5, "bank/pay/core")
SAID = Comment(1241, MIRA, "/gatewright approve", 1_000, 1_000)
LABELED = Event(EventKind.LABELED, REPO, 23, MIRA, "project", 1_000, label="gatewright")
EVENTS = {
    "label set": LABELED,
    "label taken": replace(LABELED, kind=EventKind.UNLABELED),
    "closed": replace(LABELED, kind=EventKind.ISSUE_CLOSED, label=""),
    "away": replace(LABELED, kind=EventKind.ISSUE_AWAY, label=""),
    "note": replace(LABELED, kind=EventKind.COMMENTED, label="", comment=SAID),
    "merged": replace(LABELED, kind=EventKind.CHANGE_MERGED, label="", on_change=True, head_sha="a" * 40),
    "pushed": replace(LABELED, kind=EventKind.CHANGE_PUSHED, label="", on_change=True, head_sha="a" * 40),
    "change closed": replace(LABELED, kind=EventKind.CHANGE_CLOSED, label="", on_change=True, head_sha="a" * 40),
    "unapproved": replace(LABELED, kind=EventKind.UNREVIEWED, label="", on_change=True, head_sha="a" * 40),
}


@pytest.fixture
async def redis(redis_url: str):
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.mark.parametrize("name", EVENTS)
async def test_of_a_projects_and_a_groups_hook_one_acts(redis: Redis, name: str) -> None:
    event = EVENTS[name]
    assert await is_first(redis, event)
    assert not await is_first(redis, replace(event, delivery="group"))
    assert await is_first(redis, event), "handed out again after a crash, it goes on"


@pytest.mark.parametrize("name", EVENTS)
async def test_what_happens_a_second_later_is_another_event(redis: Redis, name: str) -> None:
    later = replace(EVENTS[name], delivery="later", at_ms=2_000)
    if name == "note":
        later = replace(later, comment=replace(SAID, id=1242))
    assert await is_first(redis, EVENTS[name])
    assert await is_first(redis, later)


async def test_different_meanings_never_meet(redis: Redis) -> None:
    for number, event in enumerate(EVENTS.values()):
        assert await is_first(redis, replace(event, delivery=str(number)))
    others = [
        replace(LABELED, delivery="o", number=24),
        replace(LABELED, delivery="o", label="bug"),
        replace(LABELED, delivery="o", actor=Actor(8, "tom")),
        replace(LABELED, delivery="o", repo=replace(REPO, id=6)),
        replace(LABELED, delivery="o", on_change=True),
    ]
    for event in others:
        assert await is_first(redis, event)


async def test_a_copy_acts_where_the_first_one_failed(redis: Redis) -> None:
    assert await is_first(redis, LABELED)
    await release(redis, replace(LABELED, delivery="group"))  # not its claim
    assert not await is_first(redis, replace(LABELED, delivery="group"))
    await release(redis, LABELED)
    assert await is_first(redis, replace(LABELED, delivery="group"))


async def test_the_terminals_events_are_not_compared(redis: Redis) -> None:
    local = replace(LABELED, repo=Repo(ForgeKind.LOCAL, "localhost", 1, "/x"))
    assert await is_first(redis, local)
    assert await is_first(redis, replace(local, delivery="again"))
