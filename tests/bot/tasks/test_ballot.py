"""What a ruling is taken on is read at that moment; no answer is no ruling."""

from __future__ import annotations

import pytest

from bot.model.errors import Unavailable
from bot.model.event import AccountKind
from bot.model.policy import Delegation, GateRule, Policy
from bot.model.role import Role
from bot.model.ruling import Vote
from bot.model.state import Gate
from bot.settings import Settings
from bot.tasks.ballot import DAY_MS, Ballot, delegators_of, parts
from tests.bot.tasks.forge import LENA, MIRA, TOM
from tests.bot.tasks.history import History
from tests.bot.tasks.office import Office
from tests.bot.tasks.scene import Scene as Stage
from tests.bot.tasks.scene import kind, member, role, yes


async def voted(office: Office, policy: Policy) -> tuple[str, Stage]:
    """Let Mira say yes; what it is worth is read afterwards."""
    stage = Stage(office, Gate.SPEC)
    await stage.begin(policy, ())
    await member("70", MIRA, 40)(stage)
    await yes(MIRA)(stage)
    return stage.id, stage


async def vote(office: Office, task: str) -> Vote:
    now = await office.desk.shelf.read(task)
    [only] = (await Ballot(office.desk, now, Gate.SPEC).case("decision")).votes
    return only


GROUP = Policy(spec=GateRule(approvers=("group:70", "@mira", "user:7", "user:11")), membership_days=30)


async def test_every_entry_that_names_the_person_is_found(office: Office):
    task, _ = await voted(office, GROUP)
    found = await vote(office, task)
    assert found.entries == ("group:70", "@mira", "user:7")
    assert (found.kind, found.role_now, found.is_unchanged, found.person) == (AccountKind.HUMAN, Role.WRITE, True, 7)


async def test_what_changed_since_is_seen(office: Office):
    task, stage = await voted(office, GROUP)
    for act in (kind(MIRA, AccountKind.BOT), role(MIRA, Role.NONE), member("70", MIRA, None)):
        await act(stage)
    del office.forge.talk[stage.said[MIRA.id].id]
    found = await vote(office, task)
    assert (found.kind, found.role_then, found.role_now) == (AccountKind.BOT, Role.WRITE, Role.NONE)
    assert (found.is_unchanged, "group:70" in found.entries) == (False, False)


async def test_a_comment_under_another_name_is_not_that_approval(office: Office):
    task, stage = await voted(office, GROUP)
    said = stage.said[MIRA.id]
    office.forge.talk[said.id] = (42, type(said)(said.id, LENA, said.body, said.created_ms, said.updated_ms))
    assert not (await vote(office, task)).is_unchanged


async def test_membership_is_as_old_as_it_was_first_seen_and_starts_anew(office: Office):
    task, stage = await voted(office, GROUP)
    await member("70", MIRA, -1)(stage)
    assert "group:70" not in (await vote(office, task)).entries, "seen for the first time"
    office.ahead_ms += 30 * DAY_MS
    assert "group:70" in (await vote(office, task)).entries
    await member("70", MIRA, None)(stage)
    await vote(office, task)
    await member("70", MIRA, -1)(stage)
    assert "group:70" not in (await vote(office, task)).entries, "who comes back is new"


@pytest.mark.parametrize("method", ["account", "role", "get_comment", "membership"])
async def test_no_answer_is_no_ruling(office: Office, method: str):
    task, _ = await voted(office, GROUP)
    office.forge.failing[method] = Unavailable("GW-FORGE-UNAVAILABLE", "500")
    with pytest.raises(Unavailable):
        await vote(office, task)


async def test_who_stands_in_brings_the_others_entries(office: Office):
    policy = Policy(spec=GateRule(approvers=("user:11",)), delegations=(Delegation(11, 7, "2000-01-01", "2999-01-01"),))
    task, _ = await voted(office, policy)
    found = await vote(office, task)
    assert (found.entries, found.delegators) == (("user:11",), (LENA.id,))


def test_delegations_hold_from_their_first_to_their_last_day() -> None:
    policy = Policy(delegations=(Delegation(11, 7, "2026-03-01", "2026-03-02"),))
    start = 1_772_323_200_000  # 2026-03-01T00:00Z
    times = {start - 1: (), start: (11,), start + 2 * DAY_MS - 1: (11,), start + 2 * DAY_MS: ()}
    assert {at: delegators_of(policy, 7, at) for at in times} == times
    assert delegators_of(policy, 8, start) == ()


async def test_owners_are_a_group_only_where_the_address_is_known(office: Office):
    office.desk.settings = Settings(policy=Policy(change=GateRule(approvers=("owners",))))
    office.forge.files["CODEOWNERS"] = b"* tom@example.com @pay/core @lena\n"
    office.forge.groups["pay/core"] = {MIRA.id: 1}
    task = await office.desk.shelf.read(await office.at_change_gate())
    ballot = Ballot(office.desk, task, Gate.CHANGE)
    groups = await ballot._groups()
    assert [group.owners for group in groups] == [("tom@example.com", "@pay/core", "@lena")]
    for who, is_owner in ((TOM, False), (LENA, True), (MIRA, True)):
        assert await ballot._is_among(groups[0].owners, [who]) is is_owner


def test_who_let_another_gate_pass_has_whatever_fell_since() -> None:
    history = History().at_plan_review()
    assert parts(history.task, Gate.PLAN).spec == (7,)
    history.rule("spec", "execution", is_shown=False)
    assert history.task.let_pass(Gate.SPEC) is None
    assert parts(history.task, Gate.PLAN).spec == (7,)
    assert parts(history.task, Gate.SPEC).spec == ()
