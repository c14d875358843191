from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.model.errors import Unavailable
from bot.model.event import AccountKind, EventKind
from bot.model.state import Gate, State
from bot.settings import Policy, Settings
from bot.tasks.wanted import MOST_COMMANDS
from tests.bot.tasks.forge import ME, MIRA, OTHER_BOT, STRANGER, TOM, commit
from tests.bot.tasks.office import Office


async def test_a_comment_that_asks_for_nothing_writes_nothing(office: Office):
    task = await office.at_spec_gate()
    size = (await office.desk.shelf.read(task)).size
    asked = office.forge.calls["role"]
    for body in ("Nice!", "I would /approve this", "> /approve", "```\n/approve\n```", ""):
        await office.says(task, MIRA, body)
    assert (await office.desk.shelf.read(task)).size == size
    assert office.forge.calls["role"] == asked, "nobody's permissions are looked up for nothing"


async def test_a_command_is_heard_once_however_often_it_is_delivered(office: Office):
    task = await office.at_spec_gate()
    comment = office.forge.says(MIRA, "/approve")
    for _ in range(3):
        now = await office.hears(task, office.commented(comment))
    assert [h.verb for h in now.heard] == ["approve"]
    assert (await office.converge(task)).state is State.PLAN


async def test_the_bot_does_not_listen_to_itself(office: Office):
    task = await office.at_spec_gate()
    now = await office.says(task, ME, "/approve")
    assert (now.heard, now.state) == ((), State.SPEC_REVIEW)


async def test_other_machines_are_noted_and_not_answered(office: Office):
    task = await office.at_spec_gate()
    now = await office.says(task, OTHER_BOT, "/approve")
    assert [(h.accepted, h.code, h.answer) for h in now.heard] == [(False, "GW-COMMAND-NOT-HUMAN", "")]


async def test_readers_are_refused_with_words(office: Office):
    task = await office.at_spec_gate()
    now = await office.says(task, STRANGER, "/approve")
    assert [(h.accepted, h.code) for h in now.heard] == [(False, "GW-COMMAND-ROLE")]
    assert b"stranger" in office.desk.blobs.get(now.heard[0].answer)
    await office.converge(task)
    assert len(office.forge.said("kind=reply")) == 1


async def test_several_commands_of_one_comment_are_carried_out_in_order(office: Office):
    task = await office.at_spec_gate()
    now = await office.says(task, MIRA, "/pause\n/approve\n/status")
    assert [h.verb for h in now.heard] == ["pause", "approve", "status"]
    assert [h.event_id.partition("#")[2] for h in now.heard] == ["", "1", "2"]
    assert now.paused
    assert (await office.converge(task)).state is State.PLAN


async def test_a_comment_full_of_commands_is_heard_up_to_a_limit(office: Office):
    task = await office.at_spec_gate()
    now = await office.says(task, MIRA, "/status\n" * 40)
    assert len(now.heard) == MOST_COMMANDS


async def test_a_crash_between_two_commands_of_one_comment_loses_neither(office: Office):
    task = await office.at_spec_gate()
    comment = office.forge.says(MIRA, "/pause\n/approve")
    half = replace(comment, body="/pause")
    office.forge.talk[comment.id] = (42, half)
    await office.hears(task, office.commented(half))
    office.forge.talk[comment.id] = (42, comment)
    now = await office.hears(task, office.commented(comment))
    assert [h.verb for h in now.heard] == ["pause", "approve"]


async def test_a_comment_that_was_edited_since_does_not_act(office: Office):
    task = await office.at_spec_gate()
    comment = office.forge.says(TOM, "/approve")
    office.forge.edits(comment, "I do not approve")
    now = await office.hears(task, office.commented(comment))
    assert now.heard == ()
    assert "comment.changed" in office.log.events()


async def test_a_comment_that_somebody_made_into_a_command_does_not_act(office: Office):
    task = await office.at_spec_gate()
    comment = office.forge.says(MIRA, "Looks good")
    office.forge.edits(comment, "/approve")
    told = office.commented(replace(comment, body="/approve"))
    assert (await office.hears(task, told)).heard == ()


