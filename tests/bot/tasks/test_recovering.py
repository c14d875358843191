from __future__ import annotations

import pytest

from bot.audit import kinds
from bot.audit.chain import Draft, walk
from bot.audit.record import decode
from bot.model.state import State
from bot.tasks import recovering
from bot.tasks.papers import key_at, signed_at
from bot.tasks.recovering import Came, Recovery
from tests.bot.tasks.forge import MIRA
from tests.bot.tasks.office import SPEC, Office
from tests.bot.tasks.sealed import cancelled, lines, proven


async def saved(office: Office, task: str) -> tuple[list[bytes], dict[str, bytes]]:
    """What git holds of a task."""
    signed = await office.redis.hgetall(signed_at(task))
    return await lines(office, task), {path.decode(): content for path, content in signed.items()}


def recovery(office: Office) -> Recovery:
    return Recovery(office.redis, office.desk.service, office.clock())


async def drafted(office: Office) -> str:
    task = await office.opened()
    await office.drafts(task, "spec", SPEC)
    await office.converge(task)
    return task


async def test_a_redis_that_lost_everything_knows_the_task_again_and_a_person_has_to_end_it(office: Office):
    task = await drafted(office)
    journal, signed = await saved(office, task)
    await office.redis.flushdb()
    office.desk.shelf.forget(task)
    assert await recovery(office).bring(journal, signed) is Came.KEYLESS
    now = await lines(office, task)
    assert now[: len(journal)] == journal
    records = [record for record, _ in walk(now, decode(now[0]).prev)][len(journal) :]
    assert [(one.kind, one.data) for one in records] == [
        ("journal.recovered", {"lacked": len(journal)}), ("task.blocked", {"code": "GW-RECOVER-KEY"}),
    ]  # fmt: skip
    assert (await saved(office, task))[1] == signed
    assert await office.index.open_tasks() == [task]
    assert await office.index.find(office.repo, 42, is_change=False) == task
    assert (await office.desk.shelf.read(task)).state is State.BLOCKED

    await office.says(task, MIRA, "/cancel")
    ended = await office.converge(task)
    assert ended.is_sealed, "it can be ended, and another one begun"
    assert await office.index.find(office.repo, 42, is_change=False) is None


async def test_records_that_redis_lost_come_back_and_the_task_goes_on_where_its_key_is_there(office: Office):
    task = await drafted(office)
    journal, signed = await saved(office, task)
    cut = len(journal) - 3
    last, _ = decode(journal[cut - 1]), await office.redis.ltrim(f"gw:journal:{task}", 0, cut - 1)
    await office.redis.hset(f"gw:head:{task}", mapping={"seq": last.seq, "hash": decode(journal[cut]).prev})
    office.desk.shelf.forget(task)
    assert await recovery(office).bring(journal, signed) is Came.ADOPTED
    now = await lines(office, task)
    assert now[: len(journal)] == journal
    assert decode(now[-1]).data == {"lacked": 3, "found": cut}
    after = await office.converge(task)
    assert after.state is not State.BLOCKED
    assert await office.redis.exists(key_at(task))


@pytest.mark.parametrize("longer", [0, 2])
async def test_a_redis_that_has_all_of_it_is_left_alone(office: Office, longer: int):
    task = await drafted(office)
    journal, signed = await saved(office, task)
    now = await lines(office, task)
    assert await recovery(office).bring(journal[: len(journal) - longer], signed) is Came.WHOLE
    assert await lines(office, task) == now


async def test_two_journals_that_differ_are_left_as_they_are_and_the_task_waits(office: Office):
    task = await drafted(office)
    journal, signed = await saved(office, task)
    cut = len(journal) - 2
    await office.redis.ltrim(f"gw:journal:{task}", 0, cut - 1)
    await office.redis.hset(f"gw:head:{task}", mapping={"seq": cut - 1, "hash": decode(journal[cut]).prev})
    office.desk.shelf.forget(task)
    async with office.desk.shelf.open(task) as book:
        await book.write(Draft("alarm", kinds.Alarm("GW-TEST"), office.desk.service))
    before = await lines(office, task)
    for _ in range(2):
        assert await recovery(office).bring(journal, signed) is Came.DIVERGED
    now = await lines(office, task)
    assert now[: len(before)] == before
    assert [decode(line).data for line in now[len(before) :]] == [{"code": "GW-RECOVER-DIVERGED"}]


async def test_a_sealed_task_is_not_brought_back(office: Office):
    task = await cancelled(office)
    await proven(office, task)
    journal, signed = await saved(office, task)
    await office.redis.flushdb()
    assert await recovery(office).bring(journal, signed) is Came.ENDED
    assert await lines(office, task) == []


async def test_an_issue_that_has_another_task_by_now_keeps_it(office: Office):
    task = await drafted(office)
    journal, signed = await saved(office, task)
    await office.redis.flushdb()
    office.desk.shelf.forget(task)
    other = await office.opened()
    assert await recovery(office).bring(journal, signed) is Came.KEYLESS
    assert await office.index.find(office.repo, 42, is_change=False) == other


async def test_long_journals_are_put_back_in_steps_that_may_be_taken_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recovering, "CHUNK", 2)
    task = await drafted(office)
    journal, signed = await saved(office, task)
    await office.redis.flushdb()
    assert await recovery(office).bring(journal, signed) is Came.KEYLESS
    assert (await lines(office, task))[: len(journal)] == journal
