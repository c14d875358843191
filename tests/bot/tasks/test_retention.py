from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.entries import BlobsPruned, encode
from bot.audit.log import read as read_log
from bot.settings import Audit, Settings
from bot.tasks import retention
from bot.tasks.logbook import REFUSED, Logbook
from bot.tasks.papers import PENDING
from bot.tasks.retention import DAY_MS, Decision, Kept, is_due, is_held
from tests.bot.tasks.office import SPEC, Office
from tests.bot.tasks.sealed import cancelled, delivers, lines, proven

KEPT = Kept("1-aaaaaa", "acme/pay", "standard", 1_000, ("a" * 64, "b" * 64))


@pytest.mark.parametrize(
    ("holds", "held"),
    [((), False), (("1-aaaaaa",), True), (("acme/*",), True), (("*",), True), (("acme/other", "2-bbbbbb"), False)],
)
def test_a_hold_names_tasks_repositories_or_everything(holds: tuple[str, ...], held: bool) -> None:
    assert is_held(Audit(legal_hold=holds), KEPT.task, KEPT.path) is held


def test_payloads_are_due_when_the_days_of_their_class_are_over_and_never_without_days() -> None:
    audit = Audit(retention={"standard": 30})
    assert not is_due(KEPT, audit, 1_000 + 30 * DAY_MS)
    assert is_due(KEPT, audit, 1_001 + 30 * DAY_MS)
    assert not is_due(replace(KEPT, data_class="trade"), audit, 10**15)
    assert Audit().retention == {"standard": 2190}


def test_long_decisions_are_several_entries() -> None:
    targets = tuple(f"{number:064x}" for number in range(1_201))
    found = list(replace(KEPT, decided=(Decision("retention", targets),)).entries())
    assert [len(entry.targets) for entry in found] == [500, 500, 201]
    assert tuple(one for entry in found for one in entry.targets) == targets
    assert max(len(encode(entry)) for entry in found) < 64 * 1024


async def ended(office: Office) -> tuple[str, tuple[str, ...]]:
    """A task that was sealed and delivered, and what it left."""
    task = await cancelled(office)
    await proven(office, task)
    await office.converge(task)
    await delivers(office, task)
    await office.converge(task)
    kept = retention.read(office.desk.data, task)
    assert kept is not None
    return task, kept.blobs


async def test_a_delivered_task_leaves_word_of_its_payloads(office: Office):
    task, blobs = await ended(office)
    assert blobs
    assert all(office.desk.blobs.has(one) for one in blobs)
    kept = retention.read(office.desk.data, task)
    assert (kept.path, kept.data_class, kept.decided) == (office.repo.path, "standard", ())


async def test_what_is_due_is_logged_and_only_then_deleted(office: Office):
    task, blobs = await ended(office)
    log = Logbook(office.desk)
    while await log.turn():
        pass
    office.ahead_ms += 2_191 * DAY_MS
    await retention.prune(office.desk, office.index)
    await retention.prune(office.desk, office.index)
    (line,) = await office.redis.lrange(PENDING, 0, -1)
    said = json.loads(line)
    assert (said["kind"], said["task"], said["reason"], tuple(said["targets"])) == (
        "blobs.pruned", task, "retention", blobs,
    )  # fmt: skip
    assert all(office.desk.blobs.has(one) for one in blobs), "not before the log says so"
    assert await log.turn()
    assert line in list(read_log(log.folder))
    assert not any(office.desk.blobs.has(one) for one in blobs)
    await retention.prune(office.desk, office.index)
    assert await office.redis.llen(PENDING) == 0, "done is done"
    await log.close()


async def test_nothing_is_deleted_that_is_held_or_that_no_log_can_tell(office: Office):
    task, blobs = await ended(office)
    office.ahead_ms += 2_191 * DAY_MS
    for audit in (Audit(legal_hold=(task,)), Audit(log=False), Audit(retention={})):
        office.desk.settings = Settings(audit=audit)
        await retention.prune(office.desk, office.index)
    assert retention.read(office.desk.data, task).decided == ()
    assert all(office.desk.blobs.has(one) for one in blobs)


async def test_a_hold_counts_until_the_log_has_taken_it_up(office: Office):
    _, blobs = await ended(office)
    office.ahead_ms += 2_191 * DAY_MS
    await retention.prune(office.desk, office.index)
    office.desk.settings = Settings(audit=Audit(legal_hold=(office.repo.path,)))
    log = Logbook(office.desk)
    while await log.turn():
        pass
    assert all(office.desk.blobs.has(one) for one in blobs)
    assert b"blobs.pruned" in (await office.redis.lrange(REFUSED, 0, -1))[0]
    await log.close()


async def test_what_a_living_task_names_stays(office: Office):
    task, blobs = await ended(office)
    living = await office.opened()
    await office.drafts(living, "spec", SPEC)
    theirs = (await office.desk.shelf.read(living)).spec.commitment
    retention.write(office.desk.data, replace(KEPT, task=task, blobs=(*blobs, theirs), ended_ms=1))
    await retention.prune(office.desk, office.index)
    kept = retention.read(office.desk.data, task)
    assert kept.blobs == (theirs,)
    assert kept.decided == (Decision("retention", blobs),)


async def test_an_entry_that_this_machine_did_not_decide_is_not_logged(office: Office):
    _, blobs = await ended(office)
    await office.redis.rpush(PENDING, encode(BlobsPruned("retention", blobs, "1-aaaaaa")))
    log = Logbook(office.desk)
    while await log.turn():
        pass
    assert not any(b"blobs.pruned" in line for line in read_log(log.folder))
    assert all(office.desk.blobs.has(one) for one in blobs)
    await log.close()


async def test_what_was_redacted_before_is_not_kept(office: Office):
    task = await office.opened()
    (gone, *_) = retention.summary(await lines(office, task), "acme/pay").blobs
    async with office.desk.shelf.open(task) as book:
        await book.write(Draft("blob.redacted", kinds.BlobRedacted(gone, "asked"), office.desk.service))
    assert gone not in retention.summary(await lines(office, task), "acme/pay").blobs