async def test_a_comment_that_was_deleted_does_not_act(office: Office):
    task = await office.at_spec_gate()
    comment = office.forge.says(MIRA, "/approve")
    del office.forge.talk[comment.id]
    assert (await office.hears(task, office.commented(comment))).state is State.SPEC_REVIEW


async def test_nothing_is_decided_while_the_forge_does_not_say_who_may(office: Office):
    task = await office.at_spec_gate()
    office.forge.failing["role"] = Unavailable("GW-FORGE-UNAVAILABLE", "down")
    with pytest.raises(Unavailable):
        await office.says(task, MIRA, "/approve")
    assert (await office.desk.shelf.read(task)).heard == ()


async def test_an_account_whose_kind_nobody_knows_is_no_person(office: Office):
    task = await office.at_spec_gate()
    unknown = replace(MIRA, kind=AccountKind.UNKNOWN)
    office.forge.people[MIRA.id] = unknown
    now = await office.says(task, unknown, "/approve")
    assert now.heard[0].code == "GW-COMMAND-NOT-HUMAN"


async def test_an_approving_review_of_the_judged_commit_approves_the_change(office: Office):
    task = await office.at_change_gate()
    now = await office.desk.shelf.read(task)
    comment = replace(office.forge.says(MIRA, ""), body="")
    review = office.event(
        EventKind.REVIEWED, MIRA, now.pull.number, on_change=True, comment=comment, review_approves=True,
        head_sha=now.head,
    )  # fmt: skip
    now = await office.hears(task, review)
    assert now.approval(Gate.CHANGE).actor.id == MIRA.id
    await office.converge(task)
    assert [state.value for _, state in office.forge.statuses] == ["pending", "success"]


async def test_an_approving_review_of_another_commit_approves_nothing(office: Office):
    task = await office.at_change_gate()
    now = await office.desk.shelf.read(task)
    review = office.event(
        EventKind.REVIEWED, MIRA, now.pull.number, on_change=True, comment=office.forge.says(MIRA, ""),
        review_approves=True, head_sha=commit("older"),
    )  # fmt: skip
    now = await office.hears(task, review)
    assert now.approval(Gate.CHANGE) is None
    assert now.heard[-1].code == "GW-APPROVE-OTHER-HEAD"


async def test_a_review_counts_only_where_the_policy_says_so(redis_url: str, tmp_path):
    office = Office(redis_url, tmp_path, Settings(policy=Policy(native_approval="ignored")))
    try:
        task = await office.at_change_gate()
        now = await office.desk.shelf.read(task)
        review = office.event(
            EventKind.REVIEWED, MIRA, now.pull.number, on_change=True, comment=office.forge.says(MIRA, ""),
            review_approves=True, head_sha=now.head,
        )  # fmt: skip
        assert (await office.hears(task, review)).approval(Gate.CHANGE) is None
    finally:
        await office.close()


async def test_names_of_those_who_spoke_are_kept_beside_the_journal(office: Office):
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/approve")
    await office.converge(task)
    assert await office.redis.hget("gw:names", f"github:github.example:{MIRA.id}") == b"mira"
    assert not [line for line in await office.desk.shelf.journals.lines(task) if b"mira" in line]


async def test_what_the_bot_edits_itself_makes_nobody_look(office: Office):
    """Every progress comment would cost ten requests; what somebody else edits of ours is looked at."""
    task = await office.at_spec_gate()
    [ours] = office.forge.said("kind=gate.spec")
    theirs = office.forge.says(TOM, "just a word")
    before = office.forge.calls["home"]
    await office.hears(task, office.event(EventKind.ISSUE_EDITED, ME, comment=ours))
    await office.hears(task, office.event(EventKind.ISSUE_EDITED, TOM, comment=theirs))
    assert office.forge.calls["home"] == before
    await office.hears(task, office.event(EventKind.ISSUE_EDITED, TOM, comment=ours))
    assert office.forge.calls["home"] > before
