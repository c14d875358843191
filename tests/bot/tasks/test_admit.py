from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bot.audit.kinds import KINDS, WORKER_KINDS
from bot.model.state import State, Step
from bot.tasks import admit as admitting
from bot.tasks.admit import admit, end
from tests.bot.tasks.forge import commit
from tests.bot.tasks.office import SPEC, Office

COMMIT = commit("x")


async def admitted(office: Office, task: str) -> bool:
    async with office.desk.shelf.open(task) as book:
        return await admit(office.desk, book)


async def test_what_a_worker_reports_is_chained_in_its_order_with_the_model_as_its_author(office: Office):
    task = await office.opened()
    for call in (1, 2):
        await office.reports(task, "tool.call", {"call": call, "tool": "read"})
        await office.reports(task, "tool.result", {"call": call, "exit": 0}, outcome="fail")
    assert await admitted(office, task)
    records = (await office.records(task))[-4:]
    assert [(r.kind, r.data["call"]) for r in records] == [
        ("tool.call", 1), ("tool.result", 1), ("tool.call", 2), ("tool.result", 2),
    ]  # fmt: skip
    assert {(r.actor.id, r.actor.role, r.actor.type) for r in records} == {("agent:sonnet", "author", "agent")}
    assert records[1].outcome == "fail"


async def test_a_report_is_taken_once(office: Office):
    task = await office.opened()
    await office.reports(task, "tool.call", {"call": 1, "tool": "read"})
    assert await admitted(office, task)
    size = (await office.desk.shelf.read(task)).size
    assert not await admitted(office, task)
    assert (await office.desk.shelf.read(task)).size == size


async def test_a_long_stream_is_taken_in_batches(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(admitting, "BATCH", 3)
    task = await office.opened()
    for call in range(1, 9):
        await office.reports(task, "tool.call", {"call": call, "tool": "read"})
    await admitted(office, task)
    assert [r.data["call"] for r in await office.records(task) if r.kind == "tool.call"] == list(range(1, 9))


async def test_nothing_that_follows_the_end_of_an_attempt_counts(office: Office):
    task = await office.opened()
    await office.drafts(task, "spec", SPEC)
    entry = {"kind": "tool.call", "data": {"attempt": 1, "call": 9, "tool": "read"}}
    await office.redis.xadd(f"gw:attempt:{task}:1", {"r": msgspec.json.encode(entry)})
    assert not await admitted(office, task)
    assert "tool.call" not in await office.kinds(task)


async def test_a_superseded_attempt_is_not_listened_to(office: Office):
    task = await office.opened()
    await office.ends(task, "fail", code="GW-ATTEMPT-LOST")
    assert (await office.desk.shelf.read(task)).running.number == 2
    digest, refs = office.text(SPEC)
    entry = {"kind": "spec.set", "data": {"attempt": 1, "spec_sha256": digest, "rev": 1}, "refs": refs}
    await office.redis.xadd(f"gw:attempt:{task}:1", {"r": msgspec.json.encode(entry)})
    await office.converge(task)
    assert (await office.desk.shelf.read(task)).spec is None


INADMISSIBLE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("approval", {"what": "spec", "digest": "a" * 64, "rev": 1, "event_id": "x", "forge_ts": 1, "permission": "admin",
                  "method": "shown"}, {}),
    ("task.closed", {"state": "done"}, {}),
    ("no.such.kind", {}, {}),
    ("tool.call", {"attempt": 2, "call": 1, "tool": "read"}, {}),
    ("tool.call", {"call": 1, "tool": "read", "more": 1}, {}),
    ("tool.call", {"call": "one", "tool": "read"}, {}),
    ("tool.call", {"call": 1, "tool": "r" * 300}, {}),
    ("tool.call", {"call": 1, "tool": "read"}, {"basis": "forge"}),
    ("tool.call", {"call": 1, "tool": "read"}, {"outcome": "splendid"}),
    ("tool.call", {"call": 1, "tool": "read"}, {"actor": "github:7"}),
    ("spec.set", {"spec_sha256": "a" * 64, "rev": 2}, {}),
    ("spec.set", {"spec_sha256": "a" * 64, "rev": 1, "source": "github:7"}, {}),
    ("plan.set", {"plan_sha256": "a" * 64, "rev": 1}, {}),
    ("qa.verdict", {"round": 1, "commit": COMMIT, "source_sha256": "a" * 64, "verdict": "passed", "criteria": 1,
                    "met": 1}, {}),
    ("commit.made", {"commit": COMMIT, "tree": COMMIT, "parent": COMMIT, "source_sha256": "a" * 64}, {}),
    ("gate", {"rule": "qa_rounds", "result": "exhausted"}, {}),
    ("pushed", {"ref": "refs/heads/main", "commit": COMMIT, "size": 1}, {}),
    ("pushed", {"ref": "refs/gatewright/audit/43-aaaaaa", "commit": COMMIT, "size": 1}, {}),
    ("attempt.ended", {"step": "coding"}, {}),
    ("attempt.ended", {"step": "archive"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "more"), INADMISSIBLE)
async def test_an_attempt_that_reports_what_it_may_not_is_ended(
    office: Office, kind: str, data: dict[str, Any], more: dict[str, Any]
):
    task = await office.opened()
    await office.reports(task, "tool.call", {"call": 7, "tool": "read"})
    await office.reports(task, kind, data, **{"basis": "observed", **more})
    assert await admitted(office, task)
    now = await office.desk.shelf.read(task)
    assert (now.state, now.blocked_code) == (State.BLOCKED, "GW-ATTEMPT-INVALID")
    assert (now.attempts[0].outcome, now.running) == ("denied", None)
    assert "attempt.inadmissible" in office.log.events()
    assert await office.redis.get(f"gw:stop:{task}:1") == b"1"
    assert await office.redis.get(f"gw:current:{task}") is None
    assert not {"tool.call", kind} - {"attempt.ended"} & {*await office.kinds(task)}, "the whole batch is left out"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"kind":"tool.call"}', b"\xff", b"[" * 5_000])
