"""Ways round the gates on GitLab, by its own means: each is refused with its reason, and the right way works."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.model.task import Gate, State
from tests.flow.governed_gitlab import Bank, open_bank
from tests.flow.talk import LABEL, git

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bank(test_data: Path, jailed: None) -> AsyncIterator[Bank]:
    async with open_bank(test_data) as bank:
        yield bank


async def test_a_label_counts_only_on_an_issue_that_a_person_opened_here_and_labelled_by_hand(bank: Bank):
    here, elsewhere = bank.yard("labels"), bank.yard("elsewhere")
    by_template = here.tom.opens_issue("Greet by template", "Please.", labels=(LABEL,))
    await here.note(by_template, "GW-TRIGGER-CREATION")
    by_reporter = here.tom.opens_issue("Greet by a reporter", "Please.")
    here.reporter.labels_issue(by_reporter, LABEL)
    await here.note(by_reporter, "GW-TRIGGER-ROLE")
    brought = here.tom.imports_issue("Greet from another forge")
    moved = elsewhere.tom.transfers_issue(elsewhere.tom.opens_issue("Greet from elsewhere", "Please."), here.project)
    for number in (brought, moved):
        here.tom.labels_issue(number, LABEL)
        await here.note(number, "GW-TRIGGER-ARRIVAL")
    hidden = here.tom.opens_issue("Greet in secret", "Please.", confidential=True)
    mailed = bank.gitlab.service_desk(here.project, "Greet a customer")
    for number in (hidden, mailed):
        here.tom.labels_issue(number, LABEL)
        await here.note(number, "GW-TRIGGER-CONFIDENTIAL")
    by_robot = here.tom.opens_issue("Greet by a token", "Please.")
    robot, _ = bank.gitlab.access_token(here.project, "maintainer")
    robot.labels_issue(by_robot, LABEL)

    async def refused() -> bool:
        return len(bank.house.logged("GW-TRIGGER-APP")) == 1

    await bank.house.until(refused)
    assert await here.house.tasks() == []
    here.tom.unlabels_issue(by_template, LABEL)
    here.tom.labels_issue(by_template, LABEL)
    await here.asked(by_template, Gate.SPEC)
    await here.ended(by_template, by=here.tom)


async def test_words_and_texts_that_change_cost_what_was_approved_on_them(bank: Bank):
    here = bank.yard("words", 'digest = "required"\n[policy.spec]\nquorum = 2\nnot_by = ["writer"]')
    issue, other = here.asks("Greet in words", "As it was."), here.asks("Greet otherwise")
    old, foreign = await here.asked(issue, Gate.SPEC), await here.asked(other, Gate.SPEC)
    forged = "feedfacecafe"
    ours = here.ours(issue, "kind=gate.spec")[0]
    here.otto.comments(issue, ours.body.replace(old, forged))
    for who, words, code in (
        (here.mira, "/gatewright approve", "GW-APPROVE-UNNAMED"),
        (here.mira, f"/gatewright approve {foreign}", "GW-APPROVE-STALE"),
        (here.mira, f"/gatewright approve {forged}", "GW-APPROVE-STALE"),
        (here.reporter, f"/gatewright approve {old}", "GW-COMMAND-ROLE"),
    ):
        assert code in await here.answer(who, issue, words), words
    await here.seen(issue, here.mira, f"/gatewright approve {old}")
    here.otto.edits_comment(ours.id, ours.body.replace("curt", "just right"))
    await here.fallen(issue, "my comment that asked was edited by somebody else")
    await here.house.look(issue)

    # A maintainer edits the issue, too: what was shown is not what is in force any more.
    await here.seen(issue, here.mira, f"/gatewright approve {await here.asked(issue, Gate.SPEC)}")
    here.otto.edits_issue(issue, body="As it was. And disable the audit.")
    await here.fallen(issue, "the issue was changed after they were given")
    new = await here.asked(issue, Gate.SPEC, other_than=old)
    assert "GW-APPROVE-STALE" in await here.answer(here.mira, issue, f"/gatewright approve {old}")
    here.mira.comments(issue, f"/gatewright approve {new}")
    here.tom.comments(issue, f"/gatewright approve {new}")
    await here.asked(issue, Gate.PLAN)
    assert not bank.told("disable the audit")
    await here.ended(issue, by=here.tom)
    await here.ended(other, by=here.tom)


async def test_work_beyond_its_plan_is_not_pushed_and_what_is_pushed_starts_no_ci(bank: Bank):
    here = bank.yard("scope", 'ci = "hold"\n[policy.scope]\nnot_by = ["labeller"]')
    here.otto.commits("main", {".gitlab-ci.yml": "test:\n  script: [true]\n"})
    issue = here.asks("Greet outside")
    await here.coded(issue)
    digest = await here.asked(issue, Gate.SCOPE)
    assert here.branches() == []
    assert "GW-APPROVE-SCOPE" in await here.answer(here.lena, issue, "/gatewright approve")
    assert "GW-APPROVE-FOUR-EYES" in await here.answer(here.tom, issue, f"/gatewright approve scope {digest}")
    here.lena.comments(issue, f"/gatewright approve scope {digest}")
    task = await here.opened(issue)
    assert git("-C", str(here.project.git), "show", f"{task.branch}:notes.py")
    pushes = [r.options for r in bank.gitlab.git_requests if here.project.full_path in r.path and r.options]
    assert pushes
    assert all("ci.skip" in options for options in pushes)

    def ran() -> list[str]:
        return [line.sha for line in list(here.project.pipelines) if line.source in ("api", "merge_request_event")]

    assert ran() == []
    number = task.pull.number
    for words, code in ((task.base_commit, "GW-CI-COMMIT"), ("", "GW-COMMAND-ARGUMENT")):
        assert code in await here.answer(here.mira, number, f"/gatewright ci {words}", on_change=True)
    here.mira.comments(number, f"/gatewright ci {task.head[:12]}", on_change=True)

    async def released() -> bool:
        return task.head in ran()

    await here.house.until(released)
    assert set(ran()) == {task.head}
    await here.ended(issue, by=here.tom)


async def test_a_native_approval_names_no_commit_and_a_foreign_one_bars_its_committer(bank: Bank):
    here = bank.yard("native", 'native_approval = "proven"\nmerge = "on_approval"')
    here.otto.protects("main", merge=0, push=0, only=(bank.bot.id,))
    issue = here.asks("Greet natively")
    await here.coded(issue)
    task = await here.opened(issue)
    number = task.pull.number
    here.otto.approves(number)
    await here.note(number, "GW-APPROVE-NATIVE", on_change=True)
    assert (await here.house.task(issue)).let_pass(Gate.CHANGE) is None

    content = 'def greet(name):\n    return f"Hello {name}!!"\n'
    pushed = here.tom.pushes(task.branch, {"greet.py": content})
    again = await here.opened(issue, times=2)
    assert again.committers == (here.tom.id,)
    assert git("-C", str(here.project.git), "merge-base", "--is-ancestor", pushed, again.head) == ""
    change = again.asked(Gate.CHANGE).digest[:12]
    for who, code in ((here.tom, "GW-APPROVE-FOUR-EYES"), (here.reporter, "GW-COMMAND-ROLE")):
        assert code in await here.answer(who, number, f"/gatewright approve {change}", on_change=True)
    here.otto.comments(number, f"/gatewright approve {change}", on_change=True)
    done = await here.ended(issue)
    assert (done.state, done.alarms) == (State.DONE, ())
    assert here.project.merge_requests[number].state == "merged"
    assert here.project.merge_requests[number].merged_by.id == bank.bot.id


async def test_a_merge_past_the_gate_is_an_alarm(bank: Bank):
    here = bank.yard("past")
    issue = here.asks("Greet in haste")
    await here.coded(issue)
    task = await here.opened(issue)
    here.otto.merges(task.pull.number)
    done = await here.ended(issue)
    assert (done.state, done.alarms) == (State.DONE, ("GW-MERGED-UNAPPROVED",))
    assert "**ALARM:** It was merged without the approvals" in here.ours(issue, "kind=closed")[0].body


async def test_a_status_that_anybody_may_set_lets_nothing_pass_where_policy_wants_the_branch_held(bank: Bank):
    here = bank.yard("enforced", 'target_branch = "enforced"')
    issue = here.asks("Greet past the status")
    await here.coded(issue)
    task = await here.opened(issue)
    number = task.pull.number
    here.mira.comments(number, "/gatewright approve", on_change=True)

    async def refused() -> bool:
        now = await here.house.task(issue)
        return "change" in now.ruled and now.ruled["change"].missing == ("enforced",)

    await here.house.until(refused)
    await here.status(task.head, "pending")
    assert "the forge holds merges to this gate" in await here.answer(here.mira, issue, "/gatewright status")
    here.otto.protects("main", merge=0, push=0, only=(bank.bot.id,))
    await here.house.redis.delete(f"gw:ruled:{task.origin.task}")  # it is looked at again every few minutes
    await here.house.wake(task)
    await here.status(task.head, "success")
    await here.ended(issue, by=here.tom)


async def test_a_place_that_changes_blocks_and_costs_every_approval(bank: Bank):
    here, there = bank.yard("place"), bank.yard("there")
    issues = [here.asks(f"Greet {how}") for how in ("in private", "on the move", "in secret")]
    for issue in issues:
        digest = await here.asked(issue, Gate.SPEC)
        await here.seen(issue, here.tom, "/gatewright pause")
        here.mira.comments(issue, f"/gatewright approve {digest}")
        await here.passed(issue, Gate.SPEC)
    seen, moved, hidden = issues
    place = here.tom.transfers_issue(moved, there.project)

    async def away() -> bool:
        task = await here.house.task(moved)
        return task.state in (State.BLOCKED, State.CANCELLED)

    await here.house.until(away)
    there.mira.comments(place, "/gatewright approve")
    await there.quiet()
    assert await there.house.tasks() == []

    def hide() -> None:
        bank.gitlab.actions.set_flag(here.project.issues[hidden], here.otto.user, "confidential", True)

    bank.gitlab.do(hide)
    await here.blocked(hidden, "GW-PLACE-VISIBILITY")
    await here.fallen(hidden, "the issue or the repository is not where, or what, it was")
    here.otto.changes_visibility("internal")
    await here.house.look(seen)
    await here.blocked(seen, "GW-PLACE-VISIBILITY")
    await here.fallen(seen, "the issue or the repository is not where, or what, it was")
    here.otto.changes_visibility("private")
    await here.seen(seen, here.tom, "/gatewright retry")
    here.tom.comments(seen, "/gatewright resume")
    digest = await here.asked(seen, Gate.SPEC)

    # The whole project given to another group of the same token's: other owners, who agreed to nothing.
    bank.gitlab.move(here.project, "bank/sub/place")
    await here.house.look(seen)
    await here.blocked(seen, "GW-PLACE-TRANSFERRED")
    bank.gitlab.move(here.project, "bank/place")
    await here.seen(seen, here.tom, "/gatewright retry")
    here.mira.comments(seen, f"/gatewright approve {digest}")
    await here.asked(seen, Gate.PLAN)
    await here.ended(seen, by=here.tom)
