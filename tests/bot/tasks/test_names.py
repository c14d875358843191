from __future__ import annotations

from redis.asyncio import Redis

from bot.model.event import Actor
from bot.tasks.names import KEY, named, remember
from tests.bot.tasks.forge import REPO
from tests.bot.tasks.history import History


async def test_people_show_the_name_they_were_seen_with_last(redis: Redis):
    task = History().at_spec_review().ask("spec").approve("spec").task
    host = REPO.host
    await remember(redis, task.origin.repo, Actor(7, "old-name"))
    await remember(redis, task.origin.repo, Actor(7, "mira"))
    shown = await named(redis, task)
    assert {shown.origin.labeller.login, *(a.actor.login for a in shown.approvals)} == {"mira"}
    assert await redis.hgetall(KEY) == {f"github:{host}:7".encode(): b"mira"}


async def test_an_erased_name_is_a_number(redis: Redis):
    task = History().task
    await remember(redis, task.origin.repo, Actor(7, "mira"))
    await redis.delete(KEY)
    assert (await named(redis, task)).origin.labeller.login == "account 7"


async def test_names_are_kept_apart_by_forge_and_host(redis: Redis):
    await remember(redis, REPO, Actor(7, "somebody-else"))
    other = type(REPO)(REPO.forge, "elsewhere.example", REPO.id, REPO.path)
    await remember(redis, other, Actor(7, "mira"))
    assert await redis.hlen(KEY) == 2


async def test_an_account_without_a_name_is_not_kept(redis: Redis):
    await remember(redis, REPO, Actor(7, ""))
    assert not await redis.exists(KEY)