async def test_what_is_no_report_ends_the_attempt(office: Office, raw: bytes):
    task = await office.opened()
    await office.redis.xadd(f"gw:attempt:{task}:1", {"r": raw})
    await admitted(office, task)
    assert (await office.desk.shelf.read(task)).blocked_code == "GW-ATTEMPT-INVALID"


async def test_the_kinds_of_workers_are_kinds():
    assert set(KINDS) >= WORKER_KINDS
    assert not WORKER_KINDS & {"approval", "task.opened", "task.closed", "command", "forge.done", "seal"}


async def test_a_journal_that_grows_beyond_all_measure_waits_for_a_person(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(admitting, "MOST_RECORDS", 10)
    task = await office.opened()
    for call in range(1, 9):
        await office.reports(task, "tool.call", {"call": call, "tool": "read"})
    now = await office.converge(task)
    assert (now.state, now.blocked_code) == (State.BLOCKED, "GW-JOURNAL-LIMIT")
    assert now.attempts[0].outcome == "cancelled"


async def test_qa_reports_in_its_own_role(office: Office):
    task = await office.coded()
    assert (await office.desk.shelf.read(task)).running.step is Step.QA
    await office.reports(task, "tool.call", {"call": 1, "tool": "read"})
    await admitted(office, task)
    assert (await office.records(task))[-1].actor.role == "qa"


@pytest.mark.parametrize(("rule", "result"), [("sandbox", "bwrap"), ("fallback", "opus")])
async def test_a_worker_says_how_it_was_confined_and_which_model_stood_in(office: Office, rule: str, result: str):
    task = await office.opened()
    await office.reports(task, "gate", {"rule": rule, "result": result})
    assert await admitted(office, task)
    now = await office.desk.shelf.read(task)
    assert (now.state, now.running.number) == (State.SPEC, 1)
    assert (await office.kinds(task))[-1] == "gate"


async def test_calls_that_a_lost_worker_left_open_are_answered_before_its_attempt_ends(office: Office):
    task = await office.opened()
    await office.reports(task, "model.call", {"call": 1, "provider": "p", "model": "m"})
    await office.reports(task, "model.result", {"call": 1, "tokens_out": 7})
    await office.reports(task, "model.call", {"call": 2, "provider": "p", "model": "m"})
    await office.reports(task, "tool.call", {"call": 3, "tool": "run"})
    async with office.desk.shelf.open(task) as book:
        await admit(office.desk, book)
        await end(office.desk, book, book.task.running, "GW-ATTEMPT-LOST")
    records = (await office.records(task))[-3:]
    assert [(r.kind, r.data.get("call"), r.outcome, r.actor.type) for r in records] == [
        ("model.result", 2, "cancelled", "system"),
        ("tool.result", 3, "cancelled", "system"),
        ("attempt.ended", None, "fail", "system"),
    ]
    assert not (await office.desk.shelf.read(task)).running
