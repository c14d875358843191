"""A yes is a vote for one digest; a release of CI is of one commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.record import HARD_LIMIT, Who
from bot.model.command import Command, Verb
from bot.model.errors import Unavailable
from bot.model.policy import GateRule, Policy
from bot.model.role import Role
from bot.model.state import Gate, State
from bot.settings import Settings
from bot.tasks.approving import MOST_VOTES, digests
from tests.bot.tasks.forge import LENA, MIRA
from tests.bot.tasks.office import Office


@pytest.mark.parametrize(
    ("said", "found"),
    [("", []), ("spec", []), ("scope 4be1", ["4be1"]), ("4be1", ["4be1"]), ("Plan 4be1 now", ["4be1", "now"])],
)
def test_the_name_of_a_gate_is_no_digest(said: str, found: list[str]) -> None:
    assert digests(Command(Verb.APPROVE, said)) == found


async def test_until_the_comment_shows_the_new_digest_nothing_is_approved_without_one(office: Office):
    """It was asked anew, and the forge would not take the edit yet."""
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/model coding=opus")
    office.forge.failing["edit_comment"] = Unavailable("GW-FORGE-UNAVAILABLE", "500")
    await office.converge(task)
    now = await office.says(task, MIRA, "/approve")
    assert now.heard[-1].code == "GW-APPROVE-NOT-ASKED"
    office.forge.failing.clear()
    await office.converge(task)
    await office.says(task, MIRA, "/approve")
    assert (await office.converge(task)).state is State.PLAN


async def test_a_change_is_approved_by_who_saw_this_one(office: Office):
    """A delivery that comes after the next round of QA was about the round before."""
    task = await office.at_change_gate()
    number = (await office.desk.shelf.read(task)).pull.number
    early = office.forge.says(MIRA, "/approve", number)
    office.ahead_ms = 60_000
    office.forge.issues[42] = type(office.forge.issues[42])(
        42, "Pay twice", "b", MIRA, ("gatewright",), is_open=True, is_locked=False, updated_ms=2
    )
    await office.redis.delete(f"gw:looked:{task}")
    await office.converge(task)
    now = await office.hears(task, office.commented(early, number, on_change=True))
    assert (now.heard[-1].code, now.votes(Gate.CHANGE)) == ("GW-APPROVE-BEFORE", ())


RELEASES = {"<12>": "", "<40>": "", "<11>": "GW-CI-COMMIT", "000000000000": "GW-CI-COMMIT", "main": "GW-CI-COMMIT"}


@pytest.mark.parametrize("words", RELEASES)
async def test_ci_runs_on_the_commit_that_is_named(office: Office, words: str):
    office.desk.settings = Settings(policy=Policy(ci="hold"))
    task = await office.at_change_gate()
    now = await office.desk.shelf.read(task)
    spelled = words.replace("<12>", now.head[:12]).replace("<11>", now.head[:11]).replace("<40>", now.head.upper())
    after = await office.says(task, LENA, f"/ci {spelled}", now.pull.number, on_change=True)
    assert after.heard[-1].code == RELEASES[words]
    await office.converge(task)
    assert [commit for _, _, commit in office.forge.released] == ([] if RELEASES[words] else [now.head])


async def test_ci_that_is_not_held_needs_no_release(office: Office):
    task = await office.at_change_gate()
    now = await office.desk.shelf.read(task)
    after = await office.says(task, MIRA, f"/ci {now.head}", now.pull.number, on_change=True)
    assert after.heard[-1].code == "GW-CI-NOT-HELD"


@pytest.mark.parametrize(("role", "words", "held"), [(Role.WRITE, "resume", True), (Role.MAINTAIN, "resume", False)])
async def test_who_may_stop_a_repository_may_not_always_start_it(office: Office, role: Role, words: str, held: bool):
    office.desk.settings = Settings(policy=Policy(verb_roles={"resume": "maintain"}))
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/pause repository")
    assert (await office.converge(task)).is_held
    office.forge.roles[LENA.id] = role
    await office.says(task, LENA, f"/{words} repository")
    assert (await office.converge(task)).is_held is held


async def test_no_ruling_grows_beyond_what_a_record_holds(redis_url: str, tmp_path: Path) -> None:
    office = Office(redis_url, tmp_path, Settings(policy=Policy(spec=GateRule(quorum=20, not_by=("labeller",)))))
    try:
        task = await office.at_spec_gate()
        for number in range(1_000, 1_000 + MOST_VOTES):
            office.forge.roles[number] = Role.READ  # too weak when it is ruled on: the gate stays shut
            vote = kinds.Approval("spec", (await office.desk.shelf.read(task)).asked(Gate.SPEC).digest, 1,
                                  f"42:{number}", office.clock(), "write", "shown", "e" * 64)  # fmt: skip
            async with office.desk.shelf.open(task) as book:
                await book.write(Draft("approval", vote, Who(f"github:{number}", "approver", "human")))
        now = await office.says(task, MIRA, "/approve")
        assert now.heard[-1].code == "GW-APPROVE-MANY"
        await office.converge(task)
        lines = await office.desk.shelf.journals.lines(task)
        assert max(map(len, lines)) < HARD_LIMIT / 2
    finally:
        await office.close()
