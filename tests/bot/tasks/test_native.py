"""What forges say natively and quietly: an approval by their own button, internal notes, confidential issues."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.forges.protocol import StatusState, Visibility
from bot.model.errors import Unavailable
from bot.model.event import AccountKind, Comment, Event, EventKind
from bot.model.state import Gate, State
from bot.model.task import Task
from bot.settings import Policy, Settings
from bot.tasks.opening import open_task
from tests.bot.tasks.forge import MIRA, TOM
from tests.bot.tasks.office import Office


def approval(office: Office, task: Task, number: int, head: str = "") -> Event:
    """Mira presses the button; the forge's payload has no words."""
    assert task.pull is not None
    said = Comment(number, MIRA, "", office.clock(), office.clock())
    return office.event(
        EventKind.REVIEWED, MIRA, task.pull.number, on_change=True, comment=said, head_sha=head or task.head,
        review_approves=True,
    )  # fmt: skip


async def at_change_gate(office: Office) -> tuple[str, Task]:
    task = await office.at_change_gate()
    return task, await office.converge(task)


async def test_an_approval_given_taken_back_and_given_again(office: Office) -> None:
    """Each time the required status follows; copies of a delivery change nothing."""
    task, now = await at_change_gate(office)
    now = await office.hears(task, approval(office, now, 500))
    assert now.approval(Gate.CHANGE)
    now = await office.hears(task, approval(office, now, 501))  # the group's hook
    assert [each.gate for each in now.approvals].count(Gate.CHANGE) == 1
    await office.converge(task)

    office.forge.unapproved.add(MIRA.id)
    taken = office.event(EventKind.UNREVIEWED, MIRA, now.pull.number, on_change=True, head_sha=now.head)
    now = await office.hears(task, taken)
    now = await office.hears(task, replace(taken, delivery="copy"))
    assert now.approval(Gate.CHANGE) is None
    assert (await office.kinds(task)).count("approval.withdrawn") == 1
    await office.converge(task)
    now = await office.hears(task, approval(office, now, 502))  # late: what stands now decides
    assert now.approval(Gate.CHANGE) is None

    office.forge.unapproved.clear()
    now = await office.hears(task, approval(office, now, 503))
    assert now.approval(Gate.CHANGE)
    now = await office.hears(task, taken)  # late, too
    assert now.approval(Gate.CHANGE)
    await office.converge(task)
    pending, success = StatusState.PENDING, StatusState.SUCCESS
    assert [state for _, state in office.forge.statuses] == [pending, success, pending, success]


async def test_somebody_elses_approval_is_not_mine_to_take_back(office: Office) -> None:
    task, now = await at_change_gate(office)
    now = await office.hears(task, approval(office, now, 500))
    office.forge.unapproved.add(TOM.id)
    taken = office.event(EventKind.UNREVIEWED, TOM, now.pull.number, on_change=True, head_sha=now.head)
    assert (await office.hears(task, taken)).approval(Gate.CHANGE)


async def test_the_button_counts_where_policy_lets_it(redis_url: str, tmp_path) -> None:
    for number, (policy, counts) in enumerate(((Policy(), True), (Policy(native_approval="ignored"), False))):
        data = tmp_path / str(number)
        data.mkdir()
        office = Office(redis_url, data, Settings(policy=policy))
        await office.redis.flushall()
        task, now = await at_change_gate(office)
        now = await office.hears(task, approval(office, now, 500))
        assert bool(now.approval(Gate.CHANGE)) is counts, policy
        await office.close()


async def test_an_unanswered_question_is_no_approval(office: Office) -> None:
    task, now = await at_change_gate(office)
    office.forge.failing["approves"] = Unavailable("GW-FORGE-UNAVAILABLE", "no answer")
    with pytest.raises(Unavailable):  # and the delivery is tried again
        await office.hears(task, approval(office, now, 500))
    assert (await office.desk.shelf.read(task)).approval(Gate.CHANGE) is None


async def test_words_of_an_internal_note_do_not_become_public(office: Office) -> None:
    """Commands without words count there as anywhere."""
    task = await office.at_spec_gate()
    await office.converge(task)
    secret = replace(office.forge.says(MIRA, "/revise use the vault at 10.1.2.3"), is_internal=True)
    now = await office.hears(task, office.commented(secret))
    assert (now.state, now.heard[-1].code) == (State.SPEC_REVIEW, "GW-COMMAND-INTERNAL")
    await office.converge(task)
    assert not office.forge.said("10.1.2.3") or office.forge.said("10.1.2.3")[0].author == MIRA
    plain = replace(office.forge.says(MIRA, "/approve"), is_internal=True)
    assert (await office.hears(task, office.commented(plain))).heard[-1].accepted


async def test_a_comment_that_was_edited_since_does_not_act_even_with_the_same_words(office: Office) -> None:
    task = await office.at_spec_gate()
    await office.converge(task)
    said = office.forge.says(MIRA, "/approve")
    office.forge.edits(said, "/approve")
    assert (await office.hears(task, office.commented(said))).state is State.SPEC_REVIEW
    assert "comment.changed" in office.log.events()


async def test_the_kind_of_an_account_is_asked_for(office: Office) -> None:
    """An event may not say it, and unknown accounts decide nothing."""
    unknown = replace(MIRA, kind=AccountKind.UNKNOWN)
    office.forge.opens()
    office.forge.people[MIRA.id] = unknown
    assert await open_task(office.desk, office.index, office.labelled(unknown)) is None
    asked: list[int] = []

    async def account(repo, actor):
        asked.append(actor.id)
        return replace(actor, kind=AccountKind.HUMAN)

    office.forge.account = account
    task = await open_task(office.desk, office.index, office.labelled(unknown))
    assert task
    assert MIRA.id in asked


async def test_a_confidential_issue_is_left_alone_unless_policy_lets_it(office: Office) -> None:
    office.forge.issues[42] = replace(office.forge.opens(), is_confidential=True)
    assert await open_task(office.desk, office.index, office.labelled()) is None
    assert office.log.codes("label.refused") == ["GW-TRIGGER-CONFIDENTIAL"]
    office.desk.settings = Settings(policy=Policy(confidential_issues="where_private"))
    office.forge.visibility = Visibility.INTERNAL
    assert await open_task(office.desk, office.index, office.labelled()) is None
    office.forge.visibility = Visibility.PRIVATE
    assert await open_task(office.desk, office.index, office.labelled())


async def test_an_issue_that_becomes_confidential_stops_the_work(office: Office) -> None:
    """Until a person has looked; what was approved while others read along falls."""
    task = await office.at_plan_gate()
    assert (await office.desk.shelf.read(task)).approvals
    hidden = office.event(EventKind.ISSUE_AWAY)
    assert (await office.hears(task, hidden)).state is not State.BLOCKED, "it is public again by now"
    office.forge.issues[42] = replace(office.forge.issues[42], is_confidential=True)
    now = await office.hears(task, replace(hidden, delivery="again"))
    assert (now.state, now.blocked_code) == (State.BLOCKED, "GW-PLACE-VISIBILITY")
    assert (now.approvals, now.passed) == ((), ())
