"""Comments that no delivery told of are found, in time or asked for again."""

from __future__ import annotations

from bot.model.errors import Unavailable
from bot.model.state import Gate, State
from bot.model.task import Task
from tests.bot.tasks.forge import ME, MIRA
from tests.bot.tasks.office import Office

MINUTE = 60_000


async def sweeps(office: Office, task: str, minutes: int) -> Task:
    office.ahead_ms += minutes * MINUTE
    await office.redis.delete(f"gw:looked:{task}")
    return await office.converge(task)


async def test_a_lost_delivery_is_made_up_for(office: Office):
    task = await office.at_spec_gate()
    office.forge.says(MIRA, "/approve")
    assert (await sweeps(office, task, 1)).heard == (), "its delivery may still come"
    now = await sweeps(office, task, 5)
    assert ([one.verb for one in now.heard], now.state) == (["approve"], State.PLAN)


async def test_what_was_heard_is_not_heard_again(office: Office):
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/status")
    assert len((await sweeps(office, task, 5)).heard) == 1
    assert len((await sweeps(office, task, 5)).heard) == 1


async def test_after_an_outage_it_is_asked_for_again(office: Office):
    task = await office.at_spec_gate()
    office.forge.says(MIRA, "/approve")
    now = await sweeps(office, task, 20)
    assert (now.heard[-1].code, now.votes(Gate.SPEC)) == ("GW-COMMAND-LATE", ())
    assert office.forge.said("kind=reply")
    office.ahead_ms = 0
    await office.says(task, MIRA, "/approve")
    assert (await office.converge(task)).state is State.PLAN


async def test_edited_comments_and_our_own_are_left_alone(office: Office):
    task = await office.at_spec_gate()
    office.forge.edits(office.forge.says(MIRA, "hm"), "/approve")
    office.forge.says(ME, "/approve")
    assert (await sweeps(office, task, 5)).heard == ()


async def test_the_changes_page_is_read_too(office: Office):
    task = await office.at_change_gate()
    number = (await office.desk.shelf.read(task)).pull.number
    office.forge.says(MIRA, "/approve", number)
    assert (await sweeps(office, task, 5)).let_pass(Gate.CHANGE)


async def test_what_could_not_be_read_is_read_the_next_time(office: Office):
    task = await office.at_spec_gate()
    office.forge.says(MIRA, "/approve")
    office.forge.failing["comments"] = Unavailable("GW-FORGE-UNAVAILABLE", "500")
    try:
        await sweeps(office, task, 5)
    except Unavailable:
        office.forge.failing.clear()
    assert (await sweeps(office, task, 5)).state is State.PLAN
