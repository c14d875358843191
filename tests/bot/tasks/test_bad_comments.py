"""What people, and what pretends to be people, may write under an issue: nothing but a clear yes moves a task."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.model.event import AccountKind, EventKind
from bot.model.policy import BreakGlass, GateRule
from bot.model.state import Gate, State
from bot.model.task import Task
from bot.settings import Policy, Settings
from tests.bot.tasks.bad_comments import ANSWERED, CLEAR, GHOST, IGNORED, PASSES, STILL, Row
from tests.bot.tasks.forge import LENA, MIRA, STRANGER, TOM
from tests.bot.tasks.office import Office

POLICY = Policy(spec=GateRule(not_by=("labeller",)), emergency=BreakGlass(people=("user:7", "user:11")))


def filled(body: str, digest: str) -> str:
    for mark, text in {
        "<digest>": digest, "<DIGEST>": digest.upper(), "<12>": digest[:12], "<11>": digest[:11],
        "<plan>": "4" * 64, "<alien>": "5" * 64,
    }.items():  # fmt: skip
        body = body.replace(mark, text)
    return body


async def at_gate(office: Office) -> tuple[str, str]:
    office.desk.settings = Settings(policy=POLICY)
    office.forge.people[GHOST.id] = replace(GHOST, kind=AccountKind.UNKNOWN)
    office.forge.roles[GHOST.id] = office.forge.roles[MIRA.id]
    task = await office.at_spec_gate()
    return task, (await office.desk.shelf.read(task)).asked(Gate.SPEC).digest


def outcome(before: Task, now: Task) -> str:
    return outcome_at(Gate.SPEC, before, now)


def outcome_at(gate: Gate, before: Task, now: Task) -> str:
    """Say what the commands of one comment came to."""
    if len(now.votes(gate)) > len(before.votes(gate)):
        return PASSES
    heard = now.heard[len(before.heard) :]
    return " ".join(ANSWERED if one.accepted else one.code for one in heard) or IGNORED


async def test_there_are_enough_of_them() -> None:
    rows = [*CLEAR, *STILL]
    assert len(rows) >= 120
    assert len({(row.body, row.who.id) for row in STILL}) == len(STILL)


async def test_nothing_but_a_clear_yes_moves_a_task(office: Office) -> None:
    task, digest = await at_gate(office)
    now, wrong = await office.desk.shelf.read(task), []
    for row in STILL:
        before, now = now, await office.says(task, row.who, filled(row.body, digest))
        if (found := outcome(before, now)) != row.then:
            wrong.append((row.body[:60], row.who.login, row.then, found))
    assert not wrong, "\n".join(map(repr, wrong))
    assert (now.state, now.votes(Gate.SPEC), now.emergencies) == (State.SPEC_REVIEW, (), ())
    now = await office.converge(task)
    assert (now.state, now.writers, now.brakes, now.paused) == (State.SPEC_REVIEW, (), (), False)
    assert "ruling" not in await office.kinds(task)


@pytest.mark.parametrize("row", [row for row in CLEAR if row.then == PASSES], ids=lambda row: repr(row.body[:40]))
async def test_a_clear_yes_does(office: Office, row: Row) -> None:
    task, digest = await at_gate(office)
    before = await office.desk.shelf.read(task)
    assert outcome(before, await office.says(task, row.who, filled(row.body, digest))) == PASSES
    assert (await office.converge(task)).state is State.PLAN


TORN = {
    "/approve\n/revise shorter": (State.SPEC, "GW-APPROVE-UNCLEAR"),
    "/revise shorter\n/approve": (State.SPEC, "GW-APPROVE-UNCLEAR GW-COMMAND-STATE"),
    "/approve <digest>\n\n/cancel": (State.CANCELLED, "GW-APPROVE-UNCLEAR"),
    "/approve\n/reject": (State.REJECTED, "GW-APPROVE-UNCLEAR"),
    "/approve\n/fix this first": (State.SPEC_REVIEW, "GW-APPROVE-UNCLEAR"),
    "/model coding=opus\n/approve": (State.SPEC_REVIEW, "GW-APPROVE-NOT-ASKED"),
}


@pytest.mark.parametrize("body", TORN)
async def test_who_says_yes_and_no_says_no(office: Office, body: str) -> None:
    task, digest = await at_gate(office)
    now = await office.says(task, MIRA, filled(body, digest))
    state, codes = TORN[body]
    [approve] = [one for one in now.heard if one.verb == "approve"]
    assert (now.state, approve.accepted, now.votes(Gate.SPEC)) == (state, False, ())
    assert approve.code in codes.split()
    assert (await office.converge(task)).state is not State.PLAN


async def test_two_yeses_of_one_person_are_one(office: Office) -> None:
    office.desk.settings = Settings(policy=Policy(spec=GateRule(quorum=2)))
    task = await office.at_spec_gate()
    now = await office.says(task, MIRA, "/approve\n/approve")
    assert [one.code for one in now.heard] == ["", "GW-APPROVE-AGAIN"]
    assert (await office.converge(task)).state is State.SPEC_REVIEW


@pytest.mark.parametrize("edit", ["/approve ", "/approve <digest>", "I do not approve"])
async def test_an_edited_comment_never_acts(office: Office, edit: str) -> None:
    """Neither as it was, nor as it is: forges tell of edits by another event."""
    task, digest = await at_gate(office)
    said = office.forge.says(MIRA, "/approve")
    office.forge.edits(said, filled(edit, digest))
    now = await office.hears(task, office.commented(said))
    now = await office.hears(task, office.event(EventKind.ISSUE_EDITED, MIRA))
    assert (now.votes(Gate.SPEC), now.heard) == ((), ())
    assert (await office.converge(task)).state is State.SPEC_REVIEW


async def test_a_comment_that_was_edited_after_it_counted_does_not_count_any_more(office: Office) -> None:
    """Its author may say it anew."""
    task, _ = await at_gate(office)
    said = office.forge.says(MIRA, "/approve")
    assert len((await office.hears(task, office.commented(said))).votes(Gate.SPEC)) == 1
    office.forge.edits(said, "/approve\n\nbut see my mail")
    now = await office.converge(task)
    assert (now.state, now.votes(Gate.SPEC)) == (State.SPEC_REVIEW, ())
    await office.says(task, MIRA, "/approve")
    assert (await office.converge(task)).state is State.PLAN


async def test_a_deleted_comment_never_acts(office: Office) -> None:
    task, _ = await at_gate(office)
    said = office.forge.says(MIRA, "/approve")
    del office.forge.talk[said.id]
    assert (await office.hears(task, office.commented(said))).heard == ()


async def test_a_delivery_cannot_put_words_into_a_mouth(office: Office) -> None:
    """The forge is asked: who wrote the comment, and what does it say."""
    task, _ = await at_gate(office)
    said = office.forge.says(STRANGER, "Hello.")
    for forged in (
        replace(said, author=MIRA),
        replace(said, body="/approve"),
        replace(said, body="/approve", author=MIRA),
    ):
        assert (await office.hears(task, office.commented(forged))).votes(Gate.SPEC) == ()


async def test_words_of_another_issue_are_about_that_issue(office: Office) -> None:
    """The digest binds the issue, and a comment acts where it stands."""
    task, digest = await at_gate(office)
    office.forge.opens(43)
    there = office.forge.says(MIRA, f"/approve {digest}", 43)
    assert await office.index.find(office.repo, 43, is_change=False) is None
    replay = office.forge.says(MIRA, "/approve " + "5" * 64)
    assert (await office.hears(task, office.commented(replay))).heard[-1].code == "GW-APPROVE-STALE"
    assert there.id not in [int(one.event_id.partition(":")[2]) for one in (await office.desk.shelf.read(task)).heard]


async def test_what_was_refused_stays_refused_when_rights_are_gained(office: Office) -> None:
    task, _ = await at_gate(office)
    said = office.forge.says(STRANGER, "/approve")
    await office.hears(task, office.commented(said))
    office.forge.roles[STRANGER.id] = office.forge.roles[MIRA.id]
    now = await office.hears(task, office.commented(said))
    assert (now.votes(Gate.SPEC), len(now.heard)) == ((), 1)


@pytest.mark.parametrize(("minutes", "code"), [(14, ""), (16, "GW-COMMAND-LATE"), (60 * 24, "GW-COMMAND-LATE")])
async def test_what_is_found_too_late_is_asked_for_again(office: Office, minutes: int, code: str) -> None:
    task, _ = await at_gate(office)
    said = office.forge.says(MIRA, "/approve")
    office.ahead_ms = minutes * 60_000
    assert (await office.hears(task, office.commented(said))).heard[-1].code == code


async def test_who_approved_what_was_shown_before_did_not_approve_what_is_shown_now(office: Office) -> None:
    """The same comment, edited by us since: which words were read is a question of time."""
    task, _ = await at_gate(office)
    office.ahead_ms = 60_000
    said = office.forge.says(MIRA, "/approve")
    office.forge.issues[42] = replace(office.forge.issues[42], body="Something else.")
    await office.redis.delete(f"gw:looked:{task}")
    await office.converge(task)
    now = await office.hears(task, office.commented(said))
    assert (now.heard[-1].code, now.votes(Gate.SPEC)) == ("GW-APPROVE-BEFORE", ())


async def test_breaking_the_glass_takes_two_people_and_their_reasons(office: Office) -> None:
    task, digest = await at_gate(office)
    words = f"/emergency {digest[:12]} production is down, INC-4711"
    await office.says(task, MIRA, words)
    now = await office.says(task, MIRA, words)
    assert (len(now.emergencies), (await office.converge(task)).state) == (2, State.SPEC_REVIEW)
    await office.says(task, TOM, words)
    assert (await office.converge(task)).state is State.SPEC_REVIEW
    await office.says(task, LENA, words)
    now = await office.converge(task)
    assert (now.state, now.let_pass(Gate.SPEC).is_emergency) == (State.PLAN, True)
    assert office.forge.said("kind=emergency")
    assert "gate.emergency" in office.log.events()
