from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bot.audit import layout
from bot.audit.record import decode
from bot.keyring import remember_key
from bot.model.errors import GatewrightError
from bot.model.state import State
from bot.tasks.papers import signed_at
from bot.tasks.signing import checkpoint
from bot.terminal.recovery import recover
from tests.bot.tasks.office import SPEC, Office
from tests.bot.tasks.sealed import lines


@pytest.fixture
async def office(redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    made = Office(redis_url, tmp_path / "data")
    (tmp_path / "gatewright.toml").write_text(f'[server]\ndata_dir = "{tmp_path}/data"\n[redis]\nurl = "{redis_url}"\n')
    remember_key(made.desk.data, "gatewright", made.desk.key)
    yield made
    await made.close()


def git(path: Path, *args: str) -> str:
    who = {f"GIT_{role}_{part}": "t" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **who}
    return subprocess.run(["git", "-C", str(path), *args], env=env, capture_output=True, check=True, text=True).stdout


async def pushed(office: Office, task: str, bare: Path, journal: Sequence[bytes] = ()) -> None:
    """Push a task's evidence to its audit ref, as its worker does."""
    signed = {path.decode(): raw for path, raw in (await office.redis.hgetall(signed_at(task))).items()}
    work = bare.with_name("work")
    for path, content in layout.evidence_files(task, journal or await lines(office, task), {}, signed).items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(content)
    git(bare.parent, "init", "-q", "--bare", str(bare))
    git(work, "init", "-q")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", f"Evidence of task {task}")
    git(work, "push", "-q", str(bare), f"HEAD:refs/gatewright/audit/{task}")


async def drafted(office: Office) -> str:
    task = await office.opened()
    await office.drafts(task, "spec", SPEC)
    await office.converge(task)
    async with office.desk.shelf.open(task) as book:
        await checkpoint(office.desk, book)  # as before each order, which is what a worker pushes
    return task


async def recovers(tmp_path: Path, where: str, task: str = "") -> int:
    return await asyncio.to_thread(recover, where, task, tmp_path / "gatewright.toml")


@pytest.mark.parametrize("by", ["path", "address"])
async def test_tasks_come_back_from_the_audit_refs_of_a_repository(
    office: Office, tmp_path: Path, by: str, capsys: pytest.CaptureFixture[str]
):
    task = await drafted(office)
    bare = tmp_path / "repo.git"
    await pushed(office, task, bare)
    journal = await lines(office, task)
    await office.redis.flushdb()
    office.desk.shelf.forget(task)
    where = str(bare) if by == "path" else f"file://{bare}"
    assert await recovers(tmp_path, where) == 1, "a person has to look: the key that signed is gone"
    assert f"{task}  adopted and blocked" in capsys.readouterr().out
    now = await lines(office, task)
    assert now[: len(journal)] == journal
    assert [decode(line).kind for line in now[len(journal) :]] == ["journal.recovered", "task.blocked"]
    assert (await office.desk.shelf.read(task)).state is State.BLOCKED
    assert await recovers(tmp_path, where, task) == 0, "nothing is left to do"
    assert await lines(office, task) == now


async def test_what_is_not_signed_by_this_instance_is_not_believed(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    task = await drafted(office)
    bare = tmp_path / "repo.git"
    journal = await lines(office, task)
    await pushed(office, task, bare, [*journal[:-1], journal[-1].replace(b'"outcome":"ok"', b'"outcome":"fail"')])
    await office.redis.flushdb()
    assert await recovers(tmp_path, str(bare)) == 1
    assert f"{task}: not recovered: " in capsys.readouterr().err
    assert await lines(office, task) == []


async def test_a_repository_without_evidence_says_what_to_fetch(office: Office, tmp_path: Path):
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    with pytest.raises(GatewrightError) as refused:
        await recovers(tmp_path, str(tmp_path / "empty.git"))
    assert refused.value.code == "GW-RECOVER-NONE"
    assert await office.index.all_tasks() == []
