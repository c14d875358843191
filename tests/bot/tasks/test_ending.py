from __future__ import annotations

import hashlib
import json

import pytest
from msgspec.structs import replace

from bot.audit import seal as seals
from bot.audit.chain import Draft
from bot.audit.keys import VKey
from bot.audit.kinds import Command, Seal, TaskClosed
from bot.audit.note import Checkpoint, Note
from bot.audit.statement import Envelope
from bot.model.errors import Refused
from bot.model.state import State
from bot.tasks import ending, signing
from bot.tasks.papers import PENDING, key_at, signed_at
from tests.bot.tasks.forge import MIRA
from tests.bot.tasks.office import Office
from tests.bot.tasks.sealed import TIP, cancelled, delivers, entries, lines, proven, state


async def envelope(office: Office, task: str) -> Envelope:
    raw = await office.redis.hget(signed_at(task), seals.PATH)
    assert raw is not None
    return Envelope.parse(raw)


async def keys(office: Office, task: str) -> tuple[VKey, VKey]:
    """The verifier keys of a task, as record 0 names it, and of the instance."""
    opened = (await entries(office, task))[0].data
    return VKey.parse(opened.task_vkey), VKey("gatewright", office.desk.key.public)


async def announced(office: Office) -> list[dict]:
    return [json.loads(line) for line in await office.redis.lrange(PENDING, 0, -1)]


async def test_an_ended_task_is_sealed_by_its_last_record_and_both_keys_vouch_for_it(office: Office):
    task = await cancelled(office)
    found = await entries(office, task)
    assert found[-1].data == Seal("cancelled", "", "", found[-1].data.blobs, 0)
    assert sum(isinstance(entry.data, TaskClosed) for entry in found) == 1
    own, instance = await keys(office, task)
    said = seals.check(await envelope(office, task), found, own, [instance])
    assert (said.predicate.outcome, said.predicate.records, said.predicate.task) == ("cancelled", len(found), task)
    stored = b"".join(line + b"\n" for line in await lines(office, task))
    assert said.subject[0].digest.sha256 == hashlib.sha256(stored).hexdigest()
    raw = await office.redis.hget(signed_at(task), f"checkpoints/{len(found):010d}.note")
    note = Note.parse(raw)
    assert note.is_by(own)
    assert Checkpoint.parse(note.text).size == len(found)


async def test_the_seal_is_announced_once_and_the_tasks_key_is_gone(office: Office):
    task = await cancelled(office)
    assert await office.redis.get(key_at(task)) is None
    for _ in range(3):
        await office.converge(task)
    raw = await office.redis.hget(signed_at(task), seals.PATH)
    sealed = [line for line in await announced(office) if line["kind"] == "task.sealed"]
    size = (await office.desk.shelf.read(task)).size
    expected = {"kind": "task.sealed", "task": task, "size": size, "envelope_sha256": hashlib.sha256(raw).hexdigest()}
    assert sealed == [expected]


async def test_the_issue_is_free_as_soon_as_the_seal_is_there(office: Office):
    task = await cancelled(office)
    repo = (await office.desk.shelf.read(task)).origin.repo
    assert await office.index.find(repo, 42, is_change=False) is None
    assert await office.index.open_tasks() == [task], "it is still looked after"
    second = await office.opened()
    assert second != task
    await office.converge(task)
    assert await office.index.find(repo, 42, is_change=False) == second


async def test_the_delivery_waits_for_the_logs_proof(office: Office):
    task = await cancelled(office)
    assert (await state(office, task)).tries == 0
    await proven(office, task)
    await office.converge(task)
    assert (await state(office, task)).tries == 1


async def test_a_log_that_does_not_answer_holds_nothing_up_for_long(office: Office):
    task = await cancelled(office)
    office.ahead_ms = ending.PROOF_MS - 5_000
    await office.converge(task)
    assert (await state(office, task)).tries == 0
    office.ahead_ms = ending.PROOF_MS + 1_000
    await office.converge(task)
    assert (await state(office, task)).tries == 1


async def test_a_merged_change_is_sealed_with_what_it_came_to(office: Office):
    task = await office.at_change_gate()
    now = await office.desk.shelf.read(task)
    change = office.forge.changes[now.pull.number]
    office.forge.changes[change.number] = replace_merged(change)
    await office.says(task, MIRA, "/approve", number=change.number, on_change=True)
    await office.converge(task)
    now = await office.converge(task)
    assert (now.state, now.is_sealed) == (State.DONE, True)
    found = await entries(office, task)
    own, instance = await keys(office, task)
    predicate = seals.check(await envelope(office, task), found, own, [instance]).predicate
    assert (predicate.outcome, predicate.commit, predicate.qa.verdict) == ("done", now.head, "passed")
    assert {(one.actor, one.what) for one in predicate.approvals} >= {("github:7", "spec"), ("github:7", "plan")}
    assert found[-1].data.source_sha256 == "c" * 64


