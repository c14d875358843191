"""What a task is born with to sign for itself: a fresh key, encrypted, and the instance's word for it.

What Redis holds of it: the key until the task is sealed; what was signed, by its path below `audit/`; and the entries
that the instance log has not taken up yet.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bot.audit.delegation import Delegation, key_name
from bot.audit.keys import InstanceKey, VKey
from bot.tasks.desk import Desk

PURPOSE: Final = "task-keys"  # of the secret that encrypts them
PENDING: Final = "gw:log:pending"


class Papers(msgspec.Struct, frozen=True):
    """What a task is born with: its verifier key, its key encrypted, who vouches for it, and the log's entry."""

    vkey: str
    key: bytes
    note: bytes
    entry: bytes


def key_at(task: str) -> str:
    """Name where a task's encrypted key lies."""
    return f"gw:taskkey:{task}"


def signed_at(task: str) -> str:
    """Name the hash of what was signed: path below `audit/` -> bytes."""
    return f"gw:signed:{task}"


def papers_for(desk: Desk, task: str, genesis: str, now_ms: int) -> Papers:
    """Make a fresh key for a task whose record 0 follows `genesis` at `now_ms`, and have the instance vouch for it."""
    instance = desk.settings.server.instance
    own = InstanceKey.generate()
    key = VKey(key_name(instance, task), own.public)
    note = bytes(Delegation(key, genesis, now_ms).signed(instance, desk.key.public, desk.key))
    wrapped = own.wrapped(desk.key.derive(PURPOSE), task.encode())
    return Papers(str(key), wrapped, note, entry("task.opened", task, delegation=note.decode()))


def entry(kind: str, task: str, **more: str | int) -> bytes:
    """Spell an entry of the instance log."""
    return msgspec.json.encode({"kind": kind, "task": task, **more}, order="sorted")
