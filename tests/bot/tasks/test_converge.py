from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from rq import Queue

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.order import verify_order
from bot.keyring import instance_key
from bot.model.errors import GatewrightError, Unavailable
from bot.model.event import EventKind
from bot.model.state import Gate, State, Step
from bot.model.task import Usage
from bot.settings import Budget
from bot.tasks import giving
from bot.tasks.budget import day_of
from bot.tasks.converge import converge, converge_quietly
from runners.purse import Purse
from tests.bot.tasks.forge import MIRA, commit
from tests.bot.tasks.office import PLAN, SPEC, Office
from tests.bot.tasks.sealed import cancelled, delivers, proven, state

DAY_MS = 86_400_000


def queued(office: Office) -> list[str]:
    return Queue("default", connection=office.queue).job_ids


async def test_a_new_task_gets_an_order_a_fence_a_job_and_a_progress_comment(office: Office):
    task = await office.opened()
    order = verify_order(await office.redis.get(f"gw:order:{task}:1"), instance_key(office.desk.data, "x").public)
    assert (order.task, order.attempt, order.step, order.model) == (task, 1, Step.SPEC, "sonnet")
    assert await office.redis.get(f"gw:current:{task}") == b"1"
    assert queued(office) == [f"{task}-1"]
    assert len(office.forge.said("kind=progress")) == 1


async def test_converging_again_changes_nothing(office: Office):
    task = await office.opened()
    size, calls = (await office.desk.shelf.read(task)).size, office.forge.calls["comment"]
    for _ in range(3):
        await office.converge(task)
    assert (await office.desk.shelf.read(task)).size == size
    assert office.forge.calls["comment"] == calls
    assert queued(office) == [f"{task}-1"]


async def test_replicas_that_converge_at_the_same_time_start_one_attempt(office: Office, twin: Office):
    office.forge.opens()
    await asyncio.gather(*(office.opened() for _ in range(2)))
    [task] = await office.index.all_tasks()
    await asyncio.gather(*(one.converge(task) for one in (office, twin, office, twin)))
    assert [a.number for a in (await office.desk.shelf.read(task)).attempts] == [1]
    assert len(office.forge.said("kind=progress")) == 1


async def test_the_way_to_a_change_that_waits_for_review(office: Office):
    task = await office.at_change_gate()
    now = await office.desk.shelf.read(task)
    assert now.state is State.CHANGE_REVIEW
    assert [a.step.value for a in now.attempts] == ["spec", "planning", "coding", "qa", "publish"]
    assert [c.branch for c in office.forge.changes.values()] == [now.branch]
    assert office.forge.statuses[-1][0] == now.head
    assert now.asked(Gate.CHANGE) is not None


async def test_a_failed_verdict_is_fixed_until_the_rounds_are_used_up(office: Office):
    task = await office.coded()
    for number in (1, 2, 3):
        now = await office.judged(task, passed=False)
        assert now.rounds == number
        if number < 3:
            assert now.running.step is Step.QA_FIXER
            await office.ends(task, commit=now.head, source_sha256=now.source_sha256)
    assert now.running.step is Step.PUBLISH
    now = await office.published(task)
    assert (now.state, now.blocked_code) == (State.BLOCKED, "GW-QA-ROUNDS")
    assert [c.is_draft for c in office.forge.changes.values()] == [True]


async def test_a_job_that_the_queue_lost_is_queued_again_but_not_at_once(office: Office):
    task = await office.opened()
    await office.redis.delete(*await office.redis.keys("rq:*"))
    assert (await office.converge(task)).running.number == 1
    assert queued(office) == []
    office.ahead_ms = giving.PATIENCE_MS + 1
    now = await office.converge(task)
    assert now.running.number == 1
    assert queued(office) == [f"{task}-1"]


async def test_a_job_that_waits_for_a_worker_is_not_lost_however_long_it_waits(office: Office):
    task = await office.opened()
    office.ahead_ms = DAY_MS
    assert (await office.converge(task)).running.number == 1


async def test_an_attempt_whose_worker_vanished_is_followed_by_another(office: Office):
    task = await office.opened()
    await office.redis.hset(f"rq:job:{task}-1", "status", "started")
    await office.redis.set(f"gw:alive:{task}:1", "claim")
    office.ahead_ms = giving.SILENCE_MS + 1
    assert (await office.converge(task)).running.number == 1, "its heart beats"
    await office.redis.delete(f"gw:alive:{task}:1")
    now = await office.converge(task)
    assert [(a.number, a.outcome, a.code) for a in now.attempts] == [(1, "fail", "GW-ATTEMPT-LOST"), (2, "", "")]
    assert await office.redis.get(f"gw:stop:{task}:1") == b"1"
    assert await office.redis.get(f"gw:current:{task}") == b"2"


