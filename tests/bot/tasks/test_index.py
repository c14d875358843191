from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from bot.audit.chain import Link
from bot.tasks.index import Index
from bot.tasks.journal import Journals
from tests.bot.tasks.forge import REPO

TAIL = Link(0, "1" * 64)


async def begin(index: Index, task: str, issue: int = 42) -> str:
    return await index.begin(REPO, issue, task, TAIL, [b"opened"])


async def test_a_task_its_issue_and_its_journal_begin_together(redis: Redis):
    index = Index(redis)
    assert await begin(index, "42-aaaaaa") == "42-aaaaaa"
    assert await index.find(REPO, 42, is_change=False) == "42-aaaaaa"
    assert await index.open_tasks() == await index.all_tasks() == ["42-aaaaaa"]
    assert await Journals(redis).lines("42-aaaaaa") == [b"opened"]
    assert await Journals(redis).head("42-aaaaaa") == TAIL


async def test_an_issue_is_claimed_once_however_many_try(redis: Redis):
    index = Index(redis)
    answers = await asyncio.gather(*(begin(index, f"42-aaaaa{n}") for n in range(8)))
    assert len({*answers}) == 1
    assert await index.all_tasks() == [answers[0]]
    assert [await Journals(redis).lines(f"42-aaaaa{n}") for n in range(8)].count([b"opened"]) == 1


async def test_an_id_is_used_once_even_for_another_issue(redis: Redis):
    index = Index(redis)
    await begin(index, "42-aaaaaa", 42)
    assert await begin(index, "42-aaaaaa", 43) == ""
    assert await index.find(REPO, 43, is_change=False) is None
    assert await Journals(redis).lines("42-aaaaaa") == [b"opened"]


async def test_an_ended_task_frees_its_issue_and_stays_known(redis: Redis):
    index = Index(redis)
    await begin(index, "42-aaaaaa")
    await index.release("42-aaaaaa", REPO, 42)
    assert await index.open_tasks() == ["42-aaaaaa"], "until its evidence was delivered"
    await index.close("42-aaaaaa")
    assert await index.open_tasks() == []
    assert await begin(index, "42-bbbbbb") == "42-bbbbbb"
    assert await index.all_tasks() == ["42-aaaaaa", "42-bbbbbb"]


async def test_a_task_that_ended_before_cannot_free_the_issue_of_the_next(redis: Redis):
    index = Index(redis)
    await begin(index, "42-aaaaaa")
    await index.release("42-aaaaaa", REPO, 42)
    await begin(index, "42-bbbbbb")
    await index.release("42-aaaaaa", REPO, 42)
    assert await index.find(REPO, 42, is_change=False) == "42-bbbbbb"
    await index.close("42-aaaaaa")
    assert await index.open_tasks() == ["42-bbbbbb"]


async def test_changes_and_issues_have_numbers_of_their_own(redis: Redis):
    index = Index(redis)
    await begin(index, "42-aaaaaa")
    await index.bind_change(REPO, 7, "42-aaaaaa")
    assert await index.find(REPO, 7, is_change=True) == "42-aaaaaa"
    assert await index.find(REPO, 7, is_change=False) is None
    assert await index.find(REPO, 42, is_change=True) is None


async def test_a_change_that_has_ended_is_counted_no_more_and_still_found(redis: Redis):
    index = Index(redis)
    await index.bind_change(REPO, 7, "42-aaaaaa")
    await index.end_change("42-aaaaaa", REPO)
    assert await index.open_changes(REPO) == 0
    assert await index.find(REPO, 7, is_change=True) == "42-aaaaaa"
