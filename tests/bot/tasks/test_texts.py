from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.model.errors import GatewrightError
from bot.model.manners import Manners
from bot.model.state import Gate
from bot.reports.views import Approvers
from bot.reports.words import Words
from bot.tasks.texts import Texts
from tests.bot.tasks.forge import MIRA
from tests.bot.tasks.office import PLAN, SPEC, Office


def texts(office: Office) -> Texts:
    return Texts(office.desk, Words.of(office.desk.settings, Manners()))


async def test_a_gate_shows_the_draft_in_force_with_its_own_digest(office: Office):
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/revise mention 429")
    await office.converge(task)
    now = await office.drafts(task, "spec", SPEC.replace("A circuit breaker", "A fuse"))
    body = texts(office).gate(now, Gate.SPEC, Approvers())
    assert now.asked(Gate.SPEC).digest[:12] in body
    assert "A fuse" in body


async def test_what_nobody_was_asked_about_is_not_shown(office: Office):
    now = await office.desk.shelf.read(await office.opened())
    with pytest.raises(GatewrightError, match="no spec to show"):
        texts(office).gate(now, Gate.SPEC, Approvers())


async def test_a_change_is_described_by_its_spec_and_not_without_one(office: Office):
    now = await office.desk.shelf.read(await office.at_change_gate())
    said = texts(office)
    assert "back-off" in said.change_title(now)
    assert "gives up on the first connection error" in said.change_body(now)
    for missing in ("spec", "plan"):
        with pytest.raises(GatewrightError) as without:
            said.change_body(replace(now, **{missing: None}))
        assert without.value.code == "GW-PULL-SPEC"


async def test_progress_names_the_steps_of_the_plan_once_there_is_one(office: Office):
    task = await office.at_spec_gate()
    title = "Name the errors that may be tried again"
    assert title not in texts(office).progress(await office.desk.shelf.read(task))
    await office.says(task, MIRA, "/approve")
    await office.converge(task)
    await office.drafts(task, "plan", PLAN)
    assert title in texts(office).progress(await office.desk.shelf.read(task))


async def test_no_blob_is_no_text_and_a_lost_one_is_an_error(office: Office):
    assert texts(office).blob("") == ""
    with pytest.raises(GatewrightError):
        texts(office).blob("f" * 64)
