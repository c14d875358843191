from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.audit.record import decode
from bot.model.errors import GatewrightError
from bot.tasks import retention
from bot.tasks.logbook import Logbook
from bot.terminal.redaction import redact
from tests.bot.tasks.office import SPEC, Office
from tests.bot.tasks.sealed import cancelled, lines

REASON = "asked by the person it names"


@pytest.fixture
async def office(redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    made = Office(redis_url, tmp_path)
    settings(made, redis_url)
    yield made
    await made.close()


def settings(office: Office, url: str, more: str = "") -> None:
    config(office).write_text(f'[server]\ndata_dir = "{office.desk.data}"\n[redis]\nurl = "{url}"\n{more}')


def config(office: Office) -> Path:
    return office.desk.data / "gatewright.toml"


async def redacts(office: Office, task: str, target: str, reason: str = REASON) -> None:
    assert await asyncio.to_thread(redact, task, target, reason, config(office)) == 0


async def code(office: Office, task: str, target: str, reason: str = REASON) -> str:
    with pytest.raises(GatewrightError) as refused:
        await redacts(office, task, target, reason)
    return refused.value.code


async def worked(office: Office) -> tuple[str, str, str]:
    """A running task, what one of its tools was asked, and the draft in force."""
    task = await office.opened()
    _, refs = office.text("cat /home/somebody/notes")
    await office.reports(task, "tool.call", {"call": 1, "tool": "run"}, refs=refs)
    await office.reports(task, "tool.result", {"call": 1, "exit": 0})
    await office.drafts(task, "spec", SPEC)
    return task, refs[0]["commit"], (await office.desk.shelf.read(task)).spec.commitment


async def test_a_payload_of_a_running_task_is_recorded_and_gone(office: Office):
    task, old, _ = await worked(office)
    await redacts(office, task, old)
    last = decode((await lines(office, task))[-1])
    assert (last.kind, last.data, last.actor.role) == (
        "blob.redacted", {"target": old, "reason": REASON}, "operator",
    )  # fmt: skip
    assert not office.desk.blobs.has(old)


async def test_what_work_rests_on_and_what_nobody_names_stays(office: Office):
    task, _, new = await worked(office)
    size = len(await lines(office, task))
    assert await code(office, task, new) == "GW-REDACT-NEEDED"
    assert await code(office, task, "ab" * 32) == "GW-REDACT-UNKNOWN"
    assert await code(office, "1-zzzzzz", new) == "GW-REDACT-UNKNOWN"
    assert await code(office, task, "../etc") == "GW-REDACT-TARGET"
    assert await code(office, task, new, " ") == "GW-REDACT-REASON"
    assert await code(office, task, new, "x" * 257) == "GW-REDACT-REASON"
    assert office.desk.blobs.has(new)
    assert len(await lines(office, task)) == size


async def test_nothing_that_is_held_is_deleted(office: Office, redis_url: str):
    task, old, _ = await worked(office)
    settings(office, redis_url, f'[audit]\nlegal_hold = ["{task}"]\n')
    assert await code(office, task, old) == "GW-REDACT-HOLD"
    assert office.desk.blobs.has(old)


async def test_a_payload_of_a_sealed_task_goes_when_the_log_says_so(office: Office, redis_url: str):
    task = await cancelled(office)
    journal = await lines(office, task)
    target = retention.summary(journal, "x").blobs[0]
    settings(office, redis_url, "[audit]\nlog = false\n")
    assert await code(office, task, target) == "GW-REDACT-LOG"
    settings(office, redis_url)
    await redacts(office, task, target)
    assert office.desk.blobs.has(target)
    log = Logbook(office.desk)
    while await log.turn():
        pass
    assert not office.desk.blobs.has(target)
    assert await lines(office, task) == journal, "nothing follows a seal"
    await log.close()
