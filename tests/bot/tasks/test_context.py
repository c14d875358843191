from __future__ import annotations

import pytest

from bot.commands.permission import NOT_HUMAN, OWN
from bot.model.errors import Refused
from bot.model.role import Role
from bot.tasks.context import Context
from tests.bot.tasks.forge import ME, MIRA
from tests.bot.tasks.office import Office


async def context(office: Office) -> Context:
    task = await office.desk.shelf.read(await office.at_spec_gate())
    comment = office.forge.says(MIRA, "/approve")
    return Context(office.desk, task, office.commented(comment), comment, Role.WRITE, ME, f"42:{comment.id}")


async def test_a_refusal_is_recorded_with_its_answer(office: Office):
    here = await context(office)
    draft = here.refused("approve", Refused("GW-APPROVE-STALE", "that is not in force", fix="read it"))
    assert (draft.outcome, draft.data.code, draft.data.accepted, draft.actor.id) == (
        "denied", "GW-APPROVE-STALE", False, "github:7",
    )  # fmt: skip
    assert b"not in force" in office.desk.blobs.get(draft.refs[0].commit)


@pytest.mark.parametrize("code", [OWN, NOT_HUMAN])
async def test_machines_get_no_answer(office: Office, code: str):
    assert (await context(office)).refused("approve", Refused(code, "no")).refs == ()


async def test_what_was_accepted_says_with_which_role(office: Office):
    data = (await context(office)).record("model", phase="qa", model="opus").data
    assert (data.permission, data.accepted, data.phase, data.model) == ("write", True, "qa", "opus")
