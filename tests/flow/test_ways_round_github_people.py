"""Ways round the gates by people: forged and edited words, rights that come and go; each refused with its reason."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.model.task import Gate, State
from tests.flow.governed import Town, open_town

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
TWO = "[policy.spec]\nquorum = 2"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def town(test_data: Path, jailed: None) -> AsyncIterator[Town]:
    async with open_town(test_data) as town:
        yield town


async def test_who_edits_or_deletes_the_comment_that_asks_makes_the_approvals_fall(town: Town):
    here = town.corner("pay/shown", TWO)
    issue = here.asks("Greet as shown")
    digest = await here.gate(issue, "spec")
    shown = here.ours(issue, "kind=gate.spec")[0]
    whole = shown.body
    here.mira.comments(issue, f"/approve {digest}")

    async def counted() -> bool:
        task = await here.house.task(issue)
        return len(task.votes(Gate.SPEC)) == 1 and "spec" in task.ruled and "quorum" in task.ruled["spec"].missing

    await here.house.until(counted)
    here.otto.edits_comment(shown.id, whole.replace("curt", "just right"))
    await here.fallen(issue, "my comment that asked was edited by somebody else")
    for _ in range(2):

        async def restored() -> bool:
            now = here.ours(issue, "kind=gate.spec")
            return bool(now) and "curt" in now[0].body and f"/approve {digest}" in now[0].body

        await here.house.until(restored)
        here.otto.deletes_comment(here.ours(issue, "kind=gate.spec")[0].id)
        await here.house.until(restored)
    here.mira.comments(issue, f"/approve {digest}")
    here.tom.comments(issue, f"/approve {digest}")
    await here.gate(issue, "plan")
    task = await here.ended(issue, by=here.tom)
    assert set(task.counted["spec"]) == {here.mira.id, here.tom.id}


async def test_two_people_are_two_accounts_whatever_they_are_called(town: Town):
    here = town.corner("pay/two", TWO)
    nina = town.github.user("nina", here.repo, "write")
    issue = here.asks("Greet in pairs")
    digest = await here.gate(issue, "spec")
    nina.comments(issue, f"/approve {digest}")
    again = await here.answer(nina, issue, f"/approve {digest}")
    assert "GW-APPROVE-AGAIN" in again
    nina.is_renamed("nina-who-married")
    assert "GW-APPROVE-AGAIN" in await here.answer(nina, issue, f"/approve {digest}")
    assert (await here.house.task(issue)).state is State.SPEC_REVIEW

    async def ruled() -> bool:
        return (await here.house.task(issue)).unmet == ("quorum",)

    await here.house.until(ruled)
    assert "Policy still asks that enough different people said yes" in await here.answer(nina, issue, "/status")
    here.mira.comments(issue, f"/approve {digest}")
    await here.gate(issue, "plan")
    task = await here.ended(issue, by=here.tom)
    assert set(task.counted["spec"]) == {nina.id, here.mira.id}


async def test_nothing_but_the_digest_of_this_draft_in_a_clear_comment_moves_a_task(town: Town):
    here = town.corner("pay/clear", 'digest = "required"\n[policy.spec]\nnot_by = ["labeller", "author", "writer"]')
    issue, other = here.asks("Greet clearly"), here.asks("Greet elsewhere")
    digest, foreign = await here.gate(issue, "spec"), await here.gate(other, "spec")
    ours = here.ours(issue, "kind=gate.spec")[0]
    forged = "feedfacecafe"
    here.otto.comments(issue, ours.body.replace(digest, forged))  # with our marker, whole
    for who, words, code in (
        (here.mira, f"/approve {foreign}", "GW-APPROVE-STALE"),
        (here.mira, f"/approve {forged}", "GW-APPROVE-STALE"),
        (here.mira, f"/approve {digest[:6]}", "GW-APPROVE-STALE"),
        (here.mira, "/approve", "GW-APPROVE-UNNAMED"),
        (here.mira, f"/approve {digest} if it is tested", "GW-APPROVE-UNCLEAR"),
        (here.mira, f"/approve plan {digest}", "GW-APPROVE-GATE"),
        (here.stranger, f"/approve {digest}", "GW-COMMAND-ROLE"),
        (here.tom, f"/approve {digest}", "GW-APPROVE-FOUR-EYES"),
    ):
        assert code in await here.answer(who, issue, words), words
    edited = here.mira.comments(issue, "I am not sure.")
    here.mira.edits_comment(edited, f"/approve {digest}")
    await here.quiet()
    task = await here.house.task(issue)
    assert (task.state, task.votes(Gate.SPEC)) == (State.SPEC_REVIEW, ())
    assert not await here.house.records(task, "shown.edited"), "a copy of our comment is nobody's business"

    # Approving and asking for more in one comment is the latter; whoever asked has written.
    both = here.mira.comments(issue, f"/approve {digest}\n/revise say it twice")
    assert "GW-APPROVE-UNCLEAR" in await here.reply(issue, both)
    digest = await here.gate(issue, "spec", rev=2)
    assert "GW-APPROVE-FOUR-EYES" in await here.answer(here.mira, issue, f"/approve {digest}")
    here.lena.comments(issue, f"/approve {digest}")
    await here.gate(issue, "plan")
    await here.ended(issue, by=here.tom)


async def test_a_vote_that_is_edited_or_deleted_counts_no_more(town: Town):
    here = town.corner("pay/regret", TWO)
    issue = here.asks("Greet with regrets")
    digest = await here.gate(issue, "spec")
    regret = here.mira.comments(issue, f"/approve {digest}")
    await here.seen(issue, regret)
    here.mira.edits_comment(regret, "I did not mean it.")
    here.tom.comments(issue, f"/approve {digest}")

    async def withdrawn() -> bool:
        task = await here.house.task(issue)
        return [vote.actor.id for vote in task.votes(Gate.SPEC)] == [here.tom.id]

    await here.house.until(withdrawn)
    assert (await here.house.task(issue)).state is State.SPEC_REVIEW
    here.mira.comments(issue, f"/approve {digest}")
    await here.gate(issue, "plan")
    await here.ended(issue, by=here.tom)


async def test_rights_count_when_it_is_said_and_when_it_is_carried_out(town: Town):
    here = town.corner("pay/rights")
    issue = here.asks("Greet with rights")
    digest = await here.gate(issue, "spec")
    assert "GW-COMMAND-ROLE" in await here.answer(here.stranger, issue, f"/approve {digest}")
    here.stranger.is_granted("write")
    await here.house.look(issue)
    await here.quiet()
    assert (await here.house.task(issue)).state is State.SPEC_REVIEW, "what was refused stays refused"

    # Approved while paused; the right is lost before anything is begun.
    await here.seen(issue, here.tom.comments(issue, "/pause"))
    here.mira.comments(issue, f"/approve {digest}")
    await here.passed(issue, Gate.SPEC)
    here.mira.is_granted("read")
    here.tom.comments(issue, "/resume")
    await here.fallen(issue, "had no right to any more")
    task = await here.state(issue, State.SPEC_REVIEW)
    assert not [a for a in task.attempts if a.step.value == "planning"]
    assert "GW-COMMAND-ROLE" in await here.answer(here.mira, issue, f"/approve {digest}")
    here.stranger.comments(issue, f"/approve {digest}")  # a new comment, by somebody who may by now
    await here.gate(issue, "plan")
    here.mira.is_granted("write")
    await here.ended(issue, by=here.tom)
