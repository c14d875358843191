"""Brakes, freezes and caps hold work back; each is noted or said."""

from __future__ import annotations

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.model.policy import Policy
from bot.settings import Settings
from bot.tasks.brakes import INSTANCE, Brakes
from bot.tasks.holding import is_full, note_brakes, rules
from tests.bot.tasks.forge import MIRA, REPO
from tests.bot.tasks.office import Office

FROZEN = Settings(policy=Policy(freeze=("2000-01-01T00:00Z/2999-01-01T00:00Z",)))


async def test_a_brake_is_noted_once_and_so_is_its_release(office: Office):
    task = await office.at_spec_gate()
    brakes = Brakes(office.redis)
    await brakes.pull(INSTANCE, "ops", "an incident", 1)
    async with office.desk.shelf.open(task) as book:
        for _ in range(2):
            await note_brakes(office.desk, book)
        assert (book.task.brakes, book.task.is_held) == (("instance",), True)
        await brakes.release(INSTANCE)
        await note_brakes(office.desk, book)
        assert not book.task.is_held
    assert (await office.kinds(task)).count("pause") == 2


async def test_the_labels_brake_is_not_ours_to_release(office: Office):
    """Who took the label off may have had no right to, which is found out elsewhere."""
    task = await office.at_spec_gate()
    async with office.desk.shelf.open(task) as book:
        await book.write(Draft("pause", kinds.Pause(on=True, scope="label"), office.desk.service))
        await note_brakes(office.desk, book)
        assert book.task.brakes == ("label",)


async def test_held_work_does_not_begin_and_is_not_lost(office: Office):
    task = await office.at_spec_gate()
    await Brakes(office.redis).pull(REPO.key, "ops", "an incident", 1)
    await office.says(task, MIRA, "/approve")
    assert (await office.converge(task)).running is None
    await Brakes(office.redis).release(REPO.key)
    assert (await office.converge(task)).running.step == "planning"


async def test_a_freeze_holds_code_and_not_plans(office: Office):
    office.desk.settings = FROZEN
    task = await office.at_plan_gate()
    assert (await rules(office.desk, office.index, await office.desk.shelf.read(task))).is_frozen
    await office.says(task, MIRA, "/approve")
    now = await office.converge(task)
    assert (now.state.value, now.running) == ("coding", None)


async def test_the_cap_counts_the_open_changes_of_a_repository(office: Office):
    assert not await is_full(office.index, REPO, 1)
    await office.index.bind_change(REPO, 9, "1-000000")
    assert await is_full(office.index, REPO, 1)
    assert not await is_full(office.index, REPO, 2)


async def test_the_cap_counts_once_more_before_a_change_is_opened(office: Office):
    """Tasks that were coded side by side do not all open one."""
    office.desk.settings = Settings(policy=Policy(max_open_changes=1))
    task = await office.coded()
    await office.index.bind_change(REPO, 9, "1-000000")
    now = await office.judged(task, passed=True)
    assert (now.state.value, now.running) == ("publishing", None)
    await office.index.release("1-000000", REPO, 1)
    assert (await office.converge(task)).running.step == "publish"
