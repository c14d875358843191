"""Brakes, emergencies and places: what holds work back holds it, who lets it go is asked, and all of it is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.audit.blobs import Blobs
from bot.model.task import Gate, State
from tests.flow.governed import Town, open_town, policy_file
from tests.flow.processes import agents
from tests.flow.talk import git

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
PAUSED = "gatewright-paused"
REASON = "production is down, INC-4711"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def town(test_data: Path, jailed: None) -> AsyncIterator[Town]:
    async with open_town(test_data) as town:
        yield town


async def test_every_brake_holds_until_somebody_who_may_lets_it_go(town: Town):
    here = town.corner("pay/brakes", 'verb_roles = { resume = "maintain" }')
    issue = here.asks("Greet under brakes")
    digest = await here.gate(issue, "spec")
    repo = here.repo.full_name
    path = ("--repo", repo)

    async def on(brake: str) -> None:
        async def is_on() -> bool:
            task = await here.house.task(issue)
            return brake in task.brakes if brake else not task.is_held

        await here.house.until(is_on, what=f"the brake {brake or '(none)'}")

    assert "GW-COMMAND-ROLE" in await here.answer(here.stranger, issue, "/pause")
    await here.seen(issue, here.mira.comments(issue, "/pause"))
    here.stranger.labels_issue(issue, PAUSED)  # whoever can set a label may stop work
    await on("label")
    await here.seen(issue, here.mira.comments(issue, "/pause repository"))
    await on("repository")
    here.tom.comments(issue, f"/approve {digest}")
    await here.passed(issue, Gate.SPEC)

    assert "GW-COMMAND-ROLE" in await here.answer(here.mira, issue, "/resume")
    await here.seen(issue, here.lena.comments(issue, "/resume"))
    here.stranger.unlabels_issue(issue, PAUSED)
    await here.quiet()
    assert set((await here.house.task(issue)).brakes) == {"label", "repository"}, "taking a brake off takes the role"
    here.otto.labels_issue(issue, PAUSED)
    here.otto.unlabels_issue(issue, PAUSED)
    await here.seen(issue, here.lena.comments(issue, "/resume repository"))
    await on("")
    await here.gate(issue, "plan")

    # The operator: the repository, this task, and all there are. It is noted without the operator's name.
    task = await here.house.task(issue)
    for words, kind in ((path, "repository"), ((task.origin.task,), "operator"), (("--all",), "instance")):
        code, said = town.house.asks("pause", *words, "--reason", "an audit")
        assert (code, "is paused" in said) == (0, True), said
        await on(kind)
    status = await here.answer(here.mira, issue, "/status")
    assert "for this whole instance, by its operators" in status
    for words in (path, (task.origin.task,), ("--all",)):
        assert town.house.asks("resume", *words)[0] == 0
    await on("")
    noted = await here.house.records(task, "pause")
    assert {r["data"].get("by", "") for r in noted if r["data"]["scope"] == "instance"} <= {"operator", ""}
    await here.ended(issue, by=here.tom)


async def test_a_freeze_takes_approvals_and_starts_no_code(town: Town):
    frozen = 'freeze = ["2020-01-01T00:00Z/2999-01-01T00:00Z"]'
    here = town.corner("pay/frozen", frozen)
    issue = here.asks("Greet in the cold")
    await here.gate(issue, "spec")
    here.mira.comments(issue, "/approve")
    await here.gate(issue, "plan")
    here.mira.comments(issue, "/approve")
    await here.passed(issue, Gate.PLAN)
    await here.house.look(issue)
    await here.comment(issue, "**Frozen:** policy starts nothing new before 1 Jan 2999")
    task = await here.house.task(issue)
    assert not [a for a in task.attempts if a.step.value == "coding"]

    # The freeze is lifted by a change of policy, which what was approved did not know of.
    here.otto.commits("main", {".gatewright.toml": policy_file("")})
    await here.house.look(issue)
    await here.fallen(issue, "the policy reads otherwise now")
    new = await here.asked(issue, Gate.SPEC, other_than=task.asked(Gate.SPEC).digest[:12])
    here.mira.comments(issue, f"/approve {new}")
    plan = await here.asked(issue, Gate.PLAN, other_than=task.asked(Gate.PLAN).digest[:12])
    here.mira.comments(issue, f"/approve {plan}")
    await here.opened(issue)
    await here.ended(issue, by=here.tom)


async def test_no_more_changes_are_open_than_policy_allows(town: Town):
    here = town.corner("pay/cap", "max_open_changes = 1")
    first, second = here.asks("Greet first"), here.asks("Greet second")
    opened = await here.reviewed(first)
    await here.gate(second, "spec")
    here.mira.comments(second, "/approve")
    await here.gate(second, "plan")
    here.mira.comments(second, "/approve")
    await here.passed(second, Gate.PLAN)
    await here.house.look(second)
    await here.comment(second, "**Waits for a free place:** 1 of 1 open change")
    assert len(here.branches()) == 1
    here.mira.comments(opened.pull.number, "/approve")
    await here.status(opened.head, "success")
    here.mira.merges(opened.pull.number)
    await here.ended(first)
    await here.house.look(second)
    await here.opened(second)
    await here.ended(second, by=here.tom)


async def test_cancel_reaches_a_running_agent_within_five_seconds(town: Town):
    here = town.corner("pay/cancel")
    issue = here.asks("Greet asleep")
    await here.working(issue)
    assert agents()
    here.mira.comments(issue, "/cancel enough")
    await here.idle(5.0)
    assert (await here.ended(issue)).state is State.CANCELLED


async def test_the_glass_breaks_for_two_named_people_with_a_reason_and_never_in_silence(town: Town):
    here = town.corner("pay/glass", '[policy.change]\napprovers = ["@mira"]\n[policy.scope]\napprovers = ["@mira"]')
    issue = here.asks("Greet outside at once")
    await here.gate(issue, "spec")
    here.mira.comments(issue, "/approve")
    await here.gate(issue, "plan")
    here.mira.comments(issue, "/approve")
    await here.state(issue, State.SCOPE_REVIEW)
    scope = await here.asked(issue, Gate.SCOPE)
    for who, words, code in (
        (here.mira, f"/emergency {scope} {REASON}", "GW-EMERGENCY-WHO"),
        (here.lena, f"/emergency {REASON}", "GW-EMERGENCY-DIGEST"),
        (here.lena, f"/emergency {scope}", "GW-EMERGENCY-REASON"),
        (here.lena, f"/emergency {scope} hurry", "GW-EMERGENCY-REASON"),
        (here.lena, f"/approve scope {scope}", "GW-APPROVE-APPROVER"),
    ):
        assert code in await here.answer(who, issue, words), words

    # One person is not enough, and stays one however often they say it.
    here.lena.comments(issue, f"/emergency {scope} {REASON}")
    await here.comment(issue, "one of two people broke the glass")
    again = here.lena.comments(issue, f"/emergency {scope} {REASON}, really")
    await here.quiet()
    task = await here.house.task(issue)
    assert (task.state, here.branches()) == (State.SCOPE_REVIEW, [])
    assert [h.accepted for h in task.heard if h.event_id == f"{issue}:{again}"], "it was heard"
    here.otto.comments(issue, f"/emergency {scope} {REASON}")
    await here.comment(issue, "EMERGENCY: the glass is broken")
    opened = await here.opened(issue)
    assert git("-C", str(here.repo.git), "show", f"{opened.branch}:notes.py")
    body = here.repo.issues[opened.pull.number].body
    assert "**EMERGENCY:** the scope gate was passed by breaking the glass" in body
    assert "It has to be reviewed until 2" in body
    assert opened.verdict.passed, "QA was not skipped"

    # Every gate is broken for itself.
    assert opened.let_pass(Gate.CHANGE) is None
    change = opened.asked(Gate.CHANGE).digest[:12]
    for who in (here.lena, here.otto):
        here.lena.within(here.repo)
        who.comments(opened.pull.number, f"/emergency {change} {REASON}")
    await here.status(opened.head, "success")
    here.otto.merges(opened.pull.number)

    # Somebody else reviews both, on the page they are at; until then the journal stays open.
    await here.comment(issue, "**Awaited:** that review by somebody else")
    assert "GW-REVIEWED-OWN" in await here.answer(here.otto, issue, "/reviewed all is well")
    assert not (await here.house.task(issue)).is_sealed
    here.mira.comments(issue, "/reviewed it was as bad as they said")
    done = await here.ended(issue)
    assert (done.state, done.alarms) == (State.DONE, ())
    reviews = await here.house.records(done, "emergency.reviewed")
    assert [r["data"]["what"] for r in reviews] == ["scope", "change"]
    assert "**EMERGENCY:**" in here.ours(issue, "kind=closed")[0].body
    broken = await here.house.records(done, "emergency")
    blobs = Blobs(town.house.folder / "data" / "blobs")
    assert {blobs.get(ref["commit"]).decode() for r in broken for ref in r["refs"]} >= {REASON}
    assert all(r["data"]["review_due_ts"] - r["ts"] > 4 * 86_400_000 for r in broken)


async def test_a_place_that_changes_blocks_and_costs_every_approval(town: Town):
    here, there = town.corner("pay/place"), town.corner("pay/there")
    issue, moved = here.asks("Greet in private"), here.asks("Greet on the move")
    digest, old = await here.gate(issue, "spec"), await here.gate(moved, "spec")
    for number, shown in ((issue, digest), (moved, old)):
        await here.seen(number, here.tom.comments(number, "/pause"))
        here.mira.comments(number, f"/approve {shown}")
        await here.passed(number, Gate.SPEC)

    # An issue that was moved: nothing said at its new place counts for the task, and nothing goes on at the old one.
    place = here.tom.transfers_issue(moved, there.repo)

    async def away() -> bool:
        task = await here.house.task(moved)
        return task.blocked_code in ("GW-ISSUE-AWAY", "GW-PLACE-MOVED") and task.let_pass(Gate.SPEC) is None

    await here.house.until(away)
    there.mira.comments(place, f"/approve {old}")
    there.mira.comments(place, "/retry")
    await there.quiet()
    assert await there.house.tasks() == []
    assert (await here.house.task(moved)).state is State.BLOCKED

    # A repository that others can read now.
    here.otto.changes_visibility("public")
    await here.house.look(issue)
    await here.blocked(issue, "GW-PLACE-VISIBILITY")
    await here.fallen(issue, "the issue or the repository is not where, or what, it was")
    here.otto.changes_visibility("private")
    await here.seen(issue, here.tom.comments(issue, "/retry\n/resume"))
    digest = await here.asked(issue, Gate.SPEC)
    await here.state(issue, State.SPEC_REVIEW)
    here.mira.comments(issue, f"/approve {digest}")
    await here.gate(issue, "plan")
    await here.ended(issue, by=here.tom)