async def test_a_started_job_has_a_while_until_its_heart_beats(office: Office):
    task = await office.opened()
    await office.redis.hset(f"rq:job:{task}-1", "status", "started")
    office.ahead_ms = giving.PATIENCE_MS + 1
    assert (await office.converge(task)).running.number == 1


async def test_an_attempt_without_an_order_is_lost(office: Office):
    """A crash of control came between the journal and the order: nobody can ever take it up."""
    task = await office.opened()
    await office.redis.delete(f"gw:order:{task}:1")
    office.ahead_ms = giving.PATIENCE_MS + 1
    assert (await office.converge(task)).running.number == 2


async def test_workers_that_vanish_again_and_again_are_a_matter_for_a_person(office: Office):
    task = await office.opened()
    for _ in range(3):
        now = await office.ends(task, "fail", code="GW-ATTEMPT-LOST")
    assert (now.state, now.blocked_code, len(now.attempts)) == (State.BLOCKED, "GW-ATTEMPT-LOST", 3)
    assert len(office.forge.said("kind=blocked")) == 1


async def test_a_cancelled_task_stops_its_attempt_and_is_sealed(office: Office):
    task = await office.opened()
    await office.says(task, MIRA, "/cancel")
    now = await office.converge(task)
    assert await office.redis.get(f"gw:stop:{task}:1") == b"1"
    assert now.attempts[0].outcome == "cancelled"
    assert (now.state, now.running, now.is_sealed) == (State.CANCELLED, None, True)
    assert (await office.kinds(task))[-1] == "seal"
    assert len(office.forge.said("kind=closed")) == 1


async def test_a_blocked_task_stops_its_attempt(office: Office):
    task = await office.opened()
    async with office.desk.shelf.open(task) as book:
        await book.write(Draft("task.blocked", kinds.TaskBlocked("GW-ISSUE-AWAY"), office.desk.service))
    now = await office.converge(task)
    assert (now.running, now.attempts[0].outcome) == (None, "cancelled")


async def test_an_ended_task_is_delivered_once_and_its_fold_forgotten(office: Office):
    task = await cancelled(office)
    await proven(office, task)
    await office.converge(task)
    await delivers(office, task)
    now = await office.converge(task)
    assert await office.index.find(now.origin.repo, 42, is_change=False) is None
    assert await office.index.open_tasks() == []
    await converge(office.desk, office.index, task)
    assert (await state(office, task)).tries == 1
    assert task not in office.desk.shelf._read


async def test_a_task_that_ended_does_not_free_the_issue_of_the_one_that_followed(office: Office):
    task = await cancelled(office)
    second = await office.opened()
    await office.converge(task)
    assert await office.index.find((await office.desk.shelf.read(task)).origin.repo, 42, is_change=False) == second


async def test_a_gate_that_nobody_passes_expires(office: Office):
    task = await office.at_spec_gate()
    office.ahead_ms = 15 * DAY_MS
    now = await office.converge(task)
    assert (now.state, "14 days" in now.close_reason) == (State.EXPIRED, True)


async def test_a_paused_task_finishes_its_attempt_and_starts_no_other(office: Office):
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/pause")
    await office.says(task, MIRA, "/approve")
    now = await office.converge(task)
    assert (now.state, now.running) == (State.PLAN, None)
    await office.says(task, MIRA, "/resume")
    assert (await office.converge(task)).running.step is Step.PLANNING


async def test_the_second_draft_carries_feedback_and_folds_the_first(office: Office):
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/revise Say what happens with 429.")
    now = await office.converge(task)
    order = verify_order(
        await office.redis.get(f"gw:order:{task}:2"), instance_key(office.desk.data, "gatewright").public
    )
    assert [office.desk.blobs.get(each) for each in order.feedback] == [b"Say what happens with 429."]
    now = await office.drafts(task, "spec", SPEC.replace("503", "429"))
    assert (now.spec.rev, now.state) == (2, State.SPEC_REVIEW)
    assert len(office.forge.said("kind=gate.spec")) == 2
    assert now.posted["fold.spec:1"] == now.posted["gate.spec:1"]


async def test_a_control_that_lost_its_lease_stops_and_forgets_what_it_knew(office: Office):
    task = await office.opened()
    await office.drafts(task, "spec", SPEC)
    await office.says(task, MIRA, "/approve")
    real = office.forge.home

    async def stall(repo):
        await office.redis.set(f"gw:lease:{task}", "another control")
        return await real(repo)

    office.forge.home = stall
    await converge(office.desk, office.index, task)
    assert "converge.superseded" in office.log.events()
    assert len((await office.desk.shelf.read(task)).attempts) == 1
    assert queued(office) == [f"{task}-1"]


