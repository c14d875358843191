from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.model.errors import GatewrightError, Superseded, Unavailable
from bot.model.event import EventKind
from bot.model.state import State
from bot.tasks.book import Book
from bot.tasks.need import Purpose, Write
from bot.tasks.writes import EDIT_MS, WRITING, Writer
from tests.bot.tasks.forge import MIRA, TOM
from tests.bot.tasks.office import SPEC, Office

DOWN = Unavailable("GW-FORGE-UNAVAILABLE", "down")


class Crash(BaseException):
    """Control is killed."""


async def test_a_write_is_announced_before_and_recorded_after(office: Office):
    task = await office.opened()
    kinds = await office.kinds(task)
    at = kinds.index("forge.intent")
    records = await office.records(task)
    assert (records[at].data, kinds[at + 1]) == ({"purpose": "progress", "rev": 0}, "forge.done")
    posted = office.forge.said("kind=progress")[0].id
    assert records[at + 1].data == {"purpose": "progress", "rev": 0, "object_id": str(posted)}


async def test_a_comment_that_was_posted_before_a_crash_is_found_and_not_posted_twice(office: Office, twin: Office):
    """The answer never came: only the forge knows that the comment is there."""
    task = await office.opened()
    real = office.forge.comment

    async def posts_and_dies(*args, **more):
        await real(*args, **more)
        raise Crash

    office.forge.comment = posts_and_dies
    with pytest.raises(Crash):
        await office.drafts(task, "spec", SPEC)
    office.forge.comment = real
    assert (await twin.desk.shelf.read(task)).intents == ("gate.spec:1",)
    now = await twin.converge(task)
    assert now.posted["gate.spec:1"] == str(office.forge.said("kind=gate.spec")[0].id)
    assert len(office.forge.said("kind=gate.spec")) == 1
    assert now.intents == ()


async def test_a_write_that_never_reached_the_forge_is_made_after_the_crash(office: Office, twin: Office):
    task = await office.opened()
    real = office.forge.comment

    async def dies(*_, **__):
        raise Crash

    office.forge.comment = dies
    with pytest.raises(Crash):
        await office.drafts(task, "spec", SPEC)
    office.forge.comment = real
    await twin.converge(task)
    assert len(office.forge.said("kind=gate.spec")) == 1


async def test_a_change_that_was_opened_before_a_crash_is_taken_up(office: Office, twin: Office):
    task = await office.coded()
    await office.judged(task, passed=True)
    real = office.forge.open_change

    async def opens_and_dies(*args, **more):
        await real(*args, **more)
        raise Crash

    office.forge.open_change = opens_and_dies
    with pytest.raises(Crash):
        await office.published(task)
    office.forge.open_change = real
    now = await twin.converge(task)
    [number] = office.forge.changes
    assert (now.state, now.pull.number) == (State.CHANGE_REVIEW, number)
    assert await twin.index.find(now.origin.repo, number, is_change=True) == task


async def test_somebody_who_types_the_marker_is_not_taken_for_the_bot(office: Office, twin: Office):
    task = await office.opened()
    real = office.forge.comment

    async def dies(*_, **__):
        raise Crash

    office.forge.comment = dies
    with pytest.raises(Crash):
        await office.drafts(task, "spec", SPEC)
    office.forge.comment = real
    progress = office.forge.said("kind=progress")[0].body
    office.forge.says(TOM, progress.replace("kind=progress", "kind=gate.spec"))
    now = await twin.converge(task)
    own = [c for c in office.forge.said("kind=gate.spec") if c.author.id != TOM.id]
    assert now.posted["gate.spec:1"] == str(own[0].id)


async def test_what_a_forge_refuses_is_logged_once_and_left_to_the_next_round(office: Office):
    task = await office.opened()
    office.forge.failing["comment"] = DOWN
    before = office.forge.calls["comment"]
    now = await office.drafts(task, "spec", SPEC)
    assert office.forge.calls["comment"] == before + 1
    assert office.log.codes("forge.write") == ["GW-FORGE-UNAVAILABLE"]
    assert (now.state, now.intents) == (State.SPEC_REVIEW, ("gate.spec:1",))
    office.forge.failing.clear()
    now = await office.converge(task)
    assert len(office.forge.said("kind=gate.spec")) == 1
    assert (await office.kinds(task)).count("forge.intent") == 2, "the intent that stands is not announced again"


