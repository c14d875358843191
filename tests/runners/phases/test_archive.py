from __future__ import annotations

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.record import Who
from bot.model.state import Step
from tests.runners.stage import INSTANCE, TASK, Stage, git

REF = f"refs/gatewright/audit/{TASK}"


def closed(stage: Stage) -> None:
    stage.journal(Draft("task.closed", kinds.TaskClosed("done"), Who(f"inst:{INSTANCE}", "service", "system")))


async def test_a_grown_journal_is_pushed_on_top_of_what_was_archived_before(stage: Stage) -> None:
    first = await stage.perform(stage.order(Step.ARCHIVE))
    closed(stage)
    second = await stage.perform(stage.order(Step.ARCHIVE))
    assert [one.data("pushed")["size"] for one in (first, second)] == [1, 2]
    assert git(stage.origin, "rev-parse", f"{REF}^") == first.data("pushed")["commit"]
    assert git(stage.origin, "rev-parse", REF) == second.data("pushed")["commit"]


async def test_an_archive_that_holds_it_all_is_left_alone(stage: Stage) -> None:
    first = await stage.perform(stage.order(Step.ARCHIVE))
    second = await stage.perform(stage.order(Step.ARCHIVE))
    assert second.data("pushed")["commit"] == first.data("pushed")["commit"]


async def test_a_forge_that_refuses_such_refs_gets_a_branch(stage: Stage) -> None:
    git(stage.origin, "config", "receive.hideRefs", "refs/gatewright")
    reports = await stage.perform(stage.order(Step.ARCHIVE))
    assert reports.end["outcome"] == "ok", reports.explanation()
    assert reports.data("pushed")["ref"] == f"refs/heads/gatewright-audit/{TASK}"


async def test_a_journal_that_control_did_not_sign_for_is_not_archived(stage: Stage) -> None:
    order = stage.order(Step.ARCHIVE)
    line = stage.redis.lindex(f"gw:journal:{TASK}", 0)
    assert isinstance(line, bytes)
    stage.redis.lset(f"gw:journal:{TASK}", 0, line.replace(b'"issue":42', b'"issue":43'))
    reports = await stage.perform(order)
    assert reports.end["data"]["code"] == "GW-JOURNAL-FOREIGN"
    assert not reports.of("pushed")


async def test_the_worktree_goes_when_the_task_is_over(stage: Stage) -> None:
    await stage.perform(stage.order(Step.ARCHIVE))
    assert not (stage.site.work / "tasks" / TASK).exists()
