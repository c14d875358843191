"""Forges keep signed checkpoints, in comments that ask and in the change; each is taken down once, and asks nothing."""

from __future__ import annotations

import base64
import re

from bot.audit import kinds, merkle
from bot.audit.record import data_of
from bot.model.errors import Unavailable
from bot.model.event import Repo
from bot.model.state import State
from bot.tasks.need import Purpose
from bot.tasks.papers import signed_at
from tests.bot.tasks.forge import ME, MIRA, MemoryForge
from tests.bot.tasks.office import SPEC, Office

NOTE = re.compile(r"^```\n([^\n]+/task/[^`]+)```$", re.MULTILINE)


class Forgetful(MemoryForge):
    """A forge that gives comments back without what looks odd to it."""

    async def comment(self, repo: Repo, number: int, body: str, *, answering: int = 0, on_change: bool = False) -> int:
        return self.says(ME, NOTE.sub("", body), number).id


async def anchors(office: Office, task: str) -> list[kinds.Anchor]:
    found = []
    for record in await office.records(task):
        data = data_of(record)
        if isinstance(data, kinds.Anchor):
            found.append(data)
    return found


async def notes(office: Office, task: str) -> set[str]:
    return {raw.decode() for raw in (await office.redis.hgetall(signed_at(task))).values()}


async def test_a_comment_that_asks_shows_a_note_and_is_named_as_an_anchor(office: Office):
    task = await office.at_spec_gate()
    now = await office.desk.shelf.read(task)
    comment = int(now.posted["gate.spec:1"])
    shown = NOTE.search(office.forge.talk[comment][1].body)
    assert shown
    assert shown[1] in await notes(office, task)
    [anchor] = await anchors(office, task)
    lines = await office.desk.shelf.journals.lines(task)
    root = base64.b64encode(merkle.root(lines[: anchor.size])).decode()
    assert (anchor.where, anchor.ref_id, anchor.root) == ("comment", str(comment), root)
    asked = next(record for record in await office.records(task) if record.kind == "approval.requested")
    assert anchor.size > asked.seq  # what is asked is below the note
    assert shown[1].split("\n")[1] == str(anchor.size)


async def test_the_change_shows_a_note_and_each_edit_a_newer_one(office: Office):
    task = await office.at_change_gate()
    now = await office.desk.shelf.read(task)
    [pull] = [one for one in await anchors(office, task) if one.where == "pull"]
    shown = NOTE.search(office.forge.bodies[now.pull.number])
    assert shown
    assert shown[1] in await notes(office, task)
    assert (pull.ref_id, pull.size) == (str(now.pull.number), int(shown[1].split("\n")[1]))


async def test_an_anchor_asks_for_nothing_more(office: Office):
    task = await office.at_spec_gate()
    size = (await office.desk.shelf.read(task)).size
    for _ in range(4):
        await office.converge(task)
        office.ahead_ms += 61_000
    assert (await office.desk.shelf.read(task)).size == size
    assert len(await anchors(office, task)) == 1


async def test_a_comment_that_a_crash_left_is_anchored_by_what_it_shows(office: Office, twin: Office):
    task = await office.opened()
    office.forge.failing["get_comment"] = Unavailable("GW-FORGE-UNAVAILABLE", "500")  # posted, and not read back
    await office.drafts(task, "spec", SPEC)
    assert await anchors(office, task) == []
    before = {number: comment.body for number, (_, comment) in office.forge.talk.items()}
    office.forge.failing.clear()
    now = await twin.converge(task)
    comment = int(now.posted["gate.spec:1"])
    assert comment in before  # found again, not posted anew
    [anchor] = await anchors(twin, task)
    shown = NOTE.search(before[comment])
    assert shown
    assert (anchor.ref_id, anchor.size) == (str(comment), int(shown[1].split("\n")[1]))


async def test_a_note_that_the_forge_does_not_give_back_is_no_anchor(office: Office):
    office.forge = Forgetful()
    office.desk.forges = dict.fromkeys(office.desk.forges, office.forge)
    task = await office.at_spec_gate()
    now = await office.desk.shelf.read(task)
    assert now.state is State.SPEC_REVIEW
    assert f"{Purpose.SPEC_GATE.value}:1" in now.posted
    assert await anchors(office, task) == []
    await office.says(task, MIRA, "/approve")
    assert (await office.converge(task)).state is State.PLAN
