"""Everything people can say, on the wire: what acts, what is refused with words, and what is nobody's command.

One house for all: each test opens an issue of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.model.state import Gate, State
from tests.flow import brain
from tests.flow.conftest import held_to_contract, open_folder
from tests.flow.house import House
from tests.flow.talk import LABEL, Talk, chat_tables
from tests.simulators.models import ModelServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def talk(test_data: Path, jailed: None) -> AsyncIterator[Talk]:
    with open_folder() as folder:
        async with held_to_contract(test_data) as github, ModelServer(brain.Brain().script) as models:
            talk = Talk(github, brain.PROJECT)
            github.install(talk.repo)
            async with House(folder, chat_tables(github, models)) as house:
                talk.enter(house)
                yield talk


async def test_a_revised_spec_folds_the_old_comment_and_its_digest_counts_no_more(talk: Talk):
    issue = talk.asks("Greet louder")
    old = await talk.gate(issue, "spec")
    revise = talk.mira.comments(issue, "/revise say it twice\n\nand mean it")
    new = await talk.gate(issue, "spec", rev=2)
    await talk.seen(issue, revise)
    assert new != old
    shown = talk.ours(issue, "kind=gate.spec rev=2 ")[0].body
    assert "Taken up: say it twice" in shown
    assert "and mean it" in shown

    async def folded():
        return "replaced by draft 2" in talk.ours(issue, "kind=gate.spec rev=1 ")[0].body

    await talk.house.until(folded)
    stale = talk.mira.comments(issue, f"/approve {old}")
    answer = await talk.reply(issue, stale)
    assert "GW-APPROVE-STALE" in answer
    assert new in answer
    assert "@mira" in answer
    assert (await talk.house.task(issue)).state is State.SPEC_REVIEW
    talk.mira.comments(issue, f"/approve {new}")
    await talk.gate(issue, "plan")
    assert [a.digest[:12] for a in (await talk.house.task(issue)).approvals] == [new]


async def test_a_persons_own_text_takes_the_drafts_place_and_needs_approval_like_any_other(talk: Talk):
    issue = talk.asks("Greet slower")
    old = await talk.gate(issue, "spec")
    broken = talk.mira.comments(issue, "/edit\n\n```markdown\n# Mine\n\nNo criteria at all.\n```\n")
    answer = await talk.reply(issue, broken)
    assert "there are no acceptance criteria" in answer
    assert "line 3" in answer.lower() or "line 4" in answer.lower(), answer

    mine = "# Mine\n\nGreet at leisure.\n\n## Acceptance criteria\n\n- **AC-1**: It ends in `!`.\n"
    edit = talk.mira.comments(issue, f"/edit\n\n```markdown\n{mine}```\n")
    new = await talk.gate(issue, "spec", rev=2)
    await talk.seen(issue, edit)
    assert new != old
    task = await talk.house.task(issue)
    assert (task.state, task.spec.author) == (State.SPEC_REVIEW, f"github:{talk.mira.id}")
    assert task.approval(Gate.SPEC) is None
    talk.tom.comments(issue, f"/approve {new}")
    await talk.gate(issue, "plan")


async def test_anybody_who_reads_may_ask_and_only_who_may_write_decides(talk: Talk):
    issue = talk.asks("Greet strangers")
    await talk.gate(issue, "spec")
    status = talk.stranger.comments(issue, "/status")
    assert "spec review" in await talk.reply(issue, status)
    help_ = talk.stranger.comments(issue, "@gatewright help")
    assert "/approve [scope] [digest]" in await talk.reply(issue, help_)
    barred = talk.stranger.comments(issue, "/approve")
    assert "GW-COMMAND-ROLE" in await talk.reply(issue, barred)
    unknown = talk.mira.comments(issue, "/gatewright aprove")
    answer = await talk.reply(issue, unknown)
    assert "GW-COMMAND-UNKNOWN" in answer
    assert "did you mean `approve`" in answer
    early = talk.mira.comments(issue, "/retry")
    assert "GW-COMMAND-STATE" in await talk.reply(issue, early)
    assert (await talk.house.task(issue)).state is State.SPEC_REVIEW


async def test_what_is_no_fresh_word_of_a_person_never_acts(talk: Talk):
    issue = talk.asks("Greet nobody")
    await talk.gate(issue, "spec")
    said = len(talk.ours(issue))
    robot = talk.github.user("robot[bot]", talk.repo, "write", kind="Bot")
    robot.comments(issue, "/approve")
    for words in (
        "> /approve",
        "```\n/approve\n```",
        "    /approve",
        "<!--\n/approve\n-->",
        "I would /approve this",
        "/lgtm",
    ):
        talk.mira.comments(issue, words)
    idle = talk.mira.comments(issue, "let me think")
    talk.mira.edits_comment(idle, "/approve")
    # Written as a command, changed before it was read: it is not what its author says now.
    talk.github.hold()
    changed = talk.mira.comments(issue, "/approve")
    talk.mira.edits_comment(changed, "/approve later, perhaps")
    talk.github.release()
    await talk.quiet()
    task = await talk.house.task(issue)
    assert task.state is State.SPEC_REVIEW
    assert [heard.code for heard in task.heard] == ["GW-COMMAND-NOT-HUMAN"]
    assert len(talk.ours(issue)) == said, "nothing of that deserves an answer"


async def test_a_paused_task_hears_and_starts_nothing_until_it_is_resumed(talk: Talk):
    issue = talk.asks("Greet later")
    await talk.gate(issue, "spec")
    talk.mira.comments(issue, "/pause")
    approve = talk.mira.comments(issue, "/approve")
    await talk.seen(issue, approve)
    task = await talk.state(issue, State.PLAN)
    assert task.paused
    await talk.house.wake(task)
    await talk.quiet()
    assert (await talk.house.task(issue)).running is None
    status = talk.mira.comments(issue, "/status")
    assert "paused" in await talk.reply(issue, status)
    talk.mira.comments(issue, "/resume")
    await talk.gate(issue, "plan")


async def test_two_commands_in_one_comment_both_count_in_their_order(talk: Talk):
    issue = talk.asks("Greet twice")
    await talk.gate(issue, "spec")
    both = talk.mira.comments(issue, "Looks good.\n\n/pause\n/approve\n/approve")
    answer = await talk.reply(issue, f"{both}#2")
    assert "GW-APPROVE-AGAIN" in answer, "nobody votes twice"
    task = await talk.state(issue, State.PLAN)
    assert [(h.verb, h.accepted) for h in task.heard] == [("pause", True), ("approve", True), ("approve", False)]
    assert [len(passed.people) for passed in task.passed] == [1]
    assert [r.content for c in talk.said(issue) if c.id == both for r in c.reactions] == ["eyes"]
    talk.mira.comments(issue, "/cancel")
    await talk.at_rest(issue)


async def test_cancel_ends_the_agents_processes_within_seconds(talk: Talk):
    issue = talk.asks("Greet asleep")
    await talk.working(issue)
    talk.mira.comments(issue, "/cancel enough")
    await talk.idle()
    task = await talk.at_rest(issue)
    assert task.state is State.CANCELLED
    assert task.pull is None
    talk.once(issue, "kind=closed", "kind=progress")
    assert task.attempts[-1].outcome == "cancelled"
    assert '"kind":"seal"' in talk.archived(task).splitlines()[-1]


async def test_a_removed_label_and_a_closed_issue_cancel_and_a_new_label_begins_anew(talk: Talk):
    issue = talk.asks("Greet not at all")
    closed = talk.asks("Greet behind closed doors")
    await talk.gate(issue, "spec")
    await talk.gate(closed, "spec")
    talk.tom.unlabels_issue(issue, LABEL)
    talk.tom.closes(closed)
    assert (await talk.at_rest(issue)).state is State.CANCELLED
    assert (await talk.at_rest(closed)).state is State.CANCELLED
    talk.once(issue, "kind=closed")
    assert "label was removed" in talk.ours(issue, "kind=closed")[0].body

    talk.tom.labels_issue(issue, LABEL)
    await talk.comment(issue, "kind=gate.spec rev=1 ", count=2)
    first, second = sorted(await talk.house.tasks(issue), key=lambda task: task.opened_ms)
    assert (first.state, second.state) == (State.CANCELLED, State.SPEC_REVIEW)


async def test_a_second_label_gets_an_answer_and_no_task(talk: Talk):
    issue = talk.asks("Greet again")
    await talk.gate(issue, "spec")
    # Off and on again, told in the wrong order: what is true now counts, not what came last.
    talk.github.skew(60)
    talk.github.hold()
    talk.tom.unlabels_issue(issue, LABEL)
    talk.tom.labels_issue(issue, LABEL)
    talk.github.release(lambda held: held[::-1])
    await talk.comment(issue, "kind=again")
    await talk.quiet()
    talk.github.skew(0)
    assert (await talk.house.task(issue)).state is State.SPEC_REVIEW
    talk.once(issue, "kind=again", "kind=gate.spec")


async def test_another_model_voids_what_was_asked_and_the_gate_is_shown_anew(talk: Talk):
    issue = talk.asks("Greet by another model")
    old = await talk.gate(issue, "spec")
    talk.mira.comments(issue, "/model coding=box:another-model")

    async def anew():
        return await talk.gate(issue, "spec") != old

    await talk.house.until(anew)
    stale = talk.mira.comments(issue, f"/approve {old}")
    assert "GW-APPROVE-STALE" in await talk.reply(issue, stale)
    talk.mira.comments(issue, "/approve")
    await talk.gate(issue, "plan")
    talk.once(issue, "kind=gate.spec")


async def test_a_review_counts_for_the_commit_that_was_reviewed_and_for_who_may_write(talk: Talk):
    issue = talk.asks("Greet reviewers")
    task = await talk.reviewed(issue)
    number = task.pull.number
    review = talk.stranger.reviews(number, "APPROVE")
    assert "GW-COMMAND-ROLE" in (await talk.comment(number, f"rev={number}:r{review} ")).body
    assert (await talk.house.task(issue)).approval(Gate.CHANGE) is None

    async def approved():
        return (await talk.house.task(issue)).approval(Gate.CHANGE)

    async def withdrawn():
        return not await approved()

    talk.mira.reviews(number, "APPROVE")
    await talk.house.until(approved)

    # A commit on top, told of last: what QA has not judged cannot be approved, by review or by command.
    talk.github.hold()
    foreign = talk.tom.commits(task.branch, {"greet.py": "def greet(name):\n    return 'Bye!'\n"})
    review = talk.tom.reviews(number, "APPROVE")
    spoken = talk.mira.comments(number, "/approve")
    talk.github.release(lambda held: held[::-1])
    assert "GW-APPROVE-OTHER-HEAD" in (await talk.comment(number, f"rev={number}:r{review} ")).body
    assert "GW-APPROVE-OTHER-HEAD" in await talk.reply(number, spoken)

    # It voids what was approved before, and QA looks at it; until it has, there is nothing to approve.
    await talk.house.until(withdrawn)
    spoken = talk.mira.comments(number, "/approve")
    assert "GW-COMMAND-STATE" in await talk.reply(number, spoken)
    task = await talk.opened(issue, times=2)
    assert await withdrawn()
    assert task.head != foreign, "nobody was greeted any more, and that was mended"
    assert task.committers == (talk.tom.id,)
    asked = await talk.house.records(task, "approval.requested")
    digests = [record["data"]["digest"] for record in asked if record["data"]["what"] == "change"]
    assert len(digests) == len(set(digests)) == 2

    # Closed and opened again, told in the wrong order, is open; closed is rejected.
    talk.github.hold()
    talk.mira.closes(number)
    talk.mira.reopens(number)
    talk.github.release(lambda held: held[::-1])
    await talk.quiet()
    assert (await talk.house.task(issue)).state is State.CHANGE_REVIEW
    talk.github.skew(30)  # GitHub's times are whole seconds; people are slower than this test
    talk.mira.closes(number)
    assert (await talk.at_rest(issue)).state is State.REJECTED
    talk.github.skew(0)
