"""The loop of control as it runs: a real inbox, real wakes, real sweeps; only the forge is in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot import control as module
from bot.audit.keys import Opener
from bot.control import LEADER, Control, read
from bot.inbox import DEAD, MAX_TRIES, Delivery, Inbox, Letter
from bot.model.access import Ask, context, message
from bot.model.errors import Unavailable
from bot.model.event import Event, EventKind
from bot.model.state import State
from tests.bot.tasks.emergency import ended
from tests.bot.tasks.forge import MIRA
from tests.bot.tasks.office import SPEC, Office

PATIENCE = 10.0


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is done from time to time is done often."""
    for name, value in (("SWEEP_S", 0.05), ("ATTEND_S", 0.05), ("PAUSE_S", 0.02), ("BLOCK_MS", 20)):
        monkeypatch.setattr(module, name, value)


@pytest.fixture
async def office(redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    made = Office(redis_url, tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def twin(redis_url: str, tmp_path: Path, office: Office) -> AsyncIterator[Office]:
    made = Office(redis_url, tmp_path)
    made.forge, made.desk.forges = office.forge, office.desk.forges
    yield made
    await made.close()


def made(office: Office) -> Control:
    return Control(office.desk, Inbox(office.redis, 100, reclaim_ms=20), office.index)


@contextlib.asynccontextmanager
async def at_work(control: Control) -> AsyncIterator[Control]:
    running = asyncio.create_task(control.run())
    try:
        yield control
    finally:
        control.stop()
        await asyncio.wait_for(running, PATIENCE)


async def until(holds: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not (found := await holds()):
            await asyncio.sleep(0.01)
        return found


def letter(event: Event | bytes, name: str = "d-1") -> Delivery:
    body = event if isinstance(event, bytes) else msgspec.json.encode(event)
    return Delivery("local", "localhost", name, "any", "", body, 1)


async def offered(office: Office, event: Event | bytes, name: str = "d-1") -> str:
    return await Inbox(office.redis, 100).offer(letter(event, name))


async def the_task(office: Office) -> str:
    async def known() -> str:
        return next(iter(await office.index.all_tasks()), "")

    return await until(known)


async def state(office: Office, task: str, wanted: State) -> None:
    async def holds() -> bool:
        return (await office.desk.shelf.read(task)).state is wanted

    await until(holds)


async def claim(office: Office, name: str = "d-1") -> bytes | None:
    return await office.redis.get(f"gw:delivery:local:{name}")


async def test_a_label_in_the_inbox_becomes_a_task_with_an_order(office: Office):
    office.forge.opens()
    await offered(office, office.labelled())
    async with at_work(made(office)):
        task = await the_task(office)
        await state(office, task, State.SPEC)
        await until(lambda: office.redis.exists(f"gw:order:{task}:1"))

    assert await claim(office) == b"done"
    assert await office.redis.xlen("gw:inbox") == 0


async def test_a_label_on_the_issue_of_a_task_that_waits_for_a_review_alone_opens_the_next(office: Office):
    first, control = await ended(office), made(office)
    await control.take(office.labelled())
    second = await office.index.find(office.repo, 42, is_change=False)
    assert second not in (None, first)
    assert not (await office.desk.shelf.read(first)).is_sealed
    office.ahead_ms += 60_000
    await control.take(office.labelled())
    assert await office.index.find(office.repo, 42, is_change=False) == second, "that one still works"


@pytest.mark.parametrize("body", [b'{"kind": 7}', b"{}", b'{"kind": "labeled", "repo": null}'])
async def test_a_letter_that_cannot_be_read_is_tried_and_then_put_aside_whole(office: Office, body: bytes):
    await offered(office, body)
    async with at_work(made(office)):
        await until(lambda: office.redis.xlen(DEAD))
    [(_, dead)] = await office.redis.xrange(DEAD)
    assert (dead[b"body"], dead[b"tries"]) == (body, str(MAX_TRIES).encode())
    assert dead[b"reason"]
    assert office.log.events().count("delivery.bug") == MAX_TRIES
    assert await claim(office) == b"failed", "somebody may have it delivered again"


async def test_a_bad_letter_holds_up_no_good_one(office: Office):
    office.forge.opens()
    await offered(office, b"{}", "bad")
    await offered(office, office.labelled(), "good")
    async with at_work(made(office)):
        await until(lambda: office.redis.xlen(DEAD))
        assert await the_task(office)


async def test_a_forge_that_comes_back_in_time_finds_the_letter_waiting(office: Office):
    office.forge.opens()
    office.forge.failing["issue"] = Unavailable("GW-FORGE-UNAVAILABLE", "down")
    await offered(office, office.labelled())
    async with at_work(made(office)):

        async def tried() -> bool:
            return "delivery.failed" in office.log.events()

        await until(tried)
        office.forge.failing.clear()
        assert await the_task(office)
    assert await office.redis.xlen(DEAD) == 0


async def test_what_is_no_event_for_us_is_done_with(office: Office):
    await offered(office, office.labelled(number=7))  # there is no such issue
    await offered(office, office.event(EventKind.ISSUE_CLOSED, number=8), "d-2")
    async with at_work(made(office)):

        async def done() -> bool:
            return [await claim(office, name) for name in ("d-1", "d-2")] == [b"done", b"done"]

        await until(done)
    assert await office.index.all_tasks() == []


async def test_a_report_that_wakes_control_is_acted_on(office: Office):
    task = await office.opened()
    digest, refs = office.text(SPEC)
    async with at_work(made(office)):
        await office.reports(task, "spec.set", {"spec_sha256": digest, "rev": 1}, refs=refs, basis="claimed")
        await office.reports(task, "attempt.ended", {"step": "spec"})
        await office.redis.lpush("gw:wake", task)
        await state(office, task, State.SPEC_REVIEW)

        async def shown() -> bool:
            return bool(office.forge.said("kind=gate.spec"))

        await until(shown)


async def test_a_knock_is_answered_with_a_sealed_credential(office: Office):
    task = await office.opened()
    opener, knock = Opener(), f"access:{task}:1:1"
    policy = office.desk.settings.policy.sha256()
    said = message(knock, opener.public.hex(), write=False, policy=policy)
    ask = Ask(opener.public.hex(), write=False, policy=policy, signature=office.runner.sign(said).hex())
    await office.redis.set(f"gw:{knock}:ask", msgspec.json.encode(ask))
    async with at_work(made(office)):
        await office.redis.lpush("gw:wake", knock)
        sealed = await until(lambda: office.redis.get(f"gw:{knock}"))
    assert b"ghs_read" in opener.open(sealed, context(knock))


@pytest.mark.parametrize("word", ["", "nonsense", "access:", "access:42-aaaaaa:x:1", "42-aaaaaa\n", "../42-aaaaaa"])
async def test_a_wake_that_says_nothing_is_logged_and_the_next_is_heard(office: Office, word: str):
    task = await office.opened()
    async with at_work(made(office)):
        await office.redis.lpush("gw:wake", word)

        async def noted() -> bool:
            return "wake.unreadable" in office.log.events()

        await until(noted)
        await office.ends_without_waking(task)
        await office.redis.lpush("gw:wake", task)
        await state(office, task, State.BLOCKED)


async def test_a_wake_for_a_task_that_is_not_there_is_logged(office: Office):
    async with at_work(made(office)):
        await office.redis.lpush("gw:wake", "42-zzzzzz")

        async def noted() -> bool:
            return "GW-TASK-UNKNOWN" in office.log.codes("converge.failed")

        await until(noted)


async def test_a_wake_that_got_lost_is_made_up_for_by_the_sweep(office: Office):
    task = await office.opened()
    await office.ends_without_waking(task)
    async with at_work(made(office)):
        await state(office, task, State.BLOCKED)


async def test_one_replica_leads_and_another_takes_over_when_it_is_gone(office: Office, twin: Office):
    async with at_work(made(twin)) as second:
        async with at_work(made(office)) as first:
            leader = await until(lambda: office.redis.get(LEADER))
            assert leader.decode() in (first._name, second._name)
            await asyncio.sleep(0.2)
            assert await office.redis.get(LEADER) == leader
        await office.redis.delete(LEADER)  # as it is when ten seconds are over

        async def leads() -> bool:
            return await office.redis.get(LEADER) == second._name.encode()

        await until(leads)
        task = await office.opened()
        await office.ends_without_waking(task)
        await state(twin, task, State.BLOCKED)


async def test_replicas_share_the_letters_and_open_one_task_an_issue(office: Office, twin: Office):
    for number in range(1, 9):
        office.forge.opens(number)
        for copy in ("a", "b"):
            await offered(office, office.labelled(number=number), f"{copy}-{number}")
    async with at_work(made(office)), at_work(made(twin)):

        async def empty() -> bool:
            return await office.redis.xlen("gw:inbox") == 0

        await until(empty)
    issues = [task.partition("-")[0] for task in await office.index.all_tasks()]
    assert sorted(issues) == [str(number) for number in range(1, 9)]


async def test_what_was_begun_is_finished_before_the_end(office: Office):
    office.forge.opens()
    begun, real = asyncio.Event(), office.forge.issue

    async def slow(*args: Any) -> Any:
        begun.set()
        await asyncio.sleep(0.2)
        return await real(*args)

    office.forge.issue = slow
    await offered(office, office.labelled())
    async with at_work(made(office)):
        await asyncio.wait_for(begun.wait(), PATIENCE)
    assert await claim(office) == b"done"
    assert len(await office.index.all_tasks()) == 1


async def test_connections_that_break_are_made_again(office: Office):
    office.forge.opens()
    async with at_work(made(office)):
        await asyncio.sleep(0.1)
        office.queue.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(0.1)
        await offered(office, office.labelled())
        assert await the_task(office)


async def test_a_loop_outlives_what_nobody_thought_of(office: Office):
    await office.redis.xadd("gw:inbox", {"not": "a delivery"})
    office.forge.opens()
    async with at_work(made(office)):

        async def noted() -> bool:
            return "control.bug" in office.log.events()

        await until(noted)
        await office.redis.lpush("gw:wake", "nonsense")
        await until(lambda: asyncio.sleep(0, "wake.unreadable" in office.log.events()))


async def test_a_command_by_a_person_is_carried_through(office: Office):
    task = await office.at_spec_gate()
    comment = office.forge.says(MIRA, "/approve")
    await offered(office, office.commented(comment))
    async with at_work(made(office)):
        await until(lambda: office.redis.exists(f"gw:order:{task}:2"))
    assert office.forge.reactions == [(comment.id, "eyes")]


def test_a_stored_delivery_of_a_forge_is_read_by_that_forges_words():
    body = b'{"action": "starred", "repository": {"id": 1}}'
    delivery = Delivery("github", "github.example", "d", "watch", "started", body, 1)
    assert read(Letter("1-0", delivery, 1)) == ()


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.003, 0.01])
async def test_a_stop_in_the_first_moments_ends_it(redis_url: str, tmp_path: Path, delay: float) -> None:
    """redis-py swallows a cancellation that comes while it connects; control must end all the same."""
    office = Office(redis_url, tmp_path)
    control = made(office)
    running = asyncio.create_task(control.run())
    await asyncio.sleep(delay)
    control.stop()
    await asyncio.wait_for(running, PATIENCE)
    await office.close()
