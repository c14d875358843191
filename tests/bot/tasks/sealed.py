"""A task whose journal is sealed, and the worker that delivers it; both as the tests of the end need them."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from bot.audit.seal import Entry, read
from bot.tasks import deposit as depositing
from bot.tasks.anchored import DONE_S, done_at
from bot.tasks.deposit import Deposit
from tests.bot.tasks.forge import MIRA
from tests.bot.tasks.office import Office

TIP = "a" * 40


async def cancelled(office: Office) -> str:
    """Open a task, and have a person cancel it: control seals it, and waits for the log."""
    task = await office.opened()
    await office.says(task, MIRA, "/cancel")
    await office.converge(task)
    return task


async def proven(office: Office, task: str) -> None:
    """Say that the log has taken the seal up, as its keeper does."""
    size = (await office.desk.shelf.read(task)).size
    await office.redis.set(done_at(task), str(size), ex=DONE_S)


async def state(office: Office, task: str) -> Deposit:
    """Read how far the deposit is."""
    return await depositing.read(office.redis, task)


async def lines(office: Office, task: str) -> list[bytes]:
    """Read the journal."""
    return await office.desk.shelf.journals.lines(task)


async def entries(office: Office, task: str) -> tuple[Entry, ...]:
    """Read the journal as the verifier does."""
    return read(await lines(office, task))


async def delivers(office: Office, task: str, outcome: str = "ok", code: str = "", **wrong: Any) -> None:
    """Report a deposit as its worker does, in a stream that nobody admits."""
    number = (await state(office, task)).number
    stored = await lines(office, task)
    pushed = {
        "attempt": number, "ref": f"refs/gatewright/audit/{task}", "commit": TIP, "size": len(stored),
        "journal_sha256": hashlib.sha256(b"".join(line + b"\n" for line in stored)).hexdigest(), **wrong,
    }  # fmt: skip
    end = {"attempt": number, "step": "archive", "code": code}
    for entry in (
        {"kind": "pushed", "data": pushed},
        {"kind": "attempt.ended", "data": end, "outcome": outcome},
    ):
        await office.redis.xadd(f"gw:attempt:{task}:{number}", {"r": msgspec.json.encode(entry)})
