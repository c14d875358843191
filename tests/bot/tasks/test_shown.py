"""What people see of a gate follows what holds: a green status is taken back where it was shown."""

from __future__ import annotations

import pytest

from bot.audit import kinds
from bot.forges.protocol import StatusState
from bot.model.errors import GatewrightError
from bot.model.policy import Policy
from bot.model.state import Gate, State
from bot.settings import Settings
from bot.tasks.shown import comment_that_asks, is_given_up, status_commit
from tests.bot.tasks.forge import MIRA, commit
from tests.bot.tasks.history import History
from tests.bot.tasks.office import Office

DAY_MS = 86_400_000


async def green(office: Office) -> tuple[str, int]:
    task = await office.at_change_gate()
    now = await office.desk.shelf.read(task)
    await office.says(task, MIRA, "/approve", now.pull.number, on_change=True)
    now = await office.converge(task)
    assert office.forge.statuses[-1] == (now.head, StatusState.SUCCESS)
    assert status_commit(now) == now.head
    return task, now.pull.number


ENDS = {"/fix the log line": StatusState.PENDING, "/reject": StatusState.FAILURE, "/cancel": StatusState.FAILURE}


@pytest.mark.parametrize("words", ENDS)
async def test_a_green_status_does_not_outlive_its_approval(office: Office, words: str):
    task, number = await green(office)
    head = (await office.desk.shelf.read(task)).head
    await office.says(task, MIRA, words, number, on_change=True)
    await office.converge(task)
    assert office.forge.statuses[-1] == (head, ENDS[words])


async def test_nor_the_time_of_its_gate(office: Office):
    task, _ = await green(office)
    office.ahead_ms = 15 * DAY_MS
    now = await office.converge(task)
    if now.running:
        now = await office.ends(task)
    assert (now.state, is_given_up(now)) == (State.EXPIRED, True)
    assert office.forge.statuses[-1][1] is StatusState.FAILURE


async def test_a_merge_that_the_forge_refuses_is_not_tried_in_a_circle(office: Office):
    """Each try is ruled on and recorded; they come minutes apart."""
    office.desk.settings = Settings(policy=Policy(merge="on_approval"))
    office.forge.failing["merge"] = GatewrightError("GW-FORGE-CONFLICT", "405")
    task, _ = await green(office)
    size = (await office.desk.shelf.read(task)).size
    delivered = {"ref": f"refs/gatewright/audit/{task}", "commit": commit("evidence"), "size": size}
    await office.reports(task, "pushed", delivered)
    await office.ends(task)
    for _ in range(3):
        await office.converge(task)
    rulings = [r.data["case"] for r in await office.records(task) if r.kind == "ruling"]
    assert [case["moment"] for case in rulings if case["gate"] == "change"] == ["decision", "execution"]
    office.forge.failing.clear()
    [key] = [key async for key in office.redis.scan_iter("gw:merging:*")]
    await office.redis.delete(key)
    await office.converge(task)
    assert len(office.forge.merged) == 1


def test_the_comment_that_asks_is_the_one_that_shows_the_present_digest() -> None:
    history = History().at_spec_review().ask("spec")
    assert comment_that_asks(history.task, Gate.SPEC, 1) == ("", False)
    history.add("forge.done", kinds.ForgeDone("gate.spec", 1, "102", "a" * 64))
    assert comment_that_asks(history.task, Gate.SPEC, 1) == ("102", False)
    history.add("base.moved", kinds.BaseMoved("c" * 40)).ask("spec")
    assert comment_that_asks(history.task, Gate.SPEC, 1) == ("", True), "it still shows the one before"
    history.add("forge.done", kinds.ForgeDone("gate.spec.again", 2, "102", "b" * 64))
    assert comment_that_asks(history.task, Gate.SPEC, 1) == ("102", True)
