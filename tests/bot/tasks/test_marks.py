"""The tree beside the fold: which heads are to be signed, and that it holds a few hashes only."""

from __future__ import annotations

import sys

from msgspec.structs import replace

from bot.audit import kinds, merkle
from bot.audit.chain import Draft, Link, extend
from bot.audit.keys import InstanceKey, VKey
from bot.audit.record import Who, decode
from bot.tasks.marks import EVERY, SIGNED_AFTER, Marks

TASK = "42-k7f3qd"
US = Who(id="inst:gw", role="service", type="system")
KEY = VKey(f"gw/task/{TASK}", InstanceKey.generate().public)
OPENED = kinds.TaskOpened(
    repo="r", forge="github", host="h", repo_id=1, path="p", issue=42, labeller=1, base_branch="main",
    base_commit="a" * 40, policy_sha256="b" * 64, config_sha256="c" * 64, bot_version="1", instance="gw", vkey="v",
    task_vkey=str(KEY),
)  # fmt: skip
BLOCKED = Draft("task.blocked", kinds.TaskBlocked("GW-TEST"), US)


def lines_of(*drafts: Draft, opened: kinds.TaskOpened = OPENED) -> list[bytes]:
    start = Link(-1, "0" * 64)
    return extend(start, (Draft("task.opened", opened, US), *drafts), task=TASK, now_ms=1)[0]


def marked(lines: list[bytes]) -> Marks:
    marks = Marks()
    for line in lines:
        marks.take(decode(line), line)
    return marks


def test_the_genesis_and_each_deciding_record_are_due() -> None:
    asked = Draft("approval.requested", kinds.ApprovalRequested("spec", "d" * 64, 1), US)
    vote = Draft("approval", kinds.Approval("spec", "d" * 64, 1, "42:1", 1, "write", "shown"), US)
    pushed = Draft("pushed", kinds.Pushed(1, "refs/heads/x", "a" * 40, 0), US)
    closed = Draft("task.closed", kinds.TaskClosed("done", ""), US)
    sealed = Draft("seal", kinds.Seal("done", "", "", 0, 0), US)
    lines = lines_of(BLOCKED, asked, BLOCKED, vote, pushed, BLOCKED, closed, sealed)
    marks = marked(lines)
    assert list(marks.due) == [1, 3, 5, 6, 8, 9]
    assert marks.due == {size: merkle.root(lines[:size]) for size in marks.due}
    assert {"approval.requested", "approval", "ruling", "pushed", "task.closed", "seal"} == SIGNED_AFTER
    assert (marks.genesis, marks.vkey) == ("0" * 64, KEY)
    head = marks.head()
    assert head is not None
    assert (head.origin, head.size, head.root) == (KEY.name, 9, merkle.root(lines))


def test_so_many_quiet_records_are_due_too_and_memory_stays_flat() -> None:
    lines = lines_of(*[BLOCKED] * (4 * EVERY))
    marks = marked(lines)
    assert list(marks.due) == [1, EVERY, 2 * EVERY, 3 * EVERY, 4 * EVERY]
    marks.done(5)
    assert marks.due == {}
    assert (marks.newest and marks.newest.size, marks.signed_ms) == (4 * EVERY, 5)
    assert sys.getsizeof(vars(marks.tree)["_edge"]) < 500


def test_what_is_signed_is_not_due_again() -> None:
    marks = marked(lines_of(BLOCKED))
    marks.want()
    assert [one.size for one in marks.checkpoints()] == [1, 2]
    marks.done(7)
    marks.want()
    assert marks.checkpoints() == []


def test_records_wait_for_a_signature_for_a_while_only() -> None:
    lines = lines_of(BLOCKED)
    marks = marked(lines[:1])
    assert marks.is_behind(100, 60)  # nobody knows when it was signed last
    marks.done(100)
    assert not marks.is_behind(1_000_000, 60)  # nothing is new
    marks.take(decode(lines[1]), lines[1])
    assert not marks.is_behind(159, 60)
    assert marks.is_behind(160, 60)


def test_a_journal_of_a_version_that_signed_none_stays_unsigned() -> None:
    marks = marked(lines_of(BLOCKED, opened=replace(OPENED, task_vkey="")))
    marks.want()
    assert (marks.due, marks.head(), marks.checkpoints(), marks.vkey) == ({}, None, [], None)
    assert not marks.is_behind(1_000_000, 60)