async def test_one_write_that_fails_does_not_hold_up_the_others(office: Office):
    task = await office.at_spec_gate()
    office.forge.failing["react"] = DOWN
    await office.says(task, MIRA, "/status")
    await office.converge(task)
    assert len(office.forge.said("kind=reply")) == 1


async def test_a_command_is_acknowledged_with_a_reaction_once(office: Office):
    task = await office.at_spec_gate()
    comment = office.forge.says(MIRA, "/approve")
    await office.hears(task, office.commented(comment))
    for _ in range(3):
        await office.converge(task)
    assert office.forge.reactions == [(comment.id, "eyes")]


async def test_the_gate_comment_shows_the_text_and_how_to_answer(office: Office):
    task = await office.at_spec_gate()
    [shown] = office.forge.said("kind=gate.spec")
    digest = (await office.desk.shelf.read(task)).requested[0].digest
    assert f"/approve {digest[:12]}" in shown.body
    assert "AC-1" in shown.body


async def test_the_progress_comment_is_one_and_follows_the_state(office: Office):
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/approve")
    await office.converge(task)
    [progress] = office.forge.said("kind=progress")
    edits = office.forge.calls["edit_comment"]
    await office.converge(task)
    assert office.forge.calls["edit_comment"] == edits, "nothing has changed"
    await office.says(task, MIRA, "/cancel")
    await office.converge(task)
    assert office.forge.said("kind=progress")[0].body != progress.body


async def test_progress_within_one_state_is_shown_from_time_to_time(office: Office):
    task = await office.at_plan_gate()
    await office.says(task, MIRA, "/approve")
    await office.converge(task)
    edits = office.forge.calls["edit_comment"]
    await office.reports(task, "progress", {"done": 1, "total": 2})
    await office.converge(task)
    assert office.forge.calls["edit_comment"] == edits
    assert 0 < await office.redis.pttl(f"gw:progress:{task}:quiet") <= EDIT_MS
    await office.redis.delete(f"gw:progress:{task}:quiet")  # its time has come
    await office.converge(task)
    assert office.forge.calls["edit_comment"] == edits + 1


async def test_a_progress_comment_that_cannot_be_edited_holds_up_nothing(office: Office):
    task = await office.at_spec_gate()
    office.forge.failing["edit_comment"] = GatewrightError("GW-FORGE-NOT-FOUND", "somebody deleted it")
    await office.says(task, MIRA, "/approve")
    now = await office.converge(task)
    assert now.running is not None
    assert office.log.codes("forge.progress") == ["GW-FORGE-NOT-FOUND"]


async def test_a_replaced_change_is_closed_with_the_next_generation(office: Office):
    task = await office.at_change_gate()
    [first] = office.forge.changes
    office.forge.issues[42] = replace(office.forge.issues[42], is_locked=True)
    await office.hears(task, office.event(EventKind.ISSUE_AWAY))
    await office.says(task, MIRA, "/revise start over", first, on_change=True)
    now = await office.converge(task)
    assert (now.state, now.generation, now.pull) == (State.PLAN, 2, None)
    assert not office.forge.changes[first].is_open


async def test_every_purpose_has_its_way_of_writing():
    assert set(WRITING) | {Purpose.PROGRESS_EDIT} == set(Purpose)


async def test_a_book_that_was_taken_over_stops_the_writer(office: Office):
    task = await office.opened()
    async with office.desk.shelf.open(task) as book:
        assert isinstance(book, Book)
        await office.redis.set(f"gw:lease:{task}", "another")
        before = office.forge.calls["comment"]
        with pytest.raises(Superseded):
            await Writer(office.desk, office.index, book).write(Write(Purpose.CLOSED, 0))
        assert office.forge.calls["comment"] == before, "without an intent on record nothing is written"
