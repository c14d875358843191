from __future__ import annotations

import time

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.tasks.clock import TOLERANCE_MS, Watch, now_ms, steady_ms
from tests.bot.tasks.office import Office

PROGRESS = kinds.Progress(1, 1, 2)


async def write(office: Office, task: str) -> None:
    async with office.desk.shelf.open(task) as book:
        await book.write(Draft("progress", PROGRESS, office.desk.service))


async def jumps(office: Office, task: str) -> list[tuple[str, int]]:
    records = await office.records(task)
    found = [(records[at + 1].kind, one.data["delta_ms"]) for at, one in enumerate(records) if one.kind == "clock.jump"]
    return [(kind, round(delta / 1000)) for kind, delta in found]


async def test_a_clock_that_is_set_is_recorded_before_the_next_record(office: Office):
    task = await office.opened()
    office.ahead_ms += 86_400_000  # a day goes by: nothing was set
    await write(office, task)
    assert await jumps(office, task) == []
    office.set_ms += 3_600_000
    await write(office, task)
    await write(office, task)
    office.set_ms -= 5_000
    await write(office, task)
    assert await jumps(office, task) == [("progress", 3_600), ("progress", -5)]
    records = await office.records(task)
    assert {one.actor.id for one in records if one.kind == "clock.jump"} == {"inst:gatewright"}


async def test_a_clock_behind_the_journal_is_seen_by_a_process_that_knows_no_earlier_time(office: Office, twin: Office):
    task = await office.opened()
    twin.set_ms = -60_000
    await write(twin, task)
    await write(twin, task)
    assert await jumps(office, task) == [("progress", -60)]


async def test_small_differences_are_no_jump(office: Office, twin: Office):
    task = await office.opened()
    office.set_ms += TOLERANCE_MS - 500
    await write(office, task)
    twin.set_ms = TOLERANCE_MS - 1_000
    await write(twin, task)
    assert await jumps(office, task) == []


async def test_every_open_journal_hears_of_a_jump(office: Office):
    first = await office.opened()
    async with office.desk.shelf.open(first):
        pass
    office.set_ms += 10_000
    await write(office, first)
    assert await jumps(office, first) == [("progress", 10)]


def test_a_watch_counts_from_its_first_look_and_forgets() -> None:
    steady = 1_000
    watch = Watch(lambda: steady)
    watch.begin("1-aaaaaa", 50_000)
    assert watch.jump("1-aaaaaa", 50_000, 50_000) == 0
    assert watch.jump("1-aaaaaa", 57_000, 50_000) == 7_000
    assert watch.jump("1-aaaaaa", 57_000, 57_000) == 0
    watch.forget("1-aaaaaa")
    assert watch.jump("1-aaaaaa", 90_000, 57_000) == 0, "nobody knows"
    assert watch.jump("1-aaaaaa", 80_000, 95_000) == -10_000, "the jump itself, not how far the journal is ahead"


def test_our_clocks_are_milliseconds() -> None:
    assert abs(now_ms() - time.time() * 1000) < 1_000
    before = steady_ms()
    time.sleep(0.05)
    assert 40 <= steady_ms() - before < 5_000