async def test_a_forge_that_does_not_answer_leaves_the_task_to_the_next_sweep(office: Office):
    task = await office.at_plan_gate()
    await office.says(task, MIRA, "/approve")
    office.forge.failing["home"] = Unavailable("GW-FORGE-UNAVAILABLE", "down")
    with pytest.raises(GatewrightError):
        await converge(office.desk, office.index, task)
    await converge_quietly(office.desk, office.index, task)
    assert office.log.codes("converge.failed") == ["GW-FORGE-UNAVAILABLE"]
    office.forge.failing.clear()
    assert (await office.converge(task)).running.step is Step.CODING


async def test_a_merged_change_ends_the_task(office: Office):
    task = await office.at_change_gate()
    now = await office.desk.shelf.read(task)
    change = office.forge.changes[now.pull.number]
    office.forge.changes[change.number] = type(change)(
        change.number, "", change.head, change.branch, is_open=False, is_merged=True, is_draft=False
    )
    now = await office.hears(task, office.event(EventKind.CHANGE_MERGED, MIRA, change.number, on_change=True))
    assert (now.state, now.close_reason) == (State.DONE, "merged")
    assert (await office.converge(task)).is_sealed


async def test_a_plan_is_ordered_with_the_spec_that_was_approved(office: Office):
    task = await office.at_plan_gate()
    now = await office.desk.shelf.read(task)
    assert office.desk.blobs.get(now.plan.commitment).decode() == PLAN
    key = instance_key(office.desk.data, "gatewright").public
    order = verify_order(await office.redis.get(f"gw:order:{task}:2"), key)
    assert (order.step, order.spec, order.plan) == (Step.PLANNING, now.spec, None)
    records = await office.records(task)
    assert records[order.journal_size].prev == order.journal_head


async def limited(office: Office, **limits: float) -> None:
    office.desk.settings = replace(office.desk.settings, budget=Budget(**limits))


async def test_an_order_carries_the_day_and_what_was_used_of_it(office: Office):
    await limited(office, day_tokens=1_000)
    day = day_of(office.clock())
    await Purse(office.redis, day).add(Usage(2, 300, 20, None))
    order = verify_order(
        await office.redis.get(f"gw:order:{await office.opened()}:1"),
        instance_key(office.desk.data, "gatewright").public,
    )
    assert order.day == day
    assert [(each.scope, each.tokens, each.used) for each in order.allowances] == [
        ("task", 20_000_000, Usage()), ("day", 1_000, Usage(2, 300, 20, None)),
    ]  # fmt: skip


async def test_a_task_whose_budget_is_used_up_blocks_before_its_next_attempt_and_goes_on_when_it_is_raised(
    office: Office,
):
    await limited(office, task_tokens=500)
    task = await office.opened()
    digest, refs = office.text(SPEC)
    await office.reports(task, "spec.set", {"spec_sha256": digest, "rev": 1}, refs=refs, basis="claimed")
    await office.ends(task, calls=3, tokens_in=400, tokens_out=200, micro_usd=None)
    await office.says(task, MIRA, "/approve")
    now = await office.converge(task)
    assert (now.state, now.blocked_code, len(now.attempts)) == (State.BLOCKED, "GW-BUDGET-TASK", 1)
    [said] = [comment.body for comment in office.forge.said("kind=blocked")]
    assert "the task's budget of 500 tokens is used up (600)" in said
    assert "Raise budget.task\\_tokens" in said or "Raise budget.task_tokens" in said
    assert "600 of 500 tokens, price not set" in said
    await office.says(task, MIRA, "/retry")
    now = await office.converge(task)
    assert (now.state, now.blocks, len(now.attempts)) == (State.BLOCKED, 2, 1), "the limit is what it was"
    await limited(office, task_tokens=5_000)
    await office.says(task, MIRA, "/retry")
    now = await office.converge(task)
    assert (now.state, now.running.step, now.running.number) == (State.PLAN, Step.PLANNING, 2)


async def test_a_day_that_is_used_up_holds_every_task_until_the_next_one(office: Office):
    await limited(office, day_calls=5)
    office.ahead_ms = -DAY_MS
    await Purse(office.redis, day_of(office.clock())).add(Usage(5, 1, 1, 1))
    task = await office.opened()
    now = await office.desk.shelf.read(task)
    assert (now.state, now.blocked_code, now.attempts) == (State.BLOCKED, "GW-BUDGET-DAY", ())
    assert "00:00 UTC" in office.forge.said("kind=blocked")[0].body
    office.ahead_ms = 0
    await office.says(task, MIRA, "/retry")
    assert (await office.converge(task)).running.number == 1


