"""An emergency is reviewed afterwards, by somebody else; the seal waits for that, and not for ever."""

from __future__ import annotations

from msgspec.structs import replace

from bot.audit.kinds import EmergencyReviewed, RulingMade
from bot.model.event import AccountKind, Actor, EventKind, ForgeKind
from bot.model.policy import GateRule, Policy
from bot.model.role import Role
from bot.model.state import Gate, State
from bot.settings import Settings
from bot.tasks.reviewing import give_way
from tests.bot.tasks.emergency import BREAK, POLICY, broken, ended
from tests.bot.tasks.forge import LENA, MIRA, OTHER_BOT, OTTO, STRANGER, TOM
from tests.bot.tasks.office import Office
from tests.bot.tasks.sealed import entries

DAY_MS = 86_400_000
WORDS = "/reviewed the outage was real"


async def codes(office: Office, task: str, who: Actor, words: str = WORDS) -> str:
    code = (await office.says(task, who, words)).heard[-1].code
    await office.converge(task)
    return code


async def test_an_ended_task_is_sealed_when_somebody_else_has_reviewed_its_emergency(office: Office) -> None:
    task = await ended(office)
    now = await office.desk.shelf.read(task)
    assert (now.state, now.is_closed, now.is_sealed) == (State.CANCELLED, True, False)
    assert "review by somebody else, until" in office.forge.said("kind=closed")[0].body

    for who, code in ((MIRA, "GW-REVIEWED-OWN"), (TOM, "GW-REVIEWED-WHO"), (STRANGER, "GW-COMMAND-ROLE")):
        assert await codes(office, task, who) == code
    assert not (await office.converge(task)).is_sealed

    said = await office.says(task, OTTO, WORDS)
    assert (said.heard[-1].verb, said.heard[-1].accepted, said.unreviewed) == ("reviewed", True, ())
    assert said.glass[0].reviewer == OTTO.id
    [record] = [one for one in await office.records(task) if one.kind == "emergency.reviewed"]
    [entry] = [one for one in await entries(office, task) if isinstance(one.data, EmergencyReviewed)]
    *_, ruling = [one.data for one in await entries(office, task) if isinstance(one.data, RulingMade)]
    assert (entry.data.what, entry.data.digest) == ("spec", ruling.case.digest)
    assert (record.actor.id, record.actor.role, record.basis) == ("github:12", "reviewer", "forge")
    assert office.desk.blobs.get(record.refs[0].commit) == b"the outage was real"
    assert record.refs[0].name == "reason"
    for _ in range(3):
        now = await office.converge(task)
    assert now.is_sealed


async def test_what_nobody_reviews_in_time_is_sealed_without(office: Office) -> None:
    task = await ended(office)
    [glass] = (await office.desk.shelf.read(task)).unreviewed
    office.ahead_ms = glass.due_ms - office.clock() - 60_000
    assert not (await office.converge(task)).is_sealed
    office.ahead_ms += 120_000
    for _ in range(3):
        now = await office.converge(task)
    assert (now.is_sealed, len(now.unreviewed)) == (True, 1)

    said = replace(office.forge.says(OTTO, "/reviewed"), created_ms=office.clock(), updated_ms=office.clock())
    office.forge.talk[said.id] = (42, said)
    await office.hears(task, office.commented(said))
    assert (await office.desk.shelf.read(task)).size == now.size
    assert "is sealed, and holds no review" in office.forge.said("kind=reply")[-1].body


async def test_who_may_not_approve_there_may_not_review_and_is_told_why(office: Office) -> None:
    task = await broken(office)
    assert await codes(office, task, TOM) == "GW-REVIEWED-WHO"  # not named; he set the label as well
    assert "not among those whom policy names" in office.forge.said("kind=reply")[-1].body
    office.forge.roles[OTTO.id] = Role.READ
    assert await codes(office, task, OTTO) == "GW-COMMAND-ROLE"
    office.forge.people[OTTO.id] = replace(OTTO, kind=AccountKind.UNKNOWN)
    office.forge.roles[OTTO.id] = Role.WRITE
    assert await codes(office, task, OTTO) == "GW-COMMAND-NOT-HUMAN"
    assert await codes(office, task, OTHER_BOT) == "GW-COMMAND-NOT-HUMAN"
    assert "emergency.reviewed" not in await office.kinds(task)


async def test_four_eyes_hold_for_a_review_as_for_an_approval(office: Office) -> None:
    policy = replace(POLICY, spec=GateRule(quorum=3, not_by=("labeller",)))
    task = await broken(office, policy)
    assert await codes(office, task, TOM) == "GW-REVIEWED-WHO"
    assert "(labeller)" in office.forge.said("kind=reply")[-1].body
    assert await codes(office, task, OTTO) == ""


async def test_a_review_is_said_once(office: Office) -> None:
    task = await broken(office)
    now = await office.says(task, OTTO, "/reviewed\n/reviewed again")
    assert [(one.accepted, one.code) for one in now.heard[-2:]] == [(True, ""), (False, "GW-REVIEWED-AGAIN")]
    assert (await office.kinds(task)).count("emergency.reviewed") == 1
    refs = [one.refs for one in await office.records(task) if one.kind == "emergency.reviewed"]
    assert refs == [()], "without words there is no blob"


