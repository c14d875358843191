from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.record import Who
from bot.model.errors import GatewrightError
from bot.model.state import Step
from runners.readback import read_back
from tests.runners.stage import INSTANCE, TASK, Stage, git

REF = f"refs/gatewright/audit/{TASK}"
SERVICE = Who(f"inst:{INSTANCE}", "service", "system")


def sealed(stage: Stage, records: int = 0) -> str:
    """End the stage's journal with its seal; the SHA-256 of all of it."""
    stage.journal(
        *(Draft("alarm", kinds.Alarm(f"GW-TEST-{number}"), SERVICE) for number in range(records)),
        Draft("task.closed", kinds.TaskClosed("cancelled"), SERVICE),
        Draft("seal", kinds.Seal("cancelled", "", "", 0, 0), SERVICE),
    )
    lines = stage.redis.lrange(f"gw:journal:{TASK}", 0, -1)
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


def left(folder: Path) -> list[Path]:
    return list(folder.glob("readback-*"))


async def test_the_worker_reads_back_what_it_pushed_once_a_journal_is_sealed(stage: Stage) -> None:
    before = await stage.perform(stage.order(Step.ARCHIVE))
    assert before.data("pushed").get("journal_sha256", "") == ""
    journal = sealed(stage)
    reports = await stage.perform(stage.order(Step.ARCHIVE))
    pushed = reports.data("pushed")
    assert (pushed["journal_sha256"], pushed["commit"]) == (journal, git(stage.origin, "rev-parse", REF))
    assert pushed["size"] == stage.tail.seq + 1
    assert not (stage.site.work / "tasks" / TASK).exists(), "nothing of it stays on the machine"


async def test_a_journal_of_many_files_is_read_in_order(stage: Stage, tmp_path: Path) -> None:
    journal = sealed(stage, records=1_100)
    reports = await stage.perform(stage.order(Step.ARCHIVE))
    assert reports.data("pushed")["journal_sha256"] == journal
    commit, again = await read_back(tmp_path, str(stage.origin), None, REF, TASK)
    names = git(stage.origin, "ls-tree", "--name-only", f"{commit}:.gatewright/tasks/{TASK}/audit").split()
    assert [name for name in names if name.endswith(".jsonl")] == ["0000.jsonl", "0001.jsonl", "0002.jsonl"]
    assert again == journal
    assert left(tmp_path) == []


async def test_what_somebody_else_put_there_is_what_is_read(stage: Stage, tmp_path: Path) -> None:
    journal = sealed(stage)
    await stage.perform(stage.order(Step.ARCHIVE))
    forged = git(stage.origin, "commit-tree", git(stage.origin, "rev-parse", "main^{tree}"), "-m", "forged")
    git(stage.origin, "update-ref", REF, forged)
    commit, found = await read_back(tmp_path, str(stage.origin), None, REF, TASK)
    assert commit == forged
    assert found == hashlib.sha256(b"").hexdigest() != journal


async def test_a_ref_that_is_not_there_is_said_to_be_missing(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(GatewrightError, match="GW-DEPOSIT-GONE"):
        await read_back(tmp_path, str(stage.origin), None, REF, TASK)
    assert left(tmp_path) == []
