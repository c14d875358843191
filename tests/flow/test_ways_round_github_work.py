"""Ways round the gates through the work: files beyond the plan, commits of others, merges; each refused or loud."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.model.task import Gate, State, Task
from tests.flow.governed import KEEP_TO_IT, Corner, Town, open_town
from tests.flow.talk import git

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
APART = '[policy.scope]\nnot_by = ["labeller"]\n'


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def town(test_data: Path, jailed: None) -> AsyncIterator[Town]:
    async with open_town(test_data) as town:
        yield town


async def held(here: Corner, issue: int) -> tuple[Task, str]:
    """Let spec and plan pass and wait until findings are asked about: nothing has been pushed."""
    await here.gate(issue, "spec")
    here.mira.comments(issue, "/approve")
    await here.gate(issue, "plan")
    here.mira.comments(issue, "/approve")
    task = await here.state(issue, State.SCOPE_REVIEW)
    digest = await here.asked(issue, Gate.SCOPE)
    assert here.branches() == []
    return await here.house.task(issue) or task, digest


async def test_work_beyond_its_plan_leaves_the_runner_only_by_the_findings_own_approval(town: Town):
    here = town.corner("pay/scope", APART)
    issue = here.asks("Greet outside and in the pipeline")
    task, digest = await held(here, issue)
    shown = here.ours(issue, "kind=gate.scope")[0].body
    for words in ("Files that the plan does not name", "`notes.py`", "What CI runs", "`.github/workflows/ci.yml`"):
        assert words in shown, words
    for who, words, code in (
        (here.lena, "/approve", "GW-APPROVE-SCOPE"),
        (here.lena, f"/approve {digest}", "GW-APPROVE-SCOPE"),
        (here.lena, "/approve scope feedfacecafe", "GW-APPROVE-STALE"),
        (here.tom, f"/approve scope {digest}", "GW-APPROVE-FOUR-EYES"),
        (here.stranger, f"/approve scope {digest}", "GW-COMMAND-ROLE"),
    ):
        assert code in await here.answer(who, issue, words), words
    assert here.branches() == []
    here.lena.comments(issue, f"/approve scope {digest}")
    opened = await here.opened(issue)
    assert git("-C", str(here.repo.git), "merge-base", "--is-ancestor", task.head, opened.branch) == ""
    assert git("-C", str(here.repo.git), "show", f"{opened.branch}:notes.py")
    body = here.repo.issues[opened.pull.number].body
    assert "findings beyond the plan, approved" in body
    await here.ended(issue, by=here.tom)


async def test_work_beyond_its_plan_goes_back_by_fix_or_into_the_plan_by_revise(town: Town):
    here = town.corner("pay/back", APART)
    issue, other = here.asks("Greet outside"), here.asks("Greet outside again")
    await held(here, issue)
    here.mira.comments(issue, f"/fix {KEEP_TO_IT}")
    opened = await here.opened(issue)
    assert "notes.py" not in git("-C", str(here.repo.git), "ls-tree", "-r", "--name-only", opened.branch)
    assert opened.scope.count == 0

    await here.gate(other, "spec")
    here.mira.comments(other, "/approve")
    await here.gate(other, "plan")
    here.mira.comments(other, "/approve")
    await here.asked(other, Gate.SCOPE)
    here.mira.comments(other, "/revise name notes.py as well")
    await here.gate(other, "plan", rev=2)
    here.lena.comments(other, "/approve")
    opened = await here.opened(other)
    assert git("-C", str(here.repo.git), "show", f"{opened.branch}:notes.py")
    assert opened.scope.count == 0, "the plan names it now"
    await here.ended(issue, by=here.tom)
    await here.ended(other, by=here.tom)


async def test_a_persons_commit_is_judged_anew_and_its_committer_does_not_approve_it(town: Town):
    here = town.corner("pay/foreign")
    issue = here.asks("Greet with help")
    before = await here.reviewed(issue)
    number = before.pull.number
    here.mira.comments(number, "/approve")
    await here.status(before.head, "success")

    # The same files under another commit change nothing: the approval stays, and the status goes along.
    same = here.tom.commits(before.branch, {}, "Say it better")
    await here.status(same, "success")
    task = await here.house.task(issue)
    assert (task.head, task.committers, task.voids) == (same, (), ())

    # Other files cost the approval; the status of what was approved goes back, and QA judges what is there now.
    content = 'def greet(name):\n    return f"Hello {name}!!"\n'
    pushed = here.tom.pushes(before.branch, {"greet.py": content})
    await here.fallen(number, "something was pushed to the branch")
    await here.status(same, "pending")
    again = await here.opened(issue, times=2)
    assert again.committers == (here.tom.id,)
    assert git("-C", str(here.repo.git), "merge-base", "--is-ancestor", pushed, again.head) == ""
    assert "1 other person pushed to this branch" in here.repo.issues[number].body
    foreign = [r for r in await here.house.records(again, "commit.foreign") if not r["data"].get("is_same_tree")]
    assert [(r["data"]["commit"], r["data"]["pusher"]) for r in foreign] == [(pushed, here.tom.id)]
    assert "GW-APPROVE-FOUR-EYES" in await here.answer(here.tom, number, "/approve")
    assert again.let_pass(Gate.CHANGE) is None
    here.lena.comments(number, "/approve")
    await here.status(again.head, "success")
    here.lena.merges(number)
    assert (await here.ended(issue)).alarms == ()


async def test_a_merge_past_the_gate_is_an_alarm_in_thread_journal_and_log(town: Town):
    here = town.corner("pay/past")
    issue = here.asks("Greet in haste")
    task = await here.reviewed(issue)
    here.otto.merges(task.pull.number)
    done = await here.ended(issue)
    assert (done.state, done.alarms) == (State.DONE, ("GW-MERGED-UNAPPROVED",))
    assert (
        "**ALARM:** It was merged without the approvals that policy asks for" in here.ours(issue, "kind=closed")[0].body
    )
    assert [r["data"]["code"] for r in await here.house.records(done, "alarm")] == ["GW-MERGED-UNAPPROVED"]
    assert [line for line in town.house.logged("merge.alarm") if done.origin.task in line]


async def test_ci_is_held_until_a_person_releases_exactly_this_commit(town: Town):
    here = town.corner("pay/ci", 'ci = "hold"')
    issue = here.asks("Greet without CI")
    task = await here.reviewed(issue)
    number = task.pull.number
    assert "[skip ci]" in git("-C", str(here.repo.git), "log", "-1", "--format=%B", task.branch)
    assert "**CI has not run:**" in here.repo.issues[number].body
    for who, words, code in (
        (here.stranger, f"/ci {task.head}", "GW-COMMAND-ROLE"),
        (here.mira, "/ci", "GW-COMMAND-ARGUMENT"),
        (here.mira, f"/ci {task.base_commit}", "GW-CI-COMMIT"),
        (here.mira, f"/ci {task.head[:8]}", "GW-CI-COMMIT"),
    ):
        assert code in await here.answer(who, number, words), words
    assert here.repo.dispatches == []
    here.mira.comments(number, f"/ci {task.head[:12]}")

    async def released() -> bool:
        return len(here.repo.dispatches) == 1

    await here.house.until(released)
    assert (await here.house.task(issue)).ci_released == (task.head,)
    assert task.head in str(here.repo.dispatches[0])
    await here.ended(issue, by=here.tom)


async def test_the_bot_merges_what_was_approved_and_not_what_came_at_the_last_moment(town: Town):
    here = town.corner("pay/merge", 'merge = "on_approval"')
    issue = here.asks("Greet and be merged")
    task = await here.reviewed(issue)
    number = task.pull.number
    town.github.fault("PUT", r"/pulls/\d+/merge", delay=1.5)  # time in which somebody pushes
    here.mira.comments(number, "/approve")
    await here.passed(issue, Gate.CHANGE)

    async def merging() -> bool:
        return bool([i for i in (await here.house.task(issue)).intents if i.startswith("merge:")])

    await here.house.until(merging)
    pushed = here.tom.commits(task.branch, {"greet.py": 'def greet(name):\n    return f"Bye {name}!"\n'})
    await here.blocked(issue, "GW-FORGE-MERGE")
    await here.fallen(number, "something was pushed to the branch")
    await here.seen(issue, here.tom.comments(issue, "/retry"))
    again = await here.opened(issue, times=2)
    assert git("-C", str(here.repo.git), "merge-base", "--is-ancestor", pushed, again.head) == ""
    assert here.repo.issues[number].pull.merged is None
    assert again.let_pass(Gate.CHANGE) is None
    here.mira.comments(number, "/approve")
    done = await here.ended(issue)
    assert (done.state, done.alarms) == (State.DONE, ())
    assert here.repo.issues[number].pull.merged
    assert here.repo.issues[number].pull.sha == done.head


async def test_a_change_from_a_fork_is_not_the_change_that_was_made_here(town: Town):
    here = town.corner("pay/fork")
    issue = here.asks("Greet from a fork")
    task = await here.reviewed(issue)
    number = task.pull.number
    here.mira.comments(number, "/approve")
    await here.status(task.head, "success")
    fork = town.github.repository("rogue/fork", {"greet.py": "def greet(name):\n    return name\n"})
    pull = here.repo.issues[number].pull

    def swap() -> None:
        pull.sha = town.github.hosting.fetch(here.repo, fork, "main")
        pull.fork = fork

    town.github.do(swap)
    await here.house.look(issue)
    await here.blocked(issue, "GW-PLACE-FORK")
    await here.fallen(number, "the issue or the repository is not where, or what, it was")
    await here.status(task.head, "pending")
    for _ in range(2):
        await here.house.look(issue)
        await here.quiet()
    here.once(issue, "kind=blocked")
