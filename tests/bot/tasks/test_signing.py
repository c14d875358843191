"""Checkpoints in the running system: at the moments that count, made good after a crash, never of what is not there."""

from __future__ import annotations

import asyncio
import base64

import pytest
from redis.asyncio import Redis

from bot.audit import entries, kinds, layout, merkle
from bot.audit.chain import Draft
from bot.audit.delegation import Delegation
from bot.audit.keys import VKey
from bot.audit.note import Checkpoint, Note
from bot.audit.order import verify_order
from bot.audit.record import data_of
from bot.model.errors import Refused, Superseded
from bot.model.state import State
from bot.tasks import signing
from bot.tasks.marks import SIGNED_AFTER
from bot.tasks.opening import open_task
from bot.tasks.papers import PENDING, key_at, signed_at
from tests.bot.tasks.forge import MIRA
from tests.bot.tasks.office import Office

BLOCKED = kinds.TaskBlocked("GW-TEST")
QUIET = kinds.ClockJump(1)


async def notes(redis: Redis, task: str) -> dict[str, bytes]:
    return {path.decode(): raw for path, raw in (await redis.hgetall(signed_at(task))).items()}


async def sizes(redis: Redis, task: str) -> list[int]:
    return sorted(int(path[12:22]) for path in await notes(redis, task) if path.startswith("checkpoints/"))


async def logged(redis: Redis) -> list[entries.Known]:
    return [entries.decode(line) for line in await redis.lrange(PENDING, 0, -1)]


async def check(office: Office, task: str) -> list[int]:
    """Hold everything that is signed to the journal, by nothing but what the journal and the instance's key say."""
    lines = await office.desk.shelf.journals.lines(task)
    records = await office.records(task)
    opened = data_of(records[0])
    assert isinstance(opened, kinds.TaskOpened)
    key, found = VKey.parse(opened.task_vkey), await notes(office.redis, task)
    vouched = Note.parse(found.pop("key.note"))
    assert vouched.is_by(VKey.parse(opened.vkey))
    said = Delegation.parse(vouched.text)
    assert (said.key, said.genesis, said.since_ms) == (key, records[0].prev, records[0].ts)
    for path, raw in found.items():
        note = Note.parse(raw)
        head = Checkpoint.parse(note.text)
        assert f"audit/{path}" == layout.checkpoint(head.size)
        assert head == Checkpoint(f"gatewright/task/{task}", head.size, merkle.root(lines[: head.size]))
        assert note.is_by(key)
    told = [entry.note for entry in await logged(office.redis) if isinstance(entry, entries.TaskCheckpoint)]
    assert sorted(told) == sorted(raw.decode() for raw in found.values())
    return await sizes(office.redis, task)


async def test_a_task_is_signed_from_its_first_record(office: Office):
    office.forge.opens()
    task = await open_task(office.desk, office.index, office.labelled())
    assert task is not None
    assert list(await notes(office.redis, task)) == ["key.note"]
    assert [type(entry) for entry in await logged(office.redis)] == [entries.TaskOpened]
    await office.converge(task)
    assert 1 in await check(office, task)


async def test_every_moment_that_counts_is_signed(office: Office):
    task = await office.at_change_gate()
    signed = await check(office, task)
    records = await office.records(task)
    due = {record.seq + 1 for record in records if record.kind in SIGNED_AFTER}
    assert len(due) >= 6
    assert {1} | due <= {*signed}


async def test_an_order_names_a_head_that_is_signed(office: Office):
    task = await office.opened()
    order = verify_order(await office.redis.get(f"gw:order:{task}:1"), office.desk.key.public)
    lines = await office.desk.shelf.journals.lines(task)
    root = merkle.root(lines[: order.journal_size])
    assert order.checkpoint == f"gatewright/task/{task} {order.journal_size} {base64.b64encode(root).decode()}"
    assert order.journal_size in await check(office, task)


async def test_what_people_are_asked_names_the_head_it_was_asked_on(office: Office):
    task = await office.at_spec_gate()
    lines, [asked] = (
        await office.desk.shelf.journals.lines(task),
        [record for record in await office.records(task) if record.kind == "approval.requested"],
    )
    data = data_of(asked)
    assert isinstance(data, kinds.ApprovalRequested)
    assert data.size == asked.seq
    assert data.root == base64.b64encode(merkle.root(lines[: data.size])).decode()
    assert {data.size, data.size + 1} <= {*await check(office, task)}


async def test_what_a_crash_left_unsigned_is_made_good(office: Office, twin: Office):
    task = await office.at_spec_gate()
    before = await check(office, task)
    await office.says(task, MIRA, "/approve")  # control dies here: the approval is durable, its note is not there
    assert await sizes(office.redis, task) == before
    approved = 1 + max(record.seq for record in await office.records(task) if record.kind == "approval")
    await twin.converge(task)
    assert approved in await check(twin, task)


async def test_all_notes_that_redis_lost_are_made_again_as_they_were(office: Office, twin: Office):
    task = await office.at_spec_gate()
    before = await notes(office.redis, task)
    due = {layout.checkpoint(r.seq + 1)[6:] for r in await office.records(task) if r.kind in SIGNED_AFTER}
    await office.redis.hdel(signed_at(task), *due)
    await twin.converge(task)
    after = await notes(office.redis, task)
    assert {path: after[path] for path in due} == {path: before[path] for path in due}