async def test_there_is_nothing_to_review_before_a_gate_was_passed_so(office: Office) -> None:
    office.desk.settings = Settings(policy=POLICY)
    task = await office.at_spec_gate()
    assert await codes(office, task, OTTO) == "GW-REVIEWED-NOTHING"
    digest = (await office.desk.shelf.read(task)).asked(Gate.SPEC).digest
    await office.says(task, MIRA, f"/emergency {digest[:12]} production is down, INC-4711")
    await office.converge(task)
    assert await codes(office, task, OTTO) == "GW-REVIEWED-NOTHING", "one person lets nothing pass"


async def test_a_review_said_before_the_gate_was_passed_is_of_something_else(office: Office) -> None:
    task = await broken(office)
    early = office.forge.says(OTTO, WORDS, ago_ms=120_000)
    now = await office.hears(task, office.commented(early))
    assert (now.heard[-1].code, len(now.unreviewed)) == ("GW-REVIEWED-NOTHING", 1)


async def test_an_internal_note_may_review_without_words(office: Office) -> None:
    task = await broken(office)
    for body, code in ((WORDS, "GW-COMMAND-INTERNAL"), ("/reviewed", "")):
        note = replace(office.forge.says(OTTO, body), is_internal=True)
        office.forge.talk[note.id] = (42, note)
        assert (await office.hears(task, office.commented(note))).heard[-1].code == code


async def test_the_glass_that_nobody_needed_asks_for_no_review(office: Office) -> None:
    office.desk.settings = Settings(policy=Policy(emergency=BREAK))
    task = await office.at_spec_gate()
    digest = (await office.desk.shelf.read(task)).asked(Gate.SPEC).digest
    await office.says(task, MIRA, f"/emergency {digest[:12]} production is down, INC-4711")
    await office.says(task, TOM, "/approve")
    assert (await office.converge(task)).glass == ()
    await office.says(task, MIRA, "/cancel")
    for _ in range(3):
        now = await office.converge(task)
    assert now.is_sealed


async def test_on_the_change_after_the_merge_and_its_place_is_free_meanwhile(office: Office) -> None:
    office.desk.settings = Settings(policy=Policy(change=GateRule(quorum=3), emergency=BREAK))
    task = await office.at_change_gate()
    now = await office.desk.shelf.read(task)
    number, digest = now.pull.number, now.asked(Gate.CHANGE).digest
    for who in (MIRA, LENA):
        words = f"/emergency {digest[:12]} production is down, INC-4711"
        await office.says(task, who, words, number=number, on_change=True)
    await office.converge(task)
    office.forge.changes[number] = replace(office.forge.changes[number], is_open=False, is_merged=True)
    for _ in range(3):
        await office.redis.delete(f"gw:looked:{task}")
        now = await office.converge(task)
        if now.running:
            now = await office.ends(task)
    assert (now.state, now.is_closed, now.is_sealed) == (State.DONE, True, False)
    assert await office.index.open_changes(office.repo) == 0, "it does not count against the cap"
    assert await office.index.find(office.repo, number, is_change=True) == task

    now = await office.says(task, OTTO, "/reviewed", number=number, on_change=True)
    assert now.unreviewed == ()
    for _ in range(3):
        now = await office.converge(task)
    assert now.is_sealed


async def test_an_issue_is_free_for_the_next_task_while_only_a_review_is_awaited(office: Office) -> None:
    running = await broken(office)
    assert not await give_way(office.desk, office.index, running)
    await office.says(running, MIRA, "/cancel")
    await office.converge(running)
    assert await office.index.find(office.repo, 42, is_change=False) == running, "the review may be said there"
    assert await give_way(office.desk, office.index, running)
    second = await office.opened()
    assert second != running
    assert await office.index.find(office.repo, 42, is_change=False) == second


async def test_what_is_restored_hears_its_review_again(office: Office) -> None:
    task = await ended(office)
    await office.redis.delete(f"gw:issue:{office.repo.key}:42")
    await office.index.restore(await office.desk.shelf.read(task))
    assert await office.index.find(office.repo, 42, is_change=False) == task
    await office.says(task, OTTO, WORDS)
    for _ in range(3):
        await office.converge(task)
    await office.index.restore(await office.desk.shelf.read(task))
    assert await office.index.find(office.repo, 42, is_change=False) is None


async def test_on_gitlab_it_is_said_by_name(office: Office) -> None:
    office.repo = replace(office.repo, forge=ForgeKind.GITLAB)
    office.forge.manners = replace(office.forge.manners, takes_bare=False)
    office.desk.settings = Settings(policy=POLICY)
    task = await office.at_spec_gate()
    digest = (await office.desk.shelf.read(task)).asked(Gate.SPEC).digest
    for who in (MIRA, LENA):
        await office.says(task, who, f"/gatewright emergency {digest[:12]} production is down, INC-4711")
    await office.converge(task)
    assert "/gatewright reviewed" in office.forge.said("kind=emergency")[-1].body
    now = await office.says(task, OTTO, "/gatewright reviewed\nall is well")
    assert (now.heard[-1].code, now.unreviewed) == ("", ())


async def test_a_review_by_the_forges_own_button_is_none(office: Office) -> None:
    task = await ended(office)
    said = office.forge.says(OTTO, "")
    native = office.event(EventKind.REVIEWED, OTTO, comment=said, review_approves=True, on_change=True)
    assert len((await office.hears(task, native)).unreviewed) == 1