def replace_merged(change):
    return type(change)(change.number, "", change.head, change.branch, is_open=False, is_merged=True, is_draft=False)


async def test_nothing_follows_the_seal_whoever_writes(office: Office):
    task = await cancelled(office)
    async with office.desk.shelf.open(task) as book:
        before = book.tail
        with pytest.raises(Refused, match="sealed"):
            await book.write(Draft("command", Command("status", "42:1", 0, accepted=True), office.desk.service))
        assert book.tail == before
    assert len(await lines(office, task)) == before.seq + 1


async def test_a_journal_that_nobody_signs_is_sealed_and_delivered_without_an_envelope(office: Office):
    """As of versions that gave tasks no keys."""
    task = await cancelled_unsigned(office)
    assert (await office.desk.shelf.read(task)).is_sealed
    assert await office.redis.hkeys(signed_at(task)) == []
    assert (await state(office, task)).tries == 1


async def cancelled_unsigned(office: Office) -> str:
    from bot.audit.chain import Link, extend, genesis
    from bot.audit.record import data_of, decode

    task = await office.opened()
    records = [decode(line) for line in await lines(office, task)]
    drafts = [
        Draft(
            r.kind, replace(data_of(r), task_vkey="") if not r.seq else data_of(r), r.actor, r.basis, r.outcome, r.refs
        )
        for r in records
    ]
    start = Link(-1, genesis("gatewright", office.repo.key, task))
    again, tail = extend(start, drafts, task=task, now_ms=records[0].ts)
    async with office.redis.pipeline(transaction=True) as pipe:
        pipe.delete(f"gw:journal:{task}", signed_at(task), key_at(task))
        pipe.rpush(f"gw:journal:{task}", *again)
        pipe.hset(f"gw:head:{task}", mapping={"seq": tail.seq, "hash": tail.hash})
        await pipe.execute()
    office.desk.shelf.forget(task)
    await office.says(task, MIRA, "/cancel")
    await office.converge(task)
    return task


async def test_a_key_that_redis_lost_leaves_the_end_unsigned_and_delivered(office: Office):
    task = await office.opened()
    await office.says(task, MIRA, "/cancel")
    await office.redis.delete(key_at(task))
    await office.converge(task)
    assert "seal.unsigned" in office.log.events()
    assert await office.redis.hget(signed_at(task), seals.PATH) is None
    assert (await state(office, task)).tries == 1


CUTS = ("record", "note", "envelope", "key", "order", "queue", "push", "done")


class Cut(BaseException):
    """The moment at which control is killed."""


@pytest.mark.parametrize("cut", CUTS)
async def test_control_may_die_between_any_two_steps_of_the_end(office: Office, twin: Office, monkeypatch, cut: str):
    """Whatever was done is kept, whatever was not is made good, and nothing is done twice."""
    from bot.tasks import deposit as depositing

    async def dies(*_: object, **__: object) -> None:
        raise Cut

    task = await office.opened()
    await office.says(task, MIRA, "/cancel")
    with monkeypatch.context() as patch:
        killed_in = {
            "record": (signing, "checkpoint"), "note": (ending, "_enclose"), "envelope": (signing, "destroy_key"),
            "key": (ending, "deposit"), "order": (depositing, "give"), "queue": (office.desk.jobs, "ensure"),
            "push": (depositing, "_is_whole"), "done": (ending, "leave"),
        }[cut]  # fmt: skip
        if cut in ("record", "note", "envelope"):
            patch.setattr(*killed_in, dies)
            with pytest.raises(Cut):
                await office.converge(task)
        else:
            await office.converge(task)
            await proven(office, task)
            if cut in ("push", "done"):
                await office.converge(task)
                await delivers(office, task)
            patch.setattr(*killed_in, dies)
            with pytest.raises(Cut):
                await office.converge(task)
    await office.redis.delete(f"gw:lease:{task}")
    await twin.converge(task)
    await proven(twin, task)
    await twin.converge(task)
    for _ in range(3):
        if (await state(twin, task)).done_ms:
            break
        office.ahead_ms = twin.ahead_ms = twin.ahead_ms + 40_000
        await twin.converge(task)  # an order that was lost is found missing
        if (await state(twin, task)).since_ms and not await told(twin, task):
            await delivers(twin, task)
        await twin.converge(task)
    now = await state(twin, task)
    assert (now.commit, now.since_ms) == (TIP, 0), now
    assert await twin.index.open_tasks() == []
    found = await entries(twin, task)
    assert [entry.record.kind for entry in found].count("seal") == 1
    assert isinstance(found[-1].data, Seal)
    own, instance = await keys(twin, task)
    assert seals.check(await envelope(twin, task), found, own, [instance]).predicate.records == len(found)
    assert [line["kind"] for line in await announced(twin)].count("task.sealed") == 1
    assert await twin.redis.get(key_at(task)) is None


async def told(office: Office, task: str) -> int:
    return await office.redis.xlen(f"gw:attempt:{task}:{(await state(office, task)).number}")