async def test_two_replicas_log_a_note_once(office: Office, twin: Office):
    task = await office.opened()
    for one in (office, twin):
        async with one.desk.shelf.open(task) as book:
            await signing.checkpoint(one.desk, book)
    told = [entry.note for entry in await logged(office.redis) if isinstance(entry, entries.TaskCheckpoint)]
    assert len(told) == len({*told}) == len(await check(office, task))


async def test_a_record_that_was_not_written_is_not_signed(office: Office):
    task = await office.opened()
    before = await check(office, task)
    async with office.desk.shelf.open(task) as book:
        await office.redis.delete(f"gw:lease:{task}")
        with pytest.raises(Superseded):
            await book.write(Draft("task.closed", kinds.TaskClosed("cancelled", ""), office.desk.service))
        await signing.sign_due(office.desk, book)
    assert await check(office, task) == before


async def test_quiet_records_are_signed_after_a_minute(office: Office):
    task = await office.opened()
    async with office.desk.shelf.open(task) as book:
        await signing.checkpoint(office.desk, book)
        await book.write(Draft("clock.jump", QUIET, office.desk.service))
        before = await sizes(office.redis, task)
        await signing.sign_due(office.desk, book)
        assert await sizes(office.redis, task) == before
        office.ahead_ms += signing.IDLE_MS
        await signing.sign_due(office.desk, book)
        assert await sizes(office.redis, task) == [*before, book.task.size]
        await signing.sign_due(office.desk, book)
    assert (await check(office, task))[-1] == (await office.desk.shelf.read(task)).size


async def test_a_long_quiet_journal_is_signed_on_its_way(office: Office):
    task = await office.opened()
    async with office.desk.shelf.open(task) as book:
        await book.write(*[Draft("clock.jump", QUIET, office.desk.service)] * 300)
        await signing.sign_due(office.desk, book)
    assert 256 in await check(office, task)


async def test_nothing_is_signed_twice_while_nothing_happens(office: Office):
    task = await office.at_spec_gate()
    before, size = await check(office, task), (await office.desk.shelf.read(task)).size
    for _ in range(3):
        office.ahead_ms += 61_000
        await office.converge(task)
    after, now = await check(office, task), (await office.desk.shelf.read(task)).size
    assert (now, len(after) - len(before)) == (size, int(size not in before))  # the tail, once


async def test_a_key_that_is_gone_blocks_the_next_order_in_words(office: Office, twin: Office):
    task = await office.at_spec_gate()
    async with office.desk.shelf.open(task) as book:
        await signing.checkpoint(office.desk, book)
        key = await signing.key_of(office.desk, book.task)
        assert key is not None
        assert key.public == book.marks.vkey.public
        await signing.destroy_key(office.desk, task)
        assert await signing.key_of(office.desk, book.task) is None
        assert await signing.checkpoint(office.desk, book)  # was signed before
        await book.write(Draft("clock.jump", QUIET, office.desk.service))
        with pytest.raises(Refused, match="GW-SIGN-KEY"):
            await signing.checkpoint(office.desk, book)
    await office.says(task, MIRA, "/approve")
    now = await office.converge(task)
    assert (now.state, now.blocked_code) == (State.BLOCKED, "GW-SIGN-KEY")
    assert "GW-SIGN-KEY" in office.log.codes("journal.unsigned")
    assert any("key that signs" in comment.body for _, comment in office.forge.talk.values())


async def test_a_key_of_another_task_does_not_sign(office: Office):
    task = await office.opened()
    office.forge.opens(43)
    other = await open_task(office.desk, office.index, office.labelled(number=43))
    stolen = await office.redis.get(key_at(other))
    await office.redis.set(key_at(task), stolen)
    async with office.desk.shelf.open(task) as book:
        await book.write(Draft("task.blocked", BLOCKED, office.desk.service))
        with pytest.raises(Refused, match="GW-SIGN-KEY"):
            await signing.checkpoint(office.desk, book)


async def test_a_journal_without_a_key_is_never_there(office: Office, twin: Office):
    office.forge.opens()
    opened = await asyncio.gather(*(open_task(one.desk, one.index, one.labelled()) for one in (office, twin) * 3))
    [task] = {*opened}
    assert [key async for key in office.redis.scan_iter("gw:taskkey:*")] == [key_at(task).encode()]
    assert [key async for key in office.redis.scan_iter("gw:signed:*")] == [signed_at(task).encode()]
    assert len(await logged(office.redis)) == 1


async def test_a_note_on_a_forge_is_found_again_and_no_other(office: Office):
    task = await office.at_spec_gate()
    async with office.desk.shelf.open(task) as book:
        note = await signing.newest(office.desk, book)
        head = Checkpoint.parse(Note.parse(note.encode()).text)
        for body in (f"text\n\n```\n{note}```\n", f"text\r\n\r\n```\n{note}```\r\n".replace("\n", "\r\n")):
            assert await signing.shown(office.desk, book, body.replace("\r\r", "\r")) == head
        for wrong in ("", note, f"```\n{note.replace(str(head.size), '99', 1)}```", f"```\n{note[:-9]}\n```"):
            assert await signing.shown(office.desk, book, wrong) is None
