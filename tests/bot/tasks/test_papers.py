from __future__ import annotations

import pytest

from bot.audit import entries
from bot.audit.delegation import Delegation
from bot.audit.keys import BoxError, InstanceKey, VKey
from bot.audit.note import Note
from bot.tasks.papers import PURPOSE, entry, key_at, papers_for, signed_at
from tests.bot.tasks.office import Office

TASK = "42-k7f3qd"


async def test_a_task_is_born_with_a_key_of_its_own_that_the_instance_vouches_for(office: Office):
    made = papers_for(office.desk, TASK, "a" * 64, 1_000)
    key, control = VKey.parse(made.vkey), office.desk.key
    assert key.name == f"gatewright/task/{TASK}"
    note = Note.parse(made.note)
    assert note.is_by(VKey("gatewright", control.public))
    assert Delegation.parse(note.text) == Delegation(key, "a" * 64, 1_000)
    assert papers_for(office.desk, TASK, "a" * 64, 1_000).vkey != made.vkey


async def test_its_key_opens_for_this_instance_and_this_task_only(office: Office):
    made, secret = papers_for(office.desk, TASK, "a" * 64, 1_000), office.desk.key.derive(PURPOSE)
    own = InstanceKey.unwrapped(made.key, secret, TASK.encode())
    assert own.public == VKey.parse(made.vkey).public
    for wrapped, by, whose in (
        (made.key, secret, b"42-aaaaaa"),
        (made.key, InstanceKey.generate().derive(PURPOSE), TASK.encode()),
        (made.key[:-1], secret, TASK.encode()),
        (made.key[:20] + b"x" + made.key[21:], secret, TASK.encode()),
        (b"", secret, TASK.encode()),
    ):
        with pytest.raises(BoxError):
            InstanceKey.unwrapped(wrapped, by, whose)


async def test_the_logs_entries_are_those_that_the_log_reads(office: Office):
    made = papers_for(office.desk, TASK, "a" * 64, 1_000)
    assert entries.decode(made.entry) == entries.TaskOpened(made.note.decode(), TASK)
    assert entries.decode(entry("task.checkpoint", TASK, note="n")) == entries.TaskCheckpoint("n", TASK)
    sealed = entries.decode(entry("task.sealed", TASK, envelope_sha256="a" * 64, size=9))
    assert sealed == entries.TaskSealed("a" * 64, 9, TASK)


def test_each_task_has_its_places():
    assert key_at(TASK) == "gw:taskkey:42-k7f3qd"
    assert signed_at(TASK) == "gw:signed:42-k7f3qd"
