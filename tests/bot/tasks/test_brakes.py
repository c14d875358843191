"""Brakes in a real Redis."""

from __future__ import annotations

from msgspec.structs import replace
from redis.asyncio import Redis

from bot.tasks.brakes import INSTANCE, REASON_MAX, UNREADABLE, Brake, Brakes
from tests.bot.tasks.forge import REPO

TASK = "42-k7f3qd"
OTHER = replace(REPO, id=REPO.id + 1)


async def test_a_brake_holds_its_scope_until_it_is_released(redis: Redis):
    brakes = Brakes(redis)
    assert await brakes.of(REPO, TASK) == ()
    await brakes.pull(REPO.key, "operator mira", "the registry is down", 1_000)
    assert await brakes.of(REPO) == (Brake(REPO.key, "operator mira", "the registry is down", 1_000),)
    assert await brakes.of(OTHER) == ()
    assert await Brakes(redis).release(REPO.key)
    assert not await brakes.release(REPO.key)
    assert await brakes.of(REPO) == ()


async def test_what_holds_a_task_is_named_from_the_widest_to_the_narrowest(redis: Redis):
    brakes = Brakes(redis)
    for at, scope in enumerate((f"task:{TASK}", REPO.key, INSTANCE)):
        await brakes.pull(scope, "operator tom", "", at)
    assert [brake.kind for brake in await brakes.of(REPO, TASK)] == ["instance", "repository", "operator"]
    assert [brake.kind for brake in await brakes.of(REPO, "43-aaaaaa")] == ["instance", "repository"]
    assert [brake.kind for brake in await brakes.of(OTHER)] == ["instance"]
    assert [brake.scope for brake in await brakes.all()] == [f"task:{TASK}", REPO.key, INSTANCE]


async def test_keys_are_those_that_the_acl_names(redis: Redis):
    brakes = Brakes(redis)
    for scope in (INSTANCE, REPO.key, f"task:{TASK}"):
        await brakes.pull(scope, "", "", 0)
    assert sorted(await redis.keys("*")) == sorted(
        [b"gw:brake:instance", f"gw:brake:repo:{REPO.key}".encode(), f"gw:brake:task:{TASK}".encode()]
    )


async def test_a_brake_that_cannot_be_read_holds_all_the_same(redis: Redis):
    for value in (b"", b"1", b"{", b'{"scope":"x"}', b"\xff"):
        await redis.set("gw:brake:instance", value)
        assert await Brakes(redis).of(REPO) == (Brake(INSTANCE, "", UNREADABLE, 0),)
        assert await Brakes(redis).all() == (Brake(INSTANCE, "", UNREADABLE, 0),)


async def test_a_brake_says_its_own_scope_whatever_its_value_says(redis: Redis):
    await Brakes(redis).pull(INSTANCE, "a", "b", 1)
    await redis.rename("gw:brake:instance", f"gw:brake:repo:{REPO.key}")
    (brake,) = await Brakes(redis).of(REPO)
    assert brake.kind == "repository"


async def test_a_reason_is_bounded_and_the_last_one_counts(redis: Redis):
    brakes = Brakes(redis)
    await brakes.pull(INSTANCE, "a", "x" * 5_000, 1)
    assert len((await brakes.of(REPO))[0].reason) == REASON_MAX
    await brakes.pull(INSTANCE, "b", "again", 2)
    assert await brakes.all() == (Brake(INSTANCE, "b", "again", 2),)