async def test_minutes_of_attempts_count_for_the_day(office: Office):
    await limited(office, day_minutes=2)
    task = await office.opened()
    office.ahead_ms = 600_000  # in the queue
    await office.reports(task, "gate", {"rule": "sandbox", "result": "bwrap"})
    await office.converge(task)
    await office.ends(task, "fail", code="GW-TEST", dur_ms=90_000)
    await office.says(task, MIRA, "/retry")
    now = await office.converge(task)
    order = verify_order(
        await office.redis.get(f"gw:order:{task}:2"), instance_key(office.desk.data, "gatewright").public
    )
    assert (order.wall_seconds, order.wall_scope) == (30.0, "day")
    office.ahead_ms += 40_000
    await office.ends(task, "timeout", code="GW-BUDGET-DAY", dur_ms=31_000)
    await office.says(task, MIRA, "/retry")
    now = await office.converge(task)
    assert (now.blocked_code, len(now.attempts)) == ("GW-BUDGET-DAY", 2)


@pytest.mark.parametrize("code", ["GW-BUDGET-ATTEMPT", "GW-BUDGET-TASK", "GW-BUDGET-DAY"])
async def test_a_budget_reached_in_mid_run_keeps_the_work_blocks_and_goes_on_after_a_retry(office: Office, code: str):
    task = await office.at_plan_gate()
    await office.says(task, MIRA, "/approve")
    await office.converge(task)
    head, branch = commit("unfinished"), f"gatewright/{task}-retry-the-payment-client"
    made = {"commit": head, "tree": head, "parent": head, "source_sha256": "c" * 64}
    await office.reports(task, "model.call", {"call": 1, "provider": "claude", "model": "sonnet"})
    await office.reports(task, "model.result", {"call": 1, "tokens_in": 900, "tokens_out": 100, "micro_usd": 12_000})
    await office.reports(task, "commit.made", made)
    await office.reports(task, "pushed", {"ref": f"refs/heads/{branch}", "commit": head, "size": 0})
    words = b"the budget of 1,000 tokens is used up (1,000) [" + code.encode() + b"]\nfix: `retry`"
    refs = [{"commit": office.desk.blobs.put(words), "name": "explanation", "size": len(words)}]
    sums = {"calls": 1, "tokens_in": 900, "tokens_out": 100, "micro_usd": 12_000}
    ended = {"step": "coding", "code": code, "commit": head, "source_sha256": "c" * 64, **sums}
    await office.reports(task, "attempt.ended", ended, outcome="fail", refs=refs)
    now = await office.converge(task)
    assert (now.state, now.blocked_code, now.head, now.branch) == (State.BLOCKED, code, head, branch)
    [said] = [comment.body for comment in office.forge.said("kind=blocked")]
    assert f"**Kept:** commit `{head[:12]}` on `{branch}`" in said
    assert "budget of 1,000 tokens is used up" in said
    assert "`/retry" in said
    assert f"Code `{code}`" in said
    await office.says(task, MIRA, "/retry")
    now = await office.converge(task)
    order = verify_order(
        await office.redis.get(f"gw:order:{task}:4"), instance_key(office.desk.data, "gatewright").public
    )
    assert (now.state, now.running.number, order.head) == (State.CODING, 4, head)
    [spent] = [each.used for each in order.allowances if each.scope == "task"]
    assert spent == Usage(1, 900, 100, 12_000)


async def test_what_an_attempt_reported_before_it_was_given_up_counts(office: Office):
    task = await office.opened()
    await office.redis.hset(f"rq:job:{task}-1", "status", "started")
    office.ahead_ms = giving.SILENCE_MS + 1
    for call in (1, 2):
        await office.reports(task, "model.call", {"call": call, "provider": "claude", "model": "sonnet"})
    await office.reports(task, "model.result", {"call": 1, "tokens_in": 70, "tokens_out": 7, "micro_usd": 9})
    now = await office.converge(task)
    assert [(a.number, a.code, a.usage) for a in now.attempts] == [
        (1, "GW-ATTEMPT-LOST", Usage(2, 70, 7, 9)), (2, "", Usage()),
    ]  # fmt: skip
    order = verify_order(
        await office.redis.get(f"gw:order:{task}:2"), instance_key(office.desk.data, "gatewright").public
    )
    assert [each.used for each in order.allowances] == [Usage(2, 70, 7, 9)]


async def test_a_task_that_was_cancelled_takes_in_what_its_worker_said_last(office: Office):
    task = await office.opened()
    await office.says(task, MIRA, "/cancel")
    await office.reports(task, "model.call", {"call": 1, "provider": "claude", "model": "sonnet"})
    now = await office.converge(task)
    assert (now.attempts[0].outcome, now.attempts[0].usage.calls) == ("cancelled", 1)
