"""Owners are those of the default branch's file, for the paths that the gate is about."""

from __future__ import annotations

import pytest

from bot.forges.protocol import Comparison
from bot.model.errors import GatewrightError
from bot.model.state import Gate
from bot.tasks.ownership import owner_groups
from tests.bot.tasks.office import Office


async def owners(office: Office, task: str, gate: Gate) -> list[tuple[str, ...]]:
    now = await office.desk.shelf.read(task)
    return [group.owners for group in await owner_groups(office.desk, office.forge, now, gate)]


async def test_the_first_file_that_exists_counts(office: Office):
    task = await office.at_change_gate()
    assert await owners(office, task, Gate.CHANGE) == []
    office.forge.files["docs/CODEOWNERS"] = b"* @tom\n"
    assert await owners(office, task, Gate.CHANGE) == [("@tom",)]
    office.forge.files[".github/CODEOWNERS"] = b"/pay/ @mira\n/docs/ @lena\n"
    assert await owners(office, task, Gate.CHANGE) == [("@mira",)], "of the paths that the change touches"


async def test_before_there_is_a_change_the_plan_says_the_paths(office: Office):
    office.forge.files["CODEOWNERS"] = b"* @mira\n"
    task = await office.at_plan_gate()
    assert await owners(office, task, Gate.PLAN) == [("@mira",)]


async def test_before_there_is_a_plan_there_are_none(office: Office):
    office.forge.files["CODEOWNERS"] = b"* @mira\n"
    task = await office.at_spec_gate()
    assert await owners(office, task, Gate.SPEC) == []


async def test_paths_that_the_forge_cut_off_are_nobodys(office: Office, monkeypatch: pytest.MonkeyPatch):
    office.forge.files["CODEOWNERS"] = b"* @mira\n"
    task = await office.at_change_gate()

    async def cut(*_: object) -> Comparison:
        return Comparison(is_ancestor=True, paths=("a",), is_whole=False)

    monkeypatch.setattr(office.forge, "compare", cut)
    with pytest.raises(GatewrightError) as caught:
        await owners(office, task, Gate.CHANGE)
    assert caught.value.code == "GW-OWNERS-PATHS"
